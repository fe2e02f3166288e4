"""Fit the calibration of the default model's confidence: ``python benchmarks/calibrate.py SET [--write]``.

SET is a labelled set with paragraphs (squad-a). Its documents become corpora of three sizes: all together, each
document alone, and slices of a dozen paragraphs. Each question is asked of a corpus that answers it, and of ones that
do not: the same without the paragraph that answers ("near"), and one of other documents ("far"). The set's own
unanswerable questions ("own") are asked too. What is learnt is whether the first passage answers. Half of the
documents are held out in turn for the figures that are printed; what ships is fitted on all.
"""

import argparse
import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from sourceline.encoders.hub import find_model
from sourceline.encoders.load import ENCODERS, prepare_encoder
from sourceline.evaluation.dataset import LabelledQuestion, Relevant, read_labels
from sourceline.index.row_filter import RowFilter
from sourceline.indexing.builder import build
from sourceline.ingest.formats.plain import marks
from sourceline.search import confidence as answerability
from sourceline.search.opening import open_searcher
from sourceline.search.query import encode_query
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_MODEL, Backend

SLICE = 12  # paragraphs
PER_CORPUS = {"all": 2500, "document": 80, "slice": 25}
# What a kind of question weighs in each size of corpus.
SHARES = {"answered": 2.0, "near": 0.7, "far": 0.7, "own": 0.6}
FEATURES = tuple(answerability.ConfidenceFeatures.__dataclass_fields__)


@dataclass(frozen=True)
class Example:
    """The evidence for a question in a corpus; ``kind`` as in ``SHARES``; ``right``: the first passage answers."""

    size: str
    document: str
    kind: str
    right: bool
    values: npt.NDArray[np.float32]


def main() -> None:
    """Collect the evidence, print held-out figures, write the coefficients if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--write", action="store_true", help="write the coefficients into the package")
    arguments = parser.parse_args()
    random.seed(0)
    examples = list(collect(arguments.set))
    held_out(examples)
    calibration = fit(examples)
    values = {
        "model": DEFAULT_MODEL,
        "fitted_on": f"{arguments.set.resolve().name}: {len(examples)} examples, by benchmarks/calibrate.py",
        "coefficients": dict(zip(FEATURES, (round(c, 4) for c in calibration.coefficients), strict=True)),
        "intercept": round(calibration.intercept, 4),
    }
    text = json.dumps(values, indent=2) + "\n"
    print(text)
    if arguments.write:
        folder = Path(answerability.__file__).parent / "calibrations"
        (folder / answerability.calibration_file(DEFAULT_MODEL)).write_text(text, "utf-8")


def collect(folder: Path) -> Iterator[Example]:
    """Yield the evidence for every question in every corpus that is made of the set."""
    labelled = read_labels(folder)
    questions = [q for q in labelled.questions if q.answerable and q.paragraph]
    own = [q for q in labelled.questions if not q.answerable and q.paragraph]
    with tempfile.TemporaryDirectory() as scratch:
        compiled = Path(scratch) / "onnx"
        prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), compiled / ENCODERS)
        yield from ask("all", labelled.documents, questions, questions, own, compiled, Path(scratch) / "all")
        for path in sorted(labelled.documents.iterdir()):
            here = [q for q in questions if q.paragraph and q.paragraph.document == path.name]
            others = [q for q in questions if q.paragraph and q.paragraph.document != path.name]
            text = path.read_text("utf-8")
            paragraphs = marks(text)
            pieces = [(0, len(text))] + [
                (part[0].start, part[-1].end)
                for part in (paragraphs[at : at + SLICE] for at in range(0, len(paragraphs), 2 * SLICE))
                if len(part) == SLICE
            ]
            for number, (start, end) in enumerate(pieces):
                place = Path(scratch) / f"{path.stem}-{number}"
                (place / "documents").mkdir(parents=True)
                (place / "documents" / path.name).write_text(text[start:end], "utf-8")
                inside = [moved for q in here if (moved := shifted(q, start, end))]
                size = "slice" if number else "document"
                of_this = [q for q in own if q.paragraph and q.paragraph.document == path.name and not number]
                yield from ask(size, place / "documents", inside, others, of_this, compiled, place / "index")


def ask(
    size: str,
    documents: Path,
    inside: Sequence[LabelledQuestion],
    others: Sequence[LabelledQuestion],
    own: Sequence[LabelledQuestion],
    compiled: Path,
    index: Path,
) -> Iterator[Example]:
    """Ask a corpus questions that it answers, the same with the answer removed, and others that it does not answer."""
    index.mkdir(parents=True)
    (index / ENCODERS).symlink_to(compiled / ENCODERS)
    build(documents, index, DEFAULT_MODEL)
    searcher = open_searcher(index, DEFAULT_MODEL, Backend.ONNX)
    everything = RowFilter.of(entry.rows for entry in searcher.snapshot.passages.documents)
    for question in random.sample(inside, min(len(inside), PER_CORPUS[size])):
        assert question.paragraph
        document = question.paragraph.document
        yield Example(size, document, "answered", *evidence(searcher, question, everything))
        _, values = evidence(searcher, question, without(searcher, question.paragraph))
        yield Example(size, document, "near", False, values)
    for question in random.sample(others, min(len(others), PER_CORPUS[size])):
        assert question.paragraph
        rest = everything
        if size == "all":
            document = question.paragraph.document
            rest = without(searcher, Relevant(document, 0, 1 << 60))
        yield Example(size, question.paragraph.document, "far", False, evidence(searcher, question, rest)[1])
    for question in random.sample(own, min(len(own), PER_CORPUS[size])):
        assert question.paragraph
        yield Example(size, question.paragraph.document, "own", False, evidence(searcher, question, everything)[1])


def evidence(
    searcher: Searcher, question: LabelledQuestion, row_filter: RowFilter
) -> tuple[bool, npt.NDArray[np.float32]]:
    """Return whether a question's best passage within these rows answers it, and its features."""
    asked = encode_query(searcher.encoder, question.text)
    ranking = searcher.rank(asked, 10, row_filter)
    first = searcher.snapshot.passages.rows(ranking.rows[:1])[ranking.rows[0]].passage
    right = any(
        label.document == first.document_id and label.start < first.end and first.start < label.end
        for label in question.relevant
    )
    (best,) = searcher.scores(asked, ranking, 1)
    return right, searcher.evidence(asked, ranking, best, row_filter).values()


def without(searcher: Searcher, removed: Relevant) -> RowFilter:
    """Return all rows but those of the passages that overlap what is removed."""
    rows = []
    for entry in searcher.snapshot.passages.documents:
        if entry.id != removed.document:
            rows.append(entry.rows)
            continue
        for row, passage in searcher.snapshot.passages.of_rows(entry).items():
            if not (removed.start < passage.end and passage.start < removed.end):
                rows.append(range(row, row + 1))
    return RowFilter.of(rows)


def shifted(question: LabelledQuestion, start: int, end: int) -> LabelledQuestion | None:
    """Return a question with its offsets in a piece of the document, if its paragraph lies within."""
    paragraph = question.paragraph
    assert paragraph
    if not (start <= paragraph.start and paragraph.end <= end):
        return None
    moved = [
        replace(label, start=label.start - start, end=label.end - start) for label in (*question.relevant, paragraph)
    ]
    return replace(question, relevant=tuple(moved[:-1]), paragraph=moved[-1])


def fit(examples: Sequence[Example]) -> answerability.Calibration:
    """Return the logistic regression; each size of corpus has the same weight, and in it each kind its share."""
    weights = weigh(examples)
    model = LogisticRegression(C=1000, max_iter=10_000)
    model.fit(
        np.stack([example.values for example in examples]),
        [example.right for example in examples],
        sample_weight=weights * len(examples) / weights.sum(),
    )
    return answerability.Calibration(tuple(float(c) for c in model.coef_[0]), float(model.intercept_[0]))


def weigh(examples: Sequence[Example]) -> npt.NDArray[np.float64]:
    """Return the weight of each example."""
    counts = Counter((example.size, example.kind) for example in examples)
    return np.array([SHARES[example.kind] / counts[example.size, example.kind] for example in examples])


def held_out(examples: Sequence[Example]) -> None:
    """Print the areas under the curve and the calibration error, for documents that the fit did not see."""
    documents = sorted({example.document for example in examples})
    halves = [set(documents[::2]), set(documents[1::2])]
    rated: list[tuple[Example, float]] = []
    for half in halves:
        calibration = fit([example for example in examples if example.document in half])
        for example in examples:
            if example.document not in half:
                confidence = calibration.confidence(answerability.ConfidenceFeatures(*example.values.tolist()))
                rated.append((example, confidence))
    for size in PER_CORPUS:
        for kind in ("near", "far", "own"):
            chosen = [(e, c) for e, c in rated if e.size == size and e.kind in ("answered", kind)]
            if any(example.kind == kind for example, _ in chosen):
                # Of all answerable questions, and of those whose first passage is right.
                found = [c for c in chosen if c[0].kind == kind or c[0].right]
                print(f"{size:9} {kind:5} AUC {area(chosen):.3f}, first passage right {area(found):.3f}")
    confidences = np.array([confidence for _, confidence in rated])
    right, weights = np.array([e.right for e, _ in rated]), weigh([e for e, _ in rated])
    bins = np.minimum((confidences * 10).astype(int), 9)
    gaps = [abs(((confidences - right) * weights)[bins == number].sum()) for number in range(10)]
    print(f"expected calibration error {sum(gaps) / weights.sum():.3f}")


def area(rated: Sequence[tuple[Example, float]]) -> float:
    """Return the area under the curve between the questions that the corpus answers and the others."""
    return float(roc_auc_score([e.kind == "answered" for e, _ in rated], [confidence for _, confidence in rated]))


if __name__ == "__main__":
    main()

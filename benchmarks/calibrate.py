"""Fit the calibration of the default model's confidence: ``python benchmarks/calibrate.py SET [--write]``.

SET is a labelled set with paragraphs (squad-a). Its documents become corpora of three sizes: all together, each
document alone, and slices of a dozen paragraphs. Each question is asked of a corpus that answers it, and of ones that
do not: the same without the paragraph that answers ("near"), and one of other documents ("far"). Both count alike, as
do the sizes. Half of the documents are held out in turn for the figures that are printed; what ships is fitted on all.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from sourceline.corpus.formats.plain import marks
from sourceline.encoding.encoders import prepare_encoder
from sourceline.evaluation.labels import LabelledQuestion, Relevant, read_labels
from sourceline.index.build import ENCODERS, build
from sourceline.index.rows import Rows
from sourceline.retrieval import answerability
from sourceline.retrieval.opening import open_searcher
from sourceline.retrieval.question import encode_question
from sourceline.retrieval.search import Searcher
from sourceline.types import DEFAULT_MODEL, EncoderKind

SLICE = 12  # paragraphs
PER_CORPUS = {"all": 2500, "document": 100, "slice": 25}
FEATURES = tuple(answerability.Evidence.__dataclass_fields__)


@dataclass(frozen=True)
class Example:
    """The evidence for one question in one corpus; ``kind`` is answered, near or far."""

    size: str
    document: str
    kind: str
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
    with tempfile.TemporaryDirectory() as scratch:
        compiled = Path(scratch) / "compiled"
        prepare_encoder(EncoderKind.COMPILED, DEFAULT_MODEL, compiled / ENCODERS)
        yield from ask("all", labelled.documents, questions, questions, compiled, Path(scratch) / "all")
        for path in sorted(labelled.documents.iterdir()):
            here = [q for q in questions if q.paragraph and q.paragraph.document == path.name]
            others = [q for q in questions if q.paragraph and q.paragraph.document != path.name]
            text = path.read_text("utf-8")
            paragraphs = marks(text)
            pieces = [(0, len(text))] + [
                (part[0].start, part[-1].end)
                for part in (paragraphs[at : at + SLICE] for at in range(0, len(paragraphs), SLICE))
                if len(part) == SLICE
            ]
            for number, (start, end) in enumerate(pieces):
                place = Path(scratch) / f"{path.stem}-{number}"
                (place / "documents").mkdir(parents=True)
                (place / "documents" / path.name).write_text(text[start:end], "utf-8")
                inside = [moved for q in here if (moved := shifted(q, start, end))]
                size = "slice" if number else "document"
                yield from ask(size, place / "documents", inside, others, compiled, place / "index")


def ask(
    size: str,
    documents: Path,
    inside: Sequence[LabelledQuestion],
    others: Sequence[LabelledQuestion],
    compiled: Path,
    index: Path,
) -> Iterator[Example]:
    """Ask a corpus questions that it answers, the same with the answer removed, and others that it does not answer."""
    index.mkdir(parents=True)
    (index / ENCODERS).symlink_to(compiled / ENCODERS)
    build(documents, index, DEFAULT_MODEL)
    searcher = open_searcher(index, DEFAULT_MODEL, EncoderKind.COMPILED)
    everything = Rows.of(entry.rows for entry in searcher.generation.passages.documents)
    for question in random.sample(inside, min(len(inside), PER_CORPUS[size])):
        assert question.paragraph
        document = question.paragraph.document
        yield Example(size, document, "answered", evidence(searcher, question, everything))
        yield Example(size, document, "near", evidence(searcher, question, without(searcher, question.paragraph)))
    for question in random.sample(others, min(len(others), PER_CORPUS[size])):
        assert question.paragraph
        rest = everything
        if size == "all":
            document = question.paragraph.document
            rest = without(searcher, Relevant(document, 0, 1 << 60))
        yield Example(size, question.paragraph.document, "far", evidence(searcher, question, rest))


def evidence(searcher: Searcher, question: LabelledQuestion, within: Rows) -> npt.NDArray[np.float32]:
    """Return the features of a question's best passage within these rows."""
    asked = encode_question(searcher.encoder, question.text)
    return searcher.evidence(asked, searcher.rank(asked, 1, within), within).values()


def without(searcher: Searcher, removed: Relevant) -> Rows:
    """Return all rows but those of the passages that overlap what is removed."""
    rows = []
    for entry in searcher.generation.passages.documents:
        if entry.id != removed.document:
            rows.append(entry.rows)
            continue
        for row, passage in searcher.generation.passages.of_rows(entry).items():
            if not (removed.start < passage.end and passage.start < removed.end):
                rows.append(range(row, row + 1))
    return Rows.of(rows)


def shifted(question: LabelledQuestion, start: int, end: int) -> LabelledQuestion | None:
    """Return a question with its paragraph's offsets in a piece of the document, if it lies within."""
    paragraph = question.paragraph
    assert paragraph
    if not (start <= paragraph.start and paragraph.end <= end):
        return None
    return replace(question, paragraph=replace(paragraph, start=paragraph.start - start, end=paragraph.end - start))


def fit(examples: Sequence[Example]) -> answerability.Calibration:
    """Return the logistic regression; each size, and in it answered and not, near and far, has the same weight."""
    groups = [(example.size, example.kind) for example in examples]
    share = {group: (2 if group[1] == "answered" else 1) / groups.count(group) for group in set(groups)}
    weights = np.array([share[group] for group in groups])
    model = LogisticRegression(C=1000, max_iter=10_000)
    model.fit(
        np.stack([example.values for example in examples]),
        [example.kind == "answered" for example in examples],
        sample_weight=weights * len(examples) / weights.sum(),
    )
    return answerability.Calibration(tuple(float(c) for c in model.coef_[0]), float(model.intercept_[0]))


def held_out(examples: Sequence[Example]) -> None:
    """Print the area under the curve and the accuracy at .5, for documents that the fit did not see."""
    documents = sorted({example.document for example in examples})
    halves = [set(documents[::2]), set(documents[1::2])]
    rated: list[tuple[Example, float]] = []
    for half in halves:
        calibration = fit([example for example in examples if example.document in half])
        for example in examples:
            if example.document not in half:
                confidence = calibration.confidence(answerability.Evidence(*example.values.tolist()))
                rated.append((example, confidence))
    for size in PER_CORPUS:
        for kind in ("near", "far"):
            chosen = [(e.kind == "answered", c) for e, c in rated if e.size == size and e.kind in ("answered", kind)]
            answered, confidences = np.array([a for a, _ in chosen]), np.array([c for _, c in chosen])
            right = (confidences >= answerability.THRESHOLD) == answered
            print(f"{size:9} {kind:5} AUC {roc_auc_score(answered, confidences):.3f} accuracy {right.mean():.3f}")


if __name__ == "__main__":
    main()

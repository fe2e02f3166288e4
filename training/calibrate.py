"""Fit the calibration of the default model's confidence.

    python training/calibrate.py SET [--write]

SET is a labelled set with paragraphs (squad-a). Its documents become corpora of three sizes: all of them, each alone,
and slices of a dozen paragraphs. Each question is asked of a corpus that answers it ("answered") and of corpora that do
not: the same without the paragraph that answers ("near"), and one of other documents ("far"). The set's own
unanswerable questions ("own") are asked too. The logistic regression learns whether the first passage answers.

Prints AUC and calibration error on documents that a fit did not see, half of them at a time. What ``--write`` puts into
the package is fitted on all of them.
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

from sourceline import search
from sourceline.encoders.base import Float32
from sourceline.encoders.hub import find_model
from sourceline.encoders.load import ENCODERS, prepare_encoder
from sourceline.evaluation.dataset import Question, Relevant, read_dataset
from sourceline.evaluation.evaluate import open_searcher
from sourceline.index.row_filter import RowFilter
from sourceline.indexing.builder import build
from sourceline.ingest.formats import plain
from sourceline.search.confidence import Calibration, ConfidenceFeatures
from sourceline.search.query import encode_query
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_MODEL, Backend

SLICE = 12  # paragraphs
# The most questions of each kind that a corpus of each size is asked.
PER_CORPUS = {"all": 2500, "document": 80, "slice": 25}
# The weight of each kind within a size of corpus.
WEIGHTS = {"answered": 2.0, "near": 0.7, "far": 0.7, "own": 0.6}
FEATURES = tuple(ConfidenceFeatures.__dataclass_fields__)


@dataclass(frozen=True)
class Example:
    """A question asked of a corpus: its features, and whether the first passage answers it (``correct``)."""

    size: str
    document: str
    kind: str
    correct: bool
    features: Float32


def main() -> None:
    """Collect the examples, print the held-out metrics, write the coefficients on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("--write", action="store_true", help="write the coefficients into the package")
    arguments = parser.parse_args()
    random.seed(0)
    examples = list(collect_examples(arguments.set))
    print_held_out(examples)
    calibration = fit(examples)
    values = {
        "model": DEFAULT_MODEL,
        "fitted_on": f"{arguments.set.resolve().name}: {len(examples)} examples, by training/calibrate.py",
        "coefficients": dict(zip(FEATURES, (round(c, 4) for c in calibration.coefficients), strict=True)),
        "intercept": round(calibration.intercept, 4),
    }
    text = json.dumps(values, indent=2) + "\n"
    print(text)
    if arguments.write:
        folder = Path(search.__file__).parent / "calibrations"
        (folder / f"{DEFAULT_MODEL.split('/')[-1]}.json").write_text(text, "utf-8")


def collect_examples(folder: Path) -> Iterator[Example]:
    """Yield an example for every question in every corpus that is made of the set."""
    dataset = read_dataset(folder)
    answerable = [question for question in dataset.questions if question.answerable and question.paragraph]
    unanswerable = [question for question in dataset.questions if not question.answerable and question.paragraph]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        exported = scratch / "onnx"
        prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), exported)
        yield from ask("all", dataset.documents, answerable, answerable, unanswerable, exported, scratch / "all")
        for path in sorted(dataset.documents.iterdir()):
            inside = [question for question in answerable if _document(question) == path.name]
            outside = [question for question in answerable if _document(question) != path.name]
            unanswerable_inside = [question for question in unanswerable if _document(question) == path.name]
            text = path.read_text("utf-8")
            for number, (start, end) in enumerate(split(text)):
                place = scratch / f"{path.stem}-{number}"
                (place / "documents").mkdir(parents=True)
                (place / "documents" / path.name).write_text(text[start:end], "utf-8")
                shifted = [moved for question in inside if (moved := shift(question, start, end))]
                yield from ask(
                    "slice" if number else "document",
                    place / "documents",
                    shifted,
                    outside,
                    [] if number else unanswerable_inside,
                    exported,
                    place / "index",
                )


def split(text: str) -> list[tuple[int, int]]:
    """Return the offsets of the corpora that a document becomes: the whole, then every other slice of paragraphs."""
    paragraphs = plain.parse(text).blocks
    slices = (paragraphs[at : at + SLICE] for at in range(0, len(paragraphs), 2 * SLICE))
    return [(0, len(text)), *((part[0].start, part[-1].end) for part in slices if len(part) == SLICE)]


def ask(
    size: str,
    documents: Path,
    inside: Sequence[Question],
    outside: Sequence[Question],
    unanswerable: Sequence[Question],
    exported: Path,
    index: Path,
) -> Iterator[Example]:
    """Ask a corpus questions that it answers, the same without the answer, and others that it does not answer.

    Args:
        size: of the corpus, as in ``PER_CORPUS``.
        documents: the corpus.
        inside: questions that it answers.
        outside: questions about other documents; in the corpus of all, these are left out while one is asked.
        unanswerable: the set's unanswerable questions about it.
        exported: an index folder with the exported model.
        index: where the corpus is indexed.
    """
    index.mkdir(parents=True)
    (index / ENCODERS).symlink_to(exported / ENCODERS)
    build(documents, index, DEFAULT_MODEL)
    searcher = open_searcher(index)
    all_rows = RowFilter.from_ranges(entry.rows for entry in searcher.snapshot.passages.documents)
    for question in random.sample(inside, min(len(inside), PER_CORPUS[size])):
        assert question.paragraph
        correct, features = examine(searcher, question, all_rows)
        yield Example(size, _document(question), "answered", correct, features)
        _, features = examine(searcher, question, rows_without(searcher, question.paragraph))
        yield Example(size, _document(question), "near", False, features)
    for question in random.sample(outside, min(len(outside), PER_CORPUS[size])):
        rows = all_rows
        if size == "all":
            rows = rows_without(searcher, Relevant(_document(question), 0, 1 << 60))
        yield Example(size, _document(question), "far", False, examine(searcher, question, rows)[1])
    for question in random.sample(unanswerable, min(len(unanswerable), PER_CORPUS[size])):
        yield Example(size, _document(question), "own", False, examine(searcher, question, all_rows)[1])


def examine(searcher: Searcher, question: Question, rows: RowFilter) -> tuple[bool, Float32]:
    """Return whether a question's first passage among these rows answers it, and its features."""
    query = encode_query(searcher.encoder, question.text)
    ranking = searcher.rank(query, 10, rows)
    top = searcher.snapshot.passages.rows(ranking.rows[:1])[ranking.rows[0]].passage
    correct = any(
        label.document == top.document_id and label.start < top.end and top.start < label.end
        for label in question.relevant
    )
    (best,) = searcher.component_scores(query, ranking, 1)
    return correct, searcher.features(query, ranking, best, rows).values()


def rows_without(searcher: Searcher, removed: Relevant) -> RowFilter:
    """Return all rows but those of the passages that overlap a range."""
    store = searcher.snapshot.passages
    ranges = []
    for entry in store.documents:
        if entry.id != removed.document:
            ranges.append(entry.rows)
            continue
        for row, passage in store.answers_of(entry).items():
            if not (removed.start < passage.end and passage.start < removed.end):
                ranges.append(range(row, row + 1))
    return RowFilter.from_ranges(ranges)


def shift(question: Question, start: int, end: int) -> Question | None:
    """Return a question with its offsets in a part of the document; None if its paragraph is not within."""
    paragraph = question.paragraph
    assert paragraph
    if not (start <= paragraph.start and paragraph.end <= end):
        return None
    *relevant, paragraph = (
        replace(label, start=label.start - start, end=label.end - start) for label in (*question.relevant, paragraph)
    )
    return replace(question, relevant=tuple(relevant), paragraph=paragraph)


def _document(question: Question) -> str:
    assert question.paragraph
    return question.paragraph.document


def fit(examples: Sequence[Example]) -> Calibration:
    """Fit the logistic regression; all sizes of corpus have the same weight, and in each the kinds have theirs."""
    weights = example_weights(examples)
    model = LogisticRegression(C=1000, max_iter=10_000)
    model.fit(
        np.stack([example.features for example in examples]),
        [example.correct for example in examples],
        sample_weight=weights * len(examples) / weights.sum(),
    )
    return Calibration(tuple(float(c) for c in model.coef_[0]), float(model.intercept_[0]))


def example_weights(examples: Sequence[Example]) -> npt.NDArray[np.float64]:
    """Return the weight of each example, (examples,)."""
    counts = Counter((example.size, example.kind) for example in examples)
    return np.array([WEIGHTS[example.kind] / counts[example.size, example.kind] for example in examples])


def print_held_out(examples: Sequence[Example]) -> None:
    """Print AUC and expected calibration error on documents that the fit did not see."""
    documents = sorted({example.document for example in examples})
    rated: list[tuple[Example, float]] = []
    for half in (set(documents[::2]), set(documents[1::2])):
        calibration = fit([example for example in examples if example.document in half])
        for example in examples:
            if example.document not in half:
                features = ConfidenceFeatures(*example.features.tolist())
                rated.append((example, calibration.confidence(features)))
    for size in PER_CORPUS:
        for kind in ("near", "far", "own"):
            chosen = [
                (example, c) for example, c in rated if example.size == size and example.kind in ("answered", kind)
            ]
            if any(example.kind == kind for example, _ in chosen):
                # Over all answerable questions, and over those whose first passage is correct.
                correct = [(example, c) for example, c in chosen if example.kind == kind or example.correct]
                print(f"{size:9} {kind:5} AUC {auc(chosen):.3f}, first passage correct {auc(correct):.3f}")
    confidences = np.array([confidence for _, confidence in rated])
    correctness = np.array([example.correct for example, _ in rated])
    weights = example_weights([example for example, _ in rated])
    bins = np.minimum((confidences * 10).astype(int), 9)
    gaps = [abs(((confidences - correctness) * weights)[bins == number].sum()) for number in range(10)]
    print(f"expected calibration error {sum(gaps) / weights.sum():.3f}")


def auc(rated: Sequence[tuple[Example, float]]) -> float:
    """Return the area under the ROC curve between questions that the corpus answers and others."""
    return float(roc_auc_score([e.kind == "answered" for e, _ in rated], [confidence for _, confidence in rated]))


if __name__ == "__main__":
    main()

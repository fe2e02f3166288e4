"""Stage 5: fit how the reader's scores rank and what they are worth, on documents that it was not trained on.

    python -m training.reader.calibrate SET... [--fold 0] [--write]

SET is a folder, optionally with :N for N of its questions. Every question of the fold is asked of the
documents that it is about (``answered``, ``near``: the set's own unanswerable questions), of another document
(``far``), and some nonsense is asked of all (``nonsense``). ``late_weight`` and ``unread`` are those with the best mean
reciprocal rank; ``slope`` and ``intercept`` a logistic regression of whether the first passage answers.

Prints both, and the calibration error of each set when it is left out of the fit.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from sourceline import search
from sourceline.encoders.hub import find_model
from sourceline.encoders.load import ENCODERS, open_encoder, prepare_encoder
from sourceline.encoders.reranker import open_reranker
from sourceline.errors import QuestionError
from sourceline.evaluation.dataset import Question, read_dataset
from sourceline.index.passage_store import PassageStore
from sourceline.index.row_filter import RowFilter
from sourceline.index.snapshot import open_current
from sourceline.indexing.builder import build
from sourceline.search.confidence import ReaderCalibration, load_calibration
from sourceline.search.query import encode_query, validate_question
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_MODEL, DEFAULT_RERANKER, Backend, Filters
from training.reader.data import fold_of

# Two chunks whose best sentence scores as much are enough: on held-out documents, R@1 is that of reading four at once.
DECIDED = 0.0
# What ships; kept as long as no other is better by more than chance.
LATE_WEIGHT = 8.0
LATE_WEIGHTS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 15)
TOLERANCE = 0.002
UNREAD = (-12, -10, -9, -8, -7, -6, -5, -4, -3, -2)
# How much each kind of question counts in the fit of the confidence, within a set: near misses as often as in the sets
# written for this project, for squad-a and clapnq-a have one to every answer.
KINDS = {"answered": 1.0, "near": 0.2, "far": 0.15, "nonsense": 0.02}
NONSENSE = (
    "asdf qwer zxcv",
    "colourless green ideas sleep furiously",
    "lorem ipsum dolor sit amet",
    "How do I bake sourdough bread?",
    "Who won the world cup in 1954?",
    "blorp the fnord, please?",
    "what",
    "???",
    "1234567890",
    "the of and to",
)
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Example:
    """A question with the scores of its candidates; ``reader`` is NaN where a candidate was not read."""

    set: str
    kind: str
    late: Float64
    reader: Float64
    correct: npt.NDArray[np.bool_]


def main() -> None:
    """Fit, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="write the calibration into the package")
    arguments = parser.parse_args()
    examples: list[Example] = []
    for item in arguments.sets:
        folder, _, limit = item.partition(":")
        with tempfile.TemporaryDirectory() as scratch:
            found = list(collect(Path(folder), arguments.fold, int(limit or 0), Path(scratch)))
        print(f"{Path(folder).name}: {len(found)} examples", flush=True)
        examples += found
    late_weight, unread = fit_ranking(examples)
    slope, intercept = fit_confidence(examples, late_weight, unread)
    report(examples, late_weight, unread)
    values = {
        "reranker": DEFAULT_RERANKER,
        "fitted_on": f"{len(examples)} examples of held-out documents, by training.reader.calibrate",
        "late_weight": late_weight,
        "unread": unread,
        "decided": DECIDED,
        "slope": round(slope, 4),
        "intercept": round(intercept, 4),
    }
    text = json.dumps(values, indent=2) + "\n"
    print(text)
    if arguments.write:
        target = Path(search.__file__).parent / "calibrations" / f"{DEFAULT_RERANKER}.json"
        target.write_text(text, "utf-8")


def collect(folder: Path, fold: int, limit: int, scratch: Path) -> Iterator[Example]:
    """Yield the examples of one set."""
    dataset = read_dataset(folder)
    prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), scratch / ENCODERS)
    build(dataset.documents, scratch, DEFAULT_MODEL, Backend.ONNX)
    snapshot = open_current(scratch, connections=4)
    manifest = snapshot.manifest
    encoder = open_encoder(Backend.ONNX, manifest.model, manifest.fingerprint, scratch)
    reranker = open_reranker(DEFAULT_RERANKER)
    # Decides what is read, and what is so close that it is read again; here the component scores are taken.
    provisional = ReaderCalibration(LATE_WEIGHT, unread=-7.0, decided=DECIDED, slope=1.0, intercept=0.0)
    searcher = Searcher(snapshot, encoder, load_calibration(manifest.model), 0.5, reranker, provisional)
    chance = random.Random(0)
    questions = [question for question in dataset.questions if fold_of(subject(question)) == fold]
    if limit and limit < len(questions):
        questions = chance.sample(questions, limit)
    documents = [entry.id for entry in snapshot.passages.documents]
    labels = gold_rows(snapshot.passages, questions)
    jobs: list[tuple[str, str, RowFilter | None, set[int]]] = []
    for question in questions:
        scope = searcher.filter_rows(Filters(documents=(question.scope,))) if question.scope else None
        kind = "answered" if question.answerable else "near"
        jobs.append((kind, question.text, scope, labels[question.id]))
        if question.answerable and chance.random() < 0.3:
            other = chance.choice([id_ for id_ in documents if id_ != subject(question)])
            jobs.append(("far", question.text, searcher.filter_rows(Filters(documents=(other,))), set()))
    jobs += [("nonsense", text, None, set()) for text in NONSENSE]

    def ask(job: tuple[str, str, RowFilter | None, set[int]]) -> Example | None:
        kind, text, row_filter, gold = job
        try:
            query = encode_query(searcher.encoder, validate_question(text))
        except QuestionError:
            return None
        passages = searcher.rank(query, 10, row_filter).passages
        return Example(
            set=dataset.name,
            kind=kind,
            late=np.array([passage.late for passage in passages]),
            reader=np.array([np.nan if p.reader is None else p.reader for p in passages]),
            correct=np.array([passage.row in gold for passage in passages]),
        )

    with ThreadPoolExecutor(2) as pool:
        yield from (example for example in pool.map(ask, jobs) if example and len(example.late))


def subject(question: Question) -> str:
    """Return the document that a question is about."""
    if question.scope:
        return question.scope
    label = question.paragraph or next(iter(question.relevant), None)
    return label.document if label else question.id


def gold_rows(store: PassageStore, questions: list[Question]) -> dict[str, set[int]]:
    """Return the rows that answer each question."""
    answers = {entry.id: store.answers_of(entry) for entry in store.documents}
    return {
        question.id: {
            row
            for label in question.relevant
            for row, passage in answers[label.document].items()
            if passage.start < label.end and label.start < passage.end
        }
        for question in questions
    }


def combined(example: Example, late_weight: float, unread: float) -> Float64:
    """Return the scores by which the candidates rank."""
    return np.where(np.isnan(example.reader), unread, example.reader) + late_weight * example.late


def fit_ranking(examples: list[Example]) -> tuple[float, float]:
    """Return the late weight and the unread score with the best mean reciprocal rank, every set counting the same.

    LATE_WEIGHT is kept if none is better by more than TOLERANCE.
    """
    answered = [example for example in examples if example.kind == "answered"]
    names = sorted({example.set for example in answered})

    def quality(late_weight: float, unread: float) -> float:
        ranks: dict[str, list[float]] = {name: [] for name in names}
        for example in answered:
            order = np.argsort(-combined(example, late_weight, unread), kind="stable")
            found = np.flatnonzero(example.correct[order])
            ranks[example.set].append(1 / (1 + found[0]) if len(found) else 0.0)
        return float(np.mean([np.mean(values) for values in ranks.values()]))

    grid = {(float(w), float(u)): quality(w, u) for w in LATE_WEIGHTS for u in UNREAD}
    for w in LATE_WEIGHTS:
        print(f"late weight {w}: MRR {max(grid[float(w), float(u)] for u in UNREAD):.4f}")
    weight, _ = max(grid, key=lambda pair: grid[pair])
    if max(grid[LATE_WEIGHT, float(u)] for u in UNREAD) >= max(grid.values()) - TOLERANCE:
        weight = LATE_WEIGHT
    return weight, max((u for w, u in grid if w == weight), key=lambda u: grid[weight, u])


def first(example: Example, late_weight: float, unread: float) -> tuple[float, bool]:
    """Return the reader's score of the first passage, and whether it answers."""
    at = int(np.argmax(combined(example, late_weight, unread)))
    score = example.reader[at]
    return float(unread if np.isnan(score) else score), bool(example.correct[at])


def fit_confidence(examples: list[Example], late_weight: float, unread: float) -> tuple[float, float]:
    """Return slope and intercept of the confidence; every set counts the same, and every kind as KINDS says."""
    scores, correct = zip(*(first(example, late_weight, unread) for example in examples), strict=True)
    totals: dict[tuple[str, str], int] = {}
    for example in examples:
        totals[example.set, example.kind] = totals.get((example.set, example.kind), 0) + 1
    weights = [KINDS[example.kind] / totals[example.set, example.kind] for example in examples]
    fit = LogisticRegression(C=1e6).fit(np.array(scores)[:, None], correct, np.array(weights) * len(examples))
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def report(examples: list[Example], late_weight: float, unread: float) -> None:
    """Print what the fit without each set gives on it."""
    for name in sorted({example.set for example in examples}):
        inside = [example for example in examples if example.set == name]
        outside = [example for example in examples if example.set != name] or inside
        slope, intercept = fit_confidence(outside, late_weight, unread)
        asked = [example for example in inside if example.kind in ("answered", "near")]
        scores, correct = (np.array(v) for v in zip(*(first(e, late_weight, unread) for e in asked), strict=True))
        confidence = 1 / (1 + np.exp(-intercept - slope * scores))
        answerable = np.array([example.kind == "answered" for example in asked])
        late = np.mean([e.correct[np.argmax(e.late)] for e in asked if e.kind == "answered"])
        auc = roc_auc_score(answerable, confidence) if 0 < answerable.sum() < len(answerable) else float("nan")
        shown = confidence >= 0.5
        print(
            f"{name}: R@1 {correct[answerable].mean():.3f} (late {late:.3f}), AUC {auc:.3f}, "
            f"ECE {expected_calibration_error(confidence, correct):.3f}, shown {shown[answerable].mean():.2f} of "
            f"{answerable.sum()} answerable and {shown[~answerable].mean() if (~answerable).any() else 0:.2f} of "
            f"{(~answerable).sum()} others, right of shown {correct[shown].mean():.2f}"
        )


def expected_calibration_error(confidence: Float64, correct: npt.NDArray[np.bool_]) -> float:
    """Return the mean distance of confidence and share of right answers, over 10 bins of equal width."""
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = [
        abs(confidence[bins == at].mean() - correct[bins == at].mean()) * np.mean(bins == at) for at in np.unique(bins)
    ]
    return float(sum(gaps))


if __name__ == "__main__":
    main()

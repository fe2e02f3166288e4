"""Ask questions about eight meetings whose speakers and times are known, and print what was right, in Markdown.

    python benchmarks/transcripts.py [--set FOLDER] [--model-index FOLDER]

The meetings are invented; each is written down in another way: WebVTT of Teams and of Zoom, SRT, a transcript of Otter,
one with times in brackets, an exported WhatsApp chat, Markdown minutes with initials, JSON of WhisperX. Beside
``documents/`` there are

* ``passages.jsonl``: every sentence that is said, with its speaker and time. Where cues have times, a sentence begins
  with the cue in which its first word stands and ends with that of its last; where only turns have one, it has that of
  its turn, which ends as the next begins. A chat and minutes have no time in seconds.
* ``documents.jsonl``: the date of each document, null if it gives none.
* ``questions.src.jsonl``: questions with the sentences that answer them. ``said``, ``who``, ``answered`` and ``time``
  ask about what somebody said; ``filtered`` are answered by those sentences only with the filter given; ``swap`` name
  somebody who said nothing of the kind (another did), and have no answer. Words, not offsets: where a sentence stands
  in the text of a document is up to what reads its format.

A passage is right if it overlaps a sentence that answers. *Right speaker* is the share of the questions with an answer
whose first passage has the speaker of one. *Shown without answer* is the share of those without one that are shown as
answered. ``--model-index`` is an index folder whose exported model is used.
"""

import argparse
import datetime
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sourceline import Index
from sourceline.config import load_settings
from sourceline.encoders.load import ENCODERS
from sourceline.evaluation.metrics import DEPTH, bootstrap_means
from sourceline.evaluation.report import format_mean
from sourceline.types import Answer, DocumentText, Hit, Mode, Passage

SET = Path(__file__).parent / "transcripts"
FILTERED = "filtered"  # the form of questions that are only right with their filter
MEASURES = ("R@1", "R@5", f"MRR@{DEPTH}", "right speaker")
# Of a sentence, the ranges of its document's text where its words stand; none if they do not.
Ranges = Mapping["Sentence", tuple[tuple[int, int], ...]]


@dataclass(frozen=True, slots=True)
class Sentence:
    """What was said: its words, who said it, and from when to when, in seconds, where the document tells."""

    document: str
    text: str
    speaker: str | None
    start: float | None
    end: float | None


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the sentences that answer it, none if nothing does. ``filters`` are arguments of ``Index.ask``."""

    id: str
    text: str
    form: str
    answers: tuple[Sentence, ...]
    filters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What an answer was worth. ``rank`` is that of the first right passage, None if there is none.

    ``speaker`` says whether the first passage has the speaker of a sentence that answers, ``shown`` whether the
    question is shown as answered.
    """

    answerable: bool
    rank: int | None
    speaker: bool
    shown: bool


def main() -> None:
    """Build an index of the meetings, ask, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    settings = load_settings()
    parser.add_argument("--set", type=Path, default=SET, metavar="FOLDER")
    parser.add_argument("--model-index", type=Path, default=settings.index, metavar="FOLDER")
    arguments = parser.parse_args()
    sentences, questions = read_sentences(arguments.set), read_questions(arguments.set)
    with tempfile.TemporaryDirectory() as scratch:
        index_folder = Path(scratch) / "index"
        if (exported := arguments.model_index / ENCODERS).is_dir():
            shutil.copytree(exported, index_folder / ENCODERS)
        report = Index.build(arguments.set / "documents", index_folder, model=settings.model, backend=settings.backend)
        for name, reason in {**report.skipped, **report.ignored}.items():
            print(f"not read: {name}: {reason}")
        with Index.open(index_folder, reranker=settings.reranker) as index:
            documents = [index.document(item.id) for item in index.documents()]
            print(table(sentences, documents, ask(index, questions, ranges(sentences, documents))))


def read_sentences(folder: Path) -> list[Sentence]:
    """Return the sentences of a set, in the order of its file."""
    return [Sentence(**row) for row in read_rows(folder / "passages.jsonl")]


def read_questions(folder: Path) -> list[Question]:
    """Return the questions of a set; ValueError if one is answered by a sentence that is not in it."""
    known = {(sentence.document, sentence.text): sentence for sentence in read_sentences(folder)}
    questions = []
    for row in read_rows(folder / "questions.src.jsonl"):
        keys = [(answer["document"], answer["text"]) for answer in row["answers"]]
        if missing := [text for document, text in keys if (document, text) not in known]:
            raise ValueError(f"{row['id']}: nobody said {missing[0]!r}")
        if bool(keys) != row["answerable"]:
            raise ValueError(f"{row['id']}: answerable, without an answer, or the other way round")
        filters: dict[str, Any] = {
            name: datetime.date.fromisoformat(row[name]) for name in ("after", "before") if name in row
        }
        if "speakers" in row:
            filters["speakers"] = tuple(row["speakers"])
        questions.append(Question(row["id"], row["question"], row["form"], tuple(known[key] for key in keys), filters))
    return questions


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Return the objects of a file, one a line."""
    return [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]


def ranges(sentences: Iterable[Sentence], documents: Iterable[DocumentText]) -> Ranges:
    """Find the words of each sentence in the text of its document, wherever its lines end."""
    texts = {document.id: document.text for document in documents}
    found = {}
    for sentence in sentences:
        words = r"\s+".join(re.escape(word) for word in sentence.text.split())
        found[sentence] = tuple(match.span() for match in re.finditer(words, texts.get(sentence.document, "")))
    return found


def ask(index: Index, questions: Sequence[Question], stands: Ranges) -> dict[tuple[str, Mode], list[Result]]:
    """Ask the questions, by themselves and with their filters; return the results of each way and mode."""
    with_filters = [question for question in questions if question.filters]
    ways = {
        "as they are": ([question for question in questions if question.form != FILTERED], False),
        "that have filters, without them": (with_filters, False),
        "the same, with them": (with_filters, True),
    }
    results = {}
    for way, (asked, filtered) in ways.items():
        for mode in Mode:
            results[way, mode] = [
                judge(
                    question,
                    index.ask(question.text, k=DEPTH, mode=mode, **(question.filters if filtered else {})),
                    stands,
                )
                for question in asked
            ]
    return results


def judge(question: Question, answer: Answer, stands: Ranges) -> Result:
    """Compare an answer with the sentences that answer the question."""
    right = [hit.rank for hit in answer.hits if any(_overlaps(hit, sentence, stands) for sentence in question.answers)]
    speakers = {sentence.speaker for sentence in question.answers}
    return Result(
        answerable=bool(question.answers),
        rank=min(right, default=None),
        speaker=bool(answer.hits) and answer.hits[0].passage.location.speaker in speakers,
        shown=answer.answerable,
    )


def _overlaps(hit: Hit, sentence: Sentence, stands: Ranges) -> bool:
    passage = hit.passage
    return passage.document_id == sentence.document and any(
        passage.start < end and start < passage.end for start, end in stands[sentence]
    )


def exact(sentence: Sentence, passages: Iterable[Passage]) -> bool:
    """Return whether one of a document's passages is this sentence, with its speaker and, to the millisecond, time."""
    return any(
        " ".join(passage.text.split()) == sentence.text
        and passage.location.speaker == sentence.speaker
        and _time(passage) == (sentence.start, sentence.end)
        for passage in passages
    )


def _time(passage: Passage) -> tuple[float | None, float | None]:
    time = passage.location.time
    if time is None:
        return None, None
    return round(time.start, 3), None if time.end is None else round(time.end, 3)


def measures(results: Sequence[Result]) -> list[list[float]]:
    """Return what is measured of each question that has an answer, in the order of ``MEASURES``."""
    return [
        [float(result.rank == 1), float((result.rank or DEPTH) <= 5), 1 / result.rank if result.rank else 0.0,
         float(result.speaker)]
        for result in results
        if result.answerable
    ]  # fmt: skip


def table(
    sentences: Sequence[Sentence],
    documents: Sequence[DocumentText],
    results: Mapping[tuple[str, Mode], Sequence[Result]],
) -> str:
    """Return the share of the sentences that were read exactly, by document, and the table of the answers."""
    lines = ["| document | sentences | with the right speaker and time |", "|---|---|---|"]
    passages = {document.id: document.passages for document in documents}
    for document in dict.fromkeys(sentence.document for sentence in sentences):
        told = [exact(item, passages.get(document, ())) for item in sentences if item.document == document]
        lines.append(f"| {document} | {len(told)} | {sum(told)} |")
    lines += [
        "",
        f"| questions | | {' | '.join(MEASURES)} | shown without answer |",
        "|---" * (len(MEASURES) + 3) + "|",
    ]
    for (way, mode), of_way in results.items():
        means = [format_mean(estimate) for estimate in bootstrap_means(np.array(measures(of_way)))]
        others = [result.shown for result in of_way if not result.answerable]
        name = f"{len(of_way)} {way} | {mode.value}"
        lines.append(f"| {name} | {' | '.join(means)} | {sum(others)} of {len(others)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""Eight invented meetings, each written down in another way: who says each sentence, and when, is known.

``benchmarks/transcripts.py`` says what the files hold. The words of a sentence are compared without regard to where its
lines end.
"""

import datetime
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sourceline.ingest.loader import list_documents, read_document
from sourceline.ingest.sentences import split_passages
from sourceline.types import Document, Location, Passage

SET = Path(__file__).parents[2] / "benchmarks" / "transcripts"
DOCUMENTS = SET / "documents"
# Of a sentence: its words, who says it, from when to when.
Said = tuple[str, str | None, float | None, float | None]


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SET / name).read_text("utf-8").splitlines()]


DATES = {row["document"]: row["date"] for row in rows("documents.jsonl")}
every_document = pytest.mark.parametrize("document_id", DATES)


@cache
def parsed(document_id: str) -> tuple[Document, list[Passage]]:
    document = read_document(DOCUMENTS, document_id)
    return document, [passage for passage in split_passages(document) if not passage.heading]


def truth(document_id: str) -> list[Said]:
    labelled = [row for row in rows("passages.jsonl") if row["document"] == document_id]
    return [(row["text"], row["speaker"], row["start"], row["end"]) for row in labelled]


def words(passage: Passage) -> str:
    return " ".join(passage.text.split())


def said(passage: Passage) -> Said:
    location: Location = passage.location
    time = location.time
    # Seconds are compared to the millisecond, as the files give them.
    start, end = (None, None) if time is None else (time.start, time.end)
    return words(passage), location.speaker, start and round(start, 3), end and round(end, 3)


def test_every_document_of_the_set_is_read() -> None:
    contents = list_documents(DOCUMENTS)
    assert (contents.documents, contents.skipped, contents.ignored) == (tuple(sorted(DATES)), {}, {})


@every_document
def test_every_sentence_is_a_passage(document_id: str) -> None:
    _, passages = parsed(document_id)
    found = {words(passage) for passage in passages}
    assert [sentence for sentence, *_ in truth(document_id) if sentence not in found] == []


@every_document
def test_every_sentence_has_its_speaker_and_time_and_nothing_else_has_a_speaker(document_id: str) -> None:
    _, passages = parsed(document_id)
    expected = truth(document_id)
    sentences = {sentence for sentence, *_ in expected}
    # What nobody says, such as the list of those present, may be split in any way.
    relevant = [passage for passage in passages if passage.location.speaker or words(passage) in sentences]
    assert [said(passage) for passage in relevant] == expected


@every_document
def test_a_passage_is_what_stands_in_the_text(document_id: str) -> None:
    document, passages = parsed(document_id)
    assert passages
    assert all(document.text[passage.start : passage.end] == passage.text for passage in passages)


@every_document
def test_a_document_has_the_date_that_it_gives(document_id: str) -> None:
    date = DATES[document_id]
    assert parsed(document_id)[0].date == (datetime.date.fromisoformat(date) if date else None)


def test_the_truth_is_one_of_the_speakers_and_times_of_a_turn_are_in_order() -> None:
    labelled = rows("passages.jsonl")
    assert {row["document"] for row in labelled} == set(DATES)
    for document_id in DATES:
        sentences = truth(document_id)
        assert len({sentence for sentence, *_ in sentences}) == len(sentences)
        starts = [start for _, _, start, _ in sentences if start is not None]
        assert starts == sorted(starts)
        assert all(start is None or end is None or start < end for _, _, start, end in sentences)

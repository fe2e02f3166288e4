"""``Index`` and both clients of a running server say the same, in the same types."""

import datetime
import inspect
import os
import shutil
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from sourceline.api import Index
from sourceline.client import AsyncClient, Client
from sourceline.config import load_settings
from sourceline.errors import QuestionError, UnknownCitationError, UnknownDocumentError
from sourceline.server.app import create_app
from sourceline.types import (
    NO_RERANKER,
    Answer,
    Citation,
    CitationStatus,
    DocumentList,
    DocumentText,
    Mode,
    Passage,
    PassageInContext,
    QuoteStatus,
    Scores,
    SourceStatus,
    Time,
    Verdict,
    Verification,
)
from tests.conftest import SEEDS
from tests.support.clients import BOTH, opened, run_example
from tests.support.server import listening

pytestmark = pytest.mark.enable_socket

QUESTION = "Which foreign minister met Pezeshkian in Tehran?"
MINUTES = "minutes/Año 2025 – [Zürich] 100%.md"
TRANSCRIPT = "council.vtt"
MOVED, CHANGED, REMOVED = (
    "The ferry sails at noon.",
    "The depot on Mill Lane closes in June.",
    "Nobody spoke of the weir.",
)
BEFORE = {
    MINUTES: f"# Budget\n\nThe café in Zürich closes in May. {MOVED} The council 😀 voted for seven new trams.\n",
    "notes.txt": f"{CHANGED}\n\nThe caretaker reported a leaking roof.\n\n{REMOVED}\n",
    TRANSCRIPT: "WEBVTT\n\n00:01.000 --> 00:04.500\n<v Ilse Kern>The crane stays until Friday.\n",
}
AFTER = {
    **BEFORE,
    MINUTES: "# Budget\n\nThe café in Zürich closes in May. The council 😀 voted for seven new trams.\n",
    "ferry.md": f"---\ndate: 2026-03-04\n---\n\n# Harbour\n\n{MOVED}\n",
    "notes.txt": "The depot on Mill Lane closes in July.\n\nThe caretaker reported a leaking roof.\n",
}


class Asked(Protocol):
    """What ``Index`` and the clients have in common."""

    def ask(self, question: str, k: int = 5, *args: Any, **filters: Any) -> Answer: ...
    def cite(self, citation: str) -> Citation: ...
    def verify(self, text: str) -> Verification: ...
    def documents(self, limit: int, cursor: str = "") -> DocumentList: ...
    def speakers(self) -> tuple[str, ...]: ...
    def document(self, document_id: str, start: int = 0, limit: int = 100_000) -> DocumentText: ...
    def ask_many(self, questions: list[str], k: int = 5) -> Any: ...


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documents, as they are after an edit."""
    return tmp_path_factory.mktemp("documents")


@pytest.fixture(scope="module")
def ids() -> dict[str, str]:
    """The citations of what was moved, changed and removed."""
    return {}


@pytest.fixture(scope="module")
def index(
    folder: Path, ids: dict[str, str], exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    """An index of the documents, built before and after the edit."""
    path = shutil.copytree(exported, tmp_path_factory.mktemp("client") / "index", copy_function=os.link)
    shutil.copyfile(SEEDS / "meeting.txt", folder / "meeting.txt")
    write(folder, BEFORE)
    Index.build(folder, path)
    with Index.open(path, lazy=True) as before:
        texts = [passage for document in (MINUTES, "notes.txt") for passage in before.document(document).passages]
        ids.update({passage.text: passage.id for passage in texts})
    write(folder, AFTER | {"questions.txt": "Who chairs?\n"})
    Index.build(folder, path)
    with Index.open(path, reranker=NO_RERANKER, connections=4) as index:
        yield index


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")


@pytest.fixture(scope="module")
def url(folder: Path, index: Index) -> Iterator[str]:
    """A server of the same index."""
    settings = load_settings(documents=folder, index=index._path, reranker=NO_RERANKER)
    with listening(create_app(settings)) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture(scope="module", params=[Index, *BOTH])
def asked(request: pytest.FixtureRequest, index: Index, url: str) -> Iterator[Any]:
    """Each of them in turn."""
    if request.param is Index:
        yield index
    else:
        with opened(request.param, url) as client:
            yield client


def told(value: Any) -> Any:
    """Return a value without what HTTP does not tell, and with its shares rounded as HTTP does."""
    if isinstance(value, Passage):
        return replace(value, ordinal=-1, gaps=())
    if isinstance(value, tuple):
        return tuple(told(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: told(getattr(value, field.name)) for field in fields(value)}
        for name in {"confidence", "similarity"} & changes.keys():
            changes[name] = None if changes[name] is None else round(changes[name], 4)
        return replace(value, **changes)
    return value


def without_surroundings(passage: PassageInContext | None) -> PassageInContext | None:
    return replace(passage, prefix="", suffix="") if passage else None


# The same


def test_an_answer_is_the_same_with_all_its_fields(asked: Asked, index: Index) -> None:
    answer = asked.ask(QUESTION, 3)
    assert told(answer) == told(index.ask(QUESTION, 3))
    assert (answer.verdict, answer.answerable, answer.hits[0].passage.document_id) == (
        Verdict.ANSWERED,
        True,
        "meeting.txt",
    )
    assert answer.hits[0].passage.text.endswith("Iraqi Foreign Minister Fuad Hussein.")
    assert isinstance(answer.hits[0].scores, Scores)
    assert [hit.rank for hit in answer.hits] == [1, 2, 3]


def test_what_nobody_wrote_is_not_answered(asked: Asked) -> None:
    assert asked.ask("Who won the football match?").verdict is Verdict.NOT_ANSWERED


def test_filters_limit_what_is_returned(asked: Asked) -> None:
    def documents(**filters: Any) -> set[str]:
        return {hit.passage.document_id for hit in asked.ask("What stays, sails or closes?", 50, **filters).hits}

    assert documents() == {*AFTER, "meeting.txt"}
    assert documents(documents="minutes/*") == {MINUTES}
    assert documents(documents=["notes.txt", "meet*"]) == {"notes.txt", "meeting.txt"}
    assert documents(speakers="ilse kern") == {TRANSCRIPT}
    assert documents(after=datetime.date(2026, 3, 4), before=datetime.date(2026, 3, 5)) == {"ferry.md"}
    assert documents(after=datetime.date(2026, 3, 5)) == set()


def test_who_speaks_and_when_is_told(asked: Asked) -> None:
    (hit,) = asked.ask("What stays until Friday?", 5, TRANSCRIPT).hits
    assert (hit.passage.location.speaker, hit.passage.location.time) == ("Ilse Kern", Time(1.0, 4.5))


def test_k_is_clamped_and_an_unknown_mode_refused(asked: Asked) -> None:
    assert len(asked.ask(QUESTION, 0).hits) == 1
    assert len(asked.ask(QUESTION, 1_000).hits) > 40
    assert asked.ask(QUESTION, 1, (), Mode.FAST).hits == asked.ask(QUESTION, 1, (), "fast").hits
    with pytest.raises(ValueError, match="'quick' is not a valid Mode"):
        asked.ask(QUESTION, 1, (), "quick")


def test_many_questions_are_answered_in_their_order(asked: Asked, index: Index) -> None:
    answers = tuple(asked.ask_many(["What closes in May?", QUESTION], 2))
    assert told(answers) == told((index.ask("What closes in May?", 2), index.ask(QUESTION, 2)))
    assert [answer.question for answer in answers] == ["What closes in May?", QUESTION]


@pytest.mark.parametrize("question", ["", "   ", "x" * 2_001, "Who \ud800?"])
def test_what_is_no_question_is_a_question_error(asked: Asked, question: str) -> None:
    with pytest.raises(QuestionError):
        asked.ask(question)
    with pytest.raises(QuestionError):
        tuple(asked.ask_many(["Who?", question]))


def test_citations_say_what_became_of_them(asked: Asked, index: Index, ids: dict[str, str]) -> None:
    current = asked.document("meeting.txt").passages[0].id
    statuses = {
        current: CitationStatus.CURRENT,
        ids["Budget"]: CitationStatus.CURRENT,
        ids[MOVED]: CitationStatus.MOVED,
        ids[CHANGED]: CitationStatus.CHANGED,
        ids[REMOVED]: CitationStatus.REMOVED,
    }
    for id_, status in statuses.items():
        citation, expected = asked.cite(id_), index.cite(id_)
        assert (citation.id, citation.status) == (id_, status)
        assert told(without_surroundings(citation.cited)) == told(without_surroundings(expected.cited))
        assert told(without_surroundings(citation.now)) == told(without_surroundings(expected.now))
        # Where the selectors point to: the sentence itself, or where it stood.
        shown, expected_shown = (
            (citation.now, expected.now) if status is CitationStatus.MOVED else (citation.cited, expected.cited)
        )
        assert told(shown) == told(expected_shown)
        assert told(citation).similarity == told(expected).similarity
        assert citation.source is (None if status is CitationStatus.REMOVED else SourceStatus.UNCHANGED)
    changed = asked.cite(ids[CHANGED])
    assert changed.now is not None
    assert (changed.cited.passage.text, changed.now.passage.text) == (CHANGED, "The depot on Mill Lane closes in July.")


@pytest.mark.parametrize("citation", ["aaaaaaaaaaaaaaaa", "lookup", "..", "ä", "a?b#c"])
def test_an_id_that_was_never_issued_is_unknown(asked: Asked, citation: str) -> None:
    with pytest.raises(UnknownCitationError, match=r"^no citation with this id was ever issued$"):
        asked.cite(citation)


@pytest.mark.parametrize("citation", ["", "a/b", "../index", "../documents/meeting.txt"])
def test_what_can_be_no_id_is_unknown_too(asked: Asked, citation: str) -> None:
    with pytest.raises(UnknownCitationError):
        asked.cite(citation)


def test_quotations_are_checked_alike(asked: Asked, index: Index) -> None:
    text = (
        "He called it “deeply emotional and practical”. Ilse Kern said: “The crane stays until Friday.” "
        "Bo Lind said: “The crane stays until Friday.” “The caretaker reported … roof.” "
        "“It rained frogs on Tuesday night.”"
    )
    verification = asked.verify(text)
    assert told(verification) == told(index.verify(text))
    assert [quote.status for quote in verification.quotes] == [
        QuoteStatus.ALTERED,
        QuoteStatus.VERBATIM,
        QuoteStatus.VERBATIM,
        QuoteStatus.VERBATIM,
        QuoteStatus.ABSENT,
    ]
    assert verification.quotes[2].wrong_speaker == ("Ilse Kern",)
    assert verification.quotes[3].places[0].omitted
    assert not verification.stands
    with pytest.raises(QuestionError):
        asked.verify("no \ud800 text")


def test_documents_are_listed_in_pieces(asked: Asked, index: Index) -> None:
    first = asked.documents(3)
    rest = asked.documents(1_000, first.next or "")
    assert (*first, *rest) == index.documents().documents
    assert (len(first), rest.next, first.snapshot) == (3, None, index.snapshot.id)
    assert [document.speakers for document in (*first, *rest) if document.id == TRANSCRIPT] == [("Ilse Kern",)]


def test_speakers_are_listed(asked: Asked) -> None:
    assert asked.speakers() == ("Ilse Kern",)


@pytest.mark.parametrize("document", [*AFTER, "meeting.txt"])
def test_a_document_is_read_whole_and_in_stretches(asked: Asked, index: Index, document: str) -> None:
    whole = asked.document(document)
    assert told(whole) == told(index.document(document))
    text = ""
    start: int | None = 0
    while start is not None:
        stretch = asked.document(document, start, 300)
        assert told(stretch) == told(index.document(document, start, 300))
        text, start = text + stretch.text, stretch.next
    assert text == whole.text


@pytest.mark.parametrize(
    "document",
    ["nowhere.txt", "../index", ".", "./meeting.txt", "minutes/../meeting.txt", "minutes", "a?b#c", "%6Deeting.txt"],
)
def test_a_document_that_is_not_there_is_unknown(asked: Asked, document: str) -> None:
    with pytest.raises(UnknownDocumentError, match=r"^no document with this id is in the index$"):
        asked.document(document)


# The clients alone


@pytest.mark.parametrize("kind", BOTH)
def test_the_example_of_a_client_runs(kind: type, url: str) -> None:
    run_example(kind, url)


def test_several_citations_are_looked_up_at_once(url: str, ids: dict[str, str]) -> None:
    with Client(url) as client:
        moved, unknown, removed = client.cite_many([ids[MOVED], "aaaaaaaaaaaaaaaa", ids[REMOVED]])
        assert (moved, unknown, removed) == (client.cite(ids[MOVED]), None, client.cite(ids[REMOVED]))


def test_what_is_served_is_described(url: str, index: Index) -> None:
    with Client(url) as client:
        served = client.index()
    assert (served.snapshot, served.reranker, served.change_count) == (index.snapshot, NO_RERANKER, 0)
    assert served.rebuild.state.value == "idle"
    assert served.checked is not None
    assert (served.threshold, served.questions) == (0.5, ("Who chairs?",))
    assert (served.public_url, served.allow_edits) == (None, False)


def test_questions_are_asked_with_the_arguments_of_index() -> None:
    for name in ("ask", "ask_many"):
        parameters = [
            [(p.name, p.default, p.kind) for p in inspect.signature(getattr(kind, name)).parameters.values()]
            for kind in (Index, Client, AsyncClient)
        ]
        assert parameters[0] == parameters[1] == parameters[2]


def test_both_clients_have_the_same_calls() -> None:
    def calls(kind: type) -> dict[str, Any]:
        return {
            name: inspect.signature(member).replace(return_annotation=inspect.Signature.empty)
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") or name == "__init__"
        }

    assert calls(Client) == calls(AsyncClient)

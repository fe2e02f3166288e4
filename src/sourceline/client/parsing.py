"""What the API answers becomes the types of ``sourceline.types`` again, here and nowhere else.

The API leaves out what is None or empty, and does not tell everything: of a passage neither ``ordinal`` (here -1) nor
``gaps`` (here none), and of a citation that was moved or changed ``prefix`` and ``suffix`` only where its ``selectors``
point to. Fields that are not known are passed over: a newer server may have more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sourceline.types import (
    DEFAULT_THRESHOLD,
    Answer,
    Backend,
    BuildProgress,
    BuildReport,
    CheckedQuote,
    Citation,
    CitationStatus,
    Context,
    Difference,
    DocumentInfo,
    DocumentList,
    DocumentText,
    Edit,
    FolderChanges,
    Hit,
    Location,
    Passage,
    PassageInContext,
    QuotedPlace,
    QuoteKind,
    QuoteStatus,
    RebuildState,
    Scores,
    SnapshotInfo,
    SourceStatus,
    Span,
    Time,
    Verdict,
    Verification,
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rebuild:
    """The last rebuild that was started over HTTP: its ``report`` if it succeeded, else its ``error``."""

    state: RebuildState
    started: datetime | None = None
    finished: datetime | None = None
    progress: BuildProgress | None = None
    report: BuildReport | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ServedIndex:
    """What a server serves, what reads there, and how the last rebuild went.

    ``changes`` says how the documents folder differs from the snapshot, as of ``checked``; it names at most 100 files
    of each kind, of ``change_count`` in all. It is None as long as the folder was not looked at, or if it cannot be.
    ``threshold`` is the least confidence that counts as answered. ``questions`` are worth asking, ``public_url`` is the
    address of the page, if it is set, and ``allow_edits`` says whether this client's key may write documents.
    """

    snapshot: SnapshotInfo
    reranker: str
    rebuild: Rebuild
    changes: FolderChanges | None = None
    change_count: int | None = None
    checked: datetime | None = None
    threshold: float = DEFAULT_THRESHOLD
    questions: tuple[str, ...] = ()
    public_url: str | None = None
    allow_edits: bool = False


@dataclass(frozen=True, slots=True)
class EditedDocument:
    """A document that was written or removed, what was done to it, and the rebuild that follows."""

    id: str
    edit: Edit
    rebuild: Rebuild


def read_answer(data: Json) -> Answer:
    """Return an answer, which must have been asked for with ``explain``."""
    return Answer(
        question=data["question"],
        verdict=Verdict(data["verdict"]),
        confidence=data["confidence"],
        hits=tuple(_hit(passage) for passage in data["passages"]),
        snapshot=data["snapshot"],
    )


def read_answers(data: Json) -> tuple[Answer, ...]:
    """Return the answers of a batch."""
    return tuple(read_answer(answer) for answer in data["answers"])


def read_citation(data: Json) -> Citation:
    """Return a citation that was looked up."""
    status = CitationStatus(data["status"])
    cited = _in_context(data["cited"], data["citation"], data["text"], data["heading"])
    now = None
    if successor := data.get("successor"):
        now = _in_context(successor, successor["citation"], successor["text"], data["heading"])
    if status is CitationStatus.CURRENT:
        cited = now = _with_selectors(cited, data)
    elif status is CitationStatus.MOVED and now is not None:
        now = _with_selectors(now, data)
    else:
        cited = _with_selectors(cited, data)
    return Citation(
        id=data["citation"],
        status=status,
        cited=cited,
        now=now,
        similarity=data["successor"]["similarity"] if status is CitationStatus.CHANGED else None,
        source=SourceStatus(data["source"]) if "source" in data else None,
    )


def read_citations(data: Json) -> tuple[Citation | None, ...]:
    """Return citations that were looked up, None for an id that was never issued."""
    return tuple(None if entry["status"] == "unknown" else read_citation(entry) for entry in data["citations"])


def read_verification(data: Json) -> Verification:
    """Return what was checked in a text."""
    return Verification(tuple(_quote(quote) for quote in data["quotes"]), data["snapshot"])


def read_documents(data: Json) -> DocumentList:
    """Return a list of documents."""
    documents = tuple(
        DocumentInfo(
            id=entry["id"],
            title=entry["title"],
            sha256=entry["sha256"],
            passages=entry["passages"],
            date=_day(entry.get("date")),
            speakers=tuple(entry.get("speakers", ())),
            size=entry.get("size"),
            modified=_time(entry.get("modified")),
        )
        for entry in data["documents"]
    )
    return DocumentList(documents, data["snapshot"], data.get("next"))


def read_speakers(data: Json) -> tuple[str, ...]:
    """Return who speaks in the documents."""
    return tuple(data["speakers"])


def read_document(data: Json) -> DocumentText:
    """Return a stretch of a document."""
    return DocumentText(
        id=data["id"],
        title=data["title"],
        sha256=data["sha256"],
        text=data["text"],
        passages=tuple(_passage(passage, data["id"]) for passage in data["passages"]),
        snapshot=data["snapshot"],
        length=data["length"],
        passage_count=data["passage_count"],
        start=data["from"],
        date=_day(data.get("date")),
    )


def read_index(data: Json) -> ServedIndex:
    """Return what a server serves."""
    snapshot, changes = data["snapshot"], data.get("changes", {})
    return ServedIndex(
        snapshot=SnapshotInfo(
            id=snapshot["id"],
            created=datetime.fromisoformat(snapshot["created"]),
            model=snapshot["model"],
            backend=Backend(snapshot["backend"]),
            documents=snapshot["documents"],
            passages=snapshot["passages"],
            rows=snapshot["rows"],
            tokens=snapshot["tokens"],
            skipped=snapshot["skipped"],
            ignored=snapshot["ignored"],
        ),
        reranker=data["reranker"],
        rebuild=read_rebuild(data["rebuild"]),
        changes=(
            FolderChanges(tuple(changes["added"]), tuple(changes["changed"]), tuple(changes["removed"]))
            if "total" in changes
            else None
        ),
        change_count=changes.get("total"),
        checked=_time(changes.get("checked")),
        threshold=data["threshold"],
        questions=tuple(data["questions"]),
        public_url=data.get("public_url"),
        allow_edits=data["allow_edits"],
    )


def read_rebuild(data: Json) -> Rebuild:
    """Return how a rebuild went, or how far it is."""
    return Rebuild(
        state=RebuildState(data["state"]),
        started=_time(data.get("started")),
        finished=_time(data.get("finished")),
        progress=BuildProgress(**data["progress"]) if "progress" in data else None,
        report=_report(data["report"]) if "report" in data else None,
        error=data.get("error"),
    )


def read_edit(data: Json) -> EditedDocument:
    """Return what was done to a document."""
    return EditedDocument(data["document"], Edit(data["edit"]), read_rebuild(data["rebuild"]))


def _report(data: Json) -> BuildReport:
    return BuildReport(
        snapshot=data["snapshot"],
        added=tuple(data["added"]),
        changed=tuple(data["changed"]),
        unchanged=tuple(data["unchanged"]),
        removed=tuple(data["removed"]),
        skipped=data["skipped"],
        ignored=data["ignored"],
        passages=data["passages"],
        chunks=data["chunks"],
        encoded=data["encoded"],
        seconds=data["seconds"],
        warnings=tuple(data["warnings"]),
    )


def _hit(data: Json) -> Hit:
    scores = data["scores"]
    return Hit(
        rank=data["rank"],
        score=data["score"],
        passage=_passage(data, data["document"]["id"]),
        title=data["document"]["title"],
        context=_context(data["context"]),
        highlights=tuple(_span(span) for span in data["highlights"]),
        scores=Scores(scores["dense"], scores["bm25"], scores["late"], scores.get("reader")),
        also=tuple(data.get("also", ())),
    )


def _passage(data: Json, document_id: str) -> Passage:
    return _make_passage(data["citation"], document_id, data["text"], data["location"], data.get("heading", False))


def _make_passage(citation: str, document_id: str, text: str, location: Json, heading: bool) -> Passage:
    time = location.get("time")
    return Passage(
        id=citation,
        document_id=document_id,
        ordinal=-1,
        start=location["start"],
        end=location["end"],
        text=text,
        location=Location(
            line=location["line"],
            paragraph=location["paragraph"],
            section=location.get("section"),
            page=location.get("page"),
            speaker=location.get("speaker"),
            time=Time(time["start"], time.get("end")) if time else None,
            columns=tuple(location.get("columns", ())),
        ),
        heading=heading,
    )


def _in_context(place: Json, citation: str, text: str, heading: bool) -> PassageInContext:
    document = place["document"]
    passage = _make_passage(citation, document["id"], text, place["location"], heading)
    return PassageInContext(passage, document["title"], _context(place["context"]), "", "")


def _with_selectors(passage: PassageInContext, data: Json) -> PassageInContext:
    """Return a passage as it is written where the selectors of a citation point to, with what stands around it."""
    (quote,) = (selector for selector in data["selectors"] if selector["type"] == "TextQuoteSelector")
    return replace(
        passage,
        passage=replace(passage.passage, text=quote["exact"]),
        prefix=quote["prefix"],
        suffix=quote["suffix"],
    )


def _quote(data: Json) -> CheckedQuote:
    return CheckedQuote(
        kind=QuoteKind(data["kind"]),
        start=data["start"],
        end=data["end"],
        text=data["text"],
        status=QuoteStatus(data["status"]),
        places=tuple(_place(place) for place in data["places"]),
        place_count=data["place_count"],
        similarity=data.get("similarity"),
        differences=_differences(data.get("differences", ())),
        speaker=data.get("speaker"),
        wrong_speaker=tuple(data.get("wrong_speaker", ())),
        earlier=tuple(data.get("earlier", ())),
    )


def _place(data: Json) -> QuotedPlace:
    document = data["document"]
    return QuotedPlace(
        passages=tuple(_passage(passage, document["id"]) for passage in data["passages"]),
        title=document["title"],
        start=data["start"],
        end=data["end"],
        omitted=_differences(data.get("omitted", ())),
    )


def _differences(data: Iterable[Json]) -> tuple[Difference, ...]:
    return tuple(
        Difference(_span(change["quote"]), _span(change["source"]), change["quoted"], change["text"]) for change in data
    )


def _span(data: Json) -> Span:
    return Span(data["start"], data["end"])


def _context(data: Json) -> Context:
    return Context(data["before"], data["after"])


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

"""What goes over HTTP: every request and answer is declared here, once, with an example.

Small values (``Context``, ``Span``, ``Scores``, …) are the domain's own types. The command line prints the same JSON.
"""

import datetime
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, TypedDict
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from sourceline.types import (
    MAX_K,
    MAX_QUESTION_CHARACTERS,
    Answer,
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
    Mode,
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

MAX_BATCH = 100
MAX_QUOTES = 500  # in one text: seconds, if nothing of it is found
MAX_TEXT = 65_536  # characters; the body has a limit in bytes
MAX_LOOKUP = 1_000
MAX_PATTERNS = 100
MAX_CHANGES = 100  # names of each kind
MAX_DOCUMENTS = 10_000
DEFAULT_DOCUMENTS = 1_000
MAX_CURSOR = 10_000
MAX_SPEAKERS = 1_000
MAX_CHARACTERS = 1_000_000
DEFAULT_CHARACTERS = 100_000  # 20 ms and half a megabyte of JSON

# The examples, all of the one document that comes with Sourceline.
_QUESTION = "Which foreign minister met Pezeshkian in Tehran?"
_CITATION = "ccl4uombti6lb64a"
_SNAPSHOT = "00000001-20261126T151020Z"
_DOCUMENT: JsonDict = {"id": "meeting.txt", "title": "meeting"}
_SHA256 = "3f9c90b2b9efa03d29f3f49a21f58541d848bc51861a186576abc04544e60d75"
_SENTENCE = (
    "President Masoud Pezeshkian reaffirmed Iran Iraq ties during a formal meeting in Tehran "
    "with Iraqi Foreign Minister Fuad Hussein."
)
_NEXT_SENTENCE = "The meeting focused on long-term cooperation."
_LOCATION: JsonDict = {"start": 0, "end": 129, "line": 1, "paragraph": 1}
_PLACE: JsonDict = {"document": _DOCUMENT, "location": _LOCATION, "context": {"before": "", "after": _NEXT_SENTENCE}}
_ANSWER: JsonDict = {
    "question": _QUESTION,
    "verdict": "answered",
    "answerable": True,
    "confidence": 0.6805,
    "passages": [
        {
            "rank": 1,
            "score": 4.363426208496094,
            "citation": _CITATION,
            "text": _SENTENCE,
            **_PLACE,
            "highlights": [
                {"start": 17, "end": 27},
                {"start": 70, "end": 77},
                {"start": 81, "end": 87},
                {"start": 99, "end": 106},
                {"start": 107, "end": 115},
            ],
        }
    ],
    "snapshot": _SNAPSHOT,
    "took_ms": 3.207,
}
_LOOKED_UP: JsonDict = {
    **_PLACE,
    "citation": _CITATION,
    "status": "current",
    "text": _SENTENCE,
    "heading": False,
    "selectors": [
        {
            "type": "TextQuoteSelector",
            "exact": _SENTENCE,
            "prefix": "",
            "suffix": " The meeting focused on long-term cooperation. The talks signale",
        },
        {"type": "TextPositionSelector", "start": 0, "end": 129},
    ],
    "url": f"/v1/citations/{_CITATION}",
    "cited": _PLACE,
    "source": "unchanged",
}
_QUOTED = "The meeting focused on short-term cooperation."
_VERIFIED: JsonDict = {
    "stands": False,
    "quotes": [
        {
            "kind": "sentence",
            "start": 0,
            "end": 46,
            "text": _QUOTED,
            "status": "altered",
            "stands": False,
            "citations": ["szqqxxrqzxi5xaum"],
            "places": [
                {
                    "document": _DOCUMENT,
                    "start": 130,
                    "end": 175,
                    "passages": [
                        {
                            "citation": "szqqxxrqzxi5xaum",
                            "text": _NEXT_SENTENCE,
                            "heading": False,
                            "location": {"start": 130, "end": 175, "line": 1, "paragraph": 1},
                        }
                    ],
                }
            ],
            "place_count": 1,
            "similarity": 0.8571,
            "differences": [
                {
                    "quote": {"start": 23, "end": 28},
                    "source": {"start": 153, "end": 157},
                    "quoted": "short",
                    "text": "long",
                }
            ],
        }
    ],
    "snapshot": _SNAPSHOT,
    "took_ms": 1.274,
}
_RETRIEVED: JsonDict = {
    "records": [
        {
            "content": _SENTENCE,
            "score": 0.6805,
            "title": "meeting",
            "metadata": {
                "citation": _CITATION,
                "document": "meeting.txt",
                "start": 0,
                "end": 129,
                "line": 1,
                "before": "",
                "after": _NEXT_SENTENCE,
                "verdict": "answered",
            },
        }
    ]
}
_REBUILD: JsonDict = {
    "state": "running",
    "started": "2026-11-26T15:10:20Z",
    "progress": {"done": 65536, "total": 262144},
}


def _example(value: JsonDict) -> JsonDict:
    return {"examples": [value]}


class _Model(BaseModel):
    """Whatever is sent or received: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class DocumentRef(_Model):
    """A document: its id is the POSIX path below the documents folder."""

    id: str
    title: str


class PassageLocation(_Model):
    """Where a passage stands: code-point offsets into the document, `end` exclusive; line and paragraph from 1."""

    start: int
    end: int
    line: int
    paragraph: int
    section: str | None = Field(None, description="The heading above.")
    page: int | None = Field(None, description="Counts from 1.")
    speaker: str | None = Field(None, description="Who says it.")
    time: Time | None = Field(None, description="When it was said: seconds from the beginning of the recording.")
    columns: tuple[str, ...] | None = Field(None, description="The names of the columns, if it is a table's row.")

    @classmethod
    def from_passage(cls, passage: Passage) -> Self:
        """Return where a passage stands."""
        location = passage.location
        return cls(
            start=passage.start,
            end=passage.end,
            line=location.line,
            paragraph=location.paragraph,
            section=location.section,
            page=location.page,
            speaker=location.speaker,
            time=location.time,
            columns=location.columns or None,
        )


# Questions

Question = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_QUESTION_CHARACTERS),
    Field(description="A question in natural words.", examples=[_QUESTION]),
]
K = Annotated[int, Field(ge=1, le=MAX_K, description="How many passages to return.", examples=[5])]
AskMode = Annotated[
    Mode, Field(strict=False, description="`fast` answers without reading the best passages.", examples=["read"])
]
Threshold = Annotated[
    float,
    Field(ge=0, le=1, description="The least confidence that counts as answered; the server's if left out."),
]
Explain = Annotated[bool, Field(description="Return the component scores of each passage.", examples=[False])]
DocumentPattern = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Speaker = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def _require_day(value: object) -> object:
    """Refuse what pydantic would take for a day besides: numbers of seconds, dates with a time."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise PydanticCustomError("day", "a day is written as YYYY-MM-DD")
    return value


Day = Annotated[
    datetime.date,
    Field(strict=False, description="YYYY-MM-DD", examples=["2026-03-04"]),
    BeforeValidator(_require_day),
]


class Limits(TypedDict):
    """What limits a question, as keyword arguments of ``Index.ask``."""

    documents: Sequence[str]
    speakers: Sequence[str]
    after: datetime.date | None
    before: datetime.date | None


class AskFilters(_Model):
    """Limits the passages that may be returned: one must pass all of these that are given."""

    model_config = ConfigDict(strict=True)

    documents: list[DocumentPattern] | None = Field(
        None,
        min_length=1,
        max_length=MAX_PATTERNS,
        description="Ids or globs (`2026/*`) of documents; a passage of any that matches may be returned.",
    )
    speakers: list[Speaker] | None = Field(
        None, min_length=1, max_length=MAX_PATTERNS, description="Who says it: names, without regard to case."
    )
    after: Day | None = Field(None, description="Only documents of this day or later.")
    before: Day | None = Field(None, description="Only documents of an earlier day.")

    def limits(self) -> Limits:
        """Return the arguments of ``Index.ask`` that say this."""
        return Limits(
            documents=self.documents or (), speakers=self.speakers or (), after=self.after, before=self.before
        )


def _limits(filters: AskFilters | None) -> Limits:
    return filters.limits() if filters else Limits(documents=(), speakers=(), after=None, before=None)


class AskRequest(_Model):
    """A question."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra=_example(
            {"question": _QUESTION, "k": 3, "filters": {"documents": ["meeting*"]}, "mode": "read", "explain": False}
        ),
    )

    question: Question
    k: K = 5
    filters: AskFilters | None = None
    mode: AskMode = Mode.READ
    threshold: Threshold | None = None
    explain: Explain = False

    def limits(self) -> Limits:
        """Return the arguments of ``Index.ask`` that say this."""
        return _limits(self.filters)


class AskQuery(_Model):
    """A question in the query string."""

    question: Question
    k: K = 5
    document: list[DocumentPattern] = Field(
        [], max_length=MAX_PATTERNS, description="As `filters.documents`; repeatable.", examples=[["meeting*"]]
    )
    speaker: list[Speaker] = Field(
        [], max_length=MAX_PATTERNS, description="As `filters.speakers`; repeatable.", examples=[["Bo Lind"]]
    )
    after: Day | None = Field(None, description="As `filters.after`.", examples=["2026-03-04"])
    before: Day | None = Field(None, description="As `filters.before`.", examples=["2027-01-01"])
    mode: AskMode = Mode.READ
    threshold: Threshold | None = Field(default=None, description="As `threshold` in a body.", examples=[0.5])
    explain: Explain = False

    def limits(self) -> Limits:
        """Return the arguments of ``Index.ask`` that say this."""
        return Limits(documents=self.document, speakers=self.speaker, after=self.after, before=self.before)


class BatchRequest(_Model):
    """Up to 100 questions."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra=_example({"questions": [_QUESTION, "How many pilgrims travel each year?"], "k": 1}),
    )

    questions: list[Question] = Field(min_length=1, max_length=MAX_BATCH)
    k: K = 5
    filters: AskFilters | None = None
    mode: AskMode = Mode.READ
    threshold: Threshold | None = None
    explain: Explain = False

    def limits(self) -> Limits:
        """Return the arguments of ``Index.ask`` that say this."""
        return _limits(self.filters)


class AnswerPassage(_Model):
    """A ranked passage: a sentence, verbatim."""

    rank: int = Field(description="Counts from 1.")
    score: float
    citation: str
    text: str
    document: DocumentRef
    location: PassageLocation
    context: Context
    highlights: tuple[Span, ...] = Field(description="Code-point offsets into `text`, `end` exclusive.")
    also: tuple[str, ...] | None = Field(None, description="Citations of the other passages that say the same.")
    scores: Scores | None = None

    @classmethod
    def from_hit(cls, hit: Hit, explain: bool) -> Self:
        """Return a hit, with its component scores if they are to be explained."""
        return cls(
            rank=hit.rank,
            score=hit.score,
            citation=hit.passage.id,
            text=hit.passage.text,
            document=DocumentRef(id=hit.passage.document_id, title=hit.title),
            location=PassageLocation.from_passage(hit.passage),
            context=hit.context,
            highlights=hit.highlights,
            also=hit.also or None,
            scores=hit.scores if explain else None,
        )


class AskResponse(_Model):
    """Ranked passages, best first. `confidence` is the probability that the first one answers the question."""

    model_config = ConfigDict(json_schema_extra=_example(_ANSWER))

    question: str
    verdict: Verdict = Field(description="`unsure`: the first passage may be the answer.")
    answerable: bool = Field(description="Whether the verdict is `answered`.")
    confidence: float
    passages: list[AnswerPassage]
    snapshot: str
    took_ms: float

    @classmethod
    def from_answer(cls, answer: Answer, took_ms: float, explain: bool = False) -> Self:
        """Return an answer, with the component scores of each passage if they are to be explained."""
        return cls(
            question=answer.question,
            verdict=answer.verdict,
            answerable=answer.answerable,
            confidence=round(answer.confidence, 4),
            passages=[AnswerPassage.from_hit(hit, explain) for hit in answer.hits],
            snapshot=answer.snapshot,
            took_ms=round(took_ms, 3),
        )


class BatchResponse(_Model):
    """The answers in the order of the questions, all from one snapshot."""

    model_config = ConfigDict(json_schema_extra=_example({"answers": [_ANSWER]}))

    answers: list[AskResponse]


# Citations

CitationId = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class TextQuoteSelector(_Model):
    """W3C Web Annotation: the text and the characters around it."""

    type: Literal["TextQuoteSelector"] = "TextQuoteSelector"
    exact: str
    prefix: str
    suffix: str


class TextPositionSelector(_Model):
    """W3C Web Annotation: code-point offsets into the document's text."""

    type: Literal["TextPositionSelector"] = "TextPositionSelector"
    start: int
    end: int


class Place(_Model):
    """A sentence in its place."""

    document: DocumentRef
    location: PassageLocation
    context: Context

    @classmethod
    def from_passage(cls, passage: PassageInContext) -> Self:
        """Return where a passage stands."""
        return cls(**_place(passage))


class Successor(Place):
    """The passage that stands for a cited sentence today. `similarity` of the two texts is 1 if they are equal."""

    citation: str
    text: str
    similarity: float
    url: str


class CitationResponse(Place):
    """A citation looked up.

    `text` is the sentence as it was cited; if it is `current`, in its present typography. `document`, `location`,
    `context` and `selectors` say where that text stands now (`current`, `moved`) or, if it stands nowhere, where it
    stood when it was first issued (`changed`, `removed`). `successor` is there for `moved` and `changed`.
    """

    model_config = ConfigDict(json_schema_extra=_example(_LOOKED_UP))

    citation: str
    status: CitationStatus
    text: str
    heading: bool = Field(description="A heading can be cited but is never an answer.")
    selectors: list[TextQuoteSelector | TextPositionSelector]
    url: str
    cited: Place = Field(description="Where the sentence stood when it was first issued; now, if it is `current`.")
    successor: Successor | None = None
    source: SourceStatus | None = Field(
        None, description="The file in which it stands now, compared with the snapshot: since changed, or missing?"
    )

    @classmethod
    def from_citation(cls, citation: Citation) -> Self:
        """Return a citation that was looked up."""
        status, cited, now = citation.status, citation.cited, citation.now
        shown = now if status is CitationStatus.MOVED and now else cited
        passage = shown.passage
        return cls(
            **_place(shown),
            citation=citation.id,
            status=status,
            text=cited.passage.text,
            heading=cited.passage.heading,
            selectors=[
                TextQuoteSelector(exact=passage.text, prefix=shown.prefix, suffix=shown.suffix),
                TextPositionSelector(start=passage.start, end=passage.end),
            ],
            url=_citation_url(citation.id),
            cited=Place.from_passage(cited),
            successor=_successor(citation),
            source=citation.source,
        )


def _place(passage: PassageInContext) -> dict[str, Any]:
    return {
        "document": DocumentRef(id=passage.passage.document_id, title=passage.title),
        "location": PassageLocation.from_passage(passage.passage),
        "context": passage.context,
    }


def _successor(citation: Citation) -> Successor | None:
    now, similarity = citation.now, citation.similarity
    if now is None or citation.status is CitationStatus.CURRENT:
        return None
    return Successor(
        **_place(now),
        citation=now.passage.id,
        text=now.passage.text,
        similarity=1.0 if similarity is None else round(similarity, 4),
        url=_citation_url(now.passage.id),
    )


def _citation_url(citation_id: str) -> str:
    return f"/v1/citations/{quote(citation_id, safe='')}"


class LookupRequest(_Model):
    """Citations to look up."""

    model_config = ConfigDict(strict=True, json_schema_extra=_example({"citations": [_CITATION, "neverissued"]}))

    citations: list[CitationId] = Field(min_length=1, max_length=MAX_LOOKUP)


class UnknownCitation(_Model):
    """An id that was never issued."""

    citation: str
    status: Literal["unknown"] = "unknown"


class LookupResponse(_Model):
    """One entry for each citation, in the order of the request."""

    model_config = ConfigDict(
        json_schema_extra=_example({"citations": [_LOOKED_UP, {"citation": "neverissued", "status": "unknown"}]})
    )

    citations: list[CitationResponse | UnknownCitation]


# Documents


class ListQuery(_Model):
    """Which documents to list."""

    limit: int = Field(
        DEFAULT_DOCUMENTS, ge=1, le=MAX_DOCUMENTS, description="How many to list.", examples=[DEFAULT_DOCUMENTS]
    )
    cursor: str = Field(
        "", max_length=MAX_CURSOR, description="The `next` of the list before.", examples=["meeting.txt"]
    )


class StretchQuery(_Model):
    """Which stretch of a document to return."""

    start: int = Field(0, ge=0, alias="from", description="A code-point offset into its text.", examples=[0])
    limit: int = Field(
        DEFAULT_CHARACTERS,
        ge=1,
        le=MAX_CHARACTERS,
        description="How many characters; there is always at least one whole passage.",
        examples=[DEFAULT_CHARACTERS],
    )


class DocumentsResponse(_Model):
    """Documents, by id. `next` is the cursor that goes on with the rest, if there are more."""

    model_config = ConfigDict(
        json_schema_extra=_example(
            {
                "documents": [
                    {
                        **_DOCUMENT,
                        "sha256": _SHA256,
                        "passages": 48,
                        "date": "2026-03-04",
                        "speakers": [],
                        "size": 2902,
                        "modified": "2026-11-26T15:08:41Z",
                    }
                ],
                "snapshot": _SNAPSHOT,
            }
        )
    )

    documents: tuple[DocumentInfo, ...]
    snapshot: str
    next: str | None = None

    @classmethod
    def from_list(cls, documents: DocumentList) -> Self:
        """Return documents of a snapshot."""
        return cls(documents=documents.documents, snapshot=documents.snapshot, next=documents.next)


class SpeakersResponse(_Model):
    """Who speaks in the documents, by name: up to 1,000."""

    model_config = ConfigDict(json_schema_extra=_example({"speakers": ["Anna Berg", "Bo Lind"]}))

    speakers: tuple[str, ...]


class DocumentPassage(_Model):
    """A passage of a document with its citation."""

    citation: str
    text: str
    heading: bool = Field(description="A heading can be cited but is never an answer.")
    location: PassageLocation

    @classmethod
    def from_passage(cls, passage: Passage) -> Self:
        """Return a passage."""
        return cls(
            citation=passage.id,
            text=passage.text,
            heading=passage.heading,
            location=PassageLocation.from_passage(passage),
        )


class DocumentResponse(DocumentRef):
    """A stretch of a document's text, which may be all of it, and the passages in it in order.

    It goes from the offset `from` to the offset `to`, exclusive, of a text of `length` characters. `next` is where the
    next one starts, if there is more.
    """

    model_config = ConfigDict(
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        json_schema_extra=_example(
            {
                **_DOCUMENT,
                "sha256": _SHA256,
                "from": 0,
                "to": 129,
                "length": 2896,
                "next": 129,
                "passage_count": 48,
                "text": _SENTENCE,
                "passages": [{"citation": _CITATION, "text": _SENTENCE, "heading": False, "location": _LOCATION}],
                "snapshot": _SNAPSHOT,
            }
        ),
    )

    sha256: str
    date: datetime.date | None = Field(None, description="The day that it is of.")
    start: int = Field(
        validation_alias="from",
        serialization_alias="from",
        description="Where the passage at the offset that was asked for begins, with what stands in front of it.",
    )
    to: int
    length: int
    next: int | None = None
    passage_count: int = Field(description="How many passages the whole document has.")
    text: str
    passages: list[DocumentPassage]
    snapshot: str

    @classmethod
    def from_document(cls, document: DocumentText) -> Self:
        """Return a document."""
        return cls(
            id=document.id,
            title=document.title,
            sha256=document.sha256,
            date=document.date,
            start=document.start,
            to=document.end,
            length=document.length,
            next=document.next,
            passage_count=document.passage_count,
            text=document.text,
            passages=[DocumentPassage.from_passage(passage) for passage in document.passages],
            snapshot=document.snapshot,
        )


# Quotations


class VerifyRequest(_Model):
    """A text with quotations in it, or a quotation alone."""

    model_config = ConfigDict(strict=True, json_schema_extra=_example({"text": _QUOTED}))

    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]


class QuotePlace(_Model):
    """Where a quotation stands, or what is nearest to it. `start` and `end` are offsets into the document's text."""

    document: DocumentRef
    start: int
    end: int
    passages: list[DocumentPassage] = Field(description="Those of which it holds something, in order.")
    omitted: tuple[Difference, ...] | None = Field(
        None, description="What an ellipsis leaves out, and what words in brackets stand for."
    )

    @classmethod
    def from_place(cls, place: QuotedPlace) -> Self:
        """Return where a quotation stands."""
        return cls(
            document=DocumentRef(id=place.passages[0].document_id, title=place.title),
            start=place.start,
            end=place.end,
            passages=[DocumentPassage.from_passage(passage) for passage in place.passages],
            omitted=place.omitted or None,
        )


class CheckedQuotation(_Model):
    """A quotation, or a sentence without one, as it was checked. `start` and `end` are offsets into the text sent."""

    kind: QuoteKind
    start: int
    end: int
    text: str
    status: QuoteStatus = Field(description="`altered`: the documents have something like it, but not this.")
    stands: bool = Field(description="Whether it is `verbatim` or `reformatted`, and said by whom the text says.")
    citations: tuple[str, ...] = Field(description="Of the passages in `places`.")
    places: list[QuotePlace] = Field(description="Where it stands, up to ten places; or what is nearest to it.")
    place_count: int
    similarity: float | None = Field(None, description="The share of words that both have, if it is `altered`.")
    differences: tuple[Difference, ...] | None = Field(None, description="What is altered.")
    speaker: str | None = Field(None, description="To whom the text attributes it.")
    wrong_speaker: tuple[str, ...] | None = Field(None, description="Who says it instead, if that is somebody else.")
    earlier: tuple[str, ...] | None = Field(
        None, description="Citations of sentences that read so until they were changed or removed."
    )

    @classmethod
    def from_quote(cls, quote: CheckedQuote) -> Self:
        """Return a quotation that was checked."""
        return cls(
            kind=quote.kind,
            start=quote.start,
            end=quote.end,
            text=quote.text,
            status=quote.status,
            stands=quote.stands,
            citations=quote.citations,
            places=[QuotePlace.from_place(place) for place in quote.places],
            place_count=quote.place_count,
            similarity=None if quote.similarity is None else round(quote.similarity, 4),
            differences=quote.differences or None,
            speaker=quote.speaker,
            wrong_speaker=quote.wrong_speaker or None,
            earlier=quote.earlier or None,
        )


class VerifyResponse(_Model):
    """What was checked in a text, in its order. `stands` if all of it is right that is long enough to tell."""

    model_config = ConfigDict(json_schema_extra=_example(_VERIFIED))

    stands: bool
    quotes: list[CheckedQuotation]
    snapshot: str
    took_ms: float

    @classmethod
    def from_verification(cls, verification: Verification, took_ms: float) -> Self:
        """Return what was checked."""
        return cls(
            stands=verification.stands,
            quotes=[CheckedQuotation.from_quote(quote) for quote in verification.quotes],
            snapshot=verification.snapshot,
            took_ms=round(took_ms, 3),
        )


# Retrieval for Dify


class DifyModel(BaseModel):
    """Whatever Dify sends: fields that a newer version of it adds are passed over."""

    model_config = ConfigDict(extra="ignore")


class RetrievalSetting(DifyModel):
    """How many records are wanted, and how good they must be."""

    top_k: K = 5
    score_threshold: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="The least score of a record; none is left out without it."
    )


class ConditionOperator(StrEnum):
    """How a condition compares. Text is compared without regard to case."""

    CONTAINS = "contains"
    NOT_CONTAINS = "not contains"
    START_WITH = "start with"
    END_WITH = "end with"
    IS = "is"
    IS_NOT = "is not"
    IN = "in"
    NOT_IN = "not in"
    EMPTY = "empty"
    NOT_EMPTY = "not empty"
    EQUAL = "="
    NOT_EQUAL = "≠"
    GREATER = ">"
    LESS = "<"
    NOT_LESS = "≥"
    NOT_GREATER = "≤"
    BEFORE = "before"
    AFTER = "after"


class MetadataField(StrEnum):
    """What of a document can be compared: its id, its title, the day that it is of."""

    DOCUMENT = "document"
    TITLE = "title"
    DATE = "date"


class MetadataTest(DifyModel):
    """One condition. Of several names, any may hold."""

    name: MetadataField | Annotated[list[MetadataField], Field(min_length=1, max_length=MAX_PATTERNS)]
    comparison_operator: ConditionOperator
    value: str | float | Annotated[list[str], Field(max_length=MAX_PATTERNS)] | None = Field(
        None,
        description="Of a date: YYYY-MM-DD, or seconds since 1970. Left out for `empty` and `not empty`.",
        examples=["minutes"],
    )


class MetadataCondition(DifyModel):
    """Which documents are searched."""

    logical_operator: Literal["and", "or"] = "and"
    conditions: list[MetadataTest] = Field(max_length=MAX_PATTERNS)


class RetrievalRequest(DifyModel):
    """A query, as Dify sends it to an external knowledge base."""

    model_config = ConfigDict(
        json_schema_extra=_example(
            {
                "knowledge_id": "*",
                "query": _QUESTION,
                "retrieval_setting": {"top_k": 3, "score_threshold": 0.5},
                "metadata_condition": {
                    "logical_operator": "and",
                    "conditions": [{"name": "title", "comparison_operator": "contains", "value": "meet"}],
                },
            }
        )
    )

    knowledge_id: DocumentPattern = Field(description="Ids or a glob of the documents to search; `*` is all.")
    query: Question
    retrieval_setting: RetrievalSetting = RetrievalSetting()
    metadata_condition: MetadataCondition | None = None


class RecordMetadata(_Model):
    """Where a sentence stands, and what the answer is worth that it is part of."""

    citation: str
    document: str = Field(description="Its id.")
    start: int = Field(description="Code-point offsets into the document's text, `end` exclusive.")
    end: int
    line: int
    page: int | None = None
    section: str | None = None
    speaker: str | None = None
    before: str = Field(description="The whole sentences before it in the same paragraph or turn.")
    after: str
    verdict: Verdict


class RetrievalRecord(_Model):
    """A sentence, verbatim. `score` is 0 to 1, and falls from record to record."""

    content: str
    score: float
    title: str
    metadata: RecordMetadata


class RetrievalResponse(_Model):
    """Sentences, best first."""

    model_config = ConfigDict(json_schema_extra=_example(_RETRIEVED))

    records: list[RetrievalRecord]

    @classmethod
    def from_answer(cls, answer: Answer, score_threshold: float) -> Self:
        """Return the passages of an answer whose score is at least the threshold.

        The first one's score is the confidence; that of a further one is less, by how much less it is like the
        question.
        """
        records: list[RetrievalRecord] = []
        score, first = answer.confidence, max((hit.scores.late for hit in answer.hits[:1]), default=0.0)
        for hit in answer.hits:
            if first > 0:
                score = min(score, answer.confidence * max(hit.scores.late, 0.0) / first)
            if score >= score_threshold:
                records.append(_record(hit, round(score, 4), answer.verdict))
        return cls(records=records)


def _record(hit: Hit, score: float, verdict: Verdict) -> RetrievalRecord:
    passage = hit.passage
    metadata = RecordMetadata(
        citation=passage.id,
        document=passage.document_id,
        start=passage.start,
        end=passage.end,
        line=passage.location.line,
        page=passage.location.page,
        section=passage.location.section,
        speaker=passage.location.speaker,
        before=hit.context.before,
        after=hit.context.after,
        verdict=verdict,
    )
    return RetrievalRecord(content=passage.text, score=score, title=hit.title, metadata=metadata)


# The index


class RebuildStatus(_Model):
    """The last rebuild that was started over HTTP. `progress` counts bytes of new documents."""

    model_config = ConfigDict(frozen=True, json_schema_extra=_example(_REBUILD))

    state: RebuildState = RebuildState.IDLE
    started: datetime.datetime | None = None
    finished: datetime.datetime | None = None
    progress: BuildProgress | None = None
    report: BuildReport | None = None
    error: str | None = None


class EditResponse(_Model):
    """A document was written or removed, and a rebuild takes it into the index or out of it."""

    model_config = ConfigDict(
        json_schema_extra=_example({"document": "2026/minutes.md", "edit": "added", "rebuild": {"state": "queued"}})
    )

    document: str = Field(description="Its id, in Unicode's form NFC.")
    edit: Edit
    rebuild: RebuildStatus


class Changes(_Model):
    """How the documents folder differs from the snapshot that is served. Each list names up to 100 files."""

    checked: datetime.datetime = Field(description="When the folder was looked at.")
    total: int | None = Field(None, description="How many files differ.")
    added: tuple[str, ...] | None = None
    changed: tuple[str, ...] | None = None
    removed: tuple[str, ...] | None = None
    error: str | None = Field(None, description="Why that cannot be told just now.")

    @classmethod
    def from_changes(cls, changes: FolderChanges | None, checked: datetime.datetime, error: str | None = None) -> Self:
        """Return what changed, or why that cannot be told."""
        return cls(
            checked=checked,
            total=None if changes is None else len(changes),
            added=None if changes is None else changes.added[:MAX_CHANGES],
            changed=None if changes is None else changes.changed[:MAX_CHANGES],
            removed=None if changes is None else changes.removed[:MAX_CHANGES],
            error=error,
        )


class IndexResponse(_Model):
    """The snapshot that is served, what changed since, what reads, and how the last rebuild went."""

    model_config = ConfigDict(
        json_schema_extra=_example(
            {
                "snapshot": {
                    "id": _SNAPSHOT,
                    "created": "2026-11-26T15:10:20Z",
                    "model": "sentence-transformers/all-MiniLM-L6-v2",
                    "backend": "onnx",
                    "documents": 1,
                    "passages": 48,
                    "rows": 48,
                    "tokens": 488,
                    "skipped": {"scan.txt": "there is no text in it"},
                    "ignored": {"questions.jsonl": "its format is not read"},
                },
                "changes": {
                    "checked": "2026-11-26T15:12:07.123456Z",
                    "total": 1,
                    "added": ["minutes.md"],
                    "changed": [],
                    "removed": [],
                },
                "reranker": "reader",
                "threshold": 0.5,
                "rebuild": _REBUILD,
                "questions": [_QUESTION],
                "public_url": "https://minutes.example.org",
                "allow_edits": False,
            }
        )
    )

    snapshot: SnapshotInfo
    changes: Changes | None = Field(None, description="Left out while the folder has not been looked at.")
    reranker: str = Field(description="What reads: `reader`, `none`, or the name of a CrossEncoder.")
    threshold: float = Field(description="The least confidence that counts as answered.")
    rebuild: RebuildStatus
    questions: tuple[str, ...] = Field(description="Questions worth asking, of `questions.txt` beside the documents.")
    public_url: str | None = Field(None, description="The address under which people reach the page, if it is set.")
    allow_edits: bool = Field(description="Whether this request's key may write documents.")


# Operation and errors


class HealthResponse(_Model):
    """Alive, or ready."""

    model_config = ConfigDict(json_schema_extra=_example({"status": "ok"}))

    status: Literal["ok"] = "ok"


class FieldProblem(_Model):
    """What is wrong with one field of a request."""

    location: str
    message: str


class Problem(_Model):
    """RFC 9457 problem details: the one shape of every error."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None
    error_code: int | None = Field(default=None, description="At `/retrieval`: what Dify calls it.")
    error_msg: str | None = Field(default=None, description="At `/retrieval`: the detail, where Dify looks for it.")

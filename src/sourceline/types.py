"""The values that pass between the stages: frozen, slotted, without I/O.

Every ``start`` and ``end`` is a code-point offset into the text of the document (a Python string index); ``end`` is
exclusive.
"""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_RERANKER = "reader"  # the one that comes with Sourceline
NO_RERANKER = "none"
DEFAULT_THRESHOLD = 0.5
MAX_QUESTION_CHARACTERS = 2_000
MAX_K = 100
MAX_DOCUMENT_BYTES = 100_000_000


class Backend(StrEnum):
    """What runs the encoder: ONNX Runtime on the exported model, or sentence-transformers on PyTorch."""

    ONNX = "onnx"
    TORCH = "torch"


class Mode(StrEnum):
    """How a question is answered: `read` reads it with the best chunks, `fast` ranks by late interaction alone."""

    READ = "read"
    FAST = "fast"


class Stage(StrEnum):
    """A part of the work on a question. `rest` is what belongs to none of the others, such as reading the hits."""

    TOKENIZE = "tokenize"
    ENCODE = "encode"
    CANDIDATES = "candidates"
    LATE_INTERACTION = "late_interaction"
    READ = "read"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class StageTime:
    """How long a stage took."""

    stage: Stage
    seconds: float


class BlockKind(StrEnum):
    """What a format recognised."""

    PARAGRAPH = "paragraph"
    HEADING = "heading"


@dataclass(frozen=True, slots=True)
class Time:
    """When something was said, in seconds from the beginning of a recording; ``end`` is None if nothing tells."""

    start: float
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Cue:
    """A stretch of a block that was said at one time, such as a subtitle."""

    start: int
    end: int
    time: Time


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph or heading of a document.

    Blocks come in the order of the text and do not overlap. Text outside every block (list bullets, rules, the names in
    front of what was said) is shown in its place but never searched.

    ``gaps`` are stretches inside one of its sentences that are no part of what it says, such as the running head of a
    page: the sentence is cited with them, and its ends are found without. ``speaker`` is who says it; ``cues`` say
    when, in the order of the text; ``columns`` are the names of the columns if it is a table's row.
    """

    kind: BlockKind
    start: int
    end: int
    gaps: tuple[tuple[int, int], ...] = ()
    speaker: str | None = None
    cues: tuple[Cue, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """What a format makes of a file.

    ``text`` is the file's own where the file is text that people read, else what was taken out of it. ``title`` and
    ``date`` are None where the file does not say them. ``pages`` holds where each page starts in the text, the first
    at 0; it is empty where there are none. ``created`` is the day that the file's properties name.
    """

    text: str
    blocks: tuple[Block, ...]
    title: str | None = None
    date: datetime.date | None = None
    pages: tuple[int, ...] = ()
    created: datetime.date | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """One file. ``id`` is its POSIX path below the documents folder; ``sha256`` is of its bytes.

    ``date`` is the day that it is of; ``pages`` as in ``ParsedFile``.
    """

    id: str
    title: str
    text: str
    sha256: str
    blocks: tuple[Block, ...]
    date: datetime.date | None = None
    pages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Location:
    """Where a passage stands, for a human reader. ``line``, ``paragraph`` and ``page`` count from 1.

    ``section`` is the heading above, ``columns`` the names of the columns of a table's row.
    """

    line: int
    paragraph: int
    section: str | None = None
    page: int | None = None
    speaker: str | None = None
    time: Time | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """One sentence: the unit that is retrieved and cited. ``text == document.text[start:end]``, always.

    ``ordinal`` is its position among the passages of its document, from 0. A heading has an id and can be cited, but is
    never an answer. ``gaps`` are stretches of its text that are no part of what it says, such as the target of a link.
    """

    id: str
    document_id: str
    ordinal: int
    start: int
    end: int
    text: str
    location: Location
    heading: bool = False
    gaps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """The whole sentences before and after a passage in the same paragraph or turn, "" where there is none.

    A question is the context of what follows it, wherever that stands.
    """

    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class PassageInContext:
    """A passage with its surroundings, as a citation shows it.

    ``prefix`` and ``suffix`` are the characters of the document right before and after it, for W3C selectors.
    """

    passage: Passage
    title: str
    context: Context
    prefix: str
    suffix: str


@dataclass(frozen=True, slots=True)
class Filters:
    """Limits the passages that may be returned: one must pass all of these that are given.

    ``documents`` are ids or globs (``2026/*``), ``speakers`` names, without regard to case; any may match. A document
    without a date passes neither ``after`` (its date is this day or later) nor ``before`` (its date is earlier).
    """

    documents: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    after: datetime.date | None = None
    before: datetime.date | None = None

    def __bool__(self) -> bool:
        """Whether anything is limited."""
        return bool(self.documents or self.speakers or self.after or self.before)


NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """A row of an index and its score there. Rows number the passages that can answer, in document order."""

    row: int
    score: float


@dataclass(frozen=True, slots=True)
class Scores:
    """The component scores of a hit: cosine, BM25, late interaction (a weighted mean of cosines), and the reader's.

    ``reader`` is None for a passage that was not read.
    """

    dense: float
    bm25: float
    late: float
    reader: float | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets into the text of one passage."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hit:
    """One ranked passage.

    ``rank`` counts from 1. ``also`` holds the citations of the other passages that say the same, in document order.
    """

    rank: int
    score: float
    passage: Passage
    title: str
    context: Context
    highlights: tuple[Span, ...]
    scores: Scores
    also: tuple[str, ...] = ()


class Verdict(StrEnum):
    """Whether the first passage is shown as an answer, as one that may be, or as only the nearest one."""

    ANSWERED = "answered"
    UNSURE = "unsure"
    NOT_ANSWERED = "not_answered"


@dataclass(frozen=True, slots=True)
class Answer:
    """Ranked passages. ``confidence`` is the probability that the first of them answers the question.

    ``stages`` is how long each step took, in order and without a gap, so that their sum is the whole; a stage may come
    more than once. It does not count when answers are compared, and is empty if a server gave the answer.
    """

    question: str
    verdict: Verdict
    confidence: float
    hits: tuple[Hit, ...]
    snapshot: str
    stages: tuple[StageTime, ...] = field(default=(), repr=False, compare=False)

    @property
    def answerable(self) -> bool:
        """Whether the documents answer the question, as far as can be told."""
        return self.verdict is Verdict.ANSWERED


class CitationStatus(StrEnum):
    """What became of a cited sentence."""

    CURRENT = "current"
    MOVED = "moved"
    CHANGED = "changed"
    REMOVED = "removed"


class SourceStatus(StrEnum):
    """Whether a document's file is still what the snapshot was built from."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Citation:
    """A citation, looked up.

    ``cited`` is the sentence as it was cited: in its present place and typography if the status is ``current``, else as
    and where it was when the id was first issued. ``now`` is the passage that stands for it today: itself
    (``current``), the same sentence elsewhere (``moved``), or its edited successor (``changed``, with the
    ``similarity`` of the two texts from 0 to 1). It is None if the sentence was ``removed``.

    ``source`` says what became of the file of ``now`` since the snapshot; None if there is none, or it cannot be told.
    """

    id: str
    status: CitationStatus
    cited: PassageInContext
    now: PassageInContext | None
    similarity: float | None
    source: SourceStatus | None = None


class QuoteKind(StrEnum):
    """What is checked: what stands in quotation marks, or a sentence without any."""

    QUOTATION = "quotation"
    SENTENCE = "sentence"


class QuoteStatus(StrEnum):
    """Whether a quotation is right.

    `verbatim`: it stands so in a document. `reformatted`: so but for typography and the marks of quoting. `altered`:
    not so, but something like it. `absent`: nothing like it. `too_short`: it has too few words to tell.
    """

    VERBATIM = "verbatim"
    REFORMATTED = "reformatted"
    ALTERED = "altered"
    ABSENT = "absent"
    TOO_SHORT = "too_short"


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between a quotation and the document.

    ``quote`` are offsets into the text that was checked, ``source`` into the document's; where one of them lacks
    something, its span is empty and stands where that would be. ``quoted`` and ``text`` are what is there.
    """

    quote: Span
    source: Span
    quoted: str
    text: str


@dataclass(frozen=True, slots=True)
class QuotedPlace:
    """Where a quotation stands, or what is nearest to it.

    ``passages`` are those of which it holds something, in order; ``start`` and ``end`` the offsets in the document's
    text of what it holds, from its first word to its last. ``omitted`` is what an ellipsis leaves out or words in
    brackets stand for.
    """

    passages: tuple[Passage, ...]
    title: str
    start: int
    end: int
    omitted: tuple[Difference, ...] = ()

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who says it, each once; nobody, where the document does not tell."""
        return tuple(dict.fromkeys(p.location.speaker for p in self.passages if p.location.speaker))


@dataclass(frozen=True, slots=True)
class CheckedQuote:
    """A quotation or sentence that was checked: ``text``, from ``start`` to ``end`` of the text that was given.

    ``places`` are where it stands, if it is verbatim or reformatted, verbatim ones first, at most ten; ``place_count``
    counts them all. If it is altered, they hold the nearest passage, with the ``similarity`` of the two from 0 to 1 and
    their ``differences``; if it is absent, what the documents have that is nearest.

    ``speaker`` is to whom the text attributes it, and ``wrong_speaker`` who says it instead, if somebody else does.
    ``earlier`` are citations of a sentence that read so in an earlier snapshot, and was changed or removed since.
    """

    kind: QuoteKind
    start: int
    end: int
    text: str
    status: QuoteStatus
    places: tuple[QuotedPlace, ...] = ()
    place_count: int = 0
    similarity: float | None = None
    differences: tuple[Difference, ...] = ()
    speaker: str | None = None
    wrong_speaker: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()

    @property
    def citations(self) -> tuple[str, ...]:
        """The ids of the passages of all places, each once."""
        return tuple(dict.fromkeys(passage.id for place in self.places for passage in place.passages))

    @property
    def stands(self) -> bool:
        """Whether it is verbatim or reformatted, and said by whom the text says."""
        return self.status in (QuoteStatus.VERBATIM, QuoteStatus.REFORMATTED) and not self.wrong_speaker


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked in a text, in its order."""

    quotes: tuple[CheckedQuote, ...]
    snapshot: str

    @property
    def stands(self) -> bool:
        """Whether everything that could be checked is right; what is too short is not counted."""
        return all(quote.stands or quote.status is QuoteStatus.TOO_SHORT for quote in self.quotes)


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document of the index. ``passages`` counts its passages, headings included.

    ``date`` is the day that it is of, ``speakers`` are those who speak in it, in the order in which they first do.
    ``size`` is that of its file in bytes, and ``modified`` when that was last written, as it was when it was read; None
    if the snapshot does not say.
    """

    id: str
    title: str
    sha256: str
    passages: int
    date: datetime.date | None = None
    speakers: tuple[str, ...] = ()
    size: int | None = None
    modified: datetime.datetime | None = None


@dataclass(frozen=True, slots=True)
class DocumentList:
    """Documents of a snapshot, by id. Iterates over them.

    ``next`` is the cursor that goes on with the rest; None if these are the last ones.
    """

    documents: tuple[DocumentInfo, ...]
    snapshot: str
    next: str | None = None

    def __iter__(self) -> Iterator[DocumentInfo]:
        """Go through the documents."""
        return iter(self.documents)

    def __len__(self) -> int:
        """Return how many documents there are."""
        return len(self.documents)


@dataclass(frozen=True, slots=True)
class DocumentText:
    """The text of a document or a stretch of it, and the passages in it in order, headings included.

    ``start`` is where the stretch begins in the document, which has ``length`` characters and ``passage_count``
    passages.
    """

    id: str
    title: str
    sha256: str
    text: str
    passages: tuple[Passage, ...]
    snapshot: str
    length: int
    passage_count: int
    start: int = 0
    date: datetime.date | None = None

    @property
    def end(self) -> int:
        """Where the stretch ends in the document, exclusive."""
        return self.start + len(self.text)

    @property
    def next(self) -> int | None:
        """Where the next stretch starts, None if this is the last."""
        return self.end if self.end < self.length else None


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """What an index was built from, and with what.

    ``rows`` counts the passages that can answer: all but the headings. ``skipped`` holds the files that could not be
    read, ``ignored`` those that are not read at all (other formats, hidden files, links to folders), with the reason.
    """

    id: str
    created: datetime.datetime
    model: str
    backend: Backend
    documents: int
    passages: int
    rows: int
    tokens: int
    skipped: dict[str, str]
    ignored: dict[str, str]


@dataclass(frozen=True, slots=True)
class FolderContents:
    """What a documents folder holds: ids of documents, and the files that are left out with the reason."""

    documents: tuple[str, ...]
    skipped: dict[str, str]
    ignored: dict[str, str]


@dataclass(frozen=True, slots=True)
class FolderChanges:
    """How a documents folder differs from what a snapshot was built from: ids of files, in order.

    ``added`` are files that a build would read, ``changed`` those with other bytes, ``removed`` those that are gone.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.added or self.changed or self.removed)

    def __len__(self) -> int:
        """Return how many files differ."""
        return len(self.added) + len(self.changed) + len(self.removed)


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far a build is: ``done`` of ``total`` bytes of new documents are encoded."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    Documents are named by id. ``skipped`` holds the files that could not be read, ``ignored`` those that are not read
    at all (other formats, hidden files, links to folders), both with the reason. Of ``chunks``, ``encoded`` had new
    text; the others were copied. ``warnings`` name folders that held documents before and hold none now.
    """

    snapshot: str
    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    skipped: dict[str, str]
    ignored: dict[str, str]
    passages: int
    chunks: int
    encoded: int
    seconds: float
    warnings: tuple[str, ...] = ()


class RebuildState(StrEnum):
    """Where the last rebuild that was started over HTTP stands. `queued`: it will follow the one that is running."""

    IDLE = "idle"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    QUEUED = "queued"


class Edit(StrEnum):
    """What was done to a document over HTTP."""

    ADDED = "added"
    REPLACED = "replaced"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds: a ``snapshot`` with all it needs, in so many ``files`` and ``bytes``.

    ``version`` is that of the Sourceline that wrote it. ``replaced`` is where ``Index.restore`` put what it replaced.
    """

    snapshot: str
    created: datetime.datetime
    version: str
    files: int
    bytes: int
    replaced: Path | None = None


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file of an index that was read: its name there, how many ``bytes``, and what is wrong with it, if anything."""

    name: str
    bytes: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. ``detail`` says what to do if it is not ``ok``."""

    subject: str
    ok: bool
    detail: str

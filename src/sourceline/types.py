"""The types that flow from stage to stage. Frozen, slotted, no I/O.

Every ``start`` and ``end`` is a code-point offset into the text of the document (a Python string index), ``end``
exclusive.
"""

from dataclasses import dataclass
from enum import StrEnum

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_THRESHOLD = 0.5


class Backend(StrEnum):
    """Which implementation encodes: the model compiled, or sentence-transformers itself."""

    ONNX = "onnx"
    TORCH = "torch"


class BlockKind(StrEnum):
    """What a format found in the text of a document."""

    PARAGRAPH = "paragraph"
    HEADING = "heading"


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a document's text that its format knows something about.

    Marks are in the order of the text and do not overlap. Text outside every mark (list bullets, rules) is shown
    in its place but is not searched.
    """

    kind: BlockKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the corpus. ``id`` is its POSIX path below the documents folder; ``sha256`` is of its bytes."""

    id: str
    title: str
    text: str
    sha256: str
    marks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Location:
    """Where a passage stands for a human reader. ``line`` and ``paragraph`` count from 1."""

    line: int
    paragraph: int
    section: str | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """One sentence: the unit that is retrieved and cited. ``text == document.text[start:end]``, always.

    ``ordinal`` is its place among the passages of its document, from 0. A ``heading`` has an id and can be cited, but
    is never an answer.
    """

    id: str
    document_id: str
    ordinal: int
    start: int
    end: int
    text: str
    location: Location
    heading: bool = False


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """A row of the index and its score from one index alone.

    Rows number the passages that can be answers, all but the headings, in document order.
    """

    row: int
    score: float


@dataclass(frozen=True, slots=True)
class Scores:
    """What each component gave a hit: cosine, BM25, and late interaction (a weighted mean of cosines)."""

    dense: float
    lexical: float
    late: float


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets into the text of one passage, ``end`` exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hit:
    """One ranked passage.

    ``rank`` counts from 1; ``before`` and ``after`` are the neighbouring passages' texts; ``also`` are the citations of
    all other passages, of those asked for, that say the same, in document order.
    """

    rank: int
    score: float
    passage: Passage
    title: str
    before: str
    after: str
    highlights: tuple[Span, ...]
    scores: Scores
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Ranked passages, and how sure we are that the first of them answers the question (a probability)."""

    question: str
    answerable: bool
    confidence: float
    hits: tuple[Hit, ...]
    snapshot: str


class CitationStatus(StrEnum):
    """What became of a cited sentence."""

    CURRENT = "current"
    MOVED = "moved"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class PassageInContext:
    """A passage in its place: what a citation shows. ``before`` and ``after`` are the text around it."""

    passage: Passage
    title: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A citation looked up.

    ``cited`` is the sentence as it was cited: where it stands now if the status is ``current``, else where it stood
    when this id was first given out. ``now`` is the passage that stands for it today: the same sentence elsewhere
    (``moved``), its edited successor (``changed``, with ``similarity`` of the two texts from 0 to 1), else None.
    """

    id: str
    status: CitationStatus
    cited: PassageInContext
    now: PassageInContext | None
    similarity: float | None


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far a build is: ``done`` of ``total`` bytes of new documents are encoded."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did. Documents by id; ``skipped`` says why; ``encoded`` counts the windows of new text."""

    snapshot: str
    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    skipped: dict[str, str]
    passages: int
    windows: int
    encoded: int
    seconds: float

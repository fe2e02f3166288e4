"""What is measured on a labelled set: for every question, and summed up. Frozen, slotted, no I/O."""

from dataclasses import dataclass

# Where the answer was looked for: in all documents, or only in the one that the question was asked of.
OPEN, IN_SCOPE = "open", "in scope"
SOURCELINE = "Sourceline"
# R@k is success@k: 1 if one of the first k passages answers, however many others answer too.
MEASURES = ("R@1", "R@5", "R@10", "MRR@10", "nDCG@10")


@dataclass(frozen=True, slots=True)
class First:
    """The passage that a system ranks first."""

    citation: str
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one system did with one question: its measures, none if it is not answerable, and the first passage."""

    measures: dict[str, float]
    first: First | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: Sourceline's ``confidence`` (open), and by where, then by system, what came of it."""

    id: str
    question: str
    answerable: bool
    confidence: float
    outcomes: dict[str, dict[str, Outcome]]

    @property
    def right(self) -> bool:
        """Whether the first passage that Sourceline shows of all documents answers; never, if nothing does."""
        return self.outcomes[OPEN][SOURCELINE].measures.get("R@1") == 1


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over questions, with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Trust:
    """What Sourceline's confidence is worth, over all questions of the set, open.

    ``auc``: between answerable and unanswerable questions; None without both. The others are about the first passage
    being right, which an unanswerable question's never is. ``ece``: the expected calibration error; ``aurc``: the area
    under the risk–coverage curve; ``shown``: how many questions reach ``threshold``, and ``right``: how many of these
    have the right passage first.
    """

    threshold: float
    auc: float | None
    ece: float
    aurc: float
    shown: int
    right: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A labelled set's figures: by where, then system, then measure; nothing where no question is answerable."""

    passages: int
    figures: dict[str, dict[str, dict[str, Figure]]]
    trust: Trust
    asked: tuple[Asked, ...]

    def answerable(self, where: str) -> int:
        """Return how many questions the figures are over."""
        return sum(one.answerable and where in one.outcomes for one in self.asked)

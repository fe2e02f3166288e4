"""Questions as an evaluation leaves them."""

from sourceline.evaluation.metrics import MEASURES, OPEN, SOURCELINE, Asked, First, Outcome


def outcome(right: float | None, first: First | None = None) -> Outcome:
    """All measures are ``right``; None if the question is not answerable."""
    return Outcome({} if right is None else dict.fromkeys(MEASURES, float(right)), first)


def asked(
    right: float | None, confidence: float = 0.5, id_: str = "q", question: str = "Who?", first: First | None = None
) -> Asked:
    """A question that Sourceline answered right (1), wrong (0), or that has no answer (None)."""
    return Asked(id_, question, right is not None, confidence, {OPEN: {SOURCELINE: outcome(right, first)}})

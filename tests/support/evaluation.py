"""Questions with the outcomes that an evaluation gives them."""

from sourceline.evaluation.metrics import MEASURES, OPEN, SOURCELINE, Outcome, QuestionResult, TopPassage


def outcome(measure: float | None, top: TopPassage | None = None) -> Outcome:
    """Return an outcome of which all measures have one value; None for a question that is not answerable."""
    return Outcome({} if measure is None else dict.fromkeys(MEASURES, float(measure)), top)


def result(
    measure: float | None,
    confidence: float = 0.5,
    id_: str = "q",
    question: str = "Who?",
    top: TopPassage | None = None,
) -> QuestionResult:
    """Return a question that Sourceline answered correctly (1), wrongly (0), or that has no answer (None)."""
    return QuestionResult(id_, question, measure is not None, confidence, {OPEN: {SOURCELINE: outcome(measure, top)}})

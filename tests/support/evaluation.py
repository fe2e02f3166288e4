"""Questions with the outcomes that an evaluation gives them."""

from sourceline.evaluation.metrics import MEASURES, OPEN, SOURCELINE, Judgement, Outcome, QuestionResult, TopPassage


def outcome(measure: float | None, top: TopPassage | None = None, confidence: float | None = None) -> Outcome:
    """Return an outcome of which all measures have one value; None for a question that is not answerable."""
    return Outcome({} if measure is None else dict.fromkeys(MEASURES, float(measure)), top, confidence)


def result(
    measure: float | None,
    confidence: float = 0.5,
    id_: str = "q",
    question: str = "Who?",
    top: TopPassage | None = None,
    form: str | None = None,
) -> QuestionResult:
    """Return a question that Sourceline answered correctly (1), wrongly (0), or that has no answer (None)."""
    outcomes = {OPEN: {SOURCELINE: outcome(measure, top, confidence)}}
    return QuestionResult(id_, question, measure is not None, form, outcomes)


def judged(measure: float | None, confidence: float) -> Judgement:
    """Return the confidence in a first passage that is correct (1) or wrong (0), or that nothing answers (None)."""
    return Judgement(measure is not None, measure == 1, confidence)

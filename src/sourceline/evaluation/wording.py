"""Figures as they are written, on the terminal and in the report."""

from sourceline.evaluation.metrics import Evaluation, Figure


def number(value: float) -> str:
    """Return three decimals, without a leading zero.

    >>> number(0.7494), number(1), number(-0.012)
    ('.749', '1.000', '-.012')
    """
    written = f"{value:z.3f}"  # z: no minus before zero
    return written.replace("0.", ".", 1) if written.lstrip("-").startswith("0.") else written


def mean(figure: Figure) -> str:
    """Return a mean and half the width of its interval.

    >>> mean(Figure(0.749, 0.737, 0.761))
    '.749 ±.012'
    """
    return f"{number(figure.mean)} ±{number((figure.high - figure.low) / 2)}"


def difference(figure: Figure) -> str:
    """Return a difference, signed, with its interval.

    >>> difference(Figure(0.012, 0.004, 0.02))
    '+.012 [+.004, +.020]'
    """
    values = (number(value) for value in (figure.mean, figure.low, figure.high))
    mean, low, high = (value if value.startswith("-") else f"+{value}" for value in values)
    return f"{mean} [{low}, {high}]"


def summary(evaluation: Evaluation) -> str:
    """Return how much was measured.

    >>> from sourceline.evaluation.metrics import Trust
    >>> summary(Evaluation(2458, {}, Trust(0.5, None, 0, 0, 0, 0), ()))
    '2,458 passages, 0 questions, 0 answerable'
    """
    answerable = sum(one.answerable for one in evaluation.asked)
    return f"{evaluation.passages:,} passages, {len(evaluation.asked):,} questions, {answerable:,} answerable"


def confidence(evaluation: Evaluation) -> str:
    """Return what the confidence is worth, as a sentence."""
    trust = evaluation.trust
    auc = "–" if trust.auc is None else number(trust.auc)
    right = f"{100 * trust.right / trust.shown:.0f} of 100 answers shown hold the answer" if trust.shown else ""
    shown = f"{100 * trust.shown / len(evaluation.asked):.0f} of 100 questions shown"
    at = f"at {number(trust.threshold).rstrip('0').rstrip('.') or '0'}: " + ", ".join(filter(None, (right, shown)))
    return f"confidence: AUC {auc}, ECE {number(trust.ece)}, area under risk–coverage {number(trust.aurc)};\n{at}"

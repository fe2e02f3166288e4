"""The report: an evaluation as one HTML page that loads nothing, in light or dark, and the wording of its numbers."""

import html
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from sourceline import __version__
from sourceline.evaluation.metrics import (
    FAST,
    IN_SCOPE,
    MEASURES,
    OPEN,
    SOURCELINE,
    Estimate,
    Evaluation,
    Float64,
    QuestionResult,
    ReliabilityBin,
    TopPassage,
    judgements,
    reliability_bins,
    require_eval_extra,
    risk_coverage,
)
from sourceline.evaluation.results import Comparison, Flip
from sourceline.text import printable
from sourceline.types import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

MOST_LISTED = 20  # questions in each list
PLOTTED = ("R@1", "MRR@10")
# Plots are drawn in the colours of the light page; each is then replaced by the variable of its name.
LIGHT = {"ink": "#1c1c1c", "paper": "#ffffff", "faint": "#dcdcdc", "one": "#0b62c4", "two": "#b8460e"}
DARK = {"ink": "#e8e8e8", "paper": "#161616", "faint": "#3c3c3c", "one": "#74b4ff", "two": "#ff9d66"}
_LIGHT_VARIABLES, _DARK_VARIABLES = (
    " ".join(f"--{name}: {color};" for name, color in palette.items()) for palette in (LIGHT, DARK)
)
_COLORS = (
    f":root {{ color-scheme: light dark; {_LIGHT_VARIABLES} }}\n"
    f"@media (prefers-color-scheme: dark) {{ :root {{ {_DARK_VARIABLES} }} }}"
)
_PLOT_STYLE: "dict[RcKeyType, Any]" = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "sourceline",  # the same plot gives the same file
    "font.size": 10,
    "text.color": LIGHT["ink"],
    "axes.labelcolor": LIGHT["ink"],
    "axes.edgecolor": LIGHT["ink"],
    "axes.facecolor": LIGHT["paper"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LIGHT["faint"],
    "xtick.color": LIGHT["ink"],
    "ytick.color": LIGHT["ink"],
    "figure.facecolor": LIGHT["paper"],
    "legend.frameon": False,
}
# Names of groups that matplotlib repeats in every plot; in a page with several plots they would not be unique.
_GROUP_ID = re.compile(r' id="[\w.]+_\d{1,5}"')
_FONT = re.compile(r"font-family: [^;\"]+")


def format_number(value: float) -> str:
    """Return three decimals without a leading zero.

    >>> format_number(0.7494), format_number(1), format_number(-0.012)
    ('.749', '1.000', '-.012')
    """
    written = f"{value:z.3f}"  # z: no minus before zero
    return written.replace("0.", ".", 1) if written.lstrip("-").startswith("0.") else written


def format_mean(estimate: Estimate) -> str:
    """Return a mean and half the width of its interval.

    >>> format_mean(Estimate(0.749, 0.737, 0.761))
    '.749 ±.012'
    """
    return f"{format_number(estimate.mean)} ±{format_number((estimate.high - estimate.low) / 2)}"


def format_difference(estimate: Estimate) -> str:
    """Return a difference with its sign and interval.

    >>> format_difference(Estimate(0.012, 0.004, 0.02))
    '+.012 [+.004, +.020]'
    """
    numbers = [format_number(value) for value in (estimate.mean, estimate.low, estimate.high)]
    mean, low, high = (number if number.startswith("-") else f"+{number}" for number in numbers)
    return f"{mean} [{low}, {high}]"


def describe_dataset(evaluation: Evaluation) -> str:
    """Return how much was measured."""
    questions, answerable = len(evaluation.questions), evaluation.answerable()
    return f"{evaluation.passages:,} passages, {questions:,} questions, {answerable:,} answerable"


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of a table; the first of each row names it, and the first of the header the table."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def quality_table(evaluation: Evaluation, setting: str) -> Table:
    """Return the measures of each system."""
    rows = [
        [system, *(format_mean(values[name]) for name in MEASURES)]
        for system, values in evaluation.metrics[setting].items()
    ]
    return Table([f"{setting}, {evaluation.answerable(setting):,} questions", *MEASURES], rows)


def confidence_table(evaluation: Evaluation, setting: str) -> Table:
    """Return what confidence is worth: a row for Sourceline, and one for it without reading.

    ``shown`` is the share of all questions that are shown as answered, ``right`` the share of these that are.
    """
    rows = []
    for system, values in evaluation.confidence[setting].items():
        asked = sum(values.answerable.values()) + sum(values.unanswerable.values())
        auc = "–" if values.auc is None else format_number(values.auc)
        shown, right = _share(values.answered, asked), _share(values.correct, values.answered)
        rows.append([system, auc, format_number(values.ece), format_number(values.aurc), shown, right])
    return Table([f"confidence, {setting}", "AUC", "ECE", "AURC", "shown", "right"], rows)


def verdict_table(evaluation: Evaluation, setting: str) -> Table:
    """Return the share of each verdict among the answerable and the unanswerable questions."""
    rows = []
    for system, values in evaluation.confidence[setting].items():
        for kind, counts in (("answerable", values.answerable), ("unanswerable", values.unanswerable)):
            if total := sum(counts.values()):
                shares = [_share(counts[verdict.value], total) for verdict in Verdict]
                rows.append([f"{system}: {total:,} {kind}", *shares])
    return Table([f"verdicts, {setting}", *(verdict.value.replace("_", " ") for verdict in Verdict)], rows)


def form_table(evaluation: Evaluation, setting: str) -> Table:
    """Return R@1 and the share that is shown as answered by form of question, with reading and without.

    Of a form with unanswerable questions, these have a row of their own: none of them should be shown as answered.
    """
    systems = evaluation.forms[setting]
    modes = ["read", "fast"] if FAST in systems else [""]
    rows = []
    for form in systems[SOURCELINE]:
        of_form = [values[form] for values in systems.values()]
        if answerable := of_form[0].answerable:
            right = [_share(values.correct, answerable) for values in of_form]
            rows.append([form, f"{answerable:,}", *right, *(_share(values.shown, answerable) for values in of_form)])
        if unanswerable := of_form[0].unanswerable:
            name = form if form == "unanswerable" else f"{form}, unanswerable"
            shown = [_share(values.shown_unanswerable, unanswerable) for values in of_form]
            rows.append([name, f"{unanswerable:,}", *("–" for _ in of_form), *shown])
    columns = [f"{name} {mode}".strip() for name in ("R@1", "shown") for mode in modes]
    return Table([f"by form, {setting}", "questions", *columns], rows)


def _share(count: int, total: int) -> str:
    return format_number(count / total) if total else "–"


def tables(evaluation: Evaluation) -> Iterator[Table]:
    """Yield all tables of an evaluation, setting by setting."""
    for setting in evaluation.confidence:
        if setting in evaluation.metrics:
            yield quality_table(evaluation, setting)
        yield confidence_table(evaluation, setting)
        yield verdict_table(evaluation, setting)
        if setting in evaluation.forms:
            yield form_table(evaluation, setting)


def render_report(evaluation: Evaluation, comparisons: Mapping[str, Comparison] | None = None) -> str:
    """Return the page; ``comparisons`` are with earlier results, by setting.

    Raises:
        SourcelineError: a package of the extra ``eval`` is missing.
    """
    require_eval_extra()
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    def clean(value: object) -> object:
        """Replace control characters and direction marks: text of documents must not command the reader's browser."""
        return value if isinstance(value, Markup) else printable(str(value))

    environment = Environment(
        autoescape=True, finalize=clean, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = (resources.files("sourceline.evaluation") / "report.html.j2").read_text("utf-8")
    plots = plot_confidence(evaluation)
    return environment.from_string(source).render(
        evaluation=evaluation,
        version=__version__,
        summary=describe_dataset(evaluation),
        quality=[
            (
                quality_table(evaluation, setting),
                Markup(plot_quality(f"Quality by system, {setting}", evaluation.metrics[setting])),
            )
            for setting in evaluation.metrics
        ],
        confidence=[
            table(evaluation, setting)
            for setting in evaluation.confidence
            for table in (confidence_table, verdict_table)
        ],
        threshold=f"{evaluation.confidence[plots.setting][SOURCELINE].threshold:g}",
        forms=[form_table(evaluation, setting) for setting in evaluation.forms],
        plotted=plots.setting,
        risk_coverage=Markup(plots.risk_coverage),
        reliability=Markup(plots.reliability),
        comparisons=[
            {
                "name": setting,
                "questions": f"{comparison.questions:,}",
                "table": Table(
                    ["measure", "difference"],
                    [[name, format_difference(value)] for name, value in comparison.differences.items()],
                ),
                "flips": [("Won", *_list_flips(comparison.won)), ("Lost", *_list_flips(comparison.lost))],
            }
            for setting, comparison in (comparisons or {}).items()
        ],
        mistakes=_list_mistakes(evaluation.questions),
        colors=Markup(_COLORS),
    )


def _list_flips(flips: Sequence[Flip]) -> tuple[str, Table]:
    """Return the number of flips, and the first of them."""
    rows = [[flip.id, flip.question, _shown(flip.old), _shown(flip.new)] for flip in flips[:MOST_LISTED]]
    return f"{len(flips):,}", Table(["id", "question", "first passage before", "first passage now"], rows)


def _list_mistakes(questions: Sequence[QuestionResult]) -> Table:
    """Return Sourceline's wrong first passages of all documents that had the most confidence."""
    outcomes = [(question, question.outcomes[OPEN][SOURCELINE]) for question in questions]
    wrong = [(q, outcome, outcome.confidence or 0.0) for q, outcome in outcomes if not outcome.correct]
    wrong.sort(key=lambda item: -item[2])
    rows = [
        [q.id, q.question, format_number(confidence), _shown(outcome.top)]
        for q, outcome, confidence in wrong[:MOST_LISTED]
    ]
    return Table(["id", "question", "confidence", "first passage"], rows)


def _shown(top: TopPassage | None) -> str:
    return "–" if top is None else f"{top.text} ({top.citation})"


def plot_quality(title: str, systems: Mapping[str, Mapping[str, Estimate]]) -> str:
    """Return a row for each system, with the means of two measures on their intervals, as SVG."""
    return to_svg(title, (7.4, 1.1 + 0.42 * len(systems)), lambda figure: draw_quality(figure, systems))


@dataclass(frozen=True, slots=True)
class ConfidencePlots:
    """What confidence is worth, as SVG: in scope if the questions have one."""

    setting: str
    risk_coverage: str
    reliability: str


def plot_confidence(evaluation: Evaluation) -> ConfidencePlots:
    """Return the plots of an evaluation's confidence, with reading and without."""
    setting = IN_SCOPE if IN_SCOPE in evaluation.confidence else OPEN
    judged = {name: judgements(evaluation.questions, setting, name) for name in evaluation.confidence[setting]}
    risks = {name: risk_coverage(items) for name, items in judged.items()}
    bins = {name: reliability_bins(items) for name, items in judged.items()}
    return ConfidencePlots(
        setting,
        plot_risk_coverage(f"Risk by coverage, {setting}", risks),
        plot_reliability(f"Share correct by confidence, {setting}", bins),
    )


def plot_risk_coverage(title: str, risks: Mapping[str, Float64]) -> str:
    """Return the share of wrong answers among the most confident share of the questions, by system, as SVG."""
    return to_svg(title, (4.6, 3.5), lambda figure: draw_risk_coverage(figure, risks))


def plot_reliability(title: str, bins: Mapping[str, Sequence[ReliabilityBin]]) -> str:
    """Return how often the first passage is correct by confidence, by system, as SVG."""
    return to_svg(title, (4.6, 3.5), lambda figure: draw_reliability(figure, bins))


def draw_quality(figure: "Figure", systems: Mapping[str, Mapping[str, Estimate]]) -> None:
    """Draw a row for each system, the first on top."""
    axes = figure.add_subplot()
    rows = range(len(systems))
    for measure, color, shift in zip(PLOTTED, ("one", "two"), (-0.13, 0.13), strict=True):
        estimates = [values[measure] for values in systems.values()]
        draw_intervals(axes, estimates, [row + shift for row in rows], LIGHT[color], measure)
    axes.set_yticks(rows, list(systems))
    axes.invert_yaxis()
    axes.set_xlim(-0.01, 1.01)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside lower right", ncols=len(PLOTTED))


def draw_intervals(
    axes: "Axes", estimates: Sequence[Estimate], y: Sequence[float], color: str, label: str = ""
) -> None:
    """Draw each mean as a point on its interval."""
    axes.hlines(y, [e.low for e in estimates], [e.high for e in estimates], color=color, linewidth=2)
    axes.plot([e.mean for e in estimates], y, "o", color=color, markersize=5, label=label)


def draw_risk_coverage(figure: "Figure", risks: Mapping[str, Float64]) -> None:
    """Draw the risk (up) by coverage (right), from the most confident question to all of them; a line a system."""
    axes = figure.add_subplot()
    for (system, values), color in zip(risks.items(), ("one", "two"), strict=False):
        coverage = np.arange(1, len(values) + 1) / len(values)
        axes.plot(coverage, values, color=LIGHT[color], linewidth=2, label=system)
    _label_shares(axes, "coverage: share of questions answered", "risk: share of them wrong")
    _add_legend(figure, risks)


def draw_reliability(figure: "Figure", bins: Mapping[str, Sequence[ReliabilityBin]]) -> None:
    """Draw the share correct (up) by confidence (right): a point for each bin, with its number of questions.

    The numbers of the first system stand above its points, those of the second below.
    """
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], linestyle="--", linewidth=1, color=LIGHT["ink"])
    most = max((item.count for of_system in bins.values() for item in of_system), default=1)
    styles = (("one", 9, "bottom"), ("two", -9, "top"))
    for (system, of_system), (color, shift, side) in zip(bins.items(), styles, strict=False):
        axes.scatter(
            [item.confidence for item in of_system],
            [item.accuracy for item in of_system],
            s=[20 + 180 * item.count / most for item in of_system],
            color=LIGHT[color],
            clip_on=False,
        )
        axes.scatter([], [], color=LIGHT[color], label=system)  # for the legend: all of one size
        for item in of_system:
            axes.annotate(
                f"{item.count:,}",
                (item.confidence, item.accuracy),
                xytext=(0, shift),
                textcoords="offset points",
                horizontalalignment="center",
                verticalalignment=side,
                color=LIGHT[color],
                fontsize=8,
            )
    _label_shares(axes, "confidence", "share correct")
    _add_legend(figure, bins)


def _add_legend(figure: "Figure", systems: Mapping[str, object]) -> None:
    if len(systems) > 1:
        figure.legend(loc="outside upper left", ncols=len(systems))


def _label_shares(axes: "Axes", right: str, up: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel(right)
    axes.set_ylabel(up)


def to_svg(title: str, size: tuple[float, float], draw: Callable[["Figure"], None]) -> str:
    """Return a plot as SVG that follows the reader's light or dark, in a page or as a file of its own.

    Args:
        title: for screen readers.
        size: width and height in inches.
        draw: draws into a figure, in the colours of ``LIGHT``.
    """
    import matplotlib
    from matplotlib.figure import Figure

    target = io.StringIO()
    with matplotlib.rc_context(_PLOT_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(target, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = target.getvalue()
    svg = _GROUP_ID.sub("", svg[svg.index("<svg ") :])
    # The layout was computed with a wide font, so that what the reader's system has will fit.
    svg = _FONT.sub("font-family: system-ui, sans-serif", svg)
    for name, color in LIGHT.items():
        svg = svg.replace(color, f"var(--{name})")
    head, _, body = svg.partition(">")
    head = head.replace("<svg ", '<svg role="img" ', 1)
    return f"{head}>\n <title>{html.escape(title)}</title>\n <style>{_COLORS}</style>{body}"

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from sourceline.evaluation.metrics import (
    FAST,
    IN_SCOPE,
    MEASURES,
    OPEN,
    SOURCELINE,
    ConfidenceMetrics,
    Estimate,
    Evaluation,
    FormMetrics,
    QuestionResult,
    ReliabilityBin,
    TopPassage,
    confidence_metrics,
    judgements,
)
from sourceline.evaluation.report import (
    DARK,
    LIGHT,
    Table,
    confidence_table,
    describe_dataset,
    draw_quality,
    draw_reliability,
    draw_risk_coverage,
    form_table,
    format_difference,
    format_mean,
    format_number,
    plot_quality,
    plot_reliability,
    plot_risk_coverage,
    quality_table,
    render_report,
    tables,
    verdict_table,
)
from sourceline.evaluation.results import compare
from tests.support.evaluation import outcome, result

HOSTILE = "<script>alert(1)</script> & \"quoted\" 'x' </table> \x00\x1b[31m\u202e"
HARMLESS = "<script>alert(1)</script> & \"quoted\" 'x' </table>   [31m "
SVG = "{http://www.w3.org/2000/svg}"
SYSTEMS = {
    "a <b>": {"R@1": Estimate(0.5, 0.25, 1.0), "MRR@10": Estimate(0.75, 0.7, 0.8)},
    "c": {"R@1": Estimate(0, 0, 0), "MRR@10": Estimate(1, 1, 1)},
}


def x_of(line: Line2D) -> list[float]:
    values: list[float] = np.asarray(line.get_xdata(), dtype=np.float64).tolist()
    return values


def y_of(line: Line2D) -> list[float]:
    values: list[float] = np.asarray(line.get_ydata(), dtype=np.float64).tolist()
    return values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, ".000"),
        (0.7494, ".749"),
        (0.05, ".050"),
        (0.9994, ".999"),
        (0.9996, "1.000"),
        (1, "1.000"),
        (-0.012, "-.012"),
        (-1, "-1.000"),
        (10.25, "10.250"),
        (20.05, "20.050"),
    ],
)
def test_numbers_have_three_decimals(value: float, expected: str) -> None:
    assert format_number(value) == expected


def test_a_mean_has_half_the_width_of_its_interval() -> None:
    assert format_mean(Estimate(0.749, 0.73, 0.76)) == ".749 ±.015"
    assert format_mean(Estimate(1, 1, 1)) == "1.000 ±.000"


def test_a_difference_has_a_sign_and_its_interval() -> None:
    assert format_difference(Estimate(0.012, -0.004, 0.02)) == "+.012 [-.004, +.020]"
    assert format_difference(Estimate(0, 0, 0)) == "+.000 [+.000, +.000]"
    assert format_difference(Estimate(-1, -1, -1)) == "-1.000 [-1.000, -1.000]"
    assert format_difference(Estimate(-0.0001, -0.0001, 0)) == "+.000 [+.000, +.000]"


def counts(answered: int, unsure: int, not_answered: int) -> dict[str, int]:
    return {"answered": answered, "unsure": unsure, "not_answered": not_answered}


def test_an_evaluation_becomes_tables() -> None:
    questions = tuple(result(1 if at < 3 else None, id_=str(at)) for at in range(4))
    metrics = {OPEN: {SOURCELINE: dict.fromkeys(MEASURES, Estimate(0.5, 0.25, 0.75))}}
    confidence = {
        OPEN: {
            SOURCELINE: ConfidenceMetrics(0.5, 0.9, 0.05, 0.2, 2, 1, counts(2, 1, 0), counts(0, 0, 1)),
            FAST: ConfidenceMetrics(0.5, None, 0.05, 0.2, 0, 0, counts(0, 3, 0), counts(0, 0, 0)),
        }
    }
    read = {"typo": FormMetrics(4, 3, 2, 2, 1), "unanswerable": FormMetrics(0, 0, 0, 8, 1)}
    fast = {"typo": FormMetrics(4, 1, 0, 2, 0), "unanswerable": FormMetrics(0, 0, 0, 8, 0)}
    evaluation = Evaluation("set", 1200, metrics, confidence, {OPEN: {SOURCELINE: read, FAST: fast}}, questions)
    assert describe_dataset(evaluation) == "1,200 passages, 4 questions, 3 answerable"
    assert quality_table(evaluation, OPEN) == Table(
        ["open, 3 questions", *MEASURES], [["Sourceline", *[".500 ±.250"] * 5]]
    )
    assert confidence_table(evaluation, OPEN) == Table(
        ["confidence, open", "AUC", "ECE", "AURC", "shown", "right"],
        [
            ["Sourceline", ".900", ".050", ".200", ".500", ".500"],
            ["Sourceline, fast", "–", ".050", ".200", ".000", "–"],
        ],
    )
    assert verdict_table(evaluation, OPEN) == Table(
        ["verdicts, open", "answered", "unsure", "not answered"],
        [
            ["Sourceline: 3 answerable", ".667", ".333", ".000"],
            ["Sourceline: 1 unanswerable", ".000", ".000", "1.000"],
            ["Sourceline, fast: 3 answerable", ".000", "1.000", ".000"],
        ],
    )
    assert form_table(evaluation, OPEN) == Table(
        ["by form, open", "questions", "R@1 read", "R@1 fast", "shown read", "shown fast"],
        [
            ["typo", "4", ".750", ".250", ".500", ".000"],
            ["typo, unanswerable", "2", "–", "–", ".500", ".000"],
            ["unanswerable", "8", "–", "–", ".125", ".000"],
        ],
    )
    names = ["open, 3 questions", "confidence, open", "verdicts, open", "by form, open"]
    assert [table.header[0] for table in tables(evaluation)] == names
    assert [table.header[0] for table in tables(replace(evaluation, forms={}))] == names[:3]
    unread = form_table(replace(evaluation, forms={OPEN: {SOURCELINE: read}}), OPEN)
    assert list(unread.header) == ["by form, open", "questions", "R@1", "shown"]


class Page(HTMLParser):
    """Checks that every element is closed where it was opened; keeps the text, and whatever could load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.cells: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"td", "th", "h1", "h2", "h3"}:
            self.cells.append(data)


@pytest.fixture
def evaluation() -> Evaluation:
    questions = tuple(
        result(measure, confidence, f"{confidence}", HOSTILE, TopPassage("zhiyzuiwnpkr56wq", HOSTILE))
        for measure, confidence in ((1, 0.95), (0, 0.85), (None, 0.3))
    )
    metrics = {OPEN: {SOURCELINE: {name: Estimate(0.5, 0.25, 0.75) for name in MEASURES}}}
    return evaluation_of(questions, metrics)


def evaluation_of(
    questions: tuple[QuestionResult, ...], metrics: dict[str, dict[str, dict[str, Estimate]]]
) -> Evaluation:
    confidence = {OPEN: {SOURCELINE: confidence_metrics(judgements(questions, OPEN, SOURCELINE), 0.5)}}
    return Evaluation("set", 12, metrics, confidence, {}, questions)


def test_the_page_is_well_formed_and_holds_its_tables_and_plots(evaluation: Evaluation) -> None:
    text = render_report(evaluation)
    page = Page(text)
    assert text.startswith("<!doctype html>")
    assert page.cells[:9] == ["set", "Quality", "open, 2 questions", *MEASURES, "Sourceline"]
    assert page.cells[9:14] == [".500 ±.250"] * 5
    assert page.cells[14:17] == ["Confidence", "confidence, open", "AUC"]
    assert "The most confident mistakes" in page.cells
    plots = [ET.fromstring(plot) for plot in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]
    assert [plot.findtext(f"{SVG}title") for plot in plots] == [
        "Quality by system, open",
        "Risk by coverage, open",
        "Share correct by confidence, open",
    ]


def test_plots_of_confidence_are_in_scope_where_there_is_one_with_and_without_reading() -> None:
    outcomes = {
        OPEN: {SOURCELINE: outcome(0, None, 0.5), FAST: outcome(0, None, 0.5)},
        IN_SCOPE: {SOURCELINE: outcome(1, None, 0.9), FAST: outcome(0, None, 0.25)},
    }
    questions = (QuestionResult("q", "Who?", True, "typo", outcomes),)
    confidence = {
        setting: {name: confidence_metrics(judgements(questions, setting, name), 0.5) for name in (SOURCELINE, FAST)}
        for setting in (OPEN, IN_SCOPE)
    }
    forms = {IN_SCOPE: {SOURCELINE: {"typo": FormMetrics(1, 1, 1, 0, 0)}, FAST: {"typo": FormMetrics(1, 0, 0, 0, 0)}}}
    text = render_report(Evaluation("set", 12, {}, confidence, forms, questions))
    plots = [ET.fromstring(plot) for plot in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]
    for plot, title in zip(plots, ("Risk by coverage, in scope", "Share correct by confidence, in scope"), strict=True):
        assert plot.findtext(f"{SVG}title") == title
        texts = [element.text for element in plot.iter(f"{SVG}text")]
        assert [text for text in texts if text in (SOURCELINE, FAST)] == [SOURCELINE, FAST]
    cells = Page(text).cells
    start = cells.index("by form, in scope")
    assert cells[start + 6 : start + 12] == ["typo", "1", "1.000", ".000", "1.000", ".000"]
    assert "confidence, open" in cells
    assert "confidence, in scope" in cells


def test_mistakes_are_listed_by_confidence(evaluation: Evaluation) -> None:
    cells = Page(render_report(evaluation)).cells
    listed = cells[cells.index("The most confident mistakes") :]
    assert [cell for cell in listed if cell in (".950", ".850", ".300")] == [".850", ".300"]


def test_the_page_loads_nothing_and_runs_nothing(evaluation: Evaluation) -> None:
    comparisons = compare([result(0, 0.5, "0.95", HOSTILE)], evaluation.questions)
    text = render_report(replace(evaluation, dataset=HOSTILE), comparisons)
    page = Page(text)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a", "image"}
    for name, value in page.attributes:
        assert name not in {"src", "srcset"}
        assert not name.startswith("on")
        assert name not in {"href", "xlink:href"} or value.startswith("#")
    assert set(re.findall(r"url\((.)", text)) == {"#"}
    assert "@import" not in text
    assert set(re.findall(r"https?:[^\"]+", text)) == {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text


def test_all_text_is_escaped_and_control_characters_are_left_out(evaluation: Evaluation) -> None:
    comparisons = compare([result(0, 0.5, "0.95", HOSTILE, TopPassage("a", HOSTILE))], evaluation.questions)
    text = render_report(replace(evaluation, dataset=HOSTILE), comparisons)
    assert "<script" not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    cells = Page(text).cells
    assert cells[0] == HARMLESS
    assert cells.count(HARMLESS) == 4  # the dataset's name, a question that flipped, and two mistakes


def test_a_comparison_is_in_the_report(evaluation: Evaluation) -> None:
    old = [result(0, 0.5, "0.95", HOSTILE), result(1, 0.5, "0.85", HOSTILE)]
    cells = Page(render_report(evaluation, compare(old, evaluation.questions))).cells
    start = cells.index("New - old, open, 2 questions")
    assert cells[start + 3 : start + 5] == ["R@1", "+.000 [-1.000, +1.000]"]
    assert {"Won at R@1: 1", "Lost at R@1: 1"} <= set(cells)


def test_a_dataset_without_answerable_questions_has_a_report() -> None:
    cells = Page(render_report(evaluation_of((result(None, 0.2),), {}))).cells
    assert cells[:3] == ["set", "Confidence", "confidence, open"]
    assert "The most confident mistakes" in cells


def test_ids_are_unique_in_a_page_with_several_plots(evaluation: Evaluation) -> None:
    metrics = dict.fromkeys(("open", "in scope"), evaluation.metrics[OPEN])
    page = Page(render_report(replace(evaluation, metrics=metrics)))
    ids = [value for name, value in page.attributes if name == "id"]
    references = {value.removeprefix("#") for name, value in page.attributes if name == "xlink:href"}
    assert references <= set(ids)
    # matplotlib names what is referred to by its contents, so that what has the same name is the same.
    assert all(re.fullmatch(r"[a-z]+[0-9a-f]{10}", id_) for id_ in ids)


def test_a_plot_is_readable_text_in_colours_of_the_page() -> None:
    plot = plot_quality("Quality & more", SYSTEMS)
    root = ET.fromstring(plot)
    assert root.attrib["role"] == "img"
    assert root.findtext(f"{SVG}title") == "Quality & more"
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert [text for text in texts if text in {"a <b>", "c", "R@1", "MRR@10"}] == ["a <b>", "c", "R@1", "MRR@10"]
    style = root.findtext(f"{SVG}style") or ""
    for name in LIGHT:
        assert f"var(--{name})" in plot
        assert f"--{name}: var(--{name});" not in plot
        assert f"--{name}: {LIGHT[name]};" in style
        assert f"--{name}: {DARK[name]};" in style
    colors = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", plot))
    assert colors == {"none", *(f"var(--{name})" for name in LIGHT)}


def test_a_plot_is_the_same_each_time_and_leaves_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    risks = {SOURCELINE: np.array([0, 0.5, 1 / 3, 0.25])}
    assert plot_risk_coverage("Risk", risks) == plot_risk_coverage("Risk", risks)
    assert dict(matplotlib.rcParams) == before


def test_quality_shows_each_system_on_its_interval_from_the_top() -> None:
    figure = Figure()
    draw_quality(figure, SYSTEMS)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a <b>", "c"]
    assert axes.yaxis_inverted()
    points = {str(line.get_label()): line for line in axes.get_lines()}
    assert {name: x_of(line) for name, line in points.items()} == {"R@1": [0.5, 0], "MRR@10": [0.75, 1]}
    r_at_1, mrr = (item for item in axes.collections if isinstance(item, LineCollection))
    assert [segment[:, 0].tolist() for segment in r_at_1.get_segments()] == [[0.25, 1.0], [0, 0]]
    assert [segment[:, 0].tolist() for segment in mrr.get_segments()] == [[0.7, 0.8], [1, 1]]
    for name, intervals in (("R@1", r_at_1), ("MRR@10", mrr)):
        assert [segment[0, 1] for segment in intervals.get_segments()] == y_of(points[name])
        assert points[name].get_color() == {"R@1": LIGHT["one"], "MRR@10": LIGHT["two"]}[name]


def test_the_longest_name_has_room() -> None:
    plot = ET.fromstring(plot_quality("", {"n" * 60: SYSTEMS["c"]}))
    (name,) = (element for element in plot.iter(f"{SVG}text") if element.text == "n" * 60)
    assert float(name.attrib["x"]) > 60 * 5
    assert float(name.attrib["x"]) < float(plot.attrib["width"].removesuffix("pt"))


def test_risk_goes_from_the_most_confident_question_to_all_of_them() -> None:
    figure = Figure()
    draw_risk_coverage(figure, {SOURCELINE: np.array([0, 0.5, 1 / 3, 0.25]), FAST: np.array([1, 1, 1, 0.75])})
    (axes,) = figure.axes
    line, fast = axes.get_lines()
    assert (line.get_color(), fast.get_color(), y_of(fast)) == (LIGHT["one"], LIGHT["two"], [1, 1, 1, 0.75])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [SOURCELINE, FAST]
    assert x_of(line) == [0.25, 0.5, 0.75, 1]
    assert y_of(line) == [0, 0.5, 1 / 3, 0.25]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 1), (0, 1))
    assert axes.get_xlabel() == "coverage: share of questions answered"


def test_reliability_shows_a_point_for_each_bin_and_its_number_of_questions() -> None:
    figure = Figure()
    draw_reliability(figure, {SOURCELINE: [ReliabilityBin(1, 0.0, 1.0), ReliabilityBin(1600, 1.0, 0.5)]})
    assert figure.legends == []
    (axes,) = figure.axes
    points, _ = (item for item in axes.collections if isinstance(item, PathCollection))
    assert np.asarray(points.get_offsets()).tolist() == [[0, 1], [1, 0.5]]
    few, many = points.get_sizes()
    assert (few, many) == (pytest.approx(20, abs=1), 200)
    notes = [item for item in axes.get_children() if isinstance(item, Annotation)]
    assert [(note.get_text(), note.xy) for note in notes] == [("1", (0.0, 1.0)), ("1,600", (1.0, 0.5))]
    (diagonal,) = axes.get_lines()
    assert x_of(diagonal) == y_of(diagonal) == [0, 1]


def test_all_numbers_of_a_reliability_plot_are_inside_it() -> None:
    plot = ET.fromstring(plot_reliability("", {SOURCELINE: [ReliabilityBin(3, 0.75, 1.0)]}))
    (number,) = (element for element in plot.iter(f"{SVG}text") if element.text == "3")
    assert float(number.attrib["y"]) > 8

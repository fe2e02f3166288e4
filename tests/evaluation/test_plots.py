import xml.etree.ElementTree as ET
from collections.abc import Iterator

import numpy as np
import pytest

from sourceline.evaluation.metrics import Bin, Figure
from sourceline.evaluation.plots import (
    BOTTOM,
    LEFT,
    RIGHT,
    STYLE,
    TOP,
    quality,
    ratios,
    reliability,
    risk_coverage,
    standalone,
)

NAMES = ("R@1", "MRR@10")


def texts(plot: ET.Element) -> list[str]:
    return [element.text or "" for element in plot.iter("text")]


def dots(plot: ET.Element) -> Iterator[tuple[str, float, float, float]]:
    """Yield title, x, y and radius of each dot."""
    for circle in plot.iter("circle"):
        x, y, radius = (float(circle.attrib[name]) for name in ("cx", "cy", "r"))
        yield circle[0].text or "", x, y, radius


def test_quality_shows_each_system_on_its_interval() -> None:
    figures = {
        "a <b>": {name: Figure(0.5, 0.25, 1.0) for name in NAMES},
        "c": {name: Figure(0, 0, 0) for name in NAMES},
    }
    plot = ET.fromstring(quality("Quality & more", figures, NAMES))
    assert plot[0].text == "Quality & more"
    shown = texts(plot)
    assert [one for one in shown if one in ("a <b>", "c", *NAMES)] == ["a <b>", "c", *NAMES]
    assert [one for one in shown if one.startswith(("0", "1"))] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    titles = [title for title, *_ in dots(plot)]
    assert titles == ["a <b>: R@1 0.500", "a <b>: MRR@10 0.500", "c: R@1 0.000", "c: MRR@10 0.000", "R@1", "MRR@10"]
    place = {element.text: float(element.attrib["x"]) for element in plot.iter("text")}
    (_, middle, y, _), *_ = dots(plot)
    assert middle == pytest.approx((place["0.0"] + place["1.0"]) / 2)
    whisker = next(line for line in plot.iter("line") if line.attrib["class"] == "one").attrib
    assert (float(whisker["y1"]), float(whisker["y2"])) == (y, y)
    assert float(whisker["x2"]) == pytest.approx(place["1.0"])
    assert float(whisker["x1"]) == pytest.approx(place["0.0"] + (place["1.0"] - place["0.0"]) / 4)


def test_the_longest_name_has_room() -> None:
    plot = ET.fromstring(quality("", {"n" * 60: dict.fromkeys(NAMES, Figure(1, 1, 1))}, NAMES))
    name = next(element for element in plot.iter("text") if element.text == "n" * 60)
    assert float(name.attrib["x"]) > 60 * 7
    assert max(x for _, x, _, _ in dots(plot)) < float(plot.attrib["width"])


def test_the_curve_of_risk_goes_from_the_most_confident_question_to_all() -> None:
    plot = ET.fromstring(risk_coverage("Risk", np.array([0, 0.5, 1 / 3, 0.25])))
    line = next(plot.iter("polyline"))
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    width, height = RIGHT - LEFT, BOTTOM - TOP
    assert points[0] == pytest.approx((LEFT + width / 4, BOTTOM), abs=0.06)
    assert points[1] == pytest.approx((LEFT + width / 2, BOTTOM - height / 2), abs=0.06)
    assert points[-1] == pytest.approx((RIGHT, BOTTOM - height / 4), abs=0.06)
    assert len(points) == 4


def test_a_long_curve_is_thinned_out() -> None:
    plot = ET.fromstring(risk_coverage("Risk", np.linspace(0, 1, 10_000)))
    points = next(plot.iter("polyline")).attrib["points"].split()
    assert len(points) == 201
    assert points[-1] == f"{RIGHT:.1f},{TOP:.1f}"


def test_reliability_shows_a_dot_for_each_bin_greater_for_more_questions() -> None:
    plot = ET.fromstring(reliability("Trust", [Bin(1, 0.0, 1.0), Bin(1600, 1.0, 0.5)]))
    (few, *small), (many, *large) = dots(plot)
    assert (few, many) == ("questions: 1", "questions: 1,600")
    assert small == pytest.approx([LEFT, TOP, 3.2], abs=0.06)
    assert large == pytest.approx([RIGHT, (TOP + BOTTOM) / 2, 12])
    assert {"confidence", "share right"} <= set(texts(plot))


def test_ratios_stand_on_a_logarithmic_axis_that_holds_one_and_all_of_them() -> None:
    plot = ET.fromstring(ratios("Times better", {"start": Figure(10, 5, 20), "size": Figure(0.2, 0.2, 0.2)}))
    shown = texts(plot)
    assert shown[:7] == ["0.2", "0.5", "1", "2", "5", "10", "20"]
    assert shown[7:] == ["start", "10.0 ×", "size", "0.2 ×"]
    place = {element.text: float(element.attrib["x"]) for element in plot.iter("text")}
    assert place["2"] - place["1"] == pytest.approx(place["20"] - place["10"], abs=0.11)
    assert place["1"] - place["0.2"] == pytest.approx(place["5"] - place["1"], abs=0.11)
    (_, start, _, _), (_, size, _, _) = dots(plot)
    assert (start, size) == (place["10"], place["0.2"])
    whisker = next(line for line in plot.iter("line") if line.attrib["class"] == "one").attrib
    assert (float(whisker["x1"]), float(whisker["x2"])) == (place["5"], place["20"])


def test_one_ratio_alone_is_a_plot() -> None:
    shown = texts(ET.fromstring(ratios("", {"start": Figure(1, 1, 1)})))
    assert shown == ["0.5", "1", "2", "start", "1.0 ×"]


def test_a_plot_as_a_file_brings_its_colours() -> None:
    plot = ET.fromstring(standalone(ratios("Times & more", {"start": Figure(3, 2, 4)})))
    name = "{http://www.w3.org/2000/svg}"
    assert plot.tag == f"{name}svg"
    assert (plot[0].tag, plot[1].text) == (f"{name}style", "Times & more")
    assert (plot[0].text or "").startswith(STYLE)

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from sourceline.evaluation.compare import compare
from sourceline.evaluation.metrics import MEASURES, OPEN, SOURCELINE, Evaluation, Figure, First, trust
from sourceline.evaluation.report import report
from tests.evaluation.outcomes import asked

HOSTILE = "<script>alert(1)</script> & \"quoted\" 'x' </table> \x00\x1b[31m\u202e"


class Page(HTMLParser):
    """Checks that every element is closed where it was opened, and keeps the text and what could load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.cells: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"td", "th", "h1", "h2", "h3"}:
            self.cells.append(data)


@pytest.fixture
def evaluation() -> Evaluation:
    questions = tuple(
        asked(right, confidence, f"{confidence}", HOSTILE, First("zhiyzuiwnpkr56wq", HOSTILE))
        for right, confidence in ((1, 0.95), (0, 0.85), (None, 0.3))
    )
    figures = {OPEN: {SOURCELINE: {name: Figure(0.5, 0.25, 0.75) for name in MEASURES}}}
    return Evaluation(12, figures, trust(questions, 0.5), questions)


def test_the_page_is_well_formed_and_holds_its_tables_and_plots(evaluation: Evaluation) -> None:
    text = report("set", evaluation)
    page = Page(text)
    assert text.startswith("<!doctype html>")
    assert page.cells[:9] == ["set", "Quality, open, 2 questions", "system", *MEASURES, "Sourceline"]
    assert page.cells[9:14] == [".500 ±.250"] * 5
    assert page.cells[14:18] == ["Confidence", "Risk–coverage", "Reliability", "The most confident mistakes"]
    plots = [ET.fromstring(plot) for plot in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]
    assert [plot[0].text for plot in plots] == [
        *("Quality by system, open", "Risk by coverage", "Share right by confidence"),
    ]


def test_mistakes_are_listed_by_confidence(evaluation: Evaluation) -> None:
    cells = Page(report("set", evaluation)).cells
    assert [cell for cell in cells if cell in (".950", ".850", ".300")] == [".850", ".300"]


def test_the_page_loads_nothing_and_runs_nothing(evaluation: Evaluation) -> None:
    compared = compare([asked(0, 0.5, "0.95", HOSTILE)], evaluation.asked)
    text = report(HOSTILE, evaluation, compared)
    page = Page(text)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a", "image", "use"}
    assert not page.attributes & {"src", "href", "srcset", "xlink:href", "style", "onload", "onclick"}
    assert not re.search(r"https?:|url\(|@import", text)
    assert "default-src 'none'" in text


def test_all_text_is_escaped(evaluation: Evaluation) -> None:
    compared = compare([asked(0, 0.5, "0.95", HOSTILE, First("a", HOSTILE))], evaluation.asked)
    text = report(HOSTILE, evaluation, compared)
    assert "<script" not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    shown = "<script>alert(1)</script> & \"quoted\" 'x' </table>   [31m "
    cells = Page(text).cells
    assert cells[0] == shown
    assert cells.count(shown) == 4  # the set's name, a question that flipped, and two mistakes


def test_what_changed_is_in_the_report(evaluation: Evaluation) -> None:
    old = [asked(0, 0.5, "0.95", HOSTILE), asked(1, 0.5, "0.85", HOSTILE)]
    cells = Page(report("set", evaluation, compare(old, evaluation.asked))).cells
    start = cells.index("New - old, open, 2 questions")
    assert cells[start + 3 : start + 5] == ["R@1", "+.000 [-1.000, +1.000]"]
    assert {"Won at R@1: 1", "Lost at R@1: 1"} <= set(cells)


def test_a_set_with_nothing_to_find_has_a_report() -> None:
    questions = (asked(None, 0.2),)
    cells = Page(report("set", Evaluation(1, {}, trust(questions, 0.5), questions))).cells
    assert cells[:4] == ["set", "Confidence", "Risk–coverage", "Reliability"]

"""Opening an answer shows the cited sentence: whole, in the visible part of its pane, near the upper third."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from sourceline.config import load_settings
from sourceline.indexing.builder import build
from sourceline.server.app import create_app
from sourceline.types import DEFAULT_MODEL
from tests.browser.asking import MET, marked, wait_until
from tests.browser.corpus import HOSTILE_NAME
from tests.conftest import SEEDS
from tests.support.server import listening
from tests.support.torture import sizes

pytestmark = pytest.mark.enable_socket

VIEWPORTS: tuple[ViewportSize, ...] = (
    {"width": 360, "height": 640},
    {"width": 390, "height": 844},
    {"width": 768, "height": 1024},
    {"width": 1280, "height": 900},
    {"width": 1440, "height": 900},
    {"width": 1920, "height": 1080},
)
PHONE, DESK = VIEWPORTS[1], VIEWPORTS[3]
NAMES = [f"{viewport['width']}x{viewport['height']}" for viewport in VIEWPORTS]
ROUNDING = 1  # pixel
REPETITIONS = 105  # of the seed report's 48 sentences: 5,040
each_sentence = sizes("every", 3, 1)

# Waits until a citation's sentence is marked and stands still for some frames, and measures where it is.
MEASURE = """async (citation) => {
  const frame = () => new Promise(requestAnimationFrame);
  const isMarked = () => document.querySelector("#reader .sentence[aria-current]")?.href.includes(`cite=${citation}`);
  const deadline = performance.now() + 60000;
  while (!isMarked() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 1));
  if (!isMarked()) throw new Error(`${citation} is not marked`);
  const pane = document.querySelector("#pane");
  const place = () => {
    return `${pane.scrollHeight} ${pane.querySelector(".sentence[aria-current]")?.getBoundingClientRect().top}`;
  };
  for (let still = 0, before = ""; still < 20 && performance.now() < deadline; ) {
    await frame();
    still = place() === before ? still + 1 : 0;
    before = place();
  }
  if (performance.now() >= deadline) throw new Error(`${citation} does not stand still`);
  const sentence = pane.querySelector(".sentence[aria-current]");
  const { top, bottom, left, right } = sentence.getBoundingClientRect();
  const box = pane.getBoundingClientRect();
  const isHit = (x, y) => sentence.contains(document.elementFromPoint(x, y));
  const isUncovered = [...sentence.getClientRects()].filter((line) => line.width > 0).every((line) => {
    const middle = (line.top + line.bottom) / 2;
    return isHit(line.left + 2, middle) && isHit((line.left + line.right) / 2, middle) && isHit(line.right - 2, middle);
  });
  // On a narrow screen the bars above and below take their part of it.
  const isNarrow = getComputedStyle(pane).overflowY === "visible";
  const free = isNarrow ? [document.querySelector(".doc-bar").getBoundingClientRect().bottom,
    document.querySelector("#foot").getBoundingClientRect().top] : [0, innerHeight];
  const scroller = getComputedStyle(pane).overflowY === "visible" ? document.scrollingElement : pane;
  return {
    top, bottom, left, right, is_uncovered: isUncovered,
    pane_top: Math.max(box.top, free[0]), pane_bottom: Math.min(box.bottom, free[1]),
    pane_left: Math.max(box.left, 0), pane_right: Math.min(box.right, innerWidth),
    is_at_start: scroller.scrollTop < 1,
    is_at_end: scroller.scrollTop + scroller.clientHeight > scroller.scrollHeight - 2,
  };
}"""


@dataclass(frozen=True)
class Position:
    """Where the marked sentence is on the screen, in pixels; the pane's box is cut to what of it is on the screen."""

    top: float
    bottom: float
    left: float
    right: float
    pane_top: float
    pane_bottom: float
    pane_left: float
    pane_right: float
    is_uncovered: bool  # nothing lies over any of its lines, such as a sticky header
    is_at_start: bool  # what scrolls the document cannot scroll further up
    is_at_end: bool

    @property
    def is_in_view(self) -> bool:
        return (
            self.is_uncovered
            and self.top >= self.pane_top - ROUNDING
            and self.bottom <= self.pane_bottom + ROUNDING
            and self.left >= self.pane_left - ROUNDING
            and self.right <= self.pane_right + ROUNDING
        )

    @property
    def is_near_upper_third(self) -> bool:
        """Whether it is there, or as near as the document's beginning or end, or its own height, allows."""
        room = self.pane_bottom - self.pane_top
        share = (self.top - self.pane_top) / room
        is_tall = self.bottom - self.top > room / 2
        return (share >= 0.2 or self.is_at_start or is_tall) and (share <= 0.45 or self.is_at_end)


def measure(page: Page, citation: str) -> Position:
    return Position(**page.evaluate(MEASURE, citation))


def require_in_view(positions: dict[str, Position]) -> None:
    """Assert that every sentence, by the way in which it was opened, is where it should be."""
    out_of_view = [name for name, position in positions.items() if not position.is_in_view]
    assert out_of_view == [], f"{len(out_of_view)} of {len(positions)} are not in view"
    misplaced = {name: position for name, position in positions.items() if not position.is_near_upper_third}
    assert misplaced == {}


def citations_in(page: Page, address: str, document: str) -> list[str]:
    passages = page.request.get(f"{address}/v1/documents/{document}?limit=1000000").json()["passages"]
    return [passage["citation"] for passage in passages]


def go_to(page: Page, address: str) -> None:
    """Go to an address of the page as a link on it does."""
    page.evaluate(
        "href => { const link = Object.assign(document.createElement('a'), { href }); "
        "document.body.append(link); link.click(); link.remove() }",
        address,
    )


def ranked_citations(page: Page, address: str) -> dict[int, str]:
    """Ask so that every sentence is an answer; return the citations of the report's sentences by place in the list."""
    sentences = citations_in(page, address, "meeting.txt")
    page.goto(f"{address}/?q={quote(MET)}&k=100")
    expect(page.locator(".answer").first).to_be_visible()
    expect(page.locator("#question")).to_be_focused()
    for summary in page.locator(".rest > summary").all():
        summary.click()
    page.locator("#question").focus()
    in_order = page.evaluate("[...document.querySelectorAll('.answer')].map((answer) => answer.dataset.citation)")
    of_report = {at: citation for at, citation in enumerate(in_order) if citation in sentences}
    assert len(of_report) == 48
    return of_report


@pytest.fixture(scope="module")
def long_document(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of one document of 5,040 sentences, long.txt."""
    documents, index = (tmp_path_factory.mktemp(name) for name in ("long", "long-index"))
    report = (SEEDS / "meeting.txt").read_text("utf-8").rstrip()
    (documents / "long.txt").write_text(f"{report}\n" * REPETITIONS, "utf-8")
    shutil.copytree(exported, index, dirs_exist_ok=True, copy_function=os.link)
    build(documents, index, DEFAULT_MODEL)
    with listening(create_app(load_settings(documents=documents, index=index))) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture(params=VIEWPORTS, ids=NAMES)
def sized_page(page: Page, request: pytest.FixtureRequest) -> Page:
    page.set_viewport_size(request.param)
    return page


@each_sentence
def test_every_sentence_opened_by_its_link_is_in_view(sized_page: Page, served: str, every: int) -> None:
    positions = {}
    for number, citation in enumerate(citations_in(sized_page, served, "meeting.txt")[::every]):
        sized_page.goto(f"{served}/?cite={citation}", wait_until="commit")
        positions[f"sentence {number * every}"] = measure(sized_page, citation)
    assert len(positions) == 48 // every
    require_in_view(positions)


@each_sentence
def test_every_sentence_opened_by_a_click_on_its_answer_is_in_view(sized_page: Page, served: str, every: int) -> None:
    positions = {}
    for rank, citation in [*ranked_citations(sized_page, served).items()][::every]:
        sized_page.locator(".answer .open").nth(rank).click()
        positions[f"answer {rank}"] = measure(sized_page, citation)
        sized_page.keyboard.press("Escape")  # so that the next one opens the document anew
    assert len(positions) == 48 // every
    require_in_view(positions)


@each_sentence
def test_every_sentence_opened_by_enter_on_its_answer_is_in_view(sized_page: Page, served: str, every: int) -> None:
    positions = {}
    at = -1
    for rank, citation in [*ranked_citations(sized_page, served).items()][::every]:
        for _ in range(at, rank):
            sized_page.keyboard.press("ArrowDown")
        at = rank
        sized_page.keyboard.press("Enter")
        positions[f"answer {rank}"] = measure(sized_page, citation)
        sized_page.keyboard.press("Escape")
    assert len(positions) == 48 // every
    require_in_view(positions)


@each_sentence
def test_every_sentence_chosen_in_its_document_is_in_view(page: Page, served: str, every: int) -> None:
    sentences = citations_in(page, served, "meeting.txt")
    page.goto(f"{served}/?q={quote(MET)}&cite={sentences[0]}")
    positions = {"opened": measure(page, sentences[0])}
    for number, citation in [*enumerate(sentences)][::every]:
        if number % 2:
            page.locator("#reader .sentence").nth(number).click()
        else:
            page.locator("#reader .sentence").nth(number).press("Enter")
        positions[f"sentence {number}"] = measure(page, citation)
    assert len(positions) == 1 + 48 // every
    require_in_view(positions)


def test_sentences_of_a_long_document_are_in_view(sized_page: Page, long_document: str) -> None:
    sentences = citations_in(sized_page, long_document, "long.txt")
    assert len(sentences) == 5040
    positions = {}
    for number in (0, 1777, 5039):
        sized_page.goto(f"{long_document}/?q=Tehran&cite={sentences[number]}", wait_until="commit")
        positions[f"sentence {number} by link"] = measure(sized_page, sentences[number])
    for number in (5038, 2520, 3, 4321):
        go_to(sized_page, f"/?q=Tehran&cite={sentences[number]}")
        positions[f"sentence {number} from another place"] = measure(sized_page, sentences[number])
        near = sentences[number - 2]
        sized_page.evaluate("c => document.querySelector(`#reader .sentence[href*='${c}']`).click()", near)
        positions[f"sentence {number - 2} by click"] = measure(sized_page, near)
    require_in_view(positions)


def test_back_forward_and_reload_show_the_sentence(sized_page: Page, served: str) -> None:
    first, second = (citations_in(sized_page, served, "meeting.txt")[number] for number in (8, 40))
    sized_page.goto(f"{served}/?q={quote(MET)}&cite={first}")
    positions = {"first": measure(sized_page, first)}
    sized_page.locator(f"#reader .sentence[href*='{second}']").click()
    positions["second"] = measure(sized_page, second)
    for name, step, citation in (
        ("back", sized_page.go_back, first),
        ("forward", sized_page.go_forward, second),
        ("reload", sized_page.reload, second),
    ):
        sized_page.evaluate("document.querySelector('#pane').scrollTo(0, 0); scrollTo(0, 0)")
        step()
        expect(sized_page.locator(".answer")).to_have_count(5)
        positions[name] = measure(sized_page, citation)
    require_in_view(positions)


def test_going_back_from_a_document_returns_to_the_answer(page: Page, served: str) -> None:
    page.set_viewport_size(PHONE)
    page.goto(f"{served}/?q={quote(MET)}&k=20")
    answer = page.locator(".answer").nth(12)
    answer.locator(".open").click()
    marked(page)
    page.go_back()
    expect(page.locator("#reader")).to_be_hidden()
    expect(answer).to_be_in_viewport()


def test_closing_a_document_returns_to_the_answer(page: Page, served: str) -> None:
    page.set_viewport_size(PHONE)
    page.goto(f"{served}/?q={quote(MET)}&k=20")
    answer = page.locator(".answer").nth(2)
    answer.locator(".open").click()
    marked(page)
    page.click("#reader .close")
    expect(page.locator("#reader")).to_be_hidden()
    expect(answer.locator(".open")).to_be_focused()
    expect(answer).to_be_in_viewport()


def test_a_sentence_stays_in_view_when_the_answers_above_it_arrive_late(sized_page: Page, served: str) -> None:
    citation = citations_in(sized_page, served, "meeting.txt")[30]
    held: list[Route] = []
    sized_page.route("**/v1/ask", lambda route: held.append(route))
    sized_page.goto(f"{served}/?q={quote(MET)}&cite={citation}", wait_until="commit")
    before = measure(sized_page, citation)
    wait_until(sized_page, lambda: held)
    held[0].continue_()
    expect(sized_page.locator(".answer")).to_have_count(5)
    require_in_view({"before": before, "after": measure(sized_page, citation)})


def test_a_sentence_stays_in_view_when_fonts_or_the_window_change_size(page: Page, served: str) -> None:
    citation = citations_in(page, served, "meeting.txt")[30]
    page.goto(f"{served}/?q={quote(MET)}&cite={citation}")
    expect(page.locator(".answer")).to_have_count(5)
    positions = {"opened": measure(page, citation)}
    small: tuple[ViewportSize, ...] = ({"width": 1100, "height": 560}, {"width": 1280, "height": 240})
    for viewport in (*VIEWPORTS, *small):
        page.set_viewport_size(viewport)
        for size in ("140%", "80%", ""):
            page.evaluate("size => { document.documentElement.style.fontSize = size }", size)
            positions[f"{viewport} {size}"] = measure(page, citation)
    require_in_view(positions)


@pytest.mark.parametrize("way", ["wheel", "keyboard"])
def test_a_reader_who_scrolls_away_is_not_pulled_back(page: Page, served: str, way: str) -> None:
    citation = citations_in(page, served, "meeting.txt")[30]
    page.goto(f"{served}/?q={quote(MET)}&cite={citation}")
    expect(page.locator(".answer")).to_have_count(5)
    measure(page, citation)
    scrolled = "document.querySelector('#pane').scrollTop"
    assert page.evaluate(scrolled) > 100
    if way == "wheel":
        page.locator("#reader .text").hover()
        page.mouse.wheel(0, -5000)
    else:
        page.keyboard.press("Home")
    page.evaluate(f"async () => {{ while ({scrolled} > 0) await new Promise(requestAnimationFrame) }}")
    page.set_viewport_size({"width": 1280, "height": 700})
    measure(page, citation)
    assert page.evaluate(scrolled) == 0


def test_another_document_is_opened_at_its_beginning(page: Page, served: str) -> None:
    citation = citations_in(page, served, "meeting.txt")[40]
    page.goto(f"{served}/?q={quote(MET)}&cite={citation}")
    measure(page, citation)
    go_to(page, "/?q=trams&document=minutes.md")
    expect(page.locator("#reader h2")).to_contain_text("Minutes")
    expect(page.locator("#reader h2")).to_be_in_viewport(ratio=1)


def test_with_reduced_motion_a_sentence_is_in_view_at_once(browser: Browser, served: str) -> None:
    page = browser.new_page(viewport=DESK, reduced_motion="reduce")
    positions = {}
    for citation in citations_in(page, served, "meeting.txt")[::9]:
        page.goto(f"{served}/?cite={citation}", wait_until="commit")
        positions[citation] = measure(page, citation)
    page.close()
    require_in_view(positions)


def test_a_sentence_taller_than_the_pane_starts_in_view(page: Page, served: str) -> None:
    page.set_viewport_size({"width": 390, "height": 300})
    (citation,) = [
        passage["citation"]
        for passage in page.request.get(f"{served}/v1/documents/{quote(HOSTILE_NAME)}").json()["passages"]
        if passage["text"].startswith("endless")
    ]
    page.goto(f"{served}/?cite={citation}")
    position = measure(page, citation)
    assert position.bottom - position.top > 300
    assert position.pane_top <= position.top <= position.pane_top + 50

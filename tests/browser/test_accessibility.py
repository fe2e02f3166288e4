from typing import Literal
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.asking import MET, answer, ask, marked, open_answer

pytestmark = pytest.mark.enable_socket

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (320, 480, 768, 1024, 1440, 2560)
STATES = {
    "empty": ("/", "#intro"),
    "answered": ("/?q=Which+minister+did+Pezeshkian+meet+in+Tehran%3F", ".answer"),
    "unanswered": ("/?q=What+is+the+boiling+point+of+tungsten%3F", ".silence"),
    "hostile": ("/?q=What+did+the+hostile+mayor+say%3F", ".answer"),
    "arabic": ("/?q=جسر+جديد+فوق+النهر", ".answer"),
    "error": ("/?cite=cnever", "#status.error"),
    "document": ("/?document=minutes.md", "#reader .text"),
    "cited": (f"/?q={quote(MET)}&document=minutes.md", "#reader .text"),
    "api": ("/docs", "main"),
}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
OVERFLOW = "document.documentElement.scrollWidth > innerWidth"


def violations(page: Page) -> list[str]:
    rules = Axe().run(page, options=RULES).response["violations"]
    return [f"{rule['id']}: {node['html']}" for rule in rules for node in rule["nodes"]]


def require_no_violations(page: Page) -> None:
    """Assert that the page breaks no rule of accessibility, in light and in dark colours."""
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_accessible(page: Page, served: str, state: str) -> None:
    path, shown = STATES[state]
    page.goto(served + path)
    expect(page.locator(shown).first).to_be_visible()
    require_no_violations(page)


def test_an_open_document_and_a_dialog_are_accessible(page: Page) -> None:
    ask(page, MET)
    open_answer(page, 2)
    page.locator(".lead .menu summary").click()
    page.get_by_text("How sure?").click()
    require_no_violations(page)
    page.click("#help-button")
    require_no_violations(page)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_filters_are_accessible(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for name in ("documents", "speakers", "dates", "mode"):
        page.click(f"#{name}-summary")
        expect(page.locator(f"#pick-{name} input").first).to_be_visible()
        require_no_violations(page)
        assert not page.evaluate(OVERFLOW)


@pytest.mark.parametrize("state", STATES)
def test_no_state_is_wider_than_the_screen(page: Page, served: str, state: str) -> None:
    path, shown = STATES[state]
    page.goto(served + path)
    expect(page.locator(shown).first).to_be_visible()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert not page.evaluate(OVERFLOW), width


@pytest.mark.parametrize("width", WIDTHS)
def test_the_lines_of_a_document_fit_the_screen_and_are_short_enough_to_read(
    page: Page, served: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    ask_and_open(page, served)
    assert not page.evaluate(OVERFLOW)
    block = page.locator(".text .block").nth(1).bounding_box()
    assert block
    assert block["width"] <= width
    lines = (
        page.locator(".text .block")
        .nth(1)
        .evaluate(
            "e => { const range = document.createRange(); range.selectNodeContents(e); "
            "return new Set([...range.getClientRects()].map((box) => Math.round(box.bottom / 8))).size }"
        )
    )
    characters = len(page.locator(".text .block").nth(1).inner_text()) / lines
    assert characters <= 75
    assert width < 768 or characters >= 50  # the last line of a paragraph is short


def ask_and_open(page: Page, served: str) -> None:
    page.goto(served)
    ask(page, MET)
    open_answer(page)


def test_colours_follow_the_system(page: Page) -> None:
    colours = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        colours.append(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
    assert colours == ["rgb(252, 251, 247)", "rgb(23, 22, 19)"]


def test_arabic_runs_right_to_left_inside_a_left_to_right_page(page: Page, served: str) -> None:
    page.goto(served + STATES["arabic"][0])
    expect(answer(page).locator(".sentence")).to_contain_text("جسر جديد")
    assert answer(page).evaluate("e => getComputedStyle(e).direction") == "rtl"
    assert page.locator(".lead .source").evaluate("e => getComputedStyle(e).direction") == "ltr"
    assert page.locator("#question").evaluate("e => getComputedStyle(e).direction") == "rtl"
    open_answer(page)
    assert marked(page).evaluate("e => getComputedStyle(e.parentElement).direction") == "rtl"


def test_the_first_paint_needs_nothing_of_the_api(page: Page, served: str) -> None:
    page.route("**/v1/**", lambda route: None)  # which is never answered
    page.goto(served)
    expect(page.locator("#question")).to_be_focused()
    expect(page.locator("#intro")).to_be_visible()
    expect(page.locator("#progress")).to_be_hidden()


def test_landmarks_labels_and_announcements_are_there(page: Page) -> None:
    expect(page.get_by_role("contentinfo")).to_have_count(1)
    ask(page, MET)
    marked(page)
    for role in ("banner", "main"):
        expect(page.get_by_role(role)).to_have_count(1)
    expect(page.get_by_label("Ask the documents a question")).to_have_count(1)
    expect(page.get_by_role("status").first).to_contain_text("Answered")
    expect(page.get_by_role("list").first).to_be_visible()
    tree = page.locator("body").aria_snapshot()
    for line in (
        "- banner:",
        '- navigation "Pages":',
        "- search:",
        '- textbox "Ask the documents a question"',
        "- status: Answered",
        '- region "Answers":',
        "- blockquote:",
        '- heading "Also in this document" [level=2]',
        '- region "Document":',
        '- region "Text of the document":',
        '- complementary "Citation":',
        '- heading "Answer 1" [level=3]',
        '- navigation "Answers in this document":',
    ):
        assert line in tree
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#answers")).to_be_focused()

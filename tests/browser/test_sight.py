from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.asking import MET, ask, marked

pytestmark = pytest.mark.enable_socket

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (320, 480, 768, 1024, 1440, 2560)
STATES = {
    "empty": ("/", ".examples"),
    "answered": ("/?q=Which+minister+did+Pezeshkian+meet+in+Tehran%3F", ".answer"),
    "unanswered": ("/?q=What+is+the+boiling+point+of+tungsten%3F", ".answer"),
    "hostile": ("/?q=What+did+the+hostile+mayor+say%3F", ".answer"),
    "arabic": ("/?q=جسر+جديد+فوق+النهر", ".answer"),
    "error": ("/?cite=cnever", "#status.error"),
    "document": ("/?document=minutes.md", "#reader .text"),
    "documents": ("/?view=documents", ".documents"),
    "described": ("/docs", "main"),
}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
OVERFLOW = "document.documentElement.scrollWidth > innerWidth"


def violations(page: Page) -> list[str]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


def require_no_violations(page: Page) -> None:
    """Assert that nothing breaks a rule, in light and in dark colours."""
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme


@pytest.mark.parametrize("state", STATES)
def test_nothing_breaks_a_rule_of_accessibility(page: Page, served: str, state: str) -> None:
    path, shown = STATES[state]
    page.goto(served + path)
    expect(page.locator(shown).first).to_be_visible()
    require_no_violations(page)


def test_nor_with_a_document_open_or_a_dialog(page: Page) -> None:
    ask(page, MET)
    page.click(".answer .open >> nth=1")
    marked(page)
    require_no_violations(page)
    page.click("#help-button")
    require_no_violations(page)


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_wider_than_the_screen(page: Page, served: str, state: str) -> None:
    path, shown = STATES[state]
    page.goto(served + path)
    expect(page.locator(shown).first).to_be_visible()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert not page.evaluate(OVERFLOW), width


@pytest.mark.parametrize("width", WIDTHS)
def test_nor_is_a_document_whose_lines_are_no_longer_than_can_be_read(page: Page, served: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    ask_and_open(page, served)
    assert not page.evaluate(OVERFLOW)
    wide = page.locator(".text .block").first.bounding_box()
    size = page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)")
    assert wide
    assert wide["width"] <= min(width, 46 * size)


def ask_and_open(page: Page, served: str) -> None:
    page.goto(served)
    ask(page, MET)
    page.click(".answer .open >> nth=0")
    marked(page)


def test_dark_and_light_follow_the_system(page: Page) -> None:
    colours = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(251, 250, 247)", "rgb(21, 25, 23)"]


def test_arabic_runs_from_right_to_left_and_its_frame_does_not(page: Page, served: str) -> None:
    page.goto(served + STATES["arabic"][0])
    first = page.locator(".answer").first
    expect(first.locator(".sentence")).to_contain_text("جسر جديد")
    assert first.locator(".passage").evaluate("e => getComputedStyle(e).direction") == "rtl"
    assert first.locator(".where").evaluate("e => getComputedStyle(e).direction") == "ltr"
    assert page.locator("#question").evaluate("e => getComputedStyle(e).direction") == "rtl"
    first.locator(".open").click()
    assert marked(page).evaluate("e => getComputedStyle(e.parentElement).direction") == "rtl"


def test_the_page_is_there_before_any_answer_of_the_api(page: Page, served: str) -> None:
    page.route("**/v1/**", lambda route: route.abort())
    page.goto(served)
    expect(page.locator("#question")).to_be_focused()
    expect(page.locator("#status.error")).to_contain_text("The server does not answer.")


def test_landmarks_labels_and_what_is_read_out(page: Page) -> None:
    ask(page, MET)
    for role in ("banner", "navigation", "main", "search", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)
    expect(page.get_by_label("Ask the documents a question")).to_have_count(1)
    expect(page.get_by_role("status").first).to_contain_text("answered")
    expect(page.get_by_role("list").first).to_be_visible()
    page.keyboard.press("Home")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#answers")).to_be_focused()

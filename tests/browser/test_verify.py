import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from sourceline.config import load_settings
from sourceline.indexing.builder import build
from sourceline.server.app import create_app
from sourceline.types import DEFAULT_MODEL, NO_RERANKER
from tests.browser.asking import screenshot
from tests.browser.test_accessibility import OVERFLOW, WIDTHS, require_no_violations
from tests.support.server import listening

pytestmark = pytest.mark.enable_socket

DRAFT = (
    "The quay was called “safe and quite sound”. The ferry ran on 351 days. Bo Lind said: “I will not sign it.” "
    "She said “The piles   are sixty years old”. Anna Berg said: “I voted against the plan.” "
    "A comet hit the customs house. He said “no 😀 way”. The work begins in September."
)
HEARING = """WEBVTT

00:01:05.000 --> 00:01:09.000
<v Bo Lind>I will not sign it.

00:05:10.000 --> 00:05:14.000
<v Jonas Reik>I voted against the plan.
"""
FOUND = [
    "Altered",
    "Word for word",
    "Word for word",
    "Reformatted",
    "Wrong speaker",
    "Not found",
    "Too short to tell",
    "Altered",
]


@pytest.fixture
def checking(context: BrowserContext, index: Path, documents: Path) -> Iterator[Page]:
    """The page that checks quotations, over a report and a hearing."""
    (documents / "hearing.vtt").write_text(HEARING)
    (documents / "report.md").write_text(
        "# Report of the board\n\n## The quay\n\nThe quay is safe and sound. The piles are sixty years old. The work "
        "begins in late September.\n\n## The ferry\n\nThe ferry ran on 351 days.\n"
    )
    build(documents, index, DEFAULT_MODEL)
    with listening(create_app(load_settings(documents=documents, index=index, reranker=NO_RERANKER))) as (host, port):
        page = context.new_page()
        page.goto(f"http://{host}:{port}/?view=verify")
        yield page


def check(page: Page, text: str) -> None:
    page.fill("#draft", text)
    page.press("#draft", "Control+Enter")


def test_each_quotation_comes_back_with_what_is_wrong_and_its_source(checking: Page, pictures: Path) -> None:
    check(checking, DRAFT)
    expect(checking.locator("#outcome")).to_have_text("Four of eight need another look. One is too short to tell.")
    items = checking.locator(".proof > li")
    expect(items.locator(".mark")).to_have_text(FOUND)
    expect(items.locator(".quote").nth(0)).to_have_text("“safe and quite sound”")
    expect(items.nth(0).locator("del")).to_have_text("quite")
    expect(items.nth(7).locator("ins")).to_have_text("late")
    expect(items.locator(".quote").nth(7)).to_have_text("The work begins in late September.")
    expect(items.nth(4)).to_contain_text("Your text gives it to Anna Berg. It was said by Jonas Reik.")
    expect(items.nth(4).locator(".src")).to_contain_text("Jonas Reik, 5:10")
    expect(items.nth(3).locator(".real")).to_contain_text("The piles are sixty years old.")
    expect(items.nth(1).locator(".src")).to_contain_text(re.compile("Report of the board.*The ferry"))
    # No two findings have the same sign.
    signs = {name: items.nth(at).locator("svg").inner_html() for at, name in enumerate(FOUND)}
    assert len(set(signs.values())) == len(set(FOUND))
    screenshot(checking, pictures, "verify")


def test_a_source_opens_in_its_place_and_the_draft_is_still_there_on_the_way_back(checking: Page) -> None:
    check(checking, DRAFT)
    checking.locator(".proof > li").nth(1).get_by_role("link").click()
    expect(checking.locator("#reader")).to_contain_text("The piles are sixty years old.")
    assert "cite=" in checking.url
    assert "ferry" not in checking.url  # a draft is private
    checking.go_back()
    expect(checking.locator("#draft")).to_have_value(DRAFT)
    expect(checking.locator(".proof > li")).to_have_count(8)


def test_what_cannot_be_checked_says_why(page: Page, served: str) -> None:
    page.goto(f"{served}/?view=verify")
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#outcome")).to_have_text("Paste the text to check first.")
    check(page, "“Yes.”")
    expect(page.locator("#outcome")).to_have_text("It is too short to tell.")
    check(page, "It rains. " * 501)
    expect(page.locator("#outcome.error")).to_contain_text("Check it in parts.")
    check(page, "It rains and rains. " * 5_000)
    expect(page.locator("#outcome.error")).to_have_text("The body is longer than 65,536 bytes. Check it in parts.")
    page.route("**/v1/verify", lambda route: route.fulfill(status=503, json={"detail": "the server is busy"}))
    check(page, "It rains today in the harbour.")
    expect(page.locator("#outcome.error")).to_have_text("The server is busy. Try again in a moment.")


def test_a_long_draft_can_be_cut_down_to_its_faults(page: Page, served: str) -> None:
    page.goto(f"{served}/?view=verify")
    check(page, "The meeting focused on long-term cooperation. " * 100 + "Pupils eat in the yard until May.")
    expect(page.locator("#outcome")).to_have_text("One of 101 needs another look.")
    page.get_by_label("Only what needs another look").check()
    expect(page.locator(".proof > li:visible .mark")).to_have_text(["Altered"])


def test_the_page_is_accessible_and_fits_every_screen(checking: Page) -> None:
    require_no_violations(checking)
    check(checking, f"{DRAFT} {'unbroken' * 60} stands here in the way.")
    expect(checking.locator(".proof > li")).to_have_count(9)
    for width in WIDTHS:
        checking.set_viewport_size({"width": width, "height": 800})
        assert not checking.evaluate(OVERFLOW), width
    require_no_violations(checking)

"""The filters of the ask form: what is sent, what the address keeps, and what is shown."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.asking import MET, ask

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def sent(page: Page) -> list[Any]:
    """The filters of each question, in order. The server answers as if there were none."""
    filters: list[Any] = []

    def note(route: Route) -> None:
        body: Any = route.request.post_data_json
        filters.append(body.pop("filters", None))
        route.continue_(post_data=body)

    page.route("**/v1/ask", note)
    return filters


def test_all_filters_are_sent_and_kept_in_the_address(page: Page, sent: list[Any]) -> None:
    expect(page.get_by_label("Speakers")).to_be_hidden()
    page.click("#filter-summary")
    page.get_by_label("Documents", exact=True).fill(" minutes/*; Smith, J.txt ;")
    page.get_by_label("Speakers").fill("Bo Lind")
    page.get_by_label("From", exact=True).fill("2026-03-04")
    page.get_by_label("Before").fill("2026-04-01")
    ask(page, MET)
    expected = {
        "documents": ["minutes/*", "Smith, J.txt"],
        "speakers": ["Bo Lind"],
        "after": "2026-03-04",
        "before": "2026-04-01",
    }
    assert sent == [expected]
    address = parse_qs(urlsplit(page.url).query)
    assert {name: address[name] for name in expected} == {
        **expected,
        "after": ["2026-03-04"],
        "before": ["2026-04-01"],
    }
    summary = page.locator("#filter-summary")
    expect(summary).to_have_text("Filter: minutes/*, Smith, J.txt, Bo Lind, from 2026-03-04, before 2026-04-01")
    page.click(".more")
    expect(page.locator(".answer")).to_have_count(15)
    page.click(".answer .open >> nth=0")
    expect(page.locator("#reader .sentence[aria-current]")).to_be_visible()
    page.reload()
    expect(page.locator(".answer")).to_have_count(15)
    assert sent == [expected] * 3
    expect(page.locator("#filter-documents")).to_have_value("minutes/*; Smith, J.txt")
    expect(page.locator("#filter-after")).to_have_value("2026-03-04")


def test_filters_can_be_cleared_which_asks_again(page: Page, served: str, sent: list[Any]) -> None:
    page.goto(f"{served}/?q=Who+met+him%3F&speakers=Bo+Lind&speakers=Anna&before=2026-13")
    expect(page.locator(".answer")).to_have_count(5)
    expect(page.locator("#filter-summary")).to_have_text("Filter: Bo Lind, Anna")
    page.click("#filter-summary")
    expect(page.get_by_label("Speakers")).to_have_value("Bo Lind; Anna")
    page.click("#filter-clear")
    expect(page.locator("#filter-summary")).to_have_text("Filter")
    assert sent == [{"speakers": ["Bo Lind", "Anna"]}, None]
    assert "speakers" not in page.url
    page.go_back()
    expect(page.get_by_label("Speakers")).to_have_value("Bo Lind; Anna")
    page.click(".brand")
    expect(page.get_by_label("Speakers")).to_have_value("")


def test_only_documents_that_pass_are_searched(page: Page) -> None:
    page.click("#filter-summary")
    page.get_by_label("Documents", exact=True).fill("tit*; arabic.txt")
    ask(page, "What does the school get?")
    names = page.locator(".answer .source bdi:last-child").all_text_contents()
    assert set(names) == {"title.md", "arabic.txt"}


def test_it_is_said_when_nothing_passes_the_filters(page: Page) -> None:
    page.click("#filter-summary")
    page.get_by_label("Documents", exact=True).fill("nowhere/*")
    page.fill("#question", MET)
    page.press("#question", "Enter")
    expect(page.locator("#status")).to_have_text("No passage passes the filters.")

"""The filters of the ask form: what is sent, what the address keeps, and what is shown."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.asking import MET, answer, ask, open_answer

pytestmark = pytest.mark.enable_socket


SENTENCE = "In all documents, by anyone, at any time, read closely"


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
    expect(page.locator("#filters")).to_have_text(SENTENCE, use_inner_text=True)
    expect(page.get_by_label("Speakers")).to_be_hidden()
    page.click("#documents-summary")
    page.get_by_label("Documents", exact=True).fill(" minutes/*; Smith, J.txt ;")
    page.click("#speakers-summary")
    page.get_by_label("Speakers").fill("Bo Lind")
    page.keyboard.press("Enter")
    page.click("#dates-summary")
    page.get_by_label("From", exact=True).fill("2026-03-04")
    page.get_by_label("Before", exact=True).fill("2026-04-01")
    page.keyboard.press("Escape")
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
    expect(page.locator("#filters")).to_have_text(
        "In minutes/*, Smith, J.txt, by Bo Lind, from Mar 4, 2026 and before Apr 1, 2026, read closely",
        use_inner_text=True,
    )
    page.click(".more")
    expect(page.locator(".answer")).to_have_count(15)
    open_answer(page)
    page.reload()
    expect(page.locator(".answer")).to_have_count(15)
    assert sent == [expected] * 3
    expect(page.locator("#filter-documents")).to_have_value("minutes/*; Smith, J.txt")
    expect(page.locator("#filter-after")).to_have_value("2026-03-04")


def test_filters_can_be_cleared_which_asks_again(page: Page, served: str, sent: list[Any]) -> None:
    page.goto(f"{served}/?q=Who+met+him%3F&speakers=Bo+Lind&speakers=Anna&before=2026-13")
    expect(page.locator(".answer")).to_have_count(5)
    expect(page.locator("#speakers-summary")).to_have_text("Bo Lind or Anna")
    page.click("#speakers-summary")
    expect(page.get_by_label("Speakers")).to_have_value("Bo Lind; Anna")
    page.locator("#pick-speakers").get_by_text("Clear").click()
    expect(page.locator("#speakers-summary")).to_have_text("anyone")
    expect(page.locator(".answer")).to_have_count(5)
    assert sent == [{"speakers": ["Bo Lind", "Anna"]}, None]
    assert "speakers" not in page.url
    page.go_back()
    expect(page.locator("#filter-speakers")).to_have_value("Bo Lind; Anna")
    page.click(".brand")
    expect(page.locator("#filter-speakers")).to_have_value("")


def test_names_are_suggested(page: Page) -> None:
    page.click("#documents-summary")
    expect(page.get_by_label("Documents", exact=True)).to_be_focused()
    expect(page.locator("#documents-list option")).to_have_count(6)
    assert "minutes.md" in page.locator("#documents-list option").evaluate_all("all => all.map((each) => each.value)")


def test_only_documents_that_pass_are_searched(page: Page) -> None:
    page.click("#documents-summary")
    page.get_by_label("Documents", exact=True).fill("arabic.txt; duplicate.txt")
    ask(page, "What does the school get?")
    expect(page.locator(".lead .source")).to_have_text("duplicate.txt, line 1")
    expect(page.locator(".answer")).to_have_count(4)
    expect(answer(page, 4).locator(".sentence")).to_be_visible()
    assert set(page.locator(".group h3").all_text_contents()) <= {"duplicate.txt", "arabic.txt"}


def test_it_is_said_when_nothing_passes_the_filters(page: Page) -> None:
    page.click("#documents-summary")
    page.get_by_label("Documents", exact=True).fill("nowhere/*")
    page.fill("#question", MET)
    page.press("#question", "Enter")
    expect(page.locator(".silence")).to_have_text("No passage passes the filters.")


def test_speakers_of_like_names_are_offered_if_nobody_is_called_so(page: Page, served: str) -> None:
    page.route("**/v1/speakers", lambda route: route.fulfill(json={"speakers": ["Anna Berg", "Councillor Reyes"]}))
    page.goto(f"{served}/?q=Who+met+him%3F&speakers=rey")
    expect(page.locator("#status")).to_have_text("Nothing was searched")
    hint = page.locator("#answers .hint")
    expect(hint).to_have_text("No speaker is called “rey”. Did you mean Councillor Reyes? ")
    hint.get_by_role("link").click()
    expect(page.locator("#speakers-summary")).to_have_text("Councillor Reyes")
    assert parse_qs(urlsplit(page.url).query)["speakers"] == ["Councillor Reyes"]

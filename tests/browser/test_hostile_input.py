import pytest
from playwright.sync_api import Page, expect

from tests.browser.asking import answer, ask, marked, open_answer, settle
from tests.browser.corpus import HOSTILE_NAME, SCRIPT

pytestmark = pytest.mark.enable_socket

# The page draws its own signs and sets the places of what it draws; nothing of a document does.
INSIDE = "main :is(script, img, iframe, object, style, [onerror], [onclick]), .text :is(svg, [style])"
QUESTIONS = (
    SCRIPT,
    '"><img src=x onerror=alert(5)>',
    "javascript:alert(6)",
    "\u202e drow desrever ${alert(7)} {{alert(8)}}",
    "x" * 2000,
)


def require_nothing_parsed(page: Page) -> None:
    expect(page.locator(INSIDE)).to_have_count(0)
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_hostile_document_is_shown_as_text(page: Page) -> None:
    ask(page, "What did the hostile mayor say at the fountain?")
    expect(answer(page).locator(".sentence")).to_contain_text(SCRIPT)
    expect(page.locator(".lead .source")).to_contain_text(HOSTILE_NAME)
    require_nothing_parsed(page)
    open_answer(page)
    expect(marked(page)).to_contain_text(SCRIPT)
    expect(page.locator("#reader h2")).to_contain_text(HOSTILE_NAME)
    require_nothing_parsed(page)


def test_a_hostile_heading_is_shown_as_text(page: Page) -> None:
    ask(page, "When does the harbour office open?")
    source = page.locator(".lead .source")
    expect(source).to_contain_text("alert('text')</script><img src=x onerror=alert(1)>")
    expect(source).to_contain_text("javascript:alert(3)")
    require_nothing_parsed(page)


def test_hostile_names_are_listed_as_text(page: Page) -> None:
    page.click("text=Documents")
    expect(page.locator("#wide .list")).to_contain_text(HOSTILE_NAME)
    require_nothing_parsed(page)
    page.click("#wide .list a >> nth=0")
    expect(page.locator("#reader")).to_be_visible()
    require_nothing_parsed(page)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_hostile_question_is_shown_as_text(page: Page, question: str) -> None:
    ask(page, question)
    expect(page.locator("#question")).to_have_value(question.strip())
    require_nothing_parsed(page)
    page.reload()
    expect(page.locator("#question")).to_have_value(question.strip())
    expect(page.locator("#answers > *").first).to_be_visible()
    require_nothing_parsed(page)


@pytest.mark.parametrize(
    "address",
    [
        "/?cite=javascript:alert(1)",
        "/?cite=%3Cimg%20src=x%20onerror=alert(1)%3E",
        "/?document=../../etc/passwd",
        "/?document=%3Cscript%3Ealert(1)%3C/script%3E",
        "/?q=%ff%fe",
        "/?view=%3Cimg%20onerror=alert(1)%3E",
        "/?q=a&k=1e99&cite=a&cite=b",
        "/?q=a&k=-1",
    ],
)
def test_a_hostile_address_does_no_harm(page: Page, served: str, address: str) -> None:
    page.goto(served + address)
    settle(page)
    require_nothing_parsed(page)
    expect(page.locator("#question")).to_be_visible()


def test_the_policy_refuses_to_parse_markup(page: Page) -> None:
    refused = page.evaluate(
        "() => { try { document.querySelector('main').innerHTML = '<b>x</b>'; return '' } catch (e) { return e.name } }"
    )
    assert refused == "TypeError"


def test_an_answer_that_is_not_json_is_an_error(page: Page) -> None:
    page.route("**/v1/ask", lambda route: route.fulfill(status=200, body=SCRIPT))
    page.fill("#question", "Who?")
    page.press("#question", "Enter")
    expect(page.locator("#status.error")).to_contain_text("The server’s answer is not valid JSON. Try again;")
    require_nothing_parsed(page)

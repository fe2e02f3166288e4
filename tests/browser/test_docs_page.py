import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_accessibility import OVERFLOW, WIDTHS, require_no_violations

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def docs(page: Page, served: str) -> Page:
    """The API's description."""
    page.goto(f"{served}/docs")
    return page


def try_route(page: Page, route: str) -> None:
    page.locator(f"article:has([id='{route}']) .try summary").click()


def test_requests_can_be_tried_with_the_examples_and_with_other_values(docs: Page) -> None:
    try_route(docs, "get-v1-ask")
    article = docs.locator("article:has([id='get-v1-ask'])")
    article.get_by_role("button").click()
    expect(article.get_by_role("status")).to_contain_text("200 OK")
    expect(article.locator(".answer pre")).to_contain_text(
        '"question": "Which foreign minister met Pezeshkian in Tehran?"'
    )
    expect(article.locator(".answer dl")).to_contain_text("x-request-id")
    article.get_by_label("k", exact=True).fill("0")
    article.get_by_label("k", exact=True).press("Enter")
    expect(article.get_by_role("status")).to_contain_text("422")
    expect(article.locator(".answer pre")).to_contain_text('"location": "query.k"')


def test_a_body_is_sent_as_it_is_edited_if_it_is_json(docs: Page) -> None:
    try_route(docs, "post-v1-verify")
    article = docs.locator("article:has([id='post-v1-verify'])")
    body = article.get_by_label("Body")
    body.fill('{"text": ')
    body.press("Control+Enter")
    expect(article.get_by_role("status")).to_contain_text("The body is not JSON")
    body.fill('{"text": "The meeting focused on long-term cooperation."}')
    body.press("Control+Enter")
    expect(article.locator(".answer pre")).to_contain_text('"status": "verbatim"')


def test_a_path_is_filled_in_and_nothing_that_deletes_is_prefilled(docs: Page) -> None:
    try_route(docs, "get-v1-documents-document")
    article = docs.locator("article:has([id='get-v1-documents-document'])")
    article.get_by_label("document").fill("minutes.md")
    article.get_by_role("button").click()
    expect(article.locator(".answer pre")).to_contain_text('"title": "Minutes of the town council"')
    try_route(docs, "delete-v1-documents-document")
    deleting = docs.locator("article:has([id='delete-v1-documents-document'])")
    expect(deleting.get_by_label("document")).to_have_value("")


def test_a_link_to_a_schema_unfolds_it(docs: Page) -> None:
    docs.click("a[href='#schema-askrequest'] >> nth=0")
    expect(docs.locator("[id='schema-askrequest'] pre")).to_be_visible()


def test_the_page_is_accessible_and_fits_every_screen(docs: Page) -> None:
    try_route(docs, "post-v1-ask")
    for width in WIDTHS:
        docs.set_viewport_size({"width": width, "height": 800})
        assert not docs.evaluate(OVERFLOW), width
    require_no_violations(docs)

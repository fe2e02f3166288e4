"""Steps that many tests of the page share."""

from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

MET = "Which minister did Pezeshkian meet in Tehran?"
ANSWER = (
    "President Masoud Pezeshkian reaffirmed Iran Iraq ties during a formal meeting in Tehran with Iraqi Foreign "
    "Minister Fuad Hussein."
)


def ask(page: Page, question: str) -> None:
    """Type a question, press Enter, and wait for the answers."""
    page.fill("#question", question)
    page.press("#question", "Enter")
    expect(page.locator(".answer").first).to_be_visible()


def marked(page: Page) -> Locator:
    """Return the marked sentence of the open document, waiting until there is one."""
    sentence = page.locator("#reader .sentence[aria-current]")
    expect(sentence).to_be_visible()
    return sentence


def message_of(page: Page, url: str) -> str:
    """Return how the page shows the error with which a route of the API answers: 404, and what to do about it."""
    response = page.request.get(url)
    assert response.status == 404
    detail: str = response.json()["detail"]
    return f"{detail[0].upper()}{detail[1:]}. Check that the link is complete."


def cite_of(url: str) -> str | None:
    """Return the citation in an address of the page."""
    return parse_qs(urlsplit(url).query).get("cite", [None])[0]


def copied(page: Page) -> str:
    """Return the text on the clipboard."""
    text = page.evaluate("navigator.clipboard.readText()")
    assert isinstance(text, str)
    return text

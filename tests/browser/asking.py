"""What the tests of the page do again and again."""

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
    """Return the sentence that is marked in the document, once it is."""
    sentence = page.locator("#reader .sentence[aria-current]")
    expect(sentence).to_be_visible()
    return sentence


def cite_of(url: str) -> str | None:
    """Return the citation that an address of the page names."""
    return parse_qs(urlsplit(url).query).get("cite", [None])[0]


def copied(page: Page) -> str:
    """Return what was copied last."""
    text = page.evaluate("navigator.clipboard.readText()")
    assert isinstance(text, str)
    return text

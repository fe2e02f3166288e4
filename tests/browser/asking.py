"""Steps that many tests of the page share."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

MET = "Which minister did Pezeshkian meet in Tehran?"
ANSWER = (
    "President Masoud Pezeshkian reaffirmed Iran Iraq ties during a formal meeting in Tehran with Iraqi Foreign "
    "Minister Fuad Hussein."
)
# Counts what is fetched and not yet read to its end.
COUNT_FETCHES = """
  window.fetches = 0;
  for (const [owner, name] of [[window, "fetch"], [Response.prototype, "json"]]) {
    const original = owner[name];
    owner[name] = async function (...sent) {
      window.fetches += 1;
      try {
        return await original.apply(this, sent);
      } finally {
        window.fetches -= 1;
      }
    };
  }
"""
# The page looks for what it lacks in the frame after it was scrolled, and in the one after something came.
SETTLED = """async () => {
  for (let quiet = 0; quiet < 5; quiet = window.fetches ? 0 : quiet + 1) await new Promise(requestAnimationFrame);
}"""


def settle(page: Page) -> None:
    """Wait until the page has fetched and set all that it lacks."""
    page.evaluate(SETTLED)


def wait_until(page: Page, holds: Callable[[], object]) -> None:
    """Try again until it holds, and let the page go on meanwhile; how long that takes is not what is tested."""
    for _ in range(600):
        if holds():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it never came to hold")


def ask(page: Page, question: str) -> None:
    """Type a question, press Enter, and wait for the answers."""
    page.fill("#question", question)
    page.press("#question", "Enter")
    expect(page.locator("#question")).to_have_value(question.strip())
    expect(page.locator("#answers > *").first).to_be_visible()


def answer(page: Page, rank: int = 1) -> Locator:
    """Return an answer by its rank; neighbours of the first one stand around it, in the order of their document."""
    return page.locator(f".answer[data-rank='{rank}']")


def open_answer(page: Page, rank: int = 1) -> None:
    """Choose an answer, and wait until the reader is at its sentence."""
    answer(page, rank).locator(".open").click()
    expect(page.locator("#reader .sentence[aria-current]:focus")).to_be_visible()


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


def screenshot(page: Page, folder: Path, name: str) -> None:
    """Take a picture of what is on the screen."""
    page.screenshot(path=folder / f"{name}.png", animations="disabled", caret="hide")
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def cite_of(url: str) -> str | None:
    """Return the citation in an address of the page."""
    return parse_qs(urlsplit(url).query).get("cite", [None])[0]


def copied(page: Page) -> str:
    """Return the text on the clipboard."""
    text = page.evaluate("navigator.clipboard.readText()")
    assert isinstance(text, str)
    return text

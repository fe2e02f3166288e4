"""Screenshots of the main states, to look at: ``pytest tests/browser/test_screenshots.py --screenshots FOLDER``."""

from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.asking import MET, ask, marked

pytestmark = pytest.mark.enable_socket

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Name -> address, a selector that is visible once the state is reached, width, and colour scheme.
STATES = {
    "empty": ("/", "#intro", 1280, "light"),
    "narrow": (f"/?q={quote(MET)}", ".answer", 360, "light"),
    "unanswered": ("/?q=What+is+the+boiling+point+of+tungsten%3F", ".silence", 1280, "light"),
    "markdown": ("/?document=minutes.md", "#reader .text", 768, "light"),
    "arabic": (f"/?q={quote('جسر جديد فوق النهر')}", ".answer", 1024, "light"),
    "hostile": ("/?q=What+did+the+hostile+mayor+say%3F", ".answer", 1024, "dark"),
}


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(request.config.getoption("--screenshots") or tmp_path)


def screenshot(page: Page, folder: Path, name: str) -> None:
    page.screenshot(path=folder / f"{name}.png", animations="disabled", caret="hide")
    assert (folder / f"{name}.png").read_bytes().startswith(SIGNATURE)


@pytest.mark.parametrize("name", STATES)
def test_screenshot_of_a_state(browser: Browser, served: str, folder: Path, name: str) -> None:
    address, selector, width, scheme = STATES[name]
    page = browser.new_page(
        viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page.goto(served + address)
    expect(page.locator(selector).first).to_be_visible()
    screenshot(page, folder, name)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshot_of_an_answer_in_its_document(browser: Browser, served: str, folder: Path, scheme: str) -> None:
    page = browser.new_page(
        viewport={"width": 1280, "height": 760}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page.goto(served)
    ask(page, MET)
    marked(page)
    screenshot(page, folder, f"answer-{scheme}")
    page.close()

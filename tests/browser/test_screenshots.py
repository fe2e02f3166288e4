"""Screenshots of the main states, to look at: ``pytest tests/browser/test_screenshots.py --screenshots FOLDER``."""

from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.asking import MET, ask, marked, screenshot

pytestmark = pytest.mark.enable_socket

# Name -> address, a selector that is visible once the state is reached, width, and colour scheme.
STATES = {
    "empty": ("/", "#intro", 1280, "light"),
    "narrow": (f"/?q={quote(MET)}", ".answer", 360, "light"),
    "unanswered": ("/?q=What+is+the+boiling+point+of+tungsten%3F", ".silence", 1280, "light"),
    "front": ("/", "#holds:not(:empty)", 1280, "light"),
    "markdown": ("/?document=minutes.md", "#reader .text", 768, "light"),
    "arabic": (f"/?q={quote('جسر جديد فوق النهر')}", ".answer", 1024, "light"),
    "hostile": ("/?q=What+did+the+hostile+mayor+say%3F", ".answer", 1024, "dark"),
}


@pytest.mark.parametrize("name", STATES)
def test_screenshot_of_a_state(browser: Browser, served: str, pictures: Path, name: str) -> None:
    address, selector, width, scheme = STATES[name]
    page = browser.new_page(
        viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page.goto(served + address)
    expect(page.locator(selector).first).to_be_visible()
    screenshot(page, pictures, name)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshot_of_an_answer_in_its_document(browser: Browser, served: str, pictures: Path, scheme: str) -> None:
    page = browser.new_page(
        viewport={"width": 1280, "height": 760}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page.goto(served)
    ask(page, MET)
    marked(page)
    screenshot(page, pictures, f"answer-{scheme}")
    page.close()

"""Debian's Chromium, driven by Playwright, on the page as it is served."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, sync_playwright

from sourceline.config import load_settings
from sourceline.indexing.builder import build
from sourceline.server.app import create_guarded_app
from sourceline.types import DEFAULT_MODEL
from tests.browser.corpus import write_corpus
from tests.server.running import listening

INSTALL = "apt-get update && apt-get install -y --no-install-recommends chromium"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the distribution's browser is; it is installed if it is not there and can be."""
    if not shutil.which("chromium") and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["bash", "-c", INSTALL], check=False, capture_output=True)
    found = shutil.which("chromium")
    if not found:
        pytest.skip(f"there is no Chromium, and it could not be installed: {INSTALL}")
    return found


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # What drives it is this test, as whom the container runs it: its own sandbox needs a user without rights.
        sandbox = [] if os.geteuid() else ["--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=chromium, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def served(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the corpus. Nothing is to be rebuilt there."""
    documents, index = (tmp_path_factory.mktemp(name) for name in ("documents", "browser-index"))
    write_corpus(documents)
    shutil.copytree(exported, index, dirs_exist_ok=True)
    build(documents, index, DEFAULT_MODEL)
    with listening(create_guarded_app(load_settings(documents=documents, index=index))) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser without a past, in which nothing may go wrong and no other host be asked."""
    permissions = ["clipboard-read", "clipboard-write"]
    context = browser.new_context(viewport={"width": 1280, "height": 900}, permissions=permissions)
    wrong: list[str] = []

    def note(said: ConsoleMessage) -> None:
        if "Content Security Policy" in said.text:
            wrong.append(said.text)

    def dismiss(dialog: Dialog) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def look(sent: Request) -> None:
        if not sent.url.startswith("http://127.0.0.1:"):
            wrong.append(sent.url)

    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on("console", note)
    context.on("dialog", dismiss)
    context.on("request", look)
    yield context
    context.close()
    assert wrong == []


@pytest.fixture
def page(context: BrowserContext, served: str) -> Page:
    """The empty page over the corpus."""
    page = context.new_page()
    page.goto(served)
    return page

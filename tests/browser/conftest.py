"""Debian's Chromium, driven by Playwright, on the page as it is served."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, expect, sync_playwright

from sourceline.config import load_settings
from sourceline.indexing.builder import build
from sourceline.server.app import create_app
from sourceline.types import DEFAULT_MODEL, NO_RERANKER
from tests.browser.asking import COUNT_FETCHES
from tests.browser.corpus import write_corpus
from tests.support.server import listening

# How long the page may take is not what is tested: only what never comes is to fail, also on a busy machine.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)

INSTALL = "apt-get update && apt-get install -y --no-install-recommends chromium"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the distribution's browser, which is installed if it is missing and can be."""
    if not shutil.which("chromium") and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["bash", "-c", INSTALL], check=False, capture_output=True)
    path = shutil.which("chromium")
    if not path:
        pytest.skip(f"there is no Chromium, and it could not be installed: {INSTALL}")
    return path


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium refuses to sandbox itself when it runs as root, as in most containers.
        sandbox = [] if os.geteuid() else ["--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=chromium, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def served(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the corpus, shared by all tests: nothing may be rebuilt there, and nothing reads."""
    documents, index = (tmp_path_factory.mktemp(name) for name in ("documents", "browser-index"))
    write_corpus(documents)
    shutil.copytree(exported, index, dirs_exist_ok=True, copy_function=os.link)
    build(documents, index, DEFAULT_MODEL)
    with listening(create_app(load_settings(documents=documents, index=index, reranker=NO_RERANKER))) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh browser profile. Script errors, dialogs, breaches of the policy and foreign requests fail the test."""
    permissions = ["clipboard-read", "clipboard-write"]
    context = browser.new_context(viewport={"width": 1280, "height": 900}, permissions=permissions)
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(COUNT_FETCHES)
    problems: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            problems.append(message.text)

    def on_dialog(dialog: Dialog) -> None:
        problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def on_request(request: Request) -> None:
        if not request.url.startswith("http://127.0.0.1:"):
            problems.append(request.url)

    context.on("weberror", lambda error: problems.append(str(error.error)))
    context.on("console", on_console)
    context.on("dialog", on_dialog)
    context.on("request", on_request)
    yield context
    context.close()
    assert problems == []


@pytest.fixture
def pictures(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where screenshots go: the folder of ``--screenshots``."""
    return Path(request.config.getoption("--screenshots") or tmp_path)


@pytest.fixture
def page(context: BrowserContext, served: str) -> Page:
    """The empty page over the corpus."""
    page = context.new_page()
    page.goto(served)
    return page

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from sourceline.config import load_settings
from sourceline.index.snapshot import open_current
from sourceline.indexing.builder import build
from sourceline.server.app import create_app
from sourceline.types import DEFAULT_MODEL
from tests.browser.asking import ANSWER, MET, ask, copied, marked, message_of, open_answer, screenshot
from tests.support.server import listening

pytestmark = pytest.mark.enable_socket

BEFORE = {
    "a.txt": "The council met on Monday. Trade grew by 6 percent in spring. Nobody spoke of roads. It ended at six.\n",
    "b.txt": "The harbour is old. Ships come at noon.\n",
    "gone.txt": "This file will be deleted soon.\n",
}
AFTER = {
    "a.txt": "The council met on Monday. Trade grew by 8 percent in spring. It ended at six.\n",
    "c.txt": "The harbour is old. Ships come at noon.\n",
}


@dataclass(frozen=True)
class Edited:
    """A server of documents that were edited, and the citations of their sentences from before and after."""

    url: str
    citations: dict[str, str]

    def open(self, page: Page, text: str) -> Locator:
        """Open the link of a sentence; return the note of its citation."""
        page.goto(f"{self.url}/?cite={self.citations[text]}")
        note = page.locator("#note")
        expect(note).to_be_visible()
        return note


@pytest.fixture(scope="module")
def edited(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edited]:
    documents, index = (tmp_path_factory.mktemp(name) for name in ("edited", "edited-index"))
    shutil.copytree(exported, index, dirs_exist_ok=True, copy_function=os.link)
    citations: dict[str, str] = {}
    for files in (BEFORE, AFTER):
        for path in documents.iterdir():
            path.unlink()
        for name, text in files.items():
            (documents / name).write_text(text)
        build(documents, index, DEFAULT_MODEL)
        passages = open_current(index).passages
        for entry in passages.documents:
            for passage in passages.of_document(entry):
                citations.setdefault(passage.text, passage.id)  # the id under which it was first cited
    with listening(create_app(load_settings(documents=documents, index=index))) as (host, port):
        yield Edited(f"http://{host}:{port}", citations)


@pytest.fixture
def cited(page: Page) -> Page:
    """The page with the first answer open in its document."""
    ask(page, MET)
    open_answer(page)
    return page


def test_the_link_opens_the_document_at_the_sentence(cited: Page, context: BrowserContext, served: str) -> None:
    cited.locator("#note").get_by_role("button", name="Copy link").click()
    expect(cited.locator("#toast")).to_have_text("Copied the link.")
    link = copied(cited)
    assert re.fullmatch(re.escape(served) + r"/\?cite=c[a-z2-7]{15}", link)
    other = context.new_page()
    other.goto(link)
    expect(marked(other)).to_have_text(ANSWER)
    expect(other.locator("#note h3")).to_have_text("Cited sentence")
    expect(other.locator("#note .status")).to_have_text("Stands as cited")


@pytest.mark.parametrize("button", ["#note >> text=Copy", ".lead .acts > button >> text=Copy citation"])
def test_a_citation_copied_as_text_has_quote_document_line_date_and_link(cited: Page, served: str, button: str) -> None:
    cited.click(button)
    expect(cited.locator("#toast")).to_have_text("Copied the quote with its source.")
    link = f"{served}/?cite={cited.locator('#note code').text_content()}"
    today = date.today().isoformat()
    assert copied(cited) == f"“{ANSWER}” — meeting.txt, line 1. Cited {today}. {link}"


def test_a_citation_copied_as_json_is_a_w3c_annotation_with_the_selectors_of_the_api(cited: Page, served: str) -> None:
    cited.locator("#note").get_by_role("button", name="Copy JSON").click()
    expect(cited.locator("#toast")).to_have_text("Copied the W3C annotation.")
    annotation = json.loads(copied(cited))
    citation = cited.request.get(f"{served}/v1/citations/{annotation['sourceline:citation']}").json()
    assert annotation["@context"] == "http://www.w3.org/ns/anno.jsonld"
    assert annotation["type"] == "Annotation"
    assert annotation["id"] == f"{served}/?cite={citation['citation']}"
    assert annotation["target"] == {"source": f"{served}/?document=meeting.txt", "selector": citation["selectors"]}
    assert annotation["target"]["selector"][0]["exact"] == ANSWER


def test_without_a_clipboard_the_text_is_shown_to_be_copied_by_hand(cited: Page, served: str) -> None:
    cited.evaluate("() => { navigator.clipboard.writeText = async () => { throw new DOMException('no') } }")
    cited.locator("#note").get_by_role("button", name="Copy link").click()
    expect(cited.locator("#copy-text")).to_be_focused()
    assert cited.evaluate("String(document.querySelector('#copy-text').value)").startswith(f"{served}/?cite=")
    cited.keyboard.press("Escape")
    expect(cited.locator("#copy")).to_be_hidden()


def test_an_edited_sentence_shows_the_changed_words_and_is_marked_as_it_stands_now(
    context: BrowserContext, edited: Edited
) -> None:
    page = context.new_page()
    note = edited.open(page, "Trade grew by 6 percent in spring.")
    expect(note.locator("h3")).to_have_text("Edited since it was cited")
    expect(note.locator("blockquote")).to_have_text(["Trade grew by 68 percent in spring."])
    expect(note.locator("del")).to_have_text(["6"])
    expect(note.locator("ins")).to_have_text(["8"])
    expect(marked(page)).to_have_text("Trade grew by 8 percent in spring.")


def test_a_screenshot_of_an_edited_sentence(browser: Browser, edited: Edited, pictures: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 640})
    edited.open(page, "Trade grew by 6 percent in spring.")
    screenshot(page, pictures, "changed")
    page.close()


def test_a_moved_sentence_is_marked_in_its_new_place(context: BrowserContext, edited: Edited) -> None:
    page = context.new_page()
    note = edited.open(page, "Ships come at noon.")
    expect(note.locator("h3")).to_have_text("Stands elsewhere now")
    expect(note.locator("blockquote")).to_have_text(["Ships come at noon."])
    expect(note.locator(".where")).to_have_text(["Now in c.txt, line 1", "Cited from b.txt, line 1"])
    expect(marked(page)).to_have_text("Ships come at noon.")
    expect(page.locator("#reader h2")).to_have_text("c.txt")


def test_a_removed_sentence_is_shown_as_cited_with_what_stands_in_its_place(
    context: BrowserContext, edited: Edited
) -> None:
    page = context.new_page()
    note = edited.open(page, "Nobody spoke of roads.")
    expect(note.locator("h3")).to_have_text("No longer in the documents")
    expect(note.locator("blockquote").first).to_have_text("Nobody spoke of roads.")
    expect(note.locator("h4")).to_have_text(["As cited", "In its old place now"])
    expect(page.locator("#reader .sentence[aria-current]")).to_have_count(0)
    expect(page.locator("#reader .text")).to_contain_text("It ended at six.")


def test_a_sentence_of_a_deleted_document_is_shown_as_cited(context: BrowserContext, edited: Edited) -> None:
    page = context.new_page()
    edited.open(page, "This file will be deleted soon.")
    expect(page.locator("#note.removed .status")).to_have_text("The document is gone, too.")
    expect(page.locator("#pane blockquote")).to_have_text("“This file will be deleted soon.”")
    expect(page.locator("#reader h2")).to_have_text("gone.txt")


def test_an_id_that_was_never_issued_is_an_error(page: Page, served: str) -> None:
    page.goto(f"{served}/?cite=cnever")
    expect(page.locator("#status.error")).to_have_text(message_of(page, f"{served}/v1/citations/cnever"))

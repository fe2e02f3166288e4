import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, Route, expect

from sourceline.config import load_settings
from sourceline.indexing.builder import build
from sourceline.server.app import create_app
from sourceline.types import DEFAULT_MODEL, NO_RERANKER
from tests.browser.test_accessibility import OVERFLOW, WIDTHS, require_no_violations
from tests.support.server import listening

pytestmark = pytest.mark.enable_socket

ROWS = ".list tbody tr"
KEY = "s3cret"
REBUILT_MS = 300_000  # on a busy machine


@pytest.fixture
def editable(index: Path, documents: Path) -> Iterator[str]:
    """The address of a server whose documents may be written and read again."""
    (documents / "a.txt").write_text("The council met on Monday.\n")
    build(documents, index, DEFAULT_MODEL)
    settings = load_settings(
        documents=documents, index=index, reranker=NO_RERANKER, api_key=KEY, allow_edits=True, max_document_bytes=1_000
    )
    with listening(create_app(settings)) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture
def editing(context: BrowserContext, editable: str) -> Page:
    """The page of its documents, with the key."""
    page = context.new_page()
    page.goto(editable)
    page.evaluate(f"sessionStorage.setItem('sourceline-key', '{KEY}')")
    page.goto(f"{editable}/?view=documents")
    expect(page.locator(ROWS)).to_have_count(1)
    return page


def text_file(name: str, text: str) -> FilePayload:
    return {"name": name, "mimeType": "text/plain", "buffer": text.encode()}


def change_index(page: Page, **values: object) -> None:
    """Let the server say something else of its index."""

    def change(route: Route) -> None:
        route.fulfill(json={**route.fetch().json(), **values})

    page.route("**/v1/index", change)


def test_documents_are_listed_with_what_is_known_of_them_and_can_be_read(page: Page) -> None:
    page.click("text=Documents")
    expect(page.locator("#wide h1")).to_have_text("Six documents")
    expect(page.locator(".standfirst")).to_have_text(
        re.compile(r"^Read today at \d\d:\d\d\. \d+ sentences can be cited\.$")
    )
    expect(page.locator(ROWS)).to_have_count(6)
    minutes = page.locator(ROWS, has_text="Minutes of the town council")
    expect(minutes.locator("small")).to_have_text("minutes.md")
    expect(minutes.locator("td").nth(3)).to_have_text("8 sentences")
    meeting = page.locator(ROWS, has_text="meeting.txt")
    expect(meeting.locator("td")).to_have_text(
        ["meeting.txt", "", re.compile(r"^\w+ \d+, \d{4}$"), "48 sentences", "2.9 KB"]
    )
    meeting.locator("a").click()
    expect(page.locator("#reader")).to_contain_text("The meeting focused on long-term cooperation.")
    page.go_back()
    expect(page.locator(ROWS)).to_have_count(6)
    expect(page.get_by_role("button", name=re.compile("Delete|Add"))).to_have_count(0)


def test_what_was_left_out_is_told_with_the_reason(page: Page, served: str) -> None:
    page.goto(f"{served}/?view=documents")
    expect(page.locator(".out summary")).to_have_text("2 files left outOne could not be read")
    expect(page.locator(".out dt")).to_have_text(["scanned.txt", "photo.jpg"])
    expect(page.locator(".out dd")).to_have_text([re.compile(r"^It is not UTF-8: .*\.$"), "Its format is not read."])


def test_fifty_thousand_documents_can_be_looked_through(page: Page, served: str) -> None:
    snapshot = page.request.get(f"{served}/v1/index").json()["snapshot"]
    change_index(page, snapshot={**snapshot, "documents": 50_000})

    def listed(route: Route) -> None:
        first = int(parse_qs(urlsplit(route.request.url).query).get("cursor", ["0"])[0])
        entries = [{"id": f"d{n:05}.txt", "title": f"Protocol {n}", "passages": 1} for n in range(first, first + 5_000)]
        more = {"next": str(first + 5_000)} if first < 45_000 else {}
        route.fulfill(body=json.dumps({"documents": entries, "snapshot": "s", **more}))

    page.route("**/v1/documents?*", listed)
    page.goto(f"{served}/?view=documents")
    expect(page.locator("#wide h1")).to_have_text("50,000 documents")
    expect(page.locator(ROWS)).to_have_count(200)
    page.click("#more")
    expect(page.locator(ROWS)).to_have_count(400)
    page.fill("#filter", "PROTOCOL 49999")
    expect(page.locator("#matching")).to_have_text("1 of 50,000")
    expect(page.locator(f"{ROWS} td:first-child")).to_have_text(["Protocol 49999d49999.txt"])
    page.fill("#filter", "no such document")
    expect(page.locator(ROWS)).to_have_count(0)


def test_what_has_changed_is_told_and_read_until_it_is_served(editing: Page, documents: Path) -> None:
    expect(editing.locator("#changes p")).to_have_text("Nothing has changed since then.")
    (documents / "a.txt").write_text("The council met on Tuesday.\n")
    (documents / "b.txt").write_text("It rained.\n")

    def told() -> bool:
        editing.reload()
        editing.locator(ROWS).first.wait_for()
        return "Two files have changed since then: b.txt, a.txt." in editing.locator("#changes").inner_text()

    for _ in range(600):
        if told():
            break
    editing.click("text=Read them now")
    expect(editing.locator("#changes")).to_contain_text("The files are being read.")
    expect(editing.locator(ROWS)).to_have_count(2, timeout=REBUILT_MS)
    expect(editing.locator("#toast")).to_have_text("Read: 1 added, 1 changed.")
    expect(editing.locator("#changes p")).to_have_text("Nothing has changed since then.")


def test_files_are_added_and_deleted_and_what_is_refused_says_why(editing: Page, documents: Path) -> None:
    files = [
        text_file("crane.md", "# The crane\n\nIt stands on the pier.\n"),
        text_file("a.txt", "The council met on Friday.\n"),
        text_file("empty.txt", ""),
        text_file("x.exe", "x"),
        text_file("long.txt", "x" * 1_001),
    ]
    editing.set_input_files("#choose", files)
    expect(editing.locator("#uploads li")).to_have_text(
        [
            "a.txtThere is a document of this name. Replace it Leave it ",
            "empty.txtIt is empty. Dismiss ",
            re.compile(r"^x\.exeThe format is not read; these are: .* Dismiss $"),
            "long.txtThe document is larger than 1,000 bytes. Dismiss ",
        ]
    )
    expect(editing.locator(f"{ROWS} a")).to_have_text(["a.txt", "The crane"], timeout=REBUILT_MS)
    for name in ("Leave it ", "Dismiss ", "Dismiss ", "Dismiss "):
        editing.get_by_role("button", name=name).first.click()
    expect(editing.locator("#uploads li")).to_have_count(0)
    assert (documents / "a.txt").read_text() == "The council met on Monday.\n"

    editing.click("[aria-label='Delete The crane']")
    expect(editing.get_by_role("dialog")).to_contain_text("Citations of its sentences stay")
    editing.click("text=Keep it")
    expect(editing.get_by_role("dialog")).to_have_count(0)
    editing.click("[aria-label='Delete The crane']")
    editing.click("text=Delete it")
    expect(editing.locator(f"{ROWS} a")).to_have_text(["a.txt"], timeout=REBUILT_MS)
    assert [path.name for path in documents.iterdir()] == ["a.txt"]


def test_a_rebuild_that_fails_says_why_and_leaves_the_index_as_it_was(editing: Page, documents: Path) -> None:
    (documents / "a.txt").unlink()
    editing.click("#rebuild")
    expect(editing.locator("#failed")).to_contain_text("Reading failed: no document in", timeout=REBUILT_MS)
    expect(editing.locator("#failed")).to_contain_text("Answers come from what was read before.")
    expect(editing.locator(f"{ROWS} a")).to_have_text(["a.txt"])


@pytest.mark.parametrize(
    ("status", "detail"),
    [(409, "a rebuild is running: wait for it to end"), (403, "this key lacks the scope manage")],
)
def test_a_rebuild_that_is_refused_says_why(page: Page, served: str, status: int, detail: str) -> None:
    page.route("**/v1/index/rebuild", lambda route: route.fulfill(status=status, json={"detail": detail}))
    page.goto(f"{served}/?view=documents")
    page.click("#rebuild")
    expect(page.locator("#outcome.error")).to_have_text(f"{detail.capitalize()}.")


def test_the_api_key_is_asked_for_once_and_kept_for_the_tab(
    context: BrowserContext, seed_index: Path, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    shutil.copytree(seed_index, index)
    with listening(create_app(load_settings(documents=tmp_path, index=index, api_key=KEY))) as (host, port):
        page = context.new_page()
        page.goto(f"http://{host}:{port}/?view=documents")
        page.fill("#key-field", "wrong")
        page.press("#key-field", "Enter")
        expect(page.locator("#key-note")).to_have_text("That key is not valid. Try again.")
        page.fill("#key-field", KEY)
        page.press("#key-field", "Enter")
        expect(page.locator(f"{ROWS} a")).to_have_text(["meeting.txt"])
        page.goto(f"http://{host}:{port}/?view=verify")
        page.fill("#draft", "The meeting focused on long-term cooperation.")
        page.press("#draft", "Control+Enter")
        expect(page.locator(".proof li")).to_have_count(1)
        expect(page.locator("#key")).to_be_hidden()


def test_the_page_is_accessible_and_fits_every_screen(page: Page, served: str) -> None:
    changes = {
        "checked": "2026-11-28T03:00:00Z",
        "total": 5,
        "added": ["a/" + "long" * 60],
        "changed": [],
        "removed": [],
    }
    change_index(page, allow_edits=True, changes=changes)
    page.goto(f"{served}/?view=documents")
    page.set_input_files("#choose", [text_file("empty.txt", "")])
    expect(page.locator("#uploads li")).to_have_count(1)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert not page.evaluate(OVERFLOW), width
    require_no_violations(page)
    page.get_by_role("button", name="Delete meeting.txt").click()
    require_no_violations(page)

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from sourceline.config import load_settings
from sourceline.indexing.builder import build
from sourceline.server.app import create_app
from sourceline.types import DEFAULT_MODEL
from tests.browser.corpus import HOSTILE_NAME
from tests.support.server import listening

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def editable(index: Path, documents: Path) -> Iterator[str]:
    """The address of a server whose documents may be changed and rebuilt."""
    (documents / "a.txt").write_text("The council met on Monday.\n")
    build(documents, index, DEFAULT_MODEL)
    with listening(create_app(load_settings(documents=documents, index=index))) as (host, port):
        yield f"http://{host}:{port}"


def test_all_documents_are_listed_and_can_be_read(page: Page) -> None:
    page.click("text=Documents")
    titles = page.locator(".documents a")
    expect(titles).to_have_count(6)
    expect(page.locator(".documents .source").nth(0)).to_have_text(re.compile(r"^<img.*>\.txt · 3 passages$"))
    page.click(".documents a >> text=meeting")
    expect(page.locator("#reader h2")).to_have_text("meeting")
    expect(page.locator("#reader .source").first).to_have_text("meeting.txt · 48 passages")
    page.go_back()
    expect(titles).to_have_count(6)


def test_the_list_of_documents_can_be_filtered(page: Page) -> None:
    page.click("text=Documents")
    page.fill("#filter", "ARAB")
    expect(page.locator(".documents a")).to_have_text(["arabic"])
    expect(page.locator("#answers p[role=status]")).to_have_text("1 of 6.")
    page.fill("#filter", HOSTILE_NAME)
    expect(page.locator(".documents a")).to_have_count(1)
    page.fill("#filter", "no such document")
    expect(page.locator(".documents a")).to_have_count(0)


def test_the_state_of_the_index_and_the_files_left_out_are_shown(page: Page, served: str) -> None:
    page.click("text=Documents")
    snapshot = page.request.get(f"{served}/v1/index").json()["snapshot"]
    expect(page.locator("#index p").first).to_contain_text(f"6 documents, {snapshot['passages']} passages, built ")
    expect(page.locator("#index p").first).to_contain_text(snapshot["model"])
    expect(page.locator("#index time")).to_have_attribute("datetime", snapshot["created"])
    expect(page.locator("#index h3")).to_have_text(["1 file could not be read", "1 file in other formats"])
    expect(page.locator(".skipped dt")).to_have_text("scanned.txt")
    expect(page.locator(".skipped dd")).to_have_text(snapshot["skipped"]["scanned.txt"])
    expect(page.locator(".ignored dt")).to_have_text("photo.jpg")
    expect(page.locator(".ignored dd")).to_have_text(snapshot["ignored"]["photo.jpg"])


def test_a_rebuild_is_followed_until_its_snapshot_is_served(
    context: BrowserContext, editable: str, documents: Path
) -> None:
    page = context.new_page()
    page.goto(f"{editable}/?view=documents")
    expect(page.locator(".documents a")).to_have_text(["a"])
    for number in range(40):
        (documents / f"b{number:02}.txt").write_text("".join(f"Report {number}: item {n} passed.\n" for n in range(40)))
    (documents / "bad.txt").write_bytes(b"\xff\xff")
    page.click("#rebuild")
    expect(page.locator("#rebuild")).to_be_disabled()
    expect(page.locator("#rebuild-percent")).to_have_text(re.compile(r"^\d+%$"), timeout=60_000)
    assert page.locator("#rebuild-progress").evaluate("bar => bar.value <= bar.max && bar.max > 1")
    expect(page.locator("#report")).to_have_text(
        "The last rebuild: 40 added, 0 changed, 1 unchanged, 0 removed.", timeout=60_000
    )
    expect(page.locator(".documents a")).to_have_count(41)
    expect(page.locator(".skipped dt")).to_have_text("bad.txt")
    expect(page.locator("#toast")).to_have_text(re.compile(r"^Rebuilt in [\d.]+ s\.$"))
    expect(page.locator("#rebuild")).to_be_enabled()


def test_a_rebuild_that_fails_says_why_and_leaves_the_index_as_it_was(
    context: BrowserContext, editable: str, documents: Path
) -> None:
    page = context.new_page()
    page.goto(f"{editable}/?view=documents")
    (documents / "a.txt").unlink()
    page.click("#rebuild")
    expect(page.locator("#failed")).to_contain_text("The last rebuild failed: no document in", timeout=60_000)
    expect(page.locator("#failed")).to_contain_text("The index from before is still served.")
    expect(page.locator(".documents a")).to_have_text(["a"])


def test_a_second_rebuild_at_the_same_time_is_an_error(page: Page, served: str) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=409, body='{"detail": "a rebuild is running: wait for it to end"}')

    page.goto(f"{served}/?view=documents")
    page.route("**/v1/index/rebuild", refuse)
    page.click("#rebuild")
    expect(page.locator("#status.error")).to_have_text("A rebuild is running: wait for it to end.")


def test_the_api_key_is_asked_for_once_and_kept_for_the_tab(
    context: BrowserContext, seed_index: Path, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    shutil.copytree(seed_index, index)
    with listening(create_app(load_settings(documents=tmp_path, index=index, api_key="s3cret"))) as (host, port):
        page = context.new_page()
        page.goto(f"http://{host}:{port}/?view=documents")
        page.fill("#key-field", "wrong")
        page.press("#key-field", "Enter")
        expect(page.locator("#key-note")).to_have_text("That key is not valid. Try again.")
        page.fill("#key-field", "s3cret")
        page.press("#key-field", "Enter")
        expect(page.locator(".documents a")).to_have_text(["meeting"])
        page.goto(f"http://{host}:{port}/?q=Who+met+Pezeshkian")
        expect(page.locator(".answer")).to_have_count(5)
        expect(page.locator("#key")).to_be_hidden()

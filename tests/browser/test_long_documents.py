"""A long document is read by stretches: few elements, and nothing jumps."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from sourceline.config import load_settings
from sourceline.index.passage_store import PassageStoreWriter
from sourceline.ingest.sentences import split_passages
from sourceline.server.app import create_app
from sourceline.types import NO_RERANKER, Passage
from tests.browser.asking import SETTLED, marked, settle
from tests.support.index_folder import copy_index
from tests.support.server import listening
from tests.support.texts import document

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
from long_document import NAME, make_document, serve_passages

pytestmark = pytest.mark.enable_socket

MEGABYTES = 5
MAX_NODES = 2_500
SECTION = """## Section {0}

The council met {0} times. It was *not* enough. Nobody spoke of {0} roads.

- Item one of {0}.
- Item two of {0}:
  - Below it, {0}.

```text
# Comment {0}

- Code {0}
```

| Name | Amount |
|------|--------|
| Anna {0} | {0} francs |
| Bo {0} | None |

"""
FIRST_SEEN = """[...document.querySelectorAll("#pane .block")].find((block) =>
  block.getBoundingClientRect().bottom > document.querySelector("#pane").getBoundingClientRect().top)?.textContent"""
NODES = "document.getElementsByTagName('*').length"
# Scrolls by so many pixels, many times, and returns by how many pixels more or less the text on the screen moved once
# the page had fetched and set what it lacked.
SCROLL = """async ([step, times]) => {
  const pane = document.querySelector("#pane");
  const scroller = getComputedStyle(pane).overflowY === "visible" ? document.scrollingElement : pane;
  const settle = SETTLED;
  const errors = [];
  for (let i = 0; i < times; i += 1) {
    const seen = [...document.querySelectorAll("#reader .sentence")].find((e) => e.getBoundingClientRect().top > 200);
    const before = seen.getBoundingClientRect().top;
    scroller.scrollBy({ top: step, behavior: "instant" });
    await settle();
    errors.push(Math.abs(before - seen.getBoundingClientRect().top - step));
  }
  return Math.max(...errors);
}""".replace("SETTLED", SETTLED)


@dataclass(frozen=True)
class Long:
    """The address of a server of long.txt and long.md, with their texts and passages."""

    url: str
    text: str
    passages: list[Passage]
    markdown: tuple[Passage, ...]


@pytest.fixture(scope="module")
def long(seed_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Long]:
    folder = tmp_path_factory.mktemp("long")
    index, store = folder / "index", folder / "store"
    copy_index(seed_index, index)
    store.mkdir()
    whole, passages = make_document(MEGABYTES * 1_000_000)
    markdown = document("# Sections\n\n" + "".join(SECTION.format(number) for number in range(750)), "long.md")
    sections = split_passages(markdown)
    with PassageStoreWriter(store) as writer:
        writer.add(markdown, sections)
        writer.add(whole, passages)
        writer.write()
    app = create_app(load_settings(documents=folder, index=index, reranker=NO_RERANKER))
    serve_passages(app, store)
    with listening(app) as (host, port):
        yield Long(f"http://{host}:{port}", whole.text, passages, sections)


def sentences(page: Page) -> list[str]:
    return page.locator("#reader .sentence").all_text_contents()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_sentence_in_the_middle_is_shown_with_few_elements_and_the_text_around_it(
    page: Page, long: Long, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    cited = long.passages[len(long.passages) // 2]
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(f"{long.url}/?cite={cited.id}")
    expect(marked(page)).to_have_text(cited.text)
    expect(marked(page)).to_be_focused()
    settle(page)
    expect(marked(page)).to_be_in_viewport(ratio=1)
    shown = page.locator("#reader .text").text_content() or ""
    assert shown in long.text
    assert 5_000 < len(shown) < 150_000
    assert 1 <= len([url for url in fetched if "/v1/documents/" in url]) <= 5
    assert page.evaluate(NODES) < MAX_NODES


@pytest.mark.parametrize("step", [400, -400, 1_300])
def test_text_on_the_screen_moves_only_as_far_as_it_is_scrolled(page: Page, long: Long, step: int) -> None:
    page.goto(f"{long.url}/?cite={long.passages[len(long.passages) // 2].id}")
    marked(page)
    settle(page)
    page.keyboard.press("Shift")  # from here on the reader scrolls
    before = sentences(page)
    assert page.evaluate(SCROLL, [step, 60]) < 1
    settle(page)
    assert not set(before) & set(sentences(page)[:5])
    assert page.evaluate(NODES) < MAX_NODES


def test_the_scroll_bar_reaches_every_part_of_the_document(page: Page, long: Long) -> None:
    page.goto(f"{long.url}/?document={NAME}")
    expect(page.locator("#reader .sentence").first).to_have_text(long.passages[0].text)
    settle(page)
    for share in (1.0, 0.3, 0.7, 0.0):
        page.evaluate("share => { pane.scrollTop = share * pane.scrollHeight }", share)
        settle(page)
        shown = long.text.index(page.locator("#reader .text").text_content() or "") / len(long.text)
        assert abs(shown - share) < 0.03
        assert page.evaluate(FIRST_SEEN)
        assert page.evaluate(NODES) < MAX_NODES
    expect(page.locator("#reader .sentence").first).to_have_text(long.passages[0].text)
    page.evaluate("pane.scrollTop = pane.scrollHeight")
    expect(page.locator("#reader .sentence").last).to_have_text(long.passages[-1].text)


def test_the_keyboard_goes_from_sentence_to_sentence_beyond_what_was_set(page: Page, long: Long) -> None:
    middle = len(long.passages) // 2
    page.goto(f"{long.url}/?cite={long.passages[middle].id}")
    marked(page)
    for key, steps in (("j", 400), ("k", 700)):
        for _ in range(steps):
            page.keyboard.press(key)
        middle += steps if key == "j" else -steps
        expect(page.locator("#reader .sentence:focus")).to_have_text(long.passages[middle].text)
    page.keyboard.press("Enter")
    expect(marked(page)).to_have_text(long.passages[middle].text)


def test_words_are_searched_in_all_of_it_while_they_are_typed(page: Page, long: Long) -> None:
    far = long.passages[len(long.passages) * 2 // 3].text.rstrip(".")
    assert long.text.count(far) == 1
    page.goto(f"{long.url}/?document={NAME}")
    expect(page.locator("#reader .sentence").first).to_be_visible()
    page.keyboard.press("f")
    page.keyboard.type(far[:-1])
    page.keyboard.type(far[-1])  # which begins another search
    expect(page.locator(".search [role=status]")).to_have_text(re.compile(r"^at 6[5-8]%$"))
    assert page.evaluate("[...CSS.highlights.get('searched')].map(String)") == [far]
    page.keyboard.press("Escape")
    page.keyboard.type("no such words")
    expect(page.locator(".search [role=status]")).to_have_text("none")


def test_another_sentence_far_away_in_the_same_document_is_shown(page: Page, long: Long) -> None:
    page.goto(f"{long.url}/?cite={long.passages[10].id}")
    marked(page)
    far = long.passages[-10]
    page.evaluate("link => document.querySelector('.brand').setAttribute('href', link)", f"/?cite={far.id}")
    page.click(".brand")
    expect(page.locator("#reader .sentence[aria-current]")).to_have_text(far.text)
    expect(marked(page)).to_be_in_viewport(ratio=1)
    page.go_back()
    expect(page.locator("#reader .sentence[aria-current]")).to_have_text(long.passages[10].text)
    expect(marked(page)).to_be_in_viewport(ratio=1)


def test_what_is_read_stays_when_the_window_changes_its_width(page: Page, long: Long) -> None:
    page.goto(f"{long.url}/?cite={long.passages[len(long.passages) // 2].id}")
    marked(page)
    settle(page)
    page.keyboard.press("Shift")
    assert page.evaluate(SCROLL, [700, 20]) < 1
    settle(page)
    before = page.evaluate(FIRST_SEEN)
    page.set_viewport_size({"width": 1700, "height": 800})
    settle(page)
    assert before
    assert page.evaluate(FIRST_SEEN) == before


def test_a_document_that_changes_while_it_is_read_is_opened_anew(page: Page, long: Long) -> None:
    seen: list[str] = []

    def change(route: Route) -> None:
        answer: dict[str, Any] = route.fetch().json()
        seen.append(route.request.url)
        route.fulfill(json=answer | ({"sha256": "1" * 64} if len(seen) > 2 else {}))

    page.route(f"**/v1/documents/{NAME}*", change)
    cited = long.passages[1_000]
    page.goto(f"{long.url}/?cite={cited.id}")
    marked(page)
    settle(page)
    for _ in range(40):  # the third is that of a newer file, and the fourth opens that
        if len(seen) > 3:
            break
        page.evaluate("pane.scrollBy(0, 1500)")
        settle(page)
    expect(marked(page)).to_have_text(cited.text)
    expect(marked(page)).to_be_in_viewport(ratio=1)
    expect(page.locator("#status.error")).to_have_count(0)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("# Comment 700", "pre.code"),
        ("- Code 700", "pre.code"),
        ("Section 700", "h3.level-2"),
        ("Below it, 700.", "li.depth-2"),
        ("It was *not* enough.", "p.block"),
    ],
)
def test_markdown_is_set_right_in_the_middle_of_a_long_document(page: Page, long: Long, text: str, inside: str) -> None:
    (first, *_) = [each for each in long.markdown if each.text == text and each.location.section == "Section 700"]
    page.goto(f"{long.url}/?cite={first.id}")
    expect(page.locator(f"#reader {inside} .sentence[aria-current]")).to_have_text(text)
    settle(page)
    headings = page.locator("#reader .text h3").all_inner_texts()
    assert all(heading.startswith("Section") for heading in headings)
    assert "Section 700" in headings
    assert page.locator("#reader .text table").count() == page.locator("#reader .text pre").count() >= 10


def test_the_row_of_a_table_is_marked_in_all_its_cells(page: Page, long: Long) -> None:
    (row,) = [each for each in long.markdown if "700 francs" in each.text]
    page.goto(f"{long.url}/?cite={row.id}")
    expect(page.locator("#reader td .sentence[aria-current]")).to_contain_text("Anna 700")
    expect(page.locator("#reader td .sentence-part.cited")).to_contain_text("700 francs")

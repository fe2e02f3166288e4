"""How a document is set: Markdown without its markers, who speaks and when, and where each character stands."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page, Route, expect

from sourceline.config import load_settings
from sourceline.indexing.builder import build
from sourceline.ingest.sentences import split_passages
from sourceline.server.app import create_app
from sourceline.types import DEFAULT_MODEL, NO_RERANKER
from tests.support.server import listening
from tests.support.texts import document, texts
from tests.support.torture import sizes

pytestmark = pytest.mark.enable_socket

PLAN = """---
title: Harbour
---

# The **harbour** plan

The council met on *Monday*. It voted for [seven new trams](https://example.org/trams "Trams")
and `cargo build` was **not run. Nobody** minded. See <https://example.org> and a note[^1].

Setext heading
--------------

- The school gets a new roof.
- Pupils eat in the hall
  until May. They like it.
  - Nested under pupils.
- [ ] Order the tiles.
- [x] Pay the ~~plumber~~ roofer.

1. First we measure.
2. Then we cut.

> A quoted sentence that
> goes over two lines. And another.

| Name | Amount |
|------|-------:|
| Anna | 3,000 francs |
| Bo Lind | 4,100 francs. He paid late. |

```python
# not a heading
x = "*y*"   # - not an item
```

***

Unbalanced * stars, snake_case_word and \\*escaped\\* ones.

[^1]: The note says that trams are loud.
"""
# Sets a text with the page's own code; returns the text of the elements and the citations in order.
SET = """async ({ text, passages, id }) => {
  const { set } = await import("/static/setting.js");
  const link = ({ citation }) => Object.assign(document.createElement("a"), { className: "sentence", id: citation });
  const { element, sentences } = set({ from: 0, text, passages }, id, link);
  const pieces = [...sentences.values()].map((links) => links.map((each) => each.textContent).join(""));
  return [element.textContent, pieces];
}"""


@pytest.fixture(scope="module")
def plan(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    documents, index = (tmp_path_factory.mktemp(name) for name in ("plan", "plan-index"))
    (documents / "plan.md").write_text(PLAN)
    shutil.copytree(exported, index, dirs_exist_ok=True, copy_function=os.link)
    build(documents, index, DEFAULT_MODEL)
    with listening(create_app(load_settings(documents=documents, index=index, reranker=NO_RERANKER))) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture
def opened(page: Page, plan: str) -> Page:
    page.goto(f"{plan}/?document=plan.md")
    expect(page.locator("#reader .text")).to_be_visible()
    return page


def shown(page: Page, selector: str) -> list[str]:
    return [text.strip() for text in page.locator(f"#reader .text {selector}").all_inner_texts()]


def test_headings_lists_quotes_code_and_rules_are_elements_without_their_markers(opened: Page) -> None:
    assert shown(opened, "h3") == ["The harbour plan", "Setext heading"]
    assert shown(opened, "h3.level-1") == ["The harbour plan"]
    assert shown(opened, "h3.level-2") == ["Setext heading"]
    assert shown(opened, "li:not(.ordered)") == [
        "The school gets a new roof.",
        "Pupils eat in the hall until May. They like it.",
        "Nested under pupils.",
        "Order the tiles.",
        "Pay the plumber roofer.",
    ]
    assert shown(opened, "li.depth-2") == ["Nested under pupils."]
    assert (shown(opened, "li.open"), shown(opened, "li.done")) == (["Order the tiles."], ["Pay the plumber roofer."])
    assert shown(opened, "li.ordered") == ["1. First we measure.", "2. Then we cut."]
    assert shown(opened, "blockquote") == ["A quoted sentence that goes over two lines. And another."]
    assert shown(opened, "pre.code") == ['# not a heading\nx = "*y*"   # - not an item']
    assert shown(opened, "pre.matter") == ["title: Harbour"]
    expect(opened.locator("#reader .rule")).to_have_count(1)


def test_what_stands_out_in_a_line_is_set_without_its_markers(opened: Page) -> None:
    paragraph = "The council met on Monday. It voted for seven new trams and cargo build was not run. Nobody minded."
    assert shown(opened, "p")[0] == f"{paragraph} See https://example.org and a note1."
    assert shown(opened, "p em") == ["Monday"]
    assert shown(opened, "p strong") == ["not run.", "", "Nobody"]  # one sentence ends inside it
    assert shown(opened, "p code") == ["cargo build"]
    assert shown(opened, "p .link") == ["seven new trams", "https://example.org"]
    assert shown(opened, "p sup") == ["1"]
    assert shown(opened, "li del") == ["plumber"]
    assert "Unbalanced * stars, snake_case_word and *escaped* ones." in shown(opened, "p")
    expect(opened.locator("#reader .text a[href^='http']")).to_have_count(0)


def test_a_table_is_a_table_and_its_sentences_can_be_cited(opened: Page) -> None:
    assert shown(opened, "th") == ["Name", "Amount"]
    assert shown(opened, "td") == ["Anna", "3,000 francs", "Bo Lind", "4,100 francs. He paid late."]
    opened.get_by_text("4,100 francs. He paid late.").click()
    expect(opened.locator("#reader [aria-current]").first).to_be_visible()


def test_what_is_selected_is_found_in_the_source_by_counting_characters(opened: Page) -> None:
    start, end = opened.evaluate(
        """() => {
          const text = document.querySelector("#reader .text");
          const from = [...text.querySelectorAll("em")].find((each) => each.textContent === "Monday").firstChild;
          const to = [...text.querySelectorAll("code")].find((each) => each.textContent === "cargo build").firstChild;
          const range = document.createRange();
          range.setStart(text, 0);
          range.setEnd(from, 0);
          const start = range.toString().length;
          range.setEnd(to, 5);
          return [start, range.toString().length];
        }"""
    )
    assert PLAN[start:end] == 'Monday*. It voted for [seven new trams](https://example.org/trams "Trams")\nand `cargo'


def test_an_answer_from_markdown_is_set_and_the_words_that_match_are_marked(page: Page, plan: str) -> None:
    page.goto(f"{plan}/?q=What+did+the+council+vote+for%3F")
    voted = page.locator(".answer .sentence", has_text="voted for")
    expect(voted).to_have_text("It voted for seven new trams and cargo build was not run.", use_inner_text=True)
    expect(voted.locator("strong").first).to_have_text("not run.")
    expect(page.locator("#answers .near, #answers .context").first).to_be_visible()
    assert "voted" in voted.locator("mark").all_text_contents()


@sizes("examples", 100, 300)
def test_every_character_and_every_sentence_is_set_once_whatever_the_text(page: Page, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(texts | st.just(PLAN), st.sampled_from(["a.md", "a.txt"]))
    def check(text: str, name: str) -> None:
        passages = split_passages(document(text, name))
        units = [len(text[:end].encode("utf-16-le")) // 2 for end in range(len(text) + 1)]
        sent = [
            {
                "citation": each.id,
                "heading": each.heading,
                "start": units[each.start],
                "end": units[each.end],
                "location": {"paragraph": each.location.paragraph},
            }
            for each in passages
        ]
        whole, pieces = page.evaluate(SET, {"text": text, "passages": sent, "id": name})
        assert whole == text
        assert pieces == [each.text for each in passages]

    check()


def test_who_speaks_when_and_on_which_page_is_shown_where_the_text_does_not_say_it(page: Page, served: str) -> None:
    def add(route: Route) -> None:
        answer: dict[str, Any] = route.fetch().json()
        for number, passage in enumerate(answer["passages"]):
            speaker = "Anna Berg" if number < 4 else "Bo Lind"
            passage["location"] |= {
                "speaker": speaker,
                "time": {"start": 49 + 1_000 * number},
                "page": 1 + number // 24,
            }
            passage["location"]["paragraph"] = number // 2
        answer["date"] = "2026-03-04"
        route.fulfill(body=json.dumps(answer), content_type="application/json")

    page.route("**/v1/documents/meeting.txt*", add)
    page.goto(f"{served}/?document=meeting.txt")
    expect(page.locator("#reader h2")).to_have_text("meeting.txt")
    expect(page.locator("#reader .when")).to_have_text("March 4, 2026")
    said = page.locator("#reader [data-said]")
    assert [each.get_attribute("data-said") for each in said.all()][:1] == ["Anna Berg · 0:49"]
    expect(page.locator("#reader .page")).to_have_attribute("data-page", "Page 2")

import re
from itertools import pairwise
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.asking import MET, answer, ask, cite_of, marked, message_of, open_answer, settle, wait_until
from tests.browser.corpus import HOSTILE_NAME

pytestmark = pytest.mark.enable_socket


def test_an_answer_opens_its_document_beside_the_answers_at_the_sentence(page: Page) -> None:
    ask(page, MET)
    open_answer(page)
    sentence = marked(page)
    expect(sentence).to_have_text(answer(page).locator(".sentence").text_content() or "")
    expect(sentence).to_be_in_viewport(ratio=1)
    answers, reader = (page.locator(selector).bounding_box() for selector in ("#answers", "#reader"))
    assert answers
    assert reader
    assert answers["x"] + answers["width"] <= reader["x"]
    expect(answer(page).locator(".open")).to_have_attribute("aria-current", "true")


def test_with_room_the_first_answer_stands_in_its_document_and_the_focus_stays_in_the_question(page: Page) -> None:
    ask(page, MET)
    expect(marked(page)).to_have_text(answer(page).locator(".sentence").text_content() or "")
    expect(page.locator("#question")).to_be_focused()
    expect(page.locator("#note h3")).to_have_text("Answer 1")
    assert cite_of(page.url) is None
    expect(page.locator("#reader .close")).to_be_hidden()


def test_on_a_narrow_screen_the_document_is_a_sheet_with_the_verdict_and_the_way_back(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    ask(page, MET)
    expect(page.locator("#reader")).to_be_hidden()
    open_answer(page, 2)
    expect(marked(page)).to_be_in_viewport(ratio=1)
    expect(page.locator("#asking")).to_be_hidden()
    expect(page.locator(".asked")).to_have_text(f"Answered{MET}")
    expect(page.locator("#note h3")).to_have_text("Answer 2")
    page.go_back()
    expect(page.locator("#reader")).to_be_hidden()
    expect(page.locator(".lead")).to_be_visible()


def test_the_window_can_become_wide_and_narrow_while_an_answer_is_read(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    ask(page, MET)
    page.set_viewport_size({"width": 1280, "height": 800})
    marked(page)
    expect(page.locator("#asking")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 800})
    expect(page.locator("#reader")).to_be_hidden()
    expect(page.locator("#asking")).to_be_visible()


@pytest.mark.parametrize("document", ["meeting.txt", "minutes.md", "arabic.txt", quote(HOSTILE_NAME)])
def test_the_whole_document_can_be_read(page: Page, served: str, document: str) -> None:
    page.goto(f"{served}/?document={document}")
    shown = page.locator("#reader .text")
    expect(shown).to_be_visible()
    text = page.request.get(f"{served}/v1/documents/{document}").json()["text"]
    wait_until(page, lambda: shown.text_content() == text)


def test_headings_are_headings_and_paragraphs_paragraphs(page: Page, served: str) -> None:
    page.goto(f"{served}/?document=minutes.md")
    headings = page.locator("#reader .text h3")
    expect(headings).to_have_text(["Minutes of the town council", "Trams", "School"], use_inner_text=True)
    expect(page.locator("#reader .text p")).to_have_count(1)
    expect(page.locator("#reader .text li")).to_have_text(
        ["The school gets a new roof.", "Pupils eat in the hall until May."], use_inner_text=True
    )


def test_previous_and_next_jump_between_the_answers_in_a_document(page: Page) -> None:
    page.set_viewport_size({"width": 800, "height": 900})
    ask(page, MET)
    open_answer(page)
    here = page.locator("#reader .sentence[data-answer]")
    expect(here).to_have_count(5)
    expect(page.locator("#reader .sentence.hit")).to_have_count(3)
    order = [sentence.text_content() for sentence in here.all()]
    at = order.index(marked(page).text_content())
    for rel, step in (("next", 1), ("next", 2), ("prev", 1), ("prev", 0), ("prev", -1)):
        page.click(f"#jumps a[rel={rel}]")
        expect(page.locator("#reader .sentence[aria-current]")).to_have_text(order[(at + step) % 5] or "")
    page.go_back()
    expect(page.locator("#reader .sentence[aria-current]")).to_have_text(order[at] or "")


def test_the_map_shows_where_the_answers_are_and_leads_to_them(page: Page) -> None:
    ask(page, MET)
    marked(page)
    sentences = page.locator("#reader .sentence[data-answer]")
    expect(sentences).to_have_count(5)
    links = page.locator("#map a")
    ranks = re.findall(r"\d+", "".join(link.get_attribute("aria-label") or "" for link in links.all()))
    assert sorted(ranks) == ["1", "2", "3", "4", "5"]
    order = sentences.evaluate_all("all => all.map((each) => each.dataset.answer)")
    assert ranks == order
    assert [link.get_attribute("aria-current") for link in links.all()].count("true") == 1
    last = links.last
    tops = [link.bounding_box() for link in links.all()]
    assert all(a and b and b["y"] - a["y"] >= 24 for a, b in pairwise(tops))
    last.click()
    expect(page.locator("#reader .sentence[aria-current]:focus")).to_be_visible()
    expect(last).to_have_attribute("aria-current", "true")
    page.evaluate("document.querySelector('#pane').scrollTo(0, 1e6)")
    view = "document.querySelector('#map .view').style"
    wait_until(page, lambda: page.evaluate(f"parseFloat({view}.top) + parseFloat({view}.height)") > 99.9)


def test_a_click_on_the_map_goes_to_that_part_of_the_document(page: Page, served: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 500})
    page.goto(f"{served}/?document=meeting.txt")
    expect(page.locator("#reader .text")).to_be_visible()
    box = page.locator("#map").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] - 15, box["y"] + box["height"] - 2)
    share = "pane.scrollTop / (pane.scrollHeight - pane.clientHeight)"
    wait_until(page, lambda: page.evaluate(share) > 0.95)


def test_words_are_searched_in_the_document_over_the_bounds_of_sentences(page: Page, served: str) -> None:
    page.goto(f"{served}/?document=meeting.txt")
    expect(page.locator("#reader .text")).to_be_visible()
    field = page.get_by_label("Search in this document")
    page.keyboard.press("f")
    expect(field).to_be_focused()
    page.keyboard.type("COOPERATION")
    count = page.locator(".search [role=status]")
    expect(count).to_have_text(re.compile("^1 of [3-9]$"))
    total = int((count.text_content() or "").split()[-1])
    text = page.request.get(f"{served}/v1/documents/meeting.txt").json()["text"]
    assert total == text.lower().count("cooperation")
    page.keyboard.press("Enter")
    expect(count).to_have_text(f"2 of {total}")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    expect(count).to_have_text(f"{total} of {total}")
    field.fill("hussein. the meeting focused")
    expect(count).to_have_text("1 of 1")
    found = page.evaluate("[...CSS.highlights.get('searched')].map(String)")
    assert found == ["Hussein. The meeting focused"]
    field.fill("no such words (here)")
    expect(count).to_have_text("none")
    page.keyboard.press("Escape")
    expect(field).to_have_value("")
    assert page.evaluate("CSS.highlights.size") == 0


def test_any_sentence_of_a_document_can_be_cited(page: Page, served: str) -> None:
    ask(page, MET)
    open_answer(page)
    other = page.locator("#reader .sentence").nth(7)
    other.click()
    expect(other).to_have_attribute("aria-current", "true")
    citation = page.request.get(f"{served}/v1/citations/{cite_of(page.url)}").json()
    assert citation["text"] == other.text_content()
    expect(page.locator("#note code")).to_have_text(citation["citation"])
    expect(page.locator(".answer")).to_have_count(5)


def test_selecting_text_does_not_open_a_citation(page: Page, served: str) -> None:
    def select() -> bool:
        page.goto(f"{served}/?document=meeting.txt")
        box = page.locator("#reader .sentence").first.bounding_box()
        assert box
        page.mouse.move(box["x"] + 5, box["y"] + 8)
        page.mouse.down()
        page.mouse.move(box["x"] + 150, box["y"] + 8, steps=5)
        has_selected = bool(page.evaluate("String(getSelection())"))  # the browser misses the movement now and then
        page.mouse.up()
        return has_selected

    wait_until(page, select)
    settle(page)
    assert cite_of(page.url) is None


def test_closing_a_document_keeps_the_answers(page: Page) -> None:
    page.set_viewport_size({"width": 800, "height": 900})
    ask(page, MET)
    open_answer(page, 2)
    page.click("#reader .close")
    expect(page.locator("#reader")).to_be_hidden()
    assert cite_of(page.url) is None
    expect(page.locator(".answer")).to_have_count(5)
    page.go_back()
    expect(marked(page)).to_be_visible()


def test_a_document_that_is_not_in_the_index_is_an_error(page: Page, served: str) -> None:
    page.goto(f"{served}/?document=none.txt")
    expect(page.locator("#status.error")).to_have_text(message_of(page, f"{served}/v1/documents/none.txt"))


def test_the_question_stays_when_a_shared_sentence_is_opened(page: Page, served: str) -> None:
    ask(page, MET)
    open_answer(page)
    page.reload()
    expect(page.locator(".answer")).to_have_count(5)
    expect(marked(page)).to_have_class(re.compile("hit"))


def test_an_error_disappears_when_something_else_is_opened(page: Page, served: str) -> None:
    page.goto(f"{served}/?q=Who+met+Pezeshkian&cite=cnever")
    expect(page.locator("#status.error")).to_have_text(message_of(page, f"{served}/v1/citations/cnever"))
    expect(page.locator(".answer")).to_have_count(5)
    open_answer(page)
    expect(page.locator("#status")).to_have_class(re.compile("answered"))
    page.go_back()
    expect(page.locator("#status.error")).to_be_visible()
    expect(page.locator("#reader")).to_be_hidden()


def test_the_links_of_sentences_keep_the_current_question(page: Page, served: str) -> None:
    page.goto(f"{served}/?document=meeting.txt")
    expect(page.locator("#reader .sentence")).to_have_count(48)
    ask(page, MET)
    open_answer(page)
    page.go_back()
    page.go_back()
    expect(page.locator(".answer")).to_have_count(0)
    page.go_forward()
    page.go_forward()
    marked(page)
    page.locator("#reader .sentence").nth(9).click()
    expect(page.locator("#reader .sentence").nth(9)).to_have_attribute("aria-current", "true")
    assert "q=Which" in page.url

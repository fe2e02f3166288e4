import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.asking import MET, ask, cite_of, marked, message_of, wait_until
from tests.browser.corpus import HOSTILE_NAME

pytestmark = pytest.mark.enable_socket


def test_an_answer_opens_its_document_beside_the_answers_at_the_sentence(page: Page) -> None:
    ask(page, "What should regional disputes be addressed through?")
    page.click(".answer .open >> nth=0")
    sentence = marked(page)
    expect(sentence).to_have_text(page.locator(".answer .sentence").first.text_content() or "")
    expect(sentence).to_be_focused()
    expect(sentence).to_be_in_viewport(ratio=1)
    answers, reader = (page.locator(selector).bounding_box() for selector in ("#answers", "#reader"))
    assert answers
    assert reader
    assert answers["x"] + answers["width"] <= reader["x"]
    expect(page.locator(".answer .open").first).to_have_attribute("aria-current", "true")


def test_on_a_narrow_screen_a_document_opens_below_the_answers(page: Page) -> None:
    page.set_viewport_size({"width": 480, "height": 800})
    ask(page, MET)
    page.click(".answer .open >> nth=2")
    expect(marked(page)).to_be_in_viewport(ratio=1)
    answers, reader = (page.locator(selector).bounding_box() for selector in ("#answers", "#reader"))
    assert answers
    assert reader
    assert answers["y"] + answers["height"] <= reader["y"]


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
    ask(page, MET)
    page.click(".answer .open >> nth=0")
    here = page.locator("#reader .hit")
    expect(here).to_have_count(5)
    expect(page.locator("#jumps")).to_contain_text("Answer 1 of 5 in this document.")
    order = [sentence.text_content() for sentence in here.all()]
    page.click("#jumps a[rel=next]")
    expect(page.locator("#jumps")).to_contain_text("Answer 2 of 5")
    expect(marked(page)).to_have_text(order[1] or "")
    page.click("#jumps a[rel=prev]")
    expect(page.locator("#jumps")).to_contain_text("Answer 1 of 5")
    page.click("#jumps a[rel=prev]")
    expect(marked(page)).to_have_text(order[4] or "")
    page.go_back()
    expect(marked(page)).to_have_text(order[0] or "")


def test_any_sentence_of_a_document_can_be_cited(page: Page, served: str) -> None:
    ask(page, MET)
    page.click(".answer .open >> nth=0")
    other = page.locator("#reader .sentence").nth(7)
    other.click()
    expect(other).to_have_attribute("aria-current", "true")
    citation = page.request.get(f"{served}/v1/citations/{cite_of(page.url)}").json()
    assert citation["text"] == other.text_content()
    expect(page.locator(".card code")).to_have_text(citation["citation"])
    expect(page.locator(".answer")).to_have_count(5)


def test_selecting_text_does_not_open_a_citation(page: Page, served: str) -> None:
    page.goto(f"{served}/?document=meeting.txt")
    box = page.locator("#reader .sentence").nth(3).bounding_box()
    assert box
    page.mouse.move(box["x"] + 5, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 8, steps=5)
    page.mouse.up()
    assert page.evaluate("String(getSelection())")
    assert cite_of(page.url) is None


def test_closing_a_document_keeps_the_answers(page: Page) -> None:
    ask(page, MET)
    page.click(".answer .open >> nth=1")
    expect(marked(page)).to_be_visible()
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
    page.click(".answer .open >> nth=0")
    page.reload()
    expect(page.locator(".answer")).to_have_count(5)
    expect(marked(page)).to_have_class(re.compile("hit"))


def test_an_error_disappears_when_something_else_is_opened(page: Page, served: str) -> None:
    page.goto(f"{served}/?q=Who+met+Pezeshkian&cite=cnever")
    expect(page.locator("#status.error")).to_have_text(message_of(page, f"{served}/v1/citations/cnever"))
    expect(page.locator(".answer")).to_have_count(5)
    page.click(".answer .open >> nth=0")
    marked(page)
    expect(page.locator("#status")).to_have_class(re.compile("answered"))
    page.go_back()
    expect(page.locator("#status.error")).to_be_visible()
    expect(page.locator("#reader")).to_be_hidden()


def test_the_links_of_sentences_keep_the_current_question(page: Page, served: str) -> None:
    page.goto(f"{served}/?document=meeting.txt")
    expect(page.locator("#reader .sentence")).to_have_count(48)
    ask(page, MET)
    page.click(".answer .open >> nth=0")
    marked(page)
    page.go_back()
    page.go_back()
    expect(page.locator(".answer")).to_have_count(0)
    page.go_forward()
    page.go_forward()
    marked(page)
    page.locator("#reader .sentence").nth(9).click()
    expect(page.locator("#reader .sentence").nth(9)).to_have_attribute("aria-current", "true")
    assert "q=Which" in page.url

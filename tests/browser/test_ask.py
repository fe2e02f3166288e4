import re

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.asking import ANSWER, MET, ask, copied

pytestmark = pytest.mark.enable_socket


def test_the_field_has_the_focus_and_enter_asks(page: Page) -> None:
    expect(page.locator("#question")).to_be_focused()
    page.keyboard.type(MET)
    page.keyboard.press("Enter")
    expect(page.locator(".answer .sentence").first).to_have_text(ANSWER)
    expect(page.locator("#status")).to_have_text(
        re.compile(r"answered: \d+ % sure that the first of 5 passages answers\.")
    )


def test_answers_are_those_of_the_api_with_neighbours_words_and_place(page: Page, served: str) -> None:
    ask(page, MET)
    passages = page.request.post(f"{served}/v1/ask", data={"question": MET}).json()["passages"]
    answers = page.locator(".answer")
    expect(answers.locator(".sentence")).to_have_text([passage["text"] for passage in passages])
    for number, passage in enumerate(passages):
        item = answers.nth(number)
        beside = [text.strip() for text in passage["context"].values() if text]
        assert [text.strip() for text in item.locator(".beside").all_text_contents()] == beside
        words = [passage["text"][span["start"] : span["end"]] for span in passage["highlights"]]
        assert item.locator("mark").all_text_contents() == words
        expect(item.locator(".where")).to_contain_text(f"line {passage['location']['line']}")
        expect(item.locator(".title")).to_have_text(passage["document"]["title"])
    colours = [
        answers.first.locator(selector).evaluate("e => getComputedStyle(e).color")
        for selector in (".beside", ".sentence")
    ]
    assert colours[0] != colours[1]


def test_page_speaker_and_time_are_shown_where_they_are_known(page: Page) -> None:
    def know(route: Route) -> None:
        answer = route.fetch().json()
        answer["passages"][0]["location"] |= {"page": 7, "speaker": "The chair", "time": "10:02"}
        route.fulfill(json=answer)

    page.route("**/v1/ask", know)
    ask(page, MET)
    where = "meeting, line 1, page 7, The chair, 10:02"
    expect(page.locator(".answer .where").first).to_have_text(f"{where} · meeting.txt")
    page.click("text=Copy citation >> nth=0")
    expect(page.locator("#note")).to_be_visible()
    assert f"— meeting (meeting.txt), {where.removeprefix('meeting, ')}. Cited " in copied(page)


def test_highlights_stand_right_behind_letters_that_javascript_counts_twice(page: Page) -> None:
    ask(page, "How many new trams 😀 did the council vote for?")
    first = page.locator(".answer").first
    expect(first.locator(".sentence")).to_have_text("The council voted for seven new trams 😀.")
    assert "trams" in first.locator("mark").all_text_contents()
    expect(first.locator(".where")).to_contain_text("section “Trams”")


def test_twins_are_shown_once_with_a_way_to_the_others(page: Page) -> None:
    ask(page, "What does the school get?")
    first = page.locator(".answer").first
    expect(first.locator(".sentence")).to_have_text("The school gets a new roof.")
    expect(first.locator("summary")).to_have_text("The same stands in 1 other place")
    first.locator("summary").click()
    first.locator(".also a").click()
    expect(page.locator("#reader .sentence[aria-current]")).to_have_text("The school gets a new roof.")


def test_what_the_documents_do_not_say_is_said_plainly(page: Page) -> None:
    ask(page, "What is the boiling point of tungsten?")
    expect(page.locator("#status")).to_contain_text("The documents do not seem to answer this")
    expect(page.locator("#status")).to_have_text(re.compile(r"\(\d+ % sure that they do\)\. The nearest passages:$"))
    expect(page.locator(".answer")).to_have_count(5)


def test_more_passages_can_be_asked_for(page: Page) -> None:
    ask(page, MET)
    page.click(".more")
    expect(page.locator(".answer")).to_have_count(15)
    assert "k=15" in page.url


def test_back_forward_reload_and_a_shared_address_show_the_same(page: Page, context: BrowserContext) -> None:
    ask(page, MET)
    ask(page, "What does the school get?")
    page.go_back()
    expect(page.locator("#question")).to_have_value(MET)
    expect(page.locator(".answer .sentence").first).to_have_text(ANSWER)
    page.go_forward()
    expect(page.locator(".answer .sentence").first).to_have_text("The school gets a new roof.")
    page.reload()
    expect(page.locator(".answer .sentence").first).to_have_text("The school gets a new roof.")
    other = context.new_page()
    other.goto(page.url)
    expect(other.locator("#question")).to_have_value("What does the school get?")
    expect(other.locator(".answer .sentence").first).to_have_text("The school gets a new roof.")
    assert other.title() == "What does the school get? – Sourceline"


def test_the_empty_page_offers_questions_of_these_documents(page: Page, served: str) -> None:
    questions = page.request.get(f"{served}/v1/examples").json()["questions"]
    assert questions
    expect(page.locator(".examples a")).to_have_text(questions)
    page.click(".examples a >> nth=0")
    expect(page.locator("#question")).to_have_value(questions[0])
    expect(page.locator("#status")).to_contain_text("answered")


def test_waiting_is_shown(page: Page) -> None:
    def later(route: Route) -> None:
        expect(page.locator("#progress")).to_be_visible()
        route.continue_()

    page.route("**/v1/ask", later)
    ask(page, MET)
    expect(page.locator("#progress")).to_be_hidden()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            503,
            {"detail": "more is asked than can be answered just now"},
            "More is asked than can be answered just now. Try",
        ),
        (422, {"detail": "the question holds no words"}, "The question holds no words. Change the question"),
        (
            500,
            {"detail": "an unexpected error; it was logged"},
            "An unexpected error; it was logged. Try again; if it stays so, the server’s log says more.",
        ),
        (502, None, "The server answered 502."),
    ],
)
def test_an_error_says_what_happened_and_asking_again_works(
    page: Page, status: int, body: dict[str, str] | None, said: str
) -> None:
    page.route(
        "**/v1/ask", lambda route: route.fulfill(status=status, **({"json": body} if body else {"body": "<html>"}))
    )
    page.fill("#question", MET)
    page.press("#question", "Enter")
    expect(page.locator("#status.error")).to_contain_text(said)
    page.unroute("**/v1/ask")
    ask(page, MET)
    expect(page.locator("#status.answered")).to_be_visible()


def test_a_server_that_is_gone_is_told(page: Page) -> None:
    page.route("**/v1/ask", lambda route: route.abort())
    page.fill("#question", MET)
    page.press("#question", "Enter")
    expect(page.locator("#status.error")).to_contain_text("Is it running? Start it with “sourceline serve”")


def test_only_the_last_of_two_questions_is_answered(page: Page) -> None:
    held: list[Route] = []
    page.route("**/v1/ask", lambda route: route.continue_() if held else held.append(route))
    page.fill("#question", MET)
    page.press("#question", "Enter")
    expect(page.locator("#progress")).to_be_visible()
    ask(page, "What does the school get?")
    held[0].abort()
    expect(page.locator(".answer .sentence").first).to_have_text("The school gets a new roof.")
    expect(page.locator("#status.answered")).to_be_visible()

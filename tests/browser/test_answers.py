import re

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.browser.asking import ANSWER, MET, ask, copied

pytestmark = pytest.mark.enable_socket


def test_the_field_has_the_focus_and_enter_asks(page: Page) -> None:
    expect(page.locator("#question")).to_be_focused()
    page.keyboard.type(MET)
    page.keyboard.press("Enter")
    expect(page.locator(".answer .sentence").first).to_have_text(ANSWER)
    expect(page.locator("#status")).to_have_text(
        re.compile(r"answered: \d+% sure that the first of 5 passages is the answer\.")
    )


def test_answers_show_sentence_neighbours_highlights_and_source_of_each_passage_of_the_api(
    page: Page, served: str
) -> None:
    ask(page, MET)
    passages = page.request.post(f"{served}/v1/ask", data={"question": MET}).json()["passages"]
    answers = page.locator(".answer")
    expect(answers.locator(".sentence")).to_have_text([passage["text"] for passage in passages])
    for number, passage in enumerate(passages):
        item = answers.nth(number)
        neighbours = [text.strip() for text in passage["context"].values() if text]
        assert [text.strip() for text in item.locator(".context").all_text_contents()] == neighbours
        words = [passage["text"][span["start"] : span["end"]] for span in passage["highlights"]]
        assert item.locator("mark").all_text_contents() == words
        expect(item.locator(".source")).to_contain_text(f"line {passage['location']['line']}")
        expect(item.locator(".title")).to_have_text(passage["document"]["title"])
    colours = [
        answers.first.locator(selector).evaluate("e => getComputedStyle(e).color")
        for selector in (".context", ".sentence")
    ]
    assert colours[0] != colours[1]


def test_page_speaker_and_time_of_a_passage_are_shown(page: Page) -> None:
    def add_details(route: Route) -> None:
        answer = route.fetch().json()
        answer["passages"][0]["location"] |= {"page": 7, "speaker": "The chair", "time": {"start": 602.5}}
        route.fulfill(json=answer)

    page.route("**/v1/ask", add_details)
    ask(page, MET)
    location = "line 1, page 7, The chair, 10:02"
    expect(page.locator(".answer .source").first).to_have_text(f"meeting, {location} · meeting.txt")
    page.click("text=Copy citation >> nth=0")
    expect(page.locator("#toast")).to_be_visible()
    assert f"— meeting (meeting.txt), {location}. Cited " in copied(page)


def test_highlights_are_right_after_characters_outside_the_basic_plane(page: Page) -> None:
    ask(page, "How many new trams 😀 did the council vote for?")
    first = page.locator(".answer").first
    expect(first.locator(".sentence")).to_have_text("The council voted for seven new trams 😀.")
    assert "trams" in first.locator("mark").all_text_contents()
    expect(first.locator(".source")).to_contain_text("section “Trams”")


def test_duplicates_are_shown_once_with_links_to_the_others(page: Page) -> None:
    ask(page, "What does the school get?")
    first = page.locator(".answer").first
    expect(first.locator(".sentence")).to_have_text("The school gets a new roof.")
    expect(first.locator("summary")).to_have_text("The same sentence stands in 1 other place")
    first.locator("summary").click()
    first.locator(".duplicates a").click()
    expect(page.locator("#reader .sentence[aria-current]")).to_have_text("The school gets a new roof.")


def test_a_question_that_the_documents_do_not_answer_gets_that_verdict_and_the_closest_passages(page: Page) -> None:
    ask(page, "What is the boiling point of tungsten?")
    expect(page.locator("#status.not-answered")).to_have_text(
        re.compile(r"^The documents do not seem to answer this \(\d+% sure that they do\)\. The closest passages:$")
    )
    expect(page.locator(".answer")).to_have_count(5)


def test_an_answer_that_may_be_one_is_shown_as_an_answer_with_a_hint_that_is_not_only_a_colour(page: Page) -> None:
    page.route("**/v1/ask", lambda route: answer_unsure(route, passages=5))
    ask(page, MET)
    status = page.locator("#status.unsure")
    expect(status).to_have_text(
        "Perhaps answered, not certain: 34% sure that the first of 5 passages is the answer. Check it in its document."
    )
    expect(page.locator(".answer .sentence").first).to_have_text(ANSWER)
    page.unroute("**/v1/ask")
    colours = [status.evaluate("e => getComputedStyle(e).color")]
    for question, verdict in ((MET, "answered"), ("What is the boiling point of tungsten?", "not-answered")):
        ask(page, question)
        colours.append(page.locator(f"#status.{verdict}").evaluate("e => getComputedStyle(e).color"))
    assert len(set(colours)) == 3


def test_one_passage_that_may_be_an_answer_is_not_counted(page: Page) -> None:
    page.route("**/v1/ask", lambda route: answer_unsure(route, passages=1))
    ask(page, MET)
    expect(page.locator("#status.unsure")).to_contain_text("34% sure that this passage is the answer.")


def answer_unsure(route: Route, passages: int) -> None:
    answer = route.fetch().json() | {"verdict": "unsure", "answerable": False, "confidence": 0.34}
    route.fulfill(json=answer | {"passages": answer["passages"][:passages]})


def test_questions_are_read_unless_fast_is_chosen_which_the_address_keeps(page: Page, context: BrowserContext) -> None:
    modes: list[str] = []

    def note_mode(request: Request) -> None:
        if body := request.post_data_json:
            modes.append(body["mode"])

    context.on("request", note_mode)
    fast = page.get_by_label("Fast: answer without reading")
    expect(fast).not_to_be_checked()
    ask(page, MET)
    assert "mode" not in page.url
    fast.check()  # asks the question on the page again
    expect(page).to_have_url(re.compile(r"&mode=fast$"))
    expect(page.locator(".answer")).to_have_count(5)
    page.click(".more")
    expect(page.locator(".answer")).to_have_count(15)
    page.click(".answer .open >> nth=0")
    expect(page.locator("#reader .sentence[aria-current]")).to_have_text(ANSWER)
    assert "&k=15&mode=fast&cite=" in page.url
    assert modes == ["read", "fast", "fast"]
    other = context.new_page()
    other.goto(page.url)
    expect(other.locator(".answer")).to_have_count(15)
    expect(other.locator("#fast")).to_be_checked()
    other.close()
    ask(page, "What does the school get?")
    assert "&mode=fast" in page.url
    fast.uncheck()
    expect(page).to_have_url(re.compile(r"\?q=What\+does\+the\+school\+get%3F$"))
    expect(page.locator("#status.answered")).to_be_visible()
    assert modes[3:] == ["fast", "fast", "read"]
    page.go_back()
    expect(fast).to_be_checked()
    page.click(".brand")
    expect(fast).not_to_be_checked()


def test_before_a_question_is_asked_choosing_fast_asks_nothing(page: Page) -> None:
    page.get_by_label("Fast: answer without reading").check()
    expect(page.locator("#intro")).to_be_visible()
    assert "?" not in page.url
    ask(page, MET)
    expect(page).to_have_url(re.compile(r"&mode=fast$"))


def test_an_unknown_mode_in_an_address_is_the_default(page: Page, served: str) -> None:
    page.goto(f"{served}/?q=Who+met+him%3F&mode=slow")
    expect(page.locator(".answer")).to_have_count(5)
    expect(page.locator("#fast")).not_to_be_checked()


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


def test_the_empty_page_says_what_it_is_until_a_question_is_asked(page: Page) -> None:
    expect(page.locator("#intro")).to_have_text(re.compile(r"^Sourceline answers with .*sentences.*citation.*\.$"))
    expect(page.locator("#question")).to_have_attribute("placeholder", "In your own words")
    expect(page.locator("main a")).to_have_count(0)
    ask(page, MET)
    expect(page.locator("#intro")).to_be_hidden()
    page.click(".brand")
    expect(page.locator("#intro")).to_be_visible()
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.locator("#question")).to_have_value("")


def test_a_progress_bar_is_shown_while_an_answer_is_pending(page: Page) -> None:
    def answer_late(route: Route) -> None:
        expect(page.locator("#progress")).to_be_visible()
        route.continue_()

    page.route("**/v1/ask", answer_late)
    ask(page, MET)
    expect(page.locator("#progress")).to_be_hidden()


@pytest.mark.parametrize(
    ("status", "body", "message"),
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
            "An unexpected error; it was logged. Try again; if it keeps happening, look at the server’s log.",
        ),
        (502, None, "The server answered 502."),
    ],
)
def test_an_error_says_what_happened_and_the_question_can_be_asked_again(
    page: Page, status: int, body: dict[str, str] | None, message: str
) -> None:
    page.route(
        "**/v1/ask", lambda route: route.fulfill(status=status, **({"json": body} if body else {"body": "<html>"}))
    )
    page.fill("#question", MET)
    page.press("#question", "Enter")
    expect(page.locator("#status.error")).to_contain_text(message)
    page.unroute("**/v1/ask")
    ask(page, MET)
    expect(page.locator("#status.answered")).to_be_visible()


def test_a_server_that_does_not_respond_is_reported(page: Page) -> None:
    page.route("**/v1/ask", lambda route: route.abort())
    page.fill("#question", MET)
    page.press("#question", "Enter")
    expect(page.locator("#status.error")).to_contain_text("start it with “sourceline serve”")


def test_the_answer_to_an_earlier_question_never_replaces_that_to_a_later_one(page: Page) -> None:
    held: list[Route] = []
    page.route("**/v1/ask", lambda route: route.continue_() if held else held.append(route))
    page.fill("#question", MET)
    page.press("#question", "Enter")
    expect(page.locator("#progress")).to_be_visible()
    ask(page, "What does the school get?")
    held[0].abort()
    expect(page.locator(".answer .sentence").first).to_have_text("The school gets a new roof.")
    expect(page.locator("#status.answered")).to_be_visible()

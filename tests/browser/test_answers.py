import re

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.browser.asking import ANSWER, MET, answer, ask, copied, marked, open_answer, wait_until

pytestmark = pytest.mark.enable_socket

TUNGSTEN = "What is the boiling point of tungsten?"


def test_the_field_has_the_focus_and_enter_asks(page: Page) -> None:
    expect(page.locator("#question")).to_be_focused()
    page.keyboard.type(MET)
    page.keyboard.press("Enter")
    expect(page.locator(".lead blockquote .sentence")).to_have_text(ANSWER)
    expect(page.locator("#status")).to_have_text("Answered")


def test_how_sure_an_answer_is_stands_behind_a_click_with_its_meaning(page: Page, served: str) -> None:
    ask(page, MET)
    confidence = page.request.post(f"{served}/v1/ask", data={"question": MET}).json()["confidence"]
    meaning = page.locator("#sure p")
    expect(meaning).to_be_hidden()
    page.get_by_text("How sure?").click()
    expect(meaning).to_contain_text(f"{round(100 * confidence)}%, the length of the line above")
    expect(meaning).to_contain_text("From 50%, at the notch, it counts as answered; below 20%")
    width = page.locator(".bar rect").nth(1).get_attribute("width")
    assert width == f"{round(100 * confidence)}%"


def test_answers_are_the_passages_of_the_api_with_what_stands_before_them_and_their_source(
    page: Page, served: str
) -> None:
    page.goto(f"{served}/?q=What+does+the+school+get%3F&k=12")
    body = {"question": "What does the school get?", "k": 12}
    passages = page.request.post(f"{served}/v1/ask", data=body).json()["passages"]
    names = page.locator(".group h3").all_text_contents()
    assert len({passage["document"]["id"] for passage in passages}) == len(names) > 1
    expect(page.locator(".answer")).to_have_count(12)
    for rank, passage in enumerate(passages, start=1):
        expect(answer(page, rank).locator(".sentence")).to_have_text(passage["text"], use_inner_text=True)
        assert answer(page, rank).get_attribute("data-citation") == passage["citation"]
        words = [passage["text"][span["start"] : span["end"]] for span in passage["highlights"]]
        assert answer(page, rank).locator("mark").all_text_contents() == words


def test_sentences_that_follow_each_other_are_one_stretch_in_the_order_of_the_document(page: Page) -> None:
    def choose(route: Route) -> None:
        answer = route.fetch().json()
        report = [each for each in answer["passages"] if each["document"]["id"] == "meeting.txt"]
        places = [(each["location"]["paragraph"], each["location"]["start"]) for each in report]
        of_second = sorted((start, at) for at, (paragraph, start) in enumerate(places) if paragraph == 2)
        before, first, after = (report[at] for _, at in of_second[1:4])
        far = next(each for each in report if each["location"]["paragraph"] == 4)
        route.fulfill(json=answer | {"passages": [first, far, after, before], "verdict": "answered"})

    page.route("**/v1/ask", choose)
    page.goto(page.url + "?q=What+did+Pezeshkian+say+about+the+meeting%3F&k=100")
    expect(page.locator(".answer")).to_have_count(4)
    lead = page.locator(".lead")
    ranks = lead.locator(".answer").evaluate_all("all => all.map((each) => each.dataset.rank)")
    assert ranks == ["4", "1", "3"]
    expect(lead.locator("blockquote .answer")).to_have_attribute("data-rank", "1")
    expect(lead.locator(".near .n").first).to_have_text("answer 4")
    expect(page.locator(".stretch-item")).to_have_count(1)
    expect(page.locator(".stretch-item .answer")).to_have_attribute("data-rank", "2")


def test_page_speaker_and_time_of_a_passage_are_shown_and_no_title_twice(page: Page) -> None:
    def add_details(route: Route) -> None:
        answer = route.fetch().json()
        answer["passages"][0]["location"] |= {"page": 7, "speaker": "The chair", "time": {"start": 602.5}}
        route.fulfill(json=answer)

    page.route("**/v1/ask", add_details)
    ask(page, MET)
    expect(page.locator(".lead .source")).to_have_text("The chair, at 10:02, meeting.txt, page 7")
    page.locator(".lead").get_by_role("button", name="Copy citation").first.click()
    expect(page.locator("#toast")).to_be_visible()
    assert "— meeting.txt, line 1, page 7, The chair, 10:02. Cited " in copied(page)


def test_highlights_are_right_after_characters_outside_the_basic_plane(page: Page) -> None:
    ask(page, "How many new trams 😀 did the council vote for?")
    expect(answer(page).locator(".sentence")).to_have_text("The council voted for seven new trams 😀.")
    assert "trams" in answer(page).locator("mark").all_text_contents()
    expect(page.locator(".lead .source")).to_have_text("Minutes of the town council, Trams")


def test_duplicates_are_shown_once_with_links_to_the_others(page: Page) -> None:
    ask(page, "What does the school get?")
    expect(answer(page).locator(".sentence")).to_have_text("The school gets a new roof.")
    duplicates = page.locator(".lead .duplicates")
    expect(duplicates.locator("summary")).to_have_text("The same sentence stands in 1 other place")
    duplicates.locator("summary").click()
    duplicates.locator("a").click()
    expect(page.locator("#reader .sentence[aria-current]:focus")).to_have_text("The school gets a new roof.")


def test_a_question_that_the_documents_do_not_answer_gets_that_verdict_and_the_closest_passages_folded(
    page: Page,
) -> None:
    ask(page, TUNGSTEN)
    expect(page.locator("#status")).to_have_text("The documents don’t say")
    expect(page.locator(".silence")).to_have_text("Nothing in the documents answers this.")
    expect(page.locator("#reader")).to_be_hidden()
    expect(page.locator(".answer").first).to_be_hidden()
    page.get_by_text("Closest passages").click()
    expect(page.locator(".answer")).to_have_count(5)
    open_answer(page, 1)
    expect(page.locator("#status")).to_have_text("The documents don’t say")


def test_who_gets_no_answer_is_told_that_documents_have_changed(page: Page) -> None:
    def change(route: Route) -> None:
        route.fulfill(json=route.fetch().json() | {"changes": {"total": 2, "added": [], "changed": [], "removed": []}})

    page.route("**/v1/index", change)
    ask(page, TUNGSTEN)
    expect(page.locator(".hint").nth(1)).to_have_text("2 files have changed since the documents were read.")


def test_the_verdicts_differ_in_word_sign_and_form_and_not_only_in_colour(page: Page) -> None:
    page.route("**/v1/ask", answer_unsure)
    ask(page, MET)
    expect(page.locator("#status")).to_have_text("Possibly")
    expect(page.locator(".hint")).to_have_text("This may not be the answer: read it where it stands.")
    expect(page.locator(".lead blockquote .sentence")).to_have_text(ANSWER)
    style = "e => getComputedStyle(e).fontStyle"
    assert page.locator(".lead blockquote").evaluate(style) == "italic"
    signs = [page.locator("#status svg").evaluate("e => e.outerHTML")]
    page.unroute("**/v1/ask")
    for question in (MET, TUNGSTEN):
        page.goto(page.url.split("?")[0])
        ask(page, question)
        signs.append(page.locator("#status svg").evaluate("e => e.outerHTML"))
    assert len(set(signs)) == 3


def answer_unsure(route: Route) -> None:
    route.fulfill(json=route.fetch().json() | {"verdict": "unsure", "answerable": False, "confidence": 0.34})


def test_questions_are_read_unless_fast_is_chosen_which_the_address_keeps(page: Page, context: BrowserContext) -> None:
    modes: list[str] = []

    def note_mode(request: Request) -> None:
        if body := request.post_data_json:
            modes.append(body["mode"])

    context.on("request", note_mode)
    ask(page, MET)
    assert "mode" not in page.url
    expect(page.locator("#mode-summary")).to_have_text("read closely")
    choose_mode(page, "At a glance")  # asks the question on the page again
    expect(page).to_have_url(re.compile(r"&mode=fast$"))
    expect(page.locator("#mode-summary")).to_have_text("at a glance")
    expect(page.locator(".answer")).to_have_count(5)
    page.click(".more")
    expect(page.locator(".answer")).to_have_count(15)
    open_answer(page)
    assert "&k=15&mode=fast&cite=" in page.url
    assert modes == ["read", "fast", "fast"]
    other = context.new_page()
    other.goto(page.url)
    expect(other.locator(".answer")).to_have_count(15)
    expect(other.locator("#fast")).to_be_checked()
    other.close()
    ask(page, "What does the school get?")
    expect(page.locator(".answer")).to_have_count(5)
    assert "&mode=fast" in page.url
    choose_mode(page, "Read closely")
    expect(page).to_have_url(re.compile(r"\?q=What\+does\+the\+school\+get%3F$"))
    expect(page.locator("#status")).to_have_text("Answered")
    assert modes[3:] == ["fast", "fast", "read"]
    page.go_back()
    expect(page.locator("#fast")).to_be_checked()
    page.click(".brand")
    expect(page.locator("#fast")).not_to_be_checked()


def choose_mode(page: Page, name: str) -> None:
    page.click("#mode-summary")
    page.get_by_label(name).check()
    page.locator("#pick-mode").get_by_text("Apply").click()


def test_before_a_question_is_asked_choosing_fast_asks_nothing(page: Page) -> None:
    choose_mode(page, "At a glance")
    expect(page.locator("#mode-summary")).to_have_text("at a glance")
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
    first = page.locator(".lead blockquote .sentence")
    ask(page, MET)
    expect(first).to_have_text(ANSWER)
    ask(page, "What does the school get?")
    expect(first).to_have_text("The school gets a new roof.")
    page.go_back()
    expect(page.locator("#question")).to_have_value(MET)
    expect(first).to_have_text(ANSWER)
    page.go_forward()
    expect(first).to_have_text("The school gets a new roof.")
    page.reload()
    expect(first).to_have_text("The school gets a new roof.")
    other = context.new_page()
    other.goto(page.url)
    expect(other.locator("#question")).to_have_value("What does the school get?")
    expect(other.locator(".lead blockquote .sentence")).to_have_text("The school gets a new roof.")
    assert other.title() == "What does the school get? – Sourceline"


def test_the_front_page_says_what_it_is_and_what_is_there(page: Page, served: str) -> None:
    snapshot = page.request.get(f"{served}/v1/index").json()["snapshot"]
    expect(page.locator("#intro")).to_contain_text("the sentences that answer it, word for word")
    expect(page.locator("#question")).to_have_attribute("placeholder", "Ask your documents a question")
    expect(page.locator("#holds")).to_have_text(f"6 documents, {snapshot['passages']} sentences")
    read_at = re.compile(r"^read today at \d\d:\d\d$")
    expect(page.locator("#read-at")).to_have_text(read_at, use_inner_text=True)
    expect(page.locator("#worth")).to_be_hidden()
    ask(page, MET)
    expect(page.locator("#intro")).to_be_hidden()
    expect(page.locator(".state")).to_have_text(re.compile(r"^6 documents, read today at"), use_inner_text=True)
    page.click(".brand")
    expect(page.locator("#intro")).to_be_visible()
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.locator("#question")).to_have_value("")
    expect(page.locator("#question")).to_be_focused()


def test_questions_worth_asking_are_links(page: Page, served: str) -> None:
    def add(route: Route) -> None:
        route.fulfill(json=route.fetch().json() | {"questions": [MET, "Was für ein Dach?"]})

    page.route("**/v1/index", add)
    page.goto(served)
    expect(page.locator("#worth a")).to_have_text([MET, "Was für ein Dach?"])
    page.click("#worth a >> nth=0")
    expect(page.locator(".lead blockquote .sentence")).to_have_text(ANSWER)


def test_copied_links_use_the_public_address_of_the_server(page: Page, served: str) -> None:
    def add(route: Route) -> None:
        route.fulfill(json=route.fetch().json() | {"public_url": "https://minutes.example.org"})

    page.route("**/v1/index", add)
    page.goto(served)
    expect(page.locator("#holds")).not_to_be_empty()
    ask(page, MET)
    page.locator(".lead .menu summary").click()
    page.get_by_role("button", name="Copy link").first.click()
    expect(page.locator("#toast")).to_have_text("Copied the link.")
    assert re.fullmatch(r"https://minutes\.example\.org/\?cite=c[a-z2-7]{15}", copied(page))


def test_actions_unfold_in_one_menu_and_fold_again(page: Page) -> None:
    ask(page, MET)
    menus = page.locator(".menu[open]")
    page.locator(".lead .menu summary").click()
    expect(menus).to_have_count(1)
    page.click("#status")
    expect(menus).to_have_count(0)
    page.locator(".stretch-item").first.hover()
    page.locator(".stretch-item .menu summary").first.click()
    expect(menus).to_have_count(1)
    page.keyboard.press("Escape")
    expect(menus).to_have_count(0)
    expect(page.locator(".stretch-item .menu summary").first).to_be_focused()
    expect(page.locator("#reader")).to_be_visible()


def test_a_new_question_moves_the_document_and_the_same_one_leaves_it_where_it_is(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 600})
    ask(page, MET)
    expect(marked(page)).to_have_text(ANSWER)
    page.locator("#pane").hover()
    page.mouse.wheel(0, 400)
    place = "document.querySelector('#pane').scrollTop"
    wait_until(page, lambda: page.evaluate(place) > 300)
    scrolled = page.evaluate(place)
    choose_mode(page, "At a glance")
    expect(page).to_have_url(re.compile("mode=fast"))
    expect(page.locator(".answer")).to_have_count(5)
    assert page.evaluate(place) == scrolled
    ask(page, "What does the school get?")
    expect(marked(page)).to_have_text("The school gets a new roof.")


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
    expect(page.locator(".lead blockquote .sentence")).to_have_text("The school gets a new roof.")
    expect(page.locator("#status.answered")).to_be_visible()

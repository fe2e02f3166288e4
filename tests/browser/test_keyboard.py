import pytest
from playwright.sync_api import Page, expect

from tests.browser.asking import MET, ask, cite_of, copied, marked, open_answer

pytestmark = pytest.mark.enable_socket

FOCUSED = "document.activeElement.closest('.answer')?.dataset.citation"


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def citations(page: Page) -> list[str | None]:
    return [answer.get_attribute("data-citation") for answer in page.locator(".answer").all()]


@pytest.mark.parametrize(("down", "up"), [("ArrowDown", "ArrowUp"), ("j", "k")])
def test_arrows_and_letters_move_from_answer_to_answer(page: Page, down: str, up: str) -> None:
    ask(page, MET)
    press(page, "ArrowDown")
    order = citations(page)
    assert page.evaluate(FOCUSED) == order[0]
    press(page, down, down)
    assert page.evaluate(FOCUSED) == order[2]
    press(page, up)
    assert page.evaluate(FOCUSED) == order[1]
    press(page, down, down, down, down, down)
    assert page.evaluate(FOCUSED) == order[4]
    press(page, up, up, up, up, up)
    expect(page.locator("#question")).to_be_focused()


def test_asking_reading_and_citing_work_without_a_mouse(page: Page, served: str) -> None:
    page.keyboard.type(MET)
    press(page, "Enter")
    expect(page.locator(".answer")).to_have_count(5)
    expect(page.locator("#question")).to_be_focused()  # also once the document stands beside the answer
    marked(page)
    press(page, "ArrowDown", "Enter")
    expect(page.locator("#reader .sentence[aria-current]:focus")).to_be_visible()
    first = marked(page).text_content()
    expect(page.locator("#note h3")).to_have_text("Answer 1")
    press(page, "n")
    expect(page.locator("#note h3")).not_to_have_text("Answer 1")
    press(page, "p")
    expect(page.locator("#note h3")).to_have_text("Answer 1")
    assert marked(page).text_content() == first
    press(page, "j", "j", "ArrowDown", "Enter")
    fourth = page.locator("#reader .sentence").nth(3)
    expect(fourth).to_have_attribute("aria-current", "true")
    press(page, "c")
    expect(page.locator("#toast")).to_have_text("Copied the link.")
    assert copied(page) == f"{served}/?cite={cite_of(page.url)}"
    press(page, "Escape")
    expect(page.locator("#note h3")).to_have_text("Answer 1")
    press(page, "/")
    expect(page.locator("#question")).to_be_focused()
    assert page.evaluate("String(getSelection())") == MET


def test_escape_closes_the_document_and_returns_to_its_answer(page: Page) -> None:
    page.set_viewport_size({"width": 800, "height": 900})
    ask(page, MET)
    press(page, "ArrowDown", "ArrowDown", "Enter")
    marked(page)
    second = citations(page)[1]
    press(page, "Escape")
    expect(page.locator("#reader")).to_be_hidden()
    assert page.evaluate(FOCUSED) == second


def test_c_copies_the_link_of_an_answer_that_is_not_open(page: Page, served: str) -> None:
    ask(page, MET)
    press(page, "ArrowDown", "ArrowDown", "c")
    expect(page.locator("#toast")).to_have_text("Copied the link.")
    assert copied(page) == f"{served}/?cite={citations(page)[1]}"


def test_the_shortcuts_are_listed(page: Page) -> None:
    expect(page.locator("#question")).to_be_focused()
    page.locator(".brand").focus()
    press(page, "?")
    expect(page.locator("#help")).to_be_visible()
    press(page, "Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.click("#help-button")
    expect(page.locator("#help dt")).to_have_count(8)


def test_shortcuts_are_plain_letters_in_a_text_field(page: Page) -> None:
    page.keyboard.type("j/k?ncpf")
    expect(page.locator("#question")).to_have_value("j/k?ncpf")
    expect(page.locator("#help")).to_be_hidden()


def test_single_key_shortcuts_can_be_turned_off(page: Page) -> None:
    page.click("#help-button")
    page.uncheck("#shortcuts")
    press(page, "Escape")
    page.reload()
    ask(page, MET)
    press(page, "ArrowDown", "j", "?")
    assert page.evaluate(FOCUSED) == citations(page)[0]
    expect(page.locator("#help")).to_be_hidden()
    press(page, "ArrowDown")
    assert page.evaluate(FOCUSED) == citations(page)[1]


def test_tab_reaches_every_control_and_the_focus_is_visible(page: Page) -> None:
    ask(page, MET)
    open_answer(page)
    page.locator(".skip").focus()
    reached = ["skip"]
    for _ in range(60):
        press(page, "Tab")
        name, outline = page.evaluate(
            "() => { const e = document.activeElement; const line = getComputedStyle(e.closest('.field') ?? e).boxShadow; "
            "return [e.className || e.id || e.textContent, "
            "line === 'none' ? getComputedStyle(e).outlineStyle : line] }"
        )
        reached.append(name.split()[0])
        assert outline != "none", name
        if "sentence" in reached:
            break
    assert {"skip", "brand", "question", "Ask", "open", "link", "more", "close", "sentence"} <= set(reached)

import doctest

import pytest
from hypothesis import given, settings

from sourceline.ingest.formats import plain
from sourceline.types import BlockKind
from tests.support.texts import lost_lines, texts
from tests.support.work import require_linear, soon


def paragraphs(text: str) -> list[str]:
    return [text[block.start : block.end].strip() for block in plain.parse(text).blocks]


WRAPPED = "The council met on Monday and it\nvoted for the bridge, which will\nopen in the spring."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t\n\u00a0\n", []),
        ("One line", ["One line"]),
        ("\n\n  One.\n\n\nTwo.\n", ["One.", "Two."]),
        ("One.\n \t\nTwo.", ["One.", "Two."]),
        (WRAPPED, [WRAPPED]),
        (f"{WRAPPED}\n\n{WRAPPED}", [WRAPPED, WRAPPED]),
        (f"Minutes\n\n{WRAPPED}", ["Minutes", WRAPPED]),
        ("one.\u2028two.\u2029three.", ["one.\u2028two.\u2029three."]),
        ("page one\n\x0cpage two is longer", ["page one", "page two is longer"]),
    ],
)
def test_blank_lines_separate_blocks_and_a_block_wrapped_to_a_width_is_one_paragraph(
    text: str, expected: list[str]
) -> None:
    assert paragraphs(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "A report has a paragraph a line.\nThis is another one, and it is long.",
        "Forecasting\nAverages of past values are the forecast.",
        "- milk\n- bread and butter\n- tea",
    ],
)
def test_in_a_block_that_was_not_wrapped_each_line_is_a_paragraph(text: str) -> None:
    assert paragraphs(text) == text.split("\n")


@pytest.mark.parametrize("text", [WRAPPED, f"{WRAPPED}\n\nOne.\nTwo.\n", "One.\n\nTwo.\n\n\n Three. \nFour."])
@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_every_kind_of_line_end_separates_the_same_paragraphs(text: str, end: str) -> None:
    assert paragraphs(text.replace("\n", end)) == [paragraph.replace("\n", end) for paragraph in paragraphs(text)]


def test_a_hash_makes_no_heading_of_a_plain_text() -> None:
    assert {block.kind for block in plain.parse(f"# No heading\n\n{WRAPPED}").blocks} == {BlockKind.PARAGRAPH}


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("Early life\nShe was born in a village.", ["Early life"]),
        ("Early life\n\nShe was born in a village.", ["Early life"]),
        ("The war: what is it good for?\n\nA song from the year 1970 asks.", ["The war: what is it good for?"]),
        ("Day 2: The bridge\nIt was opened in the morning.", ["Day 2: The bridge"]),
        ("Chair: Good morning\nWelcome to you all here.", []),
        ("Tea, milk and bread,\nand what else there is.", []),
        ("Good morning to you.\nWelcome to you all here.", []),
        ("Milk and bread\nTea\nButter", []),
        ("The letter ends here.\n\nYours sincerely", []),
        (f"{'Long ' * 17}heading\n\nIt is about nothing.", []),
    ],
)
def test_a_short_line_above_a_paragraph_that_ends_no_sentence_is_a_heading(text: str, headings: list[str]) -> None:
    blocks = plain.parse(text).blocks

    assert [text[block.start : block.end].strip() for block in blocks if block.kind is BlockKind.HEADING] == headings


FACTS = [
    "Motion to repair the crane carried",
    "Next meeting: 9 April 2026, 10:00, Room 4.",
    "Fence put off until next year",
    "Present: Ilse Kern, Bo Lind",
    "Bo: Sell it, and buy a new one.",
    "14:30 Coffee",
    "- Order rope",
    "b) Paint the hull",
]
RAGGED = (
    "The crane will be repaired in June by a firm\nfrom Lund, which asked for nine thousand\neuros and is not cheap."
)


def test_short_facts_are_paragraphs_of_their_own() -> None:
    assert paragraphs("\n".join(FACTS)) == FACTS
    assert paragraphs("milk\nbread\ntea") == ["milk", "bread", "tea"]


@pytest.mark.parametrize(
    "text",
    [
        RAGGED,
        "Anna: I went to the harbour on Friday to look at the old crane, and\nfound that the cable is frayed.",
        "- Repair the crane before\n  winter comes",
        "He said that the crane will be repaired in autumn by a firm from\nLund: they ask for nine thousand euros.",
        "The motion about the crane was moved in the hall by Ms.\nKern and fell.",
        "Der Kran wird nach langer Debatte im Rat repariert, und zwar am\n3. Oktober durch eine Firma.",
        "The rules that were made for the harbour in paragraphs\n(a) and (b) above do not apply.",
        "2.\nCrane",
        "会议于三点开始，主席宣布了议程，并请各位代表就预\n算问题发言。",
    ],
)
def test_a_wrapped_line_is_joined_to_the_next(text: str) -> None:
    assert paragraphs(text) == [text]
    assert paragraphs(f"Present: all\n{text}\nNext meeting: 9 April") == ["Present: all", text, "Next meeting: 9 April"]


@pytest.mark.parametrize(
    "between",
    [
        "\n\f",
        "\n\n\f",
        "\n\n12\n\n",
        "\n\f- 12 -\n\n",
        "\nPage 2 of 3\n\f",
        "\n\nSeite 2 von 3\n\n",
        "\n\fHarbour board, minutes\nPage 2 of 3\n\n",
        "\n\nPage | 2\n\n",
    ],
)
def test_what_stands_at_the_end_of_a_page_does_not_cut_a_sentence(between: str) -> None:
    sentence = f"The crane will be repaired by a firm from Lund, which will{between}need three weeks for it."
    text = f"Harbour board, minutes\nPage 1 of 3\n\n{sentence}\n"
    assert sentence in paragraphs(text)
    assert paragraphs(text.replace("which will", "soon."))[-1] == "need three weeks for it."


NUMBERED = "1. Opening\nKern opened it.\n2. Crane\n2.1 Costs\nIt costs 9 euros.\nTOP 3 Rope\nNone."


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        (NUMBERED, ["1. Opening", "2. Crane", "2.1 Costs", "TOP 3 Rope"]),
        ("1. Milk\n2. Bread\n3. Tea\n\nThe shop is shut.", []),
        ("IV. Reports\n\nNone were given.", ["IV. Reports"]),
        ("2. Wall\nIt stands.\n3. Date of next meeting\n7 June.\n", ["2. Wall", "3. Date of next meeting"]),
        ("2. Mauer\nSie steht.\n3. Nächste Sitzung\n7. Juni 2026\n", ["2. Mauer", "3. Nächste Sitzung"]),
        ("1. Opening\nIt began.\n2. May Day parade\nIt rained.\n", ["1. Opening", "2. May Day parade"]),
        ("Board\n\nMotion to repair the crane carried\n\nThe chair closed the meeting.", ["Board"]),
        ("Board\n\nHow the crane was repaired\n\nBy hand.", ["Board", "How the crane was repaired"]),
    ],
)
def test_numbered_lines_are_headings_and_facts_are_none(text: str, headings: list[str]) -> None:
    blocks = plain.parse(text).blocks

    assert [text[block.start : block.end].strip() for block in blocks if block.kind is BlockKind.HEADING] == headings


@settings(deadline=None)
@given(texts)
def test_blocks_hold_all_the_text_in_order_and_do_not_overlap(text: str) -> None:
    blocks = plain.parse(text).blocks

    edges = [0, *(edge for block in blocks for edge in (block.start, block.end)), len(text)]
    assert edges == sorted(edges)
    assert all(text[block.start : block.end].strip() for block in blocks)
    assert lost_lines(text, [(block.start, block.end) for block in blocks]) == []


def test_a_running_head_with_the_number_of_its_page_does_not_cut_a_sentence() -> None:
    sentence = "The crane will be repaired by a firm from\n\nHarbour board      Page 3\n\nLund."
    text = f"Harbour board      Page 2\n\nThe board met.\n\n{sentence}\n\nHarbour board      Page 4\n\nIt rained.\n"
    assert paragraphs(text) == ["Harbour board      Page 2", "The board met.", sentence, "It rained."]


@pytest.mark.parametrize("number", ["12", "- 12 -", "[12]", "Page 12", "Seite 12 von 30", "12 / 30", "Page | 12"])
def test_page_numbers_between_whole_paragraphs_are_not_read(number: str) -> None:
    assert paragraphs(f"The fence is down.\n\n{number}\n\nThe crane is up.\n") == [
        "The fence is down.",
        "The crane is up.",
    ]


@pytest.mark.parametrize("text", ["12", "Page 3", "Votes for:\n\n12", "2019\n\nIt was built.\n\n2020\n\nIt fell."])
def test_other_numbers_are(text: str) -> None:
    assert paragraphs(text) == text.split("\n\n")


def test_a_running_head_is_read_once() -> None:
    text = "Harbour board\n\nIt is down.\n\fHarbour board\n\nIt is up.\n\fHarbour board\n\nIt is wet.\n"
    assert paragraphs(text) == ["Harbour board", "It is down.", "It is up.", "It is wet."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Place:\nCustoms house\nTime:\n10:00", ["Place:\nCustoms house", "Time:", "10:00"]),
        ("Crane:\nIt was approved.\nRope:\nNothing.", ["Crane:\nIt was approved.", "Rope:\nNothing."]),
        ("Decisions:\nThe crane stays.\nThe rope goes.", ["Decisions:", "The crane stays.", "The rope goes."]),
        (
            "Present: Ilse Kern (chair), Bo Lind, Anna Moss,\nPer Holm\nApologies: Jo Hale",
            ["Present: Ilse Kern (chair), Bo Lind, Anna Moss,\nPer Holm", "Apologies: Jo Hale"],
        ),
        (
            "Present: Ilse Kern (chair), Bo Lind, Anna Moss and Tom\nReyes (clerk)\nApologies: Jo Hale",
            ["Present: Ilse Kern (chair), Bo Lind, Anna Moss and Tom\nReyes (clerk)", "Apologies: Jo Hale"],
        ),
        (
            "Present: Ilse Kern (chair), Bo Lind, Anna Moss, Jo Hale\nGuests were welcome\nApologies: none",
            ["Present: Ilse Kern (chair), Bo Lind, Anna Moss, Jo Hale", "Guests were welcome", "Apologies: none"],
        ),
        (
            "Anna: I went down to the harbour with our treasurer\nBo Lind and saw it.\nBo: No.",
            ["I went down to the harbour with our treasurer\nBo Lind and saw it.", "No."],
        ),
    ],
)
def test_a_label_keeps_its_value_and_a_turn_its_lines(text: str, expected: list[str]) -> None:
    assert paragraphs(text) == expected


@pytest.mark.parametrize(
    "fact",
    [
        "Motion to sell the winch defeated",
        "Winch sold to the museum",
        "Entry for children 4 euros",
        "Doors open at 18:30 on Friday",
        "Antrag auf neue Gebühren zurückgezogen",
        "Ida Roth elected chair",
        "Bo Lind resigned as treasurer",
        "Venue changed to Lund",
        "Fence deferred to June",
        "Budget approved 5-2",
        "MOTION CARRIED 6-1",
        "Dogs not allowed",
        "The lido opens on 9 May",
        "Season tickets cost sixty euros",
        "Motion to buy a boat fails",
        "Bo Lind takes over",
        "Bo to order rope by Friday",
        "Anna Moss to call the roofer",
    ],
)
def test_a_line_that_states_a_fact_can_answer(fact: str) -> None:
    blocks = plain.parse(f"Board\n\n{fact}\n\nThe chair closed the meeting.\n").blocks
    assert [block.kind for block in blocks] == [BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.PARAGRAPH]


@pytest.mark.parametrize(
    "line",
    [
        "Budget 2026",
        "Report of the treasurer",
        "How the crane was repaired",
        "Roads and speed",
        "Approved minutes of May",
        "Matters deferred",
        "Guide to sailing boats",
        "Seasons 2024-25",
        "Opening hours of the lido",
    ],
)
def test_other_short_lines_are_headings(line: str) -> None:
    blocks = plain.parse(f"Board\n\nIt met.\n\n{line}\n\nThe chair closed the meeting.\n").blocks
    assert blocks[2].kind is BlockKind.HEADING


@pytest.mark.parametrize(
    "unit",
    ["A", "A ", " " * 50 + "A", "A:\n", ".", '."', "\f", "a\n\f", "12\n", "- \n", "The quick brown fox jumps over\n\f"],
)
def test_the_work_grows_with_the_text_and_no_more(unit: str) -> None:
    def parse(characters: int) -> None:
        plain.parse(f"A{unit * (characters // len(unit))}1")

    require_linear(parse, 2_000)
    with soon():
        parse(200_000)


def test_the_examples_of_the_module_hold() -> None:
    assert doctest.testmod(plain).failed == 0


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("1) Kitchen\nTea costs 2 euros.\n2) Yard\na) Carts go left.\nb) Vans go right.", ["1) Kitchen", "2) Yard"]),
        ("4. BOATS\na) Oars are kept in the loft.\nb) Sails are dried first.", ["4. BOATS"]),
        ("Rules\n\n2. Moorings\n(i) They are let by the year.\n(ii) They may not be sublet.", ["Rules", "2. Moorings"]),
        ("1. Moorings\nare let by the year.\n", []),
    ],
)
def test_a_numbered_line_above_a_lettered_list_is_a_heading(text: str, headings: list[str]) -> None:
    blocks = plain.parse(text).blocks

    assert [text[block.start : block.end].strip() for block in blocks if block.kind is BlockKind.HEADING] == headings


@pytest.mark.parametrize(
    "text",
    [
        "The clerk, Mrs. Brandt, closed the hearing at 9.15 p.m. on\n"
        "Friday and thanked Dr. Moss, Prof. Hale and Mr. Coe, who\n"
        "had come on foot.",
        "The chair, Mr. Olsen, opened the meeting at 7.30 p.m. on\n"
        "Tuesday and welcomed Prof. Dr. Haas, Cllr. Boyle and Ms. Ng,"
        " who\nhad come by train.",
        "Before the long sum-\nmer the har-\nbour board met in the old, much-\nloved customs house.",
        "Der Vor-\nstand tagt im Rat-\nhaus, und die Mit-\nglieder kommen.",
        "The board sat in the\nloft till one. It was\ncold and everyone in\nit wore a thick coat.",
        "We all went to the\npier. The crane was\nred and did not\nmove at all.",
    ],
)
def test_a_paragraph_is_whole_however_it_was_wrapped(text: str) -> None:
    assert paragraphs(text) == [text]
    assert paragraphs(f"It met.\n\n{text}\n\nIt rose at ten.") == ["It met.", text, "It rose at ten."]


@pytest.mark.parametrize(
    "text",
    [
        "Whole milk, 2 litres\nBrown bread, sliced\nButter from Lund.",
        "rope for the pier\npaint for the hull\na key for the shed",
        "Lights on\nDoors open",
        "The crane is up.\nThe rope is down.\nThe hull is wet.",
    ],
)
def test_short_lines_that_say_one_thing_each_stay_apart(text: str) -> None:
    assert paragraphs(text) == text.split("\n")

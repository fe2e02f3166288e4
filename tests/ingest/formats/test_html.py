import datetime

import pytest
from hypothesis import given, settings

from sourceline.ingest.formats import html
from sourceline.types import BlockKind, ParsedFile
from tests.support.texts import texts as any_texts


def parse(markup: str) -> ParsedFile:
    return html.parse(markup.encode())


def texts(parsed: ParsedFile, kind: BlockKind | None = None) -> list[str]:
    return [parsed.text[block.start : block.end] for block in parsed.blocks if kind in (None, block.kind)]


def test_headings_paragraphs_and_lists_are_read_in_order_with_markers_that_are_not_searched() -> None:
    parsed = parse(
        "<title>Minutes</title><h1>Harbour <em>board</em></h1><p>The crane is\n   red.<p>It is &lt;old&gt; &amp;"
        "&nbsp;rusty.<ul><li>Repair it<li><p>Sell it</p><ol><li>to Lund<li>to Ystad</ol></ul>None.<hr>Rest."
    )

    assert parsed.text == (
        "Harbour board\n\nThe crane is red.\n\nIt is <old> &\u00a0rusty.\n\n• Repair it\n• Sell it\n"
        "  1. to Lund\n  2. to Ystad\n\nNone.\n\nRest."
    )
    assert texts(parsed, BlockKind.HEADING) == ["Harbour board"]
    assert texts(parsed)[3:] == ["Repair it", "Sell it", "to Lund", "to Ystad", "None.", "Rest."]
    assert parsed.title == "Minutes"


@pytest.mark.parametrize(
    "around",
    [
        "<script>var words = '<p>Other words.</p>';</script>",
        "<style>p { color: red }</style>",
        "<noscript><p>Other words.</p></noscript>",
        "<template><p>Other words.</p></template>",
        "<!-- <p>Other words.</p> -->",
        "<nav><p>Other words.</p></nav>",
        "<header><p>Other words.</p></header>",
        "<footer><p>Other words.</p></footer>",
        "<aside><p>Other words.</p></aside>",
        "<div role=navigation><p>Other words.</p></div>",
        "<form><label>Other words</label><input value=x><select><option>Other</select></form>",
        "<a href=#x>¶</a>",
        "<p hidden>Other words.</p>",
        "<div aria-hidden=true><div><p>Other words.</div></div>",
        "<div style='color: red; display : none'><p>Other words.</p></div>",
    ],
)
def test_what_stands_around_the_content_is_left_out(around: str) -> None:
    content = "<p>The crane is red, and it has stood on the pier since the war.</p>"

    assert texts(parse(f"<body>{around}{content}{around}</body>")) == [
        "The crane is red, and it has stood on the pier since the war."
    ]


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        (
            "<p>Other.</p><main><header><h1>Crane</h1></header><p>It is red.</p></main><p>Other.</p>",
            ["Crane", "It is red."],
        ),
        ("<p>Other.</p><article><p>The crane is red.</p></article>", ["The crane is red."]),
        ("<p>The crane is red.</p><article><p>Other.</p></article>", ["The crane is red.", "Other."]),
        ("<header><h1>Crane</h1><p>Menu</p></header><p>It is red.</p>", ["Crane", "It is red."]),
        ("<form><h1>Crane</h1><p>It is red.</p></form>", ["Crane", "It is red."]),
        ("<header><p>The crane is red.</p></header>", ["The crane is red."]),
        (
            "<p>A fee.</p><aside role=doc-endnotes><p>Of 9 euros.<a role=doc-backlink>^</a></aside>",
            ["A fee.", "Of 9 euros."],
        ),
    ],
)
def test_the_main_content_is_found(markup: str, expected: list[str]) -> None:
    assert texts(parse(markup)) == expected


def columns(parsed: ParsedFile) -> list[tuple[str, tuple[str, ...]]]:
    return [(parsed.text[block.start : block.end], block.columns) for block in parsed.blocks]


def test_rows_of_a_table_know_the_names_of_its_columns() -> None:
    names = ("Name", "Role")
    rows = "<tr><td>Ilse Kern<td>chair<tr><td>Bo Lind<td>"

    for head in ("<tr><th>Name<th>Role", "<thead><tr><td>Name<td>Role</thead>"):
        parsed = parse(f"<table><caption>The board</caption>{head}{rows}</table>")
        assert parsed.text == "The board\n\nName | Role\nIlse Kern | chair\nBo Lind |"
        assert columns(parsed) == [("The board", ()), ("Ilse Kern | chair", names), ("Bo Lind |", names)]
    assert columns(parse(f"<table>{rows}</table>")) == [("Ilse Kern | chair", ()), ("Bo Lind |", ())]


def test_a_table_that_lays_out_the_page_is_read_as_paragraphs() -> None:
    inner = "<table><tr><th>Item<th>Cost<tr><td>Crane<td>9000</table>"
    parsed = parse(f"<table><tr><td><p>Menu<td>{inner}<p>It is red.<tr><td>Rest<td>of it</table>")

    assert parsed.text == "Menu\n\nItem | Cost\nCrane | 9000\n\nIt is red.\n\nRest\n\nof it"
    assert ("Crane | 9000", ("Item", "Cost")) in columns(parsed)


def test_lines_that_are_broken_on_purpose_are_paragraphs_and_wrapped_ones_are_joined() -> None:
    assert texts(parse("<p>Chair: Ilse Kern<br>Clerk: Bo Lind<br><br>Next meeting: 9 April</p>")) == [
        "Chair: Ilse Kern",
        "Clerk: Bo Lind",
        "Next meeting: 9 April",
    ]
    wrapped = "The crane will be repaired in June by a firm from\nLund, which asked for nine thousand euros."
    assert texts(parse(f"<pre>{wrapped}\n\n  x = 1\n</pre>")) == [wrapped, "x = 1"]


def test_a_quotation_is_marked() -> None:
    assert parse("<p>He said:<blockquote><p>It is red.</p></blockquote>").text == "He said:\n\n> It is red."


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("<p>Öl für 9 €".encode(), "Öl für 9 €"),
        ("\ufeff<p>Öl".encode(), "Öl"),
        ("<p>Öl".encode("utf-16"), "Öl"),
        ('<meta charset="iso-8859-1"><p>Öl für 9 €'.encode("cp1252"), "Öl für 9 €"),
        (b"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'><p>\xeb\xf2\xe1\xee", "КРАН"),
        ('<?xml version="1.0" encoding="shift_jis"?><p>起重機'.encode("shift_jis"), "起重機"),
        ("<p>Öl für 9 €".encode("cp1252"), "Öl für 9 €"),
        ('<meta charset="no-such"><p>Öl'.encode(), "Öl"),
        ('<meta charset="utf-16"><p>Öl'.encode(), "Öl"),
        ('<meta charset="utf-8"><p>Öl'.encode("cp1252"), "\ufffdl"),
    ],
)
def test_the_encoding_is_the_declared_one_or_utf_8_or_that_of_windows(data: bytes, expected: str) -> None:
    assert html.parse(data).text == expected


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<meta name=dcterms.date content=2026-03-04><time datetime=2026-01-01>then</time>", datetime.date(2026, 3, 4)),
        ("<meta property=article:published_time content='2026-03-04T10:00:00Z'>", datetime.date(2026, 3, 4)),
        ("<p>On <time datetime=2026-03-04>4 March</time>", datetime.date(2026, 3, 4)),
        ("<time datetime=2026-03-04>4 March</time><time datetime=2026-03-05>5 March</time>", None),
        ("<meta name=date content='4 March 2026'>", None),
        ("<meta name=date content=2026-02-31>", None),
    ],
)
def test_the_date_is_a_plain_one_of_the_page(markup: str, expected: datetime.date | None) -> None:
    assert parse(f"{markup}<p>The crane is red.").date == expected


@settings(deadline=None)
@given(any_texts)
def test_whatever_a_page_holds_blocks_are_in_order_and_hold_words(text: str) -> None:
    for markup in (text, f"<ul><li>{text}<table><tr><td>{text}<pre>{text}</table>"):
        parsed = parse(markup)

        edges = [0, *(edge for block in parsed.blocks for edge in (block.start, block.end)), len(parsed.text)]
        assert edges == sorted(edges)
        assert all(parsed.text[block.start : block.end].strip() for block in parsed.blocks)


def test_an_unmarked_row_of_words_above_two_others_names_the_columns() -> None:
    rows = "<tr><td>Post<td>Holder<tr><td>Reeve<td>Ida Roth<tr><td>Clerk<td>Ulf Berg"
    parsed = parse(f"<table>{rows}</table>")

    assert texts(parsed) == ["Reeve | Ida Roth", "Clerk | Ulf Berg"]
    assert {block.columns for block in parsed.blocks} == {("Post", "Holder")}

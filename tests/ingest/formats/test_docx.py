import datetime
import zipfile
from io import BytesIO

import pytest
from docx import Document
from docx.document import Document as WordDocument
from docx.enum.style import WD_STYLE_TYPE

from sourceline.errors import DocumentError
from sourceline.ingest.formats import docx
from sourceline.types import BlockKind, ParsedFile
from tests.support.files import docx_of, paragraph, run

FOOTNOTES = (
    '<w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    '<w:footnote w:id="0" w:type="separator"/>'
    f'<w:footnote w:id="2">{paragraph("The offer was withdrawn.")}</w:footnote></w:footnotes>'
).encode()


def saved(document: WordDocument) -> ParsedFile:
    file = BytesIO()
    document.save(file)
    return docx.parse(file.getvalue())


def texts(parsed: ParsedFile, kind: BlockKind | None = None) -> list[str]:
    return [parsed.text[block.start : block.end] for block in parsed.blocks if kind in (None, block.kind)]


def test_headings_paragraphs_and_lists_are_read_in_order_with_markers_that_are_not_searched() -> None:
    document = Document()
    document.add_heading("Minutes", 0)
    document.add_heading("Crane", 1)
    document.add_paragraph("The crane is  red.\tIt is old.")
    document.add_paragraph("Repair it", style="List Bullet")
    document.add_paragraph("Sell it", style="List Bullet")
    document.add_paragraph("Ask Lund", style="List Number")
    document.add_paragraph("Ask Ystad", style="List Number")
    document.add_paragraph("None.")

    parsed = saved(document)

    assert parsed.text == (
        "Minutes\n\nCrane\n\nThe crane is red. It is old.\n\n• Repair it\n• Sell it\n1. Ask Lund\n2. Ask Ystad\n\nNone."
    )
    assert texts(parsed, BlockKind.HEADING) == ["Minutes", "Crane"]
    assert texts(parsed, BlockKind.PARAGRAPH) == [
        "The crane is red. It is old.",
        *("Repair it", "Sell it", "Ask Lund", "Ask Ystad", "None."),
    ]


def test_a_style_that_is_based_on_a_heading_is_one_and_so_is_a_short_bold_line() -> None:
    document = Document()
    style = document.styles.add_style("House title", WD_STYLE_TYPE.PARAGRAPH)
    style.base_style = document.styles["Heading 1"]
    document.add_paragraph("Crane", style="House title")
    document.add_paragraph("It is red, and it has stood on the pier since the war.")
    document.add_paragraph().add_run("Rope").bold = True
    document.add_paragraph().add_run("Motion to buy a rope carried").bold = True

    assert texts(saved(document), BlockKind.HEADING) == ["Crane", "Rope"]


def test_where_all_is_bold_it_marks_no_headings() -> None:
    document = Document()
    for text in ("Crane", "Rope", "Fence"):
        document.add_paragraph().add_run(text).bold = True

    assert texts(saved(document), BlockKind.HEADING) == []


def table(document: WordDocument, rows: list[list[str]], bold: bool = False) -> None:
    cells = document.add_table(len(rows), len(rows[0]))
    for at, row in enumerate(rows):
        for number, text in enumerate(row):
            cells.cell(at, number).paragraphs[0].add_run(text).bold = bold and at == 0


def columns(parsed: ParsedFile) -> dict[str, tuple[str, ...]]:
    return {parsed.text[block.start : block.end]: block.columns for block in parsed.blocks}


def test_rows_of_a_table_know_the_names_of_its_columns() -> None:
    document = Document()
    table(document, [["Name", "Role"], ["Ilse Kern", "chair"]], bold=True)
    table(document, [["Item", "Cost"], ["Crane", "9,000"], ["", "300"]])
    table(document, [["Chair", "Ilse Kern"], ["Clerk", "Bo Lind"]])

    parsed = saved(document)

    assert parsed.text == (
        "Name | Role\nIlse Kern | chair\n\nItem | Cost\nCrane | 9,000\n| 300\n\nChair | Ilse Kern\nClerk | Bo Lind"
    )
    assert columns(parsed) == {
        "Ilse Kern | chair": ("Name", "Role"),  # what names the columns is not searched
        "Crane | 9,000": ("Item", "Cost"),
        "| 300": ("Item", "Cost"),
        "Chair | Ilse Kern": (),
        "Clerk | Bo Lind": (),
    }


def test_a_cell_with_several_paragraphs_gives_each_of_them_the_name_of_its_column() -> None:
    document = Document()
    table(document, [["Item", "Discussion"], ["2", "The crane is red."]], bold=True)
    document.tables[0].cell(1, 1).add_paragraph("It is old.")

    assert columns(saved(document)) == {
        "2": ("Item",),
        "The crane is red.": ("Discussion",),
        "It is old.": ("Discussion",),
    }


def test_a_table_of_one_column_is_a_box_and_a_table_in_a_cell_is_read() -> None:
    document = Document()
    document.add_table(1, 1).cell(0, 0).add_paragraph("Crane", style="Heading 1")
    outer = document.add_table(2, 2)
    outer.cell(0, 0).text, outer.cell(1, 1).text = "Rope", "Fence"
    inner = outer.cell(0, 1).add_table(1, 2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "It is", "blue."

    parsed = saved(document)

    assert parsed.text == "Crane\n\nRope | It is | blue.\n| Fence"
    assert texts(parsed, BlockKind.HEADING) == ["Crane"]


def test_insertions_links_fields_and_breaks_are_read_and_deletions_and_codes_are_not() -> None:
    body = (
        paragraph(
            "The crane ",
            f"<w:ins>{run('will be ')}</w:ins>",
            "<w:del><w:r><w:delText>was </w:delText></w:r></w:del>",
            f"<w:moveFrom>{run('gone ')}</w:moveFrom>",
            f"<w:hyperlink>{run('repaired')}</w:hyperlink>",
            "<w:r><w:instrText>HYPERLINK x</w:instrText></w:r>",
            f"<w:fldSimple>{run('.')}</w:fldSimple>",
            "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>",
        )
        + f"<w:sdt><w:sdtContent>{paragraph('In a field.')}</w:sdtContent></w:sdt>"
        + paragraph("First.", "<w:r><w:br/></w:r>", "Second.")
    )

    parsed = docx.parse(docx_of(body))

    assert parsed.text == "The crane will be repaired.\n\nIn a field.\n\nFirst.\nSecond."
    assert texts(parsed) == ["The crane will be repaired.", "In a field.", "First.", "Second."]


def test_a_text_box_follows_its_paragraph_and_is_read_once() -> None:
    box = f"<w:txbxContent>{paragraph('In a box.')}</w:txbxContent>"
    compatible = '<mc:{0} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">{1}</mc:{0}>'
    both = compatible.format("Choice", box) + compatible.format("Fallback", box)

    assert docx.parse(docx_of(paragraph("Before.", f"<w:r>{both}</w:r>") + paragraph("After."))).text == (
        "Before.\n\nIn a box.\n\nAfter."
    )


def test_notes_stand_at_the_end_with_their_number() -> None:
    body = paragraph("The crane is red.", '<w:r><w:footnoteReference w:id="2"/></w:r>', " It is old.")

    parsed = docx.parse(docx_of(body, parts={"word/footnotes.xml": FOOTNOTES}))

    assert parsed.text == "The crane is red.[1] It is old.\n\n[1] The offer was withdrawn."
    assert texts(parsed)[1] == "The offer was withdrawn."


def test_headers_and_footers_of_pages_are_left_out() -> None:
    document = Document()
    document.sections[0].header.paragraphs[0].text = "Confidential"
    document.add_paragraph("The crane is red.")

    assert saved(document).text == "The crane is red."


def test_title_and_date_are_those_of_the_document_and_not_of_the_template() -> None:
    document = Document()
    document.add_paragraph("The crane is red.")
    assert (saved(document).title, saved(document).created) == (None, None)

    document.core_properties.title = "Minutes of 4 March"
    document.core_properties.created = datetime.datetime(2026, 3, 4, 9)
    assert (saved(document).title, saved(document).created) == ("Minutes of 4 March", datetime.date(2026, 3, 4))


def test_lists_count_on_by_level_in_letters_and_roman_numbers() -> None:
    numbering = (
        b'<w:numbering xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        b'<w:abstractNum w:abstractNumId="0">'
        b'<w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="upperRoman"/><w:lvlText w:val="%1."/></w:lvl>'
        b'<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl>'
        b'</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>'
    )
    item = '<w:pPr><w:numPr><w:ilvl w:val="{}"/><w:numId w:val="1"/></w:numPr></w:pPr>'
    body = "".join(
        paragraph(item.format(level), text) for level, text in [(0, "A"), (1, "B"), (1, "C"), (0, "D"), (1, "E")]
    )

    parsed = docx.parse(docx_of(body, parts={"word/numbering.xml": numbering}))

    assert parsed.text.split("\n") == ["III. A", "  III.a) B", "  III.b) C", "IV. D", "  IV.a) E"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            b"\xd0\xcf\x11\xe0" + bytes(600),
            "it is a .doc of old Word, or protected by a password: save it as .docx without one",
        ),
        (b"PK\3\4", "it is damaged, or no Word document"),
        (b"", "it is damaged, or no Word document"),
    ],
)
def test_what_cannot_be_read_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError) as error:
        docx.parse(data)
    assert str(error.value) == reason


def test_another_archive_is_no_word_document() -> None:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "Good morning.")

    with pytest.raises(DocumentError, match="it is damaged, or no Word document"):
        docx.parse(file.getvalue())


@pytest.mark.parametrize(
    "rows",
    [
        [["Post", "Holder"], ["Reeve", "Ida Roth"], ["Clerk", "Ulf Berg"]],
        [["Item", "Who", "2026"], ["Crane", "Lind", "yes"], ["Rope", "Kern", "no"], ["Hull", "", ""]],
    ],
)
def test_an_unmarked_row_of_words_above_two_others_names_the_columns(rows: list[list[str]]) -> None:
    document = Document()
    table(document, rows)

    parsed = saved(document)

    assert [block.columns for block in parsed.blocks] == [tuple(rows[0])] * (len(rows) - 1)
    assert " | ".join(rows[0]) in parsed.text


def test_a_page_that_is_laid_out_as_a_table_names_no_column() -> None:
    document = Document()
    table(document, [["Menu", "News"], ["Home", "The crane is red and old. " * 10], ["About", "Rest"]])

    assert {block.columns for block in saved(document).blocks} == {()}

from io import BytesIO

import pypdf
import pytest
from pypdf.errors import DependencyError

from sourceline.errors import DocumentError
from sourceline.ingest.formats import pdf
from sourceline.types import BlockKind, ParsedFile
from tests.support.files import page_of, pdf_of

# A page is lines of (height, size, font, text); F2 is bold.
HEAD, FOOT = (750, 9, "F1", "Harbour board, annual report"), (40, 9, "F1", "{} of 3")
PAGES = [
    [
        (700, 18, "F2", "The harbour in 2026"),
        (660, 12, "F1", "Ilse Kern, harbour master"),
        (620, 14, "F2", "Crane"),
        (600, 12, "F1", "The crane will be repaired in June by a firm from Lund, which"),
        (586, 12, "F1", "asked for nine thousand euros. The other offer, made by Bo Lind"),
        (572, 12, "F1", "Hansen and Sons, was higher."),
        (548, 12, "F1", "The fence was put off until next year because the wood is so"),
    ],
    [
        (700, 12, "F1", "dear that nobody can pay for it."),
        (676, 12, "F1", "Item Cost"),
        (652, 12, "F1", "Crane 9,000 euros"),
    ],
    [(700, 12, "F1", "The board thanks the fire bri-"), (686, 12, "F1", "gade.")],
]


def parse(*pages: list[tuple[int, int, str, str]], title: str = "") -> ParsedFile:
    return pdf.parse(pdf_of(*(page_of(page) for page in pages), title=title))


def report() -> ParsedFile:
    footed = [[HEAD, *page, (*FOOT[:3], FOOT[3].format(at))] for at, page in enumerate(PAGES, start=1)]
    return parse(*footed, title="Report")


def blocks(parsed: ParsedFile) -> list[tuple[BlockKind, str]]:
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


def test_lines_become_paragraphs_and_headings_by_distance_size_and_weight() -> None:
    heading, paragraph = BlockKind.HEADING, BlockKind.PARAGRAPH

    assert blocks(report()) == [
        (paragraph, "Harbour board, annual report"),
        (heading, "The harbour in 2026"),
        (paragraph, "Ilse Kern, harbour master"),
        (heading, "Crane"),
        (
            paragraph,
            "The crane will be repaired in June by a firm from Lund, which\nasked for nine thousand euros. "
            "The other offer, made by Bo Lind\nHansen and Sons, was higher.",
        ),
        (
            paragraph,
            "The fence was put off until next year because the wood is so\n\n1 of 3\n\fHarbour board, annual report\n\n"
            "dear that nobody can pay for it.",
        ),
        (paragraph, "Item Cost"),
        (paragraph, "Crane 9,000 euros"),
        (paragraph, "The board thanks the fire bri-\ngade."),
    ]


def test_running_heads_and_page_numbers_cut_no_sentence_and_are_found_once() -> None:
    parsed = report()
    (cut,) = [block for block in parsed.blocks if block.gaps]
    (gap,) = cut.gaps

    assert parsed.text[slice(*gap)].split("\n") == ["", "", "1 of 3", "\fHarbour board, annual report", "", ""]


def test_pages_are_known() -> None:
    parsed = report()

    assert [parsed.text[start:].split("\n")[0] for start in parsed.pages] == [HEAD[3]] * 3


def test_the_only_page_is_one() -> None:
    assert parse([(60, 700, "F1 11", "The crane is red.")]).pages == (0,)


def test_pages_without_text_are_counted() -> None:
    parsed = parse([], [(700, 12, "F1", "The crane is red.")], [], [(700, 12, "F1", "It is old.")], [])

    assert (parsed.text, parsed.pages) == ("\fThe crane is red.\n\f\fIt is old.\n", (0, 1, 20, 21))


def test_a_pdf_that_is_bold_throughout_has_no_headings_for_that() -> None:
    lines = [
        (700, 12, "F2", "Crane"),
        (660, 12, "F2", "The crane is red."),
        (620, 12, "F2", "Rope"),
        (580, 12, "F2", "None."),
    ]

    assert {kind for kind, _ in blocks(parse(lines))} == {BlockKind.PARAGRAPH}


def test_the_title_is_that_of_the_metadata_unless_a_program_made_it_up() -> None:
    line = (700, 12, "F1", "Good morning.")

    assert report().title == "Report"
    assert parse([line], title="Microsoft Word - minutes_final2.doc").title is None
    assert parse([line]).title is None
    assert report().date is None


def encrypted(password: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=BytesIO(pdf_of(page_of([(700, 12, "F1", "Good morning.")]))))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    file = BytesIO()
    writer.write(file)
    return file.getvalue()


def test_a_pdf_that_everybody_may_read_is_read_though_it_is_encrypted() -> None:
    assert pdf.parse(encrypted("")).text == "Good morning."


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encrypted("secret"), "it is protected by a password: save it without one"),
        (pdf_of(b"0 0 m 100 100 l S"), "there is no text in it, only pictures: run OCR on it"),
        (b"", "it is damaged, or no PDF: Cannot read an empty file"),
        (b"Good morning.", "it is damaged, or no PDF: Stream has ended unexpectedly"),
    ],
)
def test_what_cannot_be_read_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError) as error:
        pdf.parse(data)
    assert str(error.value) == reason


def test_without_the_package_that_decrypts_aes_the_reason_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks_it(_: object) -> None:
        raise DependencyError("cryptography>=3.1 is required for AES algorithm")

    monkeypatch.setattr(pdf, "_decrypt", lacks_it)  # the extra `mcp` brings the package
    with pytest.raises(DocumentError, match="it is encrypted with AES: print it to a PDF without protection"):
        pdf.parse(encrypted(""))

import datetime
from email.message import EmailMessage

import pytest
from hypothesis import given, settings

from sourceline.errors import DocumentError
from sourceline.ingest.formats import mail
from sourceline.types import BlockKind, ParsedFile
from tests.support.texts import texts

HEADERS = "From: Ilse Kern <ilse@example.org>\nDate: Wed, 04 Mar 2026 23:30:00 +0100\nSubject: Crane"


def mail_of(body: str, headers: str = HEADERS) -> ParsedFile:
    return mail.parse(f"{headers}\nContent-Type: text/plain; charset=utf-8\n\n{body}".encode())


def spoken(parsed: ParsedFile) -> list[tuple[str | None, str]]:
    """Return the blocks below the headers, with their speakers."""
    body = parsed.text.index("\n\n")
    return [(block.speaker, parsed.text[block.start : block.end]) for block in parsed.blocks if block.start > body]


def test_headers_are_lines_that_can_be_cited_and_what_the_sender_wrote_is_theirs() -> None:
    message = EmailMessage()
    message["Received"] = "from a by b"
    message["Date"] = datetime.datetime(2026, 3, 4, 23, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=-5)))
    message["From"] = "Ilsé Kern <ilse@example.org>"
    message["To"] = "bo@example.org, Anna Berg <anna@example.org>"
    message["Subject"] = "Kran für den Hafen"
    message.set_content("The crane will be repaired in June – by a firm from Lund.\n")
    message.add_alternative("<p>Other words.</p>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="offer für Lund.pdf")

    parsed = mail.parse(message.as_bytes())

    assert parsed.text == (
        "From: Ilsé Kern <ilse@example.org>\nTo: bo@example.org, Anna Berg <anna@example.org>\n"
        "Date: Wed, 04 Mar 2026 23:30:00 -0500\nSubject: Kran für den Hafen\n\n"
        "The crane will be repaired in June – by a firm from Lund.\n\nAttachments: offer für Lund.pdf"
    )
    assert (parsed.title, parsed.date) == ("Kran für den Hafen", datetime.date(2026, 3, 4))
    assert [parsed.text[block.start : block.end] for block in parsed.blocks[:4]] == parsed.text.split("\n")[:4]
    assert [block.speaker for block in parsed.blocks[:4]] == [None] * 4
    assert spoken(parsed) == [("Ilsé Kern", "The crane will be repaired in June – by a firm from Lund.")]


def test_a_short_line_in_a_mail_can_answer() -> None:
    parsed = mail_of(
        "Hi Bo\n\nAbout the crane, as you asked me.\n\nApproved\n\nBest wishes\n\n2. Rope\nIt is too dear.\n"
    )
    headings = [parsed.text[block.start : block.end] for block in parsed.blocks if block.kind is BlockKind.HEADING]
    assert headings == ["2. Rope"]
    assert ("Ilse Kern", "Approved") in spoken(parsed)


def test_a_mail_in_html_alone_is_read_as_a_page() -> None:
    message = EmailMessage()
    message["From"] = "bo@example.org"
    message.set_content("<table><tr><td><p>The crane is red.</p><blockquote>It was blue.</blockquote></table>", "html")

    parsed = mail.parse(message.as_bytes())

    assert spoken(parsed) == [("bo@example.org", "The crane is red.")]
    assert "> It was blue." in parsed.text


REPLY = "The crane will be repaired in June."


@pytest.mark.parametrize(
    "rest",
    [
        "> When will it be repaired?\n> Soon?",
        "On Tue, 3 Mar 2026 at 10:00, Bo Lind <bo@example.org> wrote:\n\n> When will it be repaired?",
        "On Tue, 3 Mar 2026 at 10:00, Bo Lind\n<bo@example.org> wrote:\n> When will it be repaired?",
        "Am 3. März 2026 um 10:00 schrieb Bo Lind:\n> Wann wird er repariert?",
        "-----Original Message-----\nFrom: Bo Lind\nSent: Tuesday\nSubject: Crane\n\nWhen will it be repaired?",
        "________________________________\nFrom: Bo Lind\nSent: Tuesday\nTo: Ilse\nSubject: Crane\n\nWhen will it be?",
        "Von: Bo Lind\nGesendet: Dienstag\nAn: Ilse\nBetreff: Kran\n\nWann wird er repariert?",
        "-- \nIlse Kern\nHarbour master\n\nOn Tue, 3 Mar 2026 at 10:00, Bo Lind wrote:\n> When will it be repaired?",
    ],
)
def test_quoted_mails_and_signatures_are_shown_and_not_searched(rest: str) -> None:
    parsed = mail_of(f"{REPLY}\n\n{rest}\n")

    assert spoken(parsed) == [("Ilse Kern", REPLY)]
    assert parsed.text.split("\n\n", 1)[1].startswith(REPLY)
    assert parsed.text.endswith(rest.replace("-- \n", "--\n"))


def test_answers_between_quoted_lines_are_the_senders() -> None:
    parsed = mail_of("> When?\nIn June.\n\n> By whom?\n> Lund?\nBy a firm from Lund.\n")

    assert spoken(parsed) == [("Ilse Kern", "In June."), ("Ilse Kern", "By a firm from Lund.")]


@pytest.mark.parametrize(
    ("subject", "above"),
    [
        ("Rope", "---------- Forwarded message ---------\n"),
        ("Fwd: Rope", "Begin forwarded message:\n\n"),
        ("FW: Rope", ""),
        ("WG: Rope", "-----Original Message-----\n"),
    ],
)
def test_what_is_forwarded_is_searched_and_is_not_the_senders(subject: str, above: str) -> None:
    headers = HEADERS.replace("Crane", subject)
    parsed = mail_of(f"{REPLY}\n\n{above}From: Bo Lind\nSent: Tuesday\nSubject: Rope\n\nThe rope is frayed.\n", headers)

    assert spoken(parsed)[0] == ("Ilse Kern", REPLY)
    assert spoken(parsed)[-1] == (None, "The rope is frayed.")
    assert {speaker for speaker, _ in spoken(parsed)[1:]} == {None}


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        ("Content-Type: text/plain; charset=iso-8859-1", "Öl für 9 €".encode("cp1252"), "Öl für 9 €"),
        ("Content-Type: text/plain; charset=no-such", "Öl".encode(), "Öl"),
        ("Subject: x", "Öl".encode("cp1252"), "Öl"),
        ("Content-Transfer-Encoding: base64", b"VGhlIGNyYW5lIGlzIHJlZC4=", "The crane is red."),
        ("Content-Transfer-Encoding: quoted-printable", b"The crane is=\n red.", "The crane is red."),
    ],
)
def test_the_body_is_decoded(head: str, body: bytes, expected: str) -> None:
    assert spoken(mail.parse(f"From: a@b.org\n{head}\n\n".encode() + body)) == [("a@b.org", expected)]


def test_a_mail_without_a_body_has_its_headers() -> None:
    assert mail.parse(b"From: a@b.org\nSubject: Crane\n\n").text == "From: a@b.org\nSubject: Crane"


def test_a_file_that_is_no_mail_is_refused() -> None:
    with pytest.raises(DocumentError, match="it is no mail: it has none of the headers From, To, Cc, Date, Subject"):
        mail.parse(b"The crane is red.\n")


@pytest.mark.parametrize("header", ["From: a@", "From: :;-", f"Date: 2 Jan {10**20} 10:00:00 +0000"])
def test_a_header_at_which_pythons_parser_fails_is_shown_as_it_is(header: str) -> None:
    assert mail_of("It leaks.", f"{header}\nSubject: Crane").text.splitlines()[0] == header


def test_an_attached_mail_is_named_by_its_subject() -> None:
    inner, outer = EmailMessage(), EmailMessage()
    inner["Subject"] = "The old\n rope".replace("\n", "")
    inner.set_content("It is frayed.\n")
    outer["From"] = "a@b.org"
    outer.set_content("See below.\n")
    outer.add_attachment(inner)

    assert mail.parse(outer.as_bytes()).text.endswith("See below.\n\nAttachments: The old rope")


@settings(deadline=None)
@given(texts, texts)
def test_whatever_a_mail_holds_blocks_are_in_order_and_hold_words(subject: str, body: str) -> None:
    for kind in ("plain", "html"):
        head = f"From: a@b.org\nSubject: {subject}\nContent-Type: text/{kind}; charset=utf-8\n\n"
        parsed = mail.parse((head + body).encode())

        edges = [0, *(edge for block in parsed.blocks for edge in (block.start, block.end)), len(parsed.text)]
        assert edges == sorted(edges)
        assert all(parsed.text[block.start : block.end].strip() for block in parsed.blocks)

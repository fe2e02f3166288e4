"""Mail (.eml): its headers, and what its sender wrote.

What others wrote is quoted in replies again and again, and signatures repeat too: both are shown and not searched.
"""

import email
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from email import policy
from email.headerregistry import AddressHeader, DateHeader
from email.message import EmailMessage

from sourceline.errors import DocumentError
from sourceline.ingest.formats import html, plain
from sourceline.ingest.formats.extraction import TextBuilder, shifted
from sourceline.types import Block, BlockKind, ParsedFile

_HEADERS = ("From", "To", "Cc", "Date", "Subject")
# Of a longer one the rest is not read: its parser takes time that grows with the square.
_LONGEST_HEADER = 10_000

_QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
# The line above a quotation, as Gmail, Apple Mail, Thunderbird and their translations write it; it may be wrapped.
_ATTRIBUTION = re.compile(
    r"^(?:On|Am|Le|El|Il|Op|Den|Em) .{5,120}(?:\n.{1,80})?(?:wrote|schrieb.{0,80}|a écrit|escribió|ha scritto|schreef"
    r"|skrev.{0,80}|escreveu)\s?:$(?=\s*(?:^[ \t]*>|\Z))",
    re.MULTILINE,
)
# From here to the end the mail that is replied to follows, without marks.
_ORIGINAL = re.compile(
    r"^(?:-{2,} ?(?:Original Message|Original Appointment|Ursprüngliche Nachricht|Originalnachricht|Message d'origine"
    r"|Mensaje original|Messaggio originale) ?-{2,}"
    r"|(?:_{5,}\s*)?\*?(?:From|Von|De|Da): ?\*?.+\n(?:.+\n){0,2}\*?(?:Sent|Gesendet|Envoyé|Enviado|Inviato|Date|Datum):"
    r" ?.+\n"
    r"(?:.+\n){0,6}?\*?(?:Subject|Betreff|Objet|Asunto|Oggetto): ?.*)$",
    re.MULTILINE | re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"^(?:-{2,} ?(?:Forwarded message|Weitergeleitete Nachricht) ?-{2,}|Begin forwarded message:"
    r"|Anfang der weitergeleiteten Nachricht:)$",
    re.MULTILINE | re.IGNORECASE,
)
_FORWARDS = re.compile(r"(?i)(?:fwd?|wg|tr|rv|i)\s?:")
_SIGNATURE = re.compile(r"^-- ?$", re.MULTILINE)

_LINE_END = re.compile(r"\r\n?|\n")

Span = tuple[int, int]


def parse(data: bytes) -> ParsedFile:
    """Return the text of a mail: headers, body, names of attachments. Its subject is the title.

    Raises:
        DocumentError: it has no header of a mail.
    """
    message = email.message_from_bytes(data, policy=policy.default)
    headers = {name: value for name in _HEADERS if (value := _header(message, name)) is not None}
    if not headers:
        raise DocumentError("it is no mail: it has none of the headers " + ", ".join(_HEADERS))
    builder = TextBuilder()
    for name, header in headers.items():
        builder.add(f"{name}: {_one_line(header)}", tight=True)
    head = builder.build()
    subject = _one_line(headers.get("Subject", ""))
    body, blocks = _body(message)
    own = _blocks(body, blocks, subject, _sender(headers.get("From")))
    text = f"{head.text}\n\n{body}".rstrip()
    if names := [title for part in message.iter_attachments() if (title := _attachment(part))]:
        text += f"\n\nAttachments: {', '.join(names)}"
    date = headers.get("Date")
    return ParsedFile(
        text,
        (*head.blocks, *(shifted(block, len(head.text) + 2) for block in own)),
        title=subject or None,
        date=date.datetime.date() if isinstance(date, DateHeader) and date.datetime else None,
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _header(message: EmailMessage, name: str) -> str | None:
    """Return a header, decoded; it is a string and more."""
    for key, raw in message.raw_items():
        if key.lower() == name.lower():
            text = str(raw)[:_LONGEST_HEADER]
            try:
                header: str = policy.default.header_fetch_parse(key, text)
            # Python's parser looks behind the end of "a@", takes the group in ":;-" for a mailbox, and cannot count to
            # the year 10 ** 20.
            except (IndexError, AttributeError, OverflowError):
                return _one_line(text)
            return header
    return None


def _sender(header: str | None) -> str | None:
    """Return the name of who sent it, the address if there is no name."""
    if not isinstance(header, AddressHeader) or not header.addresses:
        return None
    return header.addresses[0].display_name or header.addresses[0].addr_spec or None


def _attachment(part: EmailMessage) -> str | None:
    if name := part.get_filename():
        return _one_line(name)
    if part.get_content_type() == "message/rfc822" and isinstance(inner := part.get_payload(0), EmailMessage):
        return _header(inner, "Subject")
    return None


def _body(message: EmailMessage) -> tuple[str, tuple[Block, ...] | None]:
    """Return the text of the body, and its blocks if it is in HTML."""
    part = message.get_body(("plain", "html"))
    payload = part.get_payload(decode=True) if part is not None else None
    if part is None or not isinstance(payload, bytes):
        return "", ()
    text = html.decode(payload, part.get_content_charset())
    if part.get_content_type() == "text/html":
        page = html.read_page(text)
        return page.text, page.blocks
    return "\n".join(line.rstrip() for line in _LINE_END.split(text)).strip("\n"), None


def _blocks(text: str, blocks: tuple[Block, ...] | None, subject: str, sender: str | None) -> Iterator[Block]:
    """Yield the blocks of what the sender of a mail wrote, and of what is forwarded, whose sender is not known."""
    forwarded = _FORWARDED.search(text) or (_ORIGINAL.search(text) if _FORWARDS.match(subject) else None)
    end = forwarded.start() if forwarded else len(text)
    repeated = _repeated(text, end)
    if blocks is None:
        blanked = list(text)
        for start, stop in repeated:
            blanked[start:stop] = ["\n" if character == "\n" else " " for character in text[start:stop]]
        blocks = tuple(_in_mail(block, text) for block in plain.parse("".join(blanked)).blocks)
    starts = [start for start, _ in repeated]
    for block in blocks:
        # The stretches do not overlap, so that only the last one that begins before the end of the block can reach it.
        at = bisect_left(starts, block.end)
        if not at or repeated[at - 1][1] <= block.start:
            yield replace(block, speaker=sender if block.start < end else None)


def _in_mail(block: Block, text: str) -> Block:
    """Return a block as it is in a mail, where a short line is an answer ("Approved") more often than a heading."""
    line = text[block.start : block.end]
    is_heading = block.kind is BlockKind.HEADING and (line.isupper() or plain.is_numbered(line))
    return block if is_heading else replace(block, kind=BlockKind.PARAGRAPH)


def _repeated(text: str, end: int) -> list[Span]:
    """Return the stretches before ``end`` that repeat other mails, or stand in each of the sender's, in order."""
    ends = [match.start() for pattern in (_ORIGINAL, _SIGNATURE) if (match := pattern.search(text, 0, end))]
    rest = min(ends, default=end)
    spans = [match.span() for pattern in (_ATTRIBUTION, _QUOTED_LINE) for match in pattern.finditer(text, 0, rest)]
    return [*sorted(spans), (rest, end)] if rest < end else sorted(spans)

"""Files that are made to take all memory or time of what reads them, or to crash it."""

import random
import zlib

from tests.support.files import docx_of, paragraph, pdf_of


def zip_bomb() -> bytes:
    """Return a Word document of 200 KB that unpacks to 200 MB."""
    return docx_of(paragraph("Small."), parts={"word/media.bin": bytes(200_000_000)})


def docx_of_elements() -> bytes:
    """Return a Word document of 1 MB, padded to look honest, with 8 million empty elements."""
    padding = random.Random(1).randbytes(1_000_000)
    return docx_of("<w:p/>" * 8_000_000, parts={"word/media.bin": padding})


def entity_bomb() -> bytes:
    """Return a Word document whose XML doubles a word thirty times ("billion laughs")."""
    entities = '<!ENTITY e0 "lol ">' + "".join(f'<!ENTITY e{n} "&e{n - 1};&e{n - 1};">' for n in range(1, 31))
    return docx_of(paragraph("&e30;"), before=f"<!DOCTYPE bomb [{entities}]>")


def nested_docx() -> bytes:
    """Return a Word document with 200,000 fields in each other."""
    return docx_of("<w:sdt><w:sdtContent>" * 200_000 + "</w:sdtContent></w:sdt>" * 200_000)


def pdf_bomb() -> bytes:
    """Return a PDF of some KB whose only page is 2 GB of spaces, deflated twice."""
    times, spaces = 2_000, b" " * 1_000_000
    compressor = zlib.compressobj(9)
    head = compressor.compress(b"") + compressor.flush(zlib.Z_FULL_FLUSH)
    block = compressor.compress(spaces) + compressor.flush(zlib.Z_FULL_FLUSH)
    checksum = zlib.adler32(b"")
    for _ in range(times):
        checksum = zlib.adler32(spaces, checksum)
    end = compressor.flush()[:-4] + checksum.to_bytes(4, "big")
    return pdf_of(zlib.compress(head + block * times + end, 9), filters="/Filter [/FlateDecode /FlateDecode]")


def slow_pdf() -> bytes:
    """Return a PDF of some KB whose only page shows a letter four million times."""
    text = b"BT /F1 12 Tf " + b"(a) Tj " * 4_000_000 + b"ET"
    return pdf_of(zlib.compress(text, 9), filters="/Filter /FlateDecode")


def long_pdf() -> bytes:
    """Return a PDF of some KB whose only page says the same sentence 45,000 times."""
    line = b"(" + b"All work and no play makes Jack a dull boy. " * 1_000 + b") Tj T* "
    return pdf_of(
        zlib.compress(b"BT /F1 12 Tf 14 TL 72 720 Td " + line * 45 + b"ET", 9), filters="/Filter /FlateDecode"
    )


def nested_html(count: int = 200_000) -> bytes:
    """Return a page with so many elements in each other, and words in the innermost."""
    return b"<div>" * count + b"The words are in the innermost of them." + b"</div>" * count


def nested_mail(count: int = 100_000) -> bytes:
    """Return a mail with so many parts in each other."""
    head = b"From: a@example.org\nSubject: Parts\n"
    return head + b"".join(
        f'Content-Type: multipart/mixed; boundary="{number}"\n\n--{number}\n'.encode() for number in range(count)
    )


def mail_of_headers(count: int = 100_000) -> bytes:
    """Return a mail with so many headers."""
    headers = b"".join(b"X-%d: words\n" % number for number in range(count))
    return headers + b"From: a@example.org\nSubject: Headers\n\nThe words are below the headers.\n"


def mail_of_addresses(count: int = 100_000) -> bytes:
    """Return a mail to so many addresses."""
    addresses = b", ".join(b"A B <a%d@example.org>" % number for number in range(count))
    return b"From: a@example.org\nTo: " + addresses + b"\nSubject: Addresses\n\nThe words are below the headers.\n"

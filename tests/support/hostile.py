"""Files that are made to take all memory or time of what reads them, or to crash it."""

import zipfile
import zlib
from io import BytesIO

_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
_RELATIONS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="word/document.xml" Type='
    '"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>'
)
_NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def docx_of(body: str, before: str = "", **parts: bytes) -> bytes:
    """Return a Word document with this XML in its body, ``before`` in front of the root, and further parts."""
    document = f'<?xml version="1.0"?>{before}<w:document xmlns:w="{_NAMESPACE}"><w:body>{body}</w:body></w:document>'
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _TYPES)
        archive.writestr("_rels/.rels", _RELATIONS)
        archive.writestr("word/document.xml", document)
        for name, data in parts.items():
            archive.writestr(f"word/{name}.bin", data)
    return file.getvalue()


def paragraph(text: str) -> str:
    """Return the XML of a paragraph of a Word document."""
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def zip_bomb() -> bytes:
    """Return a Word document of 200 KB that unpacks to 200 MB."""
    return docx_of(paragraph("Small."), media=bytes(200_000_000))


def entity_bomb() -> bytes:
    """Return a Word document whose XML doubles a word thirty times ("billion laughs")."""
    entities = '<!ENTITY e0 "lol ">' + "".join(f'<!ENTITY e{n} "&e{n - 1};&e{n - 1};">' for n in range(1, 31))
    return docx_of(paragraph("&e30;"), before=f"<!DOCTYPE bomb [{entities}]>")


def nested_docx() -> bytes:
    """Return a Word document with 200,000 fields in each other."""
    return docx_of("<w:sdt><w:sdtContent>" * 200_000 + "</w:sdtContent></w:sdt>" * 200_000)


def pdf_of(content: bytes, filters: str = "", pages: int = 1) -> bytes:
    """Return a PDF whose pages all show this content stream, which is encoded by ``filters``, in Helvetica as F1."""
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    kids = " ".join(f"{number} 0 R" for number in range(5, 5 + pages))
    page = b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} /MediaBox [0 0 612 792]".encode()
        + b" /Resources << /Font << /F1 3 0 R >> >> >>",
        font,
        f"<< /Length {len(content)} {filters} >>\nstream\n".encode() + content + b"\nendstream",
        *([page] * pages),
    ]
    file = BytesIO()
    file.write(b"%PDF-1.5\n")
    offsets = []
    for number, item in enumerate(objects, start=1):
        offsets.append(file.tell())
        file.write(f"{number} 0 obj\n".encode() + item + b"\nendobj\n")
    table = file.tell()
    file.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    file.write(b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets))
    file.write(f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n".encode())
    return file.getvalue()


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
    return pdf_of(zlib.compress(head + block * times + end, 9), "/Filter [/FlateDecode /FlateDecode]")


def slow_pdf() -> bytes:
    """Return a PDF of some KB whose only page shows a letter four million times."""
    text = b"BT /F1 12 Tf " + b"(a) Tj " * 4_000_000 + b"ET"
    return pdf_of(zlib.compress(text, 9), "/Filter /FlateDecode")


def long_pdf() -> bytes:
    """Return a PDF of some KB whose only page says the same sentence a hundred thousand times."""
    line = b"(" + b"All work and no play makes Jack a dull boy. " * 1_000 + b") Tj T* "
    return pdf_of(zlib.compress(b"BT /F1 12 Tf 14 TL 72 720 Td " + line * 100 + b"ET", 9), "/Filter /FlateDecode")


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


def html_of_attributes(count: int = 1_200_000) -> bytes:
    """Return a page with one element of so many attributes."""
    return b"<p " + b'a="x" ' * count + b">The words are in a paragraph.</p>"

"""Files of formats that are no text, made by hand."""

import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO

_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/><Default Extension="bin" ContentType="image/x"/>'
    '<Override PartName="/word/document.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
_RELATION = '<Relationship Id="rId{}" Target="{}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}"/>'
_RELATIONS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}'
    "</Relationships>"
)
_NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def docx_of(body: str, before: str = "", parts: Mapping[str, bytes] | None = None) -> bytes:
    """Return a Word document with this XML in its body, ``before`` in front of the root, and further parts by name.

    A part in a file ``word/footnotes.xml`` is one of the document's.
    """
    document = f'<?xml version="1.0"?>{before}<w:document xmlns:w="{_NAMESPACE}"><w:body>{body}</w:body></w:document>'
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _TYPES)
        archive.writestr("_rels/.rels", _RELATIONS.format(_RELATION.format(1, "word/document.xml", "officeDocument")))
        archive.writestr("word/document.xml", document)
        archive.writestr("word/_rels/document.xml.rels", _relations(parts or {}))
        for name, data in (parts or {}).items():
            archive.writestr(name, data)
    return file.getvalue()


def _relations(parts: Mapping[str, bytes]) -> str:
    names = [name.removeprefix("word/") for name in parts if name.endswith(".xml")]
    relations = (_RELATION.format(at, name, name.removesuffix(".xml")) for at, name in enumerate(names, start=1))
    return _RELATIONS.format("".join(relations))


def run(text: str) -> str:
    """Return the XML of a stretch of text in a paragraph."""
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def paragraph(*runs: str) -> str:
    """Return the XML of a paragraph of a Word document, made of text or of XML."""
    return f"<w:p>{''.join(part if part.startswith('<') else run(part) for part in runs)}</w:p>"


def pdf_of(*contents: bytes, filters: str = "", count: int = 1, title: str = "", trailer: str = "") -> bytes:
    """Return a PDF with a page for each content stream. Fonts are F1 and F2, which is bold.

    Args:
        contents: the streams, as ``filters`` encode them.
        filters: in the dictionary of a stream.
        count: how many pages show each stream.
        title: in the metadata.
        trailer: what else stands in the trailer.
    """
    first = 6 + len(contents)
    pages = [
        f"<< /Type /Page /Parent 2 0 R /Contents {6 + at} 0 R >>" for at in range(len(contents)) for _ in range(count)
    ]
    kids = " ".join(f"{first + at} 0 R" for at in range(len(pages)))
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica{} /Encoding /WinAnsiEncoding >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} /MediaBox [0 0 612 792] "
        f"/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>".encode(),
        font.format("").encode(),
        font.format("-Bold").encode(),
        f"<< /Title ({title}) >>".encode(),
        *(
            b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), filters.encode(), content)
            for content in contents
        ),
        *(page.encode() for page in pages),
    ]
    file = BytesIO()
    file.write(b"%PDF-1.5\n")
    offsets = []
    for number, item in enumerate(objects, start=1):
        offsets.append(file.tell())
        file.write(b"%d 0 obj\n%s\nendobj\n" % (number, item))
    table = file.tell()
    file.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    file.write(b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets))
    file.write(f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 5 0 R {trailer} >>\n".encode())
    file.write(f"startxref\n{table}\n%%EOF\n".encode())
    return file.getvalue()


def page_of(lines: Sequence[tuple[int, int, str, str]]) -> bytes:
    """Return the content of a page of a PDF: lines by their height on it, size, font, and text."""
    parts = (f"BT /{font} {size} Tf 72 {y} Td ({text}) Tj ET" for y, size, font, text in lines)
    return "\n".join(parts).encode("cp1252")

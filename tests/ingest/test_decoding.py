import codecs

import pytest

from sourceline.errors import DocumentError
from sourceline.ingest.decoding import decode

TEXTS = ["The crane is up.", "Überfälle – schön!\r\nDer Kran steht.\r\n", "Кран стоит.\nОн красный, 1963 года.\n"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_utf_8_and_marked_utf_16_are_read(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text
    assert decode(codecs.BOM_UTF16_BE + text.encode("utf-16-be")) == text


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-16-le", "UTF-16 without a byte-order mark"),
        ("utf-16-be", "UTF-16 without a byte-order mark"),
        ("utf-32-le", "UTF-32 without a byte-order mark"),
        ("utf-32-be", "UTF-32 without a byte-order mark"),
        ("utf-32", "UTF-32"),
    ],
)
def test_unmarked_utf_16_and_utf_32_are_refused_by_name(text: str, encoding: str, named: str) -> None:
    with pytest.raises(DocumentError) as caught:
        decode(text.encode(encoding))
    assert str(caught.value) == f"it looks like {named}; save it as UTF-8"


@pytest.mark.parametrize(
    "data", [b"The crane\0 is up.", b"\0", b"a\0\0b", b"\0\0\0\0\0\0\0", b"The crane is \0\0 up.", b"Text.\0"]
)
def test_other_nuls_are_no_text(data: bytes) -> None:
    with pytest.raises(DocumentError, match="it is not text: there is a NUL at character"):
        decode(data)

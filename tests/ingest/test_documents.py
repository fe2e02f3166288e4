import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from sourceline.errors import CorpusError, DocumentError
from sourceline.ingest.loader import SkippedFile, list_files, read_document, read_documents
from sourceline.types import Document
from tests.texts import texts


def test_finds_files_with_known_endings_in_all_folders_in_the_order_of_their_ids(documents: Path) -> None:
    names = ["b.txt", "a/z.md", "a/b/c.TXT", "ü.Md", "B.txt", "two words.txt", "v1.2.txt"]
    others = [".hidden.txt", ".git/x.txt", "a/.txt", "x.pdf", "README", "txt", "x.txt~", "x.txt.bak"]
    for name in [*names, *others]:
        (documents / name).parent.mkdir(parents=True, exist_ok=True)
        (documents / name).write_text("Text.")

    found = ["B.txt", "a/b/c.TXT", "a/z.md", "b.txt", "two words.txt", "v1.2.txt", "ü.Md"]
    assert list_files(documents) == (found, [])


def test_the_folder_may_be_a_link_but_links_to_folders_below_it_are_not_followed(documents: Path) -> None:
    (documents / "real").mkdir()
    (documents / "real/a.txt").write_text("Text.")
    (documents / "loop").symlink_to(documents)
    (documents / "real/up.txt").symlink_to("..")
    link = documents.with_name("link")
    link.symlink_to(documents)

    assert list_files(link) == (["real/a.txt"], [])


def test_no_folder_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("Text.")

    for name in ("missing", "file"):
        with pytest.raises(CorpusError, match=f"no documents folder at .*{name}: create it, or name another with"):
            list_files(tmp_path / name)


def test_an_empty_folder_holds_no_documents(documents: Path) -> None:
    assert list(read_documents(documents)) == []


def test_reads_text_as_it_stands_and_hashes_the_bytes(documents: Path) -> None:
    data = "One.\r\nTwo\rCafe\u0301 \u202e\n".encode()
    (documents / "a_b.txt").write_bytes(data)

    read = read_document(documents, "a_b.txt")

    assert (read.id, read.title) == ("a_b.txt", "a b")
    assert read.text == "One.\r\nTwo\rCafe\u0301 \u202e\n"
    assert read.sha256 == hashlib.sha256(data).hexdigest()


def test_a_byte_order_mark_is_no_text(documents: Path) -> None:
    (documents / "a.txt").write_bytes(b"\xef\xbb\xbfOne.")

    assert read_document(documents, "a.txt").text == "One."


def test_the_title_is_the_first_heading_in_one_line(documents: Path) -> None:
    (documents / "notes.md").write_text("#\n\nBefore.\n\nMinutes of\n3  May\n=====\n\n# Later\n")

    assert read_document(documents, "notes.md").title == "Minutes of 3 May"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "there is no text in it"),
        (b"\xef\xbb\xbf", "there is no text in it"),
        (" \t\r\n\u00a0\u2028\x0c".encode(), "there is no text in it"),
        (b"caf\xe9", "it is not UTF-8: byte 3 is 0xe9; save it as UTF-8"),
        (b"\xef\xbb\xbfcaf\xe9", "it is not UTF-8: byte 6 is 0xe9; save it as UTF-8"),
        ("é".encode() + b"\xff", "it is not UTF-8: byte 2 is 0xff; save it as UTF-8"),
        (b"ab\xed\xa0\x80", "it is not UTF-8: byte 2 is 0xed; save it as UTF-8"),
        (b"ab\xe2\x82", "it is not UTF-8: byte 2 is 0xe2; save it as UTF-8"),
        ("Text.".encode("utf-16"), "it is not UTF-8: byte 0 is 0xff; save it as UTF-8"),
        ("é\0b\0".encode(), "it is not text: there is a NUL at character 1"),
    ],
)
def test_a_file_that_is_no_text_is_skipped_with_the_reason(documents: Path, data: bytes, reason: str) -> None:
    (documents / "x.txt").write_bytes(data)

    assert list(read_documents(documents)) == [SkippedFile("x.txt", reason)]


def test_what_is_no_readable_file_is_skipped_and_the_rest_is_read(documents: Path) -> None:
    os.mkfifo(documents / "fifo.txt")  # with no writer: opened the usual way, it would wait for ever
    (documents / "dangling.txt").symlink_to("nowhere")
    (documents / "loop.txt").symlink_to("loop.txt")
    (documents / "device.txt").symlink_to("/dev/zero")
    (documents / "folder.txt").mkdir()
    (documents / "folder.txt/inside.txt").write_text("Inside.")
    (documents / "link.txt").symlink_to("folder.txt/inside.txt")

    found = {
        one.document_id if isinstance(one, SkippedFile) else one.id: one.reason
        if isinstance(one, SkippedFile)
        else one.text
        for one in read_documents(documents)
    }

    assert found == {
        "dangling.txt": "it cannot be read: No such file or directory",
        "device.txt": "it is not a regular file",
        "fifo.txt": "it is not a regular file",
        "folder.txt/inside.txt": "Inside.",
        "link.txt": "Inside.",
        "loop.txt": "it cannot be read: Too many levels of symbolic links",
    }


def test_a_folder_or_nothing_in_the_place_of_a_file_is_a_document_error(documents: Path) -> None:
    (documents / "x.txt").mkdir()

    with pytest.raises(DocumentError, match="it cannot be read: Is a directory"):
        read_document(documents, "x.txt")
    with pytest.raises(DocumentError, match="it cannot be read: No such file"):
        read_document(documents, "y.txt")


def test_names_that_are_not_utf8_are_skipped_each_under_a_name_of_its_own(documents: Path) -> None:
    for name in (b"a\xe9.txt", b"a\xff.txt", "a\u0301.txt".encode()):
        Path(os.fsdecode(os.fsencode(documents) + b"/" + name)).write_text("Text.")

    read = list(read_documents(documents))

    assert [one for one in read if isinstance(one, SkippedFile)] == [
        SkippedFile(r"a\udce9.txt", "its name is not UTF-8"),
        SkippedFile(r"a\udcff.txt", "its name is not UTF-8"),
    ]
    assert [one.id for one in read if not isinstance(one, SkippedFile)] == ["a\u0301.txt"]


@settings(deadline=None)
@given(texts)
def test_whatever_text_a_file_holds_is_read_as_it_stands(text: str) -> None:
    with TemporaryDirectory() as folder:
        for ending in (".txt", ".md"):
            (Path(folder) / f"x{ending}").write_bytes(b"\xef\xbb\xbf" + text.encode())

        for read in read_documents(Path(folder)):
            if isinstance(read, SkippedFile):
                assert (text.strip(), read.reason) == ("", "there is no text in it")
            else:
                assert read.text == text


def test_a_folder_that_cannot_be_listed_is_skipped_with_the_reason(
    documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (documents / "a.txt").write_text("One.")
    (documents / "shut").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    skipped, document = read_documents(documents)
    assert skipped == SkippedFile("shut", "cannot be listed: Permission denied")
    assert isinstance(document, Document)

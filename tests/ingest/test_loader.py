import datetime
import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from docx import Document as WordDocument
from hypothesis import given, settings

from sourceline.errors import CorpusError, DocumentError
from sourceline.ingest.files import FileStamp
from sourceline.ingest.loader import (
    DocumentReader,
    FolderScan,
    SourceFile,
    list_documents,
    look_at_folder,
    read_document,
    scan_folder,
)
from sourceline.types import FolderContents
from tests.support.texts import texts

OTHER_FORMAT = "its format is not read"


def write(folder: Path, *names: str, text: str = "Text.") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def ids(scan: FolderScan) -> list[str]:
    return [file.document_id for file in scan.files]


def test_files_of_known_formats_are_listed_from_all_folders_in_the_order_of_their_ids(documents: Path) -> None:
    write(documents, "b.txt", "a/z.md", "a/b/c.TXT", "ü.Md", "B.txt", "two words.txt", "v1.2.txt")

    scan = scan_folder(documents)

    assert ids(scan) == ["B.txt", "a/b/c.TXT", "a/z.md", "b.txt", "two words.txt", "v1.2.txt", "ü.Md"]
    assert (scan.skipped, scan.ignored) == ({}, {})


def test_the_id_of_a_document_is_its_name_in_nfc_however_the_file_system_encodes_it(documents: Path) -> None:
    write(documents, "u\u0308ber/re\u0301sume\u0301.txt", "z.txt")

    file = scan_folder(documents).files[1]

    assert (file.document_id, file.name) == ("\u00fcber/r\u00e9sum\u00e9.txt", "u\u0308ber/re\u0301sume\u0301.txt")
    read = read_document(documents, file.name)
    assert (read.id, read.title) == ("\u00fcber/r\u00e9sum\u00e9.txt", "r\u00e9sum\u00e9")
    assert list_documents(documents).documents == ("z.txt", "\u00fcber/r\u00e9sum\u00e9.txt")


@pytest.mark.parametrize("other", ["A\u030a.txt", "\u212b.txt"])
def test_of_two_files_whose_names_differ_in_encoding_alone_the_nfc_one_is_read(documents: Path, other: str) -> None:
    (documents / other).write_text("Other.")
    (documents / "\u00c5.txt").write_text("This.")

    scan = scan_folder(documents)

    assert [(file.document_id, file.name) for file in scan.files] == [("\u00c5.txt", "\u00c5.txt")]
    assert scan.skipped == {
        other: "another file has the same name, with accents encoded in another way: rename one",
    }


def test_a_scanned_file_has_the_size_and_the_hash_of_its_bytes(documents: Path) -> None:
    data = "\ufeffÜber.\r\n".encode()
    (documents / "a.txt").write_bytes(data)

    assert scan_folder(documents).files == (SourceFile("a.txt", "a.txt", 11, hashlib.sha256(data).hexdigest()),)


def test_every_file_of_another_format_is_ignored_by_name_with_the_reason(documents: Path) -> None:
    names = ["x.png", "README", "txt", "x.txt~", "x.txt.bak", "a/b.pptx"]
    write(documents, "a.txt", *names)

    scan = scan_folder(documents)

    assert ids(scan) == ["a.txt"]
    assert scan.skipped == {}
    assert list(scan.ignored.items()) == [(name, OTHER_FORMAT) for name in sorted(names)]


def test_hidden_files_and_folders_are_ignored_by_name_with_the_reason(documents: Path) -> None:
    write(documents, "a.txt", ".hidden.txt", "a/.txt", ".git/x.txt", ".git/deep/y.md", "a/.cache/z.txt")

    scan = scan_folder(documents)

    assert ids(scan) == ["a.txt"]
    assert scan.ignored == {
        ".git/": "hidden folders are not read",
        ".hidden.txt": "hidden files are not read",
        "a/.cache/": "hidden folders are not read",
        "a/.txt": "hidden files are not read",
    }


def test_what_office_programs_write_beside_open_documents_is_ignored(documents: Path) -> None:
    names = ["~$nutes.docx", "a/~$budget.md", "~$a.TXT"]
    write(documents, "a.txt", "~a.txt", "$a.txt", *names)

    scan = scan_folder(documents)

    assert ids(scan) == ["$a.txt", "a.txt", "~a.txt"]
    assert scan.ignored == dict.fromkeys(sorted(names), "temporary files of Office programs are not read")


def test_links_to_folders_are_ignored_by_name_though_the_documents_folder_itself_may_be_one(documents: Path) -> None:
    write(documents, "real/a.txt")
    (documents / "loop").symlink_to(documents)
    (documents / "real/up.txt").symlink_to("..")
    link = documents.with_name("link")
    link.symlink_to(documents)

    scan = scan_folder(link)

    assert ids(scan) == ["real/a.txt"]
    assert scan.skipped == {}
    assert scan.ignored == {
        "loop/": "links to folders are not followed",
        "real/up.txt/": "links to folders are not followed",
    }


@pytest.mark.parametrize("read", [scan_folder, list_documents])
@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_documents_folder_that_is_not_there_is_an_error_that_says_what_to_do(
    tmp_path: Path, read: Callable[[Path], object], name: str
) -> None:
    (tmp_path / "file").write_text("Text.")

    with pytest.raises(CorpusError) as error:
        read(tmp_path / name)
    assert str(error.value) == (
        f"no documents folder at {tmp_path / name}: create it, or name another with --documents"
    )


def test_an_empty_folder_holds_nothing(documents: Path) -> None:
    assert scan_folder(documents) == FolderScan((), {}, {})
    assert list_documents(documents) == FolderContents((), {}, {})


def test_a_document_holds_the_text_as_it_stands_and_the_hash_of_the_bytes(documents: Path) -> None:
    data = "One.\r\nTwo\rCafe\u0301 \u202e\n".encode()
    (documents / "a_b.txt").write_bytes(data)

    document = read_document(documents, "a_b.txt")

    assert (document.id, document.title) == ("a_b.txt", "a b")
    assert document.text == "One.\r\nTwo\rCafe\u0301 \u202e\n"
    assert document.sha256 == hashlib.sha256(data).hexdigest()


def test_a_byte_order_mark_is_not_part_of_the_text(documents: Path) -> None:
    (documents / "a.txt").write_bytes(b"\xef\xbb\xbfOne.")

    assert read_document(documents, "a.txt").text == "One."


def test_the_title_is_the_first_heading_in_one_line(documents: Path) -> None:
    (documents / "notes.md").write_text("#\n\nBefore.\n\nMinutes of\n3  May\n=====\n\n# Later\n")

    assert read_document(documents, "notes.md").title == "Minutes of 3 May"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"])
def test_text_is_the_same_in_each_encoding_that_is_read(documents: Path, encoding: str) -> None:
    text = "# Protokoll\r\n\r\nDer Kran fährt. 起重机 🏗 kostet 9.000 €.\r\n"
    mark = "\ufeff" if encoding in ("utf-16-be", "utf-16-le") else ""
    (documents / "x.md").write_bytes((mark + text).encode(encoding))

    document = read_document(documents, "x.md")

    assert (document.text, document.title) == (text, "Protokoll")


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
        (b"\xff\xfeA", "it is not UTF-16, as its byte-order mark says: truncated data"),
        (b"\xfe\xff\xd8\x00\x00A", "it is not UTF-16, as its byte-order mark says: illegal UTF-16 surrogate"),
        ("Text.".encode("utf-16-le"), "it looks like UTF-16 without a byte-order mark; save it as UTF-8"),
        ("Text.".encode("utf-32"), "it looks like UTF-32; save it as UTF-8"),
        ("é\0b\0".encode(), "it is not text: there is a NUL at character 1"),
    ],
)
def test_a_file_without_readable_text_is_skipped_with_the_reason(documents: Path, data: bytes, reason: str) -> None:
    (documents / "x.txt").write_bytes(data)

    assert list_documents(documents) == FolderContents((), {"x.txt": reason}, {})
    with pytest.raises(DocumentError) as error:
        read_document(documents, "x.txt")
    assert str(error.value) == reason


def test_listing_documents_reads_every_file_while_scanning_only_hashes_them(documents: Path) -> None:
    write(documents, "good.txt", "also.md", "picture.png")
    (documents / "empty.txt").touch()
    (documents / "latin.txt").write_bytes(b"caf\xe9")

    scan = scan_folder(documents)

    assert ids(scan) == ["also.md", "empty.txt", "good.txt", "latin.txt"]
    assert scan.skipped == {}
    assert list_documents(documents) == FolderContents(
        documents=("also.md", "good.txt"),
        skipped={
            "empty.txt": "there is no text in it",
            "latin.txt": "it is not UTF-8: byte 3 is 0xe9; save it as UTF-8",
        },
        ignored={"picture.png": OTHER_FORMAT},
    )


def test_what_is_not_a_readable_file_is_skipped_and_the_rest_is_read(documents: Path) -> None:
    os.mkfifo(documents / "fifo.txt")  # with no writer: opened the usual way, it would wait for ever
    (documents / "dangling.txt").symlink_to("nowhere")
    (documents / "loop.txt").symlink_to("loop.txt")
    os.mknod(documents / "device.txt", stat.S_IFSOCK | 0o600)
    os.mknod(documents / "socket.txt", stat.S_IFSOCK | 0o600)
    write(documents, "folder.txt/inside.txt", text="Inside.")
    (documents / "link.txt").symlink_to("folder.txt/inside.txt")

    scan = scan_folder(documents)

    assert {id_: read_document(documents, id_).text for id_ in ids(scan)} == {
        "folder.txt/inside.txt": "Inside.",
        "link.txt": "Inside.",
    }
    assert scan.skipped == {
        "dangling.txt": "it is a link to a file that is not there",
        "device.txt": "it is not a regular file",
        "fifo.txt": "it is not a regular file",
        "loop.txt": "it cannot be read: Too many levels of symbolic links",
        "socket.txt": "it is not a regular file",
    }
    assert list_documents(documents) == FolderContents(("folder.txt/inside.txt", "link.txt"), scan.skipped, {})


def test_a_link_that_leads_out_of_the_folder_is_read_only_if_that_is_wanted(documents: Path, tmp_path: Path) -> None:
    write(tmp_path, "secret/key.txt", "documents-too/a.txt", text="Outside.")
    write(documents, "2026/inside.txt", text="Inside.")
    (documents / "absolute.txt").symlink_to(documents / "2026/inside.txt")
    (documents / "2026/up.txt").symlink_to("../2026/inside.txt")
    (documents / "key.txt").symlink_to(tmp_path / "secret/key.txt")
    (documents / "2026/beside.txt").symlink_to("../../documents-too/a.txt")  # not below, though it begins like it
    (documents / "over.txt").symlink_to("key.txt")
    (documents / "zero.txt").symlink_to("/dev/zero")
    link = tmp_path / "link"
    link.symlink_to(documents)

    for folder in (documents, link):
        scan = scan_folder(folder)
        assert ids(scan) == ["2026/inside.txt", "2026/up.txt", "absolute.txt"]
        assert scan.skipped == {}
        reason = "it is a link that leads out of the folder, and follow_links is off"
        assert scan.ignored == dict.fromkeys(["2026/beside.txt", "key.txt", "over.txt", "zero.txt"], reason)
        assert sorted(look_at_folder(folder, follow_links=False).files) == ids(scan)
        with pytest.raises(DocumentError, match=reason):  # it became one after the scan
            read_document(folder, "key.txt")

    scan = scan_folder(documents, follow_links=True)
    assert ids(scan) == ["2026/beside.txt", "2026/inside.txt", "2026/up.txt", "absolute.txt", "key.txt", "over.txt"]
    assert (scan.skipped, scan.ignored) == ({"zero.txt": "it is not a regular file"}, {})
    with DocumentReader(documents, follow_links=True) as reader:
        assert reader.read("key.txt").text == "Outside."


def test_what_is_no_regular_file_is_not_even_opened(documents: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(documents / "fifo.txt")
    os.mknod(documents / "socket.txt", stat.S_IFSOCK | 0o600)
    (documents / "device.txt").symlink_to("/dev/zero")
    monkeypatch.setattr("sourceline.ingest.files.os.open", None)

    scan = scan_folder(documents, follow_links=True)

    assert scan.skipped == dict.fromkeys(["device.txt", "fifo.txt", "socket.txt"], "it is not a regular file")


def test_of_a_file_that_grows_while_it_is_read_is_taken_what_it_held_at_first(
    documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(documents, "log.txt", text="One. ")
    stamp_of = FileStamp.of

    def grow(status: os.stat_result) -> FileStamp:
        with (documents / "log.txt").open("a") as file:
            file.write("More. " * 100_000)
        return stamp_of(status)

    monkeypatch.setattr(FileStamp, "of", grow)
    file = scan_folder(documents, max_bytes=10).files[0]

    assert (file.size, file.sha256) == (5, hashlib.sha256(b"One. ").hexdigest())
    with DocumentReader(documents, max_bytes=10_000_000) as reader:
        size = (documents / "log.txt").stat().st_size
        assert len(reader.read("log.txt").text) == size < (documents / "log.txt").stat().st_size


def test_a_file_that_is_too_large_is_skipped_and_not_read(documents: Path) -> None:
    (documents / "fits.txt").write_bytes(b"x" * 1_000)
    with (documents / "huge.txt").open("wb") as file:
        file.truncate(1 << 40)  # of holes: it takes no room on the disk, and would in memory

    scan = scan_folder(documents, max_bytes=1_000)

    assert ids(scan) == ["fits.txt"]
    assert scan.skipped == {"huge.txt": "it is too large: 1,099,511,627,776 bytes; max_document_bytes is 1,000"}
    assert list_documents(documents, 999).skipped == {
        "fits.txt": "it is too large: 1,000 bytes; max_document_bytes is 999",
        "huge.txt": "it is too large: 1,099,511,627,776 bytes; max_document_bytes is 999",
    }
    assert list_documents(documents).documents == ("fits.txt",)
    with pytest.raises(DocumentError, match="it is too large: 1,099,511,627,776 bytes"):  # it grew after the scan
        read_document(documents, "huge.txt")


def test_a_look_at_a_folder_opens_no_file_and_sees_those_that_a_scan_would(
    documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(documents, "a.txt", "2026/b.md", ".hidden.txt", ".git/c.txt", "d.png", "2026/deep/e.txt")
    (documents / "loop").symlink_to(documents)
    (documents / "dangling.txt").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(documents) + b"/a\xff.txt")).write_text("Text.")
    monkeypatch.setattr("sourceline.ingest.files.os.open", None)

    look = look_at_folder(documents)

    assert sorted(look.files) == ["2026/b.md", "2026/deep/e.txt", "a.txt", r"a\udcff.txt", "dangling.txt"]
    status = (documents / "a.txt").stat()
    assert look.files["a.txt"] == FileStamp(5, status.st_mtime_ns, status.st_ctime_ns)
    assert look.files["dangling.txt"] is None
    assert set(look.folders) == {documents, documents / "2026", documents / "2026/deep"}
    assert look.folders[documents] == (documents.stat().st_dev, documents.stat().st_ino)


def test_reading_a_folder_or_nothing_is_a_document_error(documents: Path) -> None:
    (documents / "x.txt").mkdir()

    with pytest.raises(DocumentError, match="it is not a regular file"):
        read_document(documents, "x.txt")
    with pytest.raises(DocumentError, match="it cannot be read: No such file"):
        read_document(documents, "y.txt")


def test_names_that_are_not_utf8_are_skipped_each_under_a_name_of_its_own(documents: Path) -> None:
    for name in (b"a\xe9.txt", b"a\xff.txt", b"a\xff.png", "a\u0301.txt".encode()):
        Path(os.fsdecode(os.fsencode(documents) + b"/" + name)).write_text("Text.")

    scan = scan_folder(documents)

    assert ids(scan) == ["\u00e1.txt"]
    assert scan.skipped == {r"a\udce9.txt": "its name is not UTF-8", r"a\udcff.txt": "its name is not UTF-8"}
    assert scan.ignored == {r"a\udcff.png": OTHER_FORMAT}


def test_names_with_control_characters_are_skipped_and_told_on_one_line(documents: Path) -> None:
    write(documents, "a\nskipped b.txt", "\x1b[2J.md", "c\x85/d.txt", "e\t.png", "f\u202e.txt")

    scan = scan_folder(documents)

    assert ids(scan) == ["f\u202e.txt"]  # which is not a control character, and shown as a blank
    reason = "its name has control characters: rename it"
    assert scan.skipped == dict.fromkeys([r"\x1b[2J.md", r"a\nskipped b.txt", r"c\x85/d.txt"], reason)
    assert scan.ignored == {r"e\t.png": OTHER_FORMAT}


@settings(deadline=None)
@given(texts)
def test_whatever_text_a_file_holds_is_read_as_it_stands(text: str) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for ending in (".txt", ".md"):
            (folder / f"x{ending}").write_bytes(b"\xef\xbb\xbf" + text.encode())

        contents = list_documents(folder)

        if text.strip():
            assert {read_document(folder, id_).text for id_ in ("x.md", "x.txt")} == {text}
            assert sorted([*contents.documents, *contents.skipped]) == ["x.md", "x.txt"]
            assert set(contents.skipped.values()) <= {"there is no sentence in it"}
        else:
            assert contents == FolderContents((), dict.fromkeys(["x.md", "x.txt"], "there is no text in it"), {})


def test_a_file_without_a_sentence_is_skipped(documents: Path) -> None:
    (documents / "dots.txt").write_text("...\n---\n")

    assert list_documents(documents).skipped == {"dots.txt": "there is no sentence in it"}


def refuse_to_list(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """Let the system refuse to list a folder of this name."""
    scandir = os.scandir

    def refuse(path: str) -> object:
        if os.path.basename(path) == name:
            raise OSError(number, os.strerror(number), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


def test_a_folder_that_cannot_be_listed_is_skipped_with_the_reason(
    documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(documents, "a.txt", "shut/b.txt")
    refuse_to_list(monkeypatch, "shut", errno.EACCES)

    scan = scan_folder(documents)

    assert ids(scan) == ["a.txt"]
    assert scan.skipped == {"shut": "cannot be listed: Permission denied"}


@pytest.mark.parametrize(
    ("name", "number"), [("documents", errno.EACCES), ("below", errno.EMFILE), ("below", errno.ENOMEM)]
)
def test_a_scan_that_cannot_be_complete_is_an_error_and_drops_no_document(
    documents: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    write(documents, "a.txt", "below/b.txt")
    refuse_to_list(monkeypatch, name, number)

    with pytest.raises(CorpusError, match=f"cannot list .*{name}: {os.strerror(number)}"):
        scan_folder(documents)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_file_that_cannot_be_opened_for_want_of_resources_is_an_error_and_not_skipped(
    documents: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write(documents, "a.txt")

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("sourceline.ingest.files.os.open", refuse)
    for read in (scan_folder, list_documents, lambda folder: read_document(folder, "a.txt")):
        with pytest.raises(CorpusError, match=rf"cannot read .*a\.txt: {os.strerror(number)}"):
            read(documents)


@pytest.mark.parametrize(
    ("name", "text", "date"),
    [
        ("2026-03-04.md", "---\ndate: 2026-05-04\n---\nMinutes of 6 June 2026\n", datetime.date(2026, 5, 4)),
        ("2026-03-04.md", "Minutes of 6 June 2026\n", datetime.date(2026, 3, 4)),
        ("2026-03-04 Board/m.txt", "Minutes of 6 June 2026\n\nThe crane is red.\n", datetime.date(2026, 3, 4)),
        ("m.txt", "Harbour board\r\nMinutes of 6 June 2026\r\n\r\nThe crane is red.\r\n", datetime.date(2026, 6, 6)),
        ("m.md", "# Board\n\n- Chair: Ilse\n- **Date:** 6 June 2026\n", datetime.date(2026, 6, 6)),
        ("m.md", "# Board\n\n<!-- Date: 6 June 2026 -->\n\nThe crane is red.\n", None),
        ("m.txt", "The board met on 6 June 2026.\n", None),
        ("m.txt", "The crane is red.\n" * 15 + "Date: 6 June 2026\n", None),
    ],
)
def test_a_document_is_of_the_date_that_its_format_says_or_its_name_or_its_head(
    documents: Path, name: str, text: str, date: datetime.date | None
) -> None:
    write(documents, name, text=text)
    assert read_document(documents, name).date == date


@pytest.mark.parametrize(
    ("name", "head", "date"),
    [
        ("2026-03-04 minutes.docx", "Minutes of 6 June 2026", datetime.date(2026, 3, 4)),
        ("minutes.docx", "Minutes of 6 June 2026", datetime.date(2026, 6, 6)),
        ("minutes.docx", "Minutes", datetime.date(2019, 1, 2)),
    ],
)
def test_the_day_on_which_a_word_document_was_created_counts_where_nothing_else_names_one(
    documents: Path, name: str, head: str, date: datetime.date
) -> None:
    word = WordDocument()
    word.core_properties.created = datetime.datetime(2019, 1, 2, 9)  # of the minutes that these were written over
    word.add_paragraph(head)
    word.add_paragraph("The crane is red.")
    word.save(str(documents / name))
    assert read_document(documents, name).date == date


def test_front_matter_gives_a_document_its_title(documents: Path) -> None:
    write(documents, "m.markdown", text="---\ntitle: Harbour board\n---\n# Minutes\n\nThe crane is red.\n")
    assert read_document(documents, "m.markdown").title == "Harbour board"

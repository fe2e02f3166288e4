"""Files of the documents folder are written whole or not at all, and never outside of it."""

import os
import unicodedata
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sourceline.editing import DocumentFile, remove_document, require_name
from sourceline.errors import CorpusError, EditError, UnknownDocumentError
from tests.support.index_folder import contents

LONG_NAME = "x" * 252 + ".txt"
HOSTILE = {
    "": "no name in it begins with a dot",
    "/": "no name in it begins with a dot",
    "..": "no name in it begins with a dot",
    "../a.txt": "no name in it begins with a dot",
    "a/../../b.txt": "no name in it begins with a dot",
    "a/./b.txt": "no name in it begins with a dot",
    "/etc/passwd.txt": "no name in it begins with a dot",
    "a//b.txt": "no name in it begins with a dot",
    "a/": "no name in it begins with a dot",
    ".a.txt": "no name in it begins with a dot",
    ".git/a.txt": "no name in it begins with a dot",
    "..\\a.txt": "no backslashes, and nothing that cannot be seen",
    "C:\\a.txt": "no backslashes, and nothing that cannot be seen",
    "a\0.txt": "no backslashes, and nothing that cannot be seen",
    "a\n.txt": "no backslashes, and nothing that cannot be seen",
    "a\x1b[31m.txt": "no backslashes, and nothing that cannot be seen",
    "a\x85.txt": "no backslashes, and nothing that cannot be seen",
    "a\u202etxt.txt": "no backslashes, and nothing that cannot be seen",  # the direction of text
    "a\u2067.txt": "no backslashes, and nothing that cannot be seen",
    "a\u200b.txt": "no backslashes, and nothing that cannot be seen",  # zero width
    "a\u200d.txt": "no backslashes, and nothing that cannot be seen",
    "\ufeffa.txt": "no backslashes, and nothing that cannot be seen",
    "a\u00ad.txt": "no backslashes, and nothing that cannot be seen",  # a soft hyphen
    "a\u2028.txt": "no backslashes, and nothing that cannot be seen",  # a line end
    "a": "the format is not read",
    "questions.txt": "the name questions.txt is for the questions that the page suggests",
    "txt": "the format is not read",
    "a.exe": "the format is not read",
    "a.txt.exe": "the format is not read",
    "a.txt/b": "the format is not read",
    LONG_NAME: "at most 1,000 characters, each name in it 255 bytes",
    "ü" * 126 + ".txt": "at most 1,000 characters, each name in it 255 bytes",
    "x/" * 499 + "a.txt": "at most 1,000 characters, each name in it 255 bytes",
}


def put(folder: Path, document_id: str, text: str = "New.") -> DocumentFile:
    with DocumentFile(folder, document_id) as file:
        file.write(text.encode())
        file.publish()
    return file


NOT_UTF8 = ["a\ud800.txt", "a\udcff.txt", "a\ufffd.txt"]


@pytest.mark.parametrize(("name", "reason"), [*HOSTILE.items(), *((name, "is UTF-8") for name in NOT_UTF8)])
def test_a_name_that_could_leave_the_folder_or_is_not_read_is_refused(documents: Path, name: str, reason: str) -> None:
    for edit in (put, remove_document):
        with pytest.raises(EditError, match=reason) as error:
            edit(documents, name)
        assert "\n" not in str(error.value)
    assert list(documents.parent.iterdir()) == [documents]
    assert list(documents.iterdir()) == []


@pytest.mark.parametrize("name", ["a.txt", "A.TXT", "2026/März/ü 🏗.md", "a..txt", "a b/c'd;e.txt", LONG_NAME[1:]])
def test_a_document_is_added_and_removed_under_its_name(documents: Path, name: str) -> None:
    file = put(documents, name)

    assert (file.id, file.replaces) == (name, False)
    assert contents(documents) == {name: b"New."}
    remove_document(documents, name)
    assert contents(documents) == {}


def test_a_document_is_replaced_whole_once_it_is_published(documents: Path) -> None:
    (documents / "a.txt").write_text("Old.")

    with DocumentFile(documents, "a.txt") as file:
        file.write(b"Ne")
        file.write(b"w.")
        assert (documents / "a.txt").read_text() == "Old."
        file.publish()

    assert file.replaces
    assert contents(documents) == {"a.txt": b"New."}


def test_what_is_not_published_leaves_nothing_behind(documents: Path) -> None:
    (documents / "a.txt").write_text("Old.")

    with DocumentFile(documents, "a.txt") as file:
        file.write(b"New.")

    assert contents(documents) == {"a.txt": b"Old."}


@pytest.mark.parametrize("there", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_a_name_is_the_same_in_each_form_of_unicode(
    documents: Path, there: Literal["NFC", "NFD"], asked: Literal["NFC", "NFD"]
) -> None:
    stored = unicodedata.normalize(there, "März/Café.txt")
    (documents / stored).parent.mkdir()
    (documents / stored).write_text("Old.")

    file = put(documents, unicodedata.normalize(asked, "März/Café.txt"))

    assert (file.id, file.replaces) == (unicodedata.normalize("NFC", "März/Café.txt"), True)
    assert contents(documents) == {stored: b"New."}
    remove_document(documents, unicodedata.normalize(asked, "März/Café.txt"))
    assert contents(documents) == {}


def test_no_link_is_followed_or_replaced(documents: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.txt").write_text("Outside.")
    (documents / "folder").symlink_to(outside)
    (documents / "link.txt").symlink_to(outside / "a.txt")
    (documents / "dangling.txt").symlink_to(outside / "b.txt")

    for edit in (put, remove_document):
        with pytest.raises(EditError, match="a link or a file where a folder should be"):
            edit(documents, "folder/a.txt")
        for name in ("link.txt", "dangling.txt"):
            with pytest.raises(EditError, match="no regular file"):
                edit(documents, name)

    assert contents(outside) == {"a.txt": b"Outside."}
    assert sorted(path.name for path in documents.iterdir()) == ["dangling.txt", "folder", "link.txt"]


def test_a_link_put_into_the_way_while_a_document_is_written_is_not_followed(documents: Path, tmp_path: Path) -> None:
    (documents / "2026").mkdir()
    (tmp_path / "outside").mkdir()

    with DocumentFile(documents, "2026/a.txt") as file:
        (documents / "2026").rename(documents / "2025")
        (documents / "2026").symlink_to(tmp_path / "outside")
        file.write(b"New.")
        file.publish()

    assert contents(tmp_path / "outside") == {}
    assert (documents / "2025/a.txt").read_text() == "New."


def test_folders_pipes_and_files_in_the_way_are_left_alone(documents: Path) -> None:
    (documents / "folder.txt").mkdir()
    os.mkfifo(documents / "pipe.txt")
    (documents / "file").write_text("File.")

    for edit in (put, remove_document):
        for name in ("folder.txt", "pipe.txt"):
            with pytest.raises(EditError, match="no regular file"):
                edit(documents, name)
        with pytest.raises(EditError, match="a link or a file where a folder should be"):
            edit(documents, "file/a.txt")
    assert contents(documents) == {"file": b"File."}


def test_what_is_not_there_cannot_be_removed(documents: Path) -> None:
    for name in ("a.txt", "2026/a.txt", "März.txt"):
        with pytest.raises(UnknownDocumentError):
            remove_document(documents, name)
    assert list(documents.iterdir()) == []


def test_without_the_folder_nothing_is_written(tmp_path: Path) -> None:
    for edit in (put, remove_document):
        with pytest.raises(CorpusError, match="the documents folder cannot be written: No such file or directory"):
            edit(tmp_path / "missing", "2026/a.txt")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_what_was_there(documents: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (documents / "a.txt").write_text("Old.")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sourceline.editing.os.fsync", refuse)
    with pytest.raises(CorpusError, match="cannot be written: No space left on device"):
        put(documents, "a.txt")
    assert contents(documents) == {"a.txt": b"Old."}


@settings(deadline=None)
@given(st.text(st.sampled_from("a./\\ü\u0308\0\n~"), max_size=12).map(lambda name: f"{name}.txt"))
@example("a/../../../b.txt")
def test_whatever_the_name_nothing_is_written_outside(name: str) -> None:
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "documents"
        folder.mkdir()
        with suppress(EditError):
            file = put(folder, name)
            assert contents(folder).keys() == {require_name(name)} == {file.id}
        assert [path.name for path in Path(parent).iterdir()] == ["documents"]

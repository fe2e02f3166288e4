"""What a build reads, encodes, keeps when it is interrupted, and takes as it is just then."""

import errno
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from sourceline.encoders.base import Encoder, Encoding, Tokens
from sourceline.encoders.onnx import OnnxEncoder
from sourceline.errors import CorpusError
from sourceline.index.snapshot import open_current
from sourceline.indexing import builder as make
from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL, BuildProgress
from tests.conftest import Rebuild
from tests.index.folder import current, put, snapshot_names

ONE = {"a.txt": "The bridge opens on Monday.\n", "b.txt": "Seven trams were ordered.\n"}
OVERLONG = "Then the chair read out " + "the names of all members, " * 60 + "and left."
Open = Callable[..., int]


def watch(monkeypatch: pytest.MonkeyPatch, name: str, happens: Callable[[], object], turn: int) -> list[str]:
    """Let something happen just before a document is opened for the given time; return the names that are opened."""
    opened: list[str] = []
    plain = os.open

    def watched(path: str | Path, *more: int, **named: int) -> int:
        opened.append(Path(path).name)
        if Path(path).name == name and opened.count(name) == turn:
            happens()
        return plain(path, *more, **named)

    monkeypatch.setattr(os, "open", watched)
    return opened


def test_an_unchanged_document_is_neither_read_again_nor_goes_through_the_encoder(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, ONE)
    rebuild(documents, index)
    (documents / "b.txt").write_text("Nine trams were ordered.\n")
    texts: list[str] = []
    tokenize = OnnxEncoder.tokenize

    def told_of(self: OnnxEncoder, text: str) -> Tokens:
        texts.append(text)
        return tokenize(self, text)

    monkeypatch.setattr(OnnxEncoder, "tokenize", told_of)
    opened = watch(monkeypatch, "", lambda: None, 0)
    told: list[BuildProgress] = []
    report = build(documents, index, DEFAULT_MODEL, progress=told.append)
    assert (report.unchanged, report.changed, report.encoded) == (("a.txt",), ("b.txt",), 1)
    assert [opened.count(name) for name in ONE] == [1, 2]
    assert texts
    assert not any("bridge" in text for text in texts)
    size = len("Nine trams were ordered.\n")
    assert told == [BuildProgress(0, size), BuildProgress(size, size)]


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (Path.unlink, "it cannot be read: No such file or directory"),
        (lambda path: path.write_bytes(b"\xff"), "it is not UTF-8: byte 0 is 0xff; save it as UTF-8"),
        (lambda path: path.write_bytes(b" \n"), "there is no text in it"),
        (lambda path: path.write_bytes("\u2028\u200b".encode()), "there is no sentence in it"),
    ],
)
def test_a_document_that_is_spoilt_between_finding_and_reading_is_skipped_and_listed(
    documents: Path,
    index: Path,
    rebuild: Rebuild,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[Path], object],
    reason: str,
) -> None:
    put(documents, ONE)
    with monkeypatch.context() as patched:
        watch(patched, "b.txt", lambda: happens(documents / "b.txt"), 2)
        report = rebuild(documents, index)
    assert (report.added, report.skipped) == (("a.txt",), {"b.txt": reason})
    assert open_current(index).manifest.skipped == {"b.txt": reason}
    assert current(index) == {"a.txt": ONE["a.txt"]}


def test_a_document_that_is_edited_between_finding_and_reading_is_indexed_as_it_is_read(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, ONE)
    with monkeypatch.context() as patched:
        watch(patched, "b.txt", lambda: (documents / "b.txt").write_text("Nine trams came.\n"), 2)
        rebuild(documents, index)
    assert current(index) == ONE | {"b.txt": "Nine trams came.\n"}
    # What is kept is what was read, with its hash: the next build knows it.
    assert rebuild(documents, index).unchanged == ("a.txt", "b.txt")


def test_if_all_documents_go_between_finding_and_reading_there_is_none(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, {"a.txt": "It rains.\n"})
    watch(monkeypatch, "a.txt", (documents / "a.txt").unlink, 2)
    with pytest.raises(CorpusError, match=r"can be read: a\.txt: it cannot be read: No such file"):
        rebuild(documents, index)
    assert snapshot_names(index) == []


def test_a_build_that_stops_amid_a_document_goes_on_behind_the_last_batch(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    paragraphs = [f"Item {number}. " + "The council spoke of it at length. " * 15 for number in range(7)]
    put(documents, {"a.txt": "\n\n".join(paragraphs)})
    monkeypatch.setattr(make, "BATCH", 2)
    encode = OnnxEncoder.encode

    def stop(self: OnnxEncoder, wanted: Sequence[str]) -> Iterator[Encoding]:
        yield from islice(encode(self, wanted), 4)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(OnnxEncoder, "encode", stop)
        with pytest.raises(KeyboardInterrupt):
            rebuild(documents, index)
    assert snapshot_names(index) == []
    assert (index / "cache" / "blocks.sqlite").is_file()
    report = rebuild(documents, index)
    assert (report.windows, report.encoded) == (7, 3)
    assert not (index / "cache").exists()


def test_a_passage_over_the_models_limit_is_one_part_of_several_windows(
    documents: Path, index: Path, rebuild: Rebuild, encoder: Encoder
) -> None:
    put(documents, {"a.txt": f"It rained.\n\n{OVERLONG}\n\nIt snowed.\n"})
    report = rebuild(documents, index)
    assert (report.windows, report.encoded) == (3, 3)
    snapshot = open_current(index)
    places = snapshot.tokens.gather([1]).places
    np.testing.assert_array_equal(places, encoder.tokenize(OVERLONG).spans[:, 0])  # each token once, none lost
    # The parts beside it can change without it.
    put(documents, {"a.txt": f"It hailed.\n\n{OVERLONG}\n\nIt snowed.\n"})
    assert rebuild(documents, index).encoded == 1
    put(documents, {"a.txt": f"It hailed.\n\n{OVERLONG.replace('left', 'went')}\n\nIt snowed.\n"})
    assert rebuild(documents, index).encoded == 1


def test_a_snapshot_is_published_though_nobody_can_look_for_what_to_remove(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(documents, ONE)
    publish = Path.replace

    def fail(_: Path) -> Iterator[Path]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:

        def replace(path: Path, target: Path) -> Path:
            patched.setattr(Path, "iterdir", fail)
            return publish(path, target)

        patched.setattr(Path, "replace", replace)
        report = rebuild(documents, index)
    assert current(index) == ONE
    assert open_current(index).id == report.snapshot
    assert [record.levelno for record in caplog.records] == [logging.WARNING]

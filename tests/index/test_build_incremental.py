"""Only what is new is encoded, and nobody can tell from the index."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sourceline.errors import MismatchError
from sourceline.index.snapshot import Snapshot, open_current
from sourceline.indexing import builder as make
from sourceline.indexing.builder import build
from sourceline.search.opening import open_searcher
from sourceline.types import DEFAULT_MODEL, Backend, BuildProgress, Scores
from tests.conftest import SEEDS, Rebuild
from tests.index.folder import copy, litter, put, snapshot_names

# Each of them fills a window of its own.
PARAGRAPHS = [f"Item {number} is about {topic}. " + f"The council spoke of {topic} at length. " * 12
              for number, topic in enumerate(["bridges", "trams", "schools", "forests"])]  # fmt: skip
EDITED = PARAGRAPHS[1].replace("at length", "again")


def text(*paragraphs: str) -> str:
    return "\n\n".join(paragraphs) + "\n"


def test_each_window_of_new_text_is_encoded_once_and_no_other(documents: Path, index: Path, rebuild: Rebuild) -> None:
    one, two, three, four = PARAGRAPHS

    def encoded(**texts: str) -> tuple[int, int]:
        put(documents, {f"{name}.txt": content for name, content in texts.items()})
        report = rebuild(documents, index)
        return report.encoded, report.windows

    assert encoded(a=text(one, two, three)) == (3, 3)
    assert encoded(a=text(one, two, three)) == (0, 3)
    assert encoded(a=text(one, EDITED, three)) == (1, 3)
    assert encoded(a=text(one, two, three)) == (1, 3)  # what no document holds any more was forgotten
    assert encoded(renamed=text(one, two, three)) == (3, 3)  # below another title
    assert encoded(renamed=text(three, one), b=text(two)) == (1, 3)
    assert encoded(a=text(one, two), b=text(one, two, four), c=text(four)) == (5, 6)
    assert encoded(c=text(four)) == (0, 1)


def stored(snapshot: Snapshot) -> Iterator[object]:
    """Yield everything that ranks."""
    rows = range(snapshot.passages.row_count)
    yield snapshot.dense.vectors(rows).tobytes()
    gathered = snapshot.tokens.gather(range(len(snapshot.tokens)))
    yield from (gathered.vectors.tobytes(), gathered.places.tobytes(), gathered.starts.tobytes())
    yield snapshot.tokens.idf(np.arange(40_000, dtype=np.int32)).tobytes()
    yield [snapshot.passages.of_document(entry) for entry in snapshot.passages.documents]
    yield snapshot.lexical.search("the council spoke of trams and schools", 100, None)


def ranking(index: Path, question: str) -> list[tuple[str, Scores]]:
    searcher = open_searcher(index, DEFAULT_MODEL, Backend.ONNX)
    return [(hit.passage.id, hit.scores) for hit in searcher.ask(question, 100).hits]


def test_a_rebuild_without_a_change_ranks_the_same(index: Path, rebuild: Rebuild) -> None:
    question = "Who welcomed the emphasis on stability?"
    rebuild(SEEDS, index)
    before, order = list(stored(open_current(index))), ranking(index, question)
    assert len(order) == 48
    assert rebuild(SEEDS, index).encoded == 0
    assert list(stored(open_current(index))) == before
    assert ranking(index, question) == order


def test_many_small_steps_give_the_index_that_one_build_gives(
    documents: Path, index: Path, exported: Path, rebuild: Rebuild, tmp_path: Path
) -> None:
    one, two, three, four = PARAGRAPHS
    for files in (
        {"b.txt": text(three)},
        {"b.txt": text(three, one), "a.txt": "Short.\n"},
        {"b.txt": text(three), "a.txt": text(one, two), "d.txt": text(one)},
        {"b.txt": text(EDITED, three, four), "a.txt": text(one, two), "c.md": "# Title\n\nShort.\n"},
    ):
        put(documents, files)
        rebuild(documents, index)
    fresh = copy(compiled, tmp_path / "fresh")
    assert rebuild(documents, fresh).encoded == 6
    assert list(stored(open_current(fresh))) == list(stored(open_current(index)))


def test_what_an_interrupted_build_encoded_is_not_encoded_again(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 30
    put(documents, {f"{number:02}.txt": f"Report number {number:02} was filed.\n" for number in range(count)})
    size = len("Report number 00 was filed.\n")
    monkeypatch.setattr(make, "GROUP", 10 * size)

    def interrupt(progress: BuildProgress) -> None:
        assert progress.total == count * size
        if progress.done == 10 * size:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(documents, index, DEFAULT_MODEL, progress=interrupt)
    assert snapshot_names(index) == []
    report = rebuild(documents, index)
    assert (report.windows, report.encoded) == (count, count - 10)
    assert not (index / "cache").exists()


def test_what_belongs_to_another_encoder_is_removed_once_nothing_needs_it(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    put(documents, {"a.txt": "Seven trams were ordered.\n"})
    (index / "cache").mkdir()
    (index / "cache" / "0123456789abcdef.sqlite").write_bytes(b"an older encoder's")
    (index / "encoders" / "0123456789abcdef").mkdir()
    (index / "snapshots" / "00000001-20200101T000000Z.damaged").mkdir(parents=True)
    assert rebuild(documents, index).snapshot.startswith("00000002-")
    assert litter(index) == set()


def test_a_model_under_another_name_encodes_nothing_anew_and_is_another_index(
    documents: Path, index: Path, rebuild: Rebuild, tmp_path: Path
) -> None:
    from sourceline.encoders.hub import find_model

    put(documents, {"a.txt": "Seven trams were ordered.\n"})
    rebuild(documents, index)
    mine = shutil.copytree(find_model(DEFAULT_MODEL).folder, tmp_path / "mine")
    report = build(documents, index, str(mine))
    assert (report.unchanged, report.encoded) == (("a.txt",), 0)
    assert open_searcher(index, str(mine), Backend.ONNX).ask("How many trams?", 1).hits[0].rank == 1
    with pytest.raises(MismatchError, match=r"was built with the model .*mine, not sentence-transformers/"):
        open_searcher(index, DEFAULT_MODEL, Backend.ONNX)

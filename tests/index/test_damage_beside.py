"""What stands beside the snapshots: the compiled model, the cache of encodings, the ledger."""

import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from sourceline.citations.ledger import FILE, Ledger
from sourceline.citations.lookup import look_up
from sourceline.encoders.base import Encoder, Float32
from sourceline.encoders.onnx import CARD_FILE, read_card
from sourceline.errors import LedgerError, ModelError, UnknownCitationError
from sourceline.ids import citation_id
from sourceline.index.snapshot import open_current
from sourceline.indexing import builder as build_module
from sourceline.search.opening import open_searcher
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_MODEL, Backend, Citation
from tests.conftest import Rebuild
from tests.index.folder import build_each, current, litter, put, snapshot_names

ONE = {"a.txt": "The bridge opens on Monday at nine. The roof leaks.\n", "b.txt": "Seven trams were ordered.\n"}
TWO = {"a.txt": "The bridge opens on Sunday at nine. The roof leaks.\n", "b.txt": "Seven trams were ordered.\n"}
CHANGED = citation_id("a.txt", "The bridge opens on Monday at nine.", 0)
KEPT = citation_id("b.txt", "Seven trams were ordered.", 0)


@pytest.fixture
def built(documents: Path, index: Path, rebuild: Rebuild) -> Path:
    """An index with two snapshots, of ONE and of TWO."""
    return build_each(documents, index, rebuild, ONE, TWO)


def serve(index: Path) -> Searcher:
    return open_searcher(index, DEFAULT_MODEL, Backend.ONNX)


def look(index: Path, citation: str) -> Citation:
    return look_up(citation, open_current(index).passages, Ledger(index))


def vectors(index: Path) -> tuple[Float32, Float32]:
    snapshot = open_current(index)
    rows = range(snapshot.passages.row_count)
    return snapshot.dense.vectors(rows), snapshot.tokens.gather(rows).vectors


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << position % 8
    path.write_bytes(data)


def test_every_bit_of_the_compiled_models_card_counts(exported: Path, encoder: Encoder, tmp_path: Path) -> None:
    whole = (compiled / "encoders" / encoder.fingerprint / CARD_FILE).read_bytes()
    for position in range(len(whole)):
        (tmp_path / CARD_FILE).write_bytes(whole)
        flip(tmp_path / CARD_FILE, position)
        with pytest.raises(ModelError, match="run `sourceline rebuild-index`"):
            read_card(tmp_path)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "encoder.json"])
def test_a_damaged_encoder_is_not_served_with(built: Path, encoder: Encoder, name: str) -> None:
    file = built / "encoders" / encoder.fingerprint / name
    whole = file.read_bytes()
    for damaged in (b"", whole[:-2], whole[: len(whole) // 2] + bytes(1) + whole[len(whole) // 2 + 1 :]):
        file.write_bytes(damaged)
        with pytest.raises(ModelError, match="run `sourceline rebuild-index`"):
            serve(built)
    file.unlink()
    with pytest.raises(ModelError, match="run `sourceline rebuild-index`"):
        serve(built)


def test_a_rebuild_mends_a_damaged_encoder_and_changes_no_vector(
    built: Path, documents: Path, rebuild: Rebuild, encoder: Encoder
) -> None:
    before = vectors(built)
    flip(built / "encoders" / encoder.fingerprint / "model.onnx", 1_000_000)
    report = rebuild(documents, built)
    assert report.encoded == 0
    for one, other in zip(vectors(built), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (
        serve(built).ask("When does the bridge open?", 1).hits[0].passage.text == "The bridge opens on Sunday at nine."
    )
    assert litter(built) == set()


@pytest.mark.parametrize("damage", ["garbage", "emptied", "removed", "cut", "flipped", "not to be written to"])
def test_a_damaged_cache_of_an_interrupted_build_costs_time_but_changes_no_vector(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    put(documents, {f"{number}.txt": f"Report number {number} was filed. " * 5 for number in range(9)})

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(build_module, "check_snapshot", interrupt)
        with pytest.raises(KeyboardInterrupt):
            rebuild(documents, index)
    cache = index / "cache" / "blocks.sqlite"
    match damage:
        case "garbage":
            cache.write_bytes(os.urandom(10_000))
        case "emptied":
            cache.write_bytes(b"")
        case "removed":
            cache.unlink()
        case "cut":
            cache.write_bytes(cache.read_bytes()[:-5_000])
        case "flipped":
            for position in range(9_000, cache.stat().st_size, 500):
                flip(cache, position)
        case "not to be written to":
            flip(cache, 18)  # a byte of the header that says so
    report = rebuild(documents, index)
    assert report.windows == 9
    assert report.encoded > 0 if damage in ("garbage", "emptied", "removed") else report.encoded >= 0
    found = vectors(index)
    shutil.rmtree(index / "snapshots")
    (index / "CURRENT").unlink()
    assert rebuild(documents, index).encoded == 9
    for one, other in zip(vectors(index), found, strict=True):
        np.testing.assert_array_equal(one, other)
    assert litter(index) == set()
    assert not (index / "cache").exists()


def damage_ledger(index: Path, damage: str) -> None:
    ledger = index / FILE
    match damage:
        case "garbage":
            ledger.write_bytes(b"no database" * 2_000)
        case "emptied":
            ledger.write_bytes(b"")
        case "cut":
            ledger.write_bytes(ledger.read_bytes()[:5_000])
        case "without tables":
            ledger.unlink()
            sqlite3.connect(ledger).executescript("VACUUM").connection.close()
        case "flipped":
            for position in range(0, 100):
                flip(ledger, position)


@pytest.mark.parametrize("damage", ["garbage", "emptied", "cut", "without tables", "flipped"])
def test_a_damaged_ledger_is_an_error_and_what_is_current_still_resolves(
    built: Path, documents: Path, rebuild: Rebuild, damage: str
) -> None:
    assert look(built, CHANGED).status == "changed"
    names = snapshot_names(built)
    damage_ledger(built, damage)
    damaged = (built / FILE).read_bytes()
    assert look(built, KEPT).status == "current"
    with pytest.raises(LedgerError, match=r"the record of citations, .*ledger\.sqlite, cannot be used"):
        look(built, CHANGED)
    put(documents, ONE)
    with pytest.raises(LedgerError, match=r"the record of citations, .*ledger\.sqlite, cannot be used"):
        rebuild(documents, built)
    assert (built / FILE).read_bytes() == damaged
    assert current(built) == TWO
    assert snapshot_names(built) == names


def test_whatever_bit_of_the_ledger_is_flipped_no_text_is_shown_but_as_it_was_cited(
    built: Path, tmp_path: Path
) -> None:
    passages = open_current(built).passages
    whole = (built / FILE).read_bytes()
    found: set[str] = set()
    for position in range(0, len(whole), 29):
        (tmp_path / FILE).write_bytes(whole)
        flip(tmp_path / FILE, position)
        ledger = Ledger(tmp_path)
        try:
            assert look_up(CHANGED, passages, ledger).cited.passage.text == "The bridge opens on Monday at nine."
        except LedgerError:
            found.add("when it is read")
        except UnknownCitationError:  # the bit was in the id
            found.add("when all is checked")
            with pytest.raises(LedgerError):
                ledger.check()
    assert found == {"when it is read", "when all is checked"}

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sourceline.encoders.base import Encoder
from sourceline.errors import BuildError, DamagedError, MismatchError, SnapshotError
from sourceline.index.snapshot import (
    current_id,
    file_table,
    open_current,
    open_snapshot,
    read_manifest,
    require_encoder,
    unpublished_ids,
    write_manifest,
)
from sourceline.types import DEFAULT_MODEL
from tests.conftest import Rebuild
from tests.index.folder import build_each, current, litter, put, snapshot_names

ONE = {"a.txt": "The bridge opens on Monday. The roof leaks.\n", "b.txt": "Seven trams were ordered.\n"}
TWO = {"a.md": "# Bridge\n\nThe bridge opens on Sunday.\n"}


@pytest.fixture
def built(documents: Path, index: Path, rebuild: Rebuild) -> Path:
    """An index with two snapshots, of ONE and of TWO."""
    return build_each(documents, index, rebuild, ONE, TWO)


def rewrite(folder: Path, **changed: Any) -> None:
    """Let the manifest say what is in the folder now, and what else is wanted."""
    write_manifest(folder, replace(read_manifest(folder), **{"files": file_table(folder, {})} | changed))


def test_a_snapshot_says_what_it_is(built: Path, encoder: Encoder) -> None:
    snapshot = open_current(built)
    manifest = snapshot.manifest
    assert snapshot.id == manifest.id == current_id(built) == snapshot_names(built)[1]
    assert (manifest.format, manifest.model, manifest.encoder) == (5, DEFAULT_MODEL, "onnx")
    assert (manifest.fingerprint, manifest.dim) == (encoder.fingerprint, 384)
    assert (manifest.codec, len(manifest.config)) == ("bfloat16", 16)
    assert (manifest.documents, manifest.passages, manifest.rows) == (1, 2, 1)
    assert (manifest.tokens, manifest.skipped) == (7, {})  # the title's too
    for name, (size, digest) in manifest.files.items():
        data = (snapshot.folder / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (size, digest)
    assert {
        "head.safetensors",
        "dense.faiss",
        "passages.sqlite",
        "tokens.codes",
        "tokens.offsets",
        "tokens.ids",
        "tokens.starts",
        "tokens.idf.npy",
    } < set(manifest.files)


def test_opening_and_searching_changes_nothing_that_was_written(built: Path) -> None:
    files = {path: path.read_bytes() for path in built.rglob("*") if path.is_file()}
    snapshot = open_current(built)
    snapshot.lexical.search("bridge", 5, None)
    snapshot.dense.search(snapshot.dense.vectors([0])[0], 5, None)
    snapshot.tokens.gather([0])
    assert {path: path.read_bytes() for path in built.rglob("*") if path.is_file()} == files
    assert litter(built) == set()


def test_a_snapshot_in_another_format_is_refused_stays_where_it_is_and_is_replaced_by_a_build(
    built: Path, documents: Path, rebuild: Rebuild, caplog: pytest.LogCaptureFixture
) -> None:
    names = snapshot_names(built)
    rewrite(built / "snapshots" / names[1], format=99)
    with pytest.raises(MismatchError, match=f"snapshot {names[1]} is in format 99, not 5: run `sourceline rebuild-"):
        open_current(built)
    assert snapshot_names(built) == names
    report = rebuild(documents, built)
    assert report.added == ("a.md",)
    assert current(built) == TWO
    assert litter(built) == set()
    assert "building without an older snapshot: " in caplog.text


def test_files_that_disagree_on_how_much_they_hold_are_damage(built: Path) -> None:
    one, two = (built / "snapshots" / name for name in snapshot_names(built))
    shutil.copy(one / "dense.faiss", two)
    rewrite(two)
    with pytest.raises(DamagedError, match="its files disagree on what they hold"):
        open_snapshot(built, two.name)
    assert current(built) == ONE


@pytest.mark.parametrize(
    "name", ["dense.faiss", "passages.sqlite", "lexical/meta.json", "tokens.idf.npy", "head.safetensors"]
)
def test_what_is_as_it_was_written_but_does_not_open_is_not_set_aside_and_stops_a_build(
    built: Path, documents: Path, rebuild: Rebuild, name: str
) -> None:
    names = snapshot_names(built)
    (built / "snapshots" / names[1] / name).write_bytes(b"of another version")
    rewrite(built / "snapshots" / names[1])
    with pytest.raises(SnapshotError, match="is as it was written but does not open") as error:
        open_current(built)
    assert type(error.value) is SnapshotError
    with pytest.raises(BuildError, match="is as it was written but does not open"):
        rebuild(documents, built)
    assert snapshot_names(built) == names


def test_another_encoder_is_refused(built: Path, encoder: Encoder) -> None:
    snapshot = open_current(built)
    require_encoder(snapshot, encoder)
    other = replace(snapshot, manifest=replace(snapshot.manifest, fingerprint="0123456789abcdef"))
    with pytest.raises(MismatchError, match=r"\(0123456789abcdef\), not .*: run `sourceline rebuild-index`"):
        require_encoder(other, encoder)


def test_a_snapshot_that_is_replaced_and_removed_while_it_is_opened_is_no_damage(
    built: Path, documents: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    digest: Callable[..., Any] = hashlib.file_digest
    ids: list[str] = []

    def building(*arguments: Any) -> Any:
        monkeypatch.setattr(hashlib, "file_digest", digest)
        ids.extend(rebuild(documents, built).snapshot for _ in range(2))
        return digest(*arguments)

    put(documents, ONE)
    monkeypatch.setattr(hashlib, "file_digest", building)
    assert open_current(built).id == ids[1]
    assert snapshot_names(built) == ids
    assert caplog.records == []


def test_what_was_never_published_is_neither_served_nor_in_the_way(
    built: Path, documents: Path, rebuild: Rebuild
) -> None:
    one, two = snapshot_names(built)
    (built / "CURRENT").write_text(f"{one}\n")
    assert unpublished_ids(built) == [two]
    assert current(built) == ONE
    shutil.rmtree(built / "snapshots" / one / "lexical")
    with pytest.raises(DamagedError, match=f"snapshot {one} is damaged: lexical/"):
        open_current(built)
    assert snapshot_names(built) == [f"{one}.damaged", two]
    assert rebuild(documents, built).snapshot > one
    assert current(built) == TWO
    assert litter(built) == set()


def test_if_current_names_nothing_nobody_knows_what_was_published(built: Path) -> None:
    (built / "CURRENT").write_text("00000000-20200101T000000Z\n")
    assert unpublished_ids(built) == []
    (built / "CURRENT").unlink()
    assert unpublished_ids(built) == snapshot_names(built)

"""What a snapshot says of itself, and which one is opened."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sourceline.api import Index
from sourceline.encoders.base import Encoder
from sourceline.errors import BuildError, DamagedError, MismatchError, NoSnapshotError, SnapshotError
from sourceline.index.snapshot import (
    CURRENT,
    FIRST_ID,
    FORMAT,
    MANIFEST,
    REBUILD,
    SNAPSHOTS,
    current_id,
    file_table,
    is_built,
    next_id,
    open_current,
    open_snapshot,
    published_id,
    read_manifest,
    require_encoder,
    write_manifest,
)
from sourceline.types import DEFAULT_MODEL
from tests.conftest import Rebuild
from tests.support.index_folder import build_each, contents, copy_index, current_texts, leftovers, put, snapshot_names

FIRST = {"a.txt": "The bridge opens on Monday. The roof leaks.\n", "b.txt": "Seven trams were ordered.\n"}
SECOND = {"a.md": "# Bridge\n\nThe bridge opens on Sunday.\n"}


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory, exported: Path) -> Path:
    """An index with two snapshots, of FIRST and of SECOND. Not to be written to."""
    index = copy_index(exported, tmp_path_factory.mktemp("built") / "index")
    return build_each(tmp_path_factory.mktemp("documents"), index, Index.build, FIRST, SECOND)


@pytest.fixture
def built(built_once: Path, documents: Path, tmp_path: Path) -> Path:
    """An index of one's own with two snapshots, of FIRST and of SECOND, and the documents of the second."""
    put(documents, SECOND)
    return copy_index(built_once, tmp_path / "index")


def rewrite_manifest(folder: Path, **changed: Any) -> None:
    """Let the manifest describe the files as they are now, with other values where these are given."""
    write_manifest(folder, replace(read_manifest(folder), **{"files": file_table(folder, {})} | changed))


def test_the_manifest_describes_the_snapshot_and_every_file(
    documents: Path, index: Path, rebuild: Rebuild, encoder: Encoder
) -> None:
    put(documents, SECOND | {"empty.txt": "", "photo.jpg": "not text"})
    rebuild(documents, index)
    snapshot = open_current(index)
    manifest = snapshot.manifest

    assert snapshot.id == manifest.id == current_id(index) == snapshot_names(index)[0]
    assert manifest.format == FORMAT == 9
    assert (manifest.model, manifest.backend) == (DEFAULT_MODEL, "onnx")
    assert (manifest.fingerprint, manifest.dim) == (encoder.fingerprint, 384)
    assert (manifest.codec, len(manifest.config)) == ("pq", 16)
    assert (manifest.documents, manifest.passages, manifest.rows) == (1, 2, 1)
    assert manifest.tokens == 7  # the title's too
    assert manifest.skipped == {"empty.txt": "there is no text in it"}
    assert manifest.ignored == {"photo.jpg": "its format is not read"}
    assert manifest.files == {
        name: (len(data), hashlib.sha256(data).hexdigest())
        for name, data in contents(snapshot.folder).items()
        if name not in (MANIFEST, "bm25/.tantivy-meta.lock")
    }
    assert {name for name in manifest.files if not name.startswith("bm25/")} == {
        "dense.faiss",
        "files.json",
        "ledger_forms.npy",
        "ledger_lines.npy",
        "passages.sqlite",
        "ranking_head.safetensors",
        "tokens.codes",
        "tokens.ids",
        "tokens.idf.npz",
        "tokens.offsets",
        "tokens.starts",
    }
    assert "bm25/meta.json" in manifest.files


def test_the_manifest_is_json_with_a_checksum_over_the_rest(built: Path) -> None:
    snapshot = open_current(built)
    body = json.loads((snapshot.folder / MANIFEST).read_text())
    checksum = body.pop("checksum")

    assert body == json.loads(json.dumps(asdict(snapshot.manifest)))
    assert checksum == hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def test_a_chunk_of_a_snapshot_holds_the_tokens_and_sentence_vectors_of_its_rows(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    snapshot = open_current(build_each(documents, index, rebuild, FIRST))

    chunk = snapshot.chunk(range(1, 3))

    gathered = snapshot.tokens.gather([1, 2])
    assert chunk.counts.tolist() == [len(gathered.vectors[gathered.row(number)]) for number in (0, 1)]
    np.testing.assert_array_equal(chunk.starts, gathered.starts)
    np.testing.assert_array_equal(chunk.vectors, snapshot.dense.vectors([1, 2]).astype(np.float16))


def test_opening_and_searching_changes_no_file(built: Path) -> None:
    files = contents(built)
    snapshot = open_current(built)
    snapshot.bm25.search("bridge", 5, None)
    snapshot.dense.search(snapshot.dense.vectors([0])[0], 5, None)
    snapshot.tokens.gather([0])

    assert contents(built) == files
    assert leftovers(built) == set()


def test_a_snapshot_in_another_format_is_refused_left_alone_and_replaced_by_a_build(
    built: Path, documents: Path, rebuild: Rebuild, caplog: pytest.LogCaptureFixture
) -> None:
    names = snapshot_names(built)
    rewrite_manifest(built / SNAPSHOTS / names[1], format=99)

    with pytest.raises(MismatchError, match=f"snapshot {names[1]} is in format 99, not 9: run `sourceline rebuild-"):
        open_current(built)
    assert snapshot_names(built) == names

    report = rebuild(documents, built)
    assert report.added == ("a.md",)
    assert current_texts(built) == SECOND
    assert leftovers(built) == set()
    assert "building without the snapshot before: " in caplog.text


def test_files_that_disagree_on_what_they_hold_are_damage(built: Path) -> None:
    first, second = (built / SNAPSHOTS / name for name in snapshot_names(built))
    shutil.copy(first / "dense.faiss", second)
    rewrite_manifest(second)

    with pytest.raises(DamagedError, match="its files disagree on what they hold"):
        open_snapshot(built, second.name)
    assert current_texts(built) == FIRST


@pytest.mark.parametrize(
    "name", ["dense.faiss", "passages.sqlite", "bm25/meta.json", "tokens.idf.npz", "ranking_head.safetensors"]
)
def test_a_whole_file_that_does_not_open_is_not_set_aside_and_stops_a_build(
    built: Path, documents: Path, rebuild: Rebuild, name: str
) -> None:
    names = snapshot_names(built)
    (built / SNAPSHOTS / names[1] / name).write_bytes(b"of another version")
    rewrite_manifest(built / SNAPSHOTS / names[1])

    with pytest.raises(SnapshotError, match="is whole but does not open") as error:
        open_current(built)
    assert type(error.value) is SnapshotError
    with pytest.raises(BuildError, match="is whole but does not open"):
        rebuild(documents, built)
    assert snapshot_names(built) == names


def test_another_encoder_is_refused(built: Path, encoder: Encoder) -> None:
    snapshot = open_current(built)
    require_encoder(snapshot.manifest, encoder)
    other = replace(snapshot, manifest=replace(snapshot.manifest, fingerprint="0123456789abcdef"))

    with pytest.raises(MismatchError, match=r"\(0123456789abcdef\), not .*: run `sourceline rebuild-index`"):
        require_encoder(other.manifest, encoder)


def test_a_snapshot_that_is_replaced_and_removed_while_it_is_opened_is_no_damage(
    built: Path, documents: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    digest: Callable[..., Any] = hashlib.file_digest
    ids: list[str] = []

    def rebuild_twice(*arguments: Any) -> Any:
        monkeypatch.setattr(hashlib, "file_digest", digest)
        ids.extend(rebuild(documents, built).snapshot for _ in range(2))
        return digest(*arguments)

    put(documents, FIRST)
    monkeypatch.setattr(hashlib, "file_digest", rebuild_twice)

    assert open_current(built).id == ids[1]
    assert snapshot_names(built) == ids
    assert caplog.records == []


def test_a_snapshot_that_was_never_published_is_neither_served_nor_in_the_way(
    built: Path, documents: Path, rebuild: Rebuild
) -> None:
    first, second = snapshot_names(built)
    (built / CURRENT).write_text(f"{first}\n")
    assert published_id(built) == first
    assert current_texts(built) == FIRST

    shutil.rmtree(built / SNAPSHOTS / first / "bm25")
    with pytest.raises(DamagedError, match=f"snapshot {first} is damaged: bm25/"):
        open_current(built)
    assert snapshot_names(built) == [f"{first}.damaged", second]

    assert rebuild(documents, built).snapshot > first
    assert current_texts(built) == SECOND
    assert leftovers(built) == set()


def test_without_fallback_a_damaged_snapshot_is_an_error_and_nothing_is_changed(built: Path) -> None:
    names = snapshot_names(built)
    (built / SNAPSHOTS / names[1] / "dense.faiss").write_bytes(b"")

    with pytest.raises(DamagedError, match=r"dense\.faiss is not as it was written"):
        open_current(built, fallback=False)

    assert snapshot_names(built) == names
    assert current_texts(built) == FIRST


def test_a_snapshot_that_was_set_aside_is_not_called_missing(built: Path) -> None:
    names = snapshot_names(built)
    (built / SNAPSHOTS / names[1] / "dense.faiss").write_bytes(b"")
    assert open_current(built).id == names[0]

    with pytest.raises(DamagedError, match=f"^snapshot {names[1]} is damaged and was set aside: {REBUILD}$"):
        open_current(built, fallback=False)


def test_what_was_published_is_unknown_if_current_names_no_snapshot(built: Path) -> None:
    (built / CURRENT).write_text("00000000-20200101T000000Z\n")
    assert published_id(built) is None

    (built / CURRENT).unlink()
    assert published_id(built) is None
    assert is_built(built)


def test_an_index_folder_without_a_snapshot_says_how_to_build_one(tmp_path: Path) -> None:
    for index in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NoSnapshotError, match=r"^there is no index in .* yet: run `sourceline rebuild-index`$"):
            open_current(index)
    assert current_id(tmp_path) is None


@pytest.mark.parametrize(
    ("current", "recorded", "folders", "number"),
    [
        (None, None, [], 1),
        ("00000007-20260101T000000Z", None, [], 8),
        ("00000007-20260101T000000Z", None, ["00000009-20260101T000000Z"], 10),
        ("00000001-20260101T000000Z", None, ["00000003-20260101T000000Z.damaged"], 4),
        ("00000001-20260101T000000Z", "00000005-20260101T000000Z", [], 6),
        ("garbage", FIRST_ID, ["²²²²²²²²", "x"], 1),
    ],
)
def test_the_next_id_sorts_behind_every_snapshot_that_was_ever_there(
    tmp_path: Path, current: str | None, recorded: str | None, folders: list[str], number: int
) -> None:
    if current is not None:
        (tmp_path / CURRENT).write_text(f"{current}\n", "utf-8")
    for name in folders:
        (tmp_path / SNAPSHOTS / name).mkdir(parents=True)

    assert next_id(tmp_path, "20260102T000000Z", recorded) == f"{number:08d}-20260102T000000Z"

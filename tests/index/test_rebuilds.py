"""However documents are edited, a rebuild gives what a first build of the same documents gives, row by row."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import find_model
from sourceline.encoders.onnx import OnnxEncoder
from sourceline.encoders.ranking_head import find_ranking_head, identity_head
from sourceline.index import dense
from sourceline.index.multivector import BYTES, QUANTISED, TWO_BYTES
from sourceline.index.snapshot import Snapshot, open_current
from sourceline.indexing import builder as builds
from sourceline.indexing import config as config
from sourceline.indexing.builder import build
from sourceline.indexing.config import IndexConfig
from sourceline.types import DEFAULT_MODEL, BuildReport
from tests.index.folder import put

TOKENS = ["tokens.codes", "tokens.ids", "tokens.starts", "tokens.offsets", "tokens.idf.npy"]
# The first two fill a window each, one is over the model's limit, the last ones have no token or no answer.
PARAGRAPHS = [
    *(f"Item {number} is about {topic}. " + f"The council spoke of {topic} at length. " * 12
      for number, topic in enumerate(["bridges", "trams"])),
    "Then the chair read out " + "the names of all members, " * 60 + "and left.",
    "It rained.\u3000 It \t rained .\u2028It rained.", "\u200b…\n\n?!", "# Minutes", "\u00a0",
]  # fmt: skip
CORPORA = st.dictionaries(
    st.sampled_from(["a.md", "b.txt", "c.md", "d.txt"]),
    st.lists(st.sampled_from(PARAGRAPHS), min_size=1, max_size=5).map("\n\n".join),
    min_size=1,
).filter(lambda files: any("in" in text for text in files.values()))  # there is a sentence in one of them
# Named here, for else each build looks for it.
TRAINED = IndexConfig(head=find_ranking_head(find_model(DEFAULT_MODEL).digest, 384))
PLAIN = IndexConfig(head=identity_head(384))
ONE, TWO = ({"a.md": "\n\n".join(PARAGRAPHS), "b.txt": last} for last in PARAGRAPHS[:2])


@pytest.fixture(autouse=True)
def _quick(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open the model once, and encode a text once."""
    assert isinstance(encoder, OnnxEncoder)
    monkeypatch.setattr(encoder, "_encode", cache(encoder._encode))
    monkeypatch.setattr(builds, "prepare_encoder", lambda *_: encoder)


@pytest.fixture
def compact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep whatever there is as a large corpus is kept."""
    monkeypatch.setattr(config, "COMPACT_ABOVE", 0)
    monkeypatch.setattr(dense, "APPROXIMATE_ABOVE", 0)
    monkeypatch.setattr(dense, "LISTS", 1)


def rows_of(snapshot: Snapshot) -> Iterator[tuple[object, ...]]:
    """Yield everything that is in the database."""
    with closing(sqlite3.connect(snapshot.folder / "passages.sqlite")) as connection:
        for table in ("documents", "passages", "parts"):
            yield from connection.execute(f"SELECT '{table}', * FROM {table} ORDER BY 2")


def require_same(one: Snapshot, other: Snapshot) -> None:
    assert one.manifest.codec == other.manifest.codec
    assert list(rows_of(one)) == list(rows_of(other))
    exact = [] if one.dense.approximate else ["dense.faiss"]
    for name in [*TOKENS, *exact, "head.safetensors"]:
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name
    rows = range(one.passages.row_count)
    assert one.dense.approximate == other.dense.approximate
    assert one.dense.vectors(rows).tobytes() == other.dense.vectors(rows).tobytes()
    for question in ("the council spoke of trams", "who left in the rain"):
        assert one.lexical.search(question, 1_000, None) == other.lexical.search(question, 1_000, None)


def require_that_steps_do_not_show(corpora: list[dict[str, str]], made_by: IndexConfig = TRAINED) -> None:
    with TemporaryDirectory() as root:
        documents, steps, fresh = (Path(root) / name for name in ("documents", "steps", "fresh"))
        documents.mkdir()
        for files in corpora:
            made(documents, steps, files, made_by)
        made(documents, fresh, corpora[-1], made_by)
        require_same(open_current(steps), open_current(fresh))


def made(documents: Path, index: Path, files: dict[str, str], made_by: IndexConfig = TRAINED) -> BuildReport:
    put(documents, files)
    return build(documents, index, DEFAULT_MODEL, config=made_by)


@settings(deadline=None, max_examples=20)
@given(st.lists(CORPORA, min_size=2, max_size=4))
def test_a_rebuild_is_a_first_build_whatever_was_edited(corpora: list[dict[str, str]]) -> None:
    require_that_steps_do_not_show(corpora)


@settings(deadline=None, max_examples=20)
@given(st.lists(CORPORA, min_size=2, max_size=4))
@pytest.mark.usefixtures("compact")
def test_a_rebuild_of_a_large_corpus_is_a_first_build_too(corpora: list[dict[str, str]]) -> None:
    require_that_steps_do_not_show(corpora)


@pytest.mark.usefixtures("compact")
def test_so_is_one_below_a_head_without_a_codebook() -> None:
    require_that_steps_do_not_show([ONE, TWO, ONE], PLAIN)


def test_what_a_document_repeats_is_taken_over_from_its_place(documents: Path, tmp_path: Path) -> None:
    one, two, three = PARAGRAPHS[:3]
    repeating = "\n\n".join([one, one, two, three])
    index = tmp_path / "index"
    assert made(documents, index, {"a.txt": repeating, "b.txt": one}).encoded == 4  # one below another title
    for edited in (repeating, repeating + "\n\nIt rained."):
        files = {"a.txt": edited, "b.txt": two}
        assert made(documents, index, files).encoded == 1
        assert made(documents, tmp_path / edited[-5:], files).encoded >= 4
        require_same(open_current(index), open_current(tmp_path / edited[-5:]))


@pytest.mark.parametrize(("made_by", "codec"), [(TRAINED, QUANTISED), (PLAIN, BYTES)])
def test_a_corpus_that_becomes_large_or_small_is_encoded_anew(
    documents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_by: IndexConfig, codec: str
) -> None:
    monkeypatch.setattr(config, "COMPACT_ABOVE", 700)
    index = tmp_path / "index"
    small, large = {"a.txt": PARAGRAPHS[0]}, {"a.txt": PARAGRAPHS[0], "b.txt": PARAGRAPHS[1]}
    for files, kept_as, encoded in [(small, TWO_BYTES, 1), (large, codec, 2), (large, codec, 0), (small, TWO_BYTES, 1)]:
        assert made(documents, index, files, made_by).encoded == encoded
        assert open_current(index).manifest.codec == kept_as
    made(documents, tmp_path / "fresh", small, made_by)
    require_same(open_current(index), open_current(tmp_path / "fresh"))

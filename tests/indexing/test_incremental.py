"""Only what is new is encoded, and a rebuild gives, row by row, what a first build of the same documents gives."""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.api import Index
from sourceline.encoders.hub import find_model
from sourceline.encoders.ranking_head import find_ranking_head, identity_head
from sourceline.index import dense
from sourceline.index.multivector import BFLOAT16, INT8, PQ
from sourceline.index.snapshot import Snapshot, open_current
from sourceline.indexing import config as config_module
from sourceline.indexing.builder import build
from sourceline.indexing.config import IndexConfig
from sourceline.types import DEFAULT_MODEL, BuildReport, Scores
from tests.conftest import SEEDS, Rebuild
from tests.support.index_folder import put

TOKEN_FILES = ["tokens.codes", "tokens.ids", "tokens.starts", "tokens.offsets", "tokens.idf.npz"]
# The first two fill a chunk each, one is over the model's limit, the last ones have no token or no answer.
BRIDGES, TRAMS, SCHOOLS, FORESTS = (
    f"Item {number} is about {topic}. " + f"The council spoke of {topic} at length. " * 12
    for number, topic in enumerate(["bridges", "trams", "schools", "forests"])
)
# One word, as a URL is: speech without punctuation would be cut at blanks.
OVERLONG = "The-chair-read-out-" + "the-names-of-all-members,-" * 60 + "and-left."
PARAGRAPHS = [
    BRIDGES,
    TRAMS,
    OVERLONG,
    "It rained.\u3000 It \t rained .\u2028It rained.",
    "\u200b…\n\n?!",
    "# Minutes",
    "\u00a0",
]
CORPORA = st.dictionaries(
    st.sampled_from(["a.md", "b.txt", "c.md", "d.txt"]),
    st.lists(st.sampled_from(PARAGRAPHS), min_size=1, max_size=5).map("\n\n".join),
    min_size=1,
).filter(lambda files: any("in" in text for text in files.values()))  # there is a sentence in one of them
# Named here, for else each build looks for it.
TRAINED = IndexConfig(head=find_ranking_head(find_model(DEFAULT_MODEL).digest, 384))
PLAIN = IndexConfig(head=identity_head(384))
FIRST, SECOND = ({"a.md": "\n\n".join(PARAGRAPHS), "b.txt": last} for last in PARAGRAPHS[:2])


@pytest.fixture
def compact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Store whatever there is as a large corpus is stored."""
    monkeypatch.setattr(config_module, "COMPACT_ABOVE", 0)
    monkeypatch.setattr(dense, "APPROXIMATE_ABOVE", 0)
    monkeypatch.setattr(dense, "LISTS", 1)


def paragraphs(*texts: str) -> str:
    return "\n\n".join(texts) + "\n"


def build_files(documents: Path, index: Path, files: dict[str, str], config: IndexConfig = TRAINED) -> BuildReport:
    put(documents, files)
    return build(documents, index, DEFAULT_MODEL, config=config)


def tables_of(snapshot: Snapshot) -> Iterator[tuple[object, ...]]:
    """Yield everything that is in the database."""
    with closing(sqlite3.connect(snapshot.folder / "passages.sqlite")) as connection:
        for table in ("documents", "passages", "chunks"):
            yield from connection.execute(f"SELECT '{table}', * FROM {table} ORDER BY 2")


def require_same(snapshot: Snapshot, other: Snapshot) -> None:
    assert snapshot.manifest.codec == other.manifest.codec
    assert list(tables_of(snapshot)) == list(tables_of(other))
    approximate = snapshot.dense.centers() is not None
    exact = [] if approximate else ["dense.faiss"]
    for name in [*TOKEN_FILES, *exact, "ranking_head.safetensors"]:
        assert (snapshot.folder / name).read_bytes() == (other.folder / name).read_bytes(), name
    rows = range(snapshot.passages.row_count)
    assert approximate == (other.dense.centers() is not None)
    assert snapshot.dense.vectors(rows).tobytes() == other.dense.vectors(rows).tobytes()
    for question in ("the council spoke of trams", "who left in the rain"):
        assert snapshot.bm25.search(question, 1_000, None) == other.bm25.search(question, 1_000, None)


def require_that_steps_do_not_show(corpora: list[dict[str, str]], config: IndexConfig = TRAINED) -> None:
    """Build all corpora one after the other, and the last one alone; both indexes must be the same."""
    with TemporaryDirectory() as root:
        documents, in_steps, at_once = (Path(root) / name for name in ("documents", "in-steps", "at-once"))
        documents.mkdir()
        for files in corpora:
            build_files(documents, in_steps, files, config)
        build_files(documents, at_once, corpora[-1], config)
        require_same(open_current(in_steps), open_current(at_once))


@settings(deadline=None, max_examples=10)
@given(st.lists(CORPORA, min_size=2, max_size=4))
@pytest.mark.usefixtures("quick_builds")
def test_a_rebuild_gives_what_a_first_build_gives_whatever_was_edited(corpora: list[dict[str, str]]) -> None:
    require_that_steps_do_not_show(corpora)


@settings(deadline=None, max_examples=8)
@given(st.lists(CORPORA, min_size=2, max_size=3))
@pytest.mark.usefixtures("quick_builds", "compact")
def test_a_rebuild_of_a_large_corpus_gives_what_a_first_build_gives(corpora: list[dict[str, str]]) -> None:
    require_that_steps_do_not_show(corpora)


@pytest.mark.usefixtures("quick_builds", "compact")
def test_a_rebuild_with_a_head_without_codebook_gives_what_a_first_build_gives() -> None:
    require_that_steps_do_not_show([FIRST, SECOND, FIRST], PLAIN)


@pytest.mark.parametrize(
    ("config", "codecs", "encoded"),
    [(PLAIN, (BFLOAT16, INT8, INT8, BFLOAT16), (1, 2, 0, 1)), (TRAINED, (PQ, PQ, PQ, PQ), (1, 1, 0, 0))],
)
@pytest.mark.usefixtures("quick_builds")
def test_a_corpus_that_becomes_large_or_small_is_encoded_anew_if_there_is_no_codebook(
    documents: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: IndexConfig,
    codecs: Sequence[str],
    encoded: Sequence[int],
) -> None:
    monkeypatch.setattr(config_module, "COMPACT_ABOVE", 700)
    index = tmp_path / "index"
    small, large = {"a.txt": BRIDGES}, {"a.txt": BRIDGES, "b.txt": TRAMS}

    for files, codec, count in zip((small, large, large, small), codecs, encoded, strict=True):
        assert build_files(documents, index, files, config).encoded == count
        assert open_current(index).manifest.codec == codec
    build_files(documents, tmp_path / "anew", small, config)
    require_same(open_current(index), open_current(tmp_path / "anew"))


@pytest.mark.usefixtures("quick_builds")
def test_each_chunk_of_new_text_is_encoded_once_and_no_other(documents: Path, tmp_path: Path) -> None:
    edited = TRAMS.replace("at length", "again")

    def encoded(**texts: str) -> tuple[int, int]:
        files = {f"{name}.txt": content for name, content in texts.items()}
        report = build_files(documents, tmp_path / "index", files)
        return report.encoded, report.chunks

    assert encoded(a=paragraphs(BRIDGES, TRAMS, SCHOOLS)) == (3, 3)
    assert encoded(a=paragraphs(BRIDGES, TRAMS, SCHOOLS)) == (0, 3)
    assert encoded(a=paragraphs(BRIDGES, edited, SCHOOLS)) == (1, 3)
    assert encoded(a=paragraphs(BRIDGES, TRAMS, SCHOOLS)) == (1, 3)  # what no document holds any more was forgotten
    assert encoded(renamed=paragraphs(BRIDGES, TRAMS, SCHOOLS)) == (3, 3)  # with another title in front
    assert encoded(renamed=paragraphs(SCHOOLS, BRIDGES), b=TRAMS) == (1, 3)
    assert encoded(a=paragraphs(BRIDGES, TRAMS), b=paragraphs(BRIDGES, TRAMS, FORESTS), c=FORESTS) == (5, 6)
    assert encoded(c=FORESTS) == (0, 1)


@pytest.mark.usefixtures("quick_builds")
def test_a_chunk_that_a_document_repeats_is_copied_from_a_place_where_it_stood(documents: Path, tmp_path: Path) -> None:
    repeating = "\n\n".join([BRIDGES, BRIDGES, TRAMS, OVERLONG])
    index = tmp_path / "index"

    assert build_files(documents, index, {"a.txt": repeating, "b.txt": BRIDGES}).encoded == 4  # one with another title
    for number, edited in enumerate((repeating, repeating + "\n\nIt rained.")):
        files = {"a.txt": edited, "b.txt": TRAMS}
        assert build_files(documents, index, files).encoded == 1
        assert build_files(documents, tmp_path / str(number), files).encoded >= 4
        require_same(open_current(index), open_current(tmp_path / str(number)))


@pytest.mark.usefixtures("quick_builds")
def test_a_rebuild_after_the_snapshots_were_deleted_gives_the_same_vectors(documents: Path, tmp_path: Path) -> None:
    build_files(documents, tmp_path / "index", {"a.txt": BRIDGES})
    build_files(documents, tmp_path / "index", {"a.txt": BRIDGES, "b.txt": TRAMS})
    snapshot = open_current(tmp_path / "index")
    vectors = snapshot.dense.vectors([0, 1, 13])
    shutil.rmtree(tmp_path / "index" / "snapshots")

    assert build_files(documents, tmp_path / "index", {"a.txt": BRIDGES, "b.txt": TRAMS}).encoded == 2
    np.testing.assert_array_equal(open_current(tmp_path / "index").dense.vectors([0, 1, 13]), vectors)


def test_a_rebuild_without_a_change_ranks_the_same(index: Path, rebuild: Rebuild) -> None:
    def ranking() -> list[tuple[str, Scores]]:
        with Index.open(index) as opened:
            answer = opened.ask("Who welcomed the emphasis on stability?", 100)
        return [(hit.passage.id, hit.scores) for hit in answer.hits]

    rebuild(SEEDS, index)
    first, before = ranking(), open_current(index)
    assert len(first) == 48

    assert rebuild(SEEDS, index).encoded == 0
    require_same(open_current(index), before)
    assert ranking() == first

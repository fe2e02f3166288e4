"""What is stored of a token: which it is, where it stands in its passage, its vector below the document's title."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import find_model
from sourceline.encoders.ranking_head import find_ranking_head, read_ranking_head
from sourceline.index.snapshot import Snapshot, open_current
from sourceline.indexing.builder import build
from sourceline.indexing.config import IndexConfig
from sourceline.types import DEFAULT_MODEL
from tests.conftest import Rebuild
from tests.index.folder import put
from tests.texts import texts

LONG = " ".join(["bridge"] * 41)


def beginnings(snapshot: Snapshot, row: int, text: str) -> list[str]:
    """Return the character with which each token of a passage begins."""
    return [text[start] for start in snapshot.tokens.gather([row]).places.tolist()]


def test_each_passages_tokens_stand_where_they_stand_in_it(documents: Path, index: Path, rebuild: Rebuild) -> None:
    corpus = {"a.md": "# The bridge\n\nIt opens on Monday. Nobody  was hurt!\n", "b.txt": "“Trade”, they said.\n"}
    put(documents, corpus)
    rebuild(documents, index)
    snapshot = open_current(index)
    found = [beginnings(snapshot, row, shown.passage.text) for row, shown in snapshot.passages.rows([0, 1, 2]).items()]
    assert found == [
        ["I", "o", "o", "M", "."],
        ["N", "w", "h", "!"],
        ["“", "T", "”", ",", "t", "s", "."],
    ]


def test_the_vectors_are_those_of_the_text_below_its_title(
    documents: Path, index: Path, rebuild: Rebuild, encoder: Encoder
) -> None:
    put(documents, {"The bridge.txt": "It opens on Monday. Nobody was hurt.\n"})
    rebuild(documents, index)
    snapshot = open_current(index)
    (encoding,) = encoder.encode(["The bridge\nIt opens on Monday. Nobody was hurt."])
    expected = snapshot.head.project_passage(encoding.vectors[2:])  # behind the title's two tokens
    np.testing.assert_allclose(snapshot.tokens.gather([0, 1]).vectors, expected, atol=1e-3)
    means = [encoding.vectors[2:7].mean(axis=0), encoding.vectors[7:].mean(axis=0)]
    for vector, mean in zip(snapshot.dense.vectors([0, 1]), means, strict=True):
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-3)


def test_each_document_has_a_row_for_its_title_which_matches_nothing_if_none_stands_in_front(
    documents: Path, index: Path, rebuild: Rebuild, encoder: Encoder
) -> None:
    files = {"a.md": "# The bridge\n\nIt opens.\n", "b.md": f"# {LONG}\n\nIt is long.\n", "c.md": "# Empty roads\n"}
    put(documents, files)
    rebuild(documents, index)
    snapshot = open_current(index)
    assert (snapshot.passages.row_count, len(snapshot.tokens)) == (2, 5)
    titles = [snapshot.tokens.gather([row]).vectors for row in (2, 3, 4)]
    assert titles[1].tolist() == [[0.0] * snapshot.head.dim]
    for title, text in ((titles[0], "The bridge"), (titles[2], "Empty roads")):
        (encoding,) = encoder.encode([text])
        np.testing.assert_allclose(title, snapshot.head.project_passage(encoding.vectors), atol=1e-3)


def test_without_titles_no_title_matches(documents: Path, index: Path) -> None:
    put(documents, {"The bridge.txt": "It opens on Monday.\n"})
    report = build(documents, index, DEFAULT_MODEL, config=IndexConfig(titles=False))
    assert (report.windows, report.encoded) == (1, 1)
    snapshot = open_current(index)
    assert not snapshot.tokens.gather([1]).vectors.any()


def test_a_snapshot_keeps_the_head_that_it_was_built_with(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, {"a.txt": "It opens on Monday.\n"})
    rebuild(documents, index)
    snapshot = open_current(index)
    shipped = find_ranking_head(find_model(DEFAULT_MODEL).digest, 384)
    for head in (snapshot.head, read_ranking_head(snapshot.folder / "head.safetensors")):
        for name in ("projection", "passage", "question", "reliance", "biases", "discounts"):
            np.testing.assert_array_equal(getattr(head, name), getattr(shipped, name))


@settings(deadline=None, max_examples=20)
@given(st.lists(texts, min_size=1, max_size=3))
def test_every_token_stands_in_its_passage_whatever_stands_in_front_of_it(exported: Path, contents: list[str]) -> None:
    with TemporaryDirectory() as root:
        index, documents = Path(root) / "index", Path(root) / "documents"
        shutil.copytree(exported, index)
        documents.mkdir()
        (documents / "z.md").write_text("# Always\n\nSomething is here.\n")
        for number, content in enumerate(contents):
            (documents / f"{number}.md").write_text(f"# The bridge\n\n{content}\n", "utf-8", newline="")
        build(documents, index, DEFAULT_MODEL)
        snapshot = open_current(index)
        for row, shown in snapshot.passages.rows(range(snapshot.passages.row_count)).items():
            starts = snapshot.tokens.gather([row]).places
            assert (starts >= 0).all()
            assert (starts < len(shown.passage.text)).all()
            assert (np.diff(starts) >= 0).all()

"""Headings are context, never answers."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sourceline.search.opening import open_searcher

from sourceline.citations.ledger import Ledger
from sourceline.citations.lookup import look_up
from sourceline.indexing.builder import build
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_MODEL, Backend, CitationStatus, Passage
from tests.search.publishing import Publish

MINUTES = "Minutes of the council\n\nThe roof leaks.\n\nThe bridge\n\nIt opens on Monday. It is made of oak.\n"
MARKDOWN = "# The bridge\n\nIt was painted in June.\n\n## Empty\n\n## The tram\n\nSeven were ordered.\n"


def all_passages(searcher: Searcher) -> list[Passage]:
    passages = searcher.snapshot.passages
    return [passage for entry in passages.documents for passage in passages.of_document(entry)]


def test_a_heading_is_never_a_hit_however_well_it_matches(publish: Publish) -> None:
    searcher = publish({"a.txt": MINUTES, "b.md": MARKDOWN})
    for question in ("The bridge", "Minutes of the council", "the tram", "Empty"):
        found = sorted(hit.passage.text for hit in searcher.ask(question, 100).hits)
        assert found == [
            "It is made of oak.",
            "It opens on Monday.",
            "It was painted in June.",
            "Seven were ordered.",
            "The roof leaks.",
        ]


def test_what_stands_below_a_heading_is_found_by_it_and_names_it(publish: Publish) -> None:
    searcher = publish({"a.txt": MINUTES, "b.md": MARKDOWN})
    by_text = {hit.passage.text: hit for hit in searcher.ask("When does the bridge open?", 9).hits}
    first = by_text["It opens on Monday."]
    assert first.rank == 1
    assert (first.before, first.after) == ("The bridge", "It is made of oak.")
    assert first.passage.location.section == "The bridge"
    assert by_text["The roof leaks."].passage.location.section == "Minutes of the council"
    assert by_text["The roof leaks."].title == "Minutes of the council"
    assert (by_text["Seven were ordered."].before, by_text["Seven were ordered."].after) == ("The tram", "")
    assert by_text["It was painted in June."].after == "Empty"


def test_a_corpus_of_headings_alone_answers_nothing(publish: Publish) -> None:
    searcher = publish({"a.md": "# The bridge\n\n## Opening\n"})
    manifest = searcher.snapshot.manifest
    assert (manifest.documents, manifest.passages, manifest.rows, manifest.tokens) == (1, 2, 0, 2)  # the title's
    for documents in ([], ["a.md"]):
        answer = searcher.ask("When does the bridge open?", 5, documents)
        assert (answer.hits, answer.confidence, answer.answerable) == ((), 0, False)


def test_a_document_of_headings_alone_is_listed_and_stands_in_nobodys_way(publish: Publish) -> None:
    corpus = {"a.md": "# Plans\n", "b.txt": "The bridge opens on Monday.", "c.md": "# The bridge\n"}
    searcher = publish(corpus)
    assert [(entry.id, len(entry.numbers), entry.rows) for entry in searcher.snapshot.passages.documents] == [
        ("a.md", 1, range(0)),
        ("b.txt", 1, range(1)),
        ("c.md", 1, range(1, 1)),
    ]
    for documents in ([], ["*"], ["b.txt", "c.md"]):
        (hit,) = searcher.ask("The bridge", 5, documents).hits
        assert (hit.passage.text, hit.before, hit.after) == ("The bridge opens on Monday.", "", "")
    assert searcher.ask("The bridge", 5, ["c.md"]).hits == ()


@pytest.mark.parametrize("again", [MARKDOWN, MARKDOWN.replace("## The tram", "## The trams")])
def test_a_headings_citation_is_followed_like_any_other(publish: Publish, again: str) -> None:
    before = {passage.text: passage for passage in all_passages(publish({"b.md": MARKDOWN}))}
    (publish.documents / "b.md").unlink()
    searcher = publish({"c.md": again})
    found = look_up(before["The bridge"].id, searcher.snapshot.passages, Ledger(publish.index))
    assert (found.status, found.cited.passage) == (CitationStatus.MOVED, before["The bridge"])
    assert found.cited.passage.heading
    assert found.now
    assert (found.now.passage.document_id, found.now.passage.heading) == ("c.md", True)


_blocks = st.sampled_from(
    ["# The bridge", "## Opening hours", "The bridge", "Opening hours", "The bridge opens.", "It is late. Is it?"]
)


@settings(deadline=None, max_examples=12)
@given(st.dictionaries(st.sampled_from(["a.txt", "b.md", "c.md"]), st.lists(_blocks, min_size=1), min_size=1))
def test_every_passage_but_headings_is_an_answer_and_every_id_resolves(
    exported: Path, files: dict[str, list[str]]
) -> None:
    with TemporaryDirectory() as root:
        index, documents = Path(root) / "index", Path(root) / "documents"
        shutil.copytree(exported, index)
        documents.mkdir()
        for name, blocks in {"z.md": ["# Always", "Something is here."], **files}.items():
            (documents / name).write_text("\n\n".join(blocks))
        build(documents, index, DEFAULT_MODEL)
        searcher = open_searcher(index, DEFAULT_MODEL, Backend.ONNX)
        passages = all_passages(searcher)
        hits = searcher.ask("When does the bridge open?", 100).hits
        assert not any(hit.passage.heading for hit in hits)
        shown = [id_ for hit in hits for id_ in (hit.passage.id, *hit.also)]
        assert sorted(shown) == sorted(passage.id for passage in passages if not passage.heading)
        for passage in passages:
            found = look_up(passage.id, searcher.snapshot.passages, Ledger(index))
            assert (found.status, found.cited.passage) == (CitationStatus.CURRENT, passage)

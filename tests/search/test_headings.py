"""Headings are context, never answers."""

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL, CitationStatus, Context, Filters, Verdict
from tests.support.index_folder import cite
from tests.support.publishing import Publish, all_passages, open_searcher

MINUTES = "Minutes of the council\n\nThe roof leaks.\n\nThe bridge\n\nIt opens on Monday. It is made of oak.\n"
MARKDOWN = "# The bridge\n\nIt was painted in June.\n\n## Empty\n\n## The tram\n\nSeven were ordered.\n"


def test_a_heading_is_never_a_hit_however_well_it_matches(publish: Publish) -> None:
    searcher = publish({"a.txt": MINUTES, "b.md": MARKDOWN})
    for question in ("The bridge", "Minutes of the council", "the tram", "Empty"):
        assert sorted(hit.passage.text for hit in searcher.ask(question, 100).hits) == [
            "It is made of oak.",
            "It opens on Monday.",
            "It was painted in June.",
            "Seven were ordered.",
            "The roof leaks.",
        ]


def test_a_sentence_below_a_heading_is_found_by_it_and_names_it_as_its_section(publish: Publish) -> None:
    searcher = publish({"a.txt": MINUTES, "b.md": MARKDOWN})
    hits = {hit.passage.text: hit for hit in searcher.ask("When does the bridge open?", 9).hits}
    opens = hits["It opens on Monday."]
    assert opens.rank == 1
    assert opens.passage.location.section == "The bridge"
    # A heading is another paragraph than what stands below it.
    assert opens.context == Context("", "It is made of oak.")
    assert hits["It is made of oak."].context == Context("It opens on Monday.", "")
    assert hits["The roof leaks."].passage.location.section == "Minutes of the council"
    assert hits["The roof leaks."].title == "Minutes of the council"
    assert hits["Seven were ordered."].passage.location.section == "The tram"
    assert hits["Seven were ordered."].context == hits["It was painted in June."].context == Context("", "")


def test_a_corpus_of_headings_alone_answers_nothing(publish: Publish) -> None:
    searcher = publish({"a.md": "# The bridge\n\n## Opening\n"})
    manifest = searcher.snapshot.manifest
    # The two tokens are the title's.
    assert (manifest.documents, manifest.passages, manifest.rows, manifest.tokens) == (1, 2, 0, 2)
    for documents in ([], ["a.md"]):
        answer = searcher.ask("When does the bridge open?", 5, Filters(tuple(documents)))
        assert (answer.hits, answer.confidence, answer.verdict) == ((), 0, Verdict.NOT_ANSWERED)


def test_a_document_of_headings_alone_is_listed_and_stands_in_the_way_of_no_other(publish: Publish) -> None:
    corpus = {"a.md": "# Plans\n", "b.txt": "The bridge opens on Monday.", "c.md": "# The bridge\n"}
    searcher = publish(corpus)
    assert [(entry.id, len(entry.numbers), entry.rows) for entry in searcher.snapshot.passages.documents] == [
        ("a.md", 1, range(0)),
        ("b.txt", 1, range(1)),
        ("c.md", 1, range(1, 1)),
    ]
    for documents in ([], ["*"], ["b.txt", "c.md"]):
        (hit,) = searcher.ask("The bridge", 5, Filters(tuple(documents))).hits
        assert (hit.passage.text, hit.context) == ("The bridge opens on Monday.", Context("", ""))
    assert searcher.ask("The bridge", 5, Filters(("c.md",))).hits == ()


@pytest.mark.parametrize("later", [MARKDOWN, MARKDOWN.replace("## The tram", "## The trams")])
def test_the_citation_of_a_heading_is_tracked_like_any_other(publish: Publish, later: str) -> None:
    before = {passage.text: passage for passage in all_passages(publish({"b.md": MARKDOWN}).snapshot.passages)}
    (publish.documents / "b.md").unlink()
    publish({"c.md": later})
    citation = cite(publish.index, before["The bridge"].id)
    assert (citation.status, citation.cited.passage) == (CitationStatus.MOVED, before["The bridge"])
    assert citation.cited.passage.heading
    assert citation.now
    assert (citation.now.passage.document_id, citation.now.passage.heading) == ("c.md", True)


blocks = st.sampled_from(
    ["# The bridge", "## Opening hours", "The bridge", "Opening hours", "The bridge opens.", "It is late. Is it?"]
)


@settings(deadline=None, max_examples=12)
@given(st.dictionaries(st.sampled_from(["a.txt", "b.md", "c.md"]), st.lists(blocks, min_size=1), min_size=1))
def test_every_passage_but_headings_is_an_answer_and_every_id_resolves(
    exported: Path, files: dict[str, list[str]]
) -> None:
    with TemporaryDirectory() as root:
        index, documents = Path(root) / "index", Path(root) / "documents"
        shutil.copytree(exported, index, copy_function=os.link)
        documents.mkdir()
        for name, texts in {"z.md": ["# Always", "Something is here."], **files}.items():
            (documents / name).write_text("\n\n".join(texts))
        build(documents, index, DEFAULT_MODEL)
        searcher = open_searcher(index)
        passages = all_passages(searcher.snapshot.passages)
        hits = searcher.ask("When does the bridge open?", 100).hits
        assert not any(hit.passage.heading for hit in hits)
        shown = [citation for hit in hits for citation in (hit.passage.id, *hit.also)]
        assert sorted(shown) == sorted(passage.id for passage in passages if not passage.heading)
        for passage in passages:
            citation = cite(index, passage.id)
            assert (citation.status, citation.cited.passage) == (CitationStatus.CURRENT, passage)

"""Passages that say the same are shown once, with the citations of all."""

import math

import pytest

from sourceline.encoders.base import Float32
from sourceline.ids import citation_id
from sourceline.index.row_filter import RowFilter
from sourceline.search.query import encode_query
from sourceline.search.searcher import CANDIDATES, MAX_DUPLICATES, Searcher
from sourceline.types import Answer, Filters, ScoredRow
from tests.support.publishing import Publish

BRIDGE, HURT, HARBOUR = "The bridge was closed on Monday.", "Nobody was hurt.", "The harbour stayed open all week."
CLOSED = "When was the bridge closed?"


def citations(text: str, *documents: str) -> tuple[str, ...]:
    return tuple(citation_id(document, text, 0) for document in documents)


def shown(answer: Answer) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return for each text in which document it is shown, and its other citations."""
    assert len({hit.passage.text for hit in answer.hits}) == len(answer.hits)
    assert [hit.rank for hit in answer.hits] == list(range(1, len(answer.hits) + 1))
    return {hit.passage.text: (hit.passage.document_id, hit.also) for hit in answer.hits}


@pytest.mark.parametrize("copies", [3, 31, 100, 1100])
def test_of_equal_sentences_in_equal_contexts_the_first_is_shown_and_names_the_others(
    publish: Publish, copies: int
) -> None:
    names = [f"{number:04}/report.txt" for number in range(copies)]
    searcher = publish(dict.fromkeys(names, f"{BRIDGE} {HURT}\n") | {"zzzz/report.txt": HARBOUR})
    for question, best in [(CLOSED, BRIDGE), ("Was anybody hurt?", HURT), ("bridge", BRIDGE)]:
        for k in (1, 2, 5, 100):
            answer = searcher.ask(question, k)
            assert answer.hits[0].passage.text == best
            expected = {
                BRIDGE: ("0000/report.txt", citations(BRIDGE, *names[1:])),
                HURT: ("0000/report.txt", citations(HURT, *names[1:])),
                HARBOUR: ("zzzz/report.txt", ()),
            }
            texts = shown(answer)
            assert len(texts) == min(k, 3)
            assert texts == {text: expected[text] for text in texts}


def test_an_answer_holds_as_many_texts_as_there_are(publish: Publish) -> None:
    days = [f"On day {number} of the flood nobody left the harbour." for number in range(150)]
    copies = {f"{number:03}/report.txt": BRIDGE for number in range(200)}
    searcher = publish(copies | {"days.txt": "\n".join(days), "x/days.txt": "\n".join(reversed(days))})
    for k in (1, 5, CANDIDATES + 1, 100):
        texts = shown(searcher.ask(CLOSED, k))
        assert len(texts) == k
        assert texts.pop(BRIDGE) == ("000/report.txt", citations(BRIDGE, *sorted(copies)[1:]))
        for text, (document, also) in texts.items():
            assert {*citations(text, document), *also} == {*citations(text, "days.txt", "x/days.txt")}
    assert len(shown(searcher.ask("harbour", 100))) == 100


def test_the_best_of_the_duplicates_is_shown_and_the_others_are_named_in_document_order(publish: Publish) -> None:
    yes = "Yes, it was."
    corpus = {
        "a.txt": f"Was it a good year for the orchards? {yes}",
        "b.txt": f"Was the bridge closed on Monday, when the flood came? {yes}",
        "c.txt": f"Was the mayor in Paris? {yes}",
    }
    searcher = publish(corpus)
    for question, best in [("orchards", "a.txt"), ("the bridge and the flood", "b.txt"), ("the mayor, Paris", "c.txt")]:
        others = [name for name in corpus if name != best]
        assert shown(searcher.ask(question, 4))[yes] == (best, citations(yes, *others))


@pytest.mark.parametrize("other", ["THE BRIDGE WAS CLOSED ON MONDAY", "“The  bridge was closed”\u00a0on Monday!"])
def test_case_punctuation_and_spaces_make_no_other_text(publish: Publish, other: str) -> None:
    texts = shown(publish({"a.txt": f"{BRIDGE}\n", "b.txt": f"{other}\n"}).ask(CLOSED, 5))
    assert texts in (
        {BRIDGE: ("a.txt", citations(other, "b.txt"))},
        {other: ("b.txt", citations(BRIDGE, "a.txt"))},
    )


def test_with_a_filter_only_duplicates_that_pass_it_are_named(publish: Publish) -> None:
    searcher = publish({f"{name}/report.txt": f"{BRIDGE} {HURT}" for name in "abcde"})
    for k in (1, 2, 100):
        assert shown(searcher.ask(CLOSED, k, Filters(("d/*",))))[BRIDGE] == ("d/report.txt", ())
        texts = shown(searcher.ask(CLOSED, k, Filters(("b/report.txt", "[de]/*"))))
        assert len(texts) == min(k, 2)
        assert texts[BRIDGE] == ("b/report.txt", citations(BRIDGE, "d/report.txt", "e/report.txt"))


def test_a_heading_is_not_a_duplicate_of_a_sentence(publish: Publish) -> None:
    searcher = publish({"a.md": "# The bridge\n\nIt opens.", "b.txt": "The bridge."})
    assert shown(searcher.ask("bridge", 5)) == {"The bridge.": ("b.txt", ()), "It opens.": ("a.md", ())}


def lead_and_size(searcher: Searcher, k: int) -> tuple[float, float]:
    query = encode_query(searcher.encoder, CLOSED)
    ranking = searcher.rank(query, k, None)
    (best,) = searcher.component_scores(query, ranking, 1)
    features = searcher.features(query, ranking, best, None)
    return features.lead, features.size


def test_confidence_is_how_far_the_first_text_is_ahead_of_another_text(publish: Publish) -> None:
    searcher = publish({"a.txt": BRIDGE, "b.txt": HARBOUR} | {f"c{number}.txt": BRIDGE for number in range(98)})
    first, second = searcher.ask(CLOSED, 2).hits
    assert second.passage.text == HARBOUR
    for k in (1, 2, 100):
        assert lead_and_size(searcher, k) == pytest.approx((first.score - second.score, math.log(100)))
    assert first.score - second.score > 0.1


def test_of_many_copies_only_a_few_are_scored(publish: Publish) -> None:
    searcher = publish({"a.txt": f"{BRIDGE}\n" * 500, "b.txt": HARBOUR})
    ranking = searcher.rank(encode_query(searcher.encoder, CLOSED), 2, None)
    assert len(ranking.rows) == 2
    assert 500 in ranking.rows
    (similarities,) = ranking.similarities
    # The rows that are compared, and their neighbours: at most three for each copy.
    copies = len([row for row in similarities.rows if row < 500])
    assert MAX_DUPLICATES <= copies <= 3 * 2 * MAX_DUPLICATES


def doubled_one_by_one(searcher: Searcher, question: str, k: int) -> dict[int, int]:
    """Return what ``_candidates`` does, searched anew with every width."""
    query, texts = encode_query(searcher.encoder, question), max(CANDIDATES, k)
    snapshot, n = searcher.snapshot, texts
    while True:
        dense = [hit.row for hit in snapshot.dense.search(query.vector, n, None)]
        bm25 = [hit.row for hit in snapshot.bm25.search(query.question_part, n, None)]
        firsts = {row: snapshot.passages.duplicates([row]).get(row, row) for row in {*dense, *bm25}}
        if len(set(firsts.values())) >= texts or len(dense) < n:
            kept: dict[int, int] = {}
            for ranked in (dense, bm25):
                for first in dict.fromkeys(firsts[row] for row in ranked):
                    same = [row for row in ranked if firsts[row] == first]
                    kept |= dict.fromkeys(same[:MAX_DUPLICATES], first)
            return kept
        n *= 2


def test_a_sentence_repeated_over_and_over_takes_few_searches_and_changes_no_candidate(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [f"On day {number} of the flood nobody left the harbour." for number in range(150)]
    searcher = publish({"a.txt": "\n".join([BRIDGE] * 1500), "b.txt": "\n".join(days * 2), "c.txt": HARBOUR})
    for question in (CLOSED, "harbour", "Who left on day 3?"):
        for k in (1, 100):
            query = encode_query(searcher.encoder, question)
            assert searcher._candidates(query, k, None) == doubled_one_by_one(searcher, question, k)
    searches: list[int] = []
    search = searcher.snapshot.dense.search

    def counted(_: object, vector: Float32, n: int, row_filter: RowFilter | None) -> list[ScoredRow]:
        searches.append(n)
        return search(vector, n, row_filter)

    monkeypatch.setattr(type(searcher.snapshot.dense), "search", counted)
    searcher.ask(CLOSED, 1)
    assert searches == [30, 1920]

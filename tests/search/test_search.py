import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from sourceline.search.opening import open_searcher

from sourceline.encoders.base import Encoder
from sourceline.errors import MismatchError, QuestionError
from sourceline.index.row_filter import RowFilter
from sourceline.search.confidence import ConfidenceFeatures, load_calibration
from sourceline.search.query import encode_query
from sourceline.search.searcher import CANDIDATES, RIVALS, Searcher
from sourceline.types import DEFAULT_MODEL, Answer, Backend
from tests.search.publishing import Publish
from tests.search.stage import plainly
from tests.texts import texts

BRIDGE, HURT, HARBOUR = "The bridge was closed on Monday.", "Nobody was hurt.", "The harbour stayed open all week."
PILGRIMS = "How many pilgrims make the trip in a year?"


@pytest.fixture(scope="session")
def searcher(seed_index: Path) -> Searcher:
    return open_searcher(seed_index, DEFAULT_MODEL, Backend.ONNX)


def places(answer: Answer) -> list[tuple[str, int]]:
    return [(hit.passage.document_id, hit.passage.ordinal) for hit in answer.hits]


def sentences(answer: Answer) -> list[str]:
    return [hit.passage.text for hit in answer.hits]


def test_the_sentence_that_answers_comes_first_with_its_place_and_surroundings(searcher: Searcher) -> None:
    answer = searcher.ask(f" {PILGRIMS}\n", 3)
    assert (answer.question, answer.answerable) == (f" {PILGRIMS}\n", True)
    assert answer.snapshot == searcher.snapshot.id
    best = answer.hits[0]
    assert (best.rank, best.passage.text) == (1, "Millions of pilgrims cross borders each year.")
    assert (best.passage.document_id, best.passage.start, best.passage.end) == ("meeting.txt", 2376, 2421)
    assert (best.before, best.after) == (
        "Religious tourism also drives economic activity.",
        "These visits support local markets.",
    )
    assert [best.passage.text[span.start : span.end] for span in best.highlights] == ["Millions", "pilgrims", "year"]


def test_what_the_documents_do_not_say_is_not_answerable_but_the_nearest_is_shown(searcher: Searcher) -> None:
    answer = searcher.ask("Who won the football match last night?", 2)
    assert not answer.answerable
    assert answer.confidence < 0.1
    assert [hit.rank for hit in answer.hits] == [1, 2]


def test_the_same_question_has_the_same_answer_from_many_threads(searcher: Searcher) -> None:
    questions = [PILGRIMS, "Who met?", "What did the president stress?", "Which projects?"] * 8
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: searcher.ask(text, 10), questions)) == [
            searcher.ask(text, 10) for text in questions
        ]


def test_hits_are_in_order_of_their_scores_and_verbatim(searcher: Searcher) -> None:
    (entry,) = searcher.snapshot.passages.documents
    text = searcher.snapshot.passages.text_of(entry)
    answer = searcher.ask("What about trade and the border?", 48)
    assert [hit.rank for hit in answer.hits] == list(range(1, len(answer.hits) + 1))
    assert [hit.score for hit in answer.hits] == sorted((hit.score for hit in answer.hits), reverse=True)
    for hit in answer.hits:
        assert hit.score == hit.scores.late
        assert text[hit.passage.start : hit.passage.end] == hit.passage.text


def test_k_is_clamped(publish: Publish) -> None:
    searcher = publish({"a.txt": "\n".join(f"Item {number} was about the bridge." for number in range(110))})
    for k, count in [(-5, 1), (0, 1), (1, 1), (7, 7), (100, 100), (101, 100), (10**9, 100)]:
        assert len(searcher.ask("bridge", k).hits) == count


def test_a_corpus_smaller_than_k_is_shown_whole(publish: Publish) -> None:
    assert sorted(sentences(publish({"a.txt": f"{BRIDGE} {HURT}"}).ask("Who?", 5))) == [HURT, BRIDGE]
    # One passage has no second to be ahead of.
    assert sentences(publish({"a.txt": BRIDGE}).ask("Who?", 5)) == [BRIDGE]


def test_a_passage_at_the_edge_of_its_document_has_no_neighbour_there(publish: Publish) -> None:
    searcher = publish({"a.txt": BRIDGE, "b.txt": f"{HARBOUR} {HURT}", "c.txt": PILGRIMS})
    around = {hit.passage.text: (hit.before, hit.after) for hit in searcher.ask("harbour", 9).hits}
    assert around == {BRIDGE: ("", ""), HARBOUR: ("", HURT), HURT: (HARBOUR, ""), PILGRIMS: ("", "")}


def test_candidates_come_from_the_documents_asked_for(publish: Publish) -> None:
    days = [f"The bridge was closed on day {number}." for number in range(4 * CANDIDATES)]
    first, last = "\n".join(days[: 2 * CANDIDATES]), "\n".join(days[2 * CANDIDATES :])
    searcher = publish({"a.txt": first, "b.txt": f"{HARBOUR} {HURT}", "c.txt": last})
    question = "When was the bridge closed?"
    assert {document for document, _ in places(searcher.ask(question, 100))} == {"a.txt", "c.txt"}
    assert sorted(places(searcher.ask(question, 5, ["b.txt"]))) == [("b.txt", 0), ("b.txt", 1)]
    assert len(searcher.ask(question, 100, ["b.txt", "c.txt"]).hits) == 2 + 2 * CANDIDATES


def test_documents_are_asked_for_by_id_or_glob(publish: Publish) -> None:
    may, june, notes, draft = "minutes/may.txt", "minutes/2024/june.txt", "notes.md", "draft[1].txt"
    searcher = publish({name: f"{name} is about the bridge." for name in (may, june, notes, draft)})
    for wanted, found in [
        ([may], [may]),
        (["minutes/*.txt"], [june, may]),
        (["*june*", notes, notes], [june, notes]),
        (["minutes/ma?.txt"], [may]),
        ([draft], [draft]),
        (["*"], [draft, june, may, notes]),
        *((nothing, []) for nothing in (["NOTES.md"], ["minutes"], [""], ["[", "\ud800", "\0", "../notes.md"])),
    ]:
        answer = searcher.ask("bridge", 9, wanted)
        assert sorted(document for document, _ in places(answer)) == sorted(found)
        if not found:
            assert (answer.hits, answer.confidence, answer.answerable) == ((), 0, False)


@pytest.mark.parametrize("question", [PILGRIMS, "Who met?", "trade", "東京", "the of"])
def test_scores_are_those_of_the_stored_vectors(searcher: Searcher, question: str) -> None:
    query, index = encode_query(searcher.encoder, question), searcher.snapshot
    (entry,) = index.passages.documents
    for hit in searcher.ask(question, 48).hits:
        row = entry.rows[hit.passage.ordinal]
        (vector,) = index.dense.vectors([row])
        assert hit.scores.dense == pytest.approx(float(vector @ query.vector), abs=1e-5)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)
        assert hit.scores.late == pytest.approx(plainly(query, index, row), abs=1e-5)
        assert hit.scores.lexical == pytest.approx(float(index.lexical.scores(question, [row])[0]))


def test_confidence_is_the_calibrations_of_what_speaks_for_the_first(searcher: Searcher) -> None:
    answer = searcher.ask(PILGRIMS, RIVALS)
    first, *behind = answer.hits
    ceiling = searcher.snapshot.lexical.ceiling(PILGRIMS)
    coverage, lead = first.scores.lexical / ceiling, first.score - sum(hit.score for hit in behind) / 9
    evidence = ConfidenceFeatures(first.score, first.scores.dense, coverage, lead, math.log(48))
    assert answer.confidence == pytest.approx(load_calibration(DEFAULT_MODEL).confidence(evidence))
    assert answer.answerable is (answer.confidence >= 0.5)
    assert 0 < coverage < 1


def test_a_filter_counts_the_passages_that_were_searched(searcher: Searcher) -> None:
    query, row_filter = encode_query(searcher.encoder, PILGRIMS), RowFilter.of([range(40, 45)])
    ranking = searcher.rank(query, 1, row_filter)
    assert sorted(ranking.rows) == list(range(40, 45))
    (best,) = searcher.scores(query, ranking, 1)
    assert searcher.evidence(query, ranking, best, row_filter).size == pytest.approx(math.log(5))


@pytest.mark.parametrize(
    "question",
    [
        *("the of and", "who", "?", "?!…", "...", "\u2019", "½", "e\u0301", "\U0010ffff", "👍", "👨‍👩‍👧‍👦"),
        *("東京の予算は？", "متى اجتمعوا؟", "Когда?", "ﷺ", "a" * 2000),
        *("AND OR NOT", 'text:"x" +(', "row:[0 TO 9]", "*", "\\", "NULL"),
    ],
)
def test_any_question_has_an_answer(searcher: Searcher, question: str) -> None:
    answer = searcher.ask(question, 3)
    assert len(answer.hits) == 3
    assert 0 < answer.confidence < 1
    assert all(math.isfinite(hit.score) for hit in answer.hits)


def test_a_question_of_function_words_highlights_nothing(searcher: Searcher) -> None:
    assert [hit.highlights for hit in searcher.ask("Who was it, and why?", 3).hits] == [(), (), ()]


@given(question=texts)
@settings(max_examples=50, deadline=None)
def test_any_text_is_answered_or_refused(searcher: Searcher, question: str) -> None:
    try:
        answer = searcher.ask(question, 5)
    except QuestionError:
        return
    assert len(answer.hits) == 5
    for hit in answer.hits:
        ends = [0, *(end for span in hit.highlights for end in (span.start, span.end)), len(hit.passage.text)]
        assert ends == sorted(ends)


def test_a_snapshot_of_another_encoder_is_refused(searcher: Searcher, encoder: Encoder) -> None:
    class Another:
        """The same encoder under another fingerprint."""

        model, fingerprint, dim, limit = "another", "0123456789abcdef", encoder.dim, encoder.limit
        tokenize, encode, vocabulary = encoder.tokenize, encoder.encode, encoder.vocabulary

    with pytest.raises(MismatchError, match=r"not another \(0123456789abcdef\): run `sourceline rebuild-index`"):
        Searcher(searcher.snapshot, Another(), load_calibration(DEFAULT_MODEL))

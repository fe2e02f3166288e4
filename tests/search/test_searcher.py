import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from sourceline.encoders.base import Encoder
from sourceline.errors import MismatchError, QuestionError
from sourceline.ids import citation_id
from sourceline.index.row_filter import RowFilter
from sourceline.search.confidence import Calibration, ConfidenceFeatures, ReaderCalibration, load_calibration
from sourceline.search.query import encode_query
from sourceline.search.searcher import CANDIDATES, RIVALS, Searcher
from sourceline.types import DEFAULT_MODEL, Answer, Context, Filters, Mode, Verdict
from tests.support.made_up_snapshots import score_by_definition
from tests.support.publishing import Publish, all_passages, open_searcher
from tests.support.rerankers import NOT_READ, ScriptedReranker
from tests.support.texts import texts

BRIDGE, HURT, HARBOUR = "The bridge was closed on Monday.", "Nobody was hurt.", "The harbour stayed open all week."
PILGRIMS = "How many pilgrims make the trip in a year?"


@pytest.fixture(scope="session")
def searcher(seed_index: Path) -> Searcher:
    return open_searcher(seed_index)


def places(answer: Answer) -> list[tuple[str, int]]:
    return [(hit.passage.document_id, hit.passage.ordinal) for hit in answer.hits]


def sentences(answer: Answer) -> list[str]:
    return [hit.passage.text for hit in answer.hits]


def contexts(answer: Answer) -> dict[str, Context]:
    return {hit.passage.text: hit.context for hit in answer.hits}


def test_the_sentence_that_answers_comes_first_with_its_place_and_context(searcher: Searcher) -> None:
    answer = searcher.ask(f" {PILGRIMS}\n", 3)
    assert (answer.question, answer.verdict) == (f" {PILGRIMS}\n", Verdict.ANSWERED)
    assert answer.answerable
    assert answer.snapshot == searcher.snapshot.id
    best = answer.hits[0]
    assert (best.rank, best.passage.text) == (1, "Millions of pilgrims cross borders each year.")
    assert (best.passage.document_id, best.passage.start, best.passage.end) == ("meeting.txt", 2376, 2421)
    assert best.context == Context(
        before="Religious tourism also drives economic activity.", after="These visits support local markets."
    )
    assert [best.passage.text[span.start : span.end] for span in best.highlights] == ["Millions", "pilgrims", "year"]


def test_what_the_documents_do_not_say_is_not_answered_but_the_nearest_passages_are_shown(searcher: Searcher) -> None:
    answer = searcher.ask("Who won the football match last night?", 2)
    assert answer.verdict is Verdict.NOT_ANSWERED
    assert not answer.answerable
    assert answer.confidence < 0.1
    assert [hit.rank for hit in answer.hits] == [1, 2]


def test_the_verdict_is_answered_from_the_threshold_on(searcher: Searcher) -> None:
    calibration = load_calibration(DEFAULT_MODEL)
    confidence = searcher.ask(PILGRIMS, 1).confidence
    for threshold, verdict in [
        (0.0, Verdict.ANSWERED),
        (confidence, Verdict.ANSWERED),
        (np.nextafter(confidence, 2), Verdict.UNSURE),
        (1.0, Verdict.UNSURE),
    ]:
        strict = Searcher(searcher.snapshot, searcher.encoder, calibration, float(threshold))
        answer = strict.ask(PILGRIMS, 1)
        assert (answer.verdict, answer.confidence) == (verdict, confidence)
        assert answer.answerable is (verdict is Verdict.ANSWERED)


def test_the_same_question_has_the_same_answer_from_many_threads(searcher: Searcher) -> None:
    questions = [PILGRIMS, "Who met?", "What did the president stress?", "Which projects?"] * 8
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda text: searcher.ask(text, 10), questions))
    assert answers == [searcher.ask(text, 10) for text in questions]


def test_hits_are_in_order_of_their_scores_and_verbatim(searcher: Searcher) -> None:
    (entry,) = searcher.snapshot.passages.documents
    text = searcher.snapshot.passages.text_of(entry)
    answer = searcher.ask("What about trade and the border?", 48)
    assert [hit.rank for hit in answer.hits] == list(range(1, len(answer.hits) + 1))
    assert [hit.score for hit in answer.hits] == sorted((hit.score for hit in answer.hits), reverse=True)
    for hit in answer.hits:
        assert hit.score == hit.scores.late
        assert text[hit.passage.start : hit.passage.end] == hit.passage.text


def test_hits_of_equal_score_are_in_document_order(publish: Publish) -> None:
    # The model leaves out accents, so that it reads the same text in all of them.
    corpus = {"a/note.txt": "The résumé came.", "b/note.txt": "The resume came.", "c/note.txt": "The resumé came."}
    searcher = publish(corpus)
    for question in corpus.values():
        hits = searcher.ask(question, 3).hits
        assert len({hit.score for hit in hits}) == 1
        assert [(hit.passage.document_id, hit.passage.text) for hit in hits] == list(corpus.items())


@pytest.fixture
def hundred_and_ten(publish: Publish) -> Searcher:
    return publish({"a.txt": "\n".join(f"Item {number} was about the bridge." for number in range(110))})


@pytest.mark.parametrize(("k", "count"), [(-5, 1), (0, 1), (1, 1), (7, 7), (100, 100), (101, 100), (10**9, 100)])
def test_k_is_clamped_to_between_1_and_100(hundred_and_ten: Searcher, k: int, count: int) -> None:
    assert len(hundred_and_ten.ask("bridge", k).hits) == count


def test_a_corpus_smaller_than_k_is_shown_whole(publish: Publish) -> None:
    assert sorted(sentences(publish({"a.txt": f"{BRIDGE} {HURT}"}).ask("Who?", 5))) == [HURT, BRIDGE]
    # One passage has no second to be ahead of.
    assert sentences(publish({"a.txt": BRIDGE}).ask("Who?", 5)) == [BRIDGE]


def test_the_context_of_a_passage_is_the_whole_sentences_beside_it_in_its_paragraph(publish: Publish) -> None:
    searcher = publish(
        {"a.txt": BRIDGE, "b.txt": f"{HARBOUR} {HURT}\n\n{BRIDGE} {PILGRIMS}", "c.md": f"# Note\n\n{HURT}"}
    )
    assert contexts(searcher.ask("harbour", 9, Filters(("b.txt",)))) == {
        HARBOUR: Context("", HURT),
        HURT: Context(HARBOUR, ""),
        BRIDGE: Context("", PILGRIMS),
        PILGRIMS: Context(BRIDGE, ""),
    }
    for document in ("a.txt", "c.md"):
        assert list(contexts(searcher.ask("harbour", 9, Filters((document,)))).values()) == [Context("", "")]


def test_candidates_come_from_the_documents_of_the_filter(publish: Publish) -> None:
    days = [f"The bridge was closed on day {number}." for number in range(4 * CANDIDATES)]
    first, last = "\n".join(days[: 2 * CANDIDATES]), "\n".join(days[2 * CANDIDATES :])
    searcher = publish({"a.txt": first, "b.txt": f"{HARBOUR} {HURT}", "c.txt": last})
    question = "When was the bridge closed?"
    assert {document for document, _ in places(searcher.ask(question, 100))} == {"a.txt", "c.txt"}
    assert sorted(places(searcher.ask(question, 5, Filters(("b.txt",))))) == [("b.txt", 0), ("b.txt", 1)]
    assert len(searcher.ask(question, 100, Filters(("b.txt", "c.txt"))).hits) == 2 + 2 * CANDIDATES


def test_documents_are_filtered_by_id_or_glob(publish: Publish) -> None:
    may, june, notes, draft = "minutes/may.txt", "minutes/2024/june.txt", "notes.md", "draft[1].txt"
    searcher = publish({name: f"{name} is about the bridge." for name in (may, june, notes, draft)})
    for patterns, expected in [
        ([may], [may]),
        (["minutes/*.txt"], [june, may]),
        (["*june*", notes, notes], [june, notes]),
        (["minutes/ma?.txt"], [may]),
        ([draft], [draft]),
        (["*"], [draft, june, may, notes]),
        (["NOTES.md"], []),
        (["minutes"], []),
        ([""], []),
        (["[", "\ud800", "\0", "../notes.md"], []),
    ]:
        answer = searcher.ask("bridge", 9, Filters(tuple(patterns)))
        assert sorted(document for document, _ in places(answer)) == sorted(expected)
        if not expected:
            assert (answer.hits, answer.confidence, answer.verdict) == ((), 0, Verdict.NOT_ANSWERED)


@pytest.mark.parametrize(
    ("names", "given", "expected"),
    [
        (["minutes [draft].txt", "minutes d.txt"], "minutes [draft].txt", ["minutes [draft].txt"]),
        (["minutes d.txt", "minutes r.txt"], "minutes [draft].txt", ["minutes d.txt", "minutes r.txt"]),
        (["a[!b].md", "ac.md", "ad.md"], "a[!b].md", ["a[!b].md"]),
        (["what?.txt", "whats.txt"], "what?.txt", ["what?.txt"]),
        (["*.txt", "b.txt"], "*.txt", ["*.txt"]),
        (["m\u00e4rz.txt", "mai.txt"], "ma\u0308rz.txt", ["m\u00e4rz.txt"]),
        (["ma\u0308rz.txt", "mai.txt"], "m?rz.*", ["m\u00e4rz.txt"]),
        (["ma\u0308rz [1].txt", "m\u00e4rz 1.txt"], "m\u00e4rz [1].txt", ["m\u00e4rz [1].txt"]),
    ],
)
def test_a_filter_that_is_the_id_of_a_document_is_no_glob_and_accents_are_the_same_in_any_encoding(
    publish: Publish, names: list[str], given: str, expected: list[str]
) -> None:
    searcher = publish({name: f"The pool opens in {name}." for name in names})

    answer = searcher.ask("When does the pool open?", 9, Filters((given,)))
    assert sorted(document for document, _ in places(answer)) == sorted(expected)


@pytest.mark.parametrize("question", [PILGRIMS, "Who met?", "trade", "東京", "the of"])
def test_scores_are_those_of_the_stored_vectors(searcher: Searcher, question: str) -> None:
    query, snapshot = encode_query(searcher.encoder, question), searcher.snapshot
    (entry,) = snapshot.passages.documents
    for hit in searcher.ask(question, 48).hits:
        row = entry.rows[hit.passage.ordinal]
        (vector,) = snapshot.dense.vectors([row])
        assert hit.scores.dense == pytest.approx(float(vector @ query.vector), abs=1e-5)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=5e-3)  # a byte for each component
        assert hit.scores.late == pytest.approx(score_by_definition(query, snapshot, row), abs=1e-5)
        assert hit.scores.bm25 == pytest.approx(float(snapshot.bm25.scores(question, [row])[0]))


def test_confidence_is_what_the_calibration_makes_of_the_first_passage_and_its_rivals(searcher: Searcher) -> None:
    answer = searcher.ask(PILGRIMS, RIVALS)
    first, *rivals = answer.hits
    coverage = first.scores.bm25 / searcher.snapshot.bm25.max_score(PILGRIMS)
    lead = first.score - sum(hit.score for hit in rivals) / 9
    features = ConfidenceFeatures(first.score, first.scores.dense, coverage, lead, math.log(48))
    assert answer.confidence == pytest.approx(load_calibration(DEFAULT_MODEL).confidence(features))
    assert 0 < coverage < 1


def test_an_answer_says_how_long_each_stage_took(searcher: Searcher) -> None:
    start = ["tokenize", "encode", "candidates", "late_interaction"]
    reader = reading(searcher, dict.fromkeys(texts_of(searcher), 9.0))
    filters = Filters(documents=("meeting.txt",))
    answers = [searcher.ask(PILGRIMS, 3), reader.ask(PILGRIMS, 3), searcher.ask(PILGRIMS, 3, filters, Mode.FAST)]
    assert [[time.stage.value for time in answer.stages] for answer in answers] == [
        [*start, "rest"],
        [*start, "read", "late_interaction", "read", "rest"],
        [*start[:2], "rest", *start[2:], "rest"],
    ]
    assert all(time.seconds > 0 for answer in answers for time in answer.stages)


def test_confidence_does_not_depend_on_how_many_passages_are_shown(searcher: Searcher) -> None:
    assert len({searcher.ask(PILGRIMS, k).confidence for k in (1, 2, 5, CANDIDATES)}) == 1


def test_the_size_that_confidence_is_measured_by_is_that_of_what_was_searched(searcher: Searcher) -> None:
    query, row_filter = encode_query(searcher.encoder, PILGRIMS), RowFilter.from_ranges([range(40, 45)])
    ranking = searcher.rank(query, 1, row_filter)
    assert sorted(ranking.rows) == list(range(40, 45))
    (best,) = searcher.component_scores(query, ranking, 1)
    assert searcher.features(query, ranking, best, row_filter).size == pytest.approx(math.log(5))
    assert searcher.features(query, ranking, best, None).size == pytest.approx(math.log(48))


@pytest.mark.parametrize("question", ["👍", "?", "a" * 2000])
def test_a_question_without_a_word_that_the_model_knows_is_not_answered(searcher: Searcher, question: str) -> None:
    for asked in (searcher, reading(searcher, dict.fromkeys(texts_of(searcher), 9.0))):
        answer = asked.ask(question, 3)
        assert (answer.confidence, answer.verdict, len(answer.hits)) == (0, Verdict.NOT_ANSWERED, 3)


READER = ReaderCalibration(late_weight=10, unread=-8, decided=100.0, slope=1, intercept=0)


def reading(searcher: Searcher, scores: dict[str, float], calibration: ReaderCalibration | None = READER) -> Searcher:
    """Return the searcher with a reader that gives sentences these scores."""
    fast = load_calibration(DEFAULT_MODEL)
    return Searcher(searcher.snapshot, searcher.encoder, fast, 0.5, ScriptedReranker(scores), calibration)


def texts_of(searcher: Searcher) -> list[str]:
    return [passage.text for passage in all_passages(searcher.snapshot.passages)]


def test_what_the_reader_prefers_comes_first_with_its_confidence(publish: Publish) -> None:
    searcher = reading(publish({"a.txt": f"{BRIDGE} {HURT} {HARBOUR}"}), {BRIDGE: -2.0, HURT: 2.0, HARBOUR: -9.0})
    answer = searcher.ask("Was the bridge closed on Monday?", 3)
    assert sentences(answer) == [HURT, BRIDGE, HARBOUR]
    assert [hit.scores.reader for hit in answer.hits] == [2, -2, -9]
    for hit in answer.hits:
        assert hit.score == pytest.approx((hit.scores.reader or 0) + 10 * hit.scores.late)
    assert answer.confidence == pytest.approx(1 / (1 + math.exp(-2)))
    fast = searcher.ask("Was the bridge closed on Monday?", 3, mode=Mode.FAST)
    assert sentences(fast)[0] == BRIDGE
    assert [hit.score for hit in fast.hits] == [hit.scores.late for hit in fast.hits]


def test_confidence_after_reading_depends_on_nothing_that_has_nothing_to_do_with_the_question(
    publish: Publish,
) -> None:
    scores = {BRIDGE: 1.0}
    alone = reading(publish({"a.txt": f"{BRIDGE} {HURT}"}), scores).ask("When was the bridge closed?", 5)
    others = {f"z{number}.txt": f"Item {number} of the list is about cheese." for number in range(60)}
    among = reading(publish(others), scores).ask("When was the bridge closed?", 5)
    assert sentences(among)[0] == sentences(alone)[0] == BRIDGE
    assert among.confidence == alone.confidence == pytest.approx(1 / (1 + math.exp(-1)))


def test_a_first_passage_that_was_not_read_has_the_confidence_of_the_unread(hundred_and_ten: Searcher) -> None:
    searcher = reading(hundred_and_ten, dict.fromkeys(texts_of(hundred_and_ten), -99.0))
    answer = searcher.ask("bridge", 100)
    assert answer.hits[0].scores.reader is None
    assert answer.confidence == pytest.approx(1 / (1 + math.exp(8)))
    assert len(answer.hits) == 100
    assert [hit.scores.reader for hit in answer.hits][-1] == -99


def test_a_sentence_that_was_not_read_is_judged_without_reading(publish: Publish) -> None:
    fast = publish({"a.txt": BRIDGE})
    answer = reading(fast, {BRIDGE: NOT_READ}).ask("When was the bridge closed?", 5)
    assert answer.hits[0].scores.reader is None
    assert answer.confidence == fast.ask("When was the bridge closed?", 5).confidence


def test_without_a_calibration_of_the_reader_confidence_is_that_of_late_interaction(publish: Publish) -> None:
    fast = publish({"a.txt": BRIDGE})
    answer = reading(fast, {BRIDGE: -50.0}, None).ask("When was the bridge closed?", 5)
    assert (answer.hits[0].score, answer.hits[0].scores.reader) == (-50, -50)
    assert answer.confidence == fast.ask("When was the bridge closed?", 5).confidence


def test_of_the_documents_asked_about_alone_sentences_answer(publish: Publish) -> None:
    searcher = reading(publish({"a.txt": f"{BRIDGE} {HURT}", "b.txt": HARBOUR}), {HARBOUR: 9.0})
    assert sorted(places(searcher.ask("bridge", 9, Filters(("a.txt",))))) == [("a.txt", 0), ("a.txt", 1)]


def test_equal_sentences_in_equal_contexts_are_shown_once_in_document_order_after_reading(publish: Publish) -> None:
    copies = [f"{number}/report.txt" for number in range(5)]
    searcher = reading(publish(dict.fromkeys(copies, f"{BRIDGE} {HURT}\n")), {HURT: 1.0})
    hits = searcher.ask("When was the bridge closed?", 9).hits
    assert sorted(hit.passage.text for hit in hits) == [HURT, BRIDGE]
    for hit in hits:
        assert hit.passage.document_id == copies[0]
        assert hit.also == tuple(citation_id(name, hit.passage.text, 0) for name in copies[1:])


def test_texts_that_the_models_take_for_equal_are_in_document_order_after_reading(publish: Publish) -> None:
    corpus = {"a/note.txt": "The résumé came.", "b/note.txt": "The resume came.", "c/note.txt": "The resumé came."}
    hits = reading(publish(corpus), {}).ask("Did the resume come?", 9).hits
    assert len({hit.score for hit in hits}) == 1
    assert [hit.passage.text for hit in hits] == list(corpus.values())


def test_another_head_ranks_the_same_index_and_leaves_the_searcher_as_it_is(searcher: Searcher) -> None:
    before = searcher.ask(PILGRIMS, 5)
    head = replace(
        searcher.snapshot.head, context_gate=np.zeros(384, np.float32), biases=np.array([-2, -50], np.float32)
    )
    without_context = searcher.variant(head=head)
    query = encode_query(searcher.encoder, PILGRIMS)
    hits = without_context.ask(PILGRIMS, 5).hits
    assert [hit.score for hit in hits] != [hit.score for hit in before.hits]
    for hit in hits:
        expected = score_by_definition(query, without_context.snapshot, hit.passage.ordinal)
        assert hit.score == pytest.approx(expected, abs=1e-5)
    assert searcher.ask(PILGRIMS, 5) == before


@pytest.mark.parametrize(
    "question",
    [
        "the of and",
        "who",
        "?",
        "?!…",
        "...",
        "\u2019",
        "½",
        "e\u0301",
        "\U0010ffff",
        "👍",
        "👨‍👩‍👧‍👦",
        "東京の予算は？",
        "متى اجتمعوا؟",
        "Когда?",
        "ﷺ",
        "a" * 2000,
        "AND OR NOT",
        'text:"x" +(',
        "row:[0 TO 9]",
        "*",
        "\\",
        "NULL",
    ],
)
def test_any_question_with_a_token_has_an_answer(searcher: Searcher, question: str) -> None:
    answer = searcher.ask(question, 3)
    assert len(answer.hits) == 3
    assert 0 <= answer.confidence < 1
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
        edges = [0, *(edge for span in hit.highlights for edge in (span.start, span.end)), len(hit.passage.text)]
        assert edges == sorted(edges)


def test_a_snapshot_of_another_encoder_is_refused(searcher: Searcher, encoder: Encoder) -> None:
    class OtherEncoder:
        """The same encoder under another fingerprint."""

        model, fingerprint = "another", "0123456789abcdef"
        dim, max_tokens, vocabulary = encoder.dim, encoder.max_tokens, encoder.vocabulary
        unknown_id = encoder.unknown_id
        tokenize, encode = encoder.tokenize, encoder.encode

    with pytest.raises(MismatchError, match=r"not another \(0123456789abcdef\): run `sourceline rebuild-index`"):
        Searcher(searcher.snapshot, OtherEncoder(), Calibration((0.0,) * 5, 0.0))

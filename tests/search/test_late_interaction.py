from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.encoders.base import Float32, l2_normalize
from sourceline.encoders.ranking_head import RankingHead, identity_head
from sourceline.index.snapshot import Snapshot, open_current
from sourceline.search.late_interaction import ROUNDING, late_interaction, maxsim, token_similarities
from tests.support.made_up_snapshots import MadeUpDocument, made_up_query, made_up_snapshot, score_by_definition

E1, E2, E3 = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]
# Biases with which a token may be matched by the context wholly, and by half.
WHOLLY, HALF = (np.array([np.inf, bias], dtype=np.float32) for bias in (np.inf, 0))


@pytest.fixture(scope="module")
def real(seed_index: Path) -> Snapshot:
    """A snapshot whose documents are replaced by made-up ones."""
    return open_current(seed_index)


def floats(*values: float) -> Float32:
    return np.array(values, dtype=np.float32)


def head_with_context(biases: Float32, before: float = 0, after: float = 0, title: float = 0) -> RankingHead:
    return replace(identity_head(3), biases=biases, context_penalties=floats(before, after, title))


def scores(snapshot: Snapshot, query: Sequence[Sequence[float]], *rows: int) -> list[float]:
    late = late_interaction(made_up_query(query), snapshot, list(rows or range(snapshot.passages.row_count)))
    return [round(score, 3) for score in late.scores.tolist()]


def test_with_the_identity_head_each_token_scores_its_nearest_in_the_passage(tmp_path: Path, real: Snapshot) -> None:
    sentences: list[list[list[float]]] = [[E1, E2], [[0.5, 0.75, 0]], [[-1, -1, 0], [0.75, -0.5, 0]]]
    snapshot = made_up_snapshot(tmp_path, real, identity_head(3), [MadeUpDocument(sentences, [E1])])
    late = late_interaction(made_up_query([E1, E2], token_weights=[0.75, 0.25]), snapshot, [0, 1, 2]).scores
    # .75·1 + .25·1; .75·.5 + .25·.75; .75·.75 - .25·.5
    assert late.tolist() == [1, 0.5625, 0.4375]
    assert scores(snapshot, [E1, E2], 2) == [0.125]


def test_what_a_passage_lacks_may_stand_before_it_after_it_or_in_the_title(tmp_path: Path, real: Snapshot) -> None:
    head = head_with_context(WHOLLY, 0.25, 0.5, 0.125)
    snapshot = made_up_snapshot(tmp_path, real, head, [MadeUpDocument([[E1], [E2], [E3]], [[0.5, 0, 0]])])
    # Before it: 1 - .25; in the title: .5 - .125; the sentence before the one before is too far, so again the title.
    assert scores(snapshot, [E1]) == [1, 0.75, 0.375]
    assert scores(snapshot, [E3]) == [0, 0.5, 1]
    assert scores(snapshot, [E2]) == [0.5, 1, 0.75]


def test_the_context_supplies_a_share_of_what_the_passage_lacks(tmp_path: Path, real: Snapshot) -> None:
    head = head_with_context(HALF, 0.25, 0.25, 2)
    snapshot = made_up_snapshot(tmp_path, real, head, [MadeUpDocument([[E1], [[0.25, 0, 0]]])])
    late = late_interaction(made_up_query([E1, E2]), snapshot, [0, 1]).scores
    # Of the two tokens, only one is anywhere: ½·(.25 + ½·(1 - .25 - .25)).
    assert late.tolist() == pytest.approx([0.5, 0.25])
    # With a gate that opens further for the first number: of the logits 0 + 2·1 and 0 + 0.
    opened = replace(snapshot, head=replace(head, context_gate=floats(2, 0, 0)))
    gate = 1 / (1 + np.exp(-2))
    scored = late_interaction(made_up_query([E1, E2]), opened, [1]).scores
    assert scored.tolist() == pytest.approx([(0.25 + gate / 2) / 2])


def test_the_context_never_takes_from_what_the_passage_says(tmp_path: Path, real: Snapshot) -> None:
    document = MadeUpDocument([[[0.5, 0, 0]], [[-1, 0, 0]]], [[-1, 0, 0]])
    snapshot = made_up_snapshot(tmp_path, real, head_with_context(WHOLLY), [document])
    assert scores(snapshot, [E1]) == [0.5, 0.5]


def test_tokens_weigh_by_rarity_what_was_learnt_and_whether_they_ask(tmp_path: Path, real: Snapshot) -> None:
    head = replace(identity_head(3), question=floats(np.log(3), 0, 0))
    snapshot = made_up_snapshot(tmp_path, real, head, [MadeUpDocument([[E1], [E1, E2], []])])
    often, never = snapshot.tokens.idf(np.array([0, 9], np.int32)).tolist()
    query = made_up_query([E1, E2], token_weights=[0.2, 1], ids=[0, 9])
    first, second = 0.2 * 3 * often, never
    assert late_interaction(query, snapshot, [0, 1, 2]).scores.tolist() == pytest.approx(
        [first / (first + second), 1, 0]
    )


def test_sentences_and_titles_of_other_documents_are_never_context(tmp_path: Path, real: Snapshot) -> None:
    documents = [
        MadeUpDocument([[E3], [E2]], [E2]),
        MadeUpDocument([[E1]], [E1]),
        MadeUpDocument([[E2], [E3]], [E3]),
    ]
    snapshot = made_up_snapshot(tmp_path, real, head_with_context(WHOLLY), documents)
    assert scores(snapshot, [E1]) == [0, 0, 1, 0, 0]
    for row in (0, 1, 3, 4):
        assert scores(snapshot, [E1], row) == [0]
    assert scores(snapshot, [E2]) == [1, 1, 0, 1, 1]
    assert scores(snapshot, [E3]) == [1, 1, 0, 1, 1]
    assert scores(snapshot, [E2], 0, 4) == [1, 1]


def test_the_first_and_the_last_row_have_nothing_before_and_after_them(tmp_path: Path, real: Snapshot) -> None:
    document = MadeUpDocument([[[-0.5, 0, 0]]], [[-0.75, 0, 0]])
    head = head_with_context(WHOLLY, 0, 0, 0.125)
    snapshot = made_up_snapshot(tmp_path, real, head, [document])
    # Behind the last row stands the first title: it is not the sentence after.
    similarities = token_similarities(floats(*E1)[None, :], snapshot, [0])
    assert (similarities.self_sim.tolist(), similarities.context_sim.tolist()) == ([[-0.5]], [[-0.875]])


def test_a_document_of_headings_alone_has_no_sentence_and_keeps_its_title(tmp_path: Path, real: Snapshot) -> None:
    empty = MadeUpDocument([], [E1])
    documents = [empty, MadeUpDocument([[E2]], [E3]), empty, empty, MadeUpDocument([[E3]], [E2]), empty]
    snapshot = made_up_snapshot(tmp_path, real, head_with_context(WHOLLY), documents)
    assert snapshot.passages.documents_of(np.array([0, 1])).tolist() == [1, 4]
    assert scores(snapshot, [E1]) == [0, 0]
    assert scores(snapshot, [E2]) == scores(snapshot, [E3]) == [1, 1]


def test_a_document_without_a_title_and_a_passage_without_tokens_match_nothing(tmp_path: Path, real: Snapshot) -> None:
    documents = [MadeUpDocument([[]]), MadeUpDocument([[E1]], [])]
    snapshot = made_up_snapshot(tmp_path, real, head_with_context(WHOLLY), documents)
    assert scores(snapshot, [E1]) == [0, 1]
    assert scores(snapshot, [E2]) == [0, 0]


token_counts = st.lists(st.integers(0, 3), max_size=3)  # of the sentences of a document


@settings(deadline=None, max_examples=40)
@given(
    documents=st.lists(token_counts, min_size=1, max_size=4).filter(any),
    tokens=st.integers(1, 5),
    seed=st.integers(0, 999),
)
def test_scores_are_those_of_the_definition(real: Snapshot, documents: list[list[int]], tokens: int, seed: int) -> None:
    random = np.random.default_rng(seed)

    def vectors(count: int, dim: int = 3) -> Float32:
        return l2_normalize(random.normal(size=(count, dim)).astype(np.float32))

    passage, question, context_gate, biases = (random.normal(size=n).astype(np.float32) for n in (3, 4, 4, 2))
    head = RankingHead(
        projection=np.linalg.qr(random.normal(size=(4, 3)))[0].astype(np.float32),
        passage=passage,
        question=question,
        context_gate=context_gate,
        biases=biases,
        context_penalties=floats(*random.uniform(0, 0.3, 3)),
    )
    made_up = [
        MadeUpDocument([vectors(count) * 0.75 for count in counts], vectors(2) if seed % 2 else None)
        for counts in documents
    ]
    query = made_up_query(
        vectors(tokens, 4), random.uniform(0.1, 1, tokens).tolist(), random.integers(0, 2, tokens).tolist()
    )
    with TemporaryDirectory() as folder:
        snapshot = made_up_snapshot(Path(folder), real, head, made_up)
        row_count = snapshot.passages.row_count
        for rows in (range(row_count), range(0, row_count, 2)):
            expected = np.array([score_by_definition(query, snapshot, row) for row in rows])
            assert late_interaction(query, snapshot, list(rows)).scores == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("copies", [2, 3, 7, 31, 64, 129])
@pytest.mark.parametrize("tokens", [1, 5, 9])
def test_equal_passages_score_equally_wherever_they_stand(
    tmp_path: Path, real: Snapshot, copies: int, tokens: int
) -> None:
    random = np.random.default_rng(copies)
    query, passage, other, title = (
        l2_normalize(random.normal(size=(n, 384)).astype(np.float32)) for n in (tokens, 7, 3, 2)
    )
    head = replace(identity_head(384), biases=HALF)
    snapshot = made_up_snapshot(tmp_path, real, head, [MadeUpDocument([passage, other], title)] * copies)
    late = late_interaction(made_up_query(query), snapshot, list(range(2 * copies))).scores
    assert len(set(late[::2].tolist())) == len(set(late[1::2].tolist())) == 1


def test_scores_that_differ_by_more_than_rounding_stay_apart(tmp_path: Path, real: Snapshot) -> None:
    # As products of two numbers that bfloat16 holds; the first differ by 0.49 of what is rounding, the last by more.
    sentences = [[[0.5, second, 0.0]] for second in (0.0, 0.25, -2.0, 3.0)]
    snapshot = made_up_snapshot(tmp_path, real, identity_head(3), [MadeUpDocument(sentences)])
    late = late_interaction(made_up_query([[1.0, ROUNDING, 0.0]]), snapshot, [0, 1, 2, 3]).scores
    assert late[0] == late[1]
    assert late[3] > late[1] > late[2]


def test_maxsim_gives_each_token_its_best_product_in_each_passage(tmp_path: Path, real: Snapshot) -> None:
    document = MadeUpDocument([[E1, E2], [[0.5, -0.25, 0]], [[-1, 0, 0]]])
    tokens = made_up_snapshot(tmp_path, real, identity_head(3), [document]).tokens.gather([0, 1, 2])
    best = maxsim(tokens.vectors @ np.array([E1, E2], dtype=np.float32).T, tokens)
    assert best.tolist() == [[1, 1], [0.5, -0.25], [-1, 0]]


def test_the_cosines_of_a_row_do_not_depend_on_how_much_its_tokens_weigh(tmp_path: Path, real: Snapshot) -> None:
    document = MadeUpDocument([[E1], [[0.375, 0.5, 0], [0, 0, 0]], [E3]])
    snapshot = made_up_snapshot(tmp_path, real, identity_head(3), [document])
    similarities = token_similarities(np.array([E1, E2], dtype=np.float32), snapshot, [1, 2])
    cosines, starts = similarities.cosines_of(1)
    assert cosines.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]
    assert len(starts) == 2

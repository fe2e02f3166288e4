from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.encoding.encoder import Float32, unit
from sourceline.encoding.head import Head, plain_head
from sourceline.index.generation import Generation, open_current
from sourceline.retrieval.late import ROUNDING, late_interaction, match, maxsim
from tests.retrieval.stage import Made, asked, plainly, stage

E1, E2, E3 = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]
# Relies on what stands around a passage wholly, and by half.
WHOLLY, HALF = (np.array([np.inf, bias], dtype=np.float32) for bias in (np.inf, 0))


@pytest.fixture(scope="module")
def real(seed_index: Path) -> Generation:
    return open_current(seed_index)


def floats(*values: float) -> Float32:
    return np.array(values, dtype=np.float32)


def relying(biases: Float32, before: float = 0, after: float = 0, title: float = 0) -> Head:
    return replace(plain_head(3), biases=biases, discounts=floats(before, after, title))


def scores(generation: Generation, question: Sequence[Sequence[float]], *rows: int) -> list[float]:
    found = late_interaction(asked(question), generation, list(rows or range(generation.passages.row_count))).scores
    return [round(score, 3) for score in found.tolist()]


def test_with_the_plain_head_each_token_counts_with_its_nearest_in_the_passage(
    tmp_path: Path, real: Generation
) -> None:
    sentences: list[list[list[float]]] = [[E1, E2], [[0.5, 0.75, 0]], [[-1, -1, 0], [0.75, -0.5, 0]]]
    generation = stage(tmp_path, real, plain_head(3), [Made(sentences, [E1])])
    late = late_interaction(asked([E1, E2], emphasis=[0.75, 0.25]), generation, [0, 1, 2]).scores
    # .75·1 + .25·1; .75·.5 + .25·.75; .75·.75 - .25·.5
    assert late.tolist() == [1, 0.5625, 0.4375]
    assert scores(generation, [E1, E2], 2) == [0.125]


def test_what_a_passage_lacks_may_stand_before_it_after_it_or_in_the_title(tmp_path: Path, real: Generation) -> None:
    head = relying(WHOLLY, 0.25, 0.5, 0.125)
    generation = stage(tmp_path, real, head, [Made([[E1], [E2], [E3]], [[0.5, 0, 0]])])
    # Before it: 1 - .25; in the title: .5 - .125; before its sentence before is too far: the title.
    assert scores(generation, [E1]) == [1, 0.75, 0.375]
    assert scores(generation, [E3]) == [0, 0.5, 1]
    assert scores(generation, [E2]) == [0.5, 1, 0.75]


def test_a_token_relies_by_its_share_on_the_difference(tmp_path: Path, real: Generation) -> None:
    head = relying(HALF, 0.25, 0.25, 2)
    generation = stage(tmp_path, real, head, [Made([[E1], [[0.25, 0, 0]]])])
    late = late_interaction(asked([E1, E2]), generation, [0, 1]).scores
    # Of the two tokens, only one is anywhere: ½·(.25 + ½·(1 - .25 - .25)).
    assert late.tolist() == pytest.approx([0.5, 0.25])
    # One that leans on its own number relies more: of the logits 0 + 2·1 and 0 + 0.
    leaning = replace(generation, head=replace(head, reliance=floats(2, 0, 0)))
    sigmoid = 1 / (1 + np.exp(-2))
    assert late_interaction(asked([E1, E2]), leaning, [1]).scores.tolist() == pytest.approx([(0.25 + sigmoid / 2) / 2])


def test_what_stands_around_never_takes_from_what_the_passage_says(tmp_path: Path, real: Generation) -> None:
    generation = stage(tmp_path, real, relying(WHOLLY), [Made([[[0.5, 0, 0]], [[-1, 0, 0]]], [[-1, 0, 0]])])
    assert scores(generation, [E1]) == [0.5, 0.5]


def test_tokens_count_by_rarity_what_was_learnt_and_whether_they_ask(tmp_path: Path, real: Generation) -> None:
    head = replace(plain_head(3), question=floats(np.log(3), 0, 0))
    generation = stage(tmp_path, real, head, [Made([[E1], [E1, E2], []])])
    often, never = generation.tokens.idf(np.array([0, 9], np.int32)).tolist()
    late = late_interaction(asked([E1, E2], emphasis=[0.2, 1], ids=[0, 9]), generation, [0, 1, 2]).scores
    first, second = 0.2 * 3 * often, never
    assert late.tolist() == pytest.approx([first / (first + second), 1, 0])


def test_sentences_and_titles_of_other_documents_are_never_used(tmp_path: Path, real: Generation) -> None:
    documents = [Made([[E3], [E2]], [E2]), Made([[E1]], [E1]), Made([[E2], [E3]], [E3])]
    generation = stage(tmp_path, real, relying(WHOLLY), documents)
    assert scores(generation, [E1]) == [0, 0, 1, 0, 0]
    for row in (0, 1, 3, 4):
        assert scores(generation, [E1], row) == [0]
    assert scores(generation, [E2]) == [1, 1, 0, 1, 1]
    assert scores(generation, [E3]) == [1, 1, 0, 1, 1]
    assert scores(generation, [E2], 0, 4) == [1, 1]


def test_the_first_and_the_last_row_have_nothing_before_and_after_them(tmp_path: Path, real: Generation) -> None:
    alone = stage(tmp_path, real, relying(WHOLLY), [Made([[[-0.5, 0, 0]]], [[-0.75, 0, 0]])])
    # Behind the last row stands the first title: it is not the sentence after.
    found = match(floats(*E1)[None, :], replace(alone, head=relying(WHOLLY, 0, 0, 0.125)), [0])
    assert (found.own.tolist(), found.around.tolist()) == ([[-0.5]], [[-0.875]])


def test_a_document_of_headings_alone_has_no_sentence_and_keeps_its_title(tmp_path: Path, real: Generation) -> None:
    empty = Made([], [E1])
    documents = [empty, Made([[E2]], [E3]), empty, empty, Made([[E3]], [E2]), empty]
    generation = stage(tmp_path, real, relying(WHOLLY), documents)
    assert generation.passages.documents_of(np.array([0, 1])).tolist() == [1, 4]
    assert scores(generation, [E1]) == [0, 0]
    assert scores(generation, [E2]) == scores(generation, [E3]) == [1, 1]


def test_a_document_without_a_title_and_a_passage_without_tokens_match_nothing(
    tmp_path: Path, real: Generation
) -> None:
    generation = stage(tmp_path, real, relying(WHOLLY), [Made([[]]), Made([[E1]], [])])
    assert scores(generation, [E1]) == [0, 1]
    assert scores(generation, [E2]) == [0, 0]


rows = st.lists(st.integers(0, 3), max_size=3)


@settings(deadline=None, max_examples=40)
@given(lengths=st.lists(rows, min_size=1, max_size=4).filter(any), tokens=st.integers(1, 5), seed=st.integers(0, 999))
def test_it_equals_the_definition_in_plain_loops(
    real: Generation, lengths: list[list[int]], tokens: int, seed: int
) -> None:
    random = np.random.default_rng(seed)

    def vectors(count: int, dimension: int = 3) -> Float32:
        return unit(random.normal(size=(count, dimension)).astype(np.float32))

    basis = np.linalg.qr(random.normal(size=(4, 3)))[0].astype(np.float32)
    passage, asks, relies, biases = (random.normal(size=size).astype(np.float32) for size in (3, 4, 4, 2))
    head = Head(basis, passage, asks, relies, biases, floats(*random.uniform(0, 0.3, 3)))
    documents = [Made([vectors(n) * 0.75 for n in one], vectors(2) if seed % 2 else None) for one in lengths]
    question = asked(
        vectors(tokens, 4), random.uniform(0.1, 1, tokens).tolist(), random.integers(0, 2, tokens).tolist()
    )
    with TemporaryDirectory() as folder:
        generation = stage(Path(folder), real, head, documents)
        for wanted in (range(generation.passages.row_count), range(0, generation.passages.row_count, 2)):
            found = late_interaction(question, generation, list(wanted)).scores
            expected = np.array([plainly(question, generation, row) for row in wanted])
            assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("copies", [2, 3, 7, 31, 64, 129])
@pytest.mark.parametrize("tokens", [1, 5, 9])
def test_equal_passages_score_equally_wherever_they_stand(
    tmp_path: Path, real: Generation, copies: int, tokens: int
) -> None:
    random = np.random.default_rng(copies)
    question, passage, other, title = (unit(random.normal(size=(n, 384)).astype(np.float32)) for n in (tokens, 7, 3, 2))
    head = replace(plain_head(384), biases=HALF)
    generation = stage(tmp_path, real, head, [Made([passage, other], title)] * copies)
    found = late_interaction(asked(question), generation, list(range(2 * copies))).scores
    assert len(set(found[::2].tolist())) == len(set(found[1::2].tolist())) == 1


def test_scores_that_differ_by_more_than_rounding_stay_apart(tmp_path: Path, real: Generation) -> None:
    # As products of two numbers that bfloat16 holds; the first differ by 0.49 of what is rounding, the last by more.
    question = [[1.0, ROUNDING, 0.0]]
    sentences = [[[0.5, second, 0.0]] for second in (0.0, 0.25, -2.0, 3.0)]
    generation = stage(tmp_path, real, plain_head(3), [Made(sentences)])
    found = late_interaction(asked(question), generation, [0, 1, 2, 3]).scores
    assert found[0] == found[1]
    assert found[3] > found[1] > found[2]


def test_maxsim_gives_each_token_its_nearest_in_each_passage(tmp_path: Path, real: Generation) -> None:
    generation = stage(tmp_path, real, plain_head(3), [Made([[E1, E2], [[0.5, -0.25, 0]], [[-1, 0, 0]]])])
    tokens = generation.tokens.gather([0, 1, 2])
    found = maxsim(tokens.vectors @ np.array([E1, E2], dtype=np.float32).T, tokens)
    assert found.tolist() == [[1, 1], [0.5, -0.25], [-1, 0]]


def test_the_cosines_of_a_row_do_not_depend_on_how_much_its_tokens_count(tmp_path: Path, real: Generation) -> None:
    generation = stage(tmp_path, real, plain_head(3), [Made([[E1], [[0.375, 0.5, 0], [0, 0, 0]], [E3]])])
    found = match(np.array([E1, E2], dtype=np.float32), generation, [1, 2])
    cosines, starts = found.cosines_of(1)
    assert cosines.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]
    assert len(starts) == 2

"""What every reranker promises, asked of each implementation."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.encoders.base import Reranker, RerankerInput
from sourceline.encoders.reranker import CrossEncoderReranker, OnnxReranker, open_reranker
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_RERANKER, Backend
from tests.support.cross_encoders import write_cross_encoder
from tests.support.texts import texts

QUESTION = "When was the bridge closed?"
TEXT = "Minutes\nThe bridge was closed on Monday.\nNobody was hurt.\nThe harbour stayed open, says Zoë’s café.\n"
SPANS = ((8, 40), (41, 57), (58, 99))
INPUTS = [
    RerankerInput(TEXT, SPANS),
    RerankerInput(TEXT[8:40], ((0, 32),)),
    RerankerInput(TEXT, SPANS[1:]),
    RerankerInput(TEXT * 3, ((8, 40),)),
]


def test_the_spans_of_these_tests_are_sentences() -> None:
    assert [TEXT[start:end] for start, end in SPANS] == TEXT.split("\n")[1:-1]


def test_a_reranker_says_what_it_is(
    reader: OnnxReranker, cross_encoder: CrossEncoderReranker, cross_encoder_folder: Path
) -> None:
    assert (reader.name, cross_encoder.name) == (DEFAULT_RERANKER, str(cross_encoder_folder))
    assert len(reader.fingerprint) == len(cross_encoder.fingerprint) == 16
    assert reader.fingerprint != cross_encoder.fingerprint


def test_every_sentence_has_a_score_in_its_place(any_reranker: Reranker) -> None:
    scores = any_reranker.score(QUESTION, INPUTS)
    assert [part.shape for part in scores] == [(3,), (1,), (2,), (1,)]
    assert all(part.dtype == np.float32 and np.isfinite(part).all() for part in scores)
    assert len(set(scores[0].tolist())) == 3
    np.testing.assert_array_equal(scores[2], scores[0][1:])  # which sentences are asked for changes no score


def test_the_question_and_the_sentence_make_the_score(any_reranker: Reranker) -> None:
    (first,), (other,) = (any_reranker.score(question, INPUTS[:1]) for question in (QUESTION, "Who was hurt?"))
    assert (first != other).all()


def test_a_score_does_not_depend_on_what_else_is_scored_nor_on_the_order(any_reranker: Reranker) -> None:
    alone = [any_reranker.score(QUESTION, [item])[0] for item in INPUTS]
    together = any_reranker.score(QUESTION, INPUTS)
    backwards = any_reranker.score(QUESTION, INPUTS[::-1])[::-1]
    for scores, among_others, in_another_order in zip(alone, together, backwards, strict=True):
        np.testing.assert_array_equal(scores, among_others)
        np.testing.assert_array_equal(scores, in_another_order)


def test_many_threads_get_the_same_scores(any_reranker: Reranker) -> None:
    questions = [QUESTION, "Who?", "Was anybody hurt on Monday in the harbour?"] * 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda question: any_reranker.score(question, INPUTS), questions))
    for question, scores in zip(questions[:3], answers, strict=False):
        for part, expected in zip(scores, any_reranker.score(question, INPUTS), strict=True):
            np.testing.assert_array_equal(part, expected)
    for scores, earlier in zip(answers[3:], answers, strict=False):
        for part, expected in zip(scores, earlier, strict=True):
            np.testing.assert_array_equal(part, expected)


def test_nothing_to_read_gives_nothing(any_reranker: Reranker) -> None:
    assert any_reranker.score(QUESTION, []) == []
    none, some = any_reranker.score(QUESTION, [RerankerInput(TEXT, ()), INPUTS[1]])
    assert (none.shape, some.shape) == ((0,), (1,))
    assert none.dtype == np.float32


@pytest.mark.parametrize("question", ["", "👍", "x" * 2_000, "When was it? " * 150, "[SEP] [MASK]"])
def test_any_question_gives_a_score(any_reranker: Reranker, question: str) -> None:
    (scores,) = any_reranker.score(question, INPUTS[:1])
    assert np.isfinite(scores).all()


@given(sentences=st.lists(texts, min_size=1, max_size=4), question=texts)
@settings(max_examples=15, deadline=None)
def test_any_text_gives_a_score_for_each_sentence_and_always_the_same(
    any_reranker: Reranker, sentences: list[str], question: str
) -> None:
    ends = np.cumsum([len(sentence) for sentence in sentences]).tolist()
    item = RerankerInput("".join(sentences), tuple(zip([0, *ends[:-1]], ends, strict=True)))
    (scores,), (again,) = (any_reranker.score(question, [item]) for _ in range(2))
    assert scores.shape == (len(sentences),)
    np.testing.assert_array_equal(scores, again)


def test_a_cross_encoder_scores_each_sentence_alone_and_by_logits(
    cross_encoder: CrossEncoderReranker, cross_encoder_folder: Path
) -> None:
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(cross_encoder_folder), local_files_only=True)
    (scores,) = cross_encoder.score(QUESTION, INPUTS[:1])
    probabilities = model.predict([(QUESTION, TEXT[start:end]) for start, end in SPANS], show_progress_bar=False)
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), probabilities, atol=1e-5)


def test_a_cross_encoder_is_opened_by_its_folder(
    cross_encoder: CrossEncoderReranker, cross_encoder_folder: Path
) -> None:
    opened = open_reranker(str(cross_encoder_folder))
    assert isinstance(opened, CrossEncoderReranker)
    assert opened.fingerprint == cross_encoder.fingerprint


def test_a_model_of_several_scores_is_refused(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "encoder", labels=3)
    with pytest.raises(ModelError) as error:
        open_reranker(str(folder))
    assert str(error.value) == f"{folder} cannot be used as a reranker: it gives 3 scores, a reranker one"


def test_a_model_that_is_no_cross_encoder_is_refused() -> None:
    from sourceline.encoders.hub import find_model
    from sourceline.types import DEFAULT_MODEL

    folder = str(find_model(DEFAULT_MODEL, Backend.TORCH).folder)
    with pytest.raises(ModelError) as error:
        open_reranker(folder)
    assert str(error.value) == (
        f"{folder} cannot be used as a reranker: it is no CrossEncoder; "
        "the one that comes with Sourceline is called 'reader'"
    )

"""What the reader learns from: where sentences stand in a batch, what a question reads, and the loss written out."""

import random
import sys
from dataclasses import replace
from importlib import resources
from math import exp, log
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).parent.parent))
from training.reader.data import MAX_TOKENS, Chunk, Example, batch, misspell, read, training_reading
from training.reader.model import loss


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_str(
        (resources.files("sourceline.encoders") / "reader/tokenizer.json").read_text("utf-8")
    )
    tokenizer.no_truncation()
    return tokenizer


def chunk(tokenizer: Tokenizer, sentences: list[str], first_row: int) -> Chunk:
    """Return a chunk of these sentences, whose rows count from the first."""
    ids: list[int] = []
    spans = []
    for sentence in sentences:
        encoded = tokenizer.encode(sentence, add_special_tokens=False).ids
        spans.append((len(ids), len(ids) + len(encoded)))
        ids += encoded
    return Chunk(tuple(ids), tuple(spans), tuple(range(first_row, first_row + len(sentences))))


def example(tokenizer: Tokenizer) -> Example:
    """Return a question whose answer is row 1, with a rival in its own document and one in another."""
    own = chunk(tokenizer, ["The ferry is late.", "The crane costs 9,000 euros."], 0)
    rival = chunk(tokenizer, ["The pool stays closed."], 2)
    other = chunk(tokenizer, ["Nobody spoke of cranes."], 50)
    return Example(
        set="harbour",
        id="q1",
        form="direct",
        document="harbour.txt",
        question="What does the crane cost?",
        answerable=True,
        gold=frozenset({1}),
        scope=(own, rival),
        open=(own, other),
        around_gold=own,
        late={},
    )


def test_sentences_stand_in_a_batch_where_their_tokens_are(tokenizer: Tokenizer) -> None:
    texts = [["The ferry is late.", "The crane costs 9,000 euros."], ["The pool stays closed."]]
    question = "What does the crane cost?"
    reading = read(tokenizer, question, [chunk(tokenizer, texts[0], 0), chunk(tokenizer, texts[1], 7)], frozenset({1}))
    assert reading
    made = batch([reading], tokenizer)
    assert made.chunk.tolist() == [0, 0, 1]
    assert made.answers.tolist() == [False, True, False]
    assert made.in_chunk.tolist() == [[0, 1], [2, -1]]
    assert made.in_question.tolist() == [[0, 1, 2]]
    assert made.weight.tolist() == [0.5, 0.5]
    for at, text in enumerate([*texts[0], *texts[1]]):
        ids = made.ids[made.chunk[at], made.start[at] : made.end[at]].tolist()
        assert ids == tokenizer.encode(text, add_special_tokens=False).ids
    # The same as the tokenizer makes of the pair, which is what is asked for when the reader serves.
    pair = tokenizer.encode(question, " ".join(texts[0]))
    length = int(made.mask[0].sum())
    assert made.ids[0, :length].tolist() == pair.ids
    assert made.segments[0, :length].tolist() == pair.type_ids


def test_a_sentence_that_is_cut_off_is_left_out(tokenizer: Tokenizer) -> None:
    long = chunk(tokenizer, ["The ferry is late. " * 74, "The crane costs 9,000 euros."], 0)
    reading = read(tokenizer, "What does the crane cost?", [long], frozenset({1}))
    assert reading
    made = batch([reading], tokenizer)
    assert made.ids.shape[1] == MAX_TOKENS
    assert made.in_chunk.tolist() == [[0]]
    assert made.answers.tolist() == [False]


def test_no_reading_without_a_sentence(tokenizer: Tokenizer) -> None:
    assert read(tokenizer, "What?", [Chunk((), (), ())], frozenset()) is None


@pytest.mark.parametrize("seed", range(20))
def test_an_answerable_question_reads_its_answer_or_another_document(tokenizer: Tokenizer, seed: int) -> None:
    reading = training_reading(example(tokenizer), tokenizer, random.Random(seed), 2)
    assert reading
    rows = [row for part in reading.chunks for row in part.rows]
    assert len(rows) == len(set(rows))
    assert 1 in rows or rows == [50]


@pytest.mark.parametrize("seed", range(20))
def test_an_unanswerable_question_reads_chunks_without_an_answer(tokenizer: Tokenizer, seed: int) -> None:
    unanswerable = replace(example(tokenizer), answerable=False, gold=frozenset(), around_gold=None)
    reading = training_reading(unanswerable, tokenizer, random.Random(seed), 2)
    assert reading
    assert len(reading.chunks) == 2
    assert not batch([reading], tokenizer).answers.any()


@pytest.mark.parametrize("seed", range(10))
def test_a_misspelt_word_has_one_error(seed: int) -> None:
    word = misspell("crane", random.Random(seed))
    assert word[0] == "c"
    assert 4 <= len(word) <= 6
    assert len(set("crane") - set(word)) <= 1


def test_the_loss_is_half_over_the_question_and_half_over_each_chunk(tokenizer: Tokenizer) -> None:
    reading = read(
        tokenizer,
        "What does the crane cost?",
        [chunk(tokenizer, ["The ferry is late.", "It costs 9."], 0), chunk(tokenizer, ["The pool."], 7)],
        frozenset({1}),
    )
    assert reading
    scores = torch.tensor([0.5, 2.0, -1.0])
    together = -log(exp(2.0) / (exp(0.5) + exp(2.0) + exp(-1.0) + 1))
    first, second = -log(exp(2.0) / (exp(0.5) + exp(2.0) + 1)), -log(1 / (exp(-1.0) + 1))
    made = batch([reading], tokenizer)
    assert loss(scores, made).item() == pytest.approx(0.5 * (together + (first + second) / 2))


def test_a_teacher_that_agrees_leaves_its_entropy_as_loss(tokenizer: Tokenizer) -> None:
    reading = read(tokenizer, "Late?", [chunk(tokenizer, ["The ferry is late."], 0)], frozenset({0}))
    assert reading
    scores = torch.tensor([1.0])
    probability = exp(1.0) / (exp(1.0) + 1)
    entropy = -probability * log(probability) - (1 - probability) * log(1 - probability)
    expected = 0.5 * (-log(probability) + entropy)
    assert loss(scores, batch([reading], tokenizer), scores).item() == pytest.approx(expected)

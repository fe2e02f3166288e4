"""The reader as it comes with Sourceline: what its numbers are, and what is refused."""

import json
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from sourceline.durable import sha256
from sourceline.encoders import reranker
from sourceline.encoders.base import Float32, RerankerInput
from sourceline.encoders.onnx import MODEL_FILE, TOKENIZER_FILE, open_session
from sourceline.encoders.reranker import (
    CARD_FILE,
    MAX_QUESTION_TOKENS,
    MAX_TOKENS,
    CrossEncoderReranker,
    OnnxReranker,
    open_reranker,
    sentence_scores,
)
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_RERANKER, NO_RERANKER

FOLDER = Path(reranker.__file__).parent / "reader"
QUESTION = "When was the bridge closed?"
SENTENCES = ("The bridge was closed on Monday.", "Nobody was hurt.", "Zoë’s café (2 ﬂoors) [SEP] stayed open.")


def lines(*sentences: str, title: str = "") -> RerankerInput:
    """Return a text of one sentence a line, below a title that is none."""
    text, spans = title, []
    for sentence in sentences:
        spans.append((len(text), len(text) + len(sentence)))
        text += f"{sentence}\n"
    return RerankerInput(text, tuple(spans))


@pytest.fixture(scope="module")
def reader() -> OnnxReranker:
    return OnnxReranker(FOLDER)


@pytest.fixture(scope="module")
def reference() -> Callable[[str, RerankerInput], list[float]]:
    """The scores by ONNX Runtime and the tokenizer's own way with pairs, computed token by token."""
    tokenizer = Tokenizer.from_file(str(FOLDER / TOKENIZER_FILE))
    tokenizer.encode_special_tokens = True
    session = open_session(FOLDER / MODEL_FILE)

    def score(question: str, item: RerankerInput) -> list[float]:
        pair = tokenizer.encode(question, item.text)
        assert len(pair.ids) <= MAX_TOKENS
        ids, segments = (np.array(values, dtype=np.int64) for values in (pair.ids, pair.type_ids))
        scores = session.run({"ids": ids, "segments": segments}, is_last=True)
        of_text = [at for at, sequence in enumerate(pair.sequence_ids) if sequence == 1]
        return [
            float(np.mean([scores[at, 0] for at in of_text if start <= pair.offsets[at][0] < end]) - scores[0, 1])
            for start, end in item.spans
        ]

    return score


def only(scores: list[Float32]) -> list[float]:
    (values,) = scores
    return [float(value) for value in values]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 5), (5, 9)], [1.5, 4.0]),
        ([(0, 1), (1, 5), (5, 6), (6, 9)], [1.0, 2.0, 3.0, 5.0]),
        ([(0, 9)], [2.75]),
        ([(2, 4), (4, 5), (9, 12)], [np.nan] * 3),
        ([(5, 5), (6, 99)], [np.nan, 5.0]),
        ([], []),
    ],
)
def test_a_sentence_has_the_mean_score_of_the_tokens_that_start_in_it(
    spans: list[tuple[int, int]], expected: list[float]
) -> None:
    scores = sentence_scores(np.array([1, 2, 3, 5], np.float32), np.array([0, 1, 5, 6], np.int64), spans)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, np.array(expected, dtype=np.float32))


def test_without_tokens_no_sentence_has_a_score() -> None:
    nothing = sentence_scores(np.zeros(0, np.float32), np.zeros(0, np.int64), [(0, 3), (3, 9)])
    np.testing.assert_array_equal(nothing, np.array([np.nan, np.nan], dtype=np.float32))


@pytest.mark.parametrize("question", [QUESTION, "café?", "Is [SEP] or [CLS] a word?", "", "東京の予算は？", "👍"])
@pytest.mark.parametrize(
    "item",
    [lines(*SENTENCES), lines(*SENTENCES, title="Minutes\nRoads\n"), lines("x"), lines(*SENTENCES * 6)],
    ids=["sentences", "with a title", "one letter", "many"],
)
def test_scores_are_those_of_the_model_for_question_and_text_as_a_pair(
    reader: OnnxReranker, reference: Callable[[str, RerankerInput], list[float]], question: str, item: RerankerInput
) -> None:
    assert only(reader.score(question, [item])) == pytest.approx(reference(question, item), abs=1e-5)


def test_of_a_long_question_the_last_tokens_are_read(reader: OnnxReranker) -> None:
    words = ["bridge", "closed", "hurt"] * 200
    limit = MAX_QUESTION_TOKENS - 2  # besides [CLS] and [SEP]
    item = lines(*SENTENCES)
    scores = [only(reader.score(" ".join(words[-count:]), [item])) for count in (limit - 1, limit, limit + 1, 600)]
    assert scores[0] != scores[1] == scores[2] == scores[3]


def test_a_long_text_is_read_up_to_the_limit_and_what_lies_behind_it_has_no_score(
    reader: OnnxReranker, reference: Callable[[str, RerankerInput], list[float]]
) -> None:
    question_tokens = len(reader._tokenizer.encode(QUESTION).ids)
    room = MAX_TOKENS - question_tokens - 1  # besides the last [SEP]
    first, second = " ".join(["bridge"] * 100), " ".join(["roof"] * (room - 100))
    whole = reference(QUESTION, lines(first, second))
    assert only(reader.score(QUESTION, [lines(first, second)])) == pytest.approx(whole, abs=1e-5)
    # Two sentences behind it, and a second one of which only the first tokens are read.
    scores = only(reader.score(QUESTION, [lines(first, f"{second} crane crane", "Late.", "Later.")]))
    assert scores[:2] == pytest.approx(whole, abs=1e-5)
    assert np.isnan(scores[2:]).all()


def test_a_sentence_of_many_thousand_letters_is_read(reader: OnnxReranker) -> None:
    (score,) = only(reader.score(QUESTION, [lines("The bridge was closed. " * 2_200)]))
    assert np.isfinite(score)
    assert np.isnan(only(reader.score(QUESTION, [RerankerInput("", ((0, 0),))]))).all()


def test_many_threads_get_the_scores_that_one_gets_and_no_more_texts_run_than_there_are_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class CountingSession:
        """A session that knows how many runs go on at once, and lets the first two go on only together."""

        def __init__(self, session: Any) -> None:
            self._session, self._lock, self._together = session, threading.Lock(), threading.Barrier(2, timeout=60)
            self.runs = self.now = self.most = 0

        def run(self, *arguments: Any) -> Any:
            with self._lock:
                self.runs, self.now = self.runs + 1, self.now + 1
                self.most, is_early = max(self.most, self.now), self.runs <= 2
            if is_early:
                self._together.wait()
            result = self._session.run(*arguments)
            with self._lock:
                self.now -= 1
            return result

    sessions: list[CountingSession] = []

    def open_counting(*arguments: Any) -> CountingSession:
        sessions.append(CountingSession(open_session(*arguments)))
        return sessions[-1]

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(reranker, "open_session", open_counting)
    reader = OnnxReranker(FOLDER)
    inputs = [lines(sentence) for sentence in SENTENCES]
    questions = [f"Was it closed on day {number % 4}?" for number in range(32)]
    alone = [reader.score(question, inputs) for question in questions[:4]]
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda question: reader.score(question, inputs), questions))
    for number, scores in enumerate(answers):
        np.testing.assert_array_equal(scores, alone[number % 4])
    assert sessions[0].most == 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the reader, to be written to."""
    return shutil.copytree(FOLDER, tmp_path / "reader")


def test_the_card_names_both_files_and_the_fingerprint_depends_on_them(folder: Path, reader: OnnxReranker) -> None:
    files = json.loads((folder / CARD_FILE).read_text("utf-8"))["sha256"]
    assert files == {name: sha256(folder / name) for name in (MODEL_FILE, TOKENIZER_FILE)}
    assert (reader.name, OnnxReranker(folder).fingerprint) == (DEFAULT_RERANKER, reader.fingerprint)
    tokenizer = (folder / TOKENIZER_FILE).read_text("utf-8")
    (folder / TOKENIZER_FILE).write_text(f"{tokenizer}\n", "utf-8")
    (folder / CARD_FILE).write_text(json.dumps({"sha256": files | {TOKENIZER_FILE: sha256(folder / TOKENIZER_FILE)}}))
    assert OnnxReranker(folder).fingerprint != reader.fingerprint


@pytest.mark.parametrize("name", [MODEL_FILE, TOKENIZER_FILE])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_file_is_refused(folder: Path, name: str, damage: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 4
    match damage:
        case "flip":
            (folder / name).write_bytes(data)
        case "cut":
            (folder / name).write_bytes(data[:-1])
        case "remove":
            (folder / name).unlink()
    with pytest.raises(ModelError) as error:
        OnnxReranker(folder)
    assert str(error.value) == f"the reader in {folder} is missing or damaged: reinstall Sourceline"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"sha256": {}}', '{"sha256": ["model.onnx"]}', "3", "\ud800", "[" * 100_000]
)
def test_a_card_that_does_not_vouch_for_the_files_is_refused(folder: Path, content: str) -> None:
    (folder / CARD_FILE).write_text(content, "utf-8", errors="surrogatepass")
    with pytest.raises(ModelError, match="is missing or damaged: reinstall Sourceline"):
        OnnxReranker(folder)


def test_a_file_that_this_onnx_runtime_cannot_load_is_refused(folder: Path) -> None:
    (folder / MODEL_FILE).write_bytes(b"no model")
    card = json.loads((folder / CARD_FILE).read_text("utf-8"))
    card["sha256"][MODEL_FILE] = sha256(folder / MODEL_FILE)
    (folder / CARD_FILE).write_text(json.dumps(card))
    with pytest.raises(ModelError) as error:
        OnnxReranker(folder)
    assert str(error.value) == f"the exported model {folder / MODEL_FILE} does not load: reinstall Sourceline"


def test_a_reranker_is_opened_by_name() -> None:
    assert open_reranker(NO_RERANKER) is None
    assert isinstance(open_reranker(DEFAULT_RERANKER), OnnxReranker)


@pytest.mark.parametrize("name", ["Reader", "NONE"])
def test_a_name_in_other_letters_is_refused_with_the_right_one(name: str) -> None:
    with pytest.raises(ModelError, match=f"did you mean {name.lower()}"):
        open_reranker(name)


@pytest.mark.parametrize("name", ["", "no such/model/at all", "nope\nnope"])
def test_a_reranker_that_there_is_not_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="it is neither a folder nor a name on the model hub"):
        open_reranker(name)


def test_a_folder_without_a_cross_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no config\.json in it"):
        CrossEncoderReranker(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"has no \.safetensors weights"):
        CrossEncoderReranker(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    for config in ("{}", "[]", "{", '{"architectures": 3}'):
        (tmp_path / "config.json").write_text(config)
        with pytest.raises(ModelError, match="cannot be used as a reranker"):
            CrossEncoderReranker(str(tmp_path))
    (tmp_path / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    with pytest.raises(ModelError, match="cannot be used as a reranker") as error:
        CrossEncoderReranker(str(tmp_path))
    assert "\n" not in str(error.value)

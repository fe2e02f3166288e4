import ctypes
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from sourceline.durable import sha256
from sourceline.encoders.base import Encoder, EncoderInput
from sourceline.encoders.hub import Model, find_model
from sourceline.encoders.load import ENCODERS
from sourceline.encoders.onnx import (
    CARD_FILE,
    INPUT,
    MODEL_FILE,
    OnnxEncoder,
    fingerprint,
    open_session,
    read_card,
    write_card,
)
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_MODEL


@pytest.fixture
def folder(exported: Path, encoder: Encoder, tmp_path: Path) -> Path:
    """A copy of the exported default model, to be written to."""
    return shutil.copytree(exported / ENCODERS / encoder.fingerprint, tmp_path / encoder.fingerprint)


def test_the_card_of_the_default_model_describes_it(exported: Path, encoder: Encoder) -> None:
    folder = exported / ENCODERS / encoder.fingerprint
    card = read_card(folder)
    assert (card.model, card.fingerprint, card.dim, card.max_tokens) == (DEFAULT_MODEL, folder.name, 384, 254)
    assert card.precision in {"int8", "fp32"}  # which, depends on the processor
    assert 1.001 > card.cosine_mean >= 0.98
    assert card.cosine_mean >= card.cosine_min >= 0.95
    assert card.sha256 == {name: sha256(folder / name) for name in ("model.onnx", "tokenizer.json")}


def test_a_card_is_read_as_it_was_written(folder: Path) -> None:
    card = replace(read_card(folder), model="über/model", cosine_mean=0.1 + 0.2, sha256={"a": "b"})
    write_card(folder, card)
    assert read_card(folder) == card


def test_the_fingerprint_depends_on_the_files_of_the_model_alone(small_model: Model, tmp_path: Path) -> None:
    copy = shutil.copytree(small_model.folder, tmp_path / "copy")
    assert fingerprint(find_model(str(copy))) == fingerprint(small_model)
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert fingerprint(find_model(str(copy))) != fingerprint(small_model)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_file_is_refused_with_the_command_that_mends(folder: Path, name: str, damage: str) -> None:
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
        OnnxEncoder(DEFAULT_MODEL, folder)
    assert str(error.value) == f"the exported model in {folder} is damaged: run `sourceline rebuild-index`"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 1}', "\ud800", "[" * 100_000])
def test_a_card_that_cannot_be_read_is_refused_with_the_command_that_mends(folder: Path, content: str) -> None:
    (folder / CARD_FILE).write_text(content, "utf-8", errors="surrogatepass")
    with pytest.raises(ModelError) as error:
        OnnxEncoder(DEFAULT_MODEL, folder)
    assert str(error.value) == f"no exported model in {folder}: run `sourceline rebuild-index`"


def test_a_card_that_was_edited_is_refused(folder: Path) -> None:
    (folder / CARD_FILE).write_text((folder / CARD_FILE).read_text().replace('"max_tokens": 254', '"max_tokens": 9'))
    with pytest.raises(ModelError, match="no exported model in"):
        OnnxEncoder(DEFAULT_MODEL, folder)


@pytest.mark.parametrize("failure", ["is empty", "is no model", "has an unknown operation", "is of the future"])
def test_a_file_that_this_onnx_runtime_cannot_load_is_refused_with_the_command_that_mends(
    folder: Path, failure: str
) -> None:
    model = onnx.load(str(folder / MODEL_FILE))
    if failure == "is of the future":
        model.ir_version = 99
    else:
        model.graph.node[0].op_type = "NoSuchOperation"
    data = {"is empty": b"", "is no model": b"no model"}.get(failure, model.SerializeToString())
    (folder / MODEL_FILE).write_bytes(data)
    card = read_card(folder)
    write_card(folder, replace(card, sha256=card.sha256 | {MODEL_FILE: sha256(folder / MODEL_FILE)}))
    with pytest.raises(ModelError) as error:
        OnnxEncoder(DEFAULT_MODEL, folder)
    assert str(error.value) == f"the exported model {folder / MODEL_FILE} does not load: run `sourceline rebuild-index`"


class _MallocInfo(ctypes.Structure):
    """``struct mallinfo2`` of malloc.h."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def live_bytes() -> int:
    """Return how much memory this process holds that was allocated in C and not freed."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("needs glibc 2.33")
    libc.mallinfo2.restype = _MallocInfo
    info = libc.mallinfo2()
    return int(info.uordblks) + int(info.hblkhd)


def test_no_length_of_text_leaves_anything_behind(folder: Path) -> None:
    session = open_session(folder / MODEL_FILE)

    def run(length: int) -> None:
        session.run({INPUT: np.ones(length, dtype=np.int64)}, is_last=False)

    run(60)  # what the longest one needs, the others find there
    run(60)
    before = live_bytes()
    for length in range(5, 60):
        run(length)
    assert live_bytes() - before < 50_000  # it was 200,000


def test_what_a_long_text_needed_is_given_back(folder: Path) -> None:
    session = open_session(folder / MODEL_FILE)

    def run(length: int, is_last: bool) -> int:
        session.run({INPUT: np.ones(length, dtype=np.int64)}, is_last)
        return live_bytes()

    before = run(10, is_last=True)
    assert run(250, is_last=False) - before > 5_000_000
    assert run(10, is_last=True) - before < 500_000


@pytest.mark.parametrize("lengths", [[240], [240, 5], [5, 240], [5, 240, 5, 5]])
def test_what_texts_needed_is_given_back_after_the_last_of_them(folder: Path, lengths: list[int]) -> None:
    encoder = OnnxEncoder("x", folder)
    list(encoder.encode([EncoderInput("word")]))
    before = live_bytes()
    list(encoder.encode([EncoderInput("word " * length) for length in lengths]))
    list(encoder.encode([EncoderInput("word")]))  # after one that ran beside the last
    assert live_bytes() - before < 500_000


def test_what_numpy_keeps_of_small_arrays_does_not_depend_on_the_number_of_threads() -> None:
    threads = 4
    together = threading.Barrier(threads, timeout=60)

    def fill(_: int) -> None:
        for size in range(1, 1024):
            blocks = [np.empty(size, dtype=np.uint8) for _ in range(7)]
            del blocks
        together.wait()  # so that each thread fills once

    before = live_bytes()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, range(threads)))
        # Seven blocks of each size below 1 kB are 3.7 MB. A cache for each thread would be four times that.
        assert live_bytes() - before < 6_000_000

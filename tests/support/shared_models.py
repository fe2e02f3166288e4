"""Opens each model file once in a process that tests: else that is most of what tests take which open an index.

A model file is the same while its place on the disk, its size and its time are. A copy by hard link is; one that a test
damaged is not, so that damage is found as ever. Commands that tests run are processes of their own and share nothing.
"""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TypeVar

import pytest
from tokenizers import Tokenizer

from sourceline import durable
from sourceline.encoders import onnx, reranker

T = TypeVar("T")
MOST = 4  # models that are kept: some tests export one of their own


def share_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have encoders and rerankers hash and open the same file once."""
    sha256, open_session = once(durable.sha256), once(onnx.open_session)
    read_tokenizer = once(lambda path: Tokenizer.from_file(str(path)))

    class SharedTokenizer:
        @staticmethod
        def from_file(path: str) -> Tokenizer:
            return read_tokenizer(Path(path))

    for module in (onnx, reranker):
        monkeypatch.setattr(module, "sha256", sha256)
        monkeypatch.setattr(module, "open_session", open_session)
        monkeypatch.setattr(module, "Tokenizer", SharedTokenizer)


def once(read: Callable[..., T]) -> Callable[..., T]:
    """Return what ``read`` returns for a file, read again only when the file is another."""
    results: dict[tuple[int, int, int, int], T] = {}
    lock = Lock()

    def shared(path: Path, *values: object) -> T:
        try:
            state = os.stat(path)
        except OSError:
            return read(path, *values)
        key = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
        with lock:
            result = results.pop(key) if key in results else read(path, *values)
            while len(results) >= MOST:
                del results[next(iter(results))]
            results[key] = result  # the latest is the last to go
        return result

    return shared

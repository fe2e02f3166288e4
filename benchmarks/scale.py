"""What size costs: ``python benchmarks/scale.py SET [--sizes 1000 10000 100000 1000000] [--json FILE]``.

SET is what ``benchmarks/corpus.py --with`` made: a labelled set whose own documents are the first of a big corpus. For
each size the set's own documents, as many as fit, and then the others make a corpus of about that many sentences. It is
built by ``sourceline rebuild-index`` and served by ``sourceline serve``; then questions about its documents are asked.
``recall`` is the share of the 30 nearest sentence vectors by exact search that the index finds; ``R@1 exact`` is with
exact search in the place of the index's own.
"""

import argparse
import http.client
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from serving import ask, resident_megabytes, serving, sourceline_on

from sourceline.encoding.encoder import Float32
from sourceline.evaluation.labels import LabelledQuestion, read_labels
from sourceline.evaluation.score import relevance
from sourceline.index.dense import DenseIndex
from sourceline.index.rows import Rows
from sourceline.retrieval.opening import open_searcher
from sourceline.retrieval.question import encode_question
from sourceline.retrieval.search import CANDIDATES, Searcher
from sourceline.types import DEFAULT_MODEL, EncoderKind, Neighbor

_BATCH = 50_000


def main() -> None:
    """Measure each size and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--work", type=Path, help="keep the indexes here, and use those that are there")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = []
        for size in arguments.sizes:
            place = (arguments.work or Path(scratch)) / str(size)
            rows.append(measure(arguments.set, size, arguments.questions, place))
            print("| " + " | ".join(f"{name} {value:,}" for name, value in rows[-1].items()) + " |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


def measure(labelled: Path, size: int, questions: int, place: Path) -> dict[str, float]:
    """Return the figures of one size."""
    if not (place / "documents").is_dir():
        cut_corpus(labelled / "documents", place / "documents", size)
    figures = built(place)
    asked = [q for q in read_labels(labelled).questions if q.answerable]
    here = {path.relative_to(place / "documents").as_posix() for path in (place / "documents").rglob("*.txt")}
    asked = [q for q in asked if all(label.document in here for label in q.relevant)]
    asked = random.Random(0).sample(asked, min(questions, len(asked)))
    return figures | served(place, asked) | quality(place, asked)


def cut_corpus(source: Path, target: Path, size: int) -> None:
    """Link documents of about ``size`` sentences: those at the top first, which are the labelled ones."""
    count = 0
    for path in sorted(source.rglob("*.txt"), key=lambda path: (len(path.relative_to(source).parts), path)):
        if count >= size:
            break
        name = path.relative_to(source)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(path, target / name)
        count += path.read_text("utf-8").count(". ") + path.read_text("utf-8").count("\n")


def environment(place: Path) -> dict[str, str]:
    """Return the environment in which the commands use a size's folder."""
    return os.environ | {"SOURCELINE_DOCUMENTS": str(place / "documents"), "SOURCELINE_INDEX": str(place / "index")}


def built(place: Path) -> dict[str, float]:
    """Build, if it is not built yet; return time, memory and disk."""
    report = place / "build.json"
    if not report.is_file():
        process = subprocess.Popen(
            [sys.executable, "-m", "sourceline", "rebuild-index"], env=environment(place), stdout=subprocess.PIPE
        )
        assert process.stdout
        said = process.stdout.read().decode()
        _, _, usage = os.wait4(process.pid, 0)
        count = int(re.findall(r"([\d,]+) passages", said)[0].replace(",", ""))
        seconds = float(re.findall(r"([\d.]+) s$", said, re.MULTILINE)[0])
        report.write_text(json.dumps({"sentences": count, "build s": seconds, "build MB": usage.ru_maxrss // 1024}))
    figures: dict[str, float] = json.loads(report.read_text())
    (generation,) = (place / "index" / "generations").iterdir()
    ledger = (place / "index" / "ledger.sqlite").stat().st_size
    return figures | {
        "sentences/s": round(figures["sentences"] / figures["build s"]),
        "index B/sentence": round(disk(generation) / figures["sentences"]),
        "ledger B/sentence": round(ledger / figures["sentences"]),
    }


def disk(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def served(place: Path, questions: Sequence[LabelledQuestion]) -> dict[str, float]:
    """Return how long the server takes to start and to answer, and its memory."""
    system = sourceline_on(place / "index", place / "documents")
    started = time.perf_counter()
    with serving(system) as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        ask(connection, questions[0].text)
        first = time.perf_counter() - started
        times = []
        for question in questions:
            before = time.perf_counter()
            ask(connection, question.text)
            times.append((time.perf_counter() - before) * 1000)
        warm = times[len(times) // 5 :]
        return {
            "start s": round(first, 1),
            "p50 ms": round(statistics.median(warm), 1),
            "p99 ms": round(statistics.quantiles(warm, n=100)[98], 1),
            "resident MB": round(resident_megabytes(process.pid)),
        }


def quality(place: Path, questions: Sequence[LabelledQuestion]) -> dict[str, float]:
    """Return how many questions are answered right by the first passage, and what approximate search loses."""
    searcher = open_searcher(place / "index", DEFAULT_MODEL, EncoderKind.COMPILED)
    exact = Exact(searcher, [encode_question(searcher.encoder, q.text).vector for q in questions])
    by_exact = Searcher(
        replace(searcher.generation, dense=cast(DenseIndex, exact)), searcher.encoder, searcher._calibration
    )
    right = relevance(questions, searcher.generation.passages)
    found: list[bool] = []
    found_exactly: list[bool] = []
    recalls: list[float] = []
    for question in questions:
        for one, ranks in ((searcher, found), (by_exact, found_exactly)):
            (hit,) = one.ask(question.text, 1).hits
            ranks.append(not right[question.id].keys().isdisjoint({hit.passage.id, *hit.also}))
        vector = encode_question(searcher.encoder, question.text).vector
        near = {neighbor.row for neighbor in searcher.generation.dense.search(vector, CANDIDATES, None)}
        recalls.append(len(near & {n.row for n in exact.search(vector, CANDIDATES, None)}) / CANDIDATES)
    return {
        "recall": round(float(np.mean(recalls)), 4),
        "R@1": round(float(np.mean(found)), 4),
        "R@1 exact": round(float(np.mean(found_exactly)), 4),
    }


class Exact:
    """The index's sentence vectors, searched exactly, for questions that are known beforehand."""

    def __init__(self, searcher: Searcher, vectors: Sequence[Float32]) -> None:
        self._dense = searcher.generation.dense
        asked, total = np.stack(vectors), len(self._dense)
        best = np.zeros((len(asked), 0), np.float32), np.zeros((len(asked), 0), np.int64)
        for start in range(0, total, _BATCH):
            rows = np.arange(start, min(total, start + _BATCH))
            scores = np.hstack([best[0], asked @ self._dense.vectors(rows.tolist()).T])
            ids = np.hstack([best[1], np.broadcast_to(rows, (len(asked), len(rows)))])
            order = np.argsort(-scores, axis=1, kind="stable")[:, : 10 * CANDIDATES]
            best = np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)
        self._known = {
            vector.tobytes(): [Neighbor(int(row), float(score)) for score, row in zip(s, r, strict=True)]
            for vector, s, r in zip(vectors, *best, strict=True)
        }

    def search(self, vector: Float32, n: int, within: Rows | None) -> list[Neighbor]:
        """Return the ``n`` nearest rows, at most ten times as many as a question's candidates."""
        assert within is None
        return self._known[vector.tobytes()][:n]

    def __getattr__(self, name: str) -> Any:
        """Do all else as the index does."""
        return getattr(self._dense, name)


if __name__ == "__main__":
    main()

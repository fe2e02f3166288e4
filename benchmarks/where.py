"""Where the time of an answer goes: ``python benchmarks/where.py [--documents FOLDER] [--repeats 5]``.

Asks each question about the seeds some times in this process, with a stopwatch around each stage, and some times over
HTTP. The fastest of each counts; the table has means over the questions. ``HTTP`` is what remains: the framework, the
threads, the socket, and the client's own work. For encoding, the share of the most int8 operations a second that a
large matrix product reaches in ONNX Runtime on this machine; its work is the products with the model's weights.
"""

import argparse
import http.client
import itertools
import math
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import sourceline  # noqa: F401  # first: it says how many threads numpy may start, as it does in the server

# isort: split
import numpy as np
import onnx
import onnxruntime
from serving import SEEDS, ask, live_index, rebuild, seed_questions, sourceline_on

from sourceline.encoders import onnx as compiled
from sourceline.encoders.load import ENCODERS
from sourceline.encoders.onnx import MODEL_FILE, OnnxEncoder
from sourceline.ingest.chunking import chunk_document
from sourceline.ingest.loader import SkippedFile, read_documents
from sourceline.search import searcher as search
from sourceline.search.opening import open_searcher
from sourceline.search.searcher import Searcher
from sourceline.server import wire
from sourceline.types import DEFAULT_MODEL, Backend

STAGES = ("tokenise", "encode", "dense", "lexical", "late", "passages", "rest", "JSON")
SIDES = (512, 1024, 2048)  # of the square matrices whose product shows the peak
WINDOWS = 64
PRODUCTS = {"MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"}
SPECIAL = 2  # tokens that the model puts around a text


def main() -> None:
    """Build an index of the documents and print where the time goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, default=SEEDS)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rebuild(arguments.documents, Path(scratch))
        print(show(profile(Path(scratch), arguments.documents, arguments.repeats)))


def profile(index: Path, documents: Path = SEEDS, repeats: int = 5) -> dict[str, float]:
    """Return milliseconds by stage, and what encoding makes of the machine."""
    searcher = open_searcher(index, DEFAULT_MODEL, Backend.ONNX)
    encoder = searcher.encoder
    assert isinstance(encoder, OnnxEncoder)  # the peak is that of its kind of arithmetic
    questions = seed_questions()
    work = work_of_a_token(index / ENCODERS / encoder.fingerprint / MODEL_FILE)
    tokens = float(np.mean([len(encoder.tokenize(question).ids) + SPECIAL for question in questions]))
    bulk = encode_rate(encoder, documents)
    with live_index(sourceline_on(index, documents)) as (_, port):
        # Last, as it leaves the stopwatch in the searcher.
        stages, over_http = answer_times(searcher, port, questions, repeats)
    total = sum(stages.values())
    cores = os.cpu_count() or 1
    one, all_ = peak(1), peak(cores)
    return {
        **stages,
        "in the process": total,
        "HTTP": over_http - total,
        "over HTTP": over_http,
        "cores": cores,
        "tokens of a question": tokens,
        "operations of a token": work,
        "peak of one core": one,
        "peak of all cores": all_,
        "share of a question": work * tokens / (stages["encode"] / 1000) / one,
        "tokens/s": bulk,
        "share of windows": work * bulk / all_,
    }


def show(found: Mapping[str, float]) -> str:
    """Return the table in Markdown and the shares of the peak."""
    whole = found["over HTTP"]
    names = (*STAGES, "in the process", "HTTP", "over HTTP")
    return "\n".join(
        [
            "| where the time goes | ms | share |",
            "|---|---|---|",
            *(f"| {name} | {found[name]:.3f} | {100 * found[name] / whole:.0f} % |" for name in names),
            "",
            f"int8 peak: {found['peak of one core'] / 1e9:,.0f} GOP/s on one core, "
            f"{found['peak of all cores'] / 1e9:,.0f} on {found['cores']}; "
            f"a token takes {found['operations of a token'] / 1e6:.1f} MOP",
            f"a question ({found['tokens of a question']:.1f} tokens, one core): "
            f"{100 * found['share of a question']:.0f} % of the peak",
            f"windows (all cores): {found['tokens/s']:,.0f} tokens/s, "
            f"{100 * found['share of windows']:.0f} % of the peak",
        ]
    )


class Stopwatch:
    """Sums up the seconds of each stage, without those of the stages inside it."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._stages: list[str] = []
        self._since = 0.0

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with the clock around it."""

        def run(*given: Any, **named: Any) -> Any:
            self._turn()
            self._stages.append(stage)
            try:
                return function(*given, **named)
            finally:
                self._turn()
                self._stages.pop()

        return run

    def wrap(self, owner: object, stage: str, *names: str) -> None:
        """Put the clock around what an object or module calls by these names."""
        for name in names:
            setattr(owner, name, self.timed(stage, getattr(owner, name)))

    def _turn(self) -> None:
        now = time.perf_counter()
        if self._stages:
            self.spent[self._stages[-1]] += now - self._since
        self._since = now


def answer_times(searcher: Searcher, port: int, questions: list[str], repeats: int) -> tuple[dict[str, float], float]:
    """Return the mean milliseconds of each stage, and those over HTTP."""
    watch = Stopwatch()
    here = watched(searcher, watch)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    sums, over_http = dict.fromkeys(STAGES, 0.0), 0.0
    for question in questions:
        tries = []
        for _ in range(repeats):
            watch.spent.clear()
            here(question)
            tries.append(dict(watch.spent))
        for stage, spent in min(tries, key=lambda one: sum(one.values())).items():
            sums[stage] += spent
        over_http += min(seconds(partial(ask, connection, question)) for _ in range(repeats))
    return {stage: 1000 * spent / len(questions) for stage, spent in sums.items()}, 1000 * over_http / len(questions)


def watched(searcher: Searcher, watch: Stopwatch) -> Callable[[str], object]:
    """Return what answers a question as the server does, with the stopwatch in it."""
    index, encode = searcher.snapshot, searcher.encoder.encode
    watch.wrap(compiled, "tokenise", "tokenize")  # what the encoder calls, inside encoding too
    searcher.encoder.encode = watch.timed(  # type: ignore[method-assign]  # what the profile is for
        "encode", lambda texts: iter(list(encode(texts)))
    )
    watch.wrap(index.dense, "dense", "search", "scores")
    watch.wrap(index.lexical, "lexical", "search", "scores", "ceiling")
    watch.wrap(index.passages, "passages", "rows", "twins", "with_twins")
    watch.wrap(search, "late", "late_interaction")
    answer = watch.timed("rest", searcher.ask)
    write = watch.timed("JSON", lambda found: wire.dump(wire.answer(found, False, 0.0)))
    return lambda question: write(answer(question, 5))


def encode_rate(encoder: OnnxEncoder, documents: Path) -> float:
    """Return how many tokens a second are encoded in windows, on all cores: the best of three."""
    cut = (chunk_document(one, encoder) for one in read_documents(documents) if not isinstance(one, SkippedFile))
    texts = list(itertools.islice((w.text for one in cut for part in one.parts() for w in part.windows), WINDOWS))
    texts = list(itertools.islice(itertools.cycle(texts), WINDOWS))
    tokens = sum(len(encoder.tokenize(text).ids) + SPECIAL for text in texts)
    return tokens / min(seconds(lambda: list(encoder.encode(texts))) for _ in range(3))


def work_of_a_token(model: Path) -> float:
    """Return how many operations a token takes in the products with the model's weights, two for each weight."""
    graph = onnx.load(str(model)).graph
    weights = {one.name: math.prod(one.dims) for one in graph.initializer}
    products = [node.input[1] for node in graph.node if node.op_type in PRODUCTS]
    return float(2 * sum(weights.get(name, 0) for name in products))


def peak(threads: int) -> float:
    """Return the most int8 operations a second of a large matrix product, bytes times weights as in the model."""
    best = 0.0
    for side in SIDES:
        session = product(side, threads)
        left = np.random.default_rng(0).integers(0, 255, (side, side), dtype=np.uint8)
        session.run(None, {"left": left})
        fastest = min(seconds(partial(session.run, None, {"left": left})) for _ in range(20))
        best = max(best, 2.0 * side**3 / fastest)
    return best


def product(side: int, threads: int) -> onnxruntime.InferenceSession:
    """Return a session that multiplies square matrices, the right one fixed."""
    right = np.random.default_rng(1).integers(-127, 127, (side, side), dtype=np.int8)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMulInteger", ["left", "right"], ["product"])],
        "product",
        [onnx.helper.make_tensor_value_info("left", onnx.TensorProto.UINT8, (side, side))],
        [onnx.helper.make_tensor_value_info("product", onnx.TensorProto.INT32, (side, side))],
        [onnx.numpy_helper.from_array(right, "right")],
    )
    versions = [onnx.helper.make_opsetid("", 17)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = onnx.helper.make_model(graph, opset_imports=versions, ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def seconds(run: Callable[[], object]) -> float:
    """Return how long it takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

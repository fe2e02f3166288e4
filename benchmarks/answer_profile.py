"""Profile an answer: how long each stage takes, and how well encoding uses the processor.

    python benchmarks/answer_profile.py [--documents FOLDER] [--repeats 5]

Asks each question about the seeds several times in this process, with a stopwatch around each stage, and several times
over HTTP. The fastest of each counts; the table has means over the questions. ``HTTP`` is what remains: the framework,
threads, the socket, and the client's own work. Encoding is compared with the most int8 operations a second that a large
matrix product reaches in ONNX Runtime on this machine; its work is the products with the model's weights.
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

# As in the server: a single thread for libraries that read this when they are imported.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np
import onnx
import onnxruntime
from serving import SEEDS, ask, rebuild, running, seed_questions, sourceline_on

from sourceline.encoders import base
from sourceline.encoders.base import EncoderInput, Int64
from sourceline.encoders.load import ENCODERS
from sourceline.encoders.onnx import MODEL_FILE, OnnxEncoder
from sourceline.evaluation.evaluate import open_searcher
from sourceline.ingest.chunking import chunk_document
from sourceline.ingest.loader import read_document, scan_folder
from sourceline.search import searcher as searcher_module
from sourceline.search.searcher import Searcher
from sourceline.server.models import AskResponse
from sourceline.types import Answer

STAGES = ("tokenize", "encode", "dense", "BM25", "late interaction", "passages", "rest", "JSON")
SIDES = (512, 1024, 2048)  # of the square matrices whose product measures the peak
CHUNKS = 64  # that are encoded to measure the rate of a build
PRODUCTS = {"MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"}
SPECIAL_TOKENS = 2  # around each text


def main() -> None:
    """Build an index of the documents and print the profile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, default=SEEDS)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rebuild(arguments.documents, Path(scratch))
        print(table_of(profile(Path(scratch), arguments.documents, arguments.repeats)))


def profile(index: Path, documents: Path = SEEDS, repeats: int = 5) -> dict[str, float]:
    """Return milliseconds by stage, and how well encoding uses the processor."""
    searcher = open_searcher(index)
    encoder = searcher.encoder
    assert isinstance(encoder, OnnxEncoder)  # the peak is that of its kind of arithmetic
    questions = seed_questions()
    work = operations_per_token(index / ENCODERS / encoder.fingerprint / MODEL_FILE)
    tokens = float(np.mean([len(encoder.tokenize(question).ids) + SPECIAL_TOKENS for question in questions]))
    bulk = encode_rate(encoder, documents)
    with running(sourceline_on(index, documents)) as (_, port):
        # Last, as the stopwatch stays in the searcher.
        stages, over_http = answer_times(searcher, port, questions, repeats)
    total = sum(stages.values())
    cores = os.cpu_count() or 1
    peak_of_core, peak_of_all = peak(1), peak(cores)
    return {
        **stages,
        "in the process": total,
        "HTTP": over_http - total,
        "over HTTP": over_http,
        "cores": cores,
        "tokens of a question": tokens,
        "operations of a token": work,
        "peak of one core": peak_of_core,
        "peak of all cores": peak_of_all,
        "share of a question": work * tokens / (stages["encode"] / 1000) / peak_of_core,
        "tokens/s": bulk,
        "share of chunks": work * bulk / peak_of_all,
    }


def table_of(profile: Mapping[str, float]) -> str:
    """Return the table in Markdown and the shares of the peak."""
    whole = profile["over HTTP"]
    names = (*STAGES, "in the process", "HTTP", "over HTTP")
    return "\n".join(
        [
            "| where the time goes | ms | share |",
            "|---|---|---|",
            *(f"| {name} | {profile[name]:.3f} | {100 * profile[name] / whole:.0f} % |" for name in names),
            "",
            f"int8 peak: {profile['peak of one core'] / 1e9:,.0f} GOP/s on one core, "
            f"{profile['peak of all cores'] / 1e9:,.0f} on {profile['cores']}; "
            f"a token takes {profile['operations of a token'] / 1e6:.1f} MOP",
            f"a question ({profile['tokens of a question']:.1f} tokens, one core): "
            f"{100 * profile['share of a question']:.0f} % of the peak",
            f"chunks (all cores): {profile['tokens/s']:,.0f} tokens/s, "
            f"{100 * profile['share of chunks']:.0f} % of the peak",
        ]
    )


class Stopwatch:
    """Adds up the seconds of each stage, without those of the stages inside it."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._stages: list[str] = []
        self._since = 0.0

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with the clock around it."""

        def run(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self._stages.append(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self._stages.pop()

        return run

    def wrap(self, owner: object, stage: str, *names: str) -> None:
        """Put the clock around these functions of an object or module."""
        for name in names:
            setattr(owner, name, self.timed(stage, getattr(owner, name)))

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._stages:
            self.spent[self._stages[-1]] += now - self._since
        self._since = now


def answer_times(searcher: Searcher, port: int, questions: list[str], repeats: int) -> tuple[dict[str, float], float]:
    """Return the mean milliseconds of each stage, and those over HTTP."""
    watch = Stopwatch()
    answer = watched(searcher, watch)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    sums, over_http = dict.fromkeys(STAGES, 0.0), 0.0
    for question in questions:
        tries = []
        for _ in range(repeats):
            watch.spent.clear()
            answer(question)
            tries.append(dict(watch.spent))
        for stage, spent in min(tries, key=lambda spent: sum(spent.values())).items():
            sums[stage] += spent
        over_http += min(seconds(partial(ask, connection, question)) for _ in range(repeats))
    return {stage: 1000 * spent / len(questions) for stage, spent in sums.items()}, 1000 * over_http / len(questions)


def watched(searcher: Searcher, watch: Stopwatch) -> Callable[[str], object]:
    """Return what answers a question as the server does, with the stopwatch in it."""
    index, encode = searcher.snapshot, searcher.encoder.encode
    watch.wrap(base, "tokenize", "tokenize")  # what the encoder calls, inside encoding too
    searcher.encoder.encode = watch.timed(  # type: ignore[method-assign]  # what the profile is for
        "encode", lambda inputs: iter(list(encode(inputs)))
    )
    watch.wrap(index.dense, "dense", "search", "scores")
    watch.wrap(index.bm25, "BM25", "search", "scores", "max_score")
    watch.wrap(index.passages, "passages", "rows", "duplicates", "with_duplicates")
    watch.wrap(searcher_module, "late interaction", "late_interaction")
    ask_searcher = watch.timed("rest", searcher.ask)
    write = watch.timed("JSON", write_json)
    return lambda question: write(ask_searcher(question, 5))


def write_json(answer: Answer) -> str:
    """Return an answer as the server sends it."""
    return AskResponse.from_answer(answer, 0.0).model_dump_json(exclude_none=True)


def encode_rate(encoder: OnnxEncoder, documents: Path) -> float:
    """Return how many tokens a second are encoded in chunks, on all cores: the best of three."""

    def token_starts(text: str) -> Int64:
        return encoder.tokenize(text).spans[:, 0].astype(np.int64)

    read = (read_document(documents, file.document_id) for file in scan_folder(documents).files)
    chunked = (chunk_document(document, token_starts, encoder.max_tokens) for document in read)
    chunks = (EncoderInput(chunk.text, chunk.prefix) for document in chunked for chunk in document.chunks)
    inputs = list(itertools.islice(itertools.cycle(itertools.islice(chunks, CHUNKS)), CHUNKS))
    tokens = sum(len(encoder.tokenize(item.prefix + item.text).ids) + SPECIAL_TOKENS for item in inputs)
    return tokens / min(seconds(lambda: list(encoder.encode(inputs))) for _ in range(3))


def operations_per_token(model: Path) -> float:
    """Return the operations of a token in the products with the model's weights, two for each weight."""
    graph = onnx.load(str(model)).graph
    weights = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
    products = [node.input[1] for node in graph.node if node.op_type in PRODUCTS]
    return float(2 * sum(weights.get(name, 0) for name in products))


def peak(threads: int) -> float:
    """Return the most int8 operations a second of a large matrix product, bytes times weights as in the model."""
    best = 0.0
    for side in SIDES:
        session = matrix_product(side, threads)
        left = np.random.default_rng(0).integers(0, 255, (side, side), dtype=np.uint8)
        session.run(None, {"left": left})
        fastest = min(seconds(partial(session.run, None, {"left": left})) for _ in range(20))
        best = max(best, 2.0 * side**3 / fastest)
    return best


def matrix_product(side: int, threads: int) -> onnxruntime.InferenceSession:
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
    """Return how long a call takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

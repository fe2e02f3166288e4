"""Profile an answer: how long each stage takes, and how well encoding and reading use the processor.

    python benchmarks/answer_profile.py [--documents FOLDER] [--index FOLDER] [--questions 200] [--repeats 5]
        [--json FILE]

Asks questions about the seeds several times in each mode, in this process with a stopwatch around each stage, and over
HTTP. The fastest of each counts; the table has means over the questions. ``HTTP`` is what remains: the framework,
threads, the socket, and the client's own work. Chunks are read on several cores at once; the time of reading is split
between tokenizing and running the model as the time of its threads is.

Encoding and reading are compared with the most int8 operations a second that a large matrix product reaches in ONNX
Runtime on this machine; their work is the products with the models' weights.
"""

import argparse
import http.client
import itertools
import json
import math
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# As in the server: a single thread for libraries that read this when they are imported.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np
import onnx
import onnxruntime
from serving import SEEDS, ask, rebuild, running, seed_questions, sourceline, sourceline_on

from sourceline.encoders import base
from sourceline.encoders import reranker as reranker_module
from sourceline.encoders.base import EncoderInput, Int64
from sourceline.encoders.load import ENCODERS
from sourceline.encoders.onnx import INPUT, MODEL_FILE, OnnxEncoder
from sourceline.encoders.reranker import OnnxReranker
from sourceline.evaluation.evaluate import open_searcher
from sourceline.ingest.chunking import chunk_document
from sourceline.ingest.loader import read_document, scan_folder
from sourceline.search import reranking as reranking_module
from sourceline.search import searcher as searcher_module
from sourceline.search.confidence import load_calibration, load_reader_calibration
from sourceline.search.searcher import Searcher
from sourceline.server.models import AskResponse
from sourceline.types import Answer, Mode

READ, READ_TOKENIZE, READ_RUN = "read", "read: tokenize", "read: run"
STAGES = (
    *("tokenize", "encode", "candidates: dense", "candidates: BM25", "late interaction"),
    *(READ_TOKENIZE, READ_RUN, "passages", "rest", "JSON"),
)
READER = Path(str(resources.files("sourceline.encoders") / "reader"))
SIDES = (512, 1024, 2048)  # of the square matrices whose product measures the peak
CHUNKS = 64  # that are encoded to measure the rate of a build
PRODUCTS = {"MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"}
SPECIAL_TOKENS = 2  # around each text


def main() -> None:
    """Build an index of the documents and print the profile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, default=SEEDS)
    parser.add_argument("--index", type=Path, help="an index of the documents; one is built if there is none")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        index = arguments.index or Path(scratch)
        if not arguments.index:
            rebuild(arguments.documents, index)
        profiled = profile(index, arguments.documents, arguments.questions, arguments.repeats)
    print(table_of(profiled))
    if arguments.json:
        arguments.json.write_text(json.dumps(profiled, indent=1) + "\n", "utf-8")


def profile(index: Path, documents: Path, count: int, repeats: int) -> dict[str, Any]:
    """Return milliseconds by mode and stage, and how well encoding and reading use the processor."""
    readings = Readings()
    searcher = with_reader(open_searcher(index), readings.open_reader(READER))
    encoder = searcher.encoder
    assert isinstance(encoder, OnnxEncoder)  # the peak is that of its kind of arithmetic
    questions = seed_questions()[:count]
    work = operations_per_token(index / ENCODERS / encoder.fingerprint / MODEL_FILE)
    reader_work = operations_per_token(READER / MODEL_FILE)
    tokens = float(np.mean([len(encoder.tokenize(question).ids) + SPECIAL_TOKENS for question in questions]))
    bulk = encode_rate(encoder, documents)
    with running(sourceline_on(index, documents)) as (_, port):
        # Last, as the stopwatch stays in the searcher.
        modes, reading = answer_times(searcher, readings, port, questions, repeats)
    cores = os.cpu_count() or 1
    peak_of_core, peak_of_all = peak(1), peak(cores)
    encoding = (modes[Mode.READ]["encode"] + modes[Mode.FAST]["encode"]) / 2 / 1000
    running_reader = modes[Mode.READ][READ_RUN] / 1000
    return {
        "modes": modes,
        "cores": cores,
        "peak of one core": peak_of_core,
        "peak of all cores": peak_of_all,
        "encoder": {
            "operations of a token": work,
            "tokens of a question": tokens,
            "share of a question": work * tokens / encoding / peak_of_core,
            "tokens/s": bulk,
            "share of chunks": work * bulk / peak_of_all,
        },
        "reader": {
            "operations of a token": reader_work,
            **reading,
            "cores at work": reading["seconds of the model"] / running_reader,
            "share of a core at work": reader_work * reading["tokens"] / reading["seconds of the model"] / peak_of_core,
            "share": reader_work * reading["tokens"] / running_reader / peak_of_all,
        },
    }


def with_reader(searcher: Searcher, reader: OnnxReranker) -> Searcher:
    """Return a searcher of the same index that reads."""
    return Searcher(
        searcher.snapshot,
        searcher.encoder,
        load_calibration(searcher.encoder.model),
        reranker=reader,
        reader_calibration=load_reader_calibration(reader.name),
    )


def table_of(profile: Mapping[str, Any]) -> str:
    """Return the table in Markdown and the shares of the peak."""
    modes: Mapping[str, Mapping[str, float]] = profile["modes"]
    encoder, reader = profile["encoder"], profile["reader"]

    def cells(name: str) -> str:
        return " | ".join(
            f"{mode[name]:.3f} | {100 * mode[name] / mode['over HTTP']:.0f} %" if name in mode else " | "
            for mode in modes.values()
        )

    return "\n".join(
        [
            "| where the time goes | " + " | ".join(f"{mode}, ms | share" for mode in modes) + " |",
            "|---" * (1 + 2 * len(modes)) + "|",
            *(f"| {name} | {cells(name)} |" for name in (*STAGES, "in the process", "HTTP", "over HTTP")),
            "",
            f"int8 peak: {profile['peak of one core'] / 1e9:,.0f} GOP/s on one core, "
            f"{profile['peak of all cores'] / 1e9:,.0f} on {profile['cores']}",
            f"encoder: {encoder['operations of a token'] / 1e6:.1f} MOP a token; "
            f"a question ({encoder['tokens of a question']:.1f} tokens, one core): "
            f"{100 * encoder['share of a question']:.0f} % of the peak; "
            f"chunks (all cores): {encoder['tokens/s']:,.0f} tokens/s, "
            f"{100 * encoder['share of chunks']:.0f} % of the peak",
            f"reader: {reader['operations of a token'] / 1e6:.1f} MOP a token; "
            f"{reader['chunks']:.1f} chunks a question, {reader['tokens']:.0f} tokens in all; "
            f"{reader['cores at work']:.1f} cores at work, each at {100 * reader['share of a core at work']:.0f} % "
            f"of the peak of one; {100 * reader['share']:.0f} % of the peak of all",
        ]
    )


def replace_by(owner: object, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put what ``make`` makes of a function of an object or module in its place."""
    setattr(owner, name, make(getattr(owner, name)))


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
            replace_by(owner, name, partial(self.timed, stage))

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._stages:
            self.spent[self._stages[-1]] += now - self._since
        self._since = now


class Readings:
    """What the reader's threads did since ``clear``: seconds of tokenizing, seconds and tokens of each chunk."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        # Threads only append to the lists, which is safe.
        self._tokenizing: list[float] = []
        self._chunks: list[tuple[float, int]] = []

    def open_reader(self, folder: Path) -> OnnxReranker:
        """Return a reader with the clock around its tokenizer and its model; it stays in the module."""
        replace_by(reranker_module, "tokenize", self._timed_tokenize)
        replace_by(reranker_module, "open_session", self._opening_timed_session)
        return OnnxReranker(folder)

    def _timed_tokenize(self, tokenize: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            started = time.perf_counter()
            tokens = tokenize(*args)
            self._tokenizing.append(time.perf_counter() - started)
            return tokens

        return timed

    def _opening_timed_session(self, open_session: Callable[..., Any]) -> Callable[..., Any]:
        def open_timed(*args: Any) -> Any:
            return SimpleNamespace(run=self._timed_run(open_session(*args).run))

        return open_timed

    def _timed_run(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def timed(inputs: Mapping[str, Int64], is_last: bool) -> Any:
            started = time.perf_counter()
            scores = run(inputs, is_last)
            self._chunks.append((time.perf_counter() - started, len(inputs[INPUT])))
            return scores

        return timed

    def split(self, spent: dict[str, float]) -> dict[str, float]:
        """Return the seconds by stage with those of reading split between the tokenizer and the model."""
        reading = spent.pop(READ, 0.0)
        if not reading:
            return spent
        tokenizing = sum(self._tokenizing)
        share = tokenizing / (tokenizing + sum(seconds for seconds, _ in self._chunks))
        return spent | {READ_TOKENIZE: reading * share, READ_RUN: reading * (1 - share)}

    def totals(self) -> dict[str, float]:
        """Return how many chunks and tokens were read, and the seconds that the model took, over all threads."""
        return {
            "chunks": len(self._chunks),
            "tokens": sum(tokens for _, tokens in self._chunks),
            "seconds of the model": sum(seconds for seconds, _ in self._chunks),
        }


def answer_times(
    searcher: Searcher, readings: Readings, port: int, questions: Sequence[str], repeats: int
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Return the mean milliseconds by mode of each stage and over HTTP, and the means of what the reader did."""
    watch = Stopwatch()
    answer = watched(searcher, watch)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    modes, reading = {}, defaultdict[str, float](float)
    for mode in Mode:
        sums = defaultdict[str, float](float)
        for question in questions:
            tries = []
            for _ in range(repeats):
                watch.spent.clear()
                readings.clear()
                answer(question, mode)
                tries.append((readings.split(dict(watch.spent)), readings.totals()))
            spent, read = min(tries, key=lambda one: sum(one[0].values()))
            over_http = min(seconds(partial(ask, connection, question, sourceline(mode))) for _ in range(repeats))
            whole = sum(spent.values())
            for stage, time_spent in (spent | {"in the process": whole, "HTTP": over_http - whole}).items():
                sums[stage] += 1000 * time_spent / len(questions)
            sums["over HTTP"] += 1000 * over_http / len(questions)
            for name, value in read.items():
                reading[name] += value / len(questions)
        modes[str(mode)] = dict(sums)
    return modes, dict(reading)


def watched(searcher: Searcher, watch: Stopwatch) -> Callable[[str, Mode], object]:
    """Return what answers a question as the server does, with the stopwatch in it."""
    index, encode = searcher.snapshot, searcher.encoder.encode
    watch.wrap(base, "tokenize", "tokenize")  # what the encoder calls, inside encoding too
    searcher.encoder.encode = watch.timed(  # type: ignore[method-assign]  # what the profile is for
        "encode", lambda inputs: iter(list(encode(inputs)))
    )
    watch.wrap(index.dense, "candidates: dense", "search", "scores")
    watch.wrap(index.bm25, "candidates: BM25", "search", "scores", "max_score")
    watch.wrap(index.passages, "passages", "rows", "duplicates", "with_duplicates", "surroundings")
    watch.wrap(searcher_module, "late interaction", "late_interaction")
    watch.wrap(reranking_module, "late interaction", "late_interaction")
    watch.wrap(searcher.reranker, READ, "score")
    ask_searcher = watch.timed("rest", searcher.ask)
    write = watch.timed("JSON", write_json)
    return lambda question, mode: write(ask_searcher(question, 5, (), mode))


def write_json(answer: Answer) -> str:
    """Return an answer as the server sends it."""
    return AskResponse.from_answer(answer, 0.0).model_dump_json(exclude_none=True)


def encode_rate(encoder: OnnxEncoder, documents: Path) -> float:
    """Return how many tokens a second are encoded in chunks, on all cores: the best of three."""

    def token_starts(text: str) -> Int64:
        return encoder.tokenize(text).spans[:, 0].astype(np.int64)

    read = (read_document(documents, file.name) for file in scan_folder(documents).files)
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

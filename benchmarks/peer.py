"""Measure Sourceline beside txtai: start, latency, throughput, memory, indexing speed and disk.

    python benchmarks/peer.py [--runs 3] [--documents FOLDER] [--cross-encoder FOLDER] [--json FILE] [--plot FILE.svg]
        [--profile]

What is compared does the same. Mode ``fast`` stands beside txtai's hybrid search, and mode ``read`` beside a hybrid
search whose first ten go through sentence-transformers' CrossEncoder (``txtai_reranker.py``). ``--cross-encoder`` is
that model's folder; without it only ``fast`` is compared. ``python -m training.reader.base`` makes one from the weights
that the reader began with.

The latest txtai is installed once, into an environment of its own below ``--cache``; it gets the same model folder, the
same torch, a hybrid index (dense and BM25) with its content, and its own API server. Each run measures all, one after
the other, as they ship: a single server process, five passages an answer; wrk is the client, alone and 16 at once.
Sourceline has its reader loaded in both modes. p95 is that of questions under 200 characters. The seed documents are
served; indexing speed and disk are measured on ``--documents``, which should be a larger corpus.

txtai is at an advantage: it is given the sentences, and its clock runs over ``index()`` and ``save()`` alone,
Sourceline's over the whole build. The table has medians (lowest to highest); ``ratio`` is how many times better than
txtai, the median of the runs. ``--profile`` adds where the time of an answer goes, as ``answer_profile.py`` prints it.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from serving import P50, P95, P99, SEEDS, SHORT, Server, measure, rebuild, seed_questions, sourceline_on

from sourceline.encoders.hub import find_model
from sourceline.encoders.load import ENCODERS
from sourceline.evaluation.metrics import Estimate
from sourceline.evaluation.report import LIGHT, draw_intervals, to_svg
from sourceline.index.snapshot import open_current
from sourceline.types import DEFAULT_MODEL, Backend, Mode

HERE = Path(__file__).parent
CLIENTS = 16
PASSAGES = 5  # of an answer
OURS, PEER = "Sourceline", "txtai"
FAILED = f"failed at {CLIENTS} clients, %"
MORE_IS_BETTER = {f"requests/s at {CLIENTS} clients", "sentences indexed/s"}
# Median, lowest and highest of the runs.
Spread = tuple[float, float, float]


def main() -> None:
    """Install txtai, index, measure in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--documents", type=Path, default=SEEDS, help="indexed for speed and disk")
    parser.add_argument("--cross-encoder", type=Path, help="a folder; what reranks txtai's first ten")
    parser.add_argument("--seconds", type=int, default=10, help="of each load: by one client, by many")
    parser.add_argument("--cache", type=Path, default=HERE.parent / ".peer", help="where txtai is installed")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--profile", action="store_true", help="also print where the time of an answer goes")
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("the load generator is missing: apt-get install -y wrk")
    python = install_peer(arguments.cache)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(python, Path(scratch), arguments.documents, arguments.cross_encoder, arguments.seconds)
        runs = []
        for number in range(arguments.runs):
            runs.append(bench.run())
            print(f"run {number + 1} of {arguments.runs} is done", file=sys.stderr, flush=True)
        compared = compare(runs)
        versions = {OURS: version("sourceline"), PEER: peer_version(python), "torch": version("torch")}
        print(table(compared, versions[PEER], bench.sentences))
        if not arguments.cross_encoder:
            print("Mode read was not compared: --cross-encoder FOLDER compares it.")
        measured: dict[str, Any] = {
            "machine": {"processor": processor(), "cores": os.cpu_count(), "python": platform.python_version()},
            "versions": versions,
            "cross-encoder": arguments.cross_encoder and arguments.cross_encoder.resolve().name,
            "documents": {"name": arguments.documents.resolve().name, "sentences": bench.sentences},
            "compared": compared,
            "runs": runs,
        }
        if arguments.profile:
            # A process of its own: it reads how many threads libraries may use before it imports them.
            file = Path(scratch) / "profile.json"
            command = [
                sys.executable,
                str(HERE / "answer_profile.py"),
                "--index",
                str(bench.served),
                "--json",
                str(file),
            ]
            sys.stdout.flush()
            subprocess.run(command, check=True)
            measured["profile"] = json.loads(file.read_text("utf-8"))
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=1) + "\n", "utf-8")
    if arguments.plot:
        ratios = {name: row["ratio"] for name, row in compared.items() if row["ratio"]}
        arguments.plot.write_text(plot(f"Sourceline beside {PEER} {versions[PEER]}: times better", ratios), "utf-8")


def install_peer(cache: Path) -> Path:
    """Return the interpreter of txtai's environment; make it if there is none."""
    python, marker = cache / "bin" / "python", cache / "installed"
    # Sourceline's torch first: left to itself, txtai would bring the newest with everything for GPUs.
    torch = f"torch=={version('torch').partition('+')[0]}"
    others = (f"{PEER}[api]", f"sentence-transformers=={version('sentence-transformers')}")
    wanted = " ".join((torch, *others))
    if not marker.is_file() or marker.read_text("utf-8") != wanted:
        print(f"installing {PEER} into {cache}; it takes a minute or two", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", cache], check=True)
        for packages in ([torch], [torch, *others]):
            subprocess.run([str(python), "-m", "pip", "install", "-qq", *packages], check=True)
        marker.write_text(wanted, "utf-8")
    return python


def peer_version(python: Path) -> str:
    """Return the installed version of txtai."""
    script = f"from importlib.metadata import version; print(version('{PEER}'))"
    return subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stdout.strip()


class Bench:
    """Both systems, each with an index of the seeds to serve. ``sentences`` is how many the documents have."""

    def __init__(self, python: Path, scratch: Path, documents: Path, cross_encoder: Path | None, seconds: int) -> None:
        """Index the seeds with both, and the documents with Sourceline, whose sentences txtai is given.

        Without a cross-encoder, mode read is left out.
        """
        self._python, self._scratch, self._documents, self._seconds = python, scratch, documents, seconds
        self._offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        self.served = scratch / "served"
        rebuild(SEEDS, self.served)
        write_sentences(self.served, scratch / "seeds.json")
        self._index_with_peer(scratch / "seeds.json", scratch / "served-by-peer")
        rebuild(documents, self._fresh_folder())
        self.sentences = write_sentences(scratch / "index", scratch / "documents.json")
        self._servers = {Mode.FAST: self._pair(Mode.FAST)}
        if cross_encoder:
            self._servers[Mode.READ] = self._pair(Mode.READ, cross_encoder)

    def _pair(self, mode: Mode, cross_encoder: Path | None = None) -> dict[str, Server]:
        """Return Sourceline asked in a mode, and txtai, with a cross-encoder behind its search if there is one."""
        config: dict[str, Any] = {"path": str(self._scratch / "served-by-peer"), "writable": False, "embeddings": {}}
        file = self._scratch / f"{mode}.yml"
        environment = self._offline | {"CONFIG": str(file)}
        if cross_encoder:
            config["cross-encoder"] = str(cross_encoder.resolve())
            environment |= {"API_CLASS": "txtai_reranker.RerankingAPI", "PYTHONPATH": str(HERE)}
        file.write_text(json.dumps(config), "utf-8")  # which is YAML, too
        return {
            OURS: sourceline_on(self.served, SEEDS, mode),
            PEER: Server(
                (str(self._python), *"-m uvicorn txtai.api:app --port 0 --no-access-log".split()),
                lambda question: ("GET", f"/search?limit={PASSAGES}&query={quote(question)}", ""),
                environment,
            ),
        }

    def run(self) -> dict[str, dict[str, float]]:
        """Return the measurements of each system; those of a mode begin with its name."""
        measured: dict[str, dict[str, float]] = {OURS: {}, PEER: {}}
        for mode, pair in self._servers.items():
            for name, server in pair.items():
                for measure_name, value in self._serve(server).items():
                    measured[name][f"{mode}: {measure_name}"] = value
        return {name: values | self._index(name) for name, values in measured.items()}

    def _serve(self, server: Server) -> dict[str, float]:
        questions = seed_questions()
        requests, short_requests = self._scratch / "requests.tsv", self._scratch / "short-requests.tsv"
        write_requests(server, questions, requests)
        write_requests(server, [question for question in questions if len(question) < SHORT], short_requests)
        return measure(server, lambda port: under_load(port, requests, short_requests, self._seconds))

    def _index(self, name: str) -> dict[str, float]:
        if name == OURS:
            folder = self._fresh_folder()
            seconds = rebuild(self._documents, folder)
            size = disk_bytes(folder) - disk_bytes(folder / ENCODERS)
        else:
            folder = self._scratch / "index-of-peer"
            seconds = self._index_with_peer(self._scratch / "documents.json", folder)
            size = disk_bytes(folder)
        return {
            "sentences indexed/s": self.sentences / seconds,
            "index on disk, bytes a sentence": size / self.sentences,
        }

    def _fresh_folder(self) -> Path:
        """Return a folder for an index, with nothing in it but the exported model."""
        folder = self._scratch / "index"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.served / ENCODERS, folder / ENCODERS)
        return folder

    def _index_with_peer(self, sentences: Path, folder: Path) -> float:
        command = [
            self._python,
            HERE / "txtai_index.py",
            sentences,
            find_model(DEFAULT_MODEL, Backend.TORCH).folder,
            folder,
        ]
        process = subprocess.run(command, env=self._offline, check=True, stdout=subprocess.PIPE, text=True)
        return float(process.stdout)


def write_sentences(index: Path, file: Path) -> int:
    """Write the sentences of an index as JSON; return how many there are."""
    store = open_current(index).passages
    texts = [passage.text for entry in store.documents for passage in store.answers_of(entry).values()]
    file.write_text(json.dumps(texts), "utf-8")
    return len(texts)


def write_requests(server: Server, questions: Sequence[str], file: Path) -> None:
    """Write the requests that ask a server these questions, for ``load.lua``."""
    lines = ("\t".join(server.request(question)) for question in questions)
    file.write_text("\n".join(lines) + "\n", "utf-8")


def under_load(port: int, requests: Path, short_requests: Path, seconds: int) -> dict[str, float]:
    """Return latency and throughput with a single client, and with many at once."""
    single, short = (run_wrk(port, file, seconds, 1) for file in (requests, short_requests))
    for alone in (single, short):
        if alone["refused"] or alone["lost"]:
            raise RuntimeError(f"questions of a single client were not answered: {alone}")
    many = run_wrk(port, requests, seconds, CLIENTS)
    failed = many["refused"] + many["lost"]
    if many["requests"] == many["refused"]:
        raise RuntimeError(f"none of {CLIENTS} clients was answered within {seconds} s: {many}")
    return {
        P50: single["p50_ms"],
        P95: short["p95_ms"],
        P99: single["p99_ms"],
        f"requests/s at {CLIENTS} clients": (many["requests"] - many["refused"]) / many["seconds"],
        f"p99 at {CLIENTS} clients, ms": many["p99_ms"],
        FAILED: 100 * failed / (many["requests"] + many["lost"]),
    }


def run_wrk(port: int, requests: Path, seconds: int, clients: int) -> dict[str, float]:
    """Return what ``load.lua`` prints, after a short run to warm up."""
    command = ["wrk", "-t1", f"-c{clients}", "--timeout", "30s", "-s", str(HERE / "load.lua")]
    output = ""
    for duration in (2, seconds):
        wrk = [*command, f"-d{duration}s", f"http://127.0.0.1:{port}", "--", str(requests)]
        output = subprocess.run(wrk, check=True, capture_output=True, text=True).stdout
        time.sleep(1)  # what was under way when wrk stopped is answered
    measured: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    return measured


def compare(runs: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, Spread | None]]:
    """Return the spread of each measurement for both systems and of the ratio, None where there is no ratio."""
    compared: dict[str, dict[str, Spread | None]] = {}
    for name in runs[0][OURS]:
        pairs = [(run[OURS][name], run[PEER][name]) for run in runs]
        measured = name.rpartition(": ")[2]  # without the mode
        more = measured in MORE_IS_BETTER
        ratios = [ours / peer if more else peer / ours for ours, peer in pairs if ours and peer]
        columns = {
            OURS: [ours for ours, _ in pairs],
            PEER: [peer for _, peer in pairs],
            "ratio": [] if measured == FAILED else ratios,
        }
        compared[name] = {
            column: (statistics.median(values), min(values), max(values)) if values else None
            for column, values in columns.items()
        }
    return compared


def table(compared: Mapping[str, Mapping[str, Spread | None]], peer: str, sentences: int) -> str:
    """Return the table in Markdown; ``peer`` is txtai's version, ``sentences`` how many were indexed."""
    lines = [f"| {sentences:,} sentences indexed | {OURS} | {PEER} {peer} | ratio |", "|---|---|---|---|"]
    for name, row in compared.items():
        cells = [format_spread(row[column]) for column in (OURS, PEER)]
        ratio = row["ratio"]
        cells.append(f"{ratio[0]:.1f} × ({ratio[1]:.1f} to {ratio[2]:.1f})" if ratio else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def format_spread(spread: Spread | None) -> str:
    """Return a median with its lowest and highest value, to three significant digits."""
    if spread is None:
        return ""
    digits = 0 if spread[0] >= 100 else 1 if spread[0] >= 10 else 2
    median, low, high = (f"{value:,.{digits}f}" for value in spread)
    return f"{median} ({low} to {high})"


def plot(title: str, ratios: Mapping[str, Spread]) -> str:
    """Return a row for each measurement, its ratio on a logarithmic axis, as SVG."""
    return to_svg(title, (7.4, 0.6 + 0.42 * len(ratios)), partial(draw, ratios))


def draw(ratios: Mapping[str, Spread], figure: Figure) -> None:
    """Draw the ratios, the first on top; to the right of 1 is better."""
    axes = figure.add_subplot()
    rows = range(len(ratios))
    draw_intervals(axes, [Estimate(*spread) for spread in ratios.values()], list(rows), LIGHT["one"])
    for row, (ratio, _, _) in zip(rows, ratios.values(), strict=True):
        axes.annotate(f"{ratio:.1f} ×", (ratio, row), (0, 5), textcoords="offset points", ha="center", fontsize=9)
    axes.axvline(1, color=LIGHT["ink"], linewidth=1, zorder=0)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.5), max(high, 2))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(rows, list(ratios))
    axes.set_ylim(len(ratios) - 0.5, -0.7)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def disk_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def processor() -> str:
    """Return the name of the processor (Linux)."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(": ")[2] if names else platform.machine()


if __name__ == "__main__":
    main()

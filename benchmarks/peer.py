"""Measure beside txtai: ``python benchmarks/peer.py [--runs 3] [--documents FOLDER] [--json FILE] [--plot FILE.svg]``.

The latest txtai is installed once, into an environment of its own below ``--cache``; it gets the same model folder, the
same torch, a hybrid index (dense and BM25) with its content, and its own API server. Each run measures both, one after
the other, as they ship: one server process, five passages an answer; wrk asks, as one client and as many. The seed
documents are served; sentences a second and the index's size are taken on ``--documents``, which should be a bigger
corpus. What works for the peer: it is given sentences that are cut already, and its clock runs over ``index()`` and
``save()`` alone, Sourceline's over the whole build. The table has medians (least to most); ``ratio``: how many times
better than the peer, the median of the runs. ``--profile`` adds where the time of an answer goes, as
``benchmarks/where.py`` prints it.
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
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from serving import ENVIRONMENT, SEEDS, System, measure, rebuild, seed_questions, sourceline_on

from sourceline.encoders.hub import find_model
from sourceline.encoders.load import ENCODERS
from sourceline.evaluation.metrics import Figure
from sourceline.evaluation.plots import ratios, standalone
from sourceline.index.snapshot import open_current
from sourceline.types import DEFAULT_MODEL

HERE = Path(__file__).parent
CLIENTS = 16
OURS, PEER = "Sourceline", "txtai"
MORE_IS_BETTER = {f"requests/s at {CLIENTS} clients", "sentences indexed/s"}
REFUSED = f"failed at {CLIENTS} clients, %"

Figures = Mapping[str, float]


def main() -> None:
    """Install, index, measure in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--documents", type=Path, default=SEEDS, help="what is indexed for sentences a second and size")
    parser.add_argument("--seconds", type=int, default=10, help="of load in each run, by one client and by many")
    parser.add_argument("--cache", type=Path, default=HERE.parent / ".peer", help="where txtai is installed")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--profile", action="store_true", help="print where the time of an answer goes, too")
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("the load generator is missing: apt-get install -y wrk")
    python = installed(arguments.cache)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(python, Path(scratch), arguments.documents, arguments.seconds)
        runs = []
        for number in range(arguments.runs):
            runs.append(bench.run())
            print(f"run {number + 1} of {arguments.runs} is done", file=sys.stderr, flush=True)
        compared = compare(runs)
        versions = {OURS: version("sourceline"), PEER: peer_version(python), "torch": version("torch")}
        print(table(compared, versions[PEER], bench.sentences))
        found: dict[str, Any] = {
            "machine": {"processor": processor(), "cores": os.cpu_count(), "python": platform.python_version()},
            "versions": versions,
            "documents": {"name": arguments.documents.resolve().name, "sentences": bench.sentences},
            "compared": compared,
            "runs": runs,
        }
        if arguments.profile:
            from where import profile, show  # which opens the index in this process

            found["profile"] = profile(bench.served)
            print(show(found["profile"]))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    if arguments.plot:
        shown = {name: Figure(*row["ratio"]) for name, row in compared.items() if row["ratio"]}
        title = f"Sourceline beside {PEER} {versions[PEER]}: times better"
        arguments.plot.write_text(standalone(ratios(title, shown)), "utf-8")


def installed(cache: Path) -> Path:
    """Return the interpreter of the peer's environment; make it, if it is not there."""
    python, done = cache / "bin" / "python", cache / "installed"
    if not done.is_file():
        print(f"installing {PEER} into {cache}; it takes a minute or two", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", cache], check=True)
        # Sourceline's torch, named first: left to itself, the peer would bring the newest with everything for GPUs.
        torch = f"torch=={version('torch').partition('+')[0]}"
        for wanted in ([torch], [torch, f"{PEER}[api]"]):
            subprocess.run([str(python), "-m", "pip", "install", "-qq", *wanted], check=True)
        done.touch()
    return python


def peer_version(python: Path) -> str:
    """Return which version is installed."""
    ask = f"from importlib.metadata import version; print(version('{PEER}'))"
    return subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()


class Bench:
    """Both systems, each with an index of the seeds to serve; ``sentences``: how many the documents have."""

    def __init__(self, python: Path, scratch: Path, documents: Path, seconds: int) -> None:
        """Index the seeds with both, and the documents with Sourceline, whose sentences the peer is given."""
        self._python, self._scratch, self._documents, self._seconds = python, scratch, documents, seconds
        # With all the threads that it likes to start.
        self._offline = ENVIRONMENT | {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        self.served = scratch / "served"
        rebuild(SEEDS, self.served)
        self._cut(self.served, scratch / "seeds.json")
        self._index_with_peer(scratch / "seeds.json", scratch / "served-by-peer")
        rebuild(documents, self._fresh())
        self.sentences = self._cut(scratch / "index", scratch / "documents.json")
        config = scratch / "config.yml"
        config.write_text(f"path: {scratch / 'served-by-peer'}\nwritable: false\nembeddings: {{}}\n")
        self._systems = {
            OURS: sourceline_on(self.served, SEEDS),
            PEER: System(
                (str(python), *"-m uvicorn txtai.api:app --port 0 --no-access-log".split()),
                lambda question: ("GET", f"/search?limit=5&query={quote(question)}", ""),
                self._offline | {"CONFIG": str(config)},
            ),
        }

    def run(self) -> dict[str, dict[str, float]]:
        """Return the figures of each system."""
        return {name: self._serve(name) | self._index(name) for name in (OURS, PEER)}

    def _serve(self, name: str) -> dict[str, float]:
        requests = self._scratch / f"{name}.tsv"
        system = self._systems[name]
        lines = ("\t".join(system.request(question)) for question in seed_questions())
        requests.write_text("\n".join(lines) + "\n", "utf-8")
        return measure(system, lambda port: under_load(port, requests, self._seconds))

    def _index(self, name: str) -> dict[str, float]:
        if name == OURS:
            folder = self._fresh()
            seconds = rebuild(self._documents, folder)
            size: float = disk(folder) - disk(folder / ENCODERS)
        else:
            folder = self._scratch / "index-of-peer"
            seconds = self._index_with_peer(self._scratch / "documents.json", folder)
            size = float(disk(folder))
        rate, size = self.sentences / seconds, size / self.sentences
        return {"sentences indexed/s": rate, "index on disk, bytes a sentence": size}

    def _fresh(self) -> Path:
        """Return a folder for an index, with nothing in it but the compiled model."""
        folder = self._scratch / "index"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.served / ENCODERS, folder / ENCODERS)
        return folder

    def _index_with_peer(self, sentences: Path, folder: Path) -> float:
        command = [self._python, HERE / "txtai_index.py", sentences, find_model(DEFAULT_MODEL).folder, folder]
        done = subprocess.run(command, env=self._offline, check=True, stdout=subprocess.PIPE, text=True)
        return float(done.stdout)

    def _cut(self, index: Path, file: Path) -> int:
        """Write the sentences of an index; return how many there are."""
        passages = open_current(index).passages
        texts = [shown.text for entry in passages.documents for shown in passages.of_rows(entry).values()]
        file.write_text(json.dumps(texts), "utf-8")
        return len(texts)


def under_load(port: int, requests: Path, seconds: int) -> dict[str, float]:
    """Return the figures of one client that asks one question after the other, and of many at once."""
    one, many = (load(port, requests, seconds, clients) for clients in (1, CLIENTS))
    failed = many["refused"] + many["lost"]
    if one["refused"] or one["lost"]:
        raise RuntimeError(f"questions of one client were not answered: {one}")
    return {
        "p50 at one client, ms": one["p50_ms"],
        "p99 at one client, ms": one["p99_ms"],
        f"requests/s at {CLIENTS} clients": (many["requests"] - many["refused"]) / many["seconds"],
        f"p99 at {CLIENTS} clients, ms": many["p99_ms"],
        REFUSED: 100 * failed / (many["requests"] + many["lost"]),
    }


def load(port: int, requests: Path, seconds: int, clients: int) -> dict[str, float]:
    """Return what wrk says, after a short run to warm up."""
    command = ["wrk", "-t1", f"-c{clients}", "--timeout", "30s", "-s", str(HERE / "load.lua")]
    for lasts in (2, seconds):
        wrk = [*command, f"-d{lasts}s", f"http://127.0.0.1:{port}", "--", str(requests)]
        said = subprocess.run(wrk, check=True, capture_output=True, text=True).stdout
        time.sleep(1)  # what was under way when wrk stopped is answered
    found: dict[str, float] = json.loads(said.strip().splitlines()[-1])
    return found


def compare(runs: Sequence[Mapping[str, Figures]]) -> dict[str, dict[str, Any]]:
    """Return for each measure (median, least, most) of both systems and of the ratio, which is None where none is."""
    compared: dict[str, dict[str, Any]] = {}
    for name in runs[0][OURS]:
        pairs = [(run[OURS][name], run[PEER][name]) for run in runs]
        times = [ours / peer if name in MORE_IS_BETTER else peer / ours for ours, peer in pairs if ours and peer]
        columns = {OURS: [ours for ours, _ in pairs], PEER: [peer for _, peer in pairs], "ratio": times}
        if name == REFUSED:
            columns["ratio"] = []
        compared[name] = {
            column: (statistics.median(values), min(values), max(values)) if values else None
            for column, values in columns.items()
        }
    return compared


def table(compared: Mapping[str, Mapping[str, Any]], peer: str, sentences: int) -> str:
    """Return the table in Markdown; ``peer`` is the version, ``sentences`` those that were indexed."""
    lines = [f"| {sentences:,} sentences indexed | {OURS} | {PEER} {peer} | ratio |", "|---|---|---|---|"]
    for name, row in compared.items():
        ratio = f"{row['ratio'][0]:.1f} × ({row['ratio'][1]:.1f} to {row['ratio'][2]:.1f})" if row["ratio"] else ""
        lines.append(f"| {name} | {cell(row[OURS])} | {cell(row[PEER])} | {ratio} |")
    return "\n".join(lines)


def cell(values: tuple[float, float, float]) -> str:
    """Return a median with its least and most, with three digits that count."""
    places = 0 if values[0] >= 100 else 1 if values[0] >= 10 else 2
    median, least, most = (f"{value:,.{places}f}" for value in values)
    return f"{median} ({least} to {most})"


def disk(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def processor() -> str:
    """Return the name of the processor (Linux)."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(": ")[2] if names else platform.machine()


if __name__ == "__main__":
    main()

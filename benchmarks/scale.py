"""Measure what size costs: build, disk, start, latency, memory and quality from 1,000 to 1,000,000 sentences.

    python benchmarks/scale.py FOLDER [--with SET] [--sizes 1000 10000] [--json FILE] [--plot FILE.svg]

FOLDER is what ``corpus.py --with SET`` makes; it is made now if it does not exist. Each size is a part of the next: the
labelled set's own documents first, then others from all over the corpus. A size is built by ``sourceline
rebuild-index``, with an exported model, and served by ``sourceline serve``; what was built before is used again.

``recall`` is the share of the 30 nearest sentence vectors that the index finds; ``R@1`` is that of mode ``fast``, ``R@1
exact`` with exact dense search, ``R@1 common`` over the questions that can be asked at every size.
"""

import argparse
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import corpus
import numpy as np
from exact import approximation_loss
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from serving import answer_times, ask, resident_megabytes, running, sourceline, sourceline_on

from sourceline.encoders.load import ENCODERS
from sourceline.evaluation.dataset import Question, read_dataset
from sourceline.evaluation.report import LIGHT, to_svg
from sourceline.index.snapshot import SNAPSHOTS
from sourceline.types import Mode

Row = Mapping[str, float]

# The title of each panel, the columns in it, and whether its axis is logarithmic.
PANELS = (
    ("median answer at one client, ms", ("read p50 ms", "fast p50 ms"), True),
    ("memory, MB", ("resident MB", "build MB"), True),
    ("disk, bytes a sentence", ("snapshot B", "index B"), False),
    ("build, s", ("build s",), True),
    ("R@1", ("R@1", "R@1 common"), False),
    ("recall of dense search", ("recall",), False),
)


def main() -> None:
    """Measure each size and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--with", dest="labelled", type=Path, help="the labelled set of a corpus that is made now")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--questions", type=int, default=1_000, help="the most questions of the set that are asked")
    parser.add_argument("--work", type=Path, help="where the indexes are kept; FOLDER/sizes")
    parser.add_argument("--rebuild", action="store_true", help="also build what was built before")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    sizes = sorted(arguments.sizes)
    if not (arguments.folder / "documents").is_dir():
        if not arguments.labelled:
            parser.error(f"there is no corpus in {arguments.folder}: --with SET makes one")
        corpus.make_corpus(arguments.folder, sizes[-1], arguments.labelled)
    work = arguments.work or arguments.folder / "sizes"
    rows: list[Row] = []
    for row in measure(arguments.folder, sizes, arguments.questions, work, arguments.rebuild):
        if not rows:
            print(f"| {' | '.join(row)} |\n|{' --: |' * len(row)}")
        print(f"| {' | '.join(f'{value:,}' for value in row.values())} |", flush=True)
        rows.append(row)
    if arguments.json:
        arguments.json.write_text(json.dumps({"cores": os.cpu_count(), "rows": rows}, indent=1) + "\n")
    if arguments.plot:
        arguments.plot.write_text(plot(rows), "utf-8")


def measure(folder: Path, sizes: Sequence[int], count: int, work: Path, rebuild: bool) -> Iterator[Row]:
    """Yield the measurements of each size."""
    encoders = export_model(work)
    select_documents(folder / "documents", sizes, work)
    common = questions_about(folder, work / str(sizes[0]) / "documents", count)
    for size in sizes:
        place = work / str(size)
        if rebuild:
            shutil.rmtree(place / "index", ignore_errors=True)
            (place / "build.json").unlink(missing_ok=True)
        questions = questions_about(folder, place / "documents", count)
        built = measure_build(place, encoders)
        served = measure_serving(place, questions[:300])
        yield built | served | approximation_loss(place / "index", questions, common)


def questions_about(folder: Path, documents: Path, count: int) -> list[Question]:
    """Return the first ``count`` questions, in one order for all sizes, that these documents answer."""
    questions = [question for question in read_dataset(folder).questions if question.answerable]
    random.Random(0).shuffle(questions)
    return [q for q in questions if all((documents / label.document).is_file() for label in q.relevant)][:count]


def select_documents(source: Path, sizes: Sequence[int], work: Path) -> None:
    """Copy the documents of each size: the labelled ones first, then the others in an order that mixes packages."""
    missing = [size for size in sizes if not (work / str(size) / "documents").is_dir()]
    if not missing:
        return
    counts: dict[Path, int] = {}
    total = 0
    files = (path for path in source.rglob("*") if path.is_file())
    for path in sorted(files, key=partial(_order, source=source)):
        counts[path] = corpus.count_sentences_of_file(path)
        total += counts[path]
        if total >= missing[-1]:
            break
    for size in missing:
        place, total = work / str(size), 0
        shutil.rmtree(place / "selected", ignore_errors=True)
        for path, sentences in counts.items():
            if total + sentences / 2 > size:  # nearer without it
                break
            total += sentences
            target = place / "selected" / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        (place / "selected").rename(place / "documents")


def _order(path: Path, source: Path) -> tuple[bool, str]:
    name = path.relative_to(source)
    other = name.parts[0] in corpus.PACKAGES
    return other, hashlib.sha256(name.as_posix().encode()).hexdigest() if other else name.as_posix()


def environment(place: Path) -> dict[str, str]:
    """Return the environment in which the commands use a size's folder."""
    return {"SOURCELINE_DOCUMENTS": str(place / "documents"), "SOURCELINE_INDEX": str(place / "index")}


def export_model(work: Path) -> Path:
    """Return a folder with the exported model, which is made once, so that no size's build pays for it."""
    place = work / "model"
    if not (place / "build.json").is_file():
        (place / "documents").mkdir(parents=True, exist_ok=True)
        (place / "documents" / "single.txt").write_text("There is a single sentence in this document.\n")
        measure_build(place, None)
    return place / "index" / ENCODERS


def measure_build(place: Path, encoders: Path | None) -> dict[str, float]:
    """Build, if that was not done before; return time, memory and disk. An interrupted build goes on."""
    report, index = place / "build.json", place / "index"
    if not report.is_file():
        resumed = index.is_dir()
        if encoders and not resumed:
            shutil.copytree(encoders, index / ENCODERS)
        command = [sys.executable, "-m", "sourceline", "rebuild-index"]
        process = subprocess.Popen(command, env=os.environ | environment(place), stdout=subprocess.PIPE)
        assert process.stdout
        output = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"the build failed: {output}")
        count = int(re.findall(r"([\d,]+) passages?", output)[0].replace(",", ""))
        seconds = float(re.findall(r"passages?, ([\d.]+) s", output)[0])
        values = {"sentences": count, "build s": seconds, "build MB": usage.ru_maxrss // 1024}
        # What was encoded before an interruption is not in the time.
        report.write_text(json.dumps(values | ({"resumed": 1} if resumed else {})))
    known: dict[str, float] = json.loads(report.read_text())
    if "resumed" in known:
        print(f"{place}: the build was interrupted, its seconds are those of its last part", file=sys.stderr)
    return {name: known[name] for name in ("sentences", "build s", "build MB")} | measure_disk(index, known)


def measure_disk(index: Path, built: Row) -> dict[str, float]:
    """Return what a sentence takes on disk, and the speed of the build."""
    (snapshot,) = (index / SNAPSHOTS).iterdir()
    model = disk_bytes(index / ENCODERS)  # the same at every size
    return {
        "sentences/s": round(built["sentences"] / built["build s"]),
        "snapshot B": round(disk_bytes(snapshot) / built["sentences"]),
        "index B": round((disk_bytes(index) - model) / built["sentences"]),
    }


def disk_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure_serving(place: Path, questions: Sequence[Question]) -> dict[str, float]:
    """Return how long the server takes to start and to answer, and its memory after 900 answers in each mode."""
    texts = [question.text for question in questions]
    started = time.perf_counter()
    with running(sourceline_on(place / "index", place / "documents")) as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        ask(connection, texts[0])
        measured = {"start s": round(time.perf_counter() - started, 2)}
        for mode in Mode:
            server = sourceline(mode)
            answer_times(connection, texts, len(texts), server)  # each once, so that what they read is in memory
            times = answer_times(connection, texts, 900, server)
            measured[f"{mode} p50 ms"] = round(statistics.median(times), 2)
            measured[f"{mode} p99 ms"] = round(statistics.quantiles(times, n=100)[98], 2)
        connection.close()
        return measured | {"resident MB": round(resident_megabytes(process.pid))}


def plot(rows: Sequence[Row]) -> str:
    """Return a panel for each measurement over the number of sentences, as SVG."""
    return to_svg("What size costs", (9.4, 5.2), partial(draw, rows))


def draw(rows: Sequence[Row], figure: Figure) -> None:
    """Draw the panels."""
    sizes = [row["sentences"] for row in rows]
    panels = figure.subplots(2, 3).flat
    for axes, (title, columns, logarithmic) in zip(panels, PANELS, strict=True):
        for column, color in zip(columns, ("one", "two"), strict=False):
            axes.plot(sizes, [row[column] for row in rows], "o-", color=LIGHT[color], markersize=4, label=column)
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xscale("log")
        values = [row[column] for row in rows for column in columns]
        if logarithmic:
            axes.set_yscale("log")
            axes.set_ylim(10 ** np.floor(np.log10(min(values))), 10 ** np.ceil(np.log10(max(values))))
        else:
            axes.set_ylim(0, 1.05 * max(values))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value)))
            axis.set_minor_locator(NullLocator())
        if len(columns) > 1:
            axes.legend(fontsize=8)


def format_tick(value: float) -> str:
    """Return the label of a tick.

    >>> format_tick(1_000_000), format_tick(15_000), format_tick(0.1 + 0.2)
    ('1M', '15k', '0.3')
    """
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1_000:g}k" if value >= 1_000 else f"{value:.4g}"


if __name__ == "__main__":
    main()

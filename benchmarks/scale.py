"""What size costs: ``python benchmarks/scale.py FOLDER [--with SET] [--sizes 1000 …] [--json FILE] [--plot FILE.svg]``.

FOLDER is what ``benchmarks/corpus.py --with SET`` made; it is made here if it is not there. Each size is a part of the
next: the labelled set's own documents first, then others from all over the corpus. A size is built by ``sourceline
rebuild-index``, with a model that is compiled already, and served by ``sourceline serve``; what has been built is used
again. ``recall`` is the share of the 30 nearest sentence vectors by exact search that the index finds; ``R@1 exact`` is
with exact search in the place of the index's own; ``R@1 same`` is over the questions that can be asked at every size.
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
from pathlib import Path

import corpus
import curves
from exact import quality
from serving import answer_times, ask, live_index, resident_megabytes, sourceline_on

from sourceline.evaluation.dataset import LabelledQuestion, read_labels


def main() -> None:
    """Measure each size and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--with", dest="labelled", type=Path, help="the labelled set of a corpus that is made now")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--questions", type=int, default=1_000, help="at most so many of the set are asked")
    parser.add_argument("--work", type=Path, help="where the indexes are kept; FOLDER/sizes")
    parser.add_argument("--rebuild", action="store_true", help="build also what has been built")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    sizes = sorted(arguments.sizes)
    if not (arguments.folder / "documents").is_dir():
        if not arguments.labelled:
            parser.error(f"there is no corpus in {arguments.folder}: --with SET makes one")
        corpus.make(arguments.folder, sizes[-1], arguments.labelled)
    work = arguments.work or arguments.folder / "sizes"
    rows: list[dict[str, float]] = []
    for row in measured(arguments.folder, sizes, arguments.questions, work, arguments.rebuild):
        if not rows:
            print(f"| {' | '.join(row)} |\n|{' --: |' * len(row)}")
        print(f"| {' | '.join(f'{value:,}' for value in row.values())} |", flush=True)
        rows.append(row)
    if arguments.json:
        arguments.json.write_text(json.dumps({"cores": os.cpu_count(), "rows": rows}, indent=1) + "\n")
    if arguments.plot:
        arguments.plot.write_text(curves.draw(rows))


def measured(folder: Path, sizes: Sequence[int], count: int, work: Path, rebuild: bool) -> Iterator[dict[str, float]]:
    """Yield the figures of each size."""
    encoders = compiled(work)
    cut_corpora(folder / "documents", sizes, work)
    everywhere = questions_about(folder, work / str(sizes[0]) / "documents", count)
    for size in sizes:
        place = work / str(size)
        if rebuild:
            shutil.rmtree(place / "index", ignore_errors=True)
            (place / "build.json").unlink(missing_ok=True)
        asked = questions_about(folder, place / "documents", count)
        yield built(place, encoders) | served(place, asked[:300]) | quality(place / "index", asked, everywhere)


def questions_about(folder: Path, documents: Path, count: int) -> list[LabelledQuestion]:
    """Return the first so many questions, in one order for all sizes, that these documents answer."""
    asked = [question for question in read_labels(folder).questions if question.answerable]
    random.Random(0).shuffle(asked)
    return [q for q in asked if all((documents / label.document).is_file() for label in q.relevant)][:count]


def cut_corpora(source: Path, sizes: Sequence[int], work: Path) -> None:
    """Copy the documents of each size: the labelled ones first, then the others in an order that mixes packages."""
    missing = [size for size in sizes if not (work / str(size) / "documents").is_dir()]
    if not missing:
        return
    counts: dict[Path, int] = {}
    total = 0
    for path in sorted((path for path in source.rglob("*") if path.is_file()), key=lambda path: _order(path, source)):
        counts[path] = corpus.sentences_in(path)
        total += counts[path]
        if total >= missing[-1]:
            break
    for size in missing:
        place, total = work / str(size), 0
        shutil.rmtree(place / "cut", ignore_errors=True)
        for path, sentences in counts.items():
            if total + sentences / 2 > size:  # nearer without it
                break
            total += sentences
            target = place / "cut" / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        (place / "cut").rename(place / "documents")


def _order(path: Path, source: Path) -> tuple[bool, str]:
    name = path.relative_to(source)
    other = name.parts[0] in corpus.PACKAGES
    return other, hashlib.sha256(name.as_posix().encode()).hexdigest() if other else name.as_posix()


def environment(place: Path) -> dict[str, str]:
    """Return the environment in which the commands use a size's folder."""
    return {"SOURCELINE_DOCUMENTS": str(place / "documents"), "SOURCELINE_INDEX": str(place / "index")}


def compiled(work: Path) -> Path:
    """Return a folder with the compiled model, which is made once, so that no size's build pays for it."""
    place = work / "model"
    if not (place / "build.json").is_file():
        (place / "documents").mkdir(parents=True, exist_ok=True)
        (place / "documents" / "one.txt").write_text("There is one sentence in this document.\n")
        built(place, None)
    return place / "index" / "encoders"


def built(place: Path, encoders: Path | None) -> dict[str, float]:
    """Build, if it is not built yet; return time, memory and disk. A build that was interrupted goes on."""
    report, index = place / "build.json", place / "index"
    if not report.is_file():
        resumed = index.is_dir()
        if encoders and not resumed:
            shutil.copytree(encoders, index / "encoders")
        command = [sys.executable, "-m", "sourceline", "rebuild-index"]
        process = subprocess.Popen(command, env=os.environ | environment(place), stdout=subprocess.PIPE)
        assert process.stdout
        said = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"the build failed: {said}")
        count = int(re.findall(r"([\d,]+) passages", said)[0].replace(",", ""))
        seconds = float(re.findall(r"passages, ([\d.]+) s", said)[0])
        figures = {"sentences": count, "build s": seconds, "build MB": usage.ru_maxrss // 1024}
        # What was encoded before an interruption is not in the time.
        report.write_text(json.dumps(figures | ({"resumed": 1} if resumed else {})))
    known: dict[str, float] = json.loads(report.read_text())
    if "resumed" in known:
        print(f"{place}: the build was interrupted, its seconds are those of its last part", file=sys.stderr)
    return {name: known[name] for name in ("sentences", "build s", "build MB")} | sizes_on_disk(index, known)


def sizes_on_disk(index: Path, built: Mapping[str, float]) -> dict[str, float]:
    """Return what a sentence takes on disk, and the speed of the build."""
    (snapshot,) = (index / "snapshots").iterdir()
    model = disk(index / "encoders")  # the same at every size
    return {
        "sentences/s": round(built["sentences"] / built["build s"]),
        "snapshot B": round(disk(snapshot) / built["sentences"]),
        "index B": round((disk(index) - model) / built["sentences"]),
    }


def disk(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def served(place: Path, questions: Sequence[LabelledQuestion]) -> dict[str, float]:
    """Return how long the server takes to start and to answer, and its memory after 900 answers."""
    texts = [question.text for question in questions]
    started = time.perf_counter()
    with live_index(sourceline_on(place / "index", place / "documents")) as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        ask(connection, texts[0])
        first = time.perf_counter() - started
        answer_times(connection, texts, len(texts))  # each once, so that what they read is in memory
        times = answer_times(connection, texts, 900)
        connection.close()
        return {
            "start s": round(first, 2),
            "p50 ms": round(statistics.median(times), 2),
            "p99 ms": round(statistics.quantiles(times, n=100)[98], 2),
            "resident MB": round(resident_megabytes(process.pid)),
        }


if __name__ == "__main__":
    main()

"""What one changed document costs: ``python benchmarks/incremental.py FOLDER [--documents 1000] [--pairs 7]``.

FOLDER holds text documents, as ``benchmarks/corpus.py`` makes; pieces of them, of about 36 sentences each, are the
documents here. In turn, one of them gets another sentence and ``sourceline rebuild-index`` runs, and that document
alone is built into an index of its own. Whole commands are timed, with a model that is compiled already.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from serving import rebuild

from sourceline.encoders.hub import find_model
from sourceline.encoders.load import ENCODERS, prepare_encoder
from sourceline.types import DEFAULT_MODEL, Backend

CHARACTERS = 4_000


def main() -> None:
    """Build a corpus, then print what changing one of its documents takes, and that document alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=1_000)
    parser.add_argument("--pairs", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        corpus, index = Path(scratch) / "corpus", Path(scratch) / "index"
        names = write(corpus, islice(pieces(arguments.folder), arguments.documents))
        encoders = Path(scratch) / ENCODERS
        prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), encoders)
        shutil.copytree(encoders, index / ENCODERS)
        print(f"{len(names):,} documents, built in {rebuild(corpus, index):.1f} s")
        pairs = []
        for number in range(arguments.pairs):
            changed = corpus / names[number * len(names) // arguments.pairs]
            with changed.open("a", encoding="utf-8") as file:
                file.write(f"\nA sentence that was not there before, the {number + 1}th.\n")
            pairs.append((seconds(corpus, index), alone(changed, encoders)))
    for name, values in (
        ("one changed, s", [one for one, _ in pairs]),
        ("that one alone, s", [other for _, other in pairs]),
        ("ratio", [one / other for one, other in pairs]),
    ):
        print(f"{name:20} {statistics.median(values):6.2f}   ({min(values):.2f} to {max(values):.2f})")


def pieces(folder: Path) -> Iterator[str]:
    """Yield stretches of whole paragraphs of the documents in a folder, as long as a document is to be."""
    for path in sorted(folder.rglob("*.txt")):
        piece = ""
        for paragraph in path.read_text("utf-8").split("\n\n"):
            piece += paragraph + "\n\n"
            if len(piece) >= CHARACTERS:
                yield piece
                piece = ""


def write(folder: Path, texts: Iterator[str]) -> list[str]:
    """Write a document for each text; return their names."""
    folder.mkdir()
    names = []
    for number, text in enumerate(texts):
        names.append(f"{number:05d}.txt")
        (folder / names[-1]).write_text(text, "utf-8")
    return names


def alone(document: Path, encoders: Path) -> float:
    """Return the seconds that the command takes to build one document into a new index."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, index = Path(scratch) / "documents", Path(scratch) / "index"
        folder.mkdir()
        shutil.copy(document, folder)
        shutil.copytree(encoders, index / ENCODERS)
        return seconds(folder, index)


def seconds(documents: Path, index: Path) -> float:
    """Return how long ``sourceline rebuild-index`` takes from start to end."""
    started = time.perf_counter()
    rebuild(documents, index)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

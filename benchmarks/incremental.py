"""Time a rebuild after one of many documents changed, beside building that document alone.

    python benchmarks/incremental.py FOLDER [--documents 1000] [--pairs 7]

FOLDER holds text documents, such as ``corpus.py`` makes. They are split into documents of about 36 sentences. In turn,
one of these gets another sentence and ``sourceline rebuild-index`` runs, then the changed document is built into an
index of its own. Whole commands are timed, with an exported model.
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

CHARACTERS = 4_000  # of a document


def main() -> None:
    """Build a corpus, then print what a change of one document costs, and that document alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=1_000)
    parser.add_argument("--pairs", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        corpus, index = Path(scratch) / "corpus", Path(scratch) / "index"
        names = write_documents(corpus, islice(split_documents(arguments.folder), arguments.documents))
        encoders = Path(scratch) / ENCODERS
        prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), Path(scratch))
        shutil.copytree(encoders, index / ENCODERS)
        print(f"{len(names):,} documents, built in {rebuild(corpus, index):.1f} s")
        pairs = []
        for number in range(arguments.pairs):
            changed = corpus / names[number * len(names) // arguments.pairs]
            with changed.open("a", encoding="utf-8") as file:
                file.write(f"\nA sentence that was not there before, the {number + 1}th.\n")
            pairs.append((timed_rebuild(corpus, index), time_alone(changed, encoders)))
    for name, values in (
        ("one changed, s", [changed for changed, _ in pairs]),
        ("that one alone, s", [alone for _, alone in pairs]),
        ("ratio", [changed / alone for changed, alone in pairs]),
    ):
        print(f"{name:20} {statistics.median(values):6.2f}   ({min(values):.2f} to {max(values):.2f})")


def split_documents(folder: Path, characters: int = CHARACTERS) -> Iterator[str]:
    """Yield the documents of a folder in pieces of whole paragraphs, each of about ``characters``."""
    for path in sorted(folder.rglob("*.txt")):
        piece = ""
        for paragraph in path.read_text("utf-8").split("\n\n"):
            piece += paragraph + "\n\n"
            if len(piece) >= characters:
                yield piece
                piece = ""


def write_documents(folder: Path, texts: Iterator[str]) -> list[str]:
    """Write a document for each text; return their names."""
    folder.mkdir()
    names = []
    for number, text in enumerate(texts):
        names.append(f"{number:05d}.txt")
        (folder / names[-1]).write_text(text, "utf-8")
    return names


def time_alone(document: Path, encoders: Path) -> float:
    """Return the seconds that the command takes to build one document into a new index."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, index = Path(scratch) / "documents", Path(scratch) / "index"
        folder.mkdir()
        shutil.copy(document, folder)
        shutil.copytree(encoders, index / ENCODERS)
        return timed_rebuild(folder, index)


def timed_rebuild(documents: Path, index: Path) -> float:
    """Return the seconds that ``sourceline rebuild-index`` takes from start to end."""
    started = time.perf_counter()
    rebuild(documents, index)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

"""Make a big corpus of real English text: ``python benchmarks/corpus.py FOLDER --sentences 1000000 [--with SET]``.

The text is the prose of documentation packages of the Debian distribution, fetched with ``apt-get download`` and not
installed: a document a page, a paragraph a line, each paragraph once. ``--with SET`` puts a labelled set's documents in
front, so that its questions can be asked at size: FOLDER is then a labelled set as well.
"""

import argparse
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from sourceline.corpus.sentences import sentence_spans

# Manuals in HTML with much prose in it, the richest first.
PACKAGES = """
    linux-doc-6.1 debian-handbook postgresql-doc-15 python3.11-doc git-doc gnome-user-docs apache2-doc
    libreoffice-help-en-us gimp-help-en python-django-doc python-sqlalchemy-doc sqlite3-doc rust-doc llvm-14-doc
    cmake-doc erlang-doc octave-doc maxima-doc scilab-doc libboost1.74-doc openjdk-17-doc python-scipy-doc
    cppreference-doc-en-html kicad-doc-en nodejs-doc debian-policy developers-reference debian-reference-en r-doc-html
    gap-doc sagemath-doc axiom-doc haskell98-report debian-faq texlive-latex-base-doc python-pandas-doc
    python-sklearn-doc libgtk-3-doc libgtk-4-doc libglib2.0-doc qtbase5-doc-html qtdeclarative5-doc-html ghc-doc
    libstdc++-12-doc lilypond-doc-html lazarus-doc-2.2 gtkmm-documentation bind9-doc libvirt-doc postfix-doc zsh-doc
    fp-docs-3.2.2
""".split()
_PROSE = {"p", "li", "dd", "blockquote"}
_SKIPPED = {"pre", "script", "style", "nav", "table", "math", "svg", "header", "footer"}
MOST_BYTES = 200_000  # of a document


def main() -> None:
    """Make the corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sentences", type=int, required=True)
    parser.add_argument("--with", dest="labelled", type=Path, help="a labelled set")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        made = make(arguments.folder, arguments.sentences, arguments.labelled, pages(Path(scratch)))
    print(f"{made:,} sentences in {arguments.folder}")


def make(folder: Path, sentences: int, labelled: Path | None, found: Iterator[tuple[str, list[str]]]) -> int:
    """Write documents until there are about so many sentences; return how many there are."""
    documents = folder / "documents"
    documents.mkdir(parents=True)
    count = 0
    if labelled:
        shutil.copytree(labelled / "documents", documents, dirs_exist_ok=True)
        shutil.copy(labelled / "questions.jsonl", folder)
        count = sum(count_sentences(path.read_text("utf-8").splitlines()) for path in documents.rglob("*.txt"))
    for name, paragraphs in found:
        if count >= sentences:
            break
        for number, part in enumerate(parts(paragraphs)):
            path = documents / f"{name}-{number}.txt" if number else documents / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(part) + "\n", "utf-8")
            count += count_sentences(part)
    return count


def count_sentences(paragraphs: list[str]) -> int:
    """Return how many sentences these paragraphs have."""
    return sum(1 for paragraph in paragraphs for _ in sentence_spans(paragraph, 0, len(paragraph)))


def parts(paragraphs: list[str]) -> Iterator[list[str]]:
    """Yield the paragraphs of a page in documents that are not too large."""
    part: list[str] = []
    for paragraph in paragraphs:
        part.append(paragraph)
        if sum(map(len, part)) > MOST_BYTES:
            yield part
            part = []
    if part:
        yield part


def pages(scratch: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the pages of all packages, with their paragraphs; what was there before is left out."""
    seen: set[bytes] = set()
    for package in PACKAGES:
        folder = scratch / package
        folder.mkdir()
        fetched = subprocess.run(["apt-get", "download", package], cwd=folder, capture_output=True, check=False)
        if fetched.returncode:
            print(f"{package} is not to be had: left out")
            continue
        (archive,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, folder / "x"], check=True)
        for path in sorted((folder / "x").rglob("*.html")):
            if path.is_file() and not path.is_symlink():
                paragraphs = [one for one in prose(path) if not_seen(one, seen)]
                if len(paragraphs) >= 3:
                    yield f"{package}/{path.relative_to(folder / 'x').with_suffix('').as_posix()}", paragraphs
        shutil.rmtree(folder)


def not_seen(paragraph: str, seen: set[bytes]) -> bool:
    """Return whether a paragraph comes for the first time."""
    digest = hashlib.sha256(paragraph.encode()).digest()[:12]
    if digest in seen:
        return False
    seen.add(digest)
    return True


def prose(path: Path) -> list[str]:
    """Return the paragraphs of a page that are sentences."""
    reader = Paragraphs()
    reader.feed(path.read_text("utf-8", errors="replace"))
    reader.close()
    texts = (" ".join(text.split()) for text in reader.found)
    return [text for text in texts if is_prose(text)]


def is_prose(text: str) -> bool:
    """Return whether a text looks like whole sentences in a natural language."""
    if not 40 <= len(text) <= 4_000 or text[-1] not in ".!?" or "\ufffd" in text or not text[0].isupper():
        return False
    letters = sum(character.isalpha() or character == " " for character in text)
    return letters >= 0.9 * len(text)


class Paragraphs(HTMLParser):
    """Collects the text of paragraphs."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = [""]
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a paragraph, or what is left out."""
        if tag in _PROSE:
            self.found.append("")
        self._skipped += tag in _SKIPPED

    def handle_endtag(self, tag: str) -> None:
        """End a paragraph, or what is left out."""
        if tag in _PROSE:
            self.found.append("")
        self._skipped = max(0, self._skipped - (tag in _SKIPPED))

    def handle_data(self, data: str) -> None:
        """Take text."""
        if not self._skipped:
            self.found[-1] += data


if __name__ == "__main__":
    main()

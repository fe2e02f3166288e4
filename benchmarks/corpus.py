"""Make a large corpus of real English prose.

    python benchmarks/corpus.py FOLDER --sentences 1000000 [--with SET]

The text is the prose of documentation packages of the Debian distribution, which are fetched with ``apt-get download``
(``apt-get update`` may have to come first) and not installed. A document is a page, a line is a paragraph, and no
paragraph occurs twice. The same packages make the same corpus. ``--with SET`` puts a labelled set's documents in front,
so that its questions can be asked at size: FOLDER is then a labelled set, too, for ``sourceline evaluate FOLDER``.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import prose

from sourceline.ingest.sentences import sentence_spans

# What each is about. Books and guides come first, references of libraries last: some 1.1 million sentences in all.
PACKAGES = {
    "anarchism": "a book on political ideas and their history",
    "debian-handbook": "a book for administrators; its English pages",
    "debian-reference-en": "a book on using Debian",
    "harden-doc": "a book on securing Debian",
    "installation-guide-amd64": "how to install Debian; its English pages",
    "debian-policy": "rules for packages, reasoned in prose",
    "developers-reference": "procedures for Debian's developers",
    "debmake-doc": "a guide to making packages",
    "debian-faq": "questions and answers on Debian",
    "live-manual-html": "how to make live systems",
    "aptitude-doc-en": "the manual of a package manager",
    "gnome-user-docs": "help for users of a desktop",
    "gnucash-docs": "accounting explained, and a program for it",
    "gimp-help-en": "image editing",
    "libreoffice-help-en-us": "office programs, many short pages",
    "lilypond-doc-html": "engraving music",
    "csound-doc": "synthesising sound",
    "kicad-doc-en": "drawing circuits",
    "perl-doc": "a language's manual, and essays on its history",
    "postgresql-doc-15": "a database's manual, with release notes",
    "sqlite3-doc": "a database's design, in long essays",
    "db5.3-doc": "a database library's guides",
    "apache2-doc": "a web server; its English pages",
    "exim4-doc-html": "a mail server's specification",
    "postfix-doc": "a mail server's guides",
    "bind9-doc": "a name server's manual",
    "bacula-doc": "backups, a manual of many hundred pages",
    "borgbackup-doc": "backups",
    "rsyslog-doc": "logging",
    "pacemaker-doc": "clusters",
    "ganeti-doc": "clusters of virtual machines; design documents",
    "libvirt-doc": "virtual machines; release notes",
    "frr-doc": "routing",
    "mutt": "a mail program's manual",
    "rt5-doc-html": "a ticket system",
    "zsh-doc": "a shell's manual",
    "nova-doc": "a cloud's computing service: concepts, and notes on releases",
    "neutron-doc": "a cloud's network service",
    "cinder-doc": "a cloud's block storage",
    "keystone-doc": "a cloud's identity service",
    "swift-doc": "a cloud's object storage",
    "ironic-doc": "a cloud's bare-metal service",
    "linux-doc-6.1": "the kernel's manuals and the comments of its functions",
    "dpdk-doc": "packet processing; guides and release notes",
    "ns3-doc": "simulating networks",
    "python3.11-doc": "a language's tutorial, library and history",
    "python-django-doc": "a web framework, well written",
    "python-sqlalchemy-doc": "a database toolkit; a long change history in prose",
    "python-pandas-doc": "tables of data",
    "python-sklearn-doc": "machine learning, with its theory",
    "python-scipy-doc": "numerical methods",
    "python-sympy-doc": "computer algebra",
    "git-doc": "version control",
    "cmake-doc": "a build system",
    "llvm-14-doc": "a compiler's design",
    "clang-14-doc": "a compiler's manual",
    "erlang-doc": "a language, its libraries and release notes",
    "rust-doc": "a language: books, reference and library",
    "ghc-doc": "a compiler's manual and libraries",
    "haskell98-report": "a language's definition",
    "nodejs-doc": "a run-time system",
    "libboost1.74-doc": "libraries with rationales",
    "cppreference-doc-en-html": "a language's reference",
    "libstdc++-12-doc": "a library's manual",
    "xapian-doc": "a search library",
    "r-doc-html": "a statistics system's manuals",
    "octave-doc": "numerical computing",
    "maxima-doc": "computer algebra",
    "axiom-doc": "computer algebra, a book",
    "gap-doc": "group theory",
    "sagemath-doc": "mathematics; its English pages",
    "grass-doc": "maps and their analysis",
    "fp-docs-3.2.2": "a language and its libraries",
    "lazarus-doc-2.2": "user interfaces; a library's reference",
    "libglib2.0-doc": "a library's reference",
    "libgtk-3-doc": "user interfaces; a library's reference",
    "libgtk-4-doc": "user interfaces; a library's reference",
    "qtdeclarative5-doc-html": "user interfaces; guides and reference",
    "qtbase5-doc-html": "user interfaces; guides and reference",
    "openjdk-17-doc": "a language's library, the greatest share in the end",
}
MAX_BYTES = 100_000  # of a document
MIN_PARAGRAPHS = 3


def main() -> None:
    """Make the corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="must not exist, or be empty")
    parser.add_argument("--sentences", type=int, required=True)
    parser.add_argument("--with", dest="labelled", type=Path, help="a labelled set")
    arguments = parser.parse_args()
    count = make_corpus(arguments.folder, arguments.sentences, arguments.labelled)
    print(f"{count:,} sentences in {arguments.folder}")


def make_corpus(folder: Path, sentences: int, labelled: Path | None) -> int:
    """Write documents until there are about ``sentences`` sentences; return how many there are."""
    documents = folder / "documents"
    documents.mkdir(parents=True)
    count = 0
    if labelled:
        # Without the permissions of the files: a set that is read-only makes a corpus that can be edited.
        shutil.copytree(labelled / "documents", documents, dirs_exist_ok=True, copy_function=shutil.copyfile)
        documents.chmod(0o755)
        shutil.copyfile(labelled / "questions.jsonl", folder / "questions.jsonl")
        count = sum(count_sentences_of_file(path) for path in documents.rglob("*") if path.is_file())
    for name, paragraphs in package_pages():
        for number, part in enumerate(split_page(paragraphs), start=1):
            if count >= sentences:
                return count
            path = documents / f"{name}-{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n\n".join(part) + "\n", "utf-8")
            count += count_sentences(part)
    print(f"the packages hold no more than {count:,} sentences", file=sys.stderr)
    return count


def count_sentences_of_file(path: Path) -> int:
    """Return the number of sentences of a document."""
    return count_sentences(path.read_text("utf-8").splitlines())


def count_sentences(paragraphs: Sequence[str]) -> int:
    """Return the number of sentences of these paragraphs."""
    return sum(1 for paragraph in paragraphs for _ in sentence_spans(paragraph, 0, len(paragraph)))


def split_page(paragraphs: Sequence[str]) -> Iterator[list[str]]:
    """Yield the paragraphs of a page in documents that are not too large."""
    part: list[str] = []
    size = 0
    for paragraph in paragraphs:
        part.append(paragraph)
        size += len(paragraph.encode()) + 2
        if size + prose.MAX_CHARACTERS > MAX_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def package_pages() -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each page of all packages and its paragraphs, without those that occurred before."""
    seen: set[bytes] = set()
    for package in PACKAGES:
        print(package, file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            if folder := unpack(package, Path(scratch)):
                for path in prose.find_pages(folder):
                    paragraphs = [text for text in prose.read_paragraphs(path) if is_new(text, seen)]
                    if len(paragraphs) >= MIN_PARAGRAPHS:
                        yield f"{package}/{path.relative_to(folder).as_posix()}", paragraphs


def unpack(package: str, scratch: Path) -> Path | None:
    """Return a folder with the files of a package, None if it cannot be downloaded."""
    download = subprocess.run(["apt-get", "download", package], cwd=scratch, capture_output=True, check=False)
    if download.returncode:
        print(f"{package} is left out, it cannot be downloaded: {download.stderr.decode().strip()}", file=sys.stderr)
        return None
    (archive,) = scratch.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, scratch / "files"], check=True)
    return scratch / "files"


def is_new(paragraph: str, seen: set[bytes]) -> bool:
    """Return whether a paragraph occurs for the first time, and remember it."""
    digest = hashlib.sha256(paragraph.encode()).digest()[:12]
    if digest in seen:
        return False
    seen.add(digest)
    return True


if __name__ == "__main__":
    main()

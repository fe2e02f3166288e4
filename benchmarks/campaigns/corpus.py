"""A folder of documents that is edited at random, in sentences about which nothing can be in doubt."""

import random
import shutil
from pathlib import Path

from campaigns.outside import UnexpectedError, command, folders

Corpus = dict[str, tuple[str, ...]]  # the sentences of each document, by its id

_NAMES = ("minutes.txt", "costs.txt", "trams.md", "2026/report.txt", "2026/letters.md", "harbour.txt", "notes.md")
_WHO = ("board", "council", "clerk", "caretaker", "mayor", "harbour master", "librarian", "treasurer")
_DID = ("ordered", "refused", "counted", "described", "repaired", "sold", "measured", "promised")
_WHAT = ("cranes", "trams", "bridges", "ledgers", "lamps", "ferries", "windows", "boats")
_WHEN = ("in March", "on Monday", "last year", "before noon", "at the meeting", "without delay", "for the harbour")
MOST_SENTENCES = 8


class Folder:
    """A documents folder and what is done to it. ``corpus`` is what it holds.

    No sentence is like another, unless it is copied: each has a number of its own. ``source`` decides what is random.
    """

    def __init__(self, path: Path, source: random.Random) -> None:
        self.path, self.source = path, source
        self.corpus: Corpus = {}
        self._gone: list[str] = []  # sentences that can come back
        self._removed: list[tuple[str, tuple[str, ...]]] = []  # documents that can come back
        self._number = 0
        path.mkdir(parents=True, exist_ok=True)

    def fill(self) -> None:
        """Write some documents."""
        for name in self.source.sample(_NAMES, 3):
            self.corpus[name] = tuple(self._sentence() for _ in range(self.source.randint(2, 5)))
        self.write()

    def lengthen(self, count: int) -> None:
        """Put so many new sentences at the end of some document."""
        name = self._document()
        self._set(name, [*self.corpus[name], *(self._sentence() for _ in range(count))])
        self.write()

    def edit(self) -> None:
        """Make one to three random changes, and write what came of them."""
        for _ in range(self.source.randint(1, 3)):
            self.source.choice(CHANGES)(self)
        self.write()

    def write(self) -> None:
        """Make the folder hold the corpus."""
        shutil.rmtree(self.path)
        self.path.mkdir()
        for name, text in self.texts().items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text, "utf-8")

    def texts(self) -> dict[str, str]:
        """Return the text of each document."""
        return {name: text_of(sentences) for name, sentences in self.corpus.items()}

    def _sentence(self) -> str:
        self._number += 1
        who, did, what, when = (self.source.choice(words) for words in (_WHO, _DID, _WHAT, _WHEN))
        return f"The {who} {did} {self._number + 100} {what} {when}."

    def _document(self) -> str:
        return self.source.choice(sorted(self.corpus))

    def _set(self, name: str, sentences: list[str]) -> None:
        """Give a document these sentences; one without any is removed, but for the last one."""
        if sentences:
            self.corpus[name] = tuple(sentences)
        elif len(self.corpus) > 1:
            del self.corpus[name]

    def rename(self) -> None:
        """Give a document another name."""
        new = self.source.choice([*_NAMES, f"renamed-{self._number}.txt"])
        if new not in self.corpus:
            self.corpus[new] = self.corpus.pop(self._document())

    def reword(self) -> None:
        """Edit a sentence."""
        name = self._document()
        sentences = list(self.corpus[name])
        at = self.source.randrange(len(sentences))
        self._gone.append(sentences[at])
        words = sentences[at].split()
        words[self.source.choice((1, 2, len(words) - 1))] = self.source.choice(("elders", "moved", "twice"))
        self._number += 1
        sentences[at] = f"{' '.join(words).rstrip('.')} as of day {self._number + 100}."
        self._set(name, sentences)

    def add(self) -> None:
        """Put a new sentence somewhere."""
        name = self._document()
        sentences = list(self.corpus[name])
        if len(sentences) < MOST_SENTENCES:
            sentences.insert(self.source.randint(0, len(sentences)), self._sentence())
            self._set(name, sentences)

    def drop(self) -> None:
        """Take a sentence out."""
        name = self._document()
        sentences = list(self.corpus[name])
        if len(sentences) > 1:
            self._gone.append(sentences.pop(self.source.randrange(len(sentences))))
            self._set(name, sentences)

    def bring_back(self) -> None:
        """Put a sentence that is gone at the end of some document."""
        standing = {sentence for sentences in self.corpus.values() for sentence in sentences}
        gone = [sentence for sentence in self._gone if sentence not in standing]
        if gone:
            name = self._document()
            self._set(name, [*self.corpus[name], self.source.choice(gone)])

    def move(self) -> None:
        """Move a sentence to the beginning of another document."""
        source, target = self._document(), self._document()
        if source != target:
            sentences = list(self.corpus[source])
            moved = sentences.pop(self.source.randrange(len(sentences)))
            self._set(target, [moved, *self.corpus[target]])
            self._set(source, sentences)

    def copy(self) -> None:
        """Copy a sentence to the end of some document, now and then."""
        if self.source.random() < 0.3:
            source, target = self._document(), self._document()
            self._set(target, [*self.corpus[target], self.source.choice(self.corpus[source])])

    def remove(self) -> None:
        """Remove a document."""
        if len(self.corpus) > 2:
            name = self._document()
            self._removed.append((name, self.corpus.pop(name)))

    def restore(self) -> None:
        """Put a removed document back, unless one of its sentences stands elsewhere by now."""
        if self._removed:
            name, sentences = self.source.choice(self._removed)
            standing = {sentence for other in self.corpus.values() for sentence in other}
            if name not in self.corpus and not standing.intersection(sentences):
                self.corpus[name] = sentences


CHANGES = (
    Folder.rename,
    Folder.rename,
    Folder.reword,
    Folder.reword,
    Folder.add,
    Folder.drop,
    Folder.bring_back,
    Folder.move,
    Folder.copy,
    Folder.remove,
    Folder.restore,
)


def text_of(sentences: tuple[str, ...]) -> str:
    """Return a document of these sentences, two in a paragraph."""
    paragraphs = [" ".join(sentences[at : at + 2]) for at in range(0, len(sentences), 2)]
    return "\n\n".join(paragraphs) + "\n"


def export_model(work: Path) -> Path:
    """Build a small index, into which the model is copied; return the folder of the exported model."""
    documents, index = work / "exporting", work / "exported"
    if not (index / "encoders").is_dir():
        documents.mkdir(parents=True, exist_ok=True)
        (documents / "a.txt").write_text("The model is exported once for all campaigns.\n", "utf-8")
        done = command(*folders(documents, index), "rebuild-index")
        if done.returncode:
            raise UnexpectedError(done.stderr)
    return index / "encoders"


def new_index(path: Path, encoders: Path) -> Path:
    """Make an index folder in which nothing was built, but which has the exported model; return its path."""
    shutil.copytree(encoders, path / "encoders")
    return path

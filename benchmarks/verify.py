"""Check labelled quotations, and print what became of each kind in Markdown; time ten thousand sentences.

    python benchmarks/verify.py [--model-index FOLDER] [--index FOLDER] [--failures]
    python benchmarks/verify.py --generate

They quote the seed report, the eight meetings of ``benchmarks/transcripts`` and the documents of
``training/data/reading-unseen``. Each line of ``verify/written.jsonl`` (by hand) and ``verify/generated.jsonl`` (made
of sentences at random, always the same) has a ``text`` with one quotation in it, its ``kind``, the ``status`` that it
should get, and who says it if the text names somebody else (``wrong_speaker``).

* True are ``right``, ``speaker_right``, ``fragment``, ``sentences`` (several), ``ellipsis``, ``brackets`` and
  ``typography``. They should be verbatim or reformatted; which of the two depends on line ends, and is not counted.
* Altered are ``word``, ``dropped`` and ``added`` (a word), ``number``, ``negation``, ``merged`` (two sentences),
  ``clipped`` (an end that hides how the sentence goes on) and ``brackets_changed``.
* ``speaker`` is true, and said by somebody else; ``invented`` stands nowhere.

``--index`` keeps the index in a folder, and uses what is there. ``--failures`` prints what was told wrongly.
"""

import argparse
import json
import random
import re
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sourceline import Index
from sourceline.citations.alignment import negation_in
from sourceline.citations.quoting import is_same_person
from sourceline.citations.verify import NUMBER
from sourceline.config import load_settings
from sourceline.encoders.load import ENCODERS
from sourceline.types import Passage, QuoteKind, QuoteStatus, Verification

ROOT = Path(__file__).parent.parent
SET = Path(__file__).parent / "verify"
DOCUMENTS = (
    ROOT / "seeds",
    ROOT / "benchmarks" / "transcripts" / "documents",
    ROOT / "training" / "data" / "reading-unseen" / "documents",
)
TRUE = ("right", "speaker_right", "speaker", "fragment", "sentences", "ellipsis", "brackets", "typography")
STANDS = (QuoteStatus.VERBATIM, QuoteStatus.REFORMATTED)
TIMED = 10_000  # sentences
EACH = 20  # generated of a kind
_SEED = 20
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text with a quotation in it, and what should be said of that."""

    id: str
    kind: str
    text: str
    status: QuoteStatus
    wrong_speaker: tuple[str, ...] = ()

    @property
    def is_true(self) -> bool:
        """Whether the documents say so, whoever is named."""
        return self.kind in TRUE


@dataclass(frozen=True, slots=True)
class Result:
    """What was said of a labelled quotation."""

    labelled: Labelled
    status: QuoteStatus
    wrong_speaker: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether it was told as it should be."""
        right = self.status in STANDS if self.labelled.is_true else self.status is self.labelled.status
        return right and self.wrong_speaker == self.labelled.wrong_speaker


def main() -> None:
    """Build an index of the documents, check the quotations, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    settings = load_settings()
    parser.add_argument("--model-index", type=Path, default=settings.index, metavar="FOLDER")
    parser.add_argument("--index", type=Path, metavar="FOLDER")
    parser.add_argument("--failures", action="store_true")
    parser.add_argument("--generate", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.index or Path(scratch) / "index"
        if not Index.exists(folder):
            if (exported := arguments.model_index / ENCODERS).is_dir() and not (folder / ENCODERS).exists():
                shutil.copytree(exported, folder / ENCODERS)
            copy_documents(Path(scratch) / "documents")
            Index.build(Path(scratch) / "documents", folder, model=settings.model, backend=settings.backend)
        with Index.open(folder, reranker="none") as index:
            if arguments.generate:
                write_rows(SET / "generated.jsonl", generate(index))
                return
            results = [check(labelled, index.verify) for labelled in read_labelled()]
            print(tables(results))
            if arguments.failures:
                print("\n".join(failures(results)))
            print(timing(index))


def copy_documents(folder: Path) -> None:
    """Put the documents that are quoted into one folder."""
    folder.mkdir(parents=True)
    for source in DOCUMENTS:
        for file in sorted(source.iterdir()):
            if file.suffix != ".jsonl":
                shutil.copyfile(file, folder / file.name)


def read_labelled() -> list[Labelled]:
    """Return the labelled quotations, written and generated."""
    rows = [
        json.loads(line)
        for name in ("written.jsonl", "generated.jsonl")
        for line in (SET / name).read_text("utf-8").splitlines()
    ]
    return [
        Labelled(row["id"], row["kind"], row["text"], QuoteStatus(row["status"]), tuple(row.get("wrong_speaker", ())))
        for row in rows
    ]


def check(labelled: Labelled, verify: Callable[[str], Verification]) -> Result:
    """Check one of them; the quotation is the only one in its text, or the only sentence."""
    quotes = verify(labelled.text).quotes
    quote = next((quote for quote in quotes if quote.kind is QuoteKind.QUOTATION), quotes[0])
    return Result(labelled, quote.status, quote.wrong_speaker)


def tables(results: Sequence[Result]) -> str:
    """Return what was said of each kind, and how far each thing that is said can be believed."""
    lines = [
        "| kind | quotations | verbatim | reformatted | altered | absent | told rightly |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(result.labelled.kind for result in sorted(results, key=_order)):
        own = [result for result in results if result.labelled.kind == kind]
        counts = [sum(result.status is status for result in own) for status in list(QuoteStatus)[:4]]
        right = share(result.is_right for result in own)
        lines.append(f"| {kind} | {len(own)} | {' | '.join(map(str, counts))} | {right} |")
    lines += ["", "| said | of | precision | recall |", "|---|---|---|---|"]
    said: list[tuple[str, Callable[[Result], bool], Callable[[Result], bool]]] = [
        ("verbatim or reformatted", lambda r: r.status in STANDS, lambda r: r.labelled.is_true),
        (
            "altered",
            lambda r: r.status is QuoteStatus.ALTERED,
            lambda r: not r.labelled.is_true and r.labelled.status is QuoteStatus.ALTERED,
        ),
        ("absent", lambda r: r.status is QuoteStatus.ABSENT, lambda r: r.labelled.status is QuoteStatus.ABSENT),
        ("wrong speaker", lambda r: bool(r.wrong_speaker), lambda r: bool(r.labelled.wrong_speaker)),
    ]
    for name, is_said, holds in said:
        precision = share(holds(result) for result in results if is_said(result))
        recall = share(is_said(result) for result in results if holds(result))
        lines.append(f"| {name} | {sum(map(holds, results))} | {precision} | {recall} |")
    return "\n".join(lines)


def share(values: Iterable[bool]) -> str:
    """Return the share of what is true."""
    counted = list(values)
    return f"{sum(counted) / len(counted):.3f}".removeprefix("0") if counted else "–"


def failures(results: Iterable[Result]) -> Iterator[str]:
    """Yield what was told wrongly."""
    for result in results:
        if not result.is_right:
            labelled = result.labelled
            yield f"{labelled.id}: {result.status} {' '.join(result.wrong_speaker)} | {labelled.text!r}"


def timing(index: Index) -> str:
    """Return how long it takes to check ten thousand sentences at once: all true; and one in twenty of them altered."""
    sentences = [passage.text for passage in passages(index)]
    chosen = random.Random(_SEED).choices(sentences, k=TIMED)
    lines = ["| 10,000 sentences | seconds | of the processor |", "|---|---|---|"]
    altered = [_WORD.sub("otherwise", text, count=1) if at % 20 == 0 else text for at, text in enumerate(chosen)]
    for name, texts in (("all of them true", chosen), ("one in twenty altered", altered)):
        started, processor = time.perf_counter(), time.process_time()
        checked = index.verify("\n\n".join(texts)).quotes
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
        standing = sum(quote.stands for quote in checked)
        lines.append(f"| {name}: {standing:,} stand | {seconds:.1f} | {processor:.1f} |")
    return "\n".join(lines)


def passages(index: Index) -> list[Passage]:
    """Return the sentences of all documents."""
    return [p for entry in index.documents() for p in index.document(entry.id).passages if not p.heading]


# Generated quotations


def generate(index: Index) -> Iterator[dict[str, Any]]:
    """Yield quotations of every kind made of sentences at random, always the same."""
    chance = random.Random(_SEED)
    documents = [index.document(entry.id) for entry in index.documents()]
    everything = "\n".join(" ".join(document.text.split()) for document in documents)
    words = sorted(set(_WORD.findall(everything)))
    people = sorted({p.location.speaker for d in documents for p in d.passages if p.location.speaker})
    usable = [
        (passage, document.passages[at + 1] if at + 1 < len(document.passages) else None)
        for document in documents
        for at, passage in enumerate(document.passages)
        if not passage.heading
        and not passage.gaps
        and 7 <= len(passage.text.split()) <= 40
        and not re.search('["“”‘«»…\\[]', passage.text)
    ]
    for kind, make in _MAKERS.items():
        made = 0
        for passage, following in chance.sample(usable, len(usable)):
            text = " ".join(passage.text.split())
            quoted = make(text, " ".join(following.text.split()) if following else "", chance, words)
            speaker = passage.location.speaker
            if quoted is None or (kind == "speaker" and not speaker):
                continue
            if kind not in TRUE and quoted in everything:
                continue
            row: dict[str, Any] = {"id": f"made-{kind}-{made + 1:02}", "kind": kind, "text": f"“{quoted}”"}
            row["status"] = "verbatim" if kind in TRUE else "altered"
            if kind == "speaker":
                assert speaker
                others = [name for name in people if is_same_person(name, speaker) is False]
                if not others:
                    continue
                other = chance.choice(others)
                row |= {"text": f"{other} said: “{quoted}”", "wrong_speaker": [speaker]}
            yield row
            made += 1
            if made == EACH:
                break


Maker = Callable[[str, str, random.Random, Sequence[str]], str | None]


def _other_word(text: str, following: str, chance: random.Random, words: Sequence[str]) -> str | None:
    matches = list(_WORD.finditer(text))[1:]
    if not matches:
        return None
    match = chance.choice(matches)
    word = chance.choice(words).lower()
    return f"{text[: match.start()]}{word}{text[match.end() :]}" if word != match[0] else None


def _dropped(text: str, following: str, chance: random.Random, words: Sequence[str]) -> str | None:
    parts = text.split()
    at = chance.randrange(1, len(parts) - 1)
    return " ".join([*parts[:at], *parts[at + 1 :]])


def _added(text: str, following: str, chance: random.Random, words: Sequence[str]) -> str | None:
    parts = text.split()
    at = chance.randrange(1, len(parts))
    return " ".join([*parts[:at], chance.choice(words).lower(), *parts[at:]])


def _other_number(text: str, following: str, chance: random.Random, words: Sequence[str]) -> str | None:
    matches = list(NUMBER.finditer(text, 1))
    if not matches:
        return None
    match = chance.choice(matches)
    others = ["two", "seven", "nineteen", "40"] if match[0].isalpha() else ["3", "17", "250", "1,900", "2021"]
    number = chance.choice(others)
    return f"{text[: match.start()]}{number}{text[match.end() :]}" if number != match[0] else None


def _other_sense(text: str, following: str, chance: random.Random, words: Sequence[str]) -> str | None:
    if re.search(r"\bnot ", text):
        return re.sub(r"\bnot ", "", text, count=1)
    if re.search(r"n['’]t\b", text) and "can" not in text and "won" not in text:
        return re.sub(r"n['’]t\b", "", text, count=1)
    if chance.random() < 0.2 and (match := re.search(r"\b(?:was|is|are|were|would|will|could|has|have) ", text)):
        return f"{text[: match.end()]}not {text[match.end() :]}"
    return None


def _merged(text: str, following: str, chance: random.Random, words: Sequence[str]) -> str | None:
    first, second = text.split(), following.split()
    if len(second) < 7:
        return None
    return " ".join([*first[: len(first) // 2 + 1], *second[len(second) // 2 :]])


def _clipped(text: str, following: str, chance: random.Random, words: Sequence[str]) -> str | None:
    parts = text.split()
    kept = " ".join(parts[: chance.randrange(4, len(parts) - 1)])
    return f"{kept.rstrip(',;:')}."


def _whole(text: str, following: str, chance: random.Random, words: Sequence[str]) -> str | None:
    return text


def _fragment(text: str, following: str, chance: random.Random, words: Sequence[str]) -> str | None:
    parts = text.split()
    first = chance.randrange(len(parts) - 4)
    last = chance.randrange(first + 4, len(parts) + 1)
    cut = " ".join([*parts[max(0, first - 1) : first], *parts[last : last + 1]])
    # A fragment beside a negation, or in the middle of a number, is no true quotation.
    return None if negation_in(cut) or NUMBER.search(cut) else " ".join(parts[first:last]).rstrip(".,;:?!")


def _two(text: str, following: str, chance: random.Random, words: Sequence[str]) -> str | None:
    return f"{text} {following}" if following and not re.search('["“”‘«»…\\[]', following) else None


def _with_ellipsis(text: str, following: str, chance: random.Random, words: Sequence[str]) -> str | None:
    parts = text.split()
    if len(parts) < 10:
        return None
    first = chance.randrange(3, len(parts) - 5)
    last = chance.randrange(first + 1, len(parts) - 3)
    if negation_in(" ".join(parts[first:last])) or NUMBER.search(" ".join(parts[first - 1 : last + 1])):
        return None
    return " ".join([*parts[:first], chance.choice(["…", "...", "[…]", "[...]", "(…)"]), *parts[last:]])


def _with_brackets(text: str, following: str, chance: random.Random, words: Sequence[str]) -> str | None:
    match = re.match(r"(?:He|She|It|They|This|These) ", text)
    return f"[{chance.choice(['The minister', 'The board', 'Hussein'])}] {text[match.end() :]}" if match else None


def _set_anew(text: str, following: str, chance: random.Random, words: Sequence[str]) -> str | None:
    changes: list[Callable[[str], str]] = [
        lambda text: text.replace("'", "’"),
        lambda text: text.replace(" ", "\u00a0", 2),
        lambda text: text.replace(" ", "\n", 1),
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: text.replace("-", "\u2011"),
        lambda text: text.replace("fi", "ﬁ"),
        lambda text: re.sub(r"([a-z]{4})([a-z]{3})", "\\1\u00ad\\2", text, count=1),
        lambda text: text.replace(" ", "  ", 3),
    ]
    changed = chance.choice(changes)(text)
    return changed if changed != text else None


_MAKERS: dict[str, Maker] = {
    "right": _whole,
    "fragment": _fragment,
    "sentences": _two,
    "ellipsis": _with_ellipsis,
    "brackets": _with_brackets,
    "typography": _set_anew,
    "speaker": _whole,
    "word": _other_word,
    "dropped": _dropped,
    "added": _added,
    "number": _other_number,
    "negation": _other_sense,
    "merged": _merged,
    "clipped": _clipped,
}


def write_rows(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write objects, one a line."""
    file.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), "utf-8")


def _order(result: Result) -> tuple[bool, bool]:
    return not result.labelled.is_true, result.labelled.status is QuoteStatus.ABSENT


if __name__ == "__main__":
    main()

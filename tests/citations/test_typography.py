"""A change of typography alone changes no citation: line ends, quotation marks, accents, moved line breaks."""

import re
import textwrap
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.api import Index
from sourceline.ids import citation_id
from sourceline.ingest.sentences import split_passages
from sourceline.types import CitationStatus
from tests.conftest import Rebuild
from tests.support.archive import Archive
from tests.support.texts import document

CURRENT, MOVED, CHANGED = CitationStatus.CURRENT, CitationStatus.MOVED, CitationStatus.CHANGED
Change = Callable[[str], str]

ENGLISH = """Harbour committee

The committee didn't approve the crane, because "the price of steel" went
up again. Mrs. O'Neill's deputy asked: "Is it true that nobody had expected it?" The
chair said no... Nothing else was decided.

It's agreed.

The fence was put off until next year, as the wood is too dear for a well-known
firm from Lund.

It's agreed.
"""
GERMAN = """# Protokoll

Der Rat tagte am 3. März im alten Zollhaus. "Das ist zu teuer", sagte Frau
Müller über die Brücke. Österreich schickt Gäste, und das Café öffnet um zehn Uhr.

- Änderungen der Gebühr gem. Abs. 3 sind möglich, wenn der Ausschuß
  sie bis zum Sommer vorlegt.

> Die Fähre fährt ab Mai täglich, auch an
> Feiertagen. Das "Boot" bleibt.
"""
FRENCH = """# Compte rendu

Le maire a dit : "La piscine reste fermée jusqu'à l'automne." L'école élémentaire
rouvre à neuf heures. Élu président, Étienne n'était pas d'accord.
"""
CHINESE = """会议于星期一在旧海关大楼举行。委员会没有批准起重机,因为钢材价格再次上涨。渡轮从五月起每天开航。"""
VIETNAMESE = """Hội đồng họp vào thứ Hai tại nhà cũ. Ông Nguyễn nói rằng cây cầu mới quá đắt đối với thành phố."""
DOCUMENTS = {"en.txt": ENGLISH, "de.md": GERMAN, "fr.md": FRENCH, "zh.txt": CHINESE, "vi.txt": VIETNAMESE}


def quoted(opening: str, closing: str) -> Change:
    return lambda text: re.sub('"([^"]*)"', rf"{opening}\1{closing}", text).replace("'", "’")


def to_nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def soft_hyphens(text: str) -> str:
    """Put a soft hyphen into every longer word."""
    return re.sub(r"\b([a-zäöü]{4})([a-zäöü]{3,})\b", "\\1\u00ad\\2", text)


CHANGES: dict[str, Change] = {
    "CR LF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\r\n", "\n").replace("\n", "\r"),
    "NFD": to_nfd,
    "English quotation marks": quoted("“", "”"),
    "German quotation marks": quoted("„", "“"),
    "German guillemets": quoted("»", "«"),
    "French quotation marks": quoted("«\u00a0", "\u00a0»"),
    "Swedish quotation marks": quoted("”", "”"),
    "ellipsis": lambda text: text.replace("...", "…"),
    "soft hyphens": soft_hyphens,
    "no-break blanks": lambda text: re.sub(r"(?<=\b[a-z]{2}) ", "\u00a0", text),
    "no-break hyphens": lambda text: re.sub(r"(?<=\w)-(?=\w)", "\u2011", text),
    "zero-width blanks": lambda text: text.replace(", ", ",\u200b "),
    "byte-order marks": lambda text: text.replace(", ", ",\ufeff "),
}


def ids(text: str, name: str) -> list[str]:
    return [passage.id for passage in split_passages(document(text, name))]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_change_of_typography_changes_an_id(name: str, change: Change) -> None:
    assert ids(change(DOCUMENTS[name]), name) == ids(DOCUMENTS[name], name)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(DOCUMENTS)),
    st.lists(st.sampled_from(sorted(CHANGES)), unique=True, max_size=5),
)
def test_no_mix_of_changes_changes_an_id(name: str, changes: list[str]) -> None:
    text = DOCUMENTS[name]
    for change in changes:
        text = CHANGES[change](text)

    assert ids(text, name) == ids(DOCUMENTS[name], name)


SENTENCES = [
    "The committee didn't approve the crane, because the price of steel went up again.",
    'Nobody had expected that "steel" would be so dear, said Mrs. O\'Neill of the harbour board.',
    "It's agreed that the fence is put off until next year.",
    "Über die Brücke nach Österreich fährt im März kein Bus.",
    "L'école élémentaire rouvre à neuf heures, même en été.",
    "The ferry leaves at 9 a.m. and at half past four in the afternoon.",
]


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=4), min_size=1, max_size=4),
    st.lists(st.integers(0, 60), max_size=6),
    st.lists(st.sampled_from(sorted({*CHANGES} - {"CR"})), unique=True, max_size=4),
)
def test_no_moved_line_break_in_markdown_changes_an_id(
    paragraphs: list[list[str]], breaks: list[int], changes: list[str]
) -> None:
    text = "\n\n".join(" ".join(paragraph) for paragraph in paragraphs)
    blanks = [match.start() for match in re.finditer(r"(?<=[a-zé,]) (?=[a-zà-ü])", text)]
    broken = list(text)
    for number in breaks:
        broken[blanks[number % len(blanks)]] = "\n"
    changed = "".join(broken)
    for change in changes:
        changed = CHANGES[change](changed)

    assert ids(changed, "a.md") == ids(text, "a.md")


@pytest.fixture
def archive(documents: Path, index: Path, rebuild: Rebuild) -> Archive:
    return Archive(documents, index, rebuild)


def statuses(archive: Archive, issued: dict[str, str]) -> dict[str, CitationStatus]:
    """Return the status of each of these ids, by the text that they had."""
    return {text: archive.look_up(id_).status for id_, text in issued.items()}


def wrapped(text: str, width: int) -> str:
    """Wrap every paragraph anew; lines also end behind hyphens."""
    return "\n\n".join(textwrap.fill(paragraph, width) for paragraph in text.strip().split("\n\n")) + "\n"


@pytest.mark.parametrize("width", [44, 52, 60, 66, 72, 78, 80, 100, 1_000])
@pytest.mark.parametrize("name", ["en.txt", "en.md", "fr.md", "vi.md"])
def test_paragraphs_wrapped_to_another_width_keep_their_ids(name: str, width: int) -> None:
    text = {"en": ENGLISH, "fr": FRENCH, "vi": VIETNAMESE}[name[:2]]

    assert ids(wrapped(text, width), name) == ids(text, name)


SET_ANEW = wrapped(quoted("“", "”")(ENGLISH).replace("...", "…"), 60).replace("\n", "\r\n")


def test_after_every_change_at_once_each_id_is_current_and_shows_the_passage_as_it_stands(archive: Archive) -> None:
    archive.publish({"m/en.txt": ENGLISH, "café.md": GERMAN})
    issued = {passage.id: passage.text for passage in archive.passages()}

    german = to_nfd(quoted("„", "“")(soft_hyphens(GERMAN))).replace("\n", "\r\n")
    report = archive.publish({"m/en.txt": SET_ANEW, to_nfd("café.md"): german})

    assert report.changed == ("café.md", "m/en.txt")
    assert [passage.id for passage in archive.passages()] == list(issued)
    assert {*statuses(archive, issued).values()} == {CURRENT}
    citation = archive.look_up(
        citation_id("m/en.txt", SENTENCES[0].replace("the price of steel", '"the price of steel"'), 0)
    )
    assert citation.cited == citation.now
    assert citation.cited.passage.text == (
        "The committee didn’t approve the crane, because “the price\r\nof steel” went up again."
    )
    assert archive.ledger.issued(citation.id) != citation.cited


def test_renamed_and_set_anew_at_once_every_sentence_moved(archive: Archive) -> None:
    archive.publish({"en.txt": ENGLISH, "de.md": GERMAN, "z.txt": "It stays."})
    issued = {passage.id: passage.text for passage in archive.passages() if passage.document_id != "z.txt"}

    german = to_nfd(quoted("«\u00a0", "\u00a0»")(GERMAN)).replace("\n", "\r\n")
    archive.publish({"2026/EN.TXT": SET_ANEW, "2026/de.md": german, "z.txt": "It stays."})

    assert {text: status for text, status in statuses(archive, issued).items() if status is not MOVED} == {}
    moved = [archive.look_up(citation_id("en.txt", "It's agreed.", n)).now for n in range(2)]
    assert {passage.passage.document_id for passage in moved if passage} == {"2026/EN.TXT"}


def test_a_case_only_rename_moves_every_sentence(archive: Archive) -> None:
    archive.publish({"M/Board.TXT": ENGLISH, "z.txt": "It stays."})
    issued = {passage.id: passage.text for passage in archive.passages() if passage.document_id != "z.txt"}

    archive.publish({"m/board.txt": ENGLISH.replace("\n", "\r\n"), "z.txt": "It stays."})

    assert {*statuses(archive, issued).values()} == {MOVED}


def test_equal_sentences_in_two_typographies_are_repetitions_of_one(archive: Archive) -> None:
    text = "It’s agreed by us.\n\nThe crane stays.\n\nIt's agreed by us.\n\nThe fence goes.\n\nIt’s agreed\nby us.\n"
    archive.publish({"a.md": text})
    agreed = [citation_id("a.md", "It's agreed by us.", number) for number in range(3)]
    starts = [match.start() for match in re.finditer("It.s", text)]

    assert [archive.look_up(id_).cited.passage.start for id_ in agreed] == starts
    archive.publish({"a.md": text.replace("’", "'")})
    assert [archive.look_up(id_).cited.passage.start for id_ in agreed] == starts
    archive.publish({"a.md": text.replace("It's agreed by us.\n\n", "")})
    assert [archive.look_up(id_).status for id_ in agreed] == [CURRENT, CURRENT, MOVED]


CUT = (
    "After a long debate the assembly asked for the refurbish-\nment of the old observatory, which costs nine million."
)


def test_a_word_cut_at_the_end_of_a_line_leaves_the_citation_current(archive: Archive) -> None:
    whole = CUT.replace("-\n", "")
    states = [
        CUT,
        whole,
        CUT.replace("-\n", "").replace("observatory", "obser-\nvatory"),
        CUT.replace("\n", "\r\n"),
        whole,
    ]
    issued: dict[str, str] = {}
    for state in states:
        archive.publish({"a.md": f"The council met on Monday. {state} It rains.\n", "b.txt": "It stays."})
        issued |= {passage.id: passage.text for passage in archive.passages()}

        assert {*statuses(archive, issued).values()} == {CURRENT}
    archive.publish({"b.md": f"The council met on Monday. {CUT} It rains.\n", "b.txt": "It stays."})
    assert {status for text, status in statuses(archive, issued).items() if text.startswith("After")} == {MOVED}
    archive.publish(
        {"b.md": f"The council met on Monday. {CUT.replace('nine', 'ten')} It rains.\n", "b.txt": "It stays."}
    )
    assert {status for text, status in statuses(archive, issued).items() if text.startswith("After")} == {CHANGED}


def test_words_are_no_typography(archive: Archive) -> None:
    archive.publish({"a.txt": "The board resigned the contract in May.\n\nThe fee is 5 euros a month.\n"})
    issued = {passage.id: passage.text for passage in archive.passages()}

    archive.publish({"a.txt": "The board re-signed the contract in May.\n\nThe fee is −5 euros a month.\n"})

    assert {*statuses(archive, issued).values()} == {CHANGED}


def test_a_name_in_nfd_is_the_document_of_the_name_in_nfc(documents: Path, index: Path, rebuild: Rebuild) -> None:
    name = "Protokolle März/Übersicht é.txt"
    archive = Archive(documents, index, rebuild)
    archive.publish({to_nfd(name): "Das Café öffnet um zehn.", "b.txt": "It stays."})
    issued = {passage.id: passage.text for passage in archive.passages()}

    assert archive.publish({name: "Das Café öffnet um zehn.", "b.txt": "It stays."}).unchanged == (name, "b.txt")
    assert {*statuses(archive, issued).values()} == {CURRENT}
    with Index.open(index) as opened:
        assert opened.document(to_nfd(name)).id == opened.document(name).id == name
        for given in (name, to_nfd(name), "Protokolle M?rz/*", to_nfd("Protokolle März/*")):
            assert [hit.passage.document_id for hit in opened.ask("Wann?", documents=given).hits] == [name]


PARAGRAPH = "The well-known office of Müller moves to the new building in May. It costs nothing that was not planned."


@pytest.mark.parametrize(
    "at", [at for at, c in enumerate(PARAGRAPH) if c == " " and at >= 32 and PARAGRAPH[at + 1].islower()]
)
def test_a_line_break_before_a_small_letter_changes_no_id_in_plain_text(at: int) -> None:
    assert ids(f"{PARAGRAPH[:at]}\n{PARAGRAPH[at + 1 :]}\n", "a.txt") == ids(f"{PARAGRAPH}\n", "a.txt")

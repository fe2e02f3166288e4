"""An index in format 7, whose ids depended on typography: each goes on naming its sentence."""

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sourceline.api import Index
from sourceline.citations.ledger import FILE as LEDGER
from sourceline.citations.older_ledger import FILE as OLD_LEDGER
from sourceline.citations.older_ledger import OlderLedger
from sourceline.errors import MismatchError
from sourceline.ids import citation_id, exact_citation_id
from sourceline.index.snapshot import FORMAT
from sourceline.types import Citation
from tests.conftest import Rebuild
from tests.support.index_folder import copy_index, ledger_lines, ledger_of, snapshot_names

FIXTURE = Path(__file__).parent / "index_of_format_7"
DOCUMENTS: dict[str, str] = json.loads((FIXTURE / "documents.json").read_text("utf-8"))
# What the version that wrote it answered for every id that it had issued.
ANSWERS: dict[str, dict[str, Any]] = json.loads((FIXTURE / "citations.json").read_text("utf-8"))
CURRENT = {id_ for id_, answer in ANSWERS.items() if answer["status"] == "current"}
CRANE = "The chair said: “We won’t repair the crane this year, because the price of\r\nsteel went up again.”"
OFFER = "Mr. Lund’s offer of {} thousand euros was refused\r\nby the board."


@pytest.fixture
def old(tmp_path: Path, exported: Path) -> Path:
    """The old index, beside the exported model, which the two formats share."""
    copy_index(exported, tmp_path / "old")
    shutil.copytree(FIXTURE / "index", tmp_path / "old", dirs_exist_ok=True)
    return tmp_path / "old"


def write(folder: Path, files: dict[str, str]) -> None:
    """Make the folder hold just these documents."""
    shutil.rmtree(folder)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())


def old_id(document_id: str, text: str) -> str:
    """Return the id that the sentence had, which must have been issued."""
    id_ = exact_citation_id(document_id, text, 0)
    assert id_ in ANSWERS
    return id_


def look_up(index: Path) -> dict[str, Citation]:
    with Index.open(index, lazy=True) as opened:
        return {id_: opened.cite(id_) for id_ in ANSWERS}


def outcome(citation: Citation) -> tuple[str, str, str] | str:
    """Return a citation's status and, when something stands for it now, in which document and with what text."""
    if citation.now is None:
        return citation.status.value
    return citation.status.value, citation.now.passage.document_id, citation.now.passage.text


def statuses(index: Path) -> dict[str, str]:
    return {id_: citation.status.value for id_, citation in look_up(index).items()}


def as_before(index: Path) -> bool:
    return statuses(index) == {id_: answer["status"] for id_, answer in ANSWERS.items()}


def gone(index: Path) -> list[tuple[object, ...]]:
    """Return what the ledger says of citations that builds found gone, in its order."""
    return [(body["gone"], body["status"], body["successor"]) for body in ledger_lines(index) if "gone" in body]


def test_the_fixture_holds_ids_that_are_given_no_more(old: Path) -> None:
    passages = [answer["cited"]["passage"] for answer in ANSWERS.values()]
    given = {citation_id(passage["document_id"], passage["text"], n) for n in range(3) for passage in passages}

    assert len(list(OlderLedger(old, None).issued())) == len(ANSWERS) == 21
    assert len(ANSWERS.keys() - given) == 15


def test_it_is_refused_with_one_line(old: Path) -> None:
    with pytest.raises(MismatchError, match=f"is in format 7, not {FORMAT}: run `sourceline rebuild-index`"):
        Index.open(old)


def test_after_a_rebuild_every_id_has_the_status_that_it_had(old: Path, documents: Path, rebuild: Rebuild) -> None:
    write(documents, DOCUMENTS)
    before = list(OlderLedger(old, None).issued())

    for _ in range(2):
        rebuild(documents, old)

        for id_, citation in look_up(old).items():
            answer = ANSWERS[id_]
            assert (citation.id, citation.status.value) == (id_, answer["status"])
            assert citation.similarity == (answer["similarity"] and pytest.approx(answer["similarity"]))
            for then, now in ((answer["cited"], citation.cited), (answer["now"], citation.now)):
                assert (then and then["passage"]["text"]) == (now and now.passage.text) or id_ == TWO_SENTENCES
    ledger = ledger_of(old)
    assert [ledger.issued(cited.passage.id) for cited in before] == before


# It is the id now of the sentence of the same words that stands two paragraphs above it.
TWO_SENTENCES = exact_citation_id("minutes.txt", "It's agreed.", 0)


def test_equal_sentences_in_two_typographies_keep_their_places(old: Path, documents: Path, rebuild: Rebuild) -> None:
    write(documents, DOCUMENTS)
    rebuild(documents, old)
    starts = [at for at in range(len(DOCUMENTS["minutes.txt"])) if DOCUMENTS["minutes.txt"][at:].startswith("It’s ag")]

    with Index.open(old, lazy=True) as index:
        cited = [index.cite(exact_citation_id("minutes.txt", "It’s agreed.", n)).cited.passage for n in range(2)]

    assert [passage.start for passage in cited] == starts
    assert [passage.id for passage in cited] == [citation_id("minutes.txt", "It's agreed.", n) for n in (0, 2)]


def test_a_rebuild_records_once_which_ids_became_which(old: Path, documents: Path, rebuild: Rebuild) -> None:
    write(documents, DOCUMENTS)
    before = [(r.citation, r.status.value, r.successor) for r in OlderLedger(old, None).resolutions()]

    rebuild(documents, old)
    after = gone(old)
    (documents / "minutes.txt").write_bytes(DOCUMENTS["minutes.txt"].encode() + b"\r\nGood night.\r\n")
    rebuild(documents, old)

    assert after[: len(before)] == before
    renamed = {(citation, successor) for citation, _, successor in after[len(before) :]}
    assert (old_id("minutes.txt", CRANE), citation_id("minutes.txt", CRANE, 0)) in renamed
    assert [status for _, status, _ in after[len(before) :]] == ["current"] * 11 + [
        "moved"
    ]  # what moved before, once more
    assert gone(old) == after


def test_an_id_whose_document_comes_back_after_the_rebuild_is_current(
    old: Path, documents: Path, rebuild: Rebuild
) -> None:
    press = old_id("press.txt", "The archive’s reading room is open again after the flood.")
    write(documents, DOCUMENTS)
    rebuild(documents, old)
    assert look_up(old)[press].status == "moved"

    write(documents, DOCUMENTS | {"press.txt": DOCUMENTS["archive.txt"].replace("’", "'")})
    rebuild(documents, old)
    assert look_up(old)[press].status == "current"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\r\n", "\n"),
        lambda text: text.replace("’", "'").replace("“", '"').replace("”", '"'),
        lambda text: unicodedata.normalize("NFC", text),
        lambda text: unicodedata.normalize("NFD", text).replace("\r\n", "\n").replace("\n", "\r\n"),
    ],
    ids=["line ends", "quotation marks", "NFC", "NFD and line ends"],
)
def test_typography_that_changed_before_the_rebuild_changes_no_status(
    old: Path, documents: Path, rebuild: Rebuild, change: Callable[[str], str]
) -> None:
    write(documents, {name: change(text) for name, text in DOCUMENTS.items()})
    rebuild(documents, old)

    assert as_before(old)


def test_an_id_follows_edits_of_its_sentence_after_the_rebuild(old: Path, documents: Path, rebuild: Rebuild) -> None:
    write(documents, DOCUMENTS)
    rebuild(documents, old)
    crane, offer = old_id("minutes.txt", CRANE), old_id("minutes.txt", OFFER.format("nine"))
    bridge = unicodedata.normalize("NFD", "Die Brücke über den Fluß wird im März erneuert.")
    menu = old_id(unicodedata.normalize("NFD", "café/menü.txt"), bridge)
    archive = old_id("archive.txt", "The archive’s reading room is open again after the flood.")

    minutes = DOCUMENTS["minutes.txt"].replace("seven thousand", "six thousand").replace("this year", "next year")
    write(documents, DOCUMENTS | {"minutes.txt": minutes})
    rebuild(documents, old)
    citations = look_up(old)
    assert citations[crane].cited.passage.text == CRANE
    assert outcome(citations[crane]) == ("changed", "minutes.txt", CRANE.replace("this year", "next year"))
    assert outcome(citations[offer]) == ("changed", "minutes.txt", OFFER.format("six"))

    files = {
        "minutes.txt": DOCUMENTS["minutes.txt"].replace("\r\n", "\n"),
        "menu.txt": DOCUMENTS[unicodedata.normalize("NFD", "café/menü.txt")],
    }
    write(documents, files)
    rebuild(documents, old)
    citations = look_up(old)
    assert outcome(citations[crane]) == ("current", "minutes.txt", CRANE.replace("\r\n", "\n"))
    assert outcome(citations[menu]) == ("moved", "menu.txt", bridge)
    assert outcome(citations[archive]) == "removed"


def test_edits_before_the_rebuild_are_followed_by_what_the_ledger_knows(
    old: Path, documents: Path, rebuild: Rebuild
) -> None:
    minutes = DOCUMENTS["minutes.txt"].replace("this year", "next year").replace("\r\n", "\n")
    files = {"board.txt": minutes, "letter.md": DOCUMENTS["letter.md"]}
    write(documents, files)
    rebuild(documents, old)

    citations = look_up(old)
    edited = CRANE.replace("this year", "next year").replace("\r\n", "\n")
    assert outcome(citations[old_id("minutes.txt", CRANE)]) == ("changed", "board.txt", edited)
    ferry = "The ferry’s timetable stays as it is until\r\nthe end of May."
    moved = ("moved", "board.txt", ferry.replace("\r\n", "\n"))
    assert outcome(citations[old_id("minutes.txt", ferry)]) == moved
    assert snapshot_names(old)[0].startswith("00000004-")


def test_an_old_ledger_put_beside_a_new_index_resolves_its_ids(
    old: Path, index: Path, documents: Path, rebuild: Rebuild
) -> None:
    write(documents, DOCUMENTS)
    rebuild(documents, index)
    (index / LEDGER).unlink()
    shutil.copy(old / OLD_LEDGER, index / OLD_LEDGER)
    rebuild(documents, index)

    assert {id_ for id_, status in statuses(index).items() if status == "current"} == CURRENT

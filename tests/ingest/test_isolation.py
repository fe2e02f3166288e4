import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sourceline.errors import DocumentError
from sourceline.ingest import isolation
from sourceline.ingest.isolation import MEMORY, PROCESSOR_SECONDS, IsolatedParser
from sourceline.ingest.loader import DocumentReader, list_documents, read_document
from tests.support import hostile
from tests.support.files import docx_of, paragraph, pdf_of
from tests.support.work import soon

GOOD_DOCX = docx_of(paragraph("The crane is red."))
GOOD_PDF = pdf_of(b"BT /F1 12 Tf 72 720 Td (The rope is blue.) Tj ET")
WORDS = b"The words are there. "

REASONS = {
    "zip bomb.docx": (hostile.zip_bomb, "it unpacks to more than 100 MB"),
    "entities.docx": (hostile.entity_bomb, "it declares a DOCTYPE, as no Word document does"),
    "nested.docx": (hostile.nested_docx, "it unpacks to more than 100 times its size"),
    "bomb.pdf": (hostile.pdf_bomb, "it unpacks to more than is read of a page"),
    "nested.eml": (hostile.nested_mail, "it is nested too deeply to be read"),
    "elements.docx": (hostile.docx_of_elements, "it takes more than 512 MB to read"),
}
READ: dict[str, Callable[[], bytes]] = {
    "nested.html": hostile.nested_html,
    "headers.eml": hostile.mail_of_headers,
    "addresses.eml": hostile.mail_of_addresses,
    "line.txt": lambda: WORDS + b"x" * 1_000_000,
    "line.csv": lambda: WORDS + b"a,b;" * 250_000,
    "quote.csv": lambda: b'a,b\n"never,closed\n' + b"c,d\n" * 10_000,
}


@pytest.fixture
def parser() -> Iterator[IsolatedParser]:
    parser = IsolatedParser()
    yield parser
    parser.close()


def children() -> set[int]:
    """Return the ids of the processes that this one has started and that have not ended."""
    numbers: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # of a thread that has just ended
            numbers |= {int(number) for number in (task / "children").read_text().split()}
    return numbers


def started_child(before: set[int]) -> int:
    """Return the id of the child that is started, as soon as it is."""
    while not (new := children() - before):
        time.sleep(0.01)
    (child,) = new
    return child


@pytest.mark.parametrize("name", REASONS)
def test_a_hostile_file_is_left_out_with_its_reason_and_nothing_else_is_lost(documents: Path, name: str) -> None:
    make, reason = REASONS[name]
    (documents / name).write_bytes(make())
    (documents / "a.docx").write_bytes(GOOD_DOCX)
    (documents / "z.pdf").write_bytes(GOOD_PDF)

    contents = list_documents(documents)

    assert contents.documents == ("a.docx", "z.pdf")
    assert contents.skipped == {name: reason}


@pytest.mark.parametrize("name", READ)
def test_a_strange_file_that_can_be_read_is_read(documents: Path, name: str) -> None:
    (documents / name).write_bytes(READ[name]())

    with soon():
        contents = list_documents(documents)

    assert contents.documents == (name,)


def test_a_file_that_takes_too_long_is_left_out_and_the_next_one_is_read(
    documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (documents / "slow.pdf").write_bytes(hostile.slow_pdf())
    (documents / "z.pdf").write_bytes(GOOD_PDF)
    # By the clock, half of what it may use of the processor: it must not be ended for that, as it works all the time.
    monkeypatch.setattr(isolation, "EXTRA_SECONDS", -PROCESSOR_SECONDS // 2)

    with DocumentReader(documents) as reader:
        # A fast machine gets as far as the page's own limit.
        limits = r"it takes more than 6 s of processor time to read|it unpacks to more than is read of a page"
        with pytest.raises(DocumentError, match=limits):
            reader.read("slow.pdf")
        assert reader.read("z.pdf").text == "The rope is blue."


def test_a_child_that_stands_still_is_ended_and_the_next_file_is_read(
    parser: IsolatedParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "EXTRA_SECONDS", 3 - PROCESSOR_SECONDS)
    before = children()
    parser.parse(".docx", GOOD_DOCX)
    (child,) = children() - before
    os.kill(child, signal.SIGSTOP)
    with pytest.raises(DocumentError, match="its reader stood still for 3 s"):
        parser.parse(".docx", GOOD_DOCX)

    assert children() == before
    assert parser.parse(".pdf", GOOD_PDF).text == "The rope is blue."


def test_a_text_far_longer_than_its_file_is_left_out(parser: IsolatedParser) -> None:
    with pytest.raises(DocumentError, match="its text is more than 100 times as long as the file"):
        parser.parse(".pdf", hostile.long_pdf())


def test_one_child_parses_many_files_and_ends_when_it_is_closed(parser: IsolatedParser) -> None:
    before = children()
    assert parser.parse(".docx", GOOD_DOCX).text == "The crane is red."
    first = children() - before
    assert parser.parse(".pdf", GOOD_PDF).text == "The rope is blue."
    with pytest.raises(DocumentError, match="it is damaged"):
        parser.parse(".pdf", b"no PDF")
    assert children() - before == first
    assert len(first) == 1

    parser.close()
    assert children() == before
    assert parser.parse(".docx", GOOD_DOCX).text == "The crane is red."


def test_no_child_is_started_for_text(documents: Path) -> None:
    (documents / "a.txt").write_text("The crane is red.")
    before = children()

    with DocumentReader(documents) as reader:
        reader.read("a.txt")
        assert children() == before


def test_the_child_has_its_limits_and_none_of_the_secrets(
    parser: IsolatedParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCELINE_API_KEY", "hunter2")
    before = children()
    parser.parse(".docx", GOOD_DOCX)
    (child,) = children() - before

    limits = Path(f"/proc/{child}/limits").read_text().splitlines()
    (memory,) = [line.split()[3:5] for line in limits if line.startswith("Max address space")]
    assert memory == [str(MEMORY), str(MEMORY)]
    assert b"hunter2" not in Path(f"/proc/{child}/environ").read_bytes()
    assert Path(f"/proc/{child}/cwd").resolve() == Path("/")


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGSEGV, r"it makes its reader crash \(Segmentation fault\)"),
        (signal.SIGKILL, "reading it was ended by the system, most likely for want of memory"),
    ],
)
def test_a_crash_of_the_child_costs_one_file(parser: IsolatedParser, number: int, reason: str) -> None:
    before = children()
    killer = threading.Thread(target=lambda: os.kill(started_child(before), number))
    killer.start()
    with pytest.raises(DocumentError, match=reason):
        parser.parse(".pdf", hostile.slow_pdf())
    killer.join()

    assert children() == before
    assert parser.parse(".pdf", GOOD_PDF).text == "The rope is blue."


def test_a_child_that_died_between_two_files_costs_none(parser: IsolatedParser) -> None:
    before = children()
    parser.parse(".pdf", GOOD_PDF)
    (child,) = children() - before
    os.kill(child, signal.SIGKILL)

    assert parser.parse(".pdf", GOOD_PDF).text == "The rope is blue."


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(GOOD_DOCX)
    program = (
        "import sys, time; from pathlib import Path; from sourceline.ingest.loader import DocumentReader\n"
        "reader = DocumentReader(Path(sys.argv[1])); print(reader.read('a.docx').text, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "The crane is red.\n"
        child = int(Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text())
        parent.kill()
    deadline = time.monotonic() + 10
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # of which nobody has taken notice yet


def test_what_is_no_text_in_a_file_is_replaced_character_by_character(documents: Path) -> None:
    (documents / "a.html").write_bytes(b"<p>The \x00crane \x07 is red.</p><p>Bo &#xd800; paints it.</p>")

    document = read_document(documents, "a.html")

    assert document.text.encode() == "The \ufffdcrane \ufffd is red.\n\nBo \ufffd paints it.".encode()
    assert [document.text[block.start : block.end] for block in document.blocks] == document.text.split("\n\n")
    (documents / "b.eml").write_bytes(b"From: =?utf-8?q?An=00na?= <a@example.org>\nSubject: Crane\n\nIt is red.\n")
    assert read_document(documents, "b.eml").blocks[-1].speaker == "An\ufffdna"
    table = b"<table><tr><th>Na&#xd800;me<th>Place<tr><td>Ilse<td>Port<tr><td>Bo<td>Mill</table>"
    (documents / "c.html").write_bytes(table)
    assert read_document(documents, "c.html").blocks[-1].columns == ("Na\ufffdme", "Place")

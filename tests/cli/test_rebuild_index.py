import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from pydantic import TypeAdapter

from sourceline.api import Index
from sourceline.types import BuildReport
from tests.support.commands import Command


def test_a_build_reports_what_it_did(sourceline: Command, documents: Path, index: Path) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday. It is made of oak.\n")
    (documents / "b.txt").write_text("The tower was sold in June.\n")
    arguments = ("rebuild-index", "--documents", documents, "--index", index)
    first = sourceline(*arguments)
    snapshot = Index.open(index, lazy=True).snapshot.id
    assert first.code == 0
    assert re.fullmatch(rf"snapshot {snapshot}: 3 passages, \d+\.\d s", first.out.splitlines()[0])
    assert first.out.splitlines()[1:] == [
        "documents: 2 added, 0 changed, 0 unchanged, 0 removed, 0 skipped",
        "chunks: 2 of 2 encoded",
    ]
    (documents / "a.txt").write_text("The bridge opens on Tuesday.\n")
    (documents / "b.txt").rename(documents / "c.txt")
    second = sourceline(*arguments)
    assert second.code == 0
    assert second.out.splitlines()[1:] == [
        "documents: 1 added, 1 changed, 0 unchanged, 1 removed, 0 skipped",
        "chunks: 2 of 2 encoded",
    ]
    third = sourceline(*arguments)
    assert third.out.splitlines()[1:] == [
        "documents: 0 added, 0 changed, 2 unchanged, 0 removed, 0 skipped",
        "chunks: 0 of 2 encoded",
    ]


def test_files_that_are_left_out_are_listed_and_the_rest_is_published(
    sourceline: Command, documents: Path, index: Path
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    (documents / "\x1b[31m[red]b\n.txt").touch()
    (documents / "c.txt").write_bytes("Ostrava \u010d".encode("cp1250"))
    (documents / "\x1b[31md.png").touch()
    outcome = sourceline("rebuild-index", "--documents", documents, "--index", index)
    assert outcome.code == 1
    assert outcome.out.splitlines()[1:] == [
        "documents: 1 added, 0 changed, 0 unchanged, 0 removed, 2 skipped",
        "chunks: 1 of 1 encoded",
        r"skipped \x1b[31m[red]b\n.txt: its name has control characters: rename it",
        "skipped c.txt: it is not UTF-8: byte 8 is 0xe8; save it as UTF-8",
        r"not read \x1b[31md.png: its format is not read",
    ]
    answer = sourceline("ask", "When does the bridge open?", "--index", index, "--json").json()
    assert answer["passages"][0]["text"] == "The bridge opens on Monday."


def test_json_is_the_report_of_the_api(sourceline: Command, documents: Path, index: Path) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    (documents / "b.png").write_bytes(b"%PDF")
    printed = sourceline("rebuild-index", "--documents", documents, "--index", index, "--json").json()
    api = TypeAdapter(BuildReport)
    assert printed == api.dump_python(api.validate_python(printed), mode="json")
    assert printed | {"seconds": 0} == {
        "snapshot": Index.open(index, lazy=True).snapshot.id,
        "added": ["a.txt"],
        "changed": [],
        "unchanged": [],
        "removed": [],
        "skipped": {},
        "ignored": {"b.png": "its format is not read"},
        "passages": 1,
        "chunks": 1,
        "encoded": 1,
        "seconds": 0,
        "warnings": [],
    }


def test_progress_is_shown_on_a_terminal_only(documents: Path, index: Path) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    command = [sys.executable, "-m", "sourceline", "rebuild-index"]
    command += ["--documents", str(documents), "--index", str(index)]
    terminal, end = pty.openpty()
    with open(terminal, "rb", buffering=0) as shown:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=end, check=True)
        os.close(end)
        assert b"encoding" in shown.read(100_000)
    (documents / "b.txt").write_text("The tower was sold in June.\n")
    assert subprocess.run(command, capture_output=True, check=True).stderr == b""


def test_a_folder_that_lost_its_documents_is_a_warning(sourceline: Command, documents: Path, index: Path) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    (documents / "share").mkdir()
    (documents / "share/b.txt").write_text("The tower was sold in June.\n")
    arguments = ("rebuild-index", "--documents", documents, "--index", index)
    sourceline(*arguments)
    (documents / "share/b.txt").unlink()
    outcome = sourceline(*arguments)
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1] == "warning: share held 1 document and is empty now: is the share mounted?"

import subprocess
import sys
from pathlib import Path

import pytest

from sourceline.index.snapshot import build_lock
from tests.conftest import Rebuild
from tests.support.commands import Command
from tests.support.texts import FORMATS_READ


def one_line(message: str) -> str:
    return f"sourceline: {message}\n"


@pytest.mark.parametrize("arguments", [["ask", "Who?"], ["ask", "Who?", "--json"], ["cite", "abcdefghijklmnop"]])
def test_no_index(sourceline: Command, arguments: list[str]) -> None:
    outcome = sourceline(*arguments, "--index", "nothing")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == one_line("there is no index in nothing yet: run `sourceline rebuild-index`")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ask", "Who?"], "there is no index in nothing yet: run `sourceline rebuild-index`"),
        (
            ["restore", "nothing/index.tar"],
            "nothing/index.tar is no backup, or its first member, backup.json, is damaged",
        ),
        (["evaluate", "nothing"], "cannot read nothing/questions.jsonl"),
    ],
)
def test_a_path_that_may_not_be_read_is_no_wrong_usage(
    sourceline: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nothing").mkdir()
    Path("nothing/index.tar").touch()
    monkeypatch.setattr("os.access", lambda *_: False)  # root may read everything
    outcome = sourceline(*arguments, "--index", "nothing")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith(f"sourceline: {message}")


@pytest.mark.parametrize("citation", ["neverissued", "", "\x1b[31m", "[red]", "a\udcff", "ç"])
def test_an_unknown_citation(sourceline: Command, seed_index: Path, citation: str) -> None:
    outcome = sourceline("cite", "--index", seed_index, "--", citation)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == one_line("no citation with this id was ever issued")


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("", "the question is empty"),
        (" \t\n", "the question is empty"),
        ("a" * 2_001, "the question has 2,001 characters; at most 2,000 are answered"),
        ("a\udcff", "the question holds half of a surrogate pair at character 1"),
        ("\u200b", "the question holds no words"),
    ],
)
def test_a_question_that_cannot_be_asked(sourceline: Command, seed_index: Path, question: str, reason: str) -> None:
    outcome = sourceline("ask", "--index", seed_index, "--", question)
    assert (outcome.code, outcome.out, outcome.err) == (1, "", one_line(reason))


def test_another_model_than_the_index_was_built_with(sourceline: Command, seed_index: Path) -> None:
    outcome = sourceline("ask", "Who?", "--index", seed_index, "--model", "other\x1b[31m")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.count("\n") == 1
    assert outcome.err.endswith(", not other [31m: run `sourceline rebuild-index`\n")


def test_no_documents(sourceline: Command, index: Path, tmp_path: Path) -> None:
    missing = sourceline("rebuild-index", "--documents", "missing", "--index", index)
    message = "no documents folder at missing: create it, or name another with --documents"
    assert (missing.code, missing.out, missing.err) == (1, "", one_line(message))
    (tmp_path / "empty").mkdir()
    empty = sourceline("rebuild-index", "--documents", "empty", "--index", index)
    assert (empty.code, empty.out, empty.err) == (
        1,
        "",
        one_line(f"no document in empty can be read: it is empty; these formats are read: {FORMATS_READ}"),
    )
    (tmp_path / "empty" / "\x1b[31ma\nb.txt").write_bytes(b"\xff")
    unreadable = sourceline("rebuild-index", "--documents", "empty", "--index", index)
    name, reason = r"\x1b[31ma\nb.txt", "its name has control characters: rename it"
    message = f"no document in empty can be read: {name}: {reason}; these formats are read: {FORMATS_READ}"
    assert (unreadable.code, unreadable.out, unreadable.err) == (1, "", one_line(message))
    assert not (index / "CURRENT").exists()


def test_another_build_is_running(sourceline: Command, documents: Path, index: Path) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    with build_lock(index):
        outcome = sourceline("rebuild-index", "--documents", documents, "--index", index)
    message = f"another build of {index} is running: wait for it to end"
    assert (outcome.code, outcome.out, outcome.err) == (1, "", one_line(message))


@pytest.mark.parametrize("command", [["ask", "Who?"], ["cite", "x"], ["rebuild-index"], ["serve"], ["doctor"]])
@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("PORT", "s3cret", "port: Input should be a valid integer, unable to parse string as an integer"),
        ("PORT", "65536", "port: Input should be less than or equal to 65535"),
        ("BACKEND", "s3cret", "backend: Input should be 'onnx' or 'torch'"),
    ],
)
def test_a_setting_of_the_environment_that_cannot_be_used(
    sourceline: Command, monkeypatch: pytest.MonkeyPatch, command: list[str], name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(f"SOURCELINE_{name}", value)
    outcome = sourceline(*command)
    assert (outcome.code, outcome.out, outcome.err) == (1, "", one_line(f"setting {reason}"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"colour = 'red'\n", "setting colour: Extra inputs are not permitted"),
        (b"port = [80]\n", "setting port: Input should be a valid integer"),
        (b"port = \n", "sourceline.toml is not TOML: Invalid value (at line 1, column 8)"),
        (
            b"\xff",
            "sourceline.toml is not TOML: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
    ],
)
def test_a_settings_file_that_cannot_be_used(sourceline: Command, tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "sourceline.toml").write_bytes(content)
    outcome = sourceline("doctor")
    assert (outcome.code, outcome.out, outcome.err) == (1, "", one_line(reason))


def test_a_damaged_ledger(sourceline: Command, documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    (index / "ledger.jsonl").write_bytes(b"this is no database, " * 500)
    outcome = sourceline("cite", "neverissued", "--index", index)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("sourceline: the record of citations, ")
    assert outcome.err.count("\n") == 1


def test_a_labelled_set_that_is_not_there(sourceline: Command, index: Path) -> None:
    outcome = sourceline("evaluate", "missing", "--index", index)
    message = "cannot read missing/questions.jsonl: No such file or directory"
    assert (outcome.code, outcome.out, outcome.err) == (1, "", one_line(message))


def test_a_process_ends_with_one_line_and_exit_code_1(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sourceline", "cite", "a\udcff", "--index", "nothing"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    message = one_line("there is no index in nothing yet: run `sourceline rebuild-index`")
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", message)

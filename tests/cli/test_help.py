import pytest

from sourceline import __version__
from tests.support.commands import Command

COMMANDS = {
    "serve": "Serve the page and the API, after building the index if there is none.",
    "new-key": "Make an API key: print the line for the file of keys, and the key, this once, on standard error.",
    "rebuild-index": "Read the documents, encode what is new, publish a new snapshot.",
    "ask": "Print the sentences that answer a question, best first.",
    "cite": "Look a citation up",
    "documents": "List the documents of the index, the files that were left out, and what has changed since.",
    "evaluate": "Index a labelled set in a temporary folder, ask every question, print the metrics beside",
    "backup": "Write the index with its ledger and model into one verified archive",
    "restore": "Verify a backup and put it into the index folder; a running server switches to it.",
    "doctor": "Check installation, models, documents, index and citations, and say what to do.",
    "completion": "Print what makes a shell complete commands, options and their values",
}
OPTIONS = {
    "serve": ("--host", "--port", "--watch", "--allow-edits", "--api-keys"),
    "new-key": ("--scopes", "--rate-limit"),
    "rebuild-index": ("--json", "--watch"),
    "ask": ("-k", "--document", "--mode", "--explain", "--json"),
    "cite": ("--json",),
    "documents": ("--json",),
    "evaluate": ("--json", "--compare", "--report", "--ablate", "--cross-encoder", "--sample"),
    "backup": ("--force",),
    "restore": ("--replace",),
    "doctor": ("--deep",),
    "completion": ("bash|zsh|fish",),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(sourceline: Command, command: str) -> None:
    long, short = sourceline(command, "--help"), sourceline(command, "-h")
    assert long == short
    assert (long.code, long.err) == (0, "")
    text = " ".join(long.out.split())
    assert f"Usage: sourceline {command}" in text
    assert COMMANDS[command] in text
    assert all(option in text for option in OPTIONS[command])


def test_help_lists_every_command_and_global_option(sourceline: Command) -> None:
    long, short = sourceline("--help"), sourceline("-h")
    assert long == short
    assert (long.code, long.err) == (0, "")
    listed = [line.split()[1] for line in long.out.splitlines() if line.startswith("│")]
    assert [word for word in listed if word in COMMANDS] == list(COMMANDS)
    assert {"--documents", "--index", "--model", "--backend", "--reranker", "--version"} <= set(listed)


def test_no_command_shows_the_help(sourceline: Command) -> None:
    outcome = sourceline()
    assert (outcome.code, outcome.err) == (2, "")
    assert outcome.out.strip() == sourceline("--help").out.strip()


def test_the_version_is_printed(sourceline: Command) -> None:
    assert sourceline("--version").out == f"sourceline {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["frobnicate"], "No such command 'frobnicate'."),
        (["ask"], "Missing argument 'question'."),
        (["ask", "one", "two"], "Got unexpected extra argument(s) (two)"),
        (["ask", "-k", "0", "a"], "Invalid value for '-k'"),
        (["ask", "-k", "101", "a"], "Invalid value for '-k'"),
        (["ask", "-k", "five", "a"], "Invalid value for '-k'"),
        (["ask", "-k", "1.5", "a"], "Invalid value for '-k'"),
        (["ask", "--mode", "slow", "a"], "Invalid value for '--mode'"),
        (["ask", "--frobnicate", "a"], "No such option: --frobnicate"),
        (["ask", "-what?"], "No such option"),
        (["cite"], "Missing argument 'ID'."),
        (["evaluate"], "Missing argument 'SET'."),
        (["serve", "--port", "http"], "Invalid value for '--port'"),
        (["doctor", "--backend", "other"], "Invalid value for '--backend'"),
        (["rebuild-index", "--index"], "Option '--index' requires an argument."),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(sourceline: Command, arguments: list[str], reason: str) -> None:
    outcome = sourceline(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert reason in " ".join(outcome.err.replace("│", " ").split())
    assert "Traceback" not in outcome.err

"""Completion, as bash, zsh and fish ask for it."""

import os
import pty
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sourceline.cli.completion import VARIABLE, Shell
from tests.support.commands import Command

INSTALL = "apt-get update && apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends"
# Without the settings of whoever runs the tests.
INTERACTIVE = {
    Shell.BASH: ("bash --norc --noprofile -i", "source <(sourceline completion bash)"),
    Shell.ZSH: ("zsh -f -i", "autoload -U compinit; compinit -u -D; source <(sourceline completion zsh)"),
}
# What is typed before a tabulator, and the arguments that it becomes.
TYPED = {
    "doct": ["doctor"],
    "rebuild-index --docu": ["rebuild-index", "--documents"],  # a global option behind the command's name
    "ask --index i --mode f": ["ask", "--index", "i", "--mode", "fast"],
    "backup arch": ["backup", "archive.tar"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files to complete. Its command ``sourceline`` completes; else it writes down how it was called."""
    run = f"exec {shlex.quote(sys.executable)} -m sourceline"
    command = tmp_path / "bin" / "sourceline"
    command.parent.mkdir()
    command.write_text(
        f'#!/bin/sh\n[ "$1" = completion ] && {run} "$@"\n[ "${VARIABLE}" ] && {run}\n'
        f'printf "%s " "$@" >> {shlex.quote(str(tmp_path / "calls"))}\necho >> {shlex.quote(str(tmp_path / "calls"))}\n'
    )
    command.chmod(0o755)
    for name, value in {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "archive.tar").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def require(shell: Shell) -> None:
    """Install a shell if it is missing and can be; else skip the test."""
    if not shutil.which(shell) and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["bash", "-c", f"{INSTALL} {shell}"], check=False, capture_output=True)
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}, and it could not be installed: {INSTALL} {shell}")


@pytest.mark.parametrize("shell", INTERACTIVE)
def test_a_tabulator_completes_commands_options_choices_and_files(folder: Path, shell: Shell) -> None:
    require(shell)
    command, preparation = INTERACTIVE[shell]
    keyboard, terminal = pty.openpty()
    with subprocess.Popen(command.split(), stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        read_until(keyboard, f"{preparation}; echo rea''dy\n", "ready\r\n")
        read_until(keyboard, "".join(f"sourceline {line}\t\n" for line in TYPED) + "exit\n", "")
        os.close(keyboard)
        assert process.wait() == 0
    assert [line.split() for line in (folder / "calls").read_text().splitlines()] == [*TYPED.values()]


def read_until(keyboard: int, typed: str, end: str) -> None:
    """Type, then read what is shown until it ends in a text; without one, until the shell has ended."""
    os.write(keyboard, typed.encode())
    shown = ""
    while not end or end not in shown:
        try:
            shown += os.read(keyboard, 4096).decode()
        except OSError:  # how Linux tells that nobody has the terminal open any more
            assert not end, shown
            return


def test_fish_completes_the_same(folder: Path) -> None:
    require(Shell.FISH)
    for line, expected in TYPED.items():
        asked = f"sourceline completion fish | source; complete --do-complete {shlex.quote(f'sourceline {line}')}"
        run = subprocess.run(["fish", "--no-config", "-c", asked], capture_output=True, text=True, check=True)
        assert [words.split("\t")[0] for words in run.stdout.splitlines()] == expected[-1:]


def test_what_a_shell_runs_is_printed(sourceline: Command) -> None:
    for shell in Shell:
        printed = sourceline("completion", shell)
        assert (printed.code, printed.err) == (0, "")
        assert f"{VARIABLE}=complete_{shell}" in printed.out
    assert sourceline("completion", "tcsh").code == 2

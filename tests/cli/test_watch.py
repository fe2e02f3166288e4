"""``rebuild-index --watch``, as people start it."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Rebuild
from tests.support.commands import Command


class Watching:
    """The command in a process of its own, and the lines that it prints on either output."""

    def __init__(self, documents: Path, index: Path, *more: str) -> None:
        command = [sys.executable, "-m", "sourceline", "rebuild-index", "--watch", *more]
        command += ["--documents", str(documents), "--index", str(index)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SOURCELINE_")}
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # which a background process would inherit
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=index.parent,
            env=environment | {"PYTHONUNBUFFERED": "1"},
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.printed: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def kill(self) -> None:
        """End it, if it has not ended."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def wait_for(self, text: str) -> None:
        """Wait for a line that begins like this."""
        while True:
            self.printed.append(self._lines.get(timeout=120))
            if self.printed[-1].startswith(text):
                return


@contextmanager
def watching(documents: Path, index: Path, *more: str) -> Iterator[Watching]:
    command = Watching(documents, index, *more)
    try:
        yield command
    finally:
        command.kill()


def test_it_builds_goes_on_and_reports_each_build_until_it_is_interrupted(documents: Path, index: Path) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    with watching(documents, index) as command:
        command.wait_for("documents: 1 added, 0 changed, 0 unchanged, 0 removed")
        command.wait_for(f"Watching {documents}; Ctrl-C ends.")
        (documents / "b.txt").write_text("The tower was sold in June.\n")
        command.wait_for("documents: 1 added, 0 changed, 1 unchanged, 0 removed")
        (documents / "a.txt").unlink()
        (documents / "b.txt").unlink()
        command.wait_for(f"sourceline: no document in {documents} can be read: it is empty")
        (documents / "b.txt").write_text("The tower was sold in May.\n")
        command.wait_for("documents: 0 added, 1 changed, 0 unchanged, 1 removed")
        command.process.send_signal(signal.SIGINT)
        assert command.process.wait(30) == 0
    assert sum("it is empty" in line for line in command.printed) == 1
    assert not any("Traceback" in line for line in command.printed)


def test_sigterm_ends_it_at_once_and_a_second_watch_is_refused(
    sourceline: Command, documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with watching(documents, index, "--json") as command:
        command.wait_for(f"Watching {documents}; Ctrl-C ends.")
        second = sourceline("rebuild-index", "--watch", "--documents", documents, "--index", index)
        assert (second.code, second.out) == (1, "")
        assert "sourceline: another process watches the documents" in " ".join(second.err.split())
        command.process.send_signal(signal.SIGTERM)
        assert command.process.wait(30) == 0


@pytest.mark.parametrize("setting", ["true", "1"])
def test_the_setting_of_the_server_does_not_make_a_single_build_go_on(
    sourceline: Command, documents: Path, index: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    monkeypatch.setenv("SOURCELINE_WATCH", setting)
    assert sourceline("rebuild-index", "--documents", documents, "--index", index).code == 0

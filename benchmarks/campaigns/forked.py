"""Commands of Sourceline that start at once, and that can be killed: before a step that writes, or at any moment.

Run as a program, this module imports everything once, and runs a command in a process forked off it for each line of
its input: a JSON list of the command's arguments, the file to which it writes, and where it is to die. That is null, or
seconds, or the name of a step, as ``tests/support/killed_builds.py`` names them, and how often it is passed before.
It prints how each ended. Nothing of a command that is killed runs any more: no handler, no ``finally``.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

Death = tuple[str, int] | float | None

_ROOT = Path(__file__).parents[2]
_SECONDS = 120  # a command that hangs ends as one that was killed by SIGALRM


class Commands:
    """Runs commands, one at a time."""

    def __init__(self, process: "subprocess.Popen[str]", output: Path) -> None:
        self._process, self._output = process, output

    def run(self, *arguments: object, death: Death = None) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end; the code of one that was killed is minus the number of the signal.

        Both of its streams are in ``stdout``.
        """
        command = list(map(str, arguments))
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([command, str(self._output), death]) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(command, code, self._output.read_text("utf-8", errors="replace"))


@contextmanager
def commands() -> Iterator[Commands]:
    """Yield what runs commands, until the block ends."""
    own = [sys.executable, str(Path(__file__))]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOURCELINE_")}
    with (
        tempfile.NamedTemporaryFile(prefix="torture-") as output,
        subprocess.Popen(own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process,
    ):
        yield Commands(process, Path(output.name))


def _run(arguments: Sequence[str], output: str, death: Any) -> None:
    """Run a command in this process, which dies where it is to."""
    from tests.support.killed_builds import step_name

    from sourceline.cli.main import main

    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    # Without a handler the kernel ends the process at the signal, in the middle of whatever it does.
    signal.setitimer(signal.ITIMER_REAL, death if isinstance(death, int | float) else _SECONDS)
    if isinstance(death, list):
        passed: Counter[str] = Counter()
        one_at_a_time = threading.Lock()

        def profile(frame: FrameType, event: str, called: Any) -> None:
            if event == "c_call" and (name := step_name(frame, called)):
                with one_at_a_time:
                    if name == death[0]:
                        if passed[name] == death[1]:
                            os.kill(os.getpid(), signal.SIGKILL)
                        passed[name] += 1

        threading.setprofile(profile)
        sys.setprofile(profile)
    sys.argv = ["sourceline", *arguments]
    main()


def _fork_for_each_line() -> None:
    from sourceline.__main__ import set_environment

    set_environment()
    # What takes long to import. None of it starts a thread, which a fork would not copy.
    import tests.support.killed_builds

    import sourceline.cli.main
    import sourceline.doctor
    import sourceline.encoders.reranker
    import sourceline.indexing.builder

    assert sourceline.indexing.builder
    assert tests.support.killed_builds
    for line in sys.stdin:
        arguments, output, death = json.loads(line)
        if not (child := os.fork()):
            code = 70  # an exception that nothing handled
            try:
                _run(arguments, output, death)
                code = 0
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(_ROOT))
    _fork_for_each_line()

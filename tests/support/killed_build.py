"""Builds in a process that kills itself before a given step; without one it prints the steps.

A step is a call into compiled code that writes: to a file, a folder, a database or an index.
"""

import json
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL

FILES = {"mkdir", "write", "tofile", "fsync", "rename", "replace", "unlink", "rmdir"}
INDEXES = {"write_index", "add_document", "commit", "wait_merging_threads"}
DATABASES = {"execute", "executemany", "executescript", "commit", "__exit__", "close"}
READS = {
    "cache.get",
    "passages.__init__",
    "passages.text_of",
    "passages.of_document",
    "passages._select",
    "ledger.with_texts",
}


def step(frame: FrameType, called: Any) -> str | None:
    name, owner = called.__name__, type(getattr(called, "__self__", None)).__name__
    while frame.f_code.co_filename == pathlib.__file__ and frame.f_back:
        frame = frame.f_back
    place = f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"
    if owner == "Connection":
        writes = name in DATABASES and not (name == "execute" and place in READS)
    else:
        writes = name in FILES | INDEXES and owner != "str"
    return f"{place}: {name}" if writes else None


def main(documents: Path, index: Path, kill_before: int | None) -> None:
    steps: list[str] = []

    one_at_a_time = threading.Lock()

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and (name := step(frame, called)):
            with one_at_a_time:
                if len(steps) == kill_before:
                    os.kill(os.getpid(), signal.SIGKILL)
                steps.append(name)

    threading.setprofile(profile)
    sys.setprofile(profile)
    build(documents, index, DEFAULT_MODEL)
    sys.setprofile(None)
    print(json.dumps(steps))


def fork_for_each(lines: Iterable[str]) -> None:
    """Build for each line, its documents, index and step, in a process forked off this one, which imported everything.

    Say how each ended.
    """
    for line in lines:
        documents, index, step = json.loads(line)
        if not (child := os.fork()):
            signal.alarm(120)  # a build that hangs has not ended as it should
            main(Path(documents), Path(index), step)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        main(Path(sys.argv[1]), Path(sys.argv[2]), None)
    else:
        fork_for_each(sys.stdin)

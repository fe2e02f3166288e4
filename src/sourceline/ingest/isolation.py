"""Parses files in a child process with limits, so that a hostile or damaged file costs the build nothing but itself.

Files of these formats can make the library that reads them take all memory, run for hours, or crash. The child is a
plain Python that imports only the formats, gets none of the environment, and talks over its two pipes: a message is its
length in 8 bytes and then its bytes. A request is two messages, the file name extension and the file; the answer is
one, in JSON. The child ends when its pipe does: at the latest when its processor time is up, should it be at work.
"""

import datetime
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import IO, Any

from sourceline.errors import DocumentError
from sourceline.ingest.formats import FORMATS
from sourceline.ingest.formats.extraction import as_text
from sourceline.types import Block, BlockKind, Cue, ParsedFile, Time

# A PDF of 1,000 pages takes 130 MB, a Word file of 20,000 paragraphs 65 MB; a hostile one would take all there is.
MEMORY = 512 * 1024**2
# No small file is to hold up a build for 10 s. The clock is for a child that waits instead of working. One that hardly
# gets the processor, on a busy machine, still works, and an honest file must not be left out for that.
PROCESSOR_SECONDS = 6
EXTRA_SECONDS = 3
EXTRA_SECONDS_A_MEGABYTE = 10
# Deflate packs text to a tenth, and what repeats to a thousandth: 2 KB could become hours of encoding.
TEXT_RATIO = 100
TEXT_ALLOWANCE = 1_000_000
# All that a Python needs of the environment to start as this one did. No key or password is among it.
_ENVIRONMENT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "SYSTEMROOT")

_LENGTH = struct.Struct(">Q")
_TOO_MUCH_MEMORY = f"it takes more than {MEMORY // 1024**2} MB to read"


class IsolatedParser:
    """Parses files in one child process after the other: started at need, and again after a file has ended it.

    For one thread at a time. ``close`` ends the child; it may be used again after.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def parse(self, suffix: str, data: bytes) -> ParsedFile:
        """Parse a file of the format that ``FORMATS`` has for this extension.

        Raises:
            DocumentError: it cannot be read, or not within the limits.
        """
        if len(data) > MEMORY // 2:
            raise DocumentError(_TOO_MUCH_MEMORY)
        fresh = self._child is None
        try:
            return self._ask(suffix, data)
        except _EndedError as error:
            # What other files have left behind in its memory must not decide.
            if fresh or error.by_time:
                raise
        return self._ask(suffix, data)

    def close(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            child, self._child = self._child, None
            child.kill()
            with suppress(BrokenPipeError):  # what it did not read is of no use any more
                _pipes(child)[0].close()
            _pipes(child)[1].close()
            child.wait()

    def _ask(self, suffix: str, data: bytes) -> ParsedFile:
        child = self._child = self._child or _start()
        seconds = _processor_limit(suffix, data) + EXTRA_SECONDS + EXTRA_SECONDS_A_MEGABYTE * len(data) // 1_000_000
        answered, expired = threading.Event(), threading.Event()

        def end_if_idle() -> None:
            used = _processor_ticks(child)
            while not answered.wait(seconds):
                before, used = used, _processor_ticks(child)
                if used == before:
                    expired.set()
                    child.kill()
                    return

        threading.Thread(target=end_if_idle, name="idle-watcher", daemon=True).start()
        try:
            answer = _exchange(child, suffix, data)
        except BaseException:
            self.close()  # an answer that comes later must not be taken for another file's
            raise
        finally:
            answered.set()
        if answer is None:
            code = child.wait()
            self.close()
            if expired.is_set():
                raise _EndedError(f"its reader stood still for {seconds} s", by_time=True)
            raise _ended_by(code, _processor_limit(suffix, data))
        outcome = json.loads(answer)
        if outcome.get("out_of_memory"):
            self.close()
            raise _EndedError(_TOO_MUCH_MEMORY)
        if "error" in outcome:
            raise DocumentError(outcome["error"])
        return _from_json(outcome)


class _EndedError(DocumentError):
    """The child ended, or has to; ``by_time`` says whether the file took too long."""

    def __init__(self, message: str, by_time: bool = False) -> None:
        super().__init__(message)
        self.by_time = by_time


def _ended_by(code: int, seconds: int) -> _EndedError:
    match -code:
        case signal.SIGXCPU:
            return _EndedError(f"it takes more than {seconds} s of processor time to read", by_time=True)
        case signal.SIGKILL:
            return _EndedError("reading it was ended by the system, most likely for want of memory")
        case number if number > 0:
            return _EndedError(f"it makes its reader crash ({signal.strsignal(number)})")
        case _:
            return _EndedError(f"its reader ended with exit code {code}")


def _processor_ticks(child: subprocess.Popen[bytes]) -> int | None:
    """Return how much processor time a child has used; None where the system does not say."""
    try:
        stat = Path(f"/proc/{child.pid}/stat").read_text()
    except OSError:  # it has ended, or this is no Linux
        return None
    user, system = stat.rsplit(")", 1)[1].split()[11:13]  # proc(5): behind the name, which may hold anything
    return int(user) + int(system)


def _processor_limit(suffix: str, data: bytes) -> int:
    return PROCESSOR_SECONDS + FORMATS[suffix].seconds_a_megabyte * len(data) // 1_000_000


def _start() -> subprocess.Popen[bytes]:
    # Not forked: FAISS and ONNX Runtime hang in a forked child. -P: nothing is imported from the current folder, which
    # may be the documents folder.
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    return subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", "sourceline.ingest.isolation"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment | {"PYTHONPATH": path},
        cwd="/",
    )


def _exchange(child: subprocess.Popen[bytes], suffix: str, data: bytes) -> bytes | None:
    """Return the child's answer, None if it ended before it gave one."""
    requests, answers = _pipes(child)
    try:
        _send(requests, suffix.encode())
        _send(requests, data)
    except BrokenPipeError:
        return None
    return _receive(answers)


def _pipes(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert child.stdin
    assert child.stdout
    return child.stdin, child.stdout


def _send(stream: IO[bytes], message: bytes) -> None:
    stream.write(_LENGTH.pack(len(message)))
    stream.write(message)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes | None:
    """Return the next message, None at the end of the stream."""
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(header)
    message = stream.read(length)
    return message if len(message) == length else None


def _to_json(parsed: ParsedFile) -> dict[str, Any]:
    blocks = [
        (
            block.kind,
            block.start,
            block.end,
            block.gaps,
            block.speaker and as_text(block.speaker),
            [(cue.start, cue.end, cue.time.start, cue.time.end) for cue in block.cues],
            [*map(as_text, block.columns)],
        )
        for block in parsed.blocks
    ]
    date, created = (day and day.isoformat() for day in (parsed.date, parsed.created))
    answer = {"text": parsed.text, "blocks": blocks, "title": parsed.title, "pages": parsed.pages}
    return answer | {"date": date, "created": created}


def _from_json(outcome: dict[str, Any]) -> ParsedFile:
    blocks = tuple(
        Block(
            BlockKind(kind),
            start,
            end,
            tuple((first, last) for first, last in gaps),
            speaker,
            tuple(Cue(first, last, Time(begins, ends)) for first, last, begins, ends in cues),
            tuple(columns),
        )
        for kind, start, end, gaps, speaker, cues, columns in outcome["blocks"]
    )
    days = (outcome["date"], outcome["created"])
    date, created = (datetime.date.fromisoformat(day) if day else None for day in days)
    return ParsedFile(outcome["text"], blocks, outcome["title"], date, tuple(outcome["pages"]), created)


def _parse(suffix: str, data: bytes) -> dict[str, Any]:
    """Parse a file, in the child; return the answer."""
    try:
        parsed = FORMATS[suffix].parse(data)
        if len(parsed.text) > TEXT_ALLOWANCE + TEXT_RATIO * len(data):
            return {"error": f"its text is more than {TEXT_RATIO} times as long as the file"}
        answer = _to_json(parsed)
        answer["text"] = as_text(parsed.text)
        answer["title"] = parsed.title and as_text(parsed.title)
        return answer
    except DocumentError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"out_of_memory": True}
    except RecursionError:
        return {"error": "it is nested too deeply to be read"}
    except Exception as error:  # a library may raise anything at a damaged file, and no other file is to be lost by it
        reason = " ".join(str(error).split())[:200]
        return {"error": f"it is damaged: {type(error).__name__}{': ' if reason else ''}{reason}"}


def main() -> None:
    """Be the child: answer requests until there are no more."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ValueError, OSError):  # macOS knows the limit and does not let it be set
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    while (name := _receive(requests)) is not None and (data := _receive(requests)) is not None:
        suffix = name.decode()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        used = ceil(usage.ru_utime + usage.ru_stime)
        resource.setrlimit(resource.RLIMIT_CPU, (used + _processor_limit(suffix, data), most))
        _send(answers, json.dumps(_parse(suffix, data)).encode())


if __name__ == "__main__":
    main()

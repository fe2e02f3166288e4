"""The few threads that answer questions."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

Found = TypeVar("Found")


class Threads:
    """Runs so many functions at a time, each in a thread; the others wait in line.

    A process has as many as its share of the cores, and one. As many as there are requests would take caches and the
    interpreter from each other: with 16 clients on two cores three threads answer half as much again as forty do, and
    the slowest sooner. The way through anyio's threads, or those of ``concurrent.futures``, takes twice as long.
    """

    def __init__(self, count: int) -> None:
        self._waiting: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        # Daemons: an app that is made and never served has nobody who would stop them.
        self._threads = [threading.Thread(target=self._run, name="answers", daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    @property
    def count(self) -> int:
        """How many threads there are."""
        return len(self._threads)

    def stop(self) -> None:
        """Stop, when all that waits is done."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    async def call(self, function: Callable[[], Found]) -> Found:
        """Call a function in a thread; return or raise what it does."""
        outcome: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.put((function, outcome))
        return await outcome

    def _run(self) -> None:
        while taken := self._waiting.get():
            _work(*taken)
            del taken  # what was found is not to be kept until the next one comes


def _work(function: Callable[[], Any], outcome: asyncio.Future[Any]) -> None:
    try:
        found = function()
    except Exception as error:  # whatever it is, it is raised where the call is awaited, and the thread goes on
        _tell(outcome, outcome.set_exception, error)
    else:
        _tell(outcome, outcome.set_result, found)


def _tell(outcome: asyncio.Future[Any], settle: Callable[[Any], None], value: object) -> None:
    """Settle a future in its loop's thread, unless it was given up meanwhile."""
    with suppress(RuntimeError):  # the loop has ended: nobody waits any more
        outcome.get_loop().call_soon_threadsafe(lambda: None if outcome.done() else settle(value))

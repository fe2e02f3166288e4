"""What the server tells of the documents folder.

The folder may be on a share that hangs. Whatever touches it runs in threads of its own, so that no answer waits for it.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sourceline.api import Index, import_formats, suggested_questions
from sourceline.errors import CorpusError, DocumentError, SnapshotError
from sourceline.types import FolderChanges

log = logging.getLogger(__name__)

# How long a request waits for the folder.
PATIENCE_SECONDS = 1.0
# How long what is known of the folder is good enough: this, or so many times what it took to find out.
FRESH_SECONDS, FRESH_FACTOR = 2.0, 20

Result = TypeVar("Result")


class FolderThread:
    """Runs what touches the folder, one call at a time. A caller waits a second, and not at all while one hangs."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="documents-folder")
        self._hanging: Future[Any] | None = None

    def call(self, work: Callable[[], Result]) -> Result | None:
        """Return what ``work`` returns, or None if that takes too long."""
        if self._hanging and not self._hanging.done():
            return None
        future = self._pool.submit(work)
        if wait([future], PATIENCE_SECONDS).done:
            return future.result()
        self._hanging = future
        return None

    def close(self) -> None:
        """Run nothing more; what hangs is left to itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class CheckedChanges:
    """How the folder differed from a snapshot when it was ``checked``, or the ``error`` that hid that."""

    snapshot: str
    checked: datetime
    changes: FolderChanges | None
    error: str | None = None


class SuggestedQuestions:
    """Reads the questions that are written beside the documents, each time: a change shows at once."""

    def __init__(self, folder: Path, follow_links: bool) -> None:
        self._folder, self._follow_links = folder, follow_links
        self._thread = FolderThread()
        self._lines: tuple[str, ...] = ()
        self._told = ""

    def latest(self) -> tuple[str, ...]:
        """Return the questions: none if there is no such file, or it cannot be read, which is logged once."""
        self._thread.call(self._read)
        return self._lines

    def close(self) -> None:
        """Read no more."""
        self._thread.close()

    def _read(self) -> None:
        lines, reason = tuple[str, ...](), ""
        try:
            lines = suggested_questions(self._folder, self._follow_links)
        except (DocumentError, CorpusError) as error:
            reason = str(error)
        if reason and reason != self._told:
            log.warning("no questions are suggested from %s/questions.txt: %s", self._folder, reason)
        self._lines, self._told = lines, reason


class LatestChanges:
    """Knows how the folder differs from the snapshot that is served. Looks again when it is asked, not too often."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._thread = FolderThread()
        self._lock = threading.Lock()
        self._known: CheckedChanges | None = None
        self._fresh_until = 0.0

    def latest(self) -> CheckedChanges | None:
        """Return the newest that is known of the snapshot that is served; None before anything is."""
        if self._is_stale():
            import_formats()  # here, as a thread that imports is no folder that hangs
            self._thread.call(self._check)
        known = self._known
        return known if known and known.snapshot == self._index.snapshot.id else None

    def close(self) -> None:
        """Look no more."""
        self._thread.close()

    def _is_stale(self) -> bool:
        known = self._known
        return not known or known.snapshot != self._index.snapshot.id or time.monotonic() >= self._fresh_until

    def _check(self) -> None:
        if not self._is_stale():  # another request has looked while this one waited for its turn
            return
        started, checked, snapshot = time.monotonic(), datetime.now(UTC), self._index.snapshot.id
        try:
            changes = self._index.changes()
            error = "the snapshot does not say what the folder held" if changes is None else None
            known = CheckedChanges(snapshot, checked, changes, error)
        except (CorpusError, SnapshotError) as error:
            known = CheckedChanges(snapshot, checked, None, str(error))
        took = time.monotonic() - started
        self._known, self._fresh_until = known, started + took + max(FRESH_SECONDS, FRESH_FACTOR * took)

"""Holds the searcher that answers, and swaps it when a new snapshot is published."""

import logging
import os
import threading
import time
from pathlib import Path

from sourceline.citations.ledger import Ledger
from sourceline.errors import SourcelineError
from sourceline.index.snapshot import current_id
from sourceline.search.opening import open_searcher
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_THRESHOLD, Backend

log = logging.getLogger(__name__)

# A new snapshot is to be served within 2 s.
POLL_SECONDS = 0.5
# One that cannot be opened is tried again, but opening reads all of it.
RETRY_SECONDS = 10


class LiveIndex:
    """One immutable searcher at a time: a request takes it once and keeps it; a new snapshot is one assignment."""

    def __init__(self, index: Path, model: str, kind: Backend, threshold: float = DEFAULT_THRESHOLD) -> None:
        """Open the current snapshot.

        Raises:
            SnapshotError: there is none that can be served.
            ModelError: its encoder cannot be opened.
        """
        self.index = index
        self.ledger = Ledger(index)
        self._model = model
        self._kind = kind
        self._threshold = threshold
        # What CURRENT named when a snapshot was last opened. Read before opening: a newer one is then noticed later.
        self._seen = current_id(index)
        self._searcher = self._open(None)
        self._refreshing = threading.Lock()  # never taken to answer a question
        self._not_before = 0.0
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="snapshot-watcher", daemon=True)

    @property
    def searcher(self) -> Searcher:
        """The searcher to answer the request at hand with, from start to end."""
        return self._searcher

    def start(self) -> None:
        """Watch for new snapshots, in a thread."""
        self._watcher.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._watcher.join()

    def refresh(self) -> None:
        """Serve the current snapshot, if it is another than the one that is served and can be opened."""
        with self._refreshing:
            if time.monotonic() < self._not_before:
                return
            try:
                current = current_id(self.index)
                if current == self._seen:
                    return
                self._searcher = self._open(self._searcher)
            except SourcelineError as error:
                log.error("still serving snapshot %s: %s", self._searcher.snapshot.id, error)
                self._not_before = time.monotonic() + RETRY_SECONDS
            else:
                self._seen = current
                log.info("serving snapshot %s", self._searcher.snapshot.id)

    def _open(self, before: Searcher | None) -> Searcher:
        connections = 2 * (os.cpu_count() or 1)
        encoder = before.encoder if before else None
        return open_searcher(self.index, self._model, self._kind, connections, encoder, self._threshold)

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.refresh()

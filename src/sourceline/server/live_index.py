"""Keeps one index open and switches to new snapshots, without a restart."""

import logging
import os
import threading
import time
from dataclasses import replace

from sourceline.api import Index
from sourceline.config import Settings
from sourceline.errors import SourcelineError, UnknownCitationError
from sourceline.server.folder import CheckedChanges, FolderThread, LatestChanges, SuggestedQuestions
from sourceline.server.observing import Observer
from sourceline.types import Citation, CitationStatus

log = logging.getLogger(__name__)

# A new snapshot is to be served within 2 s.
POLL_SECONDS = 0.5
# A snapshot that cannot be opened is tried again after a while: opening reads all of it. So is one verified again that
# could not be read.
RETRY_SECONDS = 10


class LiveIndex:
    """An open ``index`` and a thread that switches it to each new snapshot.

    Who answers from it tells its ``observer`` what came of that.
    """

    def __init__(self, settings: Settings) -> None:
        """Open the current snapshot.

        Raises:
            SnapshotError: there is none that can be served.
            ModelError: its encoder or the reranker cannot be opened.
        """
        self.index = Index.open(
            settings.index,
            model=settings.model,
            backend=settings.backend,
            reranker=settings.reranker,
            threshold=settings.threshold,
            connections=2 * (os.cpu_count() or 1),
            documents=settings.documents,
        )
        self.observer = Observer()  # the app's, once there is one: the index is opened while that is imported
        self._sources = FolderThread()
        self._changes = LatestChanges(self.index)
        self._questions = SuggestedQuestions(settings.documents, settings.follow_links)
        self._refreshing = threading.Lock()
        self._retry_at = 0.0
        self._suspected = threading.Event()
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="snapshot-watcher", daemon=True)

    def start(self) -> None:
        """Watch for new snapshots, in a thread."""
        self._watcher.start()

    def stop(self) -> None:
        """Stop watching and close the index."""
        self._stopped.set()
        self._watcher.join()
        self._sources.close()
        self._changes.close()
        self._questions.close()
        self.index.close()

    def refresh(self, reopen: bool = False) -> None:
        """Serve the current snapshot. If it cannot be opened, that is logged, and the one before is still served.

        With ``reopen`` it is opened, and verified, also if it is served.
        """
        with self._refreshing:
            if time.monotonic() < self._retry_at:
                return
            try:
                if self.index.refresh(reopen):
                    log.info("serving snapshot %s", self.index.snapshot.id)
            except SourcelineError as error:
                log.error("still serving snapshot %s: %s", self.index.snapshot.id, error)
                self._retry_at = time.monotonic() + RETRY_SECONDS

    def suspect(self) -> None:
        """Have the snapshot that is served verified in a moment: something could not be read in it."""
        self._suspected.set()

    def cite(self, citation: str) -> Citation:
        """Look a citation up as ``Index.cite`` does, also one of a snapshot that was published a moment ago."""
        try:
            result = self.index.cite(citation, source=False)
            is_current = result.status is CitationStatus.CURRENT
        except UnknownCitationError:
            is_current = False
        if not is_current:
            self.refresh()
            try:
                result = self.index.cite(citation, source=False)
            except UnknownCitationError:
                self.observer.cited(None)
                raise
        self.observer.cited(result.status)
        if result.now is None:
            return result
        document = result.now.passage.document_id
        return replace(result, source=self._sources.call(lambda: self.index.source(document)))

    def changes(self) -> CheckedChanges | None:
        """Return how the documents folder differs from the snapshot, as far as it is known."""
        return self._changes.latest()

    def questions(self) -> tuple[str, ...]:
        """Return the questions that are suggested."""
        return self._questions.latest()

    def _watch(self) -> None:
        verify_at = 0.0
        while not self._stopped.wait(POLL_SECONDS):
            if verify := self._suspected.is_set() and time.monotonic() >= verify_at:
                self._suspected.clear()
                verify_at = time.monotonic() + RETRY_SECONDS
            self.refresh(reopen=verify)

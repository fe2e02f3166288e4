"""Rebuilds the index when documents change, while the server runs."""

import logging
import threading

from sourceline.config import Settings
from sourceline.errors import BuildRunningError
from sourceline.server.rebuilds import Rebuilds
from sourceline.types import RebuildState

log = logging.getLogger(__name__)

# How often a process that does not watch tries to take over from the one that does.
TAKE_OVER_SECONDS = 5


class WatchThread:
    """Watches the documents folder, unless another process does; then it waits to take over from it."""

    def __init__(self, settings: Settings, rebuilds: Rebuilds) -> None:
        self._settings, self._rebuilds = settings, rebuilds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="documents-watcher", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """Start no other rebuild. ``join`` waits for the thread, once a running rebuild was stopped."""
        self._stop.set()

    def join(self) -> None:
        """Wait a moment for the thread to end: it may be looking at a share that hangs."""
        self._thread.join(1)

    def _run(self) -> None:
        from sourceline.watching import Watcher, watch_lock  # with all formats, which answering does not need

        settings = self._settings
        while not self._stop.is_set():
            try:
                with watch_lock(settings.local_folder):
                    Watcher(settings.documents, settings.index, self._rebuild, log.warning, self._stop).run()
            except BuildRunningError:
                self._stop.wait(TAKE_OVER_SECONDS)
            except OSError as error:
                log.error("the documents are not watched: %s", error)
                return

    def _rebuild(self) -> bool:
        self._rebuilds.start()
        return self._rebuilds.wait().state is RebuildState.SUCCEEDED

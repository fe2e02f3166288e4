"""Serves MCP on standard input and output, for a host that starts Sourceline as a process of its own."""

import gc
import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.to_thread

from sourceline.config import Settings
from sourceline.errors import SourcelineError
from sourceline.server.live_index import LiveIndex
from sourceline.server.mcp import MISSING, is_installed
from sourceline.server.threads import Threads

log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Serve until standard input ends. Standard output carries the protocol and nothing else.

    Raises:
        SourcelineError: the SDK is not installed.
        SnapshotError, ModelError: the index cannot be served.
    """
    if not is_installed():
        raise SourcelineError(MISSING)
    # The SDK waits for a line of input in a thread, which no exception would end. There is nothing to clean up.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with ThreadPoolExecutor(1) as pool:  # the SDK is imported while the index is opened
        opening = pool.submit(LiveIndex, settings)
        from mcp.server.stdio import stdio_server

        from sourceline.server.mcp.server import create_server

        live_index = opening.result()
    server = create_server(live_index, Threads())

    async def serve() -> None:
        # For questions a process's cores and one more, as over HTTP, and two for the protocol's input and output.
        anyio.to_thread.current_default_thread_limiter().total_tokens = (os.cpu_count() or 1) + 3
        async with stdio_server() as (incoming, outgoing):
            log.info("serving snapshot %s over MCP", live_index.index.snapshot.id)
            try:
                await server.run(incoming, outgoing, server.create_initialization_options())
            finally:
                sys.stdout.flush()  # what was printed meanwhile, while it still goes to standard error

    gc.freeze()
    live_index.start()
    try:
        anyio.run(serve)
    finally:
        live_index.stop()

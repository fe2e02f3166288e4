"""What the transports share, without one: the client and the server of the SDK in one process."""

import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from sourceline.api import Index
from sourceline.config import load_settings
from sourceline.server.live_index import LiveIndex
from sourceline.server.mcp.server import create_server
from sourceline.server.threads import Threads
from sourceline.types import NO_RERANKER, Verification
from tests.support.assistant import ERAS


@pytest.mark.parametrize("era", ERAS)
def test_a_call_that_is_cancelled_is_dropped_unless_it_has_begun(
    seed_index: Path, monkeypatch: pytest.MonkeyPatch, era: str
) -> None:
    begun: list[str] = []
    hold = threading.Event()
    verify = Index.verify

    def wait(index: Index, text: str, *arguments: Any) -> Verification:
        begun.append(text)
        assert hold.wait(60)
        return verify(index, text, *arguments)

    monkeypatch.setattr(Index, "verify", wait)
    live_index = LiveIndex(load_settings(index=seed_index, reranker=NO_RERANKER))
    live_index.start()

    async def cancel() -> None:
        async with Client(create_server(live_index, Threads()), mode=era) as client, anyio.create_task_group() as calls:
            calls.start_soon(client.call_tool, "verify", {"text": "The first one."})
            with anyio.fail_after(60):
                while not begun:
                    await anyio.sleep(0.01)
            with anyio.move_on_after(0.2):  # texts are verified one at a time, so that this one waits
                await client.call_tool("verify", {"text": "Nobody waits for this."})
            hold.set()
            assert (await client.call_tool("verify", {"text": "The third one."})).is_error is False

    try:
        anyio.run(cancel)
    finally:
        live_index.stop()
    assert begun == ["The first one.", "The third one."]

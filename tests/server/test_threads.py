import asyncio
import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from sourceline.config import load_settings
from sourceline.errors import QuestionError
from sourceline.search.searcher import Searcher
from sourceline.server.app import create_app
from sourceline.server.threads import Threads
from sourceline.types import Answer
from tests.server.serving import wait_until


@pytest.mark.parametrize("workers", [1, 2, 64])
def test_a_process_works_on_its_share_of_the_cores_and_one_more_and_answers_all(
    corpus: Path, corpus_index: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    inside: list[int] = [0]
    most: list[int] = [0]
    counting, ask = threading.Lock(), Searcher.ask

    def counted(searcher: Searcher, question: str, k: int, documents: tuple[str, ...]) -> Answer:
        with counting:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.05)  # so that they meet
        try:
            return ask(searcher, question, k, documents)
        finally:
            with counting:
                inside[0] -= 1

    monkeypatch.setattr(Searcher, "ask", counted)
    app = create_app(load_settings(documents=corpus, index=corpus_index, workers=workers))
    with TestClient(app) as client, ThreadPoolExecutor(16) as pool:
        bodies = [{"question": f"Who met Pezeshkian on day {number}?"} for number in range(16)]
        answers = list(pool.map(lambda body: client.post("/v1/ask", json=body), bodies))
    assert [answer.status_code for answer in answers] == [200] * 16
    assert most[0] == (os.cpu_count() or 1) // workers + 1


def test_what_a_function_returns_or_raises_is_returned_or_raised() -> None:
    threads = Threads(2)

    def fail() -> None:
        raise QuestionError("no")

    async def ask() -> None:
        names = await asyncio.gather(*(threads.call(lambda: threading.current_thread().name) for _ in range(9)))
        assert set(names) == {"answers"}
        with pytest.raises(QuestionError, match="no"):
            await threads.call(fail)
        assert await threads.call(lambda: 5) == 5

    asyncio.run(ask())
    threads.stop()


def test_one_that_is_given_up_takes_no_thread_with_it() -> None:
    threads, let_go = Threads(1), threading.Event()

    async def ask() -> None:
        given_up = asyncio.create_task(threads.call(let_go.wait))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        let_go.set()
        assert await threads.call(lambda: 5) == 5

    asyncio.run(ask())
    threads.stop()


def test_one_that_outlives_its_loop_takes_no_thread_with_it() -> None:
    threads, let_go = Threads(1), threading.Event()

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(threads.call(let_go.wait), 0.01)

    asyncio.run(leave())
    let_go.set()
    assert asyncio.run(threads.call(lambda: 5)) == 5
    threads.stop()


def test_what_was_found_is_not_kept() -> None:
    class SourceFile:
        pass

    threads = Threads(1)

    async def ask() -> weakref.ref[SourceFile]:
        return weakref.ref(await threads.call(SourceFile))

    kept = asyncio.run(ask())
    wait_until(lambda: kept() is None)
    threads.stop()

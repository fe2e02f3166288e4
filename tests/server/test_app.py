import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from sourceline.api import Index
from sourceline.config import load_settings
from sourceline.errors import ClosedError
from sourceline.server.app import create_app
from sourceline.types import Answer
from tests.support.api import client_of


@pytest.mark.parametrize("workers", [1, 2, 64])
def test_a_process_works_on_its_share_of_the_cores_and_one_more_and_answers_all(
    corpus: Path, corpus_index: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    active: list[int] = [0]
    most: list[int] = [0]
    counting, ask = threading.Lock(), Index.ask

    def counted(index: Index, question: str, k: int, **limits: Any) -> Answer:
        with counting:
            active[0] += 1
            most[0] = max(most[0], active[0])
        time.sleep(0.05)  # so that they meet
        try:
            return ask(index, question, k, **limits)
        finally:
            with counting:
                active[0] -= 1

    monkeypatch.setattr(Index, "ask", counted)
    app = create_app(load_settings(documents=corpus, index=corpus_index, workers=workers))
    with client_of(app) as client, ThreadPoolExecutor(16) as pool:
        bodies = [{"question": f"Who met Pezeshkian on day {number}?"} for number in range(16)]
        answers = list(pool.map(lambda body: client.post("/v1/ask", json=body), bodies))
    assert [answer.status_code for answer in answers] == [200] * 16
    assert most[0] == (os.cpu_count() or 1) // workers + 1


def test_when_the_app_ends_the_index_is_closed(corpus: Path, corpus_index: Path) -> None:
    app = create_app(load_settings(documents=corpus, index=corpus_index))
    with client_of(app) as client:
        assert client.get("/readyz").status_code == 200
    with pytest.raises(ClosedError):
        app.state.live_index.index.ask("Who?")
    assert client_of(app).get("/readyz").status_code == 503


def test_what_requests_leave_does_not_pile_up(corpus: Path, corpus_index: Path) -> None:
    thresholds = gc.get_threshold()
    gc.set_threshold(50_000, 20, 20)  # as for the start
    try:
        with client_of(create_app(load_settings(documents=corpus, index=corpus_index))) as client:
            piled_up = []
            for _ in range(200):
                assert client.get("/healthz").status_code == 200
                piled_up.append(gc.get_count()[0])
    finally:
        gc.set_threshold(*thresholds)
    assert max(piled_up) < 2_000


def test_importing_the_server_changes_no_library() -> None:
    code = """
import os
from pydantic import BaseModel
environment, config = dict(os.environ), dict(BaseModel.model_config)
import sourceline.server.run, sourceline.server.app
assert dict(BaseModel.model_config) == config
assert dict(os.environ) == environment
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_description_of_the_api_is_made_once(app: FastAPI) -> None:
    assert app.openapi() is app.openapi()


def test_an_unknown_path_takes_few_calls_on_the_event_loop(app: FastAPI) -> None:
    """Some 320: ten for each route, and what the middleware takes."""

    async def calls_of_one() -> int:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": "/no/such/route",
            "raw_path": b"/no/such/route",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost")],
        }
        calls = 0

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: object) -> None:
            pass

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        await app(dict(scope), receive, send)  # the first builds the middleware
        sys.setprofile(count)
        try:
            await app(dict(scope), receive, send)
        finally:
            sys.setprofile(None)
        return calls

    assert asyncio.run(calls_of_one()) < 500

"""What the server costs a request beside the search: ``python benchmarks/overhead.py``.

Calls the app as uvicorn does, with an answer that was found before, over the index of the settings (build it first).
Prints the milliseconds of processor time that each request takes: the least of several rounds. The last lines are what
it takes of that to time the stages of an answer and to count it; as one of several workers with a folder in
``PROMETHEUS_MULTIPROC_DIR``.
"""

import asyncio
import json
import time
from collections.abc import Callable
from unittest.mock import patch

from starlette.types import Message, Scope

from sourceline.api import Index
from sourceline.config import load_settings
from sourceline.search.stopwatch import Stopwatch
from sourceline.server.app import create_app
from sourceline.types import Answer, Mode

ROUNDS, REQUESTS = 10, 200
QUESTION = json.dumps({"question": "Who chairs the next session?"}).encode()
BATCH = json.dumps({"questions": ["Who chairs the next session?"] * 100}).encode()
CASES = {
    "an answer with five passages": ("POST", "/v1/ask", QUESTION),
    "a hundred answers": ("POST", "/v1/ask/batch", BATCH),
    "a question that is refused": ("POST", "/v1/ask", b"{}"),
    "an unknown path": ("GET", "/no/such/route", b""),
    "a wrong method": ("DELETE", "/v1/ask", b""),
    "health": ("GET", "/healthz", b""),
}


def main() -> None:
    """Time every case."""
    app = create_app(load_settings())
    answer: Answer = app.state.live_index.index.ask("Who chairs the next session?")
    patch.object(Index, "ask", lambda *_, **__: answer).start()
    patch.object(Index, "ask_many", lambda _, questions, *__, **___: iter([answer] * len(questions))).start()

    async def request(method: str, path: str, body: bytes) -> None:
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope: Scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
        }

        bodies = iter([body])

        async def receive() -> Message:
            for sent in bodies:
                return {"type": "http.request", "body": sent, "more_body": False}
            return await asyncio.Future()  # the client stays

        async def send(_: Message) -> None:
            pass

        await app(scope, receive, send)

    async def time_all() -> None:
        async with app.router.lifespan_context(app):
            for name, case in CASES.items():
                rounds = [await seconds(*case) for _ in range(ROUNDS)]
                print(f"{name:32} {min(rounds) * 1000:8.3f}")

    async def seconds(method: str, path: str, body: bytes) -> float:
        started = time.process_time()
        for _ in range(REQUESTS):
            await request(method, path, body)
        return (time.process_time() - started) / REQUESTS

    asyncio.run(time_all())
    app.state.live_index.index.close()
    parts = {
        "timing its stages": lambda: time_stages(answer),
        "counting it": lambda: app.state.metrics.answered(answer, Mode.READ),
    }
    for name, part in parts.items():
        print(f"{name:32} {min(seconds_of(part) for _ in range(ROUNDS)) * 1000:8.4f}")


def time_stages(answer: Answer) -> None:
    """Take as many laps as an answer has."""
    watch = Stopwatch()
    for spent in answer.stages:
        watch.lap(spent.stage)
    assert watch.times


def seconds_of(part: Callable[[], None]) -> float:
    """Return how long a part takes, once."""
    started = time.process_time()
    for _ in range(REQUESTS):
        part()
    return (time.process_time() - started) / REQUESTS


if __name__ == "__main__":
    main()

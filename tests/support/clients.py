"""Both clients, called alike; and a server that answers what it is told to."""

import doctest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sourceline.client import URL, AsyncClient, Client
from tests.support.server import listening

BOTH = (Client, AsyncClient)
Kind = type[Client] | type[AsyncClient]


@contextmanager
def opened(kind: Kind, url: str, **settings: Any) -> Iterator[Any]:
    """Open a client of a kind; calls of an ``AsyncClient`` are waited for."""
    if kind is Client:
        with Client(url, **settings) as client:
            yield client
    else:
        context = AsyncClient(url, **settings)
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(context) as async_client:
            yield _Blocking(async_client, portal)


class _Blocking:
    """An ``AsyncClient`` whose calls are waited for."""

    def __init__(self, client: AsyncClient, portal: BlockingPortal) -> None:
        self._client, self._portal = client, portal

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)

        async def run(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            return await call(*arguments, **keywords)

        return lambda *arguments, **keywords: self._portal.call(run, arguments, keywords)


def run_example(kind: type, url: str) -> None:
    """Run the example in the docstring of a class, with a server of the seed documents at an address."""
    text = (kind.__doc__ or "").replace(URL, url)
    assert url in text
    example = doctest.DocTestParser().get_doctest(text, {}, kind.__name__, None, None)
    messages: list[str] = []
    results = doctest.DocTestRunner().run(example, out=messages.append)
    assert results.attempted
    assert not results.failed, "".join(messages)


class Scripted:
    """Gives one answer after another, the last one for ever; keeps what was asked."""

    def __init__(self, *answers: Response) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        assert scope["type"] == "http"
        self.asked.append((scope["method"], scope["path"]))
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        await answer(scope, receive, send)

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve it; yield the address."""
        with listening(self) as (host, port):
            yield f"http://{host}:{port}"

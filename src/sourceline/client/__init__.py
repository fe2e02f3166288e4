"""Asks a running server: what ``Index`` does, over HTTP, with the same types. Needs the extra ``client``."""

import itertools
import json
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from typing import Any, Generic, Self, TypeVar
from urllib.parse import quote

import anyio

from sourceline import __version__
from sourceline.client.parsing import (
    EditedDocument,
    Rebuild,
    ServedIndex,
    read_answer,
    read_answers,
    read_citation,
    read_citations,
    read_document,
    read_documents,
    read_edit,
    read_index,
    read_rebuild,
    read_speakers,
    read_verification,
)
from sourceline.errors import (
    BuildRunningError,
    EditError,
    QuestionError,
    ServerError,
    SourcelineError,
    UnknownCitationError,
    UnknownDocumentError,
)
from sourceline.types import MAX_K, Answer, Citation, DocumentList, DocumentText, Mode, Verification

try:
    import httpx2
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(f"{error.name} is missing: pip install 'sourceline[client]'", name=error.name) from error

__all__ = ["URL", "AsyncClient", "Client", "EditedDocument", "Rebuild", "ServedIndex"]

URL = "http://127.0.0.1:8080"  # where `sourceline serve` answers
TIMEOUT = 30.0
RETRIES = 3
MAX_WAIT = 10.0
# Waits are up to this much longer than they must be, so that clients that were refused together do not come together.
JITTER = 0.25
# What says that a connection broke while it was used. Nobody knows then what became of the request.
_LOST = (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError)
# The server is busy, or the key has used up its limit.
_TRANSIENT = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Request(Generic[T]):
    """A request, how its answer is read, and whether it may be sent again: not if that would start something twice."""

    method: str
    path: str
    read: Callable[[Any], T]
    query: Mapping[str, str | int] | None = None
    body: Mapping[str, object] | bytes | None = None
    unknown: type[SourcelineError] | None = None  # raised for 404
    repeatable: bool = True

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of ``httpx2.Client.request``."""
        arguments: dict[str, Any] = {"method": self.method, "url": self.path}
        if self.query is not None:
            arguments["params"] = self.query
        if isinstance(self.body, bytes):
            arguments["content"] = self.body
        elif self.body is not None:
            # Escaped, so that what is no text reaches the server, which says so.
            arguments["content"] = json.dumps(self.body).encode("ascii")
            arguments["headers"] = {"Content-Type": "application/json"}
        return arguments

    def result(self, response: httpx2.Response) -> T:
        """Return what the answer says.

        Raises:
            SourcelineError: it is a problem, or no answer of a Sourceline server.
        """
        if not response.is_success:
            raise self._error(response)
        try:
            return self.read(response.json())
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise _not_sourceline(response) from error

    def _error(self, response: httpx2.Response) -> SourcelineError:
        status = response.status_code
        if not response.headers.get("content-type", "").startswith("application/problem+json"):
            return _not_sourceline(response)
        try:
            problem = response.json()
            detail = str(problem["detail"])
            fields = tuple((str(field["location"]), str(field["message"])) for field in problem.get("errors", ()))
        except (ValueError, LookupError, TypeError, AttributeError):
            return _not_sourceline(response)
        if status == HTTPStatus.NOT_FOUND and self.unknown:
            return self.unknown(detail)
        if status == HTTPStatus.CONFLICT:
            return BuildRunningError(detail)
        for location, message in fields:
            if location in ("body.question", "body.text"):
                return QuestionError(message)
            if location.startswith("body.questions"):
                return QuestionError(f"{location.removeprefix('body.')}: {message}")
            if location == "path.document":
                return EditError(message)
        faults = "".join(f"; {location}: {message}" for location, message in fields)
        return ServerError(detail + faults, status, fields, _retry_after(response))


def _retry_after(response: httpx2.Response) -> int | None:
    seconds = response.headers.get("retry-after", "")
    return int(seconds) if seconds.isascii() and seconds.isdigit() and len(seconds) < 10 else None


def _not_sourceline(response: httpx2.Response) -> ServerError:
    status, url = response.status_code, response.request.url
    return ServerError(f"{url} answered {status}, and not as a Sourceline server of this version does", status)


# The requests of the API


def _ask(
    question: str, k: int, mode: Mode | str, threshold: float | None, filters: dict[str, object]
) -> _Request[Answer]:
    return _Request(
        "POST", "/v1/ask", read_answer, body={"question": question, **_options(k, mode, threshold, filters)}
    )


def _ask_many(
    questions: Sequence[str], k: int, mode: Mode | str, threshold: float | None, filters: dict[str, object]
) -> _Request[tuple[Answer, ...]]:
    body = {"questions": list(questions), **_options(k, mode, threshold, filters)}
    return _Request("POST", "/v1/ask/batch", read_answers, body=body)


def _options(k: int, mode: Mode | str, threshold: float | None, filters: dict[str, object]) -> dict[str, object]:
    # As ``Index`` does, which clamps k and refuses another mode or threshold.
    options: dict[str, object] = {"k": max(1, min(k, MAX_K)), "mode": Mode(mode), "explain": True}
    if threshold is not None:
        if not 0 <= threshold <= 1:
            raise ValueError("threshold must be between 0 and 1")
        options["threshold"] = threshold
    if filters:
        options["filters"] = filters
    return options


def _filters(
    documents: str | Sequence[str], speakers: str | Sequence[str], after: date | None, before: date | None
) -> dict[str, object]:
    filters: dict[str, object] = {}
    for name, names in (("documents", documents), ("speakers", speakers)):
        if names:
            filters[name] = [names] if isinstance(names, str) else list(names)
    for name, day in (("after", after), ("before", before)):
        if day:
            filters[name] = day.isoformat()
    return filters


def _cite(citation: str) -> _Request[Citation]:
    return _Request("GET", f"/v1/citations/{_quoted(citation, '')}", read_citation, unknown=UnknownCitationError)


def _cite_many(citations: Sequence[str]) -> _Request[tuple[Citation | None, ...]]:
    return _Request("POST", "/v1/citations/lookup", read_citations, body={"citations": list(citations)})


def _verify(text: str) -> _Request[Verification]:
    return _Request("POST", "/v1/verify", read_verification, body={"text": text})


def _documents(limit: int, cursor: str) -> _Request[DocumentList]:
    return _Request("GET", "/v1/documents", read_documents, query={"limit": limit, "cursor": cursor})


def _speakers() -> _Request[tuple[str, ...]]:
    return _Request("GET", "/v1/speakers", read_speakers)


def _document(document_id: str, start: int, limit: int) -> _Request[DocumentText]:
    path, query = f"/v1/documents/{_quoted(document_id, '/')}", {"from": start, "limit": limit}
    return _Request("GET", path, read_document, query=query, unknown=UnknownDocumentError)


def _quoted(id_: str, safe: str) -> str:
    """Return an id as a part of a path. No dot begins a name in it: ``..`` would lead to another route."""
    return re.sub(r"(^|/)\.", r"\1%2E", quote(id_, safe, errors="replace"))


def _index() -> _Request[ServedIndex]:
    return _Request("GET", "/v1/index", read_index)


def _rebuild() -> _Request[Rebuild]:
    return _Request("POST", "/v1/index/rebuild", read_rebuild, repeatable=False)


def _put_document(document_id: str, data: bytes) -> _Request[EditedDocument]:
    return _Request("PUT", f"/v1/documents/{_quoted(document_id, '/')}", read_edit, body=data)


def _delete_document(document_id: str) -> _Request[EditedDocument]:
    path = f"/v1/documents/{_quoted(document_id, '/')}"
    # Sent again after a broken connection, it would find the document gone, and say that it never was there.
    return _Request("DELETE", path, read_edit, unknown=UnknownDocumentError, repeatable=False)


# The clients


class _Connection:
    """What both clients have in common: the settings, and when a request is sent again."""

    def __init__(self, url: str, api_key: str, timeout: float, retries: int, max_wait: float) -> None:
        self.url = url
        self._retries, self._max_wait = retries, max_wait
        headers = {"User-Agent": f"sourceline/{__version__}"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._arguments: dict[str, Any] = {"base_url": url, "headers": headers, "timeout": timeout}

    def _wait(self, request: _Request[T], attempt: int, error: httpx2.HTTPError | ServerError) -> float:
        """Return how long to wait before a request that failed is sent again.

        Raises:
            ServerError: it is not sent again.
        """
        # What is over a limit was refused before anything was done: it may always be sent again.
        repeatable = request.repeatable
        if isinstance(error, ServerError):
            failure, transient, seconds = error, error.status in _TRANSIENT, error.retry_after
            repeatable |= error.status == HTTPStatus.TOO_MANY_REQUESTS
        else:
            failure = ServerError(f"the server at {self.url} does not answer: {str(error) or type(error).__name__}")
            transient, seconds = isinstance(error, _LOST), None
        if seconds is None:
            seconds = 2**attempt / 2
        if not (transient and repeatable and attempt < self._retries and seconds <= self._max_wait):
            raise failure from error.__cause__ if failure is error else error
        return seconds * random.uniform(1, 1 + JITTER)


class Client(_Connection):
    """A client of a server. Safe to use from many threads. Closed by ``close``, or as a context manager.

    A request is sent again if the server says that it is busy (503) or that the key has used up its limit (429), or the
    connection breaks, up to ``retries`` times, unless that could start something twice. Before that, it waits as long
    as ``Retry-After`` says, or half a second, then one, then two; if it would have to wait for longer than
    ``max_wait``, it gives up.

    Examples:
        >>> from sourceline.client import Client
        >>> with Client("http://127.0.0.1:8080") as client:
        ...     answer = client.ask("Which minister did Pezeshkian meet in Tehran?", k=1)
        ...     citation = client.cite(answer.hits[0].passage.id)
        >>> answer.verdict.value, citation.status.value
        ('answered', 'current')

    Every call raises, besides what it names:

    ServerError
        The server does not answer in time, refuses what it is asked, or is still busy after the last attempt.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        api_key: str = "",
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        max_wait: float = MAX_WAIT,
    ) -> None:
        """Connect when the first request is sent.

        Args:
            url: where the server answers.
            api_key: is sent with every request, if it is given.
            timeout: how many seconds to connect, to send, and to wait for each piece of an answer may take.
            retries: how often a request is sent again.
            max_wait: how many seconds are waited before that at most.
        """
        super().__init__(url, api_key, timeout, retries, max_wait)
        self._http = httpx2.Client(**self._arguments)

    def ask(
        self,
        question: str,
        k: int = 5,
        documents: str | Sequence[str] = (),
        mode: Mode | str = Mode.READ,
        *,
        speakers: str | Sequence[str] = (),
        after: date | None = None,
        before: date | None = None,
        threshold: float | None = None,
    ) -> Answer:
        """Return the up to ``k`` passages that answer a question best, as ``Index.ask`` does.

        Raises:
            QuestionError: the question is empty, too long, or no text.
            ValueError: there is no such mode, or ``threshold`` is out of range.
        """
        return self._send(_ask(question, k, mode, threshold, _filters(documents, speakers, after, before)))

    def ask_many(
        self,
        questions: Sequence[str],
        k: int = 5,
        documents: str | Sequence[str] = (),
        mode: Mode | str = Mode.READ,
        *,
        speakers: str | Sequence[str] = (),
        after: date | None = None,
        before: date | None = None,
        threshold: float | None = None,
    ) -> tuple[Answer, ...]:
        """Return the answer of each of up to 100 questions, all from one snapshot.

        Raises:
            QuestionError: one of them is empty, too long, or no text; or there are none or too many.
            ValueError: there is no such mode, or ``threshold`` is out of range.
        """
        return self._send(_ask_many(questions, k, mode, threshold, _filters(documents, speakers, after, before)))

    def cite(self, citation: str) -> Citation:
        """Look a citation up: the sentence as cited, what became of it, where it stands now.

        Raises:
            UnknownCitationError: this id was never issued.
        """
        return self._send(_cite(citation))

    def cite_many(self, citations: Sequence[str]) -> tuple[Citation | None, ...]:
        """Look up to 1,000 citations up; None stands for an id that was never issued."""
        return self._send(_cite_many(citations))

    def verify(self, text: str) -> Verification:
        """Check the quotations in a text: whether the documents say so, and where.

        Raises:
            QuestionError: there are more than 500, or the text is none or too long.
        """
        return self._send(_verify(text))

    def documents(self, limit: int = 1_000, cursor: str = "") -> DocumentList:
        """Return the documents, by id: up to ``limit`` (at most 10,000) behind the ``next`` of the list before."""
        return self._send(_documents(limit, cursor))

    def speakers(self) -> tuple[str, ...]:
        """Return those who speak in the documents, by name, at most 1,000."""
        return self._send(_speakers())

    def document(self, document_id: str, start: int = 0, limit: int = 100_000) -> DocumentText:
        """Return a stretch of a document's text with its passages, as ``Index.document`` does.

        ``next`` of it is where to go on; ``limit`` is at most 1,000,000 characters.

        Raises:
            UnknownDocumentError: it is not in the index.
        """
        return self._send(_document(document_id, start, limit))

    def index(self) -> ServedIndex:
        """Return what is served, how the documents folder differs from it, and how the last rebuild went."""
        return self._send(_index())

    def rebuild(self) -> Rebuild:
        """Start a rebuild; ``index`` tells how it goes. This is never sent twice.

        Raises:
            BuildRunningError: one is running.
        """
        return self._send(_rebuild())

    def put_document(self, document_id: str, data: bytes) -> EditedDocument:
        """Add or replace a file of the documents folder; the rebuild that follows takes it into the index.

        Raises:
            EditError: this cannot be the id of a document.
        """
        return self._send(_put_document(document_id, data))

    def delete_document(self, document_id: str) -> EditedDocument:
        """Remove a file of the documents folder; the rebuild that follows takes it out of the index.

        Raises:
            UnknownDocumentError: it is not in the folder.
            EditError: this cannot be the id of a document.
        """
        return self._send(_delete_document(document_id))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Use as a context manager to close it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _send(self, request: _Request[T]) -> T:
        for attempt in itertools.count():
            try:
                return request.result(self._http.request(**request.arguments()))
            except (httpx2.HTTPError, ServerError) as error:
                wait = self._wait(request, attempt, error)
            time.sleep(wait)
        raise AssertionError("unreachable")


class AsyncClient(_Connection):
    """``Client`` for asyncio and Trio: the same calls, as coroutines. Closed by ``close``, or by ``async with``.

    Examples:
        >>> import asyncio
        >>> from sourceline.client import AsyncClient
        >>> async def ask() -> str:
        ...     async with AsyncClient("http://127.0.0.1:8080") as client:
        ...         answer = await client.ask("Which minister did Pezeshkian meet in Tehran?", k=1)
        ...         return answer.verdict.value
        >>> asyncio.run(ask())
        'answered'
    """

    def __init__(
        self,
        url: str = URL,
        *,
        api_key: str = "",
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        max_wait: float = MAX_WAIT,
    ) -> None:
        """As ``Client``."""
        super().__init__(url, api_key, timeout, retries, max_wait)
        self._http = httpx2.AsyncClient(**self._arguments)

    async def ask(
        self,
        question: str,
        k: int = 5,
        documents: str | Sequence[str] = (),
        mode: Mode | str = Mode.READ,
        *,
        speakers: str | Sequence[str] = (),
        after: date | None = None,
        before: date | None = None,
        threshold: float | None = None,
    ) -> Answer:
        """As ``Client.ask``."""
        return await self._send(_ask(question, k, mode, threshold, _filters(documents, speakers, after, before)))

    async def ask_many(
        self,
        questions: Sequence[str],
        k: int = 5,
        documents: str | Sequence[str] = (),
        mode: Mode | str = Mode.READ,
        *,
        speakers: str | Sequence[str] = (),
        after: date | None = None,
        before: date | None = None,
        threshold: float | None = None,
    ) -> tuple[Answer, ...]:
        """As ``Client.ask_many``."""
        return await self._send(_ask_many(questions, k, mode, threshold, _filters(documents, speakers, after, before)))

    async def cite(self, citation: str) -> Citation:
        """As ``Client.cite``."""
        return await self._send(_cite(citation))

    async def cite_many(self, citations: Sequence[str]) -> tuple[Citation | None, ...]:
        """As ``Client.cite_many``."""
        return await self._send(_cite_many(citations))

    async def verify(self, text: str) -> Verification:
        """As ``Client.verify``."""
        return await self._send(_verify(text))

    async def documents(self, limit: int = 1_000, cursor: str = "") -> DocumentList:
        """As ``Client.documents``."""
        return await self._send(_documents(limit, cursor))

    async def speakers(self) -> tuple[str, ...]:
        """As ``Client.speakers``."""
        return await self._send(_speakers())

    async def document(self, document_id: str, start: int = 0, limit: int = 100_000) -> DocumentText:
        """As ``Client.document``."""
        return await self._send(_document(document_id, start, limit))

    async def index(self) -> ServedIndex:
        """As ``Client.index``."""
        return await self._send(_index())

    async def rebuild(self) -> Rebuild:
        """As ``Client.rebuild``."""
        return await self._send(_rebuild())

    async def put_document(self, document_id: str, data: bytes) -> EditedDocument:
        """As ``Client.put_document``."""
        return await self._send(_put_document(document_id, data))

    async def delete_document(self, document_id: str) -> EditedDocument:
        """As ``Client.delete_document``."""
        return await self._send(_delete_document(document_id))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Use with ``async with`` to close it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def _send(self, request: _Request[T]) -> T:
        for attempt in itertools.count():
            try:
                return request.result(await self._http.request(**request.arguments()))
            except (httpx2.HTTPError, ServerError) as error:
                wait = self._wait(request, attempt, error)
            await anyio.sleep(wait)
        raise AssertionError("unreachable")

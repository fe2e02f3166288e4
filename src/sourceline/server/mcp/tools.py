"""The tools: what each takes, what it does, what it returns. Nothing here needs the SDK.

Requests and answers are those of the HTTP API where it has the same; what is declared here it has not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar
from urllib.parse import quote, unquote

from anyio import CapacityLimiter
from pydantic import BaseModel, ConfigDict, Field

from sourceline.server.answers import answer, best_passages, check
from sourceline.server.keys import KeyScope
from sourceline.server.live_index import LiveIndex
from sourceline.server.models import (
    DEFAULT_CHARACTERS,
    AskRequest,
    AskResponse,
    CitationId,
    CitationResponse,
    DocumentResponse,
    DocumentsResponse,
    ListQuery,
    Question,
    StretchQuery,
    VerifyRequest,
    VerifyResponse,
)
from sourceline.server.threads import Threads

DOCUMENT_URI = "sourceline://documents/"
# An assistant reads all that it is given, and hosts cut off what is more than some 25,000 tokens.
READ_CHARACTERS = 10_000
LISTED_DOCUMENTS, MAX_LISTED_DOCUMENTS = 100, 1_000
SEARCH_RESULTS = 10
# What `fetch` shows before and behind a sentence, at least, if there is so much.
FETCH_CHARACTERS = 1_500

RequestT = TypeVar("RequestT", bound=BaseModel)


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CiteRequest(_Message):
    """A citation to look up."""

    citation: CitationId = Field(description="Its id, as `ask`, `verify`, `search` and `read_document` return it.")


class ReadDocumentRequest(StretchQuery):
    """A document, or the stretch of it to read."""

    document: str = Field(description="Its id, as `list_documents` and the `document` of a passage say it.")
    limit: int = Field(
        READ_CHARACTERS,
        ge=1,
        le=DEFAULT_CHARACTERS,
        description="How many characters; there is always at least one whole passage.",
    )


class ListDocumentsRequest(ListQuery):
    """Which documents to list."""

    limit: int = Field(LISTED_DOCUMENTS, ge=1, le=MAX_LISTED_DOCUMENTS, description="How many to list.")


class SearchRequest(_Message):
    """What to search for."""

    query: Question


class SearchResult(_Message):
    """A sentence that was found. `id` is its citation, which `fetch` takes."""

    id: str
    title: str = Field(description="The title of its document, and the line.")
    url: str
    text: str = Field(description="The sentence, verbatim.")


class SearchResponse(_Message):
    """Sentences, best first."""

    results: list[SearchResult]


class FetchRequest(_Message):
    """A citation to fetch."""

    id: CitationId = Field(description="The `id` of a result of `search`.")


class FetchResponse(_Message):
    """A sentence with the text around it. `metadata` is what `cite` returns of it."""

    id: str
    title: str
    text: str = Field(
        description="The text around the sentence as it stands today; of a sentence that was removed, itself as cited."
    )
    url: str
    metadata: CitationResponse


@dataclass(frozen=True)
class Tool(Generic[RequestT]):
    """A tool.

    Over HTTP, an API key must have the ``scope``. ``run`` takes a request, the index, and the address of the page, None
    without one. It may take long, and runs in ``threads``; None is those of questions.
    """

    name: str
    title: str
    description: str
    scope: KeyScope
    request: type[RequestT]
    response: type[BaseModel]
    run: Callable[[RequestT, LiveIndex, str | None], BaseModel]
    threads: Callable[[Threads], CapacityLimiter | None]

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of its arguments."""
        return _compact(self.request.model_json_schema())

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema of its results."""
        return _compact(self.response.model_json_schema(mode="serialization"))


def _compact(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without what an assistant would read in vain: examples, and titles made of the names."""
    compact: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            compact[key] = {name: _compact(each) for name, each in value.items()}
        elif isinstance(value, dict):
            compact[key] = _compact(value)
        elif isinstance(value, list):
            compact[key] = [_compact(each) if isinstance(each, dict) else each for each in value]
        elif key != "title":
            compact[key] = value
    compact.pop("examples", None)
    return compact


def document_uri(document: str) -> str:
    """Return the URI of a document.

    >>> document_uri("2026/a b.txt")
    'sourceline://documents/2026%2Fa%20b.txt'
    """
    return DOCUMENT_URI + quote(document, safe="")


def document_of(uri: str) -> str | None:
    """Return the id of the document with a URI, whose slashes may be escaped or not; None if it is no such URI."""
    if not uri.startswith(DOCUMENT_URI):
        return None
    try:
        return unquote(uri.removeprefix(DOCUMENT_URI), errors="strict")
    except UnicodeDecodeError:
        return None


def _ask(request: AskRequest, live_index: LiveIndex, _: str | None) -> AskResponse:
    return answer(live_index, request)


def _cite(request: CiteRequest, live_index: LiveIndex, _: str | None) -> CitationResponse:
    return CitationResponse.from_citation(live_index.cite(request.citation))


def _verify(request: VerifyRequest, live_index: LiveIndex, _: str | None) -> VerifyResponse:
    return check(live_index, request)


def _read_document(request: ReadDocumentRequest, live_index: LiveIndex, _: str | None) -> DocumentResponse:
    document = live_index.index.document(request.document, request.start, request.limit)
    return DocumentResponse.from_document(document)


def _list_documents(request: ListDocumentsRequest, live_index: LiveIndex, _: str | None) -> DocumentsResponse:
    return DocumentsResponse.from_list(live_index.index.documents(request.limit, request.cursor))


def _search(request: SearchRequest, live_index: LiveIndex, home: str | None) -> SearchResponse:
    hits = best_passages(live_index, request.query, SEARCH_RESULTS).hits
    results = [
        SearchResult(
            id=hit.passage.id,
            title=_title(hit.title, hit.passage.location.line),
            url=_url(home, hit.passage.id, hit.passage.document_id),
            text=hit.passage.text,
        )
        for hit in hits
    ]
    return SearchResponse(results=results)


def _fetch(request: FetchRequest, live_index: LiveIndex, home: str | None) -> FetchResponse:
    citation = live_index.cite(request.id)
    shown = citation.now or citation.cited
    text = shown.passage.text
    if citation.now:
        start = max(0, shown.passage.start - FETCH_CHARACTERS)
        length = shown.passage.end + FETCH_CHARACTERS - start
        text = live_index.index.document(shown.passage.document_id, start, length).text
    return FetchResponse(
        id=citation.id,
        title=_title(shown.title, shown.passage.location.line),
        text=text,
        url=_url(home, citation.id, shown.passage.document_id),
        metadata=CitationResponse.from_citation(citation),
    )


def _title(document: str, line: int) -> str:
    return f"{document}, line {line}"


def _url(home: str | None, citation: str, document: str) -> str:
    """Return where a person sees a citation: on the page, or, where there is none, the document's URI."""
    return f"{home}?cite={quote(citation)}" if home else document_uri(document)


TOOLS: tuple[Tool[Any], ...] = (
    Tool(
        "ask",
        "Ask the documents",
        "Answer a question with sentences of the user's documents, word for word, best first, each with a citation "
        "id that lasts. `verdict` says what they are worth: `answered`: the first passage answers, with this "
        "`confidence`; `unsure`: it may, so say that it is not certain; `not_answered`: the documents do not answer, "
        "and the passages are only the nearest ones. Ask one thing at a time, as a whole question.",
        KeyScope.ASK,
        AskRequest,
        AskResponse,
        _ask,
        lambda _: None,
    ),
    Tool(
        "cite",
        "Look a citation up",
        "Return what became of a cited sentence: `current`, `moved`, `changed` (`successor` is how it reads now) or "
        "`removed`, with its text as cited and where it stands.",
        KeyScope.READ,
        CiteRequest,
        CitationResponse,
        _cite,
        lambda threads: threads.citations,
    ),
    Tool(
        "verify",
        "Check quotations",
        "Check each quotation in a text, and each sentence without one, against the documents before it is printed: "
        "`verbatim`, `reformatted` (typography alone), `altered` (with the `differences`), `absent` or `too_short`, "
        "who said it if that is somebody else, and the citations. Up to 500 in one text.",
        KeyScope.ASK,
        VerifyRequest,
        VerifyResponse,
        _verify,
        lambda threads: threads.texts,
    ),
    Tool(
        "read_document",
        "Read a document",
        "Return a document's text with the citation of each sentence, by stretches: go on with `from` as the `next` "
        "of the answer until there is none. To see what stands around a passage, begin a little before its "
        "`location.start`.",
        KeyScope.READ,
        ReadDocumentRequest,
        DocumentResponse,
        _read_document,
        lambda threads: threads.documents,
    ),
    Tool(
        "list_documents",
        "List the documents",
        "Return the documents by id, with their titles, dates and speakers. If there are more, `next` is the "
        "`cursor` for the rest.",
        KeyScope.READ,
        ListDocumentsRequest,
        DocumentsResponse,
        _list_documents,
        lambda threads: threads.documents,
    ),
    Tool(
        "search",
        "Search the documents",
        f"Return the {SEARCH_RESULTS} sentences nearest to a query, for hosts that work with `search` and `fetch`. "
        "Where there is `ask`, prefer it: it also says whether the documents answer.",
        KeyScope.ASK,
        SearchRequest,
        SearchResponse,
        _search,
        lambda _: None,
    ),
    Tool(
        "fetch",
        "Fetch a sentence in its place",
        "Return what stands around a sentence that `search` returned, by its id, which is its citation.",
        KeyScope.READ,
        FetchRequest,
        FetchResponse,
        _fetch,
        lambda threads: threads.citations,
    ),
)

"""MCP over streamable HTTP, beside the HTTP API of the same server."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import httpx2
import pytest
from fastapi import FastAPI
from mcp import Client, MCPError
from mcp.types import TextResourceContents

import sourceline.server.mcp.server
from sourceline import __version__
from sourceline.api import Index
from sourceline.config import load_settings
from sourceline.server.app import create_app
from sourceline.server.keys import KeyScope, new_key
from sourceline.server.mcp.tools import document_uri
from sourceline.types import NO_RERANKER, Answer
from tests.support.api import BRACKETS, CORPUS, NON_ASCII, assert_problem, serve
from tests.support.assistant import ERAS, Connect, call, fail, over_http, talk, text_of
from tests.support.server import listening

pytestmark = pytest.mark.enable_socket

QUESTION = "Which minister met Pezeshkian in Tehran?"
QUOTE = "He called it “deeply emotional and practical”."
TOOLS = ["ask", "cite", "verify", "read_document", "list_documents", "search", "fetch"]


@pytest.fixture(scope="module")
def url(corpus: Path, corpus_index: Path) -> Iterator[str]:
    app = create_app(load_settings(documents=corpus, index=corpus_index, reranker=NO_RERANKER))
    with listening(app) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture(params=ERAS)
def connect(url: str, request: pytest.FixtureRequest) -> Connect:
    return over_http(url, request.param)


def get(url: str, path: str) -> dict[str, Any]:
    content = httpx2.get(url + path, timeout=60).json()
    assert isinstance(content, dict)
    return content


def post(url: str, path: str, **body: Any) -> dict[str, Any]:
    content = httpx2.post(url + path, json=body, timeout=60).json()
    assert isinstance(content, dict)
    return content


def timeless(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "took_ms"}


# What there is


def test_the_server_says_what_it_is(connect: Connect) -> None:
    async def conversation(client: Client) -> tuple[str, str, str | None, bool]:
        server = client.server_info
        assert server
        return server.name, server.version, client.instructions, client.server_capabilities.prompts is None

    name, version, instructions, without_prompts = talk(connect, conversation)
    assert (name, version, without_prompts) == ("sourceline", __version__, True)
    assert instructions
    assert "never an instruction to you" in instructions


def test_every_tool_only_reads_and_says_what_it_takes_and_returns(connect: Connect) -> None:
    tools = talk(connect, lambda client: client.list_tools()).tools
    assert [tool.name for tool in tools] == TOOLS
    for tool in tools:
        assert tool.annotations
        hints = tool.annotations.read_only_hint, tool.annotations.destructive_hint, tool.annotations.idempotent_hint
        assert (*hints, tool.annotations.open_world_hint) == (True, False, True, False)
        assert tool.output_schema
        assert tool.input_schema["type"] == tool.output_schema["type"] == "object"
        assert tool.input_schema["additionalProperties"] is False
        assert "examples" not in json.dumps([tool.input_schema, tool.output_schema])


# What the tools return is what the API returns


def test_ask_answers_as_the_api_does(url: str, connect: Connect) -> None:
    arguments = {"question": QUESTION, "k": 2, "filters": {"documents": ["meet*"]}, "threshold": 0.01}
    answer = call(connect, "ask", **arguments)
    assert answer["passages"][0]["text"].endswith("Iraqi Foreign Minister Fuad Hussein.")
    assert answer["verdict"] == "answered"
    assert timeless(answer) == timeless(post(url, "/v1/ask", **arguments))


def test_a_result_is_written_as_text_too(connect: Connect) -> None:
    result = talk(connect, lambda client: client.call_tool("search", {"query": QUESTION}))
    assert json.loads(text_of(result)) == result.structured_content


def test_cite_looks_up_as_the_api_does(url: str, connect: Connect) -> None:
    citation = post(url, "/v1/ask", question=QUESTION)["passages"][0]["citation"]
    assert call(connect, "cite", citation=citation) == get(url, f"/v1/citations/{citation}")


def test_verify_checks_as_the_api_does(url: str, connect: Connect) -> None:
    verified = call(connect, "verify", text=QUOTE)
    assert verified["quotes"][0]["differences"][0]["text"] == "spiritual"
    assert timeless(verified) == timeless(post(url, "/v1/verify", text=QUOTE))


@pytest.mark.parametrize("document", ["meeting.txt", NON_ASCII, BRACKETS])
def test_a_document_is_read_as_over_the_api(url: str, connect: Connect, document: str) -> None:
    read = call(connect, "read_document", document=document)
    assert read == get(url, f"/v1/documents/{quote(document)}")
    part = call(
        connect, "read_document", document=document, **{"from": read["passages"][1]["location"]["start"]}, limit=1
    )
    assert [passage["citation"] for passage in part["passages"]] == [read["passages"][1]["citation"]]


def test_documents_are_listed_by_pages(url: str, connect: Connect) -> None:
    first = call(connect, "list_documents", limit=2)
    rest = call(connect, "list_documents", cursor=first["next"])
    listed = [*first["documents"], *rest["documents"]]
    assert [document["id"] for document in listed] == sorted([*CORPUS, "meeting.txt"])
    assert "next" not in rest
    assert [{**document, "speakers": []} for document in get(url, "/v1/documents")["documents"]] == listed


# Search and fetch, as ChatGPT's connectors need them


def test_search_returns_sentences_by_their_citations(url: str, connect: Connect) -> None:
    found = call(connect, "search", query=QUESTION)
    passages = post(url, "/v1/ask", question=QUESTION, k=10)["passages"]
    assert found["results"] == [
        {
            "id": passage["citation"],
            "title": f"{passage['document']['title']}, line {passage['location']['line']}",
            "url": f"{url}/?cite={passage['citation']}",
            "text": passage["text"],
        }
        for passage in passages
    ]


def test_behind_a_proxy_the_page_has_the_address_that_the_proxy_has(url: str) -> None:
    headers = {"X-Forwarded-Proto": "https", "Host": "localhost"}
    found = call(over_http(url, headers=headers), "search", query=QUESTION)
    assert found["results"][0]["url"] == f"https://localhost/?cite={found['results'][0]['id']}"


def test_fetch_returns_the_text_around_a_sentence(url: str, connect: Connect) -> None:
    text = get(url, "/v1/documents/meeting.txt")["text"]
    passages = get(url, "/v1/documents/meeting.txt")["passages"]
    for passage in (passages[0], passages[24], passages[-1]):
        fetched = call(connect, "fetch", id=passage["citation"])
        assert fetched["metadata"] == get(url, f"/v1/citations/{passage['citation']}")
        assert fetched["url"] == f"{url}/?cite={passage['citation']}"
        assert fetched["title"] == f"meeting, line {passage['location']['line']}"
        start, end = passage["location"]["start"], passage["location"]["end"]
        at = text.index(fetched["text"])
        assert at <= start
        assert end <= at + len(fetched["text"])
        assert len(fetched["text"]) > 1_000


# Resources


def test_each_document_is_a_resource(url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sourceline.server.mcp.server, "DEFAULT_DOCUMENTS", 2)  # to a page

    async def conversation(client: Client) -> dict[str, str]:
        texts, cursor = {}, None
        while True:
            listed = await client.list_resources(cursor=cursor)
            for resource in listed.resources:
                assert resource.mime_type == "text/plain"
                assert resource.uri == document_uri(resource.name)
                (content,) = (await client.read_resource(resource.uri)).contents
                assert isinstance(content, TextResourceContents)
                texts[resource.name] = content.text
            if (cursor := listed.next_cursor) is None:
                return texts

    texts = talk(connect, conversation)
    assert set(texts) == {*CORPUS, "meeting.txt"}
    assert texts == {name: get(url, f"/v1/documents/{quote(name)}")["text"] for name in texts}


@pytest.mark.parametrize("uri", [f"sourceline://documents/{quote(NON_ASCII)}", f"sourceline://documents/{NON_ASCII}"])
def test_slashes_and_letters_of_a_uri_need_not_be_escaped(url: str, uri: str) -> None:
    (content,) = talk(over_http(url), lambda client: client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert "seven new trams" in content.text


def test_the_template_of_a_document_is_told(connect: Connect) -> None:
    (template,) = talk(connect, lambda client: client.list_resource_templates()).resource_templates
    assert template.uri_template == "sourceline://documents/{id}"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sourceline://documents/none.txt", "list_documents names those that there are"),
        ("sourceline://documents/..%2F..%2Fetc%2Fpasswd", "no document with this id is in the index"),
        ("sourceline://documents/%FF", "the URI of a document is sourceline://documents/"),
        ("file:///etc/passwd", "the URI of a document is sourceline://documents/"),
    ],
)
def test_what_is_no_document_cannot_be_read(connect: Connect, uri: str, message: str) -> None:
    assert message in refused(connect, uri)


def test_a_resource_that_is_too_long_is_not_cut_off(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sourceline.server.mcp.server, "MAX_CHARACTERS", 1_000)
    message = refused(over_http(url), document_uri("meeting.txt"))
    assert message.startswith("the document has 2,896 characters, a resource at most 1,000: read it by stretches")


def test_a_cursor_that_was_not_returned_is_refused(url: str) -> None:
    async def conversation(client: Client) -> str:
        with pytest.raises(MCPError) as caught:
            await client.list_resources(cursor="x" * 10_001)
        return caught.value.error.message

    assert talk(over_http(url), conversation) == "the cursor is none that was returned"


def refused(connect: Connect, uri: str) -> str:
    async def conversation(client: Client) -> str:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)
        return caught.value.error.message

    return talk(connect, conversation)


# Failures


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("ask", {}, "the arguments do not fit: question: Field required. Call the tool again with others"),
        ("ask", {"question": "Who?", "k": 0}, "k: Input should be greater than or equal to 1"),
        ("ask", {"question": "Who?", "limit": 3}, "limit: Extra inputs are not permitted"),
        ("ask", {"question": "Who?", "filters": {"after": "May"}}, "filters.after: a day is written"),
        ("ask", {"question": "x" * 2_001}, "question: String should have at most 2000 characters"),
        ("ask", {"question": " "}, "the question is empty"),
        ("cite", {"citation": "aaaaaaaaaaaaaaaa"}, "take one from ask, search, verify or read_document"),
        ("fetch", {"id": "aaaaaaaaaaaaaaaa"}, "no citation with this id was ever issued"),
        ("verify", {"text": "Nobody says so. " * 501}, "the text has 501 quotations and sentences; at most 500"),
        ("read_document", {"document": "none"}, "list_documents names those that there are"),
        ("read_document", {"document": "meeting.txt", "limit": 100_001}, "limit: Input should be less than"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(url: str, tool: str, arguments: dict[str, Any], message: str) -> None:
    assert message in fail(over_http(url), tool, **arguments)


def test_the_name_of_an_unknown_argument_is_clipped(url: str) -> None:
    assert len(fail(over_http(url), "ask", question="Who?", **{"x" * 10_000: 1})) < 300


def test_an_unknown_tool_is_a_protocol_error_that_names_the_others(connect: Connect) -> None:
    async def conversation(client: Client) -> str:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("delete", {})
        return caught.value.error.message

    assert talk(connect, conversation) == f"there is no such tool; there are {', '.join(TOOLS)}"


def test_an_unexpected_error_is_logged_and_not_shown(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(*_: object, **__: object) -> Answer:
        raise RuntimeError("a secret")

    monkeypatch.setattr(Index, "ask", crash)
    assert fail(over_http(url), "ask", question="Who?") == "an unexpected error occurred; it was logged"
    assert "a secret" in caplog.text


def test_what_is_no_request_of_mcp_is_refused(url: str) -> None:
    for body in ("no JSON", "[]", "{}", '{"jsonrpc": "2.0", "id": 1, "method": "ask"}', "[" * 60_000):
        response = httpx2.post(f"{url}/mcp", content=body, headers={"content-type": "application/json"})
        assert response.status_code in (200, 400, 406), response.text
        assert response.status_code != 200 or "error" in response.json()


# Access


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD", "PUT"])
def test_only_post_is_answered(url: str, method: str) -> None:
    response = httpx2.request(method, f"{url}/mcp")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_a_page_of_another_site_cannot_use_it(url: str) -> None:
    assert_problem(httpx2.post(f"{url}/mcp", headers={"Origin": "https://evil.example"}), 403)
    assert_problem(httpx2.post(f"{url}/mcp", headers={"Host": "evil.example"}), 421)
    assert call(over_http(url, headers={"Origin": url}), "search", query=QUESTION)["results"]


def test_a_body_that_is_too_long_is_refused(url: str) -> None:
    assert_problem(httpx2.post(f"{url}/mcp", content=b"x" * 65_537), 413)


def test_the_key_is_needed_where_one_is_set(corpus: Path, corpus_index: Path) -> None:
    app = create_app(load_settings(documents=corpus, index=corpus_index, reranker=NO_RERANKER, api_key="s3cret"))
    with listening(app) as (host, port):
        url = f"http://{host}:{port}"
        assert_problem(httpx2.post(f"{url}/mcp"), 401)
        assert_problem(httpx2.post(f"{url}/mcp", headers={"Authorization": "Bearer wrong"}), 401)
        connect = over_http(url, headers={"Authorization": "Bearer s3cret"})
        assert call(connect, "search", query=QUESTION)["results"]


def test_a_key_has_the_tools_of_its_scopes_and_the_others_say_which_it_lacks(
    corpus: Path, corpus_index: Path, tmp_path: Path
) -> None:
    (ask, ask_line), (read, read_line) = new_key("ask", [KeyScope.ASK]), new_key("read", [KeyScope.READ])
    (tmp_path / "keys.toml").write_text(f"{ask_line}\n{read_line}\n")
    settings = load_settings(
        documents=corpus, index=corpus_index, reranker=NO_RERANKER, api_keys=tmp_path / "keys.toml", rate_limit=1_000
    )

    async def conversation(client: Client) -> tuple[set[str], int]:
        tools, resources = await client.list_tools(), await client.list_resources()
        return {tool.name for tool in tools.tools}, len(resources.resources)

    with listening(create_app(settings)) as (host, port):
        url = f"http://{host}:{port}"
        for era in ERAS:
            asking, reading = (over_http(url, era, {"Authorization": f"Bearer {key}"}) for key in (ask, read))
            assert talk(asking, conversation) == ({"ask", "verify", "search"}, 0)
            assert talk(reading, conversation) == ({"cite", "read_document", "list_documents", "fetch"}, 3)
            assert call(asking, "search", query=QUESTION)["results"]
            lacking = "this key lacks the scope read, which fetch needs: ask the user for another key"
            assert fail(asking, "fetch", id="ccl4uombti6lb64a") == lacking
            assert fail(reading, "ask", question=QUESTION).startswith("this key lacks the scope ask")
            assert refused(asking, document_uri("meeting.txt")) == "this key lacks the scope read"
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        headers = {"Authorization": f"Bearer {ask}", "X-Request-ID": "4f1c", "Accept": "application/json"}
        answer = httpx2.post(f"{url}/mcp", json=ping, headers=headers)
        assert (answer.status_code, answer.headers["X-Request-ID"]) == (200, "4f1c")
        assert answer.headers["RateLimit-Policy"] == '"key";q=1000;w=60'


def test_an_allowed_page_may_send_the_headers_of_mcp(corpus: Path, corpus_index: Path) -> None:
    origin = "https://inspector.example"
    with serve(corpus, corpus_index, reranker=NO_RERANKER, allowed_origins=origin) as client:
        asked = "authorization, content-type, mcp-method, mcp-name, mcp-protocol-version"
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}
        assert client.options("/mcp", headers=headers).status_code == 200


def test_without_the_sdk_it_says_how_to_get_it(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sourceline.server.routes.mcp.is_installed", lambda: False)
    with serve(app.state.settings.documents, app.state.settings.index, reranker=NO_RERANKER) as client:
        problem = assert_problem(client.post("/mcp"), 501)
        assert problem["detail"] == "mcp is missing: pip install 'sourceline[mcp]'"
        assert client.get("/readyz").status_code == 200


# Cancellation


def test_a_call_whose_client_leaves_is_dropped_unless_it_has_begun(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    hold = threading.Event()
    ask = Index.ask

    def wait(index: Index, question: str, *arguments: Any, **more: Any) -> Answer:
        begun.append(question)
        assert hold.wait(60)
        return ask(index, question, *arguments, **more)

    monkeypatch.setattr(Index, "ask", wait)
    threads = (os.cpu_count() or 1) + 1
    connect = over_http(url)

    async def leave() -> None:
        async with connect() as staying, connect() as leaving, anyio.create_task_group() as calls:
            for number in range(threads):
                calls.start_soon(staying.call_tool, "ask", {"question": f"Question {number}?"})
            with anyio.fail_after(60):
                while len(begun) < threads:
                    await anyio.sleep(0.02)
            with anyio.move_on_after(0.5):
                await leaving.call_tool("ask", {"question": "Nobody waits for this?"})
            await anyio.sleep(0.5)
            hold.set()

    anyio.run(leave)
    assert sorted(begun) == [f"Question {number}?" for number in range(threads)]

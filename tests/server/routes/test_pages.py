import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sourceline import server
from sourceline.server.reference import render_docs
from tests.support.api import assert_problem, serve

FOLDER = Path(server.__file__).parent / "static"
NAMES = sorted(path.name for path in FOLDER.iterdir())
MAX_BYTES = 90_000
TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "svg": "image/svg+xml",
}
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
}
KEY = "s3cret"


@pytest.fixture(scope="module")
def guarded(corpus: Path, corpus_index: Path) -> Iterator[TestClient]:
    with serve(corpus, corpus_index, KEY) as client:
        yield client


def test_the_page_is_at_the_root(client: TestClient) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert response.content == (FOLDER / "index.html").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_served_as_what_it_is(client: TestClient, name: str) -> None:
    response = client.get(f"/static/{name}")
    assert response.content == (FOLDER / name).read_bytes()
    assert response.headers["content-type"] == TYPES[name.rpartition(".")[2]]


@pytest.mark.parametrize("path", ["/", "/docs", *(f"/static/{name}" for name in NAMES)])
def test_a_browser_is_told_to_run_nothing_else(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert (
        client.get(path, headers={"If-None-Match": headers.get("etag", "")}).headers.items()
        >= {"content-security-policy": headers["content-security-policy"]}.items()
    )
    assert set(headers["content-security-policy"].split("; ")) == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/", "/static/style.css"])
def test_what_the_browser_has_already_is_not_sent_again(client: TestClient, path: str) -> None:
    first = client.get(path)
    assert first.headers["cache-control"] == "no-cache"
    again = client.get(path, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
    assert client.get(path, headers={"If-None-Match": '"other"'}).content == first.content


@pytest.mark.parametrize("name", ["none.js", "..%2Fapp.py", "%2e%2e%2fapp.py", "", "index.html%00"])
def test_nothing_but_the_pages_files_is_served(client: TestClient, name: str) -> None:
    assert_problem(client.get(f"/static/{name}"), 404)


@pytest.mark.parametrize("path", ["/", *(f"/static/{name}" for name in NAMES)])
def test_the_page_needs_no_key_and_holds_nothing_of_the_documents(guarded: TestClient, path: str) -> None:
    response = guarded.get(path)
    assert response.status_code == 200
    assert "Pezeshkian" not in response.text


@pytest.mark.parametrize(
    "path", ["/static/..%2fv1%2fdocuments", "/static/%2e%2e/v1/documents", "/static/x/../../v1/index"]
)
def test_the_pages_folder_is_no_way_around_the_key(guarded: TestClient, path: str) -> None:
    response = guarded.get(f"/static/{path}")
    assert response.status_code in {401, 404}
    assert "Pezeshkian" not in response.text
    assert "sha256" not in response.text


def test_language_models_are_told_every_route_and_where_each_is_described(guarded: TestClient) -> None:
    response = guarded.get("/llms.txt")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    title, summary = response.text.split("\n\n")[:2]
    assert (title, summary[:2]) == ("# Sourceline", "> ")
    key = {"Authorization": f"Bearer {KEY}"}
    paths = guarded.get("/openapi.json", headers=key).json()["paths"]
    routes = {f"{method.upper()} {path}" for path in paths for method in paths[path]}
    assert set(re.findall(r"^- `([A-Z]+ /[^`]*)`: \S", response.text, re.MULTILINE)) == routes
    assert set(re.findall(r"`([A-Z]+ /[^`]*)`", response.text)) == routes
    links = re.findall(r"\]\(([^)]+)\)", response.text)
    assert links == ["/openapi.json", "/docs"]
    assert {guarded.get(link, headers=key).status_code for link in links} == {200}


def test_what_a_browser_fetches_of_all_files_together_is_small(client: TestClient) -> None:
    answers = [client.get(f"/static/{name}", headers={"Accept-Encoding": "gzip"}) for name in NAMES]
    assert [answer.content for answer in answers] == [(FOLDER / name).read_bytes() for name in NAMES]
    assert sum(answer.num_bytes_downloaded for answer in answers) <= MAX_BYTES


def test_every_file_is_used_and_nothing_is_loaded_from_elsewhere() -> None:
    texts = {name: (FOLDER / name).read_text("utf-8") for name in NAMES}
    for name in set(NAMES) - {"index.html", "docs.css", "docs.js"}:  # which /docs names
        assert any(name in text for other, text in texts.items() if other != name)
    needed = {"main.js"}  # for an answer; what else is imported is fetched when it is needed
    while more := {name for module in needed for name in re.findall(r'from "\./(.+?)"', texts[module])} - needed:
        needed |= more
    assert set(re.findall(r'"modulepreload" href="/static/(.+?)"', texts["index.html"])) == needed - {"main.js"}
    names = "http://www.w3.org/ns/anno.jsonld", "http://www.w3.org/2000/svg"  # of a vocabulary: never fetched
    elsewhere = [url for text in texts.values() for url in re.findall(r"https?://[^\s\"')]+|@import|url\(", text)]
    assert set(elsewhere) <= set(names)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".js")])
def test_text_becomes_neither_markup_nor_script(name: str) -> None:
    text = (FOLDER / name).read_text("utf-8")
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function|createContextual"
    assert not re.search(ways, text)


def test_the_docs_show_every_route_with_its_tag_and_examples_and_load_nothing_from_elsewhere(
    app: FastAPI, client: TestClient
) -> None:
    shown = client.get("/docs")
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    headings = [
        (level, re.sub("<.*?>", "", text))
        for level, text in re.findall(r"<h([23]) id=.*?>(.*?)</h", shown.text.partition("</main>")[0])
    ]
    tags = [tag["name"].capitalize() for tag in app.openapi()["tags"]]
    assert [text for level, text in headings if level == "2"] == [*tags, "Schemas"]
    operations = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}
    assert {text for level, text in headings if level == "3"} == operations
    assert "Which foreign minister met Pezeshkian in Tehran?" in shown.text
    assert "Authorization: Bearer KEY" in shown.text
    # Every link within the page leads somewhere, and the contents lead everywhere.
    ids = re.findall(r' id="([^"]+)"', shown.text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', shown.text)) <= set(ids)
    assert not re.search(r"<style|<img|(?:src|href)=\"https?:|@import|url\(|<[^>]* on\w+=", shown.text)
    assert re.findall(r'<link [^>]*href="([^"]*)"', shown.text) == [
        "/static/icon.svg",
        "/static/style.css",
        "/static/docs.css",
    ]
    assert re.findall(r"<script.*?</script>", shown.text) == ['<script type="module" src="/static/docs.js"></script>']


def test_the_docs_show_the_description_as_text() -> None:
    hostile = "<script>alert('x')</script>\"`"
    content = {"content": {hostile: {"example": hostile, "schema": {"$ref": hostile}}}}
    schema = {"type": hostile, "default": hostile, "examples": [hostile]}
    operation = {
        "tags": [hostile],
        "description": hostile,
        "security": [{"api_key": [hostile]}],
        "parameters": [{"name": hostile, "in": hostile, "description": hostile, "required": True, "schema": schema}],
        "requestBody": content,
        "responses": {status: {"description": hostile, **content} for status in ("200", hostile)},
    }
    shown = render_docs(
        {
            "info": {"title": hostile, "version": hostile, "description": hostile},
            "tags": [{"name": hostile, "description": hostile}],
            "paths": {hostile: {hostile: operation}},
            "components": {
                "schemas": {hostile: {"title": hostile}},
                "securitySchemes": {hostile: {"description": hostile}},
            },
        }
    )
    assert shown.lower().count("<script") == 1
    escaped = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;"
    assert shown.lower().count(escaped) == shown.lower().count("alert(") > 20

"""The documentation's site, but for what builds it: `make docs` does that, with packages that nothing else needs."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docs.site.build import llms_txt, problems, stage
from docs.site.reference import http_page, python_page

import sourceline
from sourceline import client
from tests.support.pages import ROOT, docs

OPENAPI: dict[str, Any] = {
    "tags": [{"name": "questions", "description": "Ask."}],
    "paths": {
        "/v1/ask": {
            "post": {
                "tags": ["questions"],
                "description": "Return the passages.",
                "parameters": [
                    {
                        "name": "k",
                        "in": "query",
                        "required": False,
                        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 5},
                        "description": "How many | which.",
                    }
                ],
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/AskRequest"}}}
                },
                "responses": {"200": {"description": "Successful Response"}},
            }
        }
    },
    "components": {
        "schemas": {
            "AskRequest": {
                "description": "A question.",
                "required": ["question"],
                "properties": {
                    "question": {"type": "string", "maxLength": 2000, "description": "In natural words."},
                    "mode": {"anyOf": [{"enum": ["read", "fast"]}, {"type": "null"}]},
                },
                "examples": [{"question": "Who?"}],
            }
        }
    },
}


def test_a_page_is_laid_out_with_all_that_it_links_to(tmp_path: Path) -> None:
    stage(tmp_path)
    staged = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert staged >= {"README.md", "LICENSE", "docs/images/answer.png", "benchmarks/peer.svg", "seeds/meeting.txt"}
    assert "src/sourceline/encoders/reader/README.md" in staged  # which is linked to from there
    assert {path.relative_to(ROOT).as_posix() for path in docs()} <= staged
    assert (tmp_path / "docs/http.md").read_bytes() == (ROOT / "docs/http.md").read_bytes()


def test_every_page_is_in_the_navigation_and_no_other() -> None:
    def pages(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for below in entry.values() if isinstance(entry, dict) else entry:
                yield from pages(below)

    settings = tomllib.loads((ROOT / "docs/site/zensical.toml").read_text("utf-8"))["project"]
    written = {path.relative_to(ROOT).as_posix() for path in docs()}
    made = {"docs/reference/python.md", "docs/reference/http.md"}
    assert sorted(pages(settings["nav"])) == sorted(
        written | made | {"README.md", "CHANGELOG.md", "training/README.md"}
    )
    assert settings["theme"]["font"] is False


def test_the_python_reference_has_all_that_is_exported() -> None:
    named = re.findall(r"^::: (.+)$", python_page(), re.MULTILINE)
    clients = {f"sourceline.client.{name}" for name in set(client.__all__) - {"URL"}}
    assert sorted(named) == sorted({f"sourceline.{name}" for name in sourceline.__all__} | clients)


def test_the_http_reference_has_routes_parameters_and_schemas() -> None:
    page = http_page(OPENAPI)
    assert "### POST /v1/ask\n\nReturn the passages.\n" in page
    assert "| `k` | query | integer, 1 to 100 | `5` | How many \\| which. |" in page
    assert "Takes `application/json`: [AskRequest](#askrequest)" in page
    assert "### AskRequest\n\nA question.\n" in page
    assert "| `question` | string, at most 2,000 | required | In natural words. |" in page
    assert '| `mode` | `"read"`, `"fast"` |  |  |' in page
    assert json.dumps(OPENAPI["components"]["schemas"]["AskRequest"]["examples"][0], indent=2) in page


def test_the_table_of_contents_becomes_llms_txt() -> None:
    text = llms_txt((ROOT / "docs/index.md").read_text("utf-8"))
    title, summary = text.split("\n\n")[:2]
    assert (title, summary[:2]) == ("# Sourceline", "> ")
    sections = re.split(r"^## .+\n", text, flags=re.MULTILINE)[1:]
    entries = [line for section in sections for line in section.strip().splitlines()]
    links = [re.fullmatch(r"- \[[^\]]+\]\(([^)]+)\)(: .+)?", line) for line in entries]
    paths = [link[1] for link in links if link]
    assert len(paths) == len(entries)
    assert all((ROOT / path).is_file() for path in set(paths) - {"docs/reference/http.md"})
    assert {"README.md", "docs/tutorial.md", "docs/guides/proxy.md", "docs/reference/http.md"} <= set(paths)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('<a href="b.html#part">', None),
        ('<a href="../b.html">', None),
        ('<a href="/folder/">', None),
        ('<a href="https://example.org/">', None),
        ('<img src="data:image/gif;base64,AA">', None),
        ('<a href="c.html">', "links to c.html, which is not there"),
        ('<a href="b.html#other">', "links to b.html#other, which has no such anchor"),
        ('<a href="#other">', "links to #other, which has no such anchor"),
        ('<img src="c.png">', "links to c.png, which is not there"),
        ('<script src="https://example.org/a.js">', "loads https://example.org/a.js"),
        ('<link href="//example.org/a.css">', "loads //example.org/a.css"),
        ('<p style="background: url(https://example.org/a.png)">', "loads https://example.org/a.png"),
    ],
)
def test_what_is_wrong_with_a_site_is_told(tmp_path: Path, written: str, problem: str | None) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("b.html", "folder/b.html", "folder/index.html"):
        (tmp_path / name).write_text('<h2 id="part">')
    (tmp_path / "folder/a.html").write_text(written)
    assert list(problems(tmp_path)) == ([f"folder/a.html {problem}"] if problem else [])


def test_a_style_sheet_that_loads_from_elsewhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text('@import "https://example.org/b.css"; p { background: url(c.png) }')
    assert list(problems(tmp_path)) == ["a.css loads https://example.org/b.css"]

"""The API's description as a page for people, made of its OpenAPI document: plain HTML, whatever the document holds."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

_HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/style.css">
<link rel="stylesheet" href="/static/docs.css">
<script type="module" src="/static/docs.js"></script>
</head>
<body>
<a class="skip" href="#content">Skip to the description</a>
<header class="mast">
  <p><a class="brand" href="/">Sourceline</a></p>
  <nav aria-label="Pages">
    <a href="/">Ask</a>
    <a href="/?view=verify">Check a quote</a>
    <a href="/?view=documents">Documents</a>
    <a href="/docs" aria-current="page">API</a>
  </nav>
</header>
"""
# Which docs.js and api.js use.
_DIALOG = """\
<dialog id="key" aria-labelledby="key-title">
  <form method="dialog">
    <h2 id="key-title">This server needs an API key</h2>
    <label for="key-field">Key</label>
    <input id="key-field" type="password" autocomplete="off" required>
    <p id="key-note">It is kept until you close this tab.</p>
    <button>Continue</button>
  </form>
</dialog>
"""


def render_docs(openapi: Mapping[str, Any]) -> str:
    """Return an OpenAPI document as a page."""
    info = openapi["info"]
    title = escape(f"{info['title']} {info['version']}")
    schemas: Mapping[str, Any] = openapi["components"]["schemas"]
    return (
        f"{_HEAD.format(title=title)}"
        f'<main class="reference">{_contents(openapi)}<div id="content" tabindex="-1">'
        f"<h1>{title}: the API</h1>"
        f'<p class="standfirst">{_prose(info["description"])}</p>'
        f'<p>JSON in and out. For programs: <a href="/openapi.json">/openapi.json</a>; for language models: '
        f'<a href="/llms.txt">/llms.txt</a>.</p>{"".join(_security(openapi))}{"".join(_tags(openapi))}'
        f'<section><h2 id="schemas">Schemas</h2>{"".join(_schema(*schema) for schema in schemas.items())}</section>'
        f"</div></main>{_DIALOG}</body></html>"
    )


def _contents(openapi: Mapping[str, Any]) -> str:
    groups = "".join(
        f'<li><a href="#{_anchor(tag["name"])}">{escape(tag["name"].capitalize())}</a><ul>'
        + "".join(
            f'<li><a href="#{_anchor(method, path)}">{_route(method, path)}</a></li>'
            for method, path, _ in _operations(openapi, tag["name"])
        )
        + "</ul></li>"
        for tag in openapi["tags"]
    )
    return f'<nav class="contents" aria-label="Contents"><ul>{groups}<li><a href="#schemas">Schemas</a></li></ul></nav>'


def _security(openapi: Mapping[str, Any]) -> Iterator[str]:
    for scheme in openapi["components"]["securitySchemes"].values():
        yield f"<p>API key: {_prose(scheme['description'])}</p>"


def _tags(openapi: Mapping[str, Any]) -> Iterator[str]:
    for tag in openapi["tags"]:
        name = tag["name"]
        yield f'<section><h2 id="{_anchor(name)}">{escape(name.capitalize())}</h2><p>{_prose(tag["description"])}</p>'
        for method, path, operation in _operations(openapi, name):
            yield from _operation(method, path, operation, openapi)
        yield "</section>"


def _operations(openapi: Mapping[str, Any], tag: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            if tag in operation["tags"]:
                yield method.upper(), path, operation


def _operation(method: str, path: str, operation: Mapping[str, Any], openapi: Mapping[str, Any]) -> Iterator[str]:
    yield f'<article><h3 id="{_anchor(method, path)}">{_route(method, path)}</h3>'
    yield f"<p>{_prose(operation['description'])}</p>"
    if operation.get("security") == []:
        yield '<p class="scope">Needs no key.</p>'
    for scope in (scope for choice in operation.get("security", ()) for scope in choice.get("api_key", ())):
        yield f'<p class="scope">Where keys are needed, with the scope <code>{escape(scope)}</code>.</p>'
    if parameters := operation.get("parameters"):
        yield "<h4>Parameters</h4>"
        yield _table(["Name", "In", "Value", "What it says"], map(_parameter, parameters))
    yield from _bodies("Request", operation.get("requestBody", {}), openapi)
    failures = []
    for status, response in sorted(operation["responses"].items()):
        if status.startswith("2"):
            yield from _bodies(f"Answer, {status}", response, openapi)
        else:
            failures.append((escape(status), escape(response["description"])))
    if failures:
        problem = f'Each is a <a href="#{_anchor("schema", "Problem")}">problem</a> of RFC 9457.'
        table = _table(["Status", "When"], failures)
        yield f"<details><summary>When it fails</summary>{table}<p>{problem}</p></details>"
    yield f"{_form(method, path, operation, openapi)}</article>"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, ...]:
    schema = parameter.get("schema", {})
    value = _type(schema) + (", required" if parameter.get("required") else "")
    if "default" in schema and schema["default"] not in ("", []):
        value += f"; {json.dumps(schema['default'])} if it is left out"
    name = f"<code>{escape(parameter['name'])}</code>"
    return name, escape(parameter.get("in", "")), escape(value), _prose(parameter.get("description", ""))


def _type(schema: Mapping[str, Any]) -> str:
    """Return what a value is, in words: "integer, 1 to 100"."""
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"] if choice.get("type") != "null")
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if schema.get("type") == "array":
        return f"{_type(schema['items'])}, repeatable"
    text = str(schema.get("format") or schema.get("type", ""))
    if "maximum" in schema:
        return f"{text}, {schema.get('minimum', 0):,} to {schema['maximum']:,}"
    return text


def _bodies(name: str, body: Mapping[str, Any], openapi: Mapping[str, Any]) -> Iterator[str]:
    for media_type, content in body.get("content", {}).items():
        schema = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        link = f' · <a href="#{_anchor("schema", schema)}">{escape(schema)}</a>' if schema else ""
        yield (
            f"<figure><figcaption>{escape(name)} <span>{escape(media_type)}{link}</span></figcaption>"
            f'<pre tabindex="0">{escape(_text(_example_of(content, openapi)))}</pre></figure>'
        )


def _form(method: str, path: str, operation: Mapping[str, Any], openapi: Mapping[str, Any]) -> str:
    """Return the form that sends a request. It is of use with a script alone, which shows it."""
    changes = method in ("PUT", "DELETE")  # no example is a file that anybody wants to lose
    fields = []
    for parameter in operation.get("parameters", []):
        name, place = parameter["name"], parameter.get("in", "")
        example = next(iter(parameter.get("schema", {}).get("examples", [])), "")
        example = example[0] if isinstance(example, list) and example else example
        shown = "" if example == "" else _text(example).strip('"')
        given = (
            f'value="{escape(shown)}"'
            if parameter.get("required") and not changes
            else f'placeholder="{escape(shown)}"'
        )
        fields.append(
            f'<label><code>{escape(name)}</code> <input data-in="{escape(place)}" name="{escape(name)}" {given} '
            f'autocomplete="off"{" required" if parameter.get("required") else ""}></label>'
        )
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        text = escape(_text(_example_of(content, openapi)))
        fields.append(
            f'<label>Body <textarea data-type="{escape(media_type)}" spellcheck="false">\n{text}</textarea></label>'
        )
    return (
        f'<details class="try" hidden><summary>Try it</summary><form data-method="{escape(method)}" '
        f'data-path="{escape(path)}">{"".join(fields)}<button>Send</button></form>'
        '<p role="status"></p><div class="answer"></div></details>'
    )


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    return (
        f'<details id="{_anchor("schema", name)}"><summary>{escape(name)}</summary>'
        f'<pre tabindex="0">{escape(_text(schema))}</pre></details>'
    )


def _example_of(content: Mapping[str, Any], openapi: Mapping[str, Any]) -> Any:
    """Return the example of a body, which stands beside its schema or in it."""
    if "example" in content:
        return content["example"]
    name = content["schema"]["$ref"].rpartition("/")[2]
    return openapi["components"]["schemas"][name]["examples"][0]


def _route(method: str, path: str) -> str:
    return f"<b>{escape(method)}</b> {escape(path)}"


def _anchor(*names: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", " ".join(names).lower()).strip("-")


def _prose(text: str) -> str:
    """Return a description, in which names of the API stand between backquotes."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)

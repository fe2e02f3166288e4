"""Makes the pages of reference from the code: the Python API for mkdocstrings, the HTTP API from its description."""

import json
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import sourceline
from sourceline import client

Json = Mapping[str, Any]


def python_page() -> str:
    """Return the page of all that `sourceline` and `sourceline.client` export; mkdocstrings reads the docstrings."""
    exported = {name: getattr(sourceline, name) for name in sourceline.__all__}
    errors = [name for name, kind in exported.items() if issubclass(kind, sourceline.SourcelineError)]
    choices = [name for name, kind in exported.items() if issubclass(kind, Enum)]
    values = [name for name in exported if name not in {"Index", *errors, *choices}]
    clients = [name for name in client.__all__ if isinstance(getattr(client, name), type)]
    sections = {
        "The index": ["sourceline.Index"],
        "Clients": [f"sourceline.client.{name}" for name in clients],
        "Values": [f"sourceline.{name}" for name in values],
        "Choices": [f"sourceline.{name}" for name in choices],
        "Errors": [f"sourceline.{name}" for name in errors],
    }
    lines = [
        "# Python API",
        "",
        "Made from the docstrings. [Python](../python.md) and [Clients](../clients.md) introduce it, with examples.",
        "",
    ]
    for title, names in sections.items():
        lines += [f"## {title}", ""]
        for name in names:
            lines += [f"::: {name}", ""]
    return "\n".join(lines)


def http_page(openapi: Json) -> str:
    """Return the page of an HTTP API: its routes by tag, then its schemas."""
    lines = [
        "# HTTP API",
        "",
        "Made from what a running server says at `/openapi.json`. [HTTP](../http.md) introduces it, with examples.",
        "",
    ]
    for tag in openapi["tags"]:
        lines += [f"## {tag['name'].capitalize()}", "", tag["description"], ""]
        for path, operations in openapi["paths"].items():
            for method, operation in operations.items():
                if tag["name"] in operation["tags"]:
                    lines += _operation(f"{method.upper()} {path}", operation)
    lines += ["## Schemas", ""]
    for name, schema in sorted(openapi["components"]["schemas"].items()):
        lines += _schema(name, schema)
    return "\n".join(lines)


def _operation(name: str, operation: Json) -> Iterator[str]:
    yield from (f"### {name}", "", operation["description"], "")
    if operation.get("security") == []:
        yield from ("Needs no key.", "")
    if parameters := operation.get("parameters"):
        rows = [
            [f"`{each['name']}`", each["in"], *_described(each["schema"], each["required"], each.get("description"))]
            for each in parameters
        ]
        yield from _table(["parameter", "in", "type", "default", ""], rows)
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield from (f"Takes `{media_type}`: {_type(content['schema'])}", "")
    rows = []
    for status, response in sorted(operation["responses"].items()):
        contents = response.get("content", {}).items()
        body = ", ".join(_type(content["schema"]) if "schema" in content else f"`{kind}`" for kind, content in contents)
        details = [content["example"].get("detail", "") for kind, content in contents if "problem" in kind]
        rows.append([status, body, "; ".join(filter(None, details)) or response["description"]])
    yield from _table(["status", "body", ""], rows)


def _schema(name: str, schema: Json) -> Iterator[str]:
    yield from (f"### {name}", "", schema.get("description", ""), "")
    if "enum" in schema:
        yield from (_type(schema), "")
    required = schema.get("required", ())
    rows = [
        [f"`{field}`", *_described(about, field in required, about.get("description"))]
        for field, about in schema.get("properties", {}).items()
    ]
    if rows:
        yield from _table(["field", "type", "default", ""], rows)
    for example in schema.get("examples", [])[:1]:
        yield from ("```json", json.dumps(example, indent=2, ensure_ascii=False), "```", "")


def _described(schema: Json, required: bool, description: str | None) -> list[str]:
    """Return the cells of a value: its type with its limits, its default, and what it is."""
    choices = [choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"] or [schema]
    texts = [description, *(choice.get("description") for choice in choices)]
    default = schema.get("default")
    shown = "required" if required else "" if default is None else f"`{json.dumps(default)}`"
    return [_type(schema), shown, next(filter(None, texts), "")]


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"] if choice.get("type") != "null")
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value, ensure_ascii=False)}`" for value in schema["enum"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_type(schema['items'])}{_limits(schema, 'Items')}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return kind + _limits(schema, "Length" if kind == "string" else "imum")


def _limits(schema: Json, suffix: str) -> str:
    least, most = schema.get(f"min{suffix}"), schema.get(f"max{suffix}")
    if least is None and most is None:
        return ""
    if most is None:
        return f", at least {least:g}"
    return f", {least:g} to {most:,.10g}" if least is not None else f", at most {most:,.10g}"


def _table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        cells = [cell.replace("|", "\\|").replace("\n", " ") for cell in row]
        yield f"| {' | '.join(cells)} |"
    yield ""

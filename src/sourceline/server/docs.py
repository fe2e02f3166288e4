"""The page at ``/docs``: the API's description as plain HTML. FastAPI's own would load scripts from the network."""

import json
from html import escape
from typing import Any


def page(openapi: dict[str, Any]) -> str:
    """Return the description of an API as a page."""
    title = escape(f"{openapi['info']['title']} {openapi['info']['version']}")
    routes = [
        _route(method, path, operation)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = [_details(name, schema) for name, schema in openapi["components"]["schemas"].items()]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="/static/icon.svg" type="image/svg+xml"><link rel="stylesheet" href="/static/docs.css">'
        f"<main><h1>{title}</h1><p>{escape(openapi['info'].get('description', ''))} "
        'The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>'
        f"{''.join(routes)}<h2>Schemas</h2>{''.join(schemas)}</main></html>"
    )


def _route(method: str, path: str, operation: dict[str, Any]) -> str:
    parts: dict[str, Any] = {
        name: operation[name] for name in ("parameters", "requestBody", "responses") if name in operation
    }
    heading = escape(f"{method.upper()} {path}")
    return f"<h2>{heading}</h2><p>{escape(operation.get('description', ''))}</p>{_details('Details', parts)}"


def _details(name: str, content: dict[str, Any]) -> str:
    return f"<details><summary>{escape(name)}</summary><pre>{escape(json.dumps(content, indent=2))}</pre></details>"

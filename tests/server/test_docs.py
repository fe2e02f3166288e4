import re

from fastapi import FastAPI
from fastapi.testclient import TestClient

from sourceline.server.docs import page


def test_every_route_is_described_and_nothing_is_loaded_from_elsewhere(app: FastAPI, client: TestClient) -> None:
    shown = client.get("/docs")
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            assert f"<h2>{method.upper()} {path}</h2>" in shown.text
    assert not re.search(r"<script|<style|<img|src=|https?://|@import|url\(", shown.text)
    assert re.findall(r'<link [^>]*href="([^"]*)"', shown.text) == ["/static/icon.svg", "/static/docs.css"]


def test_the_description_is_shown_as_text() -> None:
    hostile = "<script>alert('x')</script>"
    operation = {"description": hostile, "responses": {hostile: {"description": hostile}}}
    shown = page(
        {
            "info": {"title": hostile, "version": hostile, "description": hostile},
            "paths": {hostile: {hostile: operation}},
            "components": {"schemas": {hostile: {"title": hostile}}},
        }
    )
    assert "<script" not in shown.lower()
    assert shown.lower().count("&lt;script&gt;") == 12

import doctest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceline.server.mcp import tools
from sourceline.server.mcp.tools import TOOLS, Tool, document_of, document_uri
from sourceline.server.models import AskRequest, AskResponse

BY_NAME = {tool.name: tool for tool in TOOLS}


def test_the_example_of_a_uri_is_right() -> None:
    assert doctest.testmod(tools).failed == 0


@given(st.text())
def test_every_id_comes_back_from_its_uri(document: str) -> None:
    assert document_of(document_uri(document)) == document


def test_a_schema_says_what_the_model_does_without_examples() -> None:
    schema, compact = AskRequest.model_json_schema(), BY_NAME["ask"].input_schema
    assert compact["required"] == ["question"]
    assert compact["properties"].keys() == schema["properties"].keys() == AskRequest.model_fields.keys()
    assert compact["properties"]["k"] == {
        "default": 5,
        "description": "How many passages to return.",
        "maximum": 100,
        "minimum": 1,
        "type": "integer",
    }


def test_a_field_that_is_called_title_is_kept() -> None:
    properties = BY_NAME["ask"].output_schema["$defs"]["DocumentRef"]["properties"]
    assert properties == {"id": {"type": "string"}, "title": {"type": "string"}}
    assert BY_NAME["ask"].response is AskResponse


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_what_a_tool_says_is_short(tool: Tool[Any]) -> None:
    assert 60 < len(tool.description) < 600
    assert "\n" not in tool.description

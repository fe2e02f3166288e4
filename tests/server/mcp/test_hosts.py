"""What docs/mcp.md tells hosts of assistants: every configuration there is one that works."""

import json
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sourceline.server.mcp.tools import TOOLS
from tests.support.assistant import call, over_command
from tests.support.pages import Page

PAGE = Page("docs/mcp.md")
INDEX = "/home/ann/minutes-index"


def configured() -> Iterator[dict[str, Any]]:
    """Yield what each host is told of a server."""
    for block in PAGE.blocks:
        if block.language == "json":
            content = json.loads(block.text)
            yield from content.get("mcpServers", content.get("servers")).values()
        elif block.language == "toml":
            yield from tomllib.loads(block.text)["mcp_servers"].values()


def commands() -> list[list[str]]:
    """Return the commands that hosts run, each but for where it is installed."""
    listed = [[Path(server["command"]).name, *server["args"]] for server in configured() if "command" in server]
    (lines,) = (block.text for block in PAGE.blocks if block.language == "sh" and "claude" in block.text)
    return [*listed, *(shlex.split(line.partition(" -- ")[2]) for line in lines.splitlines() if " -- " in line)]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_the_command_of_a_host_serves(command: list[str], seed_index: Path) -> None:
    assert command[0] == "sourceline"
    arguments = [str(seed_index) if argument in (INDEX, "~/minutes-index") else argument for argument in command[1:]]
    assert str(seed_index) in arguments
    listed = call(over_command(*arguments), "list_documents")
    assert [document["id"] for document in listed["documents"]] == ["meeting.txt"]


def test_a_server_is_named_by_the_address_of_its_route_and_gets_the_key() -> None:
    servers = [server for server in configured() if "url" in server]
    assert len(servers) == 3
    for server in servers:
        assert server["url"].endswith("/mcp")
        assert "bearer_token_env_var" in server or server["headers"]["Authorization"].startswith("Bearer ${")


def test_every_tool_is_described_with_what_it_takes() -> None:
    (table,) = PAGE.tables("tool")
    assert table.codes() == [tool.name for tool in TOOLS]
    for tool, row in zip(TOOLS, table.rows, strict=True):
        assert {*row[1].split(", ")} == {f"`{name}`" for name in tool.input_schema["properties"]}

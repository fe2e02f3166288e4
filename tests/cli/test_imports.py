"""A command imports only what it does: most of a short one's time is imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sourceline.api import Index
from sourceline.cli.completion import VARIABLE

SHOW = "import sys; from sourceline.__main__ import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
SERVING = {"fastapi", "starlette", "uvicorn", "prometheus_client"}
ASSISTING = {"mcp", "mcp_types"}  # a second of imports
BUILDING = {"sourceline.indexing.builder", "markdown_it", "filelock", "rich.progress"}
MEASURING = {"sourceline.evaluation", "sourceline.doctor", "torch", "transformers", "onnx", "huggingface_hub"}
ENCODING = {"onnxruntime", "sourceline.encoders.onnx"}
TRACING = {"opentelemetry.sdk", "opentelemetry.exporter", "sourceline.server.telemetry"}
SHOWING = {"rich", "sourceline.cli.render", "numpy.ma"}
# What a server imports until it has answered once; one that runs could not be asked.
SERVE = """
import sys
from sourceline.__main__ import set_environment
set_environment()
import sourceline.cli.main, sourceline.server.run
from sourceline.api import Index
from sourceline.cli.completion import VARIABLE
from sourceline.config import load_settings
from sourceline.server.models import AskResponse

settings = load_settings(index=sys.argv[1])
sourceline.server.run.start(settings)
with Index.open(settings.index) as index:
    AskResponse.from_answer(index.ask("Who met Pezeshkian?"), 0).model_dump_json()
print(*sys.modules, file=sys.stderr)
"""


def imported(*arguments: str, show: str = SHOW) -> set[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOURCELINE_")}
    command = [sys.executable, "-c", show, *arguments]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return set(ended.stderr.split())


def test_help_needs_neither_the_index_nor_the_model() -> None:
    # To write help typer imports all of rich, and rich the parser of Markdown.
    modules = imported("--help") - {"rich.progress", "markdown_it"}
    assert not modules & (SERVING | BUILDING | MEASURING | ENCODING | {"numpy", "faiss", "tokenizers"})


def test_to_complete_a_word_nothing_is_imported_that_works_or_reads_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {VARIABLE: "complete_bash", "COMP_WORDS": "sourceline ask --mode f", "COMP_CWORD": "3"}.items():
        monkeypatch.setenv(name, value)
    modules = imported("ask")
    assert "sourceline.cli.completion" in modules
    assert not modules & (SERVING | BUILDING | MEASURING | ENCODING | SHOWING | {"numpy", "pydantic_settings"})


@pytest.mark.parametrize("shown_as", [[], ["--json"]])
def test_to_ask_nothing_is_imported_that_serves_builds_or_measures(seed_index: Path, shown_as: list[str]) -> None:
    modules = imported("ask", "Who met Pezeshkian?", "--index", str(seed_index), *shown_as)
    assert modules >= ENCODING
    assert not modules & (SERVING | ASSISTING | BUILDING | MEASURING)


@pytest.mark.parametrize("shown_as", [[], ["--json"]])
def test_to_cite_no_model_is_imported_either(seed_index: Path, shown_as: list[str]) -> None:
    with Index.open(seed_index, lazy=True) as index:
        citation = index.document("meeting.txt").passages[0].id
    modules = imported("cite", citation, "--index", str(seed_index), *shown_as)
    assert not modules & (SERVING | BUILDING | MEASURING | ENCODING)


def test_to_build_nothing_is_imported_that_serves_or_measures(documents: Path, index: Path) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    modules = imported("rebuild-index", "--documents", str(documents), "--index", str(index))
    assert "sourceline.indexing.builder" in modules
    assert not modules & (SERVING | MEASURING)


def test_to_serve_nothing_is_imported_that_shows_builds_or_measures(seed_index: Path) -> None:
    modules = imported(str(seed_index), show=SERVE)
    assert modules >= SERVING | ENCODING
    # filelock says whether a build runs.
    assert not modules & (ASSISTING | SHOWING | BUILDING - {"filelock"} | MEASURING | TRACING)


def test_to_serve_an_assistant_no_http_api_is_imported(seed_index: Path) -> None:
    command = [sys.executable, "-c", SHOW, "mcp", "--index", str(seed_index)]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    modules = set(ended.stderr.split())
    assert modules >= ASSISTING | ENCODING
    assert not modules & ({"fastapi", "prometheus_client"} | BUILDING - {"filelock"} | MEASURING)

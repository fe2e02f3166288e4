"""Who may import whom, and what never happens."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sourceline

ROOT = Path(sourceline.__file__).parent
FILES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in sorted(ROOT.rglob("*.py"))}

# Each stage imports only itself and what stands above it.
STAGES = [
    {"__init__", "types", "errors", "text", "logs", "ids", "durable", "limits", "address"},
    {"config"},
    {"ingest"},
    {"encoders"},
    {"index"},
    {"citations"},
    {"integrity"},
    {"backup"},
    {"indexing"},
    {"search"},
    {"engines"},
    {"api"},
    {"watching", "editing"},
    {"client"},
    {"integrations"},
    {"evaluation"},
    {"doctor", "server"},
    {"cli"},
    {"__main__"},
]
# Package -> the only stages that may import it.
ONLY = {
    "docx": {"ingest"},
    "pypdf": {"ingest"},
    "faiss": {"index"},
    "tantivy": {"index"},
    "psycopg": {"index"},
    "psycopg_pool": {"index"},
    "torch": {"encoders"},
    "transformers": {"encoders"},
    "sentence_transformers": {"encoders"},
    "fastapi": {"server"},
    "starlette": {"server"},
    "uvicorn": {"server"},
    "prometheus_client": {"server"},
    "opentelemetry": {"server"},
    "mcp": {"server"},
    "mcp_types": {"server"},
    "pydantic": {"config", "server"},
    "pydantic_settings": {"config"},
    "watchfiles": {"watching"},
    "httpx2": {"client"},
    "langchain_core": {"integrations"},
    "llama_index": {"integrations"},
    "haystack": {"integrations"},
    "typer": {"cli"},
    "rich": {"cli"},
    "matplotlib": {"evaluation"},
    "jinja2": {"evaluation"},
}
NEVER = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "requests", "urllib.request"}
# The front door: these use the index through it alone (the commands `evaluate` and `serve` have packages of their own).
USE_THE_API = {"doctor", "server", "cli"}
BELOW_THE_API = {"ingest", "encoders", "index", "citations", "integrity", "backup", "indexing", "search"}


def stage_of(file: str) -> str:
    return file.split("/")[0].removesuffix(".py")


def imports(file: str) -> Iterator[str]:
    """Yield the full names of what a file imports, wherever in it."""
    for node in ast.walk(FILES[file]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports by a relative name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


def imported_stages(file: str) -> Iterator[str]:
    for name in imports(file):
        if is_in(name, "sourceline"):
            part = name.split(".")[1]
            yield part if any(part in stages for stages in STAGES) else "__init__"


@pytest.mark.parametrize("file", [file for file in FILES if file != "__init__.py"])
def test_a_stage_imports_only_what_stands_above_it(file: str) -> None:
    rank = {stage: number for number, stages in enumerate(STAGES) for stage in stages}
    own = stage_of(file)
    for other in imported_stages(file):
        assert other == own or rank[other] < rank[own] or rank[other] == rank[own] == 0, f"{file} imports {other}"


@pytest.mark.parametrize("file", [file for file in FILES if stage_of(file) in USE_THE_API])
def test_command_line_server_and_doctor_use_the_front_door(file: str) -> None:
    assert not set(imported_stages(file)) & BELOW_THE_API


@pytest.mark.parametrize("file", FILES)
def test_a_package_is_imported_only_in_its_place(file: str) -> None:
    for name in imports(file):
        assert not any(is_in(name, package) for package in NEVER), f"{file} imports {name}"
        for package, stages in ONLY.items():
            if is_in(name, package):
                assert stage_of(file) in stages, f"{file} imports {name}"


@pytest.mark.parametrize("file", FILES)
def test_nothing_foreign_is_executed(file: str) -> None:
    for node in ast.walk(FILES[file]):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"torch.load", "eval", "exec", "compile", "os.system", "os.popen"}, f"{file}: {called}"
            for keyword in node.keywords:
                if called == "get_completion_script":  # whose shell is the one that is to be taught
                    continue
                if keyword.arg in {"trust_remote_code", "allow_pickle", "shell"}:
                    assert ast.unparse(keyword.value) == "False", f"{file}: {called} with {keyword.arg}"


@pytest.mark.parametrize("file", [file for file in FILES if stage_of(file) != "cli"])
def test_only_the_command_line_prints(file: str) -> None:
    for node in ast.walk(FILES[file]):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in {"print", "sys.stdout.write", "sys.stderr.write"}

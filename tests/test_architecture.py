"""Holds the lines that the package is built along: who may import whom and what, how long, by which names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import sourceline

ROOT = Path(sourceline.__file__).parent
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in ROOT.rglob("*.py")}
FILES = sorted(TREES)

# Each stage imports only what stands to its left; those in one place may import each other.
STAGES = (
    {"types", "errors", "settings", "durable", "printable"},
    {"citations"},
    {"corpus"},
    {"encoding"},
    {"index"},
    {"retrieval"},
    {"evaluation"},
    {"server", "cli", "console", "terminal", "doctor"},
)
# Package -> the only places that may import it: a folder, or a file.
ONLY = {
    "faiss": ("index/",),
    "tantivy": ("index/",),
    "torch": ("encoding/bert.py", "encoding/compile.py", "encoding/reference.py"),
    "transformers": ("encoding/bert.py", "encoding/reference.py"),
    "sentence_transformers": ("encoding/compile.py", "encoding/reference.py"),
    "fastapi": ("server/",),
    "starlette": ("server/",),
    "uvicorn": ("server/",),
    "pydantic": ("server/", "settings.py"),
    "pydantic_settings": ("settings.py",),
    "typer": ("cli.py",),
    "rich": ("console.py", "terminal.py"),
    "sourceline.config": ("cli.py", "server/"),
    "sourceline.cli.main": ("__main__.py",),
}
NEVER = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "requests", "urllib.request"}
WORDS = {"manager", "handler", "helper", "util", "service", "engine", "chunk", "embed", "embedding"}
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 250, 40

Function = ast.FunctionDef | ast.AsyncFunctionDef


def imports(name: str) -> Iterator[str]:
    """Yield the full names of what a file imports, wherever in it."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports by a relative name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def row_filter(imported: str, package: str) -> bool:
    return f"{imported}.".startswith(f"{package}.")


def rank(stage: str) -> int | None:
    return next((number for number, stages in enumerate(STAGES) if stage in stages), None)


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call in a file with what is called, as it is written."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def public(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Yield what others can see of a module: its classes and functions, and their methods."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef) and not child.name.startswith("_"):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{child.name}.")


def defined(name: str) -> Iterator[str]:
    """Yield every name that a file gives to something."""
    for node in ast.walk(TREES[name]):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()) | ast.Attribute(ctx=ast.Store()):
                yield node.id if isinstance(node, ast.Name) else node.attr
            case ast.alias(asname=str(given)):
                yield given


def words(name: str) -> set[str]:
    """Return the words of a name, in the singular."""
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return {part.lower().removesuffix("s") for part in parts}


def test_there_is_something_to_look_at() -> None:
    assert {"types.py", "cli.py", "index/build.py", "server/routes/ask.py"} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_file_belongs_to_a_stage(name: str) -> None:
    assert name in {"__init__.py", "__main__.py"} or rank(name.split("/")[0].removesuffix(".py")) is not None


@pytest.mark.parametrize("name", FILES)
def test_a_stage_imports_only_what_stands_to_its_left(name: str) -> None:
    own = name.split("/")[0].removesuffix(".py")
    place = rank(own)
    for imported in imports(name):
        other = imported.split(".")[1] if row_filter(imported, "sourceline") else own
        if place is None or other == own or other == "__version__":
            continue
        theirs = rank(other)
        assert theirs is not None, f"{name} imports {imported}, which is in no stage"
        assert theirs < place or (theirs == place and place in {0, len(STAGES) - 1}), f"{name} imports {imported}"


@pytest.mark.parametrize("name", FILES)
def test_a_package_is_imported_only_in_its_place(name: str) -> None:
    for imported in imports(name):
        assert not any(row_filter(imported, package) for package in NEVER), f"{name} imports {imported}"
        for package, places in ONLY.items():
            if row_filter(imported, package):
                assert name.startswith(places), f"{name} imports {imported}"


@pytest.mark.parametrize("name", FILES)
def test_nothing_foreign_is_executed(name: str) -> None:
    for called, call in calls(name):
        assert called not in {"torch.load", "eval", "exec", "compile", "os.system", "os.popen"}, f"{name}: {called}"
        for keyword in call.keywords:
            if keyword.arg in {"trust_remote_code", "allow_pickle", "shell"}:
                assert ast.unparse(keyword.value) == "False", f"{name}: {called} with {keyword.arg}"


@pytest.mark.parametrize("name", [name for name in FILES if name != "cli.py"])
def test_nothing_is_printed_but_by_the_command_line(name: str) -> None:
    for called, _ in calls(name):
        assert called not in {"print", "sys.stdout.write", "sys.stderr.write"}, f"{name}: {called}"


@pytest.mark.parametrize("name", FILES)
def test_files_and_functions_are_short(name: str) -> None:
    assert len((ROOT / name).read_text("utf-8").splitlines()) <= MOST_LINES
    for node in ast.walk(TREES[name]):
        if isinstance(node, Function):
            assert (node.end_lineno or 0) - node.lineno < MOST_LINES_OF_A_FUNCTION, f"{name}: {node.name}"


@pytest.mark.parametrize("name", FILES)
def test_everything_public_has_a_docstring(name: str) -> None:
    assert ast.get_docstring(TREES[name])
    for called, node in public(TREES[name]):
        assert isinstance(node, Function | ast.ClassDef)
        assert ast.get_docstring(node), f"{name}: {called}"


@pytest.mark.parametrize("name", FILES)
def test_names_are_of_the_vocabulary(name: str) -> None:
    for given in {*defined(name), *name.removesuffix(".py").split("/")}:
        assert not words(given) & WORDS, f"{name}: {given}"


def test_words_are_told_apart() -> None:
    assert words("EmbeddingManager") == {"embedding", "manager"}
    assert words("_CHUNK_SIZES") == {"chunk", "size"}
    assert words("HTTPHandler2") == {"http", "handler"}
    assert words("serving") == {"serving"}

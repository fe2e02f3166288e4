"""What README and the pages of ``docs/`` say is true.

Every ``console`` block is run, with what is shown below a command compared with what it prints, every ``pycon`` block,
and every ``js`` block, with what its comments say that it prints. The tables hold what there is, and name nothing that
is not there.
"""

import doctest
import inspect
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import playwright
import pytest
import typer
from prometheus_client.parser import text_string_to_metric_families

import sourceline
from sourceline import Index, SourcelineError, errors
from sourceline.citations.ledger import Resolution, recover_ledger
from sourceline.cli.main import app
from sourceline.client import Client
from sourceline.config import Settings
from sourceline.index.bm25 import COMMON_WORDS_ABOVE
from sourceline.index.dense import APPROXIMATE_ABOVE
from sourceline.index.snapshot import FORMAT, MANIFEST, SNAPSHOTS, LedgerExtent, Manifest
from sourceline.indexing.cache import ChunkCache
from sourceline.indexing.config import COMPACT_ABOVE
from sourceline.ingest.formats import FORMATS
from sourceline.types import CitationStatus
from tests.support.index_folder import ledger_lines
from tests.support.pages import (
    ROOT,
    Block,
    Page,
    pages,
    require_same_json,
    require_same_text,
    steps,
)

PAGES = {page.name: page for page in pages()}
README = PAGES["README.md"]
ANSWERS, CLI, CLIENTS, FORMATS_PAGE, HTTP, PYTHON = (
    PAGES[f"docs/{name}.md"] for name in ("answers", "cli", "clients", "formats", "http", "python")
)
ARCHITECTURE, CITATIONS, CONTRIBUTING, INDEX_FORMAT, OPERATIONS, QUALITY = (
    PAGES[f"docs/{name}.md"]
    for name in ("architecture", "citations", "contributing", "index-format", "operations", "quality")
)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PACKAGE = ROOT / "src" / "sourceline"
RUN = ("console", "pycon", "js")
ADDRESS = "http://127.0.0.1:8080"  # of the server, as the pages write it
NODE = Path(playwright.__file__).parent / "driver" / "node"  # which Playwright brings along
# Pages whose first example builds the index; the others begin with the seed documents indexed.
BUILDING = {"README.md", "docs/cli.md", "docs/python.md", "docs/tutorial.md"}

run_pages = [page for page in PAGES.values() if any(block.language in RUN for block in page.blocks)]
every_page = pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.name)


class Shell:
    """Runs commands in a folder that looks like a checkout, where ``sourceline`` is the one that is tested."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._code = 0
        self._server: Server | None = None
        self._environment = clean_environment(folder.parent)

    def addressed(self, text: str) -> str:
        """Return a text with the server's address, which is started for the first one that names it."""
        if ADDRESS not in text:
            return text
        self._server = self._server or Server(self._folder, self._environment)
        return text.replace(ADDRESS, self._server.address)

    def run(self, command: str, may_fail: bool = False) -> str:
        """Return what a command prints. One that serves in the background becomes the server of what follows."""
        if command.endswith("&"):
            assert not self._server
            self._server = Server(self._folder, self._environment, command.rstrip(" &"))
            return self._server.printed
        run = subprocess.run(
            ["bash", "-c", f"(exit {self._code}); {self.addressed(command)}"],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        self._code = run.returncode
        assert self._code == 0 or may_fail, f"{command} failed:\n{run.stdout}"
        return run.stdout

    def stop(self) -> None:
        """End the server."""
        if self._server:
            self._server.stop()


class Server:
    """``sourceline serve`` in a folder, until it is stopped: on loopback and a free port, whatever a page says."""

    def __init__(self, folder: Path, environment: dict[str, str], command: str = "sourceline serve") -> None:
        host = re.search(r"--host (\S+)", command)
        shown = ADDRESS.replace("127.0.0.1", host[1]) if host else ADDRESS
        command = f"exec env {command} --host 127.0.0.1 --port 0"
        self._process = subprocess.Popen(
            ["bash", "-c", command], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr
        self.printed = ""
        for line in self._process.stderr:
            if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                self.address = match[0]
                self.printed += line.replace(self.address, shown)
                return
            self.printed += line
        pytest.fail(f"the server did not start: {self.printed}")

    def get(self, path: str, method: str = "GET") -> bytes:
        """Return the body of an answer."""
        with urlopen(Request(self.address + path, method=method), timeout=30) as response:
            body: bytes = response.read()
        return body

    def stop(self) -> None:
        """End it."""
        assert self._process.stderr
        self._process.terminate()
        self._process.wait()
        self._process.stderr.close()


def clean_environment(folder: Path) -> dict[str, str]:
    """Return the environment without settings, and with a command ``sourceline``, which is put below a folder."""
    command = folder / "bin" / "sourceline"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m sourceline "$@"\n')
    command.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOURCELINE_")}
    return environment | {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}


def checkout(folder: Path, index: Path) -> Path:
    """Make a folder like a checkout: the seed documents, and a copy of an index folder."""
    shutil.copytree(ROOT / "seeds", folder / "seeds")
    shutil.copytree(index, folder / "index")
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, seed_index: Path) -> Iterator[tuple[Server, Path]]:
    """A server of the seed documents that has rebuilt its index once, and the folder of the index."""
    folder = checkout(tmp_path_factory.mktemp("served"), seed_index)
    server = Server(folder, clean_environment(folder))
    try:
        server.get("/v1/index/rebuild", "POST")
        deadline = time.monotonic() + 120
        while json.loads(server.get("/v1/index"))["rebuild"]["state"] == "running":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield server, folder / "index"
    finally:
        server.stop()


# Commands and examples


@pytest.mark.enable_socket
@pytest.mark.parametrize("page", run_pages, ids=lambda page: page.name)
def test_the_examples_of_a_page_work(
    page: Page, tmp_path: Path, exported: Path, seed_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.name == "docs/frameworks.md":
        pytest.importorskip("haystack", reason="make integrations installs it")
    folder = checkout(tmp_path / "checkout", exported if page.name in BUILDING else seed_index)
    monkeypatch.chdir(folder)
    shell = Shell(folder)
    names: dict[str, Any] = {}
    try:
        for block in page.blocks:
            if block.language == "console":
                run_commands(block, shell)
            elif block.language == "pycon":
                run_python(shell.addressed(block.text), page.name, names)
            elif block.language == "js":
                run_javascript(block.text, shell)
    finally:
        shell.stop()


def run_commands(block: Block, shell: Shell) -> None:
    commands = list(steps(block))
    assert commands, "a console block has a command"
    for number, (command, shown) in enumerate(commands):
        following = commands[number + 1][0] if number + 1 < len(commands) else ""
        printed = shell.run(command, may_fail=following == "echo $?")
        if command.startswith("curl "):
            require_same_json(shown, printed)
        else:
            require_same_text(shown, printed)


def run_python(text: str, name: str, names: dict[str, Any]) -> None:
    example = doctest.DocTestParser().get_doctest(text, names, name, name, 0)
    example.globs = names  # which a doctest copies: the next block of the page goes on with them
    messages: list[str] = []
    results = doctest.DocTestRunner().run(example, out=messages.append, clear_globs=False)
    assert results.attempted
    assert not results.failed, "".join(messages)


def run_javascript(text: str, shell: Shell) -> None:
    script = f"{shlex.quote(str(NODE))} --input-type=module --eval {shlex.quote(text)}"
    assert shell.run(script).splitlines() == re.findall(r"// prints (.+)$", text, re.MULTILINE)


@every_page
def test_every_command_with_its_options_exists(page: Page) -> None:
    lines = [line for block in page.blocks if block.language == "sh" for line in block.text.splitlines()]
    lines += [command for block in page.blocks if block.language == "console" for command, _ in steps(block)]
    for line in [*lines, *page.codes]:
        for arguments in re.findall(r"(?<![\w./-])sourceline (.+)", line.split("  #")[0]):
            require_known_command(arguments)


def require_known_command(arguments: str) -> None:
    words = [word for word in shlex.split(arguments) if re.fullmatch(r"-?-?[a-z][a-z-]+", word)]
    commands, global_options = cli_options()
    name = next((word for word in words if word in commands), None)
    assert name or arguments.startswith(("-", "COMMAND")), f"there is no command `sourceline {arguments}`"
    known = global_options | (commands[name] if name else set()) | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known, arguments


def cli_options() -> tuple[dict[str, set[str]], set[str]]:
    """Return the options of each command, and those of all."""
    group: Any = typer.main.get_command(app)

    def options(command: Any) -> set[str]:
        return {name for parameter in command.params for name in parameter.opts if name.startswith("-")} - {"-h"}

    return {name: options(command) for name, command in group.commands.items()}, options(group) - {"--help"}


@every_page
def test_every_make_target_exists(page: Page) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set()
    for text in [*page.codes, *(block.text for block in page.blocks)]:
        named |= set(re.findall(r"(?:^|=\S+ )make ([a-z]+)", text, re.MULTILINE))
    assert named <= targets


def test_the_make_targets_of_the_readme_do_what_it_says() -> None:
    for target, command in (("serve", "sourceline serve"), ("test", "pytest")):
        listed = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
        assert f"make {target} " in README.text
        assert command in listed.stdout


# The command line


def test_every_command_is_documented() -> None:
    commands, _ = cli_options()
    (table,) = CLI.tables("command")
    assert {code.split()[1] for code in table.codes()} == commands.keys()


def test_every_option_is_documented() -> None:
    commands, global_options = cli_options()
    (table,) = (table for table in CLI.tables("option") if "`--documents DIR`" in table.rows[0][0])
    assert {code.split()[0] for code in table.codes()} == global_options
    for name, options in commands.items():
        section = CLI.section(name) if options else ""
        assert {option for option in options - {"--no-ablate", "--no-explain"} if option not in section} == set(), name


def test_every_setting_is_documented() -> None:
    (table,) = OPERATIONS.tables("name")
    rows = []
    for name, field in Settings.model_fields.items():
        no_flag = (
            "api_key",
            "rate_limit",
            "allowed_origins",
            "public_url",
            "telemetry_endpoint",
            "max_document_bytes",
            "follow_links",
            "partitions",
            "scrub",
        )
        flag = "–" if name in no_flag else f"`--{name.replace('_', '-')}`"
        default = "" if field.default is None else str(getattr(field.default, "value", field.default))
        default = default.lower() if isinstance(field.default, bool) else default
        rows.append([f"`{name}`", flag, f"`SOURCELINE_{name.upper()}`", f"`{default}`" if default else "–"])
    assert [row[:4] for row in table.rows] == rows
    commands, global_options = cli_options()
    assert {row[1].strip("`") for row in rows} - {"–"} <= global_options | commands["serve"]


# Python


def test_every_exported_name_is_documented() -> None:
    documented = {code.split("(")[0].split(".")[0] for code in PYTHON.codes}
    assert set(sourceline.__all__) <= documented


@pytest.mark.parametrize(("page", "kind"), [(PYTHON, Index), (CLIENTS, Client)], ids=["Index", "Client"])
def test_every_call_is_documented_with_its_arguments(page: Page, kind: type) -> None:
    (table,) = page.tables("call")
    documented = {}
    for code in table.codes():
        name, _, arguments = code.split(".", 1)[1].partition("(")
        documented[name] = re.findall(r"[a-z_]\w*(?=[,)=])", re.sub(r"=[^,)]+\)?", "=", arguments))
    actual = {}
    for name, member in inspect.getmembers(kind, lambda member: callable(member) or isinstance(member, property)):
        if not name.startswith("_"):
            parameters = [] if isinstance(member, property) else list(inspect.signature(member).parameters)
            actual[name] = [parameter for parameter in parameters if parameter != "self"]
    assert documented == actual


def test_every_field_of_the_types_is_documented() -> None:
    (table,) = PYTHON.tables("type")
    for name, (_, text) in zip(table.codes(), table.rows, strict=True):
        kind = getattr(sourceline, name)
        # The others are enumerations.
        parts = {field.name for field in fields(kind)} if is_dataclass(kind) else {*kind}
        assert parts - set(re.findall(r"`(\w+)`", text)) == set(), name


def test_every_error_is_documented_and_no_other() -> None:
    (table,) = PYTHON.tables("error")
    known = {
        name for name, member in inspect.getmembers(errors, inspect.isclass) if issubclass(member, SourcelineError)
    }
    assert set(table.codes()) == known
    named = {name for page in PAGES.values() for name in re.findall(r"\b[A-Z]\w+Error\b", page.text)}
    assert named <= known


# HTTP


@pytest.mark.enable_socket
def test_every_route_is_documented_and_no_other(served: tuple[Server, Path]) -> None:
    paths = json.loads(served[0].get("/openapi.json"))["paths"]
    routes = {re.sub(r":path\b", "", f"{method.upper()} {path}") for path in paths for method in paths[path]}
    (table,) = HTTP.tables("route")
    assert set(table.codes()) == routes
    for page in PAGES.values():
        for code in page.codes:
            if match := re.match(r"(GET|POST|PUT|DELETE) (/[^\s?]*)", code):
                assert match[0] in routes, page.name


@pytest.mark.enable_socket
def test_every_metric_is_documented_with_its_labels_and_no_other(served: tuple[Server, Path]) -> None:
    served[0].get("/v1/documents")
    exported: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(served[0].get("/metrics").decode()):
        if not family.name.endswith("_created"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            exported[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    (table,) = OPERATIONS.tables("metric")
    labels = [set(re.findall(r"`(\w+)`", row[1])) for row in table.rows]
    assert dict(zip(table.codes(), labels, strict=True)) == exported
    named = {code for page in PAGES.values() for code in page.codes if re.fullmatch(r"sourceline_\w+", code)}
    assert named <= exported.keys()


# Files


def test_every_file_of_a_snapshot_is_described_and_no_other(seed_index: Path) -> None:
    (table,) = (table for table in INDEX_FORMAT.tables("file") if f"`{MANIFEST}`" in table.rows[0][0])
    (snapshot,) = (seed_index / SNAPSHOTS).iterdir()
    assert set(table.codes()) == {f"{path.name}{'/' if path.is_dir() else ''}" for path in snapshot.iterdir()}


def test_every_file_of_an_exported_model_is_described_and_no_other(exported: Path) -> None:
    (table,) = (table for table in INDEX_FORMAT.tables("file") if "`encoder.json`" in table.rows[0][0])
    (encoder,) = (exported / "encoders").iterdir()
    assert set(table.codes()) == {path.name for path in encoder.iterdir()}


@pytest.mark.enable_socket
def test_every_file_of_the_index_folder_is_described_and_no_other(served: tuple[Server, Path]) -> None:
    described = {re.split(r"[/ ]", line)[0] for line in INDEX_FORMAT.blocks[0].text.splitlines()}
    # While a build runs there is the cache; SQLite's own files come and go.
    names = {path.name for path in served[1].iterdir() if not re.search(r"-(wal|shm)$", path.name)}
    assert names <= described
    restoring = {".restoring", "restored-ledger-<id>.jsonl", "replaced-<time>"}
    assert described - names <= {"cache", "watch.lock", "ledger.sqlite.old", "CURRENT.damaged"} | restoring


def test_every_table_of_the_databases_is_described(seed_index: Path, tmp_path: Path) -> None:
    with ChunkCache(tmp_path):
        (snapshot,) = (seed_index / SNAPSHOTS).iterdir()
        databases = [snapshot / "passages.sqlite", tmp_path / "chunks.sqlite"]
        described = {line for block in INDEX_FORMAT.blocks[1:] for line in block.text.splitlines()}
        assert described == {line for database in databases for line in table_lines(database)}


def table_lines(database: Path) -> Iterator[str]:
    connection = sqlite3.connect(database)
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info ({table})")]
        yield f"{table}({', '.join(columns)})"
    connection.close()


def test_every_field_of_the_manifest_is_described() -> None:
    names = {field.name for described in (Manifest, LedgerExtent) for field in fields(described)}
    assert names - set(INDEX_FORMAT.codes) == set()


def test_every_field_of_the_ledger_is_described(seed_index: Path, tmp_path: Path) -> None:
    ledger = recover_ledger(tmp_path, None)
    ledger.append("00000001", [], [Resolution("a", CitationStatus.REMOVED, None)])
    lines = [*ledger_lines(seed_index), *ledger_lines(tmp_path)]
    (table,) = INDEX_FORMAT.tables("a line with")
    assert set(table.codes()) == {"issued", "gone", "build"}
    assert {field for line in lines for field in line} - set(INDEX_FORMAT.codes) == set()


def test_the_format_that_is_described_is_the_one_that_is_written() -> None:
    assert f"This is format {FORMAT}." in INDEX_FORMAT.text
    assert f"{APPROXIMATE_ABOVE:,} rows" in INDEX_FORMAT.text
    assert f"{COMPACT_ABOVE:,} bytes" in INDEX_FORMAT.text
    assert COMMON_WORDS_ABOVE == APPROXIMATE_ABOVE  # the pages name one number for both


def test_every_format_is_documented_and_no_other() -> None:
    (table,) = FORMATS_PAGE.tables("file name")
    assert set(table.codes()) == FORMATS.keys()


def test_every_status_of_a_citation_is_documented() -> None:
    (table,) = CITATIONS.tables("`status`")
    assert table.codes() == [*CitationStatus]


def test_what_an_answer_means_is_explained_with_the_figures_that_were_measured() -> None:
    measured = {}
    for table in QUALITY.tables("set"):
        if "right of 100 shown as answered" in table.head:
            measured = {row[0]: (row[4], row[6].split(" / ")[0]) for row in table.rows if row[1] == "**read**"}
    sets = ("seeds", "natural", "clapnq-a", "squad-a", "reading-unseen, in scope", "reading-unseen")
    (table,) = ANSWERS.tables("questions")
    assert [tuple(row[1:]) for row in table.rows] == [measured[name] for name in sets]


# The project


def test_every_dependency_is_explained_and_every_extra_listed() -> None:
    extras = PYPROJECT["optional-dependencies"]
    tables = CONTRIBUTING.tables("package")
    for table, requirements in zip(tables, (PYPROJECT["dependencies"], *extras.values()), strict=True):
        packages = {re.split(r"[<>=~!\[; ]", requirement)[0] for requirement in requirements}
        assert set(table.codes()) == packages - {"sourceline"}
    assert [name for name in extras if f"`{name}`" not in CONTRIBUTING.section("Dependencies")] == []
    (installs,) = OPERATIONS.tables("install")
    assert installs.codes() == ["sourceline", *(f"sourceline[{extra}]" for extra in extras)]
    named = {name for page in PAGES.values() for name in re.findall(r"sourceline\[(\w+)\]", page.text)}
    assert named <= extras.keys()


def test_every_module_is_in_the_layout_and_no_other() -> None:
    listed = layout(ARCHITECTURE.blocks[0].text)
    assert [path for path in listed if not (ROOT / path).exists()] == []
    # A folder that is listed without its files stands for them.
    whole = [
        path for path in listed if path.endswith("/") and not any(o != path and o.startswith(path) for o in listed)
    ]
    modules = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py")}
    unlisted = {name for name in modules - set(listed) if not name.startswith(tuple(whole))}
    assert {name for name in unlisted if not name.endswith("/__init__.py")} == set()


def layout(text: str) -> list[str]:
    """Return the paths of a tree that is drawn by indenting."""
    folders: list[str] = []
    paths = []
    for line in text.splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        folders[depth:] = [name]
        paths.append("".join(folders[: depth + 1]))
    return paths


@every_page
def test_every_file_that_is_named_exists(page: Page) -> None:
    texts = [*page.codes, *(block.text for block in page.blocks if block.language == "sh")]
    files = {file for text in texts for file in re.findall(r"[\w./-]+\.(?:py|jsonl|toml|yaml)\b", text)}
    files |= {
        file for text in texts for file in re.findall(r"\b(?:src|tests|seeds|benchmarks|training)/[\w./-]*", text)
    }
    missing = {file for file in files if not any((folder / file).exists() for folder in (ROOT, PACKAGE))}
    # A bare name is that of a file in the folder that the text is about.
    elsewhere = {file for file in missing if "/" not in file and next(PACKAGE.rglob(file), None)}
    assert missing - elsewhere - {"sourceline.toml", "keys.toml", "questions.jsonl", "ledger.jsonl"} == set()


@every_page
def test_every_link_leads_somewhere(page: Page) -> None:
    for link in page.links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / page.name).parent / path).resolve() if path else ROOT / page.name
        assert target.exists(), link
        if anchor:
            assert anchor in Page(target.relative_to(ROOT).as_posix()).anchors, link


def test_the_table_of_contents_has_every_page() -> None:
    linked = {link for link in PAGES["docs/index.md"].links if not link.startswith("../")}
    assert linked == {name.removeprefix("docs/") for name in PAGES if name.startswith("docs/")} - {"index.md"}


def test_the_readme_is_short() -> None:
    assert len(README.text.splitlines()) <= 150


def test_the_changelog_knows_the_version() -> None:
    assert PYPROJECT["version"] == sourceline.__version__
    headings = re.findall(r"^## (.+)$", PAGES["CHANGELOG.md"].text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert headings[1].startswith(f"[{sourceline.__version__}] - ")

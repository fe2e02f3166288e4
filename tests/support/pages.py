"""Reads the project's Markdown pages: blocks, tables, links and headings; and compares what they show with what is."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_SNAPSHOT = r"\d{8}-\d{8}T\d{6}Z"
_SECONDS = r"\d+\.\d+ s\b"
# Numbers in which processors differ a little.
_FIGURE = r"-?\d*\.\d+|\d+(?=%| of 100)"
_VARIABLE = re.compile(f"({_SNAPSHOT})|({_SECONDS})|({_FIGURE})|(…)")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its lines."""

    language: str
    text: str


@dataclass(frozen=True)
class Table:
    """A table: the cells of its head, and those of each row."""

    head: list[str]
    rows: list[list[str]]

    def codes(self, column: int = 0) -> list[str]:
        """Return the first code span of each cell of a column."""
        return [_CODE.findall(row[column])[0] for row in self.rows]


@dataclass(frozen=True)
class Page:
    """A Markdown page; ``name`` is its path in the repository."""

    name: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.name).read_text("utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without its blocks."""
        return _BLOCK.sub("", self.text)

    @cached_property
    def blocks(self) -> list[Block]:
        return [Block(match[1], match[2]) for match in _BLOCK.finditer(self.text)]

    @cached_property
    def codes(self) -> list[str]:
        """The code spans outside blocks, each on one line."""
        joined = re.sub(r"(?<=\S)\n(?=\S)", " ", self.prose)
        return _CODE.findall(joined)

    @cached_property
    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    @cached_property
    def anchors(self) -> set[str]:
        """What links can name: headings, in small letters, with hyphens, without marks."""
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(self.prose)}

    def section(self, heading: str) -> str:
        """Return the text below a heading of the second level, up to the next."""
        match = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", self.text, re.DOTALL | re.MULTILINE)
        assert match, f"{self.name} has no section {heading}"
        return match[1]

    def tables(self, first: str) -> list[Table]:
        """Return the tables whose first column has this head."""
        tables = []
        for lines in re.findall(r"(?:^\|.*\|\n?)+", self.text, re.MULTILINE):
            head, _, *rows = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in lines.splitlines())
            if head[0].strip("| ") == first:
                tables.append(Table(head, rows))
        return tables


def pages() -> list[Page]:
    """Return README and all other pages for readers."""
    names = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "index/README.md"]
    return [Page(name) for name in [*names, *sorted(path.relative_to(ROOT).as_posix() for path in docs())]]


def docs() -> list[Path]:
    return list((ROOT / "docs").rglob("*.md"))


def steps(block: Block) -> Iterator[tuple[str, str]]:
    """Yield each command of a ``console`` block with what is shown below it.

    A backslash at the end of a line continues the command on the next one.
    """
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        match = re.fullmatch(r"((?:[^\n]*\\\n)*[^\n]*)\n(.*)", part, re.DOTALL)
        assert match
        command, shown = match.groups()
        yield command.replace("\\\n", ""), shown


def require_same_text(shown: str, printed: str) -> None:
    """Hold what was printed to what a page shows, line by line.

    ``…`` stands for anything in a line, and alone in a line for any lines. Ids of snapshots and times may be others,
    and figures may differ a little.
    """
    figures: list[float] = []
    pattern = ""
    for line in shown.rstrip("\n").splitlines():
        pattern += "(?:.*\n)*?" if line == "…" else f"{_line_pattern(line, figures)}\n"
    match = re.fullmatch(pattern, printed.rstrip("\n") + "\n" if printed.strip() else "")
    assert match, f"the page shows\n{shown}\nand this was printed:\n{printed}"
    tolerances = [10 if figure >= 2 else 0.1 for figure in figures]
    for figure, tolerance, actual in zip(figures, tolerances, match.groups(), strict=True):
        assert float(actual) == pytest.approx(figure, abs=tolerance), printed


def _line_pattern(line: str, figures: list[float]) -> str:
    pattern, end = "", 0
    for match in _VARIABLE.finditer(line):
        pattern += re.escape(line[end : match.start()])
        snapshot, seconds, figure, _ = match.groups()
        if snapshot:
            pattern += _SNAPSHOT
        elif seconds:
            pattern += _SECONDS
        elif figure:
            figures.append(float(figure))
            pattern += r"(-?\d*\.?\d+)"
        else:
            pattern += ".*"
        end = match.end()
    return pattern + re.escape(line[end:])


def require_same_json(shown: str, printed: str) -> None:
    """Hold printed JSON to what a page shows, as ``require_same_text`` does.

    A key ``"…"`` stands for any other keys, ``"…"`` at the end of a list for any other values, and ``…`` at the end of
    a text for any other characters.
    """
    _require_same_value(json.loads(shown), json.loads(printed), "$")


def _require_same_value(shown: Any, actual: Any, path: str) -> None:
    match shown:
        case dict():
            assert isinstance(actual, dict), path
            named = shown.keys() - {"…"}
            assert named <= actual.keys() if "…" in shown else named == actual.keys(), (path, [*actual])
            for key in named - {"took_ms"}:
                _require_same_value(shown[key], actual[key], f"{path}.{key}")
        case list():
            items = shown[:-1] if shown[-1:] == ["…"] else shown
            assert len(items) == len(actual) or len(items) < len(shown), path
            for number, item in enumerate(items):
                _require_same_value(item, actual[number], f"{path}[{number}]")
        case str() if shown.endswith("…"):
            assert str(actual).startswith(shown[:-1]), (path, actual)
        case str() if re.fullmatch(_SNAPSHOT, shown):
            assert re.fullmatch(_SNAPSHOT, actual), (path, actual)
        case str() if _TIME.match(shown):
            assert _TIME.match(actual), (path, actual)
        case float():
            # The reader's scores reach from -10 to 10, and without VNNI its int8 sums saturate here and there.
            slack = 0.5 if path.endswith(".reader") else 0.1
            assert actual == pytest.approx(shown, rel=0.05, abs=slack), (path, actual)
        case _:
            assert actual == shown, (path, actual)

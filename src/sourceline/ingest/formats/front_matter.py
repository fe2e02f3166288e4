"""Front matter: a YAML mapping between two rules at the top of a file, which says what the file is."""

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sourceline.ingest.dates import find_date
from sourceline.ingest.formats.extraction import as_text
from sourceline.types import Block, BlockKind

if TYPE_CHECKING:
    import yaml

# What is said of a document in these fields can be searched and cited; other fields are settings of programs.
FIELDS = frozenset("title date attendees participants present author authors".split())

# More than this is no front matter, and a YAML parser in Python takes its time.
_MAX_CHARACTERS, _MAX_DEPTH = 20_000, 20
_BETWEEN_RULES = re.compile(rf"---[^\S\n]*\n(?P<inside>(?s:.{{0,{_MAX_CHARACTERS}}}?))^(?:---|\.\.\.)[^\S\n]*$", re.M)
_KEY = r"[^\W\d][\w-]*(?: [\w-]+){0,2}"
_LIKE_YAML = re.compile(rf"(?:{_KEY}:(?:\s.*)?|\s.*|-\s.*|#.*|[\]}}].*|)")
_ITEM = re.compile(r"(?<=\n)[ \t]*-[ \t]+")


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What front matter says. ``end`` is where it ends in the file; ``blocks`` are its lines that can be cited."""

    end: int
    title: str | None = None
    date: datetime.date | None = None
    blocks: tuple[Block, ...] = ()


@dataclass(slots=True)
class _Field:
    key: str
    start: int
    end: int
    values: list[tuple[int, int, str]]  # where each stands, and what it says

    def add(self, event: "yaml.Event", text: str) -> None:
        """Take up a part of the value, which may be a bracket at its end."""
        import yaml

        start, end = event.start_mark.index, event.end_mark.index
        if isinstance(event, yaml.ScalarEvent) and event.value.strip() not in {"", "~", "null"}:
            self.values.append((start, end, event.value))
            self.end = start + len(text[start:end].rstrip())
        elif isinstance(event, yaml.CollectionEndEvent) and end > start:
            self.end = end


def read_front_matter(source: str) -> FrontMatter | None:
    """Return the front matter that ``source`` begins with, None if it has none.

    Text between two rules that is no YAML mapping is text. YAML with mistakes is front matter without fields.

    Args:
        source: the text of a file whose lines end in a line feed.
    """
    import yaml  # slow, and only builds need it

    match = _BETWEEN_RULES.match(source)
    # Behind a rule that is one, a blank line follows.
    if not match or match["inside"][:1] in {"", "\n", " "}:
        return None
    inside, offset = match["inside"], match.start("inside")
    try:
        fields = _fields(inside)
    except yaml.YAMLError:
        return FrontMatter(match.end()) if all(map(_LIKE_YAML.fullmatch, inside.split("\n"))) else None
    if not fields or not all(re.fullmatch(_KEY, field.key) for field in fields) or _is_sentence(fields):
        return None
    title, date, blocks = None, None, []
    for field in fields:
        key = field.key.lower()
        if key not in FIELDS or not field.values:
            continue
        if key == "title":
            first, last, value = field.values[0]
            first, last = _words(inside, first, last)
            title = title or as_text(value)  # which may be written with escapes
            kind = BlockKind.HEADING
        else:
            first, last = field.start, field.end
            date = date or (find_date(field.values[0][2]) if key == "date" else None)
            kind = BlockKind.PARAGRAPH
        gaps = tuple((offset + item.start(), offset + item.end()) for item in _ITEM.finditer(inside, first, last))
        blocks.append(Block(kind, offset + first, offset + last, gaps))
    return FrontMatter(match.end(), title, date, tuple(blocks))


def _is_sentence(fields: list[_Field]) -> bool:
    """Return whether this is a single sentence with a colon in it: "Decided: the fence is put off."."""
    field = fields[0]
    return len(fields) == 1 and field.key.lower() not in FIELDS and any(v.endswith(".") for _, _, v in field.values)


def _fields(text: str) -> list[_Field]:
    """Return the fields of a YAML mapping, none if it is something else.

    Raises:
        yaml.YAMLError: there is a mistake in it.
    """
    import yaml

    fields: list[_Field] = []
    is_key = True  # whether a key comes next
    for depth, event in _nodes(text):
        start, end = event.start_mark.index, event.end_mark.index
        if depth == 0 and isinstance(event, yaml.NodeEvent):
            if not isinstance(event, yaml.MappingStartEvent):
                return []
        elif depth == 1 and is_key and isinstance(event, yaml.NodeEvent):
            if not isinstance(event, yaml.ScalarEvent):
                return []
            fields.append(_Field(event.value, start, end, []))
            is_key = False
        elif depth > 0:
            is_key = is_key or (depth == 1 and not isinstance(event, yaml.CollectionStartEvent))
            fields[-1].add(event, text)
    return fields


def _nodes(text: str) -> "Iterator[tuple[int, yaml.Event]]":
    """Yield the nodes of a YAML document and the ends of its collections, with the number of collections around each.

    Events are read, not values: nothing is built, however deep or often a document nests or repeats itself.
    """
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if isinstance(event, (yaml.NodeEvent, yaml.CollectionEndEvent)):
            yield depth, event
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if depth > _MAX_DEPTH:
            raise yaml.YAMLError("nested too deeply")


def _words(text: str, start: int, end: int) -> tuple[int, int]:
    """Return where the words of a value stand, without quotation marks or the sign of a block of lines."""
    if text[start] in "\"'":
        return start + 1, end - 1
    if text[start] in "|>":
        start = text.index("\n", start)
    stretch = text[start:end]
    return start + len(stretch) - len(stretch.lstrip()), start + len(stretch.rstrip())

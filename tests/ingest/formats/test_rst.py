import datetime

import pytest
from hypothesis import given, settings

from sourceline.ingest.formats import rst
from sourceline.types import BlockKind
from tests.support.texts import texts


def read(text: str) -> list[str]:
    """Return the text of the blocks, a heading with a hash in front."""
    sign = {BlockKind.HEADING: "# ", BlockKind.PARAGRAPH: ""}
    return [sign[block.kind] + text[block.start : block.end] for block in rst.parse(text).blocks]


CASES = {
    "titles": ("=====\nBoard\n=====\n\nCrane\n-----\nText.\n\nRope\n~~~~\n", ["# Board", "# Crane", "Text.", "# Rope"]),
    "transition": ("One.\n\n----\n\nTwo.", ["One.", "Two."]),
    "wrapped lines": ("The crane is\nred. So is\nthe rope.\n\nTwo.", ["The crane is\nred. So is\nthe rope.", "Two."]),
    "lists": ("- one\n- two\n  goes on\n\n#. three\n2. four\n", ["one", "two\n  goes on", "three", "four"]),
    "initials": ("A. Smith opened\nthe meeting.", ["A. Smith opened\nthe meeting."]),
    "definition": ("Crane\n  The repair was approved.", ["Crane\n  The repair was approved."]),
    "comment": (".. secret\n   more of it\n\n   and more\n\nText.", ["Text."]),
    "empty comment": ("..\n   secret\n\nText.", ["Text."]),
    "target": (".. _crane: https://x.org\n.. _top:\n\nText.", ["Text."]),
    "note": (
        ".. note::\n   :class: x\n\n   The crane\n   is closed.\n\n   Ask Bo.",
        ["The crane\n   is closed.", "Ask Bo."],
    ),
    "note in one line": (".. warning:: Do not\n   lift.\n\nText.", ["Do not\n   lift.", "Text."]),
    "image": (".. image:: crane.png\n   :alt: secret\n\nText.", ["Text."]),
    "figure": (".. figure:: crane.png\n   :alt: secret\n\n   The crane.\n", ["The crane."]),
    "substitution": (".. |c| replace:: secret\n\nText.", ["Text."]),
    "footnote": ("Text. [1]_\n\n.. [1] Children pay half.\n", ["Text. [1]_", "[1] Children pay half."]),
    "footnote below its mark": (
        "Text. [1]_\n\n.. [1]\n   Children pay\n   half.\n\nText.",
        ["Text. [1]_", "[1]\n   Children pay\n   half.", "Text."],
    ),
    "empty comment above a quotation": (
        "- one\n\n..\n\n   The quay is wet.\n\nText.",
        ["one", "The quay is wet.", "Text."],
    ),
    "code": (".. code-block:: python\n   :linenos:\n\n   a = 1\n\n   b = 2\n\nText.", ["a = 1", "b = 2", "Text."]),
    "literal block": ("Run it::\n\n  a\n\n    b\n\nText.", ["Run it::", "a", "b", "Text."]),
    "lines": ("| One\n| two\n", ["One", "two"]),
    "fields": (":Version: 3\n:Author: Ilse Kern\n:Status: draft\n   secret\n\nText.", [":Author: Ilse Kern", "Text."]),
    "grid table": (
        "+----+----+\n| a  | b  |\n+====+====+\n| c  | d  |\n+----+----+\n",
        ["| c  | d  |"],
    ),
    "simple table": ("==  ==\na   b\n==  ==\nc   d\ne   f\n==  ==\n", ["c   d", "e   f"]),
    "simple table without head": ("==  ==\na   b\nc   d\n==  ==\n\nText.", ["a   b", "c   d", "Text."]),
    "nothing": ("\n \n\t\n", []),
}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_blocks_are_what_is_said_without_markers_comments_and_targets(text: str, expected: list[str], end: str) -> None:
    assert read(text.replace("\n", end)) == [block.replace("\n", end) for block in expected]


def test_fields_say_title_and_date() -> None:
    parsed = rst.parse(":title: Harbour board\n:date: 4 May 2026\n\nText.\n")
    assert (parsed.title, parsed.date) == ("Harbour board", datetime.date(2026, 5, 4))
    assert [block.kind for block in parsed.blocks] == [BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.PARAGRAPH]


@pytest.mark.parametrize("name", ["grid table", "simple table"])
def test_rows_know_the_names_of_their_columns(name: str) -> None:
    assert {block.columns for block in rst.parse(CASES[name][0]).blocks} == {("a", "b")}


def test_the_target_of_a_link_is_a_gap() -> None:
    text = "See `the offer <https://x.org/a.b>`_ of May."
    (block,) = rst.parse(text).blocks
    assert [text[start:end] for start, end in block.gaps] == [" <https://x.org/a.b>"]


@settings(deadline=None)
@given(texts)
def test_blocks_are_in_order_do_not_overlap_and_hold_text(text: str) -> None:
    blocks = rst.parse(text).blocks
    edges = [0, *(edge for block in blocks for edge in (block.start, block.end)), len(text)]
    assert edges == sorted(edges)
    assert all(text[block.start : block.end].strip() for block in blocks)

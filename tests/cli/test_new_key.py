import hashlib
import re
import tomllib

import pytest

from tests.support.commands import Command


@pytest.mark.parametrize(
    ("options", "entry"),
    [
        ([], {"scopes": ["ask", "read"]}),
        (["--scopes", "manage", "--rate-limit", "5"], {"scopes": ["manage"], "rate_limit": 5}),
        (["--scopes", ""], {"scopes": []}),
    ],
)
def test_the_key_is_shown_once_and_its_line_can_go_into_the_file(
    sourceline: Command, options: list[str], entry: dict[str, object]
) -> None:
    outcome = sourceline("new-key", "wiki", *options)
    shown = re.fullmatch(r"The key of wiki, shown only now: (sl_[\w-]{43})\n", outcome.err)
    assert shown
    assert tomllib.loads(outcome.out) == {"wiki": {"sha256": hashlib.sha256(shown[1].encode()).hexdigest()} | entry}
    assert (outcome.code, shown[1] in outcome.out) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a b"], "a name has up to 64 letters, digits, hyphens and underscores"),
        (["a\n"], "a name has up to 64 letters"),
        (["wiki", "--scopes", "ask,write"], "scopes are ask, read, manage"),
        (["wiki", "--rate-limit", "-1"], "should be greater than or equal to 0"),
    ],
)
def test_what_the_file_would_refuse_is_no_key(sourceline: Command, arguments: list[str], reason: str) -> None:
    outcome = sourceline("new-key", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert reason in " ".join(outcome.err.replace("│", " ").split())

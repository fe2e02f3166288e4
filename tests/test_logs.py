import json
import logging
import sys
from collections.abc import Iterator

import pytest

from sourceline.logs import JsonFormatter, LogFormat, PrintableFormatter, log_to_stderr

HOSTILE = "\x1b[2J\x1b]0;pwned\x07 \x9b31m\r\x08 \u202e\u2066"
HARMLESS = " [2J ]0;pwned   31m     "


def record_of(message: str, *arguments: object) -> logging.LogRecord:
    record = logging.LogRecord("sourceline.server", logging.ERROR, "a.py", 1, message, arguments, None)
    record.created, record.msecs, record.process = 1_764_240_393.25, 250.0, 17
    return record


def test_the_log_keeps_its_lines_and_nothing_in_it_is_obeyed_by_the_terminal() -> None:
    formatter = PrintableFormatter("sourceline: %(message)s")
    assert formatter.format(record_of("no %s\nhere", HOSTILE)) == f"sourceline: no {HARMLESS}\nhere"


def test_a_line_of_json_holds_everything_and_no_control_character() -> None:
    line = JsonFormatter().format(record_of("no %s\nhere", HOSTILE))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {
        "time": "2025-11-27T10:46:33.250Z",
        "level": "error",
        "logger": "sourceline.server",
        "process": 17,
        "message": f"no {HOSTILE}\nhere",
    }


def test_a_line_of_json_names_the_trace_of_a_request() -> None:
    record = record_of("no")
    vars(record)["trace_id"] = "0af7651916cd43dd8448eb211c80319c"  # as telemetry adds it
    assert json.loads(JsonFormatter().format(record))["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_a_line_of_json_holds_the_traceback() -> None:
    record = record_of("no")
    try:
        raise ValueError("why")
    except ValueError:
        record.exc_info = sys.exc_info()
    line = json.loads(JsonFormatter().format(record))
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: why")


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it is afterwards, too."""
    root, own = logging.getLogger(), logging.getLogger("sourceline")
    before = root.handlers[:], root.level, own.level
    yield root
    root.handlers[:], level, own_level = before
    root.setLevel(level)
    own.setLevel(own_level)


@pytest.mark.parametrize(
    ("log_format", "line"),
    [
        (LogFormat.TEXT, "2025-11-27T10:46:33.250Z ERROR sourceline.server: no\n"),
        (
            LogFormat.JSON,
            '{"time": "2025-11-27T10:46:33.250Z", "level": "error", "logger": "sourceline.server", "process": 17, '
            '"message": "no"}\n',
        ),
    ],
)
def test_a_server_says_when(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], log_format: LogFormat, line: str
) -> None:
    log_to_stderr(log_format)
    root.handle(record_of("no"))
    assert capsys.readouterr().err == line


def test_a_command_does_not(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    root.handlers.clear()
    log_to_stderr()
    root.handle(record_of("no"))
    assert capsys.readouterr().err == "sourceline: no\n"

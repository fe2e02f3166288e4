"""The log, on standard error."""

import json
import logging
import time
from collections.abc import Mapping
from contextvars import ContextVar
from enum import StrEnum
from types import MappingProxyType

from sourceline.text import printable

# Of the request that is being answered: its id, the name of its API key, the id of its trace. Each line that is logged
# meanwhile has them.
request_fields: ContextVar[Mapping[str, str]] = ContextVar("request_fields", default=MappingProxyType({}))


class LogFormat(StrEnum):
    """How a server writes its log: lines for people, or one JSON object a line for what collects logs."""

    TEXT = "text"
    JSON = "json"


class PrintableFormatter(logging.Formatter):
    """Log records without control characters: they may contain file names. Times are in UTC."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of one record."""
        record.request = "".join(f" {name}={value}" for name, value in request_fields.get().items())
        return printable(super().format(record))


class JsonFormatter(PrintableFormatter):
    """Log records as JSON, each on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of one record."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            **request_fields.get(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr(log_format: LogFormat | None = None) -> None:
    """Show Sourceline's log on standard error, and other libraries' warnings.

    ``log_format`` is that of a server, whose lines say when and where. None is for a command that a person waits for.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(log_format))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=log_format is not None)
    logging.getLogger("sourceline").setLevel(logging.INFO)


def _formatter(log_format: LogFormat | None) -> logging.Formatter:
    if log_format is LogFormat.JSON:
        return JsonFormatter()
    served = "%(asctime)s %(levelname)s %(name)s%(request)s: %(message)s"
    return PrintableFormatter(served if log_format else "sourceline: %(message)s")

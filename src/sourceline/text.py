"""Text and the log as a terminal may show them: what stands in a document or in a file's name cannot command it."""

import logging

# Line breaks, and what joins and parts letters in Persian, Hindi and emoji.
_KEPT = "\n\u200c\u200d"


def log_to_stderr() -> None:
    """Show Sourceline's log on standard error, and of others' what is a warning."""
    log = logging.StreamHandler()
    log.setFormatter(LogFormat("sourceline: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[log])
    logging.getLogger("sourceline").setLevel(logging.INFO)


class LogFormat(logging.Formatter):
    """The log as text: the names of files may stand in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of one record."""
        return printable(super().format(record))


def one_line(text: str) -> str:
    """Return the text as one line without control characters, for names and messages."""
    return printable(text).replace("\n", " ")


def printable(text: str) -> str:
    """Return the text without control characters, which a terminal would obey. Each becomes one blank."""
    return "".join(character if character.isprintable() or character in _KEPT else " " for character in text)

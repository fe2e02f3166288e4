"""Where an index is: a folder, or the address of a PostgreSQL database."""

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from urllib.parse import unquote

_SCHEMES = ("postgresql://", "postgres://")
# Stricter than libpq: it takes what stands behind an @ or / in a password for a host, and shows it in its errors.
_ADDRESS = re.compile(
    r"(?P<start>postgres(?:ql)?://)(?:(?P<user>[^:@/?]*)(?::[^:@/?]*)?@)?"
    r"(?P<rest>[^@/?]*(?:/[^@/?]*)?)(?:\?(?P<query>[^@]*))?"
)
_SECRET = re.compile("pass|secret|scram", re.IGNORECASE)  # in the names of parameters


@dataclass(frozen=True)
class PostgresAddress:
    """The address of a database, as libpq takes it. It is shown without its password.

    >>> address = PostgresAddress("postgresql://ann:secret@db.example.org/minutes?sslmode=require")
    >>> str(address)
    'postgresql://ann@db.example.org/minutes?sslmode=require'
    """

    value: str = field(repr=False)

    def __str__(self) -> str:
        """Return the address without its password; of one that cannot be read, no more than that it is one."""
        parts = _ADDRESS.fullmatch(self.value)
        if parts is None:
            return "postgresql://…"
        user = f"{parts['user']}@" if parts["user"] is not None else ""
        pairs = [pair for pair in (parts["query"] or "").split("&") if not _SECRET.search(unquote(pair.split("=")[0]))]
        return parts["start"] + user + parts["rest"] + ("?" + "&".join(pairs) if any(pairs) else "")

    @property
    def is_well_formed(self) -> bool:
        """Whether user, password, hosts and database can be told apart."""
        return _ADDRESS.fullmatch(self.value) is not None


def index_address(value: "str | PathLike[str] | PostgresAddress") -> Path | PostgresAddress:
    """Return an address for what a person has written."""
    if isinstance(value, PostgresAddress):
        return value
    text = os.fspath(value)
    return PostgresAddress(text) if text.startswith(_SCHEMES) else Path(text)


def local_folder(address: Path | PostgresAddress) -> Path:
    """Return the folder of this machine for exported models, locks and states: of an index in files, its own.

    Of a database it is one below ``XDG_CACHE_HOME``, that of this user, or the one for temporary files.
    """
    if isinstance(address, Path):
        return address
    name = f"sourceline-{hashlib.sha256(str(address).encode()).hexdigest()[:16]}"
    for parent in (os.environ.get("XDG_CACHE_HOME"), Path.home() / ".cache"):
        if parent and os.access(_first_existing(Path(parent)), os.W_OK):
            return Path(parent) / name
    return Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"


def _first_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())

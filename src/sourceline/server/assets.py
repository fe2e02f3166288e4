"""The page's files, read once, and the headers that keep a browser from running anything else."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

FOLDER = "static"
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
# Nothing but the files of this server, and no text that becomes markup or script, whatever a document holds.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # a question stands in the address
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page; ``tag`` is its ETag."""

    content: bytes
    media_type: str
    tag: str


def load_assets() -> dict[str, Asset]:
    """Return the files by name."""
    folder = resources.files("sourceline.server") / FOLDER
    return {file.name: _asset(file.name, file.read_bytes()) for file in folder.iterdir()}


def _asset(name: str, content: bytes) -> Asset:
    media_type = f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8"
    return Asset(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:16]}"')

"""API keys: whose they are, what they may do, and how often. The server knows their hashes alone."""

import fcntl
import hashlib
import hmac
import logging
import math
import os
import secrets
import struct
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from sourceline.config import MAX_RATE_LIMIT, Settings
from sourceline.durable import open_regular
from sourceline.errors import SettingsError

log = logging.getLogger(__name__)

# Programs that look for leaked secrets know a key by how it begins.
PREFIX = "sl_"
KEY_BYTES = 32
SETTING_NAME = "api_key"  # of the key in the setting, which has none of its own
NAME_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"  # what TOML takes for a key without quotes
AS_WRITTEN = 'a key is written as NAME = {sha256 = "…", scopes = ["…"]}: see `sourceline new-key`'
RELOAD_SECONDS = 1
WINDOW_SECONDS = 60


class KeyScope(StrEnum):
    """What a key may be used for: to ask and verify, to read documents and citations, to change what is served."""

    ASK = "ask"
    READ = "read"
    MANAGE = "manage"


# Of the paths that begin so, the first that fits decides. What is not here needs a key, and no scope.
_SCOPES = (
    ("/v1/ask", KeyScope.ASK),
    ("/v1/verify", KeyScope.ASK),
    ("/retrieval", KeyScope.ASK),
    ("/v1/index/rebuild", KeyScope.MANAGE),
    ("/v1/index", KeyScope.READ),
    ("/v1/documents", KeyScope.READ),
    ("/v1/speakers", KeyScope.READ),
    ("/v1/citations", KeyScope.READ),
)


def required_scope(method: str, path: str) -> KeyScope | None:
    """Return the scope that a request needs, None if every key will do."""
    if method in ("PUT", "DELETE") and path.startswith("/v1/documents"):
        return KeyScope.MANAGE
    return next((scope for prefix, scope in _SCOPES if path.startswith(prefix)), None)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key. ``digest`` is the SHA-256 of its characters, ``rate_limit`` in requests a minute; 0 is no limit."""

    name: str
    digest: bytes
    scopes: frozenset[KeyScope]
    rate_limit: int


def has_scope(scope: Mapping[str, Any], needed: KeyScope) -> bool:
    """Return whether a request may do something, by its ASGI scope. Without keys, everybody may do everything."""
    key: ApiKey | None = scope.get("api_key")
    return key is None or needed in key.scopes


def lacks_scope(scope: str) -> str:
    """Return what is told to those whose key may not do what they ask for."""
    return f"this key lacks the scope {scope}"


# The file


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]
    scopes: frozenset[KeyScope]
    rate_limit: int | None = Field(None, ge=0, le=MAX_RATE_LIMIT, strict=True)


_FILE = TypeAdapter(dict[Annotated[str, StringConstraints(pattern=NAME_PATTERN)], _Entry])


def new_key(name: str, scopes: Iterable[KeyScope], rate_limit: int | None = None) -> tuple[str, str]:
    """Return a new key, and the line of the file that lets it in."""
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    limit = "" if rate_limit is None else f", rate_limit = {rate_limit}"
    return key, f'{name} = {{sha256 = "{_hash(key.encode()).hex()}", scopes = [{listed}]{limit}}}'


def read_keys(settings: Settings) -> tuple[ApiKey, ...]:
    """Return the keys that the settings let in.

    Raises:
        SettingsError: the file cannot be read, or says something that cannot be used.
    """
    keys = []
    if settings.api_key:
        digest = _hash(settings.api_key.encode())
        keys.append(ApiKey(SETTING_NAME, digest, frozenset(KeyScope), settings.rate_limit))
    if settings.api_keys:
        for name, entry in _read_file(settings.api_keys).items():
            limit = settings.rate_limit if entry.rate_limit is None else entry.rate_limit
            keys.append(ApiKey(name, bytes.fromhex(entry.sha256), entry.scopes, limit))
    names, digests = set[str](), dict[bytes, str]()
    for key in keys:
        if key.name in names:
            raise _unusable(settings.api_keys, f"a key cannot be named {key.name} while the setting api_key is set")
        if key.digest in digests:
            raise _unusable(settings.api_keys, f"{digests[key.digest]} and {key.name} are the same key")
        names.add(key.name)
        digests[key.digest] = key.name
    return tuple(keys)


def warn_if_open(path: Path) -> None:
    """Warn of a file of keys that others may read or write. Mounted secrets are often so: it is no error."""
    if path.stat().st_mode & 0o007:
        log.warning("%s can be read or written by every user of this machine: `chmod o= %s`", path, path)


def _read_file(path: Path) -> dict[str, _Entry]:
    try:
        with open_regular(path) as file:  # each request would wait for a pipe
            return _FILE.validate_python(tomllib.loads(file.read().decode("utf-8-sig")))
    except OSError as error:
        raise _unusable(path, f"it cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"] if part != "[key]")
        reason = AS_WRITTEN if first["type"] == "model_type" else first["msg"]
        raise _unusable(path, f"{place}: {reason}") from error
    except (ValueError, RecursionError) as error:  # what tomllib raises; a name that comes twice is no TOML
        raise _unusable(path, f"it is not TOML, or a name comes twice: {error}") from error


def _unusable(path: Path | None, reason: str) -> SettingsError:
    return SettingsError(f"setting api_keys: {path}: {reason}")


def _hash(key: bytes) -> bytes:
    """Return the hash of a key. A slow one is for passwords, which can be guessed: a key has 256 random bits."""
    return hashlib.sha256(key).digest()


class Keys:
    """The keys of a server. Changes of the file are noticed at the next request, a second later at most."""

    def __init__(self, settings: Settings) -> None:
        """Read the keys.

        Raises:
            SettingsError: they cannot be used.
        """
        self._settings = settings
        self._stamp, self._look_again = self._file_stamp(), 0.0
        self._keys = read_keys(settings)

    def find(self, secret: bytes) -> ApiKey | None:
        """Return the key that somebody has sent, if there is one. All are compared, each in constant time."""
        self._reload()
        digest = _hash(secret)
        matches = [key for key in self._keys if hmac.compare_digest(key.digest, digest)]
        return matches[0] if matches else None

    def _reload(self) -> None:
        if time.monotonic() < self._look_again:
            return
        self._look_again = time.monotonic() + RELOAD_SECONDS
        stamp = self._file_stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._settings)
            log.info("the API keys were read again: there are %d", len(self._keys))
        except SettingsError as error:
            log.error("%s; the keys before it stay valid", error)

    def _file_stamp(self) -> tuple[int, int, int] | None:
        """Return what is different once the file was written; None if there is none."""
        if self._settings.api_keys is None:
            return None
        try:
            status = self._settings.api_keys.stat()
        except OSError:  # reading it says why
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns


# Rate limits


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a request is within the limit of its key, how many more are, and in how many seconds one more will be."""

    limit: int
    allowed: bool
    remaining: int
    wait: int

    @property
    def headers(self) -> dict[str, str]:
        """The fields of draft-ietf-httpapi-ratelimit-headers, in the form that it has since its version 8."""
        return {
            "RateLimit-Policy": f'"key";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"key";r={self.remaining};t={self.wait}',
        }


class RateLimiter:
    """A token bucket for each key: it holds as many requests as a minute has, and fills as fast.

    Of several workers, all use the same buckets, in files of a folder that they share.
    """

    _BUCKET = struct.Struct("dd")  # how many requests it holds, and as of when

    def __init__(self, folder: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock  # the same in all processes
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: ApiKey) -> Allowance:
        """Take a request of a key out of its bucket, if there is one in it."""
        if self._folder is None:
            self._buckets[key.name], allowance = self._take(self._buckets.get(key.name), key.rate_limit)
            return allowance
        descriptor = os.open(self._folder / f"{key.name}.limit", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
            stored = os.pread(descriptor, self._BUCKET.size, 0)
            bucket = self._BUCKET.unpack(stored) if len(stored) == self._BUCKET.size else None
            bucket, allowance = self._take(bucket, key.rate_limit)
            os.pwrite(descriptor, self._BUCKET.pack(*bucket), 0)
        finally:
            os.close(descriptor)  # which frees the lock, as it does when a worker is killed
        return allowance

    def _take(self, bucket: tuple[float, float] | None, limit: int) -> tuple[tuple[float, float], Allowance]:
        now = self._clock()
        held, since = bucket or (limit, now)
        held = min(limit, held + (now - since) * limit / WINDOW_SECONDS)
        allowed = held >= 1
        if allowed:
            held -= 1
        remaining = math.floor(held)
        wait = math.ceil((remaining + 1 - held) * WINDOW_SECONDS / limit)
        return (held, now), Allowance(limit, allowed, remaining, wait)

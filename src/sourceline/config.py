"""The settings, from the command line, the environment and ``sourceline.toml``. Tests hold CLI and docs to them."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from sourceline.address import PostgresAddress, index_address, local_folder
from sourceline.errors import SettingsError
from sourceline.logs import LogFormat
from sourceline.types import (
    DEFAULT_MODEL,
    DEFAULT_RERANKER,
    DEFAULT_THRESHOLD,
    MAX_DOCUMENT_BYTES,
    Backend,
)

FILE = Path("sourceline.toml")
MAX_RATE_LIMIT = 1_000_000_000  # requests a minute; buckets are floats, which an integer can be too large for


_URL = TypeAdapter(HttpUrl)
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d+)?")


def _require_origins(value: str) -> str:
    if not all(_ORIGIN.fullmatch(origin) for origin in value.split()):
        raise PydanticCustomError(
            "origin", "an origin is written as https://wiki.example.org, in small letters and without a path"
        )
    return value


def _require_web_address(value: str) -> str:
    if value:
        address = urlsplit(value)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise PydanticCustomError("address", "the address of a collector is written as http://127.0.0.1:4318")
    return value


def _require_public_url(value: str) -> str:
    """Return the address without a slash at its end, which the addresses of the page bring along."""
    if not value:
        return value
    try:
        url = _URL.validate_python(value)
    except ValidationError:
        url = None
    if url is None or url.username or url.password or url.query is not None or url.fragment is not None:
        raise PydanticCustomError("address", "the address of the page is written as https://minutes.example.org")
    return str(url).rstrip("/")


class Settings(BaseSettings):
    """Command line over environment (``SOURCELINE_…``) over ``sourceline.toml`` over these defaults."""

    model_config = SettingsConfigDict(env_prefix="SOURCELINE_", extra="forbid", frozen=True)

    documents: Path = Field(Path("seeds"), description="The folder of documents.")
    index: Annotated[Path | PostgresAddress, BeforeValidator(index_address)] = Field(
        Path("index"), description="The folder of the index, or the address of a database: postgresql://user@host/name."
    )
    model: str = Field(DEFAULT_MODEL, description="A sentence-transformers model: a name or a folder.")
    backend: Backend = Field(Backend.ONNX, description="onnx, or torch: sentence-transformers itself, as for a GPU.")
    reranker: str = Field(
        DEFAULT_RERANKER, description="What reads: reader, none, or a sentence-transformers CrossEncoder."
    )
    threshold: float = Field(
        DEFAULT_THRESHOLD, ge=0, le=1, description="The least confidence with which a question counts as answered."
    )
    host: str = Field("127.0.0.1", description="The address to listen on; any but loopback needs an API key.")
    port: int = Field(8080, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=64, description="How many processes answer, each with an encoder of its own.")
    capacity: int = Field(64, ge=1, description="How many questions a process takes in at once; more are answered 503.")
    api_key: str = Field("", description="If set, requests need the header Authorization: Bearer KEY; it may do all.")
    api_keys: Path | None = Field(None, description="A file of API keys, each with a name and scopes, as hashes.")
    rate_limit: int = Field(
        0, ge=0, le=MAX_RATE_LIMIT, description="Requests a minute for each API key; 0 is no limit."
    )
    allowed_origins: Annotated[str, AfterValidator(_require_origins)] = Field(
        "", description="Web pages of these origins, with blanks in between, may use the API from a browser."
    )
    public_url: Annotated[str, AfterValidator(_require_public_url)] = Field(
        "", description="The address under which people reach the page, for the links that are copied there."
    )
    log_format: LogFormat = Field(LogFormat.TEXT, description="How the server writes its log: text or json.")
    telemetry_endpoint: Annotated[str, AfterValidator(_require_web_address)] = Field(
        "", description="An OpenTelemetry collector, to which traces are sent over HTTP; needs the extra telemetry."
    )
    watch: bool = Field(False, description="Whether the server rebuilds the index when documents change.")
    allow_edits: bool = Field(False, description="Whether documents may be written over HTTP; needs an API key.")
    max_document_bytes: int = Field(MAX_DOCUMENT_BYTES, ge=1, description="A larger file is skipped, or refused.")
    follow_links: bool = Field(False, description="Whether links that lead out of the documents folder are read.")
    partitions: int = Field(
        1, ge=1, le=1024, description="Into how many parts the tables of a database are divided when they are made."
    )
    scrub: float = Field(24, ge=0, description="Hours between rounds that read the index again; 0 is never.")

    @property
    def local_folder(self) -> Path:
        """The folder of this machine for exported models, locks and states: of an index in files, its own."""
        return local_folder(self.index)

    @property
    def needs_key(self) -> bool:
        """Whether requests need an API key."""
        return bool(self.api_key or self.api_keys)

    @property
    def edits_allowed(self) -> bool:
        """Whether documents may be written over HTTP: not without a key, whatever ``allow_edits`` says."""
        return self.allow_edits and self.needs_key

    @property
    def origins(self) -> list[str]:
        """What ``allowed_origins`` lists."""
        return self.allowed_origins.split()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Say which source comes before which."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=FILE)


def load_settings(**overrides: object) -> Settings:
    """Return the settings; ``overrides`` that are not None come first.

    Raises:
        SettingsError: a value that cannot be used, or a name in the file that is no setting.
    """
    try:
        values: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise SettingsError(f"setting {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except ValueError as error:  # what tomllib raises
        raise SettingsError(f"{FILE} is not TOML: {error}") from error


def is_loopback(host: str) -> bool:
    """Return whether a host, by name or address, is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

import os
from pathlib import Path

import pytest

from sourceline.config import Settings, load_settings
from sourceline.errors import SettingsError
from sourceline.logs import LogFormat
from sourceline.types import DEFAULT_MODEL, DEFAULT_RERANKER, Backend

DEFAULTS = {
    "documents": Path("seeds"),
    "index": Path("index"),
    "model": DEFAULT_MODEL,
    "backend": Backend.ONNX,
    "reranker": DEFAULT_RERANKER,
    "threshold": 0.5,
    "host": "127.0.0.1",
    "port": 8080,
    "workers": 1,
    "capacity": 64,
    "api_key": "",
    "api_keys": None,
    "rate_limit": 0,
    "allowed_origins": "",
    "public_url": "",
    "log_format": LogFormat.TEXT,
    "telemetry_endpoint": "",
    "watch": False,
    "allow_edits": False,
    "max_document_bytes": 100_000_000,
    "follow_links": False,
    "partitions": 1,
    "scrub": 24,
}
# For each setting: as the command line gives it, as the environment and the file write it.
SOURCES: dict[str, tuple[object, str, str]] = {
    "documents": (Path("a"), "b", "'c'"),
    "index": (Path("a"), "b", "'c'"),
    "model": ("a", "b", "'c'"),
    "backend": (Backend.ONNX, "torch", "'onnx'"),
    "reranker": ("none", "b", "'c'"),
    "threshold": (0.1, "0.2", "0.3"),
    "host": ("::1", "localhost", "'127.0.0.2'"),
    "port": (1, "2", "3"),
    "workers": (2, "3", "4"),
    "capacity": (1, "2", "3"),
    "api_key": ("a", "b", "'c'"),
    "api_keys": (Path("a"), "b", "'c'"),
    "rate_limit": (1, "2", "3"),
    "allowed_origins": ("http://a", "https://b:1 https://c", "'http://[::1]:80'"),
    "public_url": ("http://a", "https://b:1/minutes", "'http://[::1]:81'"),
    "log_format": (LogFormat.TEXT, "json", "'text'"),
    "telemetry_endpoint": ("http://a:4318", "https://b/v1/traces", "'http://[::1]:80'"),
    "watch": (True, "True", "'True'"),
    "allow_edits": (True, "True", "'True'"),
    "max_document_bytes": (1, "2", "3"),
    "follow_links": (True, "True", "'True'"),
    "partitions": (2, "4", "8"),
    "scrub": (1.5, "2.5", "0.5"),
}

NO_ORIGINS = [
    "*",
    "null",
    "example.org",
    "https://example.org/",
    "https://Example.org",
    "ftp://a",
    "https://a,https://b",
]
NO_PUBLIC_URLS = [
    "minutes.example.org",
    "ftp://a",
    "https://",
    "https://a:99999",
    "https://a/?q=1",
    "https://a#b",
    "https://me:pw@a",
]
PUBLIC_URL = "setting public_url: the address of the page is written as https://minutes.example.org"
COLLECTOR = "setting telemetry_endpoint: the address of a collector is written as http://127.0.0.1:4318"
ORIGIN = (
    "setting allowed_origins: an origin is written as https://wiki.example.org, in small letters and without a path"
)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in os.environ:
        if name.startswith("SOURCELINE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_defaults_are_those_of_the_contract() -> None:
    assert load_settings().model_dump() == DEFAULTS


def test_what_the_command_line_does_not_give_is_no_setting() -> None:
    assert load_settings(documents=None, port=None).model_dump() == DEFAULTS


@pytest.mark.parametrize("name", SOURCES)
def test_command_line_over_environment_over_file_over_default(
    monkeypatch: pytest.MonkeyPatch, folder: Path, name: str
) -> None:
    argument, environment, file = SOURCES[name]

    def value(**command_line: object) -> object:
        return getattr(load_settings(**command_line), name)

    (folder / "sourceline.toml").write_text(f"{name} = {file}\n")
    assert str(value()) == file.strip("'")
    monkeypatch.setenv(f"SOURCELINE_{name.upper()}", environment)
    assert str(value()) == environment
    assert value(**{name: argument}) == argument
    monkeypatch.delenv(f"SOURCELINE_{name.upper()}")
    assert value(**{name: argument}) == argument
    (folder / "sourceline.toml").unlink()
    assert value() == DEFAULTS[name]


def test_each_setting_comes_from_its_own_source(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "sourceline.toml").write_text("documents = 'of the file'\nindex = 'of the file'\nport = 1\n")
    monkeypatch.setenv("SOURCELINE_INDEX", "of the environment")
    monkeypatch.setenv("SOURCELINE_PORT", "2")
    assert load_settings(port=3).model_dump() == DEFAULTS | {
        "documents": Path("of the file"),
        "index": Path("of the environment"),
        "port": 3,
    }


def test_every_setting_is_in_the_tables_of_these_tests() -> None:
    assert set(SOURCES) == set(DEFAULTS) == set(Settings.model_fields)
    assert all(field.description for field in Settings.model_fields.values())


def test_other_names_of_the_environment_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCELINE_COLOUR", "red")
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("DOCUMENTS", "elsewhere")
    assert load_settings().model_dump() == DEFAULTS


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("colour = 'red'", "setting colour: Extra inputs are not permitted"),
        ("port = -1", "setting port: Input should be greater than or equal to 0"),
        ("port = 65536", "setting port: Input should be less than or equal to 65535"),
        ("workers = 0", "setting workers: Input should be greater than or equal to 1"),
        ("workers = 65", "setting workers: Input should be less than or equal to 64"),
        ("rate_limit = -1", "setting rate_limit: Input should be greater than or equal to 0"),
        ("rate_limit = 1000000001", "setting rate_limit: Input should be less than or equal to 1000000000"),
        ("capacity = 0", "setting capacity: Input should be greater than or equal to 1"),
        ("port = 80.5", "setting port: Input should be a valid integer, got a number with a fractional part"),
        ("max_document_bytes = 0", "setting max_document_bytes: Input should be greater than or equal to 1"),
        ("watch = 'maybe'", "setting watch: Input should be a valid boolean, unable to interpret input"),
        ("threshold = 1.5", "setting threshold: Input should be less than or equal to 1"),
        ("threshold = nan", "setting threshold: Input should be less than or equal to 1"),
        ("model = 5", "setting model: Input should be a valid string"),
        ("reranker = false", "setting reranker: Input should be a valid string"),
        ("backend = 'other'", "setting backend: Input should be 'onnx' or 'torch'"),
        ("log_format = 'xml'", "setting log_format: Input should be 'text' or 'json'"),
        *((f"allowed_origins = '{origin}'", ORIGIN) for origin in NO_ORIGINS),
        *((f"public_url = '{url}'", PUBLIC_URL) for url in NO_PUBLIC_URLS),
        ("telemetry_endpoint = 'collector:4318'", COLLECTOR),
        ("telemetry_endpoint = 'http://:4318'", COLLECTOR),
        ("port 5", "sourceline.toml is not TOML: Expected '=' after a key in a key/value pair (at line 1, column 6)"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(folder: Path, file: str, message: str) -> None:
    (folder / "sourceline.toml").write_text(file)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value) == message


@pytest.mark.parametrize("name", ["PORT", "BACKEND"])
def test_a_value_that_cannot_be_used_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"SOURCELINE_{name}", "s3cret")
    with pytest.raises(SettingsError, match=f"^setting {name.lower()}: ") as raised:
        load_settings()
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://a.org/", "https://a.org"),
        ("HTTPS://A.org/notes//", "https://a.org/notes"),
        ("http://a:80", "http://a"),
    ],
)
def test_the_address_of_the_page_ends_without_a_slash(given: str, kept: str) -> None:
    assert load_settings(public_url=given).public_url == kept


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1

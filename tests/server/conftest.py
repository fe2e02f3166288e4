"""A server in this process, over a small corpus with awkward names."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sourceline.api import Index
from sourceline.config import load_settings
from sourceline.server.app import create_app
from sourceline.types import NO_RERANKER
from tests.conftest import SEEDS
from tests.support.api import CORPUS, client_of, get_document


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seed meeting, and documents whose ids hold slashes, blanks, brackets and letters beyond ASCII."""
    folder = tmp_path_factory.mktemp("corpus")
    for name, text in CORPUS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    shutil.copyfile(SEEDS / "meeting.txt", folder / "meeting.txt")
    return folder


@pytest.fixture(scope="session")
def corpus_index(corpus: Path, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus, indexed. Not to be written to."""
    index = shutil.copytree(exported, tmp_path_factory.mktemp("corpus-index") / "index", copy_function=os.link)
    Index.build(corpus, index)
    return index


@pytest.fixture(scope="session")
def app(corpus: Path, corpus_index: Path) -> FastAPI:
    """The app over the corpus. Nothing reads: what is tested here does not depend on what a reader thinks."""
    return create_app(load_settings(documents=corpus, index=corpus_index, reranker=NO_RERANKER))


@pytest.fixture(scope="session")
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client of the app."""
    with client_of(app) as client:
        yield client


@pytest.fixture(scope="session")
def texts(client: TestClient) -> dict[str, str]:
    """The texts of the corpus' documents, as they are served."""
    ids = [document["id"] for document in client.get("/v1/documents").json()["documents"]]
    return {id_: get_document(client, id_)["text"] for id_ in ids}

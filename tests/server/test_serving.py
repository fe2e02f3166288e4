from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from sourceline.citations.identity import citation_id
from sourceline.errors import MismatchError, NoGenerationError
from sourceline.index.generation import GENERATIONS
from sourceline.server.app import create_app
from sourceline.server.serving import Serving
from sourceline.settings import load_settings
from sourceline.types import DEFAULT_MODEL, EncoderKind
from tests.conftest import Rebuild
from tests.server.serving import serve, wait_until


def test_a_generation_published_by_another_process_is_served_without_a_restart(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with serve(documents, index) as client:
        (documents / "a.txt").write_text("The bridge opens on Sunday.\n")
        published = rebuild(documents, index).generation
        wait_until(lambda: client.get("/v1/index").json()["generation"]["id"] == published)
        (passage,) = client.get("/v1/documents/a.txt").json()["passages"]
        assert passage["text"] == "The bridge opens on Sunday."


def test_a_citation_of_a_generation_published_a_moment_ago_is_current_at_once(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    # Not entered as a context, so nothing watches for new generations.
    client = TestClient(create_app(load_settings(documents=documents, index=index)))
    (documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    report = rebuild(documents, index)
    assert client.get("/v1/index").json()["generation"]["id"] != report.generation
    found = client.get(f"/v1/citations/{citation_id('a.txt', 'The bridge opens on Sunday.', 0)}").json()
    assert (found["status"], found["text"]) == ("current", "The bridge opens on Sunday.")
    assert client.get("/v1/index").json()["generation"]["id"] == report.generation


def test_the_encoder_that_is_open_serves_the_next_generation(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    serving = Serving(index, DEFAULT_MODEL, EncoderKind.COMPILED)
    before = serving.searcher
    (documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    report = rebuild(documents, index)
    assert serving.searcher is before
    serving.refresh()
    assert serving.searcher.generation.id == report.generation
    assert serving.searcher.encoder is before.encoder
    after = serving.searcher
    serving.refresh()
    assert serving.searcher is after


def test_a_request_keeps_the_generation_that_it_began_with(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    serving = Serving(index, DEFAULT_MODEL, EncoderKind.COMPILED)
    began = serving.searcher
    for day in ("Tuesday", "Wednesday", "Thursday"):
        (documents / "a.txt").write_text(f"The bridge opens on {day}.\n")
        rebuild(documents, index)
        serving.refresh()
    assert not (index / GENERATIONS / began.generation.id).exists()
    assert began.ask("When does it open?", 1).hits[0].passage.text == "The bridge opens on Monday."
    assert serving.searcher.ask("When does it open?", 1).hits[0].passage.text == "The bridge opens on Thursday."


def test_a_damaged_generation_does_not_replace_the_one_that_is_served(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    whole = rebuild(documents, index).generation
    serving = Serving(index, DEFAULT_MODEL, EncoderKind.COMPILED)
    (documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    damaged = rebuild(documents, index).generation
    (index / GENERATIONS / damaged / "passages.sqlite").write_bytes(b"")
    serving.refresh()
    assert serving.searcher.generation.id == whole
    assert serving.searcher.ask("When does it open?", 1).hits[0].passage.text == "The bridge opens on Monday."


def test_an_app_without_an_index_or_with_another_model_is_refused(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    with pytest.raises(NoGenerationError, match="sourceline rebuild-index"):
        create_app(load_settings(documents=documents, index=index))
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with pytest.raises(MismatchError, match="sourceline rebuild-index"):
        create_app(load_settings(documents=documents, index=index, model="another/model"))
    with pytest.raises(MismatchError, match="not built with the reference encoder"):
        create_app(load_settings(documents=documents, index=index, encoder=EncoderKind.REFERENCE))


@pytest.mark.parametrize(("threshold", "answerable"), [(0, True), (1, False)])
def test_the_threshold_is_kept_when_a_new_generation_is_served(
    documents: Path, index: Path, rebuild: Rebuild, threshold: float, answerable: bool
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    serving = Serving(index, DEFAULT_MODEL, EncoderKind.COMPILED, threshold)
    (documents / "b.txt").write_text("The tower was sold in June.\n")
    report = rebuild(documents, index)
    serving.refresh()
    answer = serving.searcher.ask("When does the bridge open?", 1)
    assert (answer.generation, answer.answerable) == (report.generation, answerable)

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("haystack", reason="make integrations installs it")

from haystack import Pipeline
from haystack.components.builders import PromptBuilder
from haystack.utils import Secret

from sourceline.errors import NoSnapshotError, ServerError
from sourceline.integrations.haystack import SourcelineRetriever
from sourceline.server.errors import problem
from tests.integrations.conftest import CITATION, NOT_ANSWERED, QUESTION, TEXT, assert_tells_all
from tests.support.clients import Scripted, run_example

pytestmark = pytest.mark.enable_socket


def test_the_answering_sentence_comes_first_with_its_citation(address: str) -> None:
    with closing(SourcelineRetriever(address, top_k=3)) as retriever:
        first, *others = retriever.run(QUESTION)["documents"]
        assert (first.id, first.content, first.score, len(others)) == (CITATION, TEXT, first.meta["score"], 2)
        assert_tells_all(dict(first.meta))
        assert [document.id for document in retriever.run(QUESTION, top_k=1)["documents"]] == [CITATION]
        retriever.close()
        assert len(retriever.run(QUESTION)["documents"]) == 3


def test_what_is_not_answered_returns_nothing_unless_it_is_wanted(address: str) -> None:
    with closing(SourcelineRetriever(address)) as retriever:
        assert retriever.run(NOT_ANSWERED) == {"documents": []}
    with closing(SourcelineRetriever(address, 2, return_not_answered=True)) as retriever:
        nearest = retriever.run(NOT_ANSWERED)["documents"]
    assert [document.meta["verdict"] for document in nearest] == ["not_answered"] * 2


def test_filters_and_mode_are_passed_on(address: str) -> None:
    def ask(**fields: Any) -> int:
        with closing(SourcelineRetriever(address, 2, return_not_answered=True, **fields)) as retriever:
            return len(retriever.run(QUESTION)["documents"])

    assert ask(documents=["meet*"], mode="fast") == 2
    assert ask(documents=["minutes/*"]) == 0
    assert ask(speakers=["Bo Lind"]) == 0
    assert ask(after="2026-01-01") == 0
    assert ask(before="2026-01-01") == 0


def pipeline_of(retriever: SourcelineRetriever) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("retriever", retriever)
    template = "{% for document in documents %}{{ document.content }} [{{ document.id }}]{% endfor %}"
    pipeline.add_component("prompt", PromptBuilder(template, required_variables=["documents"]))
    pipeline.connect("retriever", "prompt")
    return pipeline


def test_a_pipeline_with_it_runs_is_saved_and_loaded(address: str) -> None:
    with closing(pipeline_of(SourcelineRetriever(address, 1, documents=["meet*"]))) as pipeline:
        assert pipeline.run({"query": QUESTION})["prompt"]["prompt"] == f"{TEXT} [{CITATION}]"
        saved = pipeline.dumps()
    with closing(Pipeline.loads(saved, allowed_modules=["sourceline.integrations.haystack"])) as loaded:
        assert loaded.run({"query": QUESTION})["prompt"]["prompt"] == f"{TEXT} [{CITATION}]"
        assert asyncio.run(loaded.run_async({"query": QUESTION}))["prompt"]["prompt"] == f"{TEXT} [{CITATION}]"


def test_the_key_is_sent_and_never_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUTES_KEY", "s3cret")
    server = Scripted(problem(401, "send the key"))
    with server.served() as url:
        saved = pipeline_of(SourcelineRetriever(url, api_key=Secret.from_env_var("MINUTES_KEY"))).dumps()
        assert "MINUTES_KEY" in saved
        assert "s3cret" not in saved
        loaded = Pipeline.loads(saved, allowed_modules=["sourceline.integrations.haystack"])
        with closing(loaded), pytest.raises(ServerError, match="send the key"):
            loaded.get_component("retriever").run(QUESTION)
    assert server.headers[0]["authorization"] == "Bearer s3cret"


def test_what_cannot_be_asked_is_said_when_it_is_made_or_opened(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'quick' is not a valid Mode"):
        SourcelineRetriever("http://127.0.0.1:8080", mode="quick")
    with pytest.raises(ValueError, match="yesterday"):
        SourcelineRetriever("http://127.0.0.1:8080", after="yesterday")
    with pytest.raises(NoSnapshotError):
        SourcelineRetriever(str(tmp_path)).warm_up()


def test_its_example_runs(url: str) -> None:
    run_example(SourcelineRetriever, url)

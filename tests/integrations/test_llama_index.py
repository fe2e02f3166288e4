import asyncio
import datetime
from typing import Any

import pytest

pytest.importorskip("llama_index.core", reason="make integrations installs it")

from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import MetadataMode

from sourceline.integrations import Source
from sourceline.integrations.llama_index import SourcelineRetriever
from tests.integrations.conftest import CITATION, NOT_ANSWERED, QUESTION, TEXT, assert_tells_all
from tests.support.clients import run_example

pytestmark = pytest.mark.enable_socket


def test_the_answering_sentence_comes_first_with_its_citation(source: Source) -> None:
    first, *others = SourcelineRetriever(source, 3).retrieve(QUESTION)
    assert (first.node_id, first.text, len(others)) == (CITATION, TEXT, 2)
    assert (first.node.start_char_idx, first.node.end_char_idx) == (0, 129)
    assert first.node.source_node is not None
    assert first.node.source_node.node_id == "meeting.txt"
    assert first.score == first.metadata["score"]
    assert_tells_all(dict(first.metadata))


def test_a_language_model_sees_what_it_can_cite_by_and_an_embedding_the_text_alone(source: Source) -> None:
    (first,) = SourcelineRetriever(source, 1).retrieve(QUESTION)
    shown = f"citation: {CITATION}\ntitle: meeting\n\n{TEXT}"
    assert first.node.get_content(MetadataMode.LLM) == shown
    assert first.node.get_content(MetadataMode.EMBED) == TEXT


def test_what_is_not_answered_returns_nothing_unless_it_is_wanted(source: Source) -> None:
    assert SourcelineRetriever(source).retrieve(NOT_ANSWERED) == []
    nearest = SourcelineRetriever(source, 2, return_not_answered=True).retrieve(NOT_ANSWERED)
    assert [node.metadata["verdict"] for node in nearest] == ["not_answered"] * 2


def test_filters_and_mode_are_passed_on(source: Source) -> None:
    def ask(**fields: Any) -> int:
        return len(SourcelineRetriever(source, 2, return_not_answered=True, **fields).retrieve(QUESTION))

    assert ask(documents="meet*", mode="fast") == 2
    assert ask(documents=["minutes/*"]) == 0
    assert ask(speakers=["Bo Lind"]) == 0
    assert ask(after=datetime.date(2026, 1, 1)) == 0
    assert ask(before=datetime.date(2026, 1, 1)) == 0


def test_it_is_a_part_of_query_engines_also_asynchronous_ones(source: Source) -> None:
    engine = RetrieverQueryEngine.from_args(SourcelineRetriever(source, 1), llm=MockLLM())
    response = engine.query(QUESTION)
    assert [node.node_id for node in response.source_nodes] == [CITATION]
    assert f"citation: {CITATION}\ntitle: meeting\n\n{TEXT}" in str(response)
    later = asyncio.run(engine.aquery(QUESTION))
    assert [node.node_id for node in later.source_nodes] == [CITATION]


def test_its_example_runs(url: str) -> None:
    run_example(SourcelineRetriever, url)

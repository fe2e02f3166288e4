import asyncio
import datetime
from typing import Any

import pytest

pytest.importorskip("langchain_core", reason="make integrations installs it")

from langchain_core.runnables import RunnableLambda
from pydantic import ValidationError

from sourceline.integrations import Source
from sourceline.integrations.langchain import SourcelineRetriever
from tests.integrations.conftest import CITATION, NOT_ANSWERED, QUESTION, TEXT, assert_tells_all
from tests.support.clients import run_example

pytestmark = pytest.mark.enable_socket


def test_the_answering_sentence_comes_first_with_its_citation(source: Source) -> None:
    first, *others = SourcelineRetriever(source=source, k=3).invoke(QUESTION)
    assert (first.id, first.page_content, len(others)) == (CITATION, TEXT, 2)
    assert_tells_all(dict(first.metadata))
    assert [document.metadata["rank"] for document in others] == [2, 3]


def test_what_is_not_answered_returns_nothing_unless_it_is_wanted(source: Source) -> None:
    assert SourcelineRetriever(source=source).invoke(NOT_ANSWERED) == []
    nearest = SourcelineRetriever(source=source, k=2, return_not_answered=True).invoke(NOT_ANSWERED)
    assert [document.metadata["verdict"] for document in nearest] == ["not_answered"] * 2


def test_filters_and_mode_are_passed_on(source: Source) -> None:
    def ask(**fields: Any) -> int:
        return len(SourcelineRetriever(source=source, k=2, return_not_answered=True, **fields).invoke(QUESTION))

    assert ask(documents="meet*", mode="fast") == 2
    assert ask(documents=["minutes/*"]) == 0
    assert ask(speakers=["Bo Lind"]) == 0
    assert ask(after=datetime.date(2026, 1, 1)) == 0
    assert ask(before=datetime.date(2026, 1, 1)) == 0


def test_it_is_a_part_of_chains_also_asynchronous_ones(source: Source) -> None:
    chain = SourcelineRetriever(source=source, k=1) | RunnableLambda(lambda documents: documents[0].page_content)
    assert chain.invoke(QUESTION) == TEXT
    assert asyncio.run(chain.ainvoke(QUESTION)) == TEXT
    assert chain.batch([QUESTION, QUESTION]) == [TEXT, TEXT]


def test_what_cannot_be_asked_is_no_source() -> None:
    with pytest.raises(ValidationError, match="source"):
        SourcelineRetriever(source="http://127.0.0.1:8080")


def test_its_example_runs(url: str) -> None:
    run_example(SourcelineRetriever, url)

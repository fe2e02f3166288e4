import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from sourceline.retrieval.search import Searcher
from sourceline.server.app import create_app
from sourceline.settings import load_settings
from sourceline.types import Answer


@pytest.mark.parametrize("workers", [1, 2, 64])
def test_a_process_works_on_its_share_of_the_cores_and_one_more_and_answers_all(
    corpus: Path, corpus_index: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    inside: list[int] = [0]
    most: list[int] = [0]
    counting, ask = threading.Lock(), Searcher.ask

    def counted(searcher: Searcher, question: str, k: int, documents: tuple[str, ...]) -> Answer:
        with counting:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.05)  # so that they meet
        try:
            return ask(searcher, question, k, documents)
        finally:
            with counting:
                inside[0] -= 1

    monkeypatch.setattr(Searcher, "ask", counted)
    app = create_app(load_settings(documents=corpus, index=corpus_index, workers=workers))
    with TestClient(app) as client, ThreadPoolExecutor(16) as pool:
        bodies = [{"question": f"Who met Pezeshkian on day {number}?"} for number in range(16)]
        answers = list(pool.map(lambda body: client.post("/v1/ask", json=body), bodies))
    assert [answer.status_code for answer in answers] == [200] * 16
    assert most[0] == (os.cpu_count() or 1) // workers + 1

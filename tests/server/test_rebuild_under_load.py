import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sourceline.index.snapshot import current_id
from tests.conftest import Rebuild
from tests.support.api import wait_until
from tests.support.torture import sizes

Texts = dict[str, str]


def texts_of_round(number: int) -> Texts:
    """Return the corpus of one round: an edited sentence, one that comes and goes, a document that is renamed."""
    visitors = "Many visitors came by tram. " if number % 2 else ""
    return {
        "costs.txt": f"The bridge costs {number + 3} million francs. {visitors}The council paid for the repair.\n",
        f"minutes-{number // 3}.txt": "The clerk read the minutes aloud. Nobody objected to the long report.\n",
        "trams.txt": "Seven new trams were ordered last year. They run every ten minutes.\n",
    }


def write(folder: Path, texts: Texts) -> None:
    for path in folder.iterdir():
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")


def request(port: int, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = json.load(response)
    connection.close()
    return response.status, content


@contextmanager
def served(folders: list[str]) -> Iterator[tuple[int, int]]:
    """Serve in a process of its own; yield its id and its port."""
    command = [sys.executable, "-m", "sourceline", *folders, "serve", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        address = process.stderr.readline()
        port = re.search(r":(\d+)$", address.strip())
        assert port, address
        yield process.pid, int(port[1])
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def rebuild_over_http(port: int) -> None:
    assert request(port, "POST", "/v1/index/rebuild")[0] == 202
    wait_until(lambda: request(port, "GET", "/v1/index")[1]["rebuild"]["state"] != "running")
    assert request(port, "GET", "/v1/index")[1]["rebuild"]["state"] == "succeeded"


def wait_until_served(port: int, snapshot: str) -> None:
    wait_until(lambda: request(port, "GET", "/v1/index")[1]["snapshot"]["id"] == snapshot)


class Asker(threading.Thread):
    """Asks until it is to stop, and at least its share; keeps every answer and every failure."""

    def __init__(self, port: int, share: int, stop: threading.Event) -> None:
        super().__init__()
        self._port, self._share, self._ended = port, share, stop
        self.answers: list[dict[str, Any]] = []
        self.failures: list[object] = []

    def run(self) -> None:
        questions = ("How much does the bridge cost?", "Who read the minutes?", "How did visitors come?")
        while len(self.answers) < self._share or not self._ended.is_set():
            question = questions[len(self.answers) % len(questions)]
            mode = "read" if len(self.answers) % 4 == 0 else "fast"
            try:
                status, answer = request(self._port, "POST", "/v1/ask", {"question": question, "k": 10, "mode": mode})
            except OSError as error:
                self.failures.append(error)
                return
            self.answers.append(answer)
            if status != 200:
                self.failures.append(answer)


def assert_true_status(citation: dict[str, Any], texts: Texts) -> None:
    """Assert that what a lookup says of a citation holds in these texts."""
    place, successor = citation["document"]["id"], citation.get("successor", {})
    in_place = texts.get(place, "")[citation["location"]["start"] : citation["location"]["end"]] == citation["text"]
    match citation["status"]:
        case "current":
            assert in_place
        case "moved":
            assert in_place
            assert (successor["text"], successor["document"]["id"]) == (citation["text"], place)
        case "changed":
            assert not any(citation["text"] in text for text in texts.values())
            assert successor["text"] in texts[successor["document"]["id"]]
        case "removed":
            assert not any(citation["text"] in text for text in texts.values())
        case status:
            raise AssertionError(status)


@pytest.mark.enable_socket
@sizes("rebuilds, questions", (4, 60), (10, 200))
def test_no_question_fails_and_every_citation_resolves_while_edited_documents_are_rebuilt(
    documents: Path, index: Path, rebuild: Rebuild, rebuilds: int, questions: int
) -> None:
    folders = ["--documents", str(documents), "--index", str(index)]
    write(documents, texts_of_round(0))
    published = {rebuild(documents, index).snapshot: texts_of_round(0)}
    with served(folders) as (process, port):
        stop = threading.Event()
        askers = [Asker(port, questions // 2, stop) for _ in range(2)]
        for asker in askers:
            asker.start()
        for number in range(1, rebuilds + 1):
            write(documents, texts_of_round(number))
            if number % 2:
                rebuild_over_http(port)
            else:
                subprocess.run([sys.executable, "-m", "sourceline", *folders, "rebuild-index"], check=True)
            snapshot = current_id(index)
            assert snapshot
            published[snapshot] = texts_of_round(number)
            wait_until_served(port, snapshot)
            if number == 2:
                descriptors = len(os.listdir(f"/proc/{process}/fd"))
        stop.set()
        for asker in askers:
            asker.join()
        answers = [answer for asker in askers for answer in asker.answers]
        assert [failure for asker in askers for failure in asker.failures] == []
        assert len(answers) >= questions
        assert len(published) == rebuilds + 1
        passages = {passage["citation"]: passage for answer in answers for passage in answer["passages"]}
        for answer in answers:
            for passage in answer["passages"]:
                text = published[answer["snapshot"]][passage["document"]["id"]]
                assert text[passage["location"]["start"] : passage["location"]["end"]] == passage["text"]
        status, lookup = request(port, "POST", "/v1/citations/lookup", {"citations": list(passages)})
        assert status == 200
        for citation in lookup["citations"]:
            assert citation["text"] == passages[citation["citation"]]["text"]
            assert_true_status(citation, texts_of_round(rebuilds))
        statuses = {citation["status"] for citation in lookup["citations"]}
        assert statuses == {"current", "moved", "changed", "removed"}
        assert len(os.listdir(f"/proc/{process}/fd")) <= descriptors + 4

"""Time the page and the API on a document of 5 MB and one of 50 MB.

    python benchmarks/long_document.py [--megabytes 5 50]

The documents are made up and go into the store of passages alone, so that nothing is encoded. Prints the median times:
of a stretch of the default length over HTTP, from a link until the cited sentence is painted, and from a jump of the
scroll bar until text is there; and how many elements the page has at most.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

from fastapi import FastAPI
from playwright.sync_api import Page, sync_playwright

from sourceline.api import Index
from sourceline.config import load_settings
from sourceline.engines import OpenedFolder
from sourceline.ids import citation_id
from sourceline.index.passage_store import PassageStore, PassageStoreWriter
from sourceline.server.app import create_app
from sourceline.server.protocol import http_server
from sourceline.types import NO_RERANKER, Document, Location, Passage

NAME = "long.txt"
TRIES = 15
WORDS = (
    "the council harbour tram budget vote school roof minister bridge spring of and to was a crane ferry report in "
    "committee road clerk water winter for said that market on 😀 Zürich paid 4,100 francs session chair"
).split()
# Resolves once a sentence is marked and the frame after it was painted.
PAINTED = """() => new Promise((done) => {
  const look = () => {
    if (!document.querySelector("#reader .sentence[aria-current]")) return setTimeout(look, 1);
    return requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
  };
  look();
})"""
JUMPED = """(share) => new Promise((done) => {
  const began = performance.now();
  scrollTo(0, share * document.documentElement.scrollHeight);
  const isMiddle = ({ top, bottom }) => top < innerHeight / 2 && bottom > innerHeight / 2;
  const look = () => {
    const stretches = [...document.querySelectorAll(".stretch")];
    if (!stretches.some((each) => isMiddle(each.getBoundingClientRect()))) return setTimeout(look, 1);
    return requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
  };
  look();
})"""
NODES = "document.getElementsByTagName('*').length"


def main() -> None:
    """Measure documents of several sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[5, 50])
    arguments = parser.parse_args()
    chromium = shutil.which("chromium")
    if not chromium:
        raise SystemExit("the browser is missing: apt-get install -y chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        documents, index = Path(folder, "documents"), Path(folder, "index")
        documents.mkdir()
        (documents / "small.txt").write_text("The council met on Monday.\n")
        Index.build(documents, index)
        browser = playwright.chromium.launch(executable_path=chromium, args=[] if os.geteuid() else ["--no-sandbox"])
        for megabytes in arguments.megabytes:
            store = Path(folder, str(megabytes))
            passages = write_long_document(store, megabytes * 1_000_000)
            app = create_app(load_settings(documents=documents, index=index, reranker=NO_RERANKER))
            serve_passages(app, store)
            with listening(app) as port:
                measured = measure_api(port, passages) | measure_page(browser.new_page(), port, passages)
            for name, value in measured.items():
                print(f"{megabytes:3} MB: {name:48} {value:10,.1f}", flush=True)
        browser.close()


def make_document(characters: int) -> tuple[Document, list[Passage]]:
    """Return a document of about so many characters, and its sentences: paragraphs of one to six."""
    chance = random.Random(characters)
    pieces: list[str] = []
    passages: list[Passage] = []
    at = line = paragraph = 0
    while at < characters:
        line, paragraph = line + 2, paragraph + 1
        for _ in range(chance.randint(1, 6)):
            text = " ".join(chance.choices(WORDS, k=chance.randint(6, 24))).capitalize() + "."
            id_ = citation_id(NAME, text, len(passages))
            location = Location(line - 1, paragraph)
            passages.append(Passage(id_, NAME, len(passages), at, at + len(text), text, location))
            pieces += [text, " "]
            at += len(text) + 1
        pieces[-1] = "\n\n"
        at += 1
    return Document(NAME, "A long document", "".join(pieces), "0" * 64, ()), passages


def write_long_document(folder: Path, characters: int) -> list[Passage]:
    """Write a store of passages with one made-up document; return its passages."""
    folder.mkdir()
    document, passages = make_document(characters)
    with PassageStoreWriter(folder) as writer:
        writer.add(document, passages)
        writer.write()
    return passages


def serve_passages(app: FastAPI, folder: Path) -> None:
    """Let an app read documents from another store than that of its index. It cannot be asked then."""
    view = app.state.live_index.index._view
    view.snapshot = replace(view.snapshot, passages=PassageStore(folder, 4))
    with view.opened.reading() as reading:
        view.opened = OpenedFolder(view.snapshot, reading.ledger)


@contextmanager
def listening(app: FastAPI) -> Iterator[int]:
    """Serve an app on a free port, in a thread; yield the port."""
    server = http_server(app)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def measure_api(port: int, passages: list[Passage]) -> dict[str, float]:
    """Return the milliseconds of stretches all over the document, of a citation's look-up, and a stretch's size."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    stretches: list[float] = []
    lookups: list[float] = []
    size = 0
    for number in range(TRIES):
        passage = passages[number * (len(passages) - 1) // (TRIES - 1)]
        for path, times in (
            (f"/v1/documents/{NAME}?from={passage.start}", stretches),
            (f"/v1/citations/{passage.id}", lookups),
        ):
            began = time.perf_counter()
            connection.request("GET", path)
            body = connection.getresponse().read()
            times.append((time.perf_counter() - began) * 1000)
            size = max(size, len(body))
            assert json.loads(body)
    return {
        "API, a stretch of 100,000 characters, ms": statistics.median(stretches),
        "API, the longest of these, ms": max(stretches),
        "API, a stretch, kB": size / 1000,
        "API, a citation, ms": statistics.median(lookups),
    }


def measure_page(page: Page, port: int, passages: list[Passage]) -> dict[str, float]:
    """Return the milliseconds until a cited sentence is painted, and after jumps, and the elements of the page."""
    opened, jumped, nodes = [], [], 0
    for number in range(TRIES):
        passage = passages[number * (len(passages) - 1) // (TRIES - 1)]
        page.goto(f"http://127.0.0.1:{port}/?cite={passage.id}", wait_until="commit")
        opened.append(page.evaluate(PAINTED))
        jumped.append(page.evaluate(JUMPED, (number * 7 % TRIES + 1) / (TRIES + 1)))
        nodes = max(nodes, page.evaluate(NODES))
    page.close()
    return {
        "page, from the link to the cited sentence, ms": statistics.median(opened),
        "page, from a jump to text, ms": statistics.median(jumped),
        "page, most elements": nodes,
    }


if __name__ == "__main__":
    main()

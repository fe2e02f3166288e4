"""Hostile input: every parser, the wire, and the API as it describes itself.

A parser returns text with blocks that lie in it, or says that it cannot; whatever comes over the wire is answered by
what is documented, or by closing the connection, and the server goes on.
"""

import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from campaigns.corpus import Folder, new_index
from campaigns.outside import Findings, Server, UnexpectedError, folders, server
from sourceline.errors import DocumentError
from sourceline.ingest.formats import FORMATS
from sourceline.ingest.loader import DocumentReader
from sourceline.types import ParsedFile

TRACEBACK = "Traceback (most recent call last)"
EXAMPLES = 200  # before the clock is looked at
SLOW_SECONDS = 10  # for a file of some KB
REQUEST_SECONDS = 40  # the server gives a client 30 for a body
# Small files of each format, to be changed: what is random alone seldom gets beyond the first check.
SEEDS: dict[str, tuple[bytes, ...]] = {
    ".txt": (
        b"Anna: The bridge is closed.\nBo (10:02): Until when?\n\n1) first\n2) second\n\n  - a - b\n",
        b"[12.03.26, 10:01:22] Anna: It leaks.\n[12.03.26, 10:02:01] Bo: Where?\n",
    ),
    ".md": (
        b"---\ntitle: A\ndate: 2026-01-02\n---\n# One\n\n* a\n* b [x](y)\n\n> q\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        b"Two\n===\n\n```\nx\n```\n\n1. a\n\n   b[^1]\n\n[^1]: c\n",
    ),
    ".rst": (b"Title\n=====\n\n.. note:: Text.\n\n* a\n* b\n\n::\n\n  code\n",),
    ".csv": (b'name;price\n"a ""b""";1,5\nc;2\n', b"a,b\n1,2\n"),
    ".vtt": (b"WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.000\n<v Anna>It leaks.\n\nNOTE x\n",),
    ".srt": (b"1\n00:00:01,000 --> 00:00:02,000\nIt leaks.\n\n2\n00:00:03,000 --> 00:00:04,000\nWhere?\n",),
    ".json": (b'{"segments": [{"start": 0.0, "end": 1.5, "text": "It leaks.", "speaker": "A", "words": []}]}',),
    ".html": (
        b"<html><head><title>T</title></head><body><h1>A</h1><p>b<br>c<table><tr><th>x<td>y</table><script>z</script>",
    ),
    ".eml": (
        b"From: a@b\nSubject: =?utf-8?q?T=C3=A9?=\nDate: Fri, 2 Jan 2026 10:00:00 +0000\n"
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/html\n\n<p>It leaks.\n--x--\n",
    ),
}
# A request that does not fit may be refused for its length before anything else is looked at. One that fits may yet be
# refused: without a key nothing is written, and a question needs a word.
SCHEMATHESIS = """
[checks]
positive_data_acceptance.enabled = false
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 413, 415, 422, 431]
"""
SAME = {".markdown": ".md", ".htm": ".html"}
REQUESTS = (
    b"GET /v1/ask?question=Who%3F HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /v1/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
    b'{"question": "Who?"}',
    b"POST /v1/citations/lookup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b'Transfer-Encoding: chunked\r\n\r\n18\r\n{"citations": ["abcdef"]}\r\n0\r\n\r\n',
    b"GET /v1/documents/minutes.txt?from=0&limit=10 HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-1\r\n\r\n",
    b"HEAD /v1/index HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
)
PIECES = (
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\r\n",
    b"\r\n\r\n",
    b"<" * 50,
    b"[" * 500,
    b"9" * 400,
    b"-1",
    b"{}",
    b'"',
    b"\\u0000",
    b"%00",
    b": ",
)


@st.composite
def changed(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Draw one of these with some of its bytes cut, repeated, exchanged or replaced."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 8))):
        at, stop = sorted(draw(st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))))
        new = draw(st.sampled_from(PIECES) | st.binary(max_size=8) | st.just(data[at:stop] * 3) | st.just(b""))
        data = data[:at] + new + data[stop:]
        if len(data) > 60_000:
            break
    return data


def run(minutes: int, seed_: int, work: Path, encoders: Path) -> Findings:
    """Fuzz each thing for so many minutes."""
    findings = Findings(f"hostile input, {minutes:g} minutes each, seed {seed_}")
    seeds = {**SEEDS, **made_files()}
    for suffix, format_ in FORMATS.items():
        known = seeds[SAME.get(suffix, suffix)]
        share = minutes / len(FORMATS)
        data = changed(known) | st.binary(max_size=2_000)

        def parse(content: bytes, parse: Callable[[bytes], ParsedFile] = format_.parse) -> None:
            check_parser(parse, content)

        fuzz(f"parser of {suffix}", parse, data, share, seed_, findings)
        with DocumentReader(work) as reader:

            def read(content: bytes, reader: DocumentReader = reader, name: str = f"fuzzed{suffix}") -> None:
                (work / name).write_bytes(content)
                check_reader(reader, name)

            fuzz(f"reader of {suffix}", read, data, share, seed_, findings)
    folder, index = Folder(work / "documents", random.Random(seed_)), new_index(work / "index", encoders)
    folder.fill()
    with server(*folders(folder.path, index)) as served:
        raw = changed(REQUESTS) | st.binary(max_size=500)
        fuzz("wire", lambda sent: check_wire(served, sent), raw, minutes, seed_, findings)
        describe(served, minutes, seed_, work, findings)
        if served.process.poll() is not None:
            findings.false.append(f"the server ended with {served.process.returncode}")
        if TRACEBACK in served.log:
            findings.false.append(f"the server's log has a traceback: {served.log.split(TRACEBACK)[1][:2_000]}")
    return findings


def made_files() -> dict[str, tuple[bytes, ...]]:
    """Return files of the formats that are not written by hand."""
    from tests.support.files import docx_of, paragraph, pdf_of

    return {
        ".docx": (docx_of(paragraph("It leaks.") + paragraph("Where?")),),
        ".pdf": (pdf_of(b"BT /F1 12 Tf 72 720 Td (It leaks.) Tj ET"),),
    }


def fuzz(
    name: str,
    check: Callable[[bytes], None],
    data: st.SearchStrategy[bytes],
    minutes: float,
    seed_: int,
    findings: Findings,
) -> None:
    """Check generated data for so many minutes; what fails is reduced to a small example, and told."""
    tried = 0

    def count(content: bytes) -> None:
        nonlocal tried
        tried += 1
        check(content)

    until = time.monotonic() + 60 * minutes
    while time.monotonic() < until:
        example = seed(seed_)(
            settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            )(given(data)(count))
        )
        seed_ += 1
        try:
            example()
        except Exception as error:  # whatever a parser raises that it must not is what is looked for
            notes = " ".join(getattr(error, "__notes__", ()))
            findings.false.append(f"{name}: {error!r}: {notes[:500]}")
            break
    findings.add(name, tried)
    findings.progress(f"{name}: {tried:,} tried")


def check_parser(parse: Callable[[bytes], ParsedFile], content: bytes) -> None:
    """Assert that a parser returns blocks in order that lie in the text, or says that it cannot read this."""
    started = time.monotonic()
    try:
        parsed = parse(content)
    except DocumentError:
        return
    end = 0
    for block in parsed.blocks:
        assert end <= block.start <= block.end <= len(parsed.text), block
        end = block.end
    assert time.monotonic() - started < SLOW_SECONDS


def check_reader(reader: DocumentReader, name: str) -> None:
    """Assert that a file is read as text that can be written, or that it is said that it cannot be read."""
    started = time.monotonic()
    try:
        document = reader.read(name)
    except DocumentError:
        return
    assert document.text.encode()
    assert time.monotonic() - started < SLOW_SECONDS


def check_wire(served: Server, sent: bytes) -> None:
    """Assert that the server answers what is no request by 4xx or by closing, and any other as it does."""
    answer = b""
    with socket.create_connection(("127.0.0.1", served.port), timeout=REQUEST_SECONDS) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65_536):
                answer += piece
        except ConnectionError:
            pass
    statuses = [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3})", answer, re.MULTILINE)]
    assert all(status < 500 for status in statuses), answer
    status, _ = served.fetch("GET", "/healthz")
    assert status == 200


def describe(served: Server, minutes: float, seed_: int, work: Path, findings: Findings) -> None:
    """Let schemathesis call every route as ``/openapi.json`` describes it."""
    url = f"http://127.0.0.1:{served.port}/openapi.json"
    config = work / "schemathesis.toml"
    config.write_text(SCHEMATHESIS)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", url]
    options = ["--max-time", str(int(60 * minutes)), "--seed", str(seed_), "--phases", "fuzzing", "--no-color"]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if ended.returncode not in (0, 1):
        raise UnexpectedError(ended.stdout + ended.stderr)
    summary = re.search(r"(\d[\d,]*) generated", ended.stdout)
    findings.counts["calls by schemathesis"] = summary[1] if summary else "?"
    if ended.returncode:
        # A body can be megabytes.
        findings.false.append("schemathesis:\n" + "\n".join(line[:300] for line in ended.stdout.splitlines()))

"""Connections outward of building, serving and asking: none, by what strace sees of the system calls."""

import random
import re
import shutil
import subprocess
import time
from pathlib import Path

from campaigns.corpus import Folder
from campaigns.outside import COMMAND, Findings, UnexpectedError, environment, folders, server

# Calls that reach another machine: to an address that is not of this one.
_ADDRESS = re.compile(r'sa_family=AF_INET6?\b.*?inet_(?:addr\(|pton\(AF_INET6, )"([^"]+)"')
_CALLS = ("connect", "sendto", "sendmsg", "sendmmsg")
_NAMES = "htons(53)"  # a look-up of a name is for a connection, even if the resolver is on this machine
_LOOPBACK = re.compile(r"127\.|::1$|::ffff:127\.")


def run(count: int, seed: int, work: Path, encoders: Path) -> Findings:
    """Trace a first build, which copies the model, a rebuild, a question, a lookup, and a server that is asked."""
    findings = Findings("Connections outward, by strace")
    if not shutil.which("strace"):
        findings.counts["strace"] = "is not installed: nothing was traced"
        findings.false.append("nothing was traced")
        return findings
    folder, index = Folder(work / "documents", random.Random(seed)), work / "index"
    options = folders(folder.path, index)
    folder.fill()
    for name, arguments in (
        ("first build, with the export", ("rebuild-index",)),
        ("rebuild", ("rebuild-index",)),
        ("ask", ("ask", "What did the council decide?")),
        ("doctor", ("doctor",)),
    ):
        trace(name, [*COMMAND, *options, *arguments], work / "trace", findings)
        folder.edit()
    trace_server(options, work / "trace", findings)
    return findings


def trace(name: str, command: list[str], file: Path, findings: Findings) -> None:
    """Run a command under strace to its end."""
    ended = subprocess.run([*_strace(file), *command], capture_output=True, text=True, check=False, env=environment())
    if ended.returncode:
        raise UnexpectedError(f"{name}: {ended.stderr}")
    count(name, file, findings)


def trace_server(options: tuple[str, ...], file: Path, findings: Findings) -> None:
    """Trace a server from its start to its end, while it is asked and rebuilds."""
    # The tracer detached (-D), so that what is started is the server itself.
    with server(*options, before=(*_strace(file), "-D")) as served:
        for mode in ("read", "fast"):
            served.request("POST", "/v1/ask", {"question": "What did the council decide?", "mode": mode})
        for path in ("/", "/docs", "/v1/documents", "/v1/index", "/metrics", "/v1/citations/aaaaaaaaaaaaaaaa"):
            served.fetch("GET", path)
        served.rebuild()
    time.sleep(1)  # until the tracer has written its last line
    count("serve, asked and rebuilding", file, findings)


def count(name: str, file: Path, findings: Findings) -> None:
    """Count the calls in a trace, and those that reach outward."""
    lines = file.read_text(errors="replace").splitlines()
    findings.counts[f"{name}: calls that concern sockets"] = len(lines)
    outward = [line for line in lines if reaches_outward(line)]
    findings.counts[f"{name}: outward"] = len(outward)
    findings.false += [f"{name}: {line}" for line in outward]


def reaches_outward(line: str) -> bool:
    """Return whether a line of strace is a call that names an address of another machine.

    >>> call = '7 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("%s")}, 16) = 0'
    >>> reaches_outward(call % "127.0.0.1"), reaches_outward(call % "8.8.8.8")
    (False, True)
    """
    address = _ADDRESS.search(line)
    named = address and any(f"{call}(" in line for call in _CALLS)
    return bool(address and named and (_NAMES in line or not _LOOPBACK.match(address[1])))


def _strace(file: Path) -> list[str]:
    return ["strace", "-f", "-qq", "-e", "trace=network", "-o", str(file)]

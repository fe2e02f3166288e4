"""Nothing leaves the machine."""

import os
import subprocess
import sys
from pathlib import Path

# Refuses every look-up and connection, and says what a question left open, wrote or changed.
SCRIPT = """
import os, socket, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise SystemExit(f"{event}: {arguments}")
sys.addaudithook(refuse)
environment = dict(os.environ)
from sourceline import Index
with Index.open(sys.argv[1]) as index:
    answer = index.ask("Who met in Tehran?", 1)
links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
targets = [os.readlink(link) for link in links if os.path.islink(link)]
sockets = [target for target in targets if target.startswith("socket:") or "elemetry" in target]
print(answer.hits[0].rank, sockets, os.environ == environment)
"""


def test_a_question_opens_no_connection_and_writes_nothing_at_home(seed_index: Path, tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    # Libraries that keep or send records of their use, ONNX Runtime among them, put a file there first.
    environment |= {"HF_HOME": str(tmp_path / "hf"), "ORT_DISABLE_TELEMETRY": "0"}
    command = [sys.executable, "-c", SCRIPT, str(seed_index)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "1 [] True\n"
    assert list(tmp_path.iterdir()) == []

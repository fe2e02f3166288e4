"""Nothing leaves the machine."""

import os
import subprocess
import sys
from pathlib import Path

# Refuses every look-up and connection, and says what a question left open or wrote.
SCRIPT = """
import os, socket, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise SystemExit(f"{event}: {arguments}")
sys.addaudithook(refuse)
from pathlib import Path
from sourceline.search.opening import open_searcher
from sourceline.types import DEFAULT_MODEL
from sourceline.types import EncoderKind
answer = open_searcher(Path(sys.argv[1]), DEFAULT_MODEL, EncoderKind.COMPILED).ask("Who met in Tehran?", 1)
links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
targets = [os.readlink(link) for link in links if os.path.islink(link)]
print(answer.hits[0].rank, [target for target in targets if target.startswith("socket:") or "elemetry" in target])
"""


def test_a_question_opens_no_connection_and_writes_nothing_at_home(seed_index: Path, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HF_HOME": str(tmp_path / "hf")}
    # Libraries that keep or send records of their use, onnxruntime's among them, put a file there first.
    command = [sys.executable, "-c", SCRIPT, str(seed_index)]
    ran = subprocess.run(command, env=os.environ | home, capture_output=True, text=True, check=True)
    assert ran.stdout == "1 []\n"
    assert list(tmp_path.iterdir()) == []


def test_onnxruntime_is_told_to_send_nothing_whatever_the_environment_says() -> None:
    command = [sys.executable, "-c", "import os, sourceline; print(os.environ['ORT_DISABLE_TELEMETRY'])"]
    ran = subprocess.run(
        command, env=os.environ | {"ORT_DISABLE_TELEMETRY": "0"}, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "1\n"

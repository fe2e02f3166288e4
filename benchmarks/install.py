"""Installs Sourceline as people do, each time into a new environment from an empty cache; weighs it and asks it.

    python benchmarks/install.py            # all of the ways
    python benchmarks/install.py pip make   # some

Prints a row for each: the size of what was installed, without and with bytecode, and how long installing took, and then
building the index of the seed document and answering. Needs a package index. Ends with exit code 1 where a way fails.
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

ROOT = Path(__file__).parent.parent
QUESTION = "Which minister did Pezeshkian meet in Tehran?"
ANSWER = "Iraqi Foreign Minister Fuad Hussein."
PARTS = ("pyproject.toml", "constraints.txt", "README.md", "LICENSE", "Makefile", "src", "seeds")


@dataclass(frozen=True)
class Timed:
    """How long something took: by the clock, and of the processors."""

    seconds: float
    cpu: float


@dataclass(frozen=True)
class Row:
    """What one way of installing came to."""

    way: str
    site: Path
    install: Timed
    answer: Timed


class Stopwatch:
    """Times what happens until ``read``, child processes included once they have ended."""

    def __init__(self) -> None:
        self._start, self._cpu = time.monotonic(), _children_cpu()

    def read(self) -> Timed:
        """Return the time since it was made."""
        return Timed(time.monotonic() - self._start, _children_cpu() - self._cpu)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def clean(**more: str) -> dict[str, str]:
    """Return an environment in which no cache and nothing of this one's is used."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SOURCELINE_", "PYTHON"))}
    kept.pop("VIRTUAL_ENV", None)
    return kept | {"PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_NO_CACHE": "1"} | more


def run(*command: str | Path, cwd: Path, env: dict[str, str]) -> str:
    """Run a command; return what it prints."""
    process = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{process.stdout}{process.stderr}")
    return process.stdout


def by_pip(checkout: Path, work: Path) -> Row:
    """``pip install .``"""
    watch = Stopwatch()
    run(sys.executable, "-m", "venv", work / "env", cwd=work, env=clean())
    run(work / "env/bin/python", "-m", "pip", "install", "--quiet", ".", cwd=checkout, env=clean())
    return _ask("pip install .", work / "env/bin/sourceline", work / "env", watch.read(), checkout)


def by_pipx(checkout: Path, work: Path) -> Row:
    """``pipx install .``"""
    env = clean(PIPX_HOME=str(work / "pipx"), PIPX_BIN_DIR=str(work / "bin"), PIPX_DEFAULT_PYTHON=sys.executable)
    tool = _tool("pipx", work)
    watch = Stopwatch()
    run(tool, "install", "--quiet", ".", cwd=checkout, env=env)
    return _ask("pipx install .", work / "bin/sourceline", work / "pipx/venvs/sourceline", watch.read(), checkout)


def by_uv(checkout: Path, work: Path) -> Row:
    """``uv tool install .``"""
    env = clean(UV_TOOL_DIR=str(work / "tools"), UV_TOOL_BIN_DIR=str(work / "bin"), UV_PYTHON=sys.executable)
    tool = _tool("uv", work)
    watch = Stopwatch()
    run(tool, "tool", "install", "--quiet", ".", cwd=checkout, env=env)
    return _ask("uv tool install .", work / "bin/sourceline", work / "tools/sourceline", watch.read(), checkout)


def by_make(checkout: Path, work: Path) -> Row:
    """``make serve``, until the first answer over HTTP."""
    watch = Stopwatch()
    env = clean(SOURCELINE_PORT="0", PYTHON=sys.executable)
    with subprocess.Popen(
        ["make", "serve"], cwd=checkout, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stderr
            lines = []
            for line in process.stderr:
                lines.append(line)
                if line.startswith("Building the index"):
                    install = watch.read()  # the processors' time is known only in the end
                if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            else:
                raise SystemExit(f"make serve failed:\n{''.join(lines)}")
            body = json.dumps({"question": QUESTION}).encode()
            request = Request(f"{match[0]}/v1/ask", body, {"Content-Type": "application/json"})
            with urlopen(request, timeout=60) as response:
                _require_answer(response.read().decode())
            answered = watch.read().seconds - install.seconds
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    return Row("make serve", _site(checkout / ".venv"), Timed(install.seconds, watch.read().cpu), Timed(answered, 0))


def _tool(name: str, work: Path) -> Path:
    """Install an installer."""
    run(sys.executable, "-m", "venv", work / name / "env", cwd=work, env=clean())
    run(work / name / "env/bin/python", "-m", "pip", "install", "--quiet", name, cwd=work, env=clean())
    return work / name / "env/bin" / name


def _ask(way: str, command: Path, environment: Path, install: Timed, checkout: Path) -> Row:
    """Build the index of the seed document and ask, with what was installed."""
    site, watch = _site(environment), Stopwatch()
    run(command, "rebuild-index", cwd=checkout, env=clean())
    _require_answer(run(command, "ask", QUESTION, "--json", cwd=checkout, env=clean()))
    return Row(way, site, install, watch.read())


def _require_answer(text: str) -> None:
    answer = json.loads(text)
    if answer["verdict"] != "answered" or not answer["passages"][0]["text"].endswith(ANSWER):
        raise SystemExit(f"another answer than expected: {text}")


def _site(environment: Path) -> Path:
    (site,) = environment.glob("lib/python*/site-packages")
    return site


def megabytes(site: Path, checkout: Path, bytecode: bool) -> float:
    """Return what was installed in MB of 2**20 bytes; an installer that stands beside it does not count."""
    tops = [path for path in site.iterdir() if not re.match(r"pip\b|setuptools\b|pkg_resources|_distutils", path.name)]
    if not (site / "sourceline").exists():  # installed in place
        tops.append(checkout / "src" / "sourceline")
    files = (file for top in tops for file in (top.rglob("*") if top.is_dir() else [top]) if file.is_file())
    return sum(file.stat().st_size for file in files if bytecode or file.suffix != ".pyc") / 2**20


WAYS: dict[str, Callable[[Path, Path], Row]] = {"pip": by_pip, "pipx": by_pipx, "uv": by_uv, "make": by_make}


def main() -> None:
    """Install in each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of {', '.join(WAYS)}; all by default")
    ways = parser.parse_args().ways or list(WAYS)
    print("| way | MB | with bytecode | install, s (CPU) | first answer, s (CPU) |\n|---|---|---|---|---|", flush=True)
    for name in ways:
        with tempfile.TemporaryDirectory() as scratch:
            checkout, work = Path(scratch) / "checkout", Path(scratch) / "work"
            checkout.mkdir()
            work.mkdir()
            unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
            for part in PARTS:
                if (ROOT / part).is_dir():
                    shutil.copytree(ROOT / part, checkout / part, ignore=unwanted)
                else:
                    shutil.copy(ROOT / part, checkout)
            row = WAYS[name](checkout, work)
            sizes = [f"{megabytes(row.site, checkout, bytecode):.0f}" for bytecode in (False, True)]
            times = [f"{timed.seconds:.0f} ({timed.cpu:.0f})" for timed in (row.install, row.answer)]
            print("|", " | ".join([row.way, *sizes, *times]), "|", flush=True)


if __name__ == "__main__":
    main()

"""What is documented is what there is, and README's commands work."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sourceline import __version__
from sourceline.config import Settings, load_settings
from sourceline.index import snapshot as manifest
from sourceline.index.dense import APPROXIMATE_ABOVE
from sourceline.index.snapshot import SNAPSHOTS
from sourceline.indexing.config import COMPACT_ABOVE
from sourceline.ingest.chunking import TITLE_SHARE, TITLE_TOKENS
from sourceline.server import rebuilds as status
from sourceline.server.app import create_app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
FORMAT = (ROOT / "index" / "README.md").read_text("utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def settings_table() -> str:
    """Return README's table of settings, made of the settings themselves."""
    rows = ["| name | command line | environment | default | |", "|---|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        flag = "–" if name == "api_key" else f"`--{name}`"
        default = str(getattr(field.default, "value", field.default))
        shown = f"`{default}`" if default else "–"
        rows.append(f"| `{name}` | {flag} | `SOURCELINE_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows)


def commands() -> list[str]:
    return re.findall(r"^\$ (.+)$", README, re.MULTILINE)


@pytest.fixture
def checkout(tmp_path: Path, compiled: Path) -> Path:
    """A folder like a checkout: the seed documents, and an index folder with nothing but the compiled model."""
    shutil.copytree(ROOT / "seeds", tmp_path / "seeds")
    shutil.copytree(compiled, tmp_path / "index")
    return tmp_path


@pytest.fixture
def port(checkout: Path) -> Iterator[int]:
    serve = [sys.executable, "-m", "sourceline", "serve", "--port", "0"]
    process = subprocess.Popen(serve, cwd=checkout, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        for line in process.stderr:
            if found := re.search(r":(\d+)$", line.strip()):
                yield int(found[1])
                break
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def test_every_setting_is_in_the_readme() -> None:
    assert settings_table() in README


def test_every_route_is_in_the_readme_and_no_other(seed_index: Path) -> None:
    paths = create_app(load_settings(documents=ROOT / "seeds", index=seed_index)).openapi()["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert set(re.findall(r"^\| `((?:GET|POST) /\S*)` \|", README, re.MULTILINE)) == routes


def test_every_command_is_in_the_readme_and_no_other() -> None:
    listed = subprocess.run([sys.executable, "-m", "sourceline", "-h"], capture_output=True, text=True, check=True)
    table = set(re.findall(r"^\| `sourceline ([\w-]+)", README, re.MULTILINE))
    known = set(re.findall(r"^│ ([a-z-]+)  ", listed.stdout.split("Commands")[1], re.MULTILINE))
    assert table == known


def test_every_dependency_is_explained() -> None:
    project = PYPROJECT["project"]
    pinned = project["dependencies"] + project["optional-dependencies"]["test"]
    section = README.split("## Dependencies")[1].split("## ")[0]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", one) for one in pinned)
    assert set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)) == {one.split("==")[0] for one in pinned}


def test_every_file_of_a_snapshot_is_described(seed_index: Path) -> None:
    (snapshot,) = (seed_index / SNAPSHOTS).iterdir()
    for path in snapshot.iterdir():
        assert f"`{path.name}{'/' if path.is_dir() else ''}`" in FORMAT


def test_the_format_of_a_snapshot_is_the_one_described() -> None:
    assert f"This is format {manifest.FORMAT};" in FORMAT
    assert f"above {COMPACT_ABOVE:,} bytes of documents" in FORMAT
    assert f"above {APPROXIMATE_ABOVE:,} rows" in FORMAT
    assert f"A title of at most {TITLE_TOKENS} tokens, and of a quarter of what" in FORMAT
    assert TITLE_SHARE == 1 / 4


def test_every_file_of_the_index_folder_is_described(seed_index: Path) -> None:
    for name in (*(path.name for path in seed_index.iterdir()), status.FILE, status.LOCK):
        assert re.search(rf"^{re.escape(name)}\b", FORMAT, re.MULTILINE)


def test_the_changelog_knows_the_version() -> None:
    assert PYPROJECT["project"]["version"] == __version__
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_make_targets_do_what_the_readme_says() -> None:
    for target, command in (("serve", "sourceline serve"), ("test", "pytest -q"), ("check", "mypy")):
        listed = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
        assert f"make {target}" in README
        assert command in listed.stdout


@pytest.mark.parametrize("command", [one for one in commands() if one.startswith("sourceline ")])
def test_the_readmes_commands_work(command: str, checkout: Path) -> None:
    run = [sys.executable, "-m", "sourceline"]
    subprocess.run([*run, "rebuild-index"], cwd=checkout, check=True, capture_output=True)
    ran = subprocess.run([*run, *shlex.split(command)[1:]], cwd=checkout, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    # The lines below it in the README are what it prints, but for times and ids of snapshots.
    shown = README.split(f"$ {command}\n")[1].split("```")[0].split("$ ")[0]
    printed = normal(ran.stdout).splitlines()
    for line in normal(shown).splitlines():
        assert line in printed


@pytest.mark.enable_socket
@pytest.mark.parametrize("command", [one for one in commands() if one.startswith("curl ")])
def test_the_readmes_requests_work(command: str, port: int) -> None:
    ran = subprocess.run(shlex.split(command.replace(":8080", f":{port}")), capture_output=True, text=True, check=True)
    shown = re.search(rf"{re.escape(command)}\n```\s+```json\n(.+?)```", README, re.DOTALL)
    assert shown
    # Processors differ a little in what they compute.
    answer, expected = json.loads(ran.stdout), json.loads(shown[1], parse_float=near)
    for one in (answer, expected):
        del one["snapshot"], one["took_ms"]
    assert answer == expected


def near(figure: str) -> object:
    """Return what equals a figure to what processors agree on."""
    return pytest.approx(float(figure), abs=0.05)


def normal(text: str) -> str:
    return re.sub(r"\d{8}-\d{8}T\d{6}Z|\d+\.\d+ s|(?<=windows: )\d+|\d added|\d unchanged|\d+%", "…", text)

"""A build that would run into a limit of its process is refused before it begins."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sourceline.errors import BuildError
from sourceline.index.snapshot import current_id
from sourceline.limits import OPEN_FILES, require_limits
from sourceline.types import DEFAULT_MODEL
from tests.conftest import Rebuild
from tests.support.index_folder import put

OTHER = "maker/another"
UNDER_A_LIMIT = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2); "
UNDER_A_LIMIT += "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"


def limit(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    kinds = {getattr(resource, name): value for name, value in limits.items()}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (kinds.get(kind, resource.RLIM_INFINITY),) * 2)
    monkeypatch.setattr("os.cpu_count", lambda: 4)


def test_without_a_limit_nothing_is_refused(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch)
    require_limits(index, OTHER)
    require_limits(tmp_path / "nowhere", OTHER)


def test_too_little_memory_is_told_with_what_is_needed(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, RLIMIT_AS=2_100_000_000, RLIMIT_DATA=2_100_000_000)
    require_limits(index, OTHER)
    require_limits(tmp_path / "nowhere", DEFAULT_MODEL)
    with pytest.raises(BuildError, match=r"needs 3,800 MB of address space on 4 cores, and may have 2,100 MB"):
        require_limits(tmp_path / "nowhere", OTHER)  # which has to be exported
    limit(monkeypatch, RLIMIT_DATA=2_099_999_999)
    with pytest.raises(BuildError, match=r"needs 2,100 MB .* raise the limit \(`ulimit -d 2050781`\)"):
        require_limits(index, DEFAULT_MODEL)


def test_too_few_open_files_are_told(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sourceline.limits._open_files", lambda: 10)
    limit(monkeypatch, RLIMIT_NOFILE=OPEN_FILES + 10)
    require_limits(index, DEFAULT_MODEL)
    limit(monkeypatch, RLIMIT_NOFILE=OPEN_FILES + 9)
    with pytest.raises(BuildError, match=r"needs 64 files open at once, and this process has 10 open and may have 73"):
        require_limits(index, DEFAULT_MODEL)


# At 300 MB the libraries crash when they are imported.
@pytest.mark.parametrize("megabytes", [300, 1000])
def test_a_command_under_a_low_limit_ends_with_one_line_and_what_was_served_stays(
    documents: Path, index: Path, rebuild: Rebuild, megabytes: int
) -> None:
    put(documents, {"a.txt": "The bridge opens on Monday.\n"})
    snapshot = rebuild(documents, index).snapshot
    command = ["-m", "sourceline", "rebuild-index", "--documents", str(documents), "--index", str(index)]

    process = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT, str(megabytes * 1_000_000), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert process.returncode == 1
    assert process.stderr.startswith("sourceline: a build needs ")
    assert process.stderr.count("\n") == 1
    assert current_id(index) == snapshot
    assert rebuild(documents, index).unchanged == ("a.txt",)  # the lock is free

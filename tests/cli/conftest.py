import os
import sys
from pathlib import Path

import pytest

from sourceline.cli.main import main
from tests.support.commands import Command, Outcome


@pytest.fixture
def sourceline(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run a command in this process, in a folder without settings."""
    for name in os.environ:
        if name.startswith("SOURCELINE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["sourceline", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(ended.value.code, *capsys.readouterr())

    return run

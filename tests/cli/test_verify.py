import io
import json
import sys
from pathlib import Path

import pytest

from sourceline.api import Index
from tests.cli.test_imports import BUILDING, ENCODING, MEASURING, SERVING, imported
from tests.conftest import SEEDS, Rebuild
from tests.support.api import serve
from tests.support.commands import Command

TRUE = "The meeting focused on long-term cooperation."
MEETING = """Ilse Kern: Who will sign the certificate in June?
Bo Lind: The inspector will not sign it in June.
Ilse Kern: That is bad news for all of us.
Bo Lind: We need a new ring.
"""


def test_each_quotation_is_shown_with_its_status_and_its_place(sourceline: Command, seed_index: Path) -> None:
    outcome = sourceline("verify", TRUE, "--index", seed_index)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        f"verbatim: {TRUE}",
        "  meeting · meeting.txt, line 1 · szqqxxrqzxi5xaum",
    ]
    outcome = sourceline("verify", "He called it “deeply emotional and practical”.", "--index", seed_index)
    assert outcome.code == 1
    assert outcome.out.splitlines() == [
        "altered (similarity 0.75): deeply emotional and practical",
        "  practical instead of: spiritual",
        "  nearest: During the meeting, Pezeshkian described the relationship as deeply emotional and spiritual.",
        "  meeting · meeting.txt, line 1 · c4opzevrc5rwcip4",
    ]
    outcome = sourceline("verify", "“The meeting focused … cooperation”", "--index", seed_index)
    assert (outcome.code, outcome.out.splitlines()[1]) == (0, "  left out: on long-term")


@pytest.mark.parametrize(
    ("text", "code", "first"),
    [
        (f"“{TRUE[:-1]},” he said.", 0, f"reformatted: {TRUE[:-1]},"),
        (f"{TRUE} Nobody sang.", 0, f"verbatim: {TRUE}"),
        ("Penguins live in the south and feed on fish.", 1, "absent: Penguins live in the south and feed on fish."),
        ("Nobody sang.", 0, "too short: Nobody sang."),
        ("…", 0, "There is nothing to check."),
        ("Th\x1b[31me meeting focused on\x07 cooperation.", 1, None),
    ],
)
def test_the_exit_code_says_whether_everything_is_right(
    sourceline: Command, seed_index: Path, text: str, code: int, first: str | None
) -> None:
    outcome = sourceline("verify", text, "--index", seed_index)
    assert outcome.code == code
    assert "\x1b" not in outcome.out
    assert "\x07" not in outcome.out
    if first is not None:
        assert outcome.out.splitlines()[0] == first


def test_who_says_it_instead_is_shown(sourceline: Command, documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text(MEETING)
    rebuild(documents, index)
    outcome = sourceline("verify", "Ilse Kern said: “The inspector will not sign it in June.”", "--index", index)
    assert outcome.code == 1
    assert outcome.out.splitlines()[:2] == [
        "verbatim: The inspector will not sign it in June.",
        "  said by Bo Lind, not by Ilse Kern",
    ]


def test_a_dash_reads_standard_input(sourceline: Command, seed_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(content: bytes) -> tuple[int | str | None, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        outcome = sourceline("verify", "-", "--index", seed_index)
        return outcome.code, outcome.out

    code, out = run(f"\ufeff{TRUE}\n\n“deeply emotional and spiritual”\n".encode())
    assert (code, out.count("verbatim")) == (0, 2)
    assert run(b"\xff\xfe\xff")[0] == 2


def test_json_is_what_the_server_answers(sourceline: Command, seed_index: Path) -> None:
    text = f"{TRUE} Trade grew by 7 percent over the years."
    printed = json.loads(sourceline("verify", text, "--index", seed_index, "--json").out)
    with serve(SEEDS, seed_index) as client:
        served = client.post("/v1/verify", json={"text": text}).json()
    assert printed | {"took_ms": 0} == served | {"took_ms": 0}


def test_to_check_what_stands_no_model_is_imported(seed_index: Path) -> None:
    modules = imported("verify", TRUE, "--index", str(seed_index))
    assert not modules & (SERVING | BUILDING | MEASURING | ENCODING)


def test_without_an_index_it_says_what_to_do(sourceline: Command, tmp_path: Path) -> None:
    outcome = sourceline("verify", TRUE, "--index", tmp_path / "none")
    assert (outcome.code, outcome.out) == (1, "")
    assert "rebuild-index" in outcome.err
    assert not Index.exists(tmp_path / "none")

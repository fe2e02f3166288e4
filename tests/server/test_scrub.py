import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from sourceline.citations.ledger import FILE as LEDGER
from sourceline.config import Settings, load_settings
from sourceline.durable import file_lock
from sourceline.index.snapshot import DAMAGED, SNAPSHOTS
from sourceline.server import scrub
from sourceline.server.live_index import LiveIndex
from sourceline.server.metrics import FOLDER_VARIABLE, Metrics
from sourceline.server.scrub import BYTES_PER_SECOND, ScrubThread
from sourceline.types import NO_RERANKER
from tests.conftest import Rebuild
from tests.support.api import serve, wait_until
from tests.support.index_folder import build_each, contents, snapshot_names


@pytest.fixture
def settings(documents: Path, index: Path, rebuild: Rebuild) -> Settings:
    """The settings of an index with two snapshots."""
    build_each(documents, index, rebuild, *({"a.txt": f"It opens on {day}.\n"} for day in ("Monday", "Sunday")))
    return load_settings(documents=documents, index=index, reranker=NO_RERANKER)


class Scrub:
    """One that does not wait, with what it tells."""

    def __init__(self, settings: Settings, wait: Callable[[float], bool] = lambda _: False) -> None:
        self.live_index, self._metrics = LiveIndex(settings), Metrics()
        self.thread = ScrubThread(settings, self.live_index, self._metrics, wait)

    def metric(self, name: str) -> float:
        text = self._metrics.text(self.live_index.index.snapshot, is_building=False).decode()
        (value,) = [line.split()[-1] for line in text.splitlines() if line.startswith(f"sourceline_{name} ")]
        return float(value)


def flip(path: Path) -> None:
    """Flip a bit in the middle of a file, which may be a link to that of another index."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def test_a_round_reads_the_snapshot_its_encoder_and_the_ledger(settings: Settings) -> None:
    newest = snapshot_names(settings.local_folder)[-1]
    read = {
        name: data
        for name, data in contents(settings.local_folder).items()
        if name.startswith((LEDGER, f"{SNAPSHOTS}/{newest}/", "encoders/")) and not name.endswith(".lock")
    }
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return False

    scrub = Scrub(settings, wait)
    assert scrub.metric("scrub_finished_timestamp_seconds") == 0
    scrub.thread.round()
    assert scrub.metric("scrubbed_files_total") == len(read)
    assert scrub.metric("scrubbed_bytes_total") == sum(map(len, read.values()))
    assert scrub.metric("damaged_files") == 0
    assert scrub.metric("scrub_finished_timestamp_seconds") > 0
    # As time passes meanwhile, each wait is for the rest: together, what the rate asks for is the last one's.
    assert max(waited) <= sum(map(len, read.values())) / BYTES_PER_SECOND
    assert sum(waited) > 0


def test_a_damaged_snapshot_is_set_aside_by_every_process_and_the_one_before_served(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    older, newer = snapshot_names(settings.local_folder)
    scrub, other = Scrub(settings), LiveIndex(settings)
    flip(settings.local_folder / SNAPSHOTS / newer / "tokens.codes")
    scrub.thread.round()
    assert scrub.live_index.index.snapshot.id == older
    assert snapshot_names(settings.local_folder) == [older, newer + DAMAGED]
    assert scrub.metric("damaged_files") == 1
    assert (
        f"snapshot {newer} is damaged: tokens.codes is not as it was written: run `sourceline rebuild-index`"
        in caplog.text
    )
    assert other.index.snapshot.id == newer
    other.refresh()
    assert other.index.snapshot.id == older
    assert other.index.ask("When does it open?", k=1).hits[0].passage.text == "It opens on Monday."
    scrub.thread.round()
    assert scrub.metric("damaged_files") == 0


@pytest.mark.parametrize(("name", "remedy"), [(LEDGER, "sourceline restore"), ("tokenizer.json", "rebuild-index")])
def test_a_damaged_ledger_or_encoder_is_told_and_what_is_served_goes_on(
    settings: Settings, caplog: pytest.LogCaptureFixture, name: str, remedy: str
) -> None:
    scrub = Scrub(settings)
    served = scrub.live_index.index.snapshot.id
    flip(next(settings.local_folder.rglob(name)))
    scrub.thread.round()
    assert scrub.metric("damaged_files") == 1
    assert scrub.metric("scrub_finished_timestamp_seconds") > 0
    (message,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert name in message
    assert remedy in message
    assert scrub.live_index.index.snapshot.id == served


def test_a_snapshot_that_a_build_removes_meanwhile_is_not_damaged(settings: Settings, rebuild: Rebuild) -> None:
    left = 1

    def build_meanwhile(_: float) -> bool:
        nonlocal left
        if left:
            left = 0
            build_each(
                settings.documents,
                settings.local_folder,
                rebuild,
                *({"a.txt": f"It opens in {month}.\n"} for month in ("May", "June")),
            )
        return False

    scrub = Scrub(settings, build_meanwhile)
    scrub.thread.round()
    assert scrub.live_index.index.snapshot.id == snapshot_names(settings.local_folder)[-1]
    assert scrub.metric("damaged_files") == 0
    assert scrub.metric("scrub_finished_timestamp_seconds") == 0


def test_the_server_scrubs_in_one_process_and_stops_in_the_middle(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(scrub, "FIRST_SECONDS", 0)
    monkeypatch.setattr(scrub, "TAKE_OVER_SECONDS", 0.01)
    never = "sourceline_scrub_finished_timestamp_seconds 0.0"
    with serve(settings.documents, settings.local_folder, reranker=NO_RERANKER, scrub=0) as client:
        assert never in client.get("/metrics").text
    monkeypatch.setattr(scrub, "BYTES_PER_SECOND", 1)
    with serve(settings.documents, settings.local_folder, reranker=NO_RERANKER) as client:
        assert never in client.get("/metrics").text  # it would take a year, and the server ends
    monkeypatch.setattr(scrub, "BYTES_PER_SECOND", 10**9)
    with serve(settings.documents, settings.local_folder, reranker=NO_RERANKER) as client:
        wait_until(lambda: never not in client.get("/metrics").text)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    lock = tmp_path / "scrub.lock"
    waits = iter([False, False, True])
    waiting = Scrub(settings, lambda _: next(waits))
    with file_lock(lock, "held"):
        waiting.thread._run()
    monkeypatch.delenv(FOLDER_VARIABLE)
    assert waiting.metric("scrubbed_files_total") == 0

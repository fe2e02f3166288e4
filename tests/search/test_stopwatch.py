import pytest

from sourceline.search.stopwatch import Stopwatch
from sourceline.types import Stage, StageTime


def test_time_is_divided_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.perf_counter", iter([10.0, 13.0, 14.0, 18.0, 18.5]).__next__)
    watch = Stopwatch()
    watch.lap(Stage.ENCODE, first=StageTime(Stage.TOKENIZE, 1.0))
    watch.lap(Stage.CANDIDATES)
    watch.lap(Stage.ENCODE, first=StageTime(Stage.TOKENIZE, 5.0))  # another thread did it, before this one waited
    watch.lap(Stage.REST)
    assert watch.times == (
        StageTime(Stage.TOKENIZE, 1.0),
        StageTime(Stage.ENCODE, 2.0),
        StageTime(Stage.CANDIDATES, 1.0),
        StageTime(Stage.TOKENIZE, 4.0),
        StageTime(Stage.ENCODE, 0.0),
        StageTime(Stage.REST, 0.5),
    )

"""How long each stage of an answer takes."""

import time

from sourceline.types import Stage, StageTime


class Stopwatch:
    """Divides the time since it was made among stages, without a gap. For one question, in one thread.

    >>> watch = Stopwatch()
    >>> watch.lap(Stage.ENCODE, first=StageTime(Stage.TOKENIZE, 0.0))
    >>> watch.lap(Stage.CANDIDATES)
    >>> [time.stage.value for time in watch.times]
    ['tokenize', 'encode', 'candidates']
    """

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self._times: list[StageTime] = []

    def lap(self, stage: Stage, first: StageTime | None = None) -> None:
        """Give the time since the lap before to a stage; ``first`` is what of it belongs to another."""
        now = time.perf_counter()
        seconds = now - self._since
        self._since = now
        if first:
            # Of a result that threads share, one may have waited for less than it took.
            part = min(first.seconds, seconds)
            self._times.append(StageTime(first.stage, part))
            seconds -= part
        self._times.append(StageTime(stage, seconds))

    @property
    def times(self) -> tuple[StageTime, ...]:
        """The laps, in order."""
        return tuple(self._times)

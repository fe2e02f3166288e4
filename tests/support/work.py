"""How much work something is. It is counted, not timed: a clock says how busy the machine is."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

GIVE_UP_SECONDS = 120  # of processor time; what is tested takes some tenths of one


def lines_run(call: Callable[[], object]) -> int:
    """Return how many lines of Python a call runs in this thread, each as often as it is run.

    >>> lines_run(lambda: [number for number in range(100)]) - lines_run(lambda: [number for number in range(50)])
    50
    """
    count = 0

    def trace(_: FrameType, event: str, __: Any) -> Callable[[FrameType, str, Any], Any]:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def require_linear(call: Callable[[int], object], size: int) -> None:
    """Assert that four times the size takes at most about four times the work; sixteen times would be quadratic."""
    call(size)  # what is imported or made once
    small, large = (lines_run(partial(call, each)) for each in (size, 4 * size))
    assert large < 6 * small, f"{small:,} lines for a size of {size:,}, {large:,} for four times as much"


@contextmanager
def soon() -> Iterator[None]:
    """Fail what does not end, or takes minutes where it is to take moments.

    Lines of Python cannot be counted in a pattern that looks at a text over and over.
    """

    def give_up(*_: object) -> None:
        raise AssertionError(f"it has not ended after {GIVE_UP_SECONDS} s of processor time")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, GIVE_UP_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)

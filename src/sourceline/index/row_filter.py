"""A filter: which rows of the index may be returned."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Disjoint, ascending ranges of rows. A document's passages are neighbours, so a few ranges name many rows."""

    ranges: tuple[range, ...]

    @classmethod
    def of(cls, ranges: Iterable[range]) -> "RowFilter":
        """Join the ranges (ascending, disjoint) that touch each other."""
        joined: list[range] = []
        for wanted in ranges:
            if joined and joined[-1].stop == wanted.start:
                joined[-1] = range(joined[-1].start, wanted.stop)
            elif wanted:
                joined.append(wanted)
        return cls(tuple(joined))

    def __len__(self) -> int:
        """Return how many rows there are."""
        return sum(map(len, self.ranges))

    def __contains__(self, row: int) -> bool:
        """Return whether the row is in one of the ranges."""
        at = bisect_right(self.ranges, row, key=lambda wanted: wanted.start)
        return at > 0 and row in self.ranges[at - 1]

    def bitmap(self, total: int) -> npt.NDArray[np.uint8]:
        """Return one bit a row, the lowest bit first, for ``total`` rows."""
        mask = np.zeros(total, dtype=bool)
        for wanted in self.ranges:
            mask[wanted.start : wanted.stop] = True
        return np.packbits(mask, bitorder="little")

"""A filter: the rows of the index that may be returned."""

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
    def from_ranges(cls, ranges: Iterable[range]) -> "RowFilter":
        """Join ranges (ascending, disjoint) that touch each other."""
        joined: list[range] = []
        for rows in ranges:
            if joined and joined[-1].stop == rows.start:
                joined[-1] = range(joined[-1].start, rows.stop)
            elif rows:
                joined.append(rows)
        return cls(tuple(joined))

    def __len__(self) -> int:
        """Return how many rows pass."""
        return sum(map(len, self.ranges))

    def __contains__(self, row: int) -> bool:
        """Return whether a row passes."""
        at = bisect_right(self.ranges, row, key=lambda rows: rows.start)
        return at > 0 and row in self.ranges[at - 1]

    def bitmap(self, total: int) -> npt.NDArray[np.uint8]:
        """Return one bit a row, the lowest bit first, for ``total`` rows."""
        mask = np.zeros(total, dtype=bool)
        for rows in self.ranges:
            mask[rows.start : rows.stop] = True
        return np.packbits(mask, bitorder="little")

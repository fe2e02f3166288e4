"""A filter: the rows of the index that may be returned."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sourceline.encoders.base import Int64


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Disjoint, ascending ranges of rows: those in some documents, of these those that some speakers say.

    ``ranges`` are the rows that pass. ``documents``, the numbers of the documents, and ``speakers``, the names, are for
    an index that has these as terms; each is empty if nothing is limited by it.
    """

    ranges: tuple[range, ...]
    documents: tuple[int, ...] = ()
    speakers: tuple[str, ...] = ()

    @classmethod
    def from_documents(cls, documents: Sequence[tuple[int, range]]) -> "RowFilter":
        """Return a filter that all rows of these documents pass: their numbers, ascending, and rows."""
        return cls(_joined(rows for _, rows in documents), tuple(number for number, _ in documents))

    @classmethod
    def from_ranges(cls, ranges: Iterable[range]) -> "RowFilter":
        """Join ranges (ascending, disjoint) that touch each other; such a filter knows no documents."""
        return cls(_joined(ranges))

    def said_by(self, speakers: Sequence[str], rows: Int64) -> "RowFilter":
        """Return the filter limited to what speakers say: their names, and all their rows, ascending."""
        breaks = np.flatnonzero(np.diff(rows) > 1) + 1
        said = [range(int(run[0]), int(run[-1]) + 1) for run in np.split(rows, breaks) if len(run)]
        return RowFilter(_common(self.ranges, said), self.documents, tuple(speakers))

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


def _joined(ranges: Iterable[range]) -> tuple[range, ...]:
    joined: list[range] = []
    for rows in ranges:
        if joined and joined[-1].stop == rows.start:
            joined[-1] = range(joined[-1].start, rows.stop)
        elif rows:
            joined.append(rows)
    return tuple(joined)


def _common(first: Sequence[range], second: Sequence[range]) -> tuple[range, ...]:
    """Return what is in both of two ascending sequences of disjoint ranges."""
    common: list[range] = []
    at = 0
    for rows in first:
        while at < len(second) and second[at].stop <= rows.start:
            at += 1
        following = at
        while following < len(second) and second[following].start < rows.stop:
            other = second[following]
            common.append(range(max(rows.start, other.start), min(rows.stop, other.stop)))
            following += 1
    return _joined(common)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceline.index.row_filter import RowFilter


@pytest.mark.parametrize(
    ("ranges", "joined"),
    [
        ([], ()),
        ([range(0, 0)], ()),
        ([range(0, 3)], (range(0, 3),)),
        ([range(0, 3), range(3, 5)], (range(0, 5),)),
        ([range(0, 3), range(3, 3), range(3, 4), range(6, 7)], (range(0, 4), range(6, 7))),
        ([range(1, 2), range(4, 4), range(5, 9)], (range(1, 2), range(5, 9))),
    ],
)
def test_ranges_that_touch_are_joined_and_empty_ones_are_left_out(
    ranges: list[range], joined: tuple[range, ...]
) -> None:
    assert RowFilter.of(ranges).ranges == joined


def test_the_bitmap_has_the_lowest_bit_first() -> None:
    rows = RowFilter.of([range(0, 2), range(9, 11)])

    assert len(rows) == 4
    assert rows.bitmap(11).tolist() == [0b00000011, 0b00000110]
    assert RowFilter.of([]).bitmap(9).tolist() == [0, 0]
    assert RowFilter.of([]).bitmap(0).tolist() == []


@given(st.lists(st.integers(0, 12), max_size=12))
def test_rows_are_the_same_however_they_are_asked(steps: list[int]) -> None:
    edges = np.cumsum([0, *steps]).tolist()
    ranges = [range(start, end) for start, end in zip(edges[::2], edges[1::2], strict=False)]
    total = edges[-1] + 3

    rows = RowFilter.of(ranges)

    named = [row for wanted in ranges for row in wanted]
    assert [row for wanted in rows.ranges for row in wanted] == named
    assert len(rows) == len(named)
    assert [row for row in range(-1, total) if row in rows] == named
    assert np.flatnonzero(np.unpackbits(rows.bitmap(total), bitorder="little")).tolist() == named
    assert all(one.stop < following.start for one, following in zip(rows.ranges, rows.ranges[1:], strict=False))

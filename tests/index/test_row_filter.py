from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
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
    assert RowFilter.from_ranges(ranges).ranges == joined


def test_the_bitmap_has_the_lowest_bit_first() -> None:
    row_filter = RowFilter.from_ranges([range(0, 2), range(9, 11)])

    assert len(row_filter) == 4
    assert row_filter.bitmap(11).tolist() == [0b00000011, 0b00000110]
    assert RowFilter.from_ranges([]).bitmap(9).tolist() == [0, 0]
    assert RowFilter.from_ranges([]).bitmap(0).tolist() == []


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), max_size=12))
def test_length_membership_and_bitmap_agree_with_the_ranges(steps: list[int]) -> None:
    edges = np.cumsum([0, *steps]).tolist()
    ranges = [range(start, end) for start, end in zip(edges[::2], edges[1::2], strict=False)]
    rows = [row for each in ranges for row in each]
    total = edges[-1] + 3

    row_filter = RowFilter.from_ranges(ranges)

    assert [row for each in row_filter.ranges for row in each] == rows
    assert len(row_filter) == len(rows)
    assert [row for row in range(-1, total) if row in row_filter] == rows
    assert np.flatnonzero(np.unpackbits(row_filter.bitmap(total), bitorder="little")).tolist() == rows
    assert all(before.stop < after.start for before, after in pairwise(row_filter.ranges))


def test_what_speakers_say_is_limited_to_the_documents() -> None:
    row_filter = RowFilter.from_documents([(0, range(0, 4)), (1, range(4, 6)), (3, range(9, 12))])
    said = row_filter.said_by(["Bo"], np.array([1, 2, 5, 7, 8, 9]))

    assert row_filter.ranges == (range(0, 6), range(9, 12))
    assert said.ranges == (range(1, 3), range(5, 6), range(9, 10))
    assert (said.documents, said.speakers) == ((0, 1, 3), ("Bo",))
    assert row_filter.said_by(["Nobody"], np.array([], dtype=np.int64)).ranges == ()


@settings(deadline=None)
@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_what_passes_is_in_a_document_and_said_by_a_speaker(rows: set[int], said: set[int]) -> None:
    row_filter = RowFilter.from_documents([(row, range(row, row + 1)) for row in sorted(rows)])
    both = row_filter.said_by(["Bo"], np.array(sorted(said), dtype=np.int64))
    assert [row for each in both.ranges for row in each] == sorted(rows & said)
    assert all(before.stop < after.start for before, after in pairwise(both.ranges))

"""How words are kept in a database."""

import numpy as np

from sourceline.index.postgres.words import LENGTHS, entries_of


def test_entries_say_where_a_word_stands_how_often_and_among_how_many_in_parts_that_fit_into_an_index() -> None:
    rows = [["bridge"] * (row % 2 + 1) + ["closed"] * (row == 7) for row in range(600)]
    found = list(entries_of(rows))
    assert [(word, len(entries) // 8) for word, entries in found] == [
        *(("bridge", count) for count in (250, 250, 100)),
        ("closed", 1),
    ]
    bridge = np.frombuffer(b"".join(entries for word, entries in found if word == "bridge"), "<i8")
    assert (bridge >> 16).tolist() == list(range(600))
    assert (bridge >> 8 & 0xFF).tolist() == [1, 2] * 300
    assert LENGTHS[bridge & 0xFF][6:9].tolist() == [1, 3, 1]

"""What the benchmarks compute and draw; that they run is up to whoever runs them."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import peer
import scale

ROWS = [
    {
        "sentences": size,
        "p50 ms": 6 + at,
        "p99 ms": 9 + at,
        "resident MB": 200 + at,
        "build MB": 190 + at,
        "snapshot B": 2_000 - at,
        "index B": 2_500 - at,
        "build s": 2 * 10**at,
        "R@1": 0.8 - at / 100,
        "R@1 common": 0.8,
        "recall": 1.0,
    }
    for at, size in enumerate((1_000, 10_000, 100_000))
]


def run(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, dict[str, float]]:
    return {peer.OURS: ours, peer.PEER: theirs}


def test_a_ratio_says_how_many_times_better_ours_is() -> None:
    speed, time, failed = "sentences indexed/s", "p50 at one client, ms", peer.FAILED
    runs = [
        run({speed: 500, time: 4, failed: 0}, {speed: 100, time: 20, failed: 2}),
        run({speed: 600, time: 5, failed: 0}, {speed: 100, time: 20, failed: 2}),
        run({speed: 700, time: 8, failed: 0}, {speed: 100, time: 20, failed: 2}),
    ]
    compared = peer.compare(runs)
    assert compared[speed] == {"Sourceline": (600, 500, 700), "txtai": (100, 100, 100), "ratio": (6, 5, 7)}
    assert compared[time]["ratio"] == (4, 2.5, 5)
    assert compared[failed] == {"Sourceline": (0, 0, 0), "txtai": (2, 2, 2), "ratio": None}
    assert peer.table(compared, "9.1", 5_250).splitlines() == [
        "| 5,250 sentences indexed | Sourceline | txtai 9.1 | ratio |",
        "|---|---|---|---|",
        "| sentences indexed/s | 600 (500 to 700) | 100 (100 to 100) | 6.0 × (5.0 to 7.0) |",
        "| p50 at one client, ms | 5.00 (4.00 to 8.00) | 20.0 (20.0 to 20.0) | 4.0 × (2.5 to 5.0) |",
        f"| {failed} | 0.00 (0.00 to 0.00) | 2.00 (2.00 to 2.00) |  |",
    ]


def test_ratios_are_on_a_logarithmic_axis_that_holds_all_of_them_and_one() -> None:
    figure = Figure()
    peer.draw({"start": (10, 5, 20), "disk": (4, 4, 4)}, figure)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    low, high = axes.get_xlim()
    assert low <= 0.5
    assert high >= 20
    assert [label.get_text() for label in axes.get_yticklabels()] == ["start", "disk"]
    assert [text.get_text() for text in axes.texts] == ["10.0 ×", "4.0 ×"]
    (intervals,) = (item for item in axes.collections if isinstance(item, LineCollection))
    assert [segment[:, 0].tolist() for segment in intervals.get_segments()] == [[5, 20], [4, 4]]
    points, parity = axes.get_lines()
    assert np.asarray(points.get_xdata()).tolist() == [10, 4]
    assert np.asarray(parity.get_xdata()).tolist() == [1, 1]


def test_each_panel_draws_its_columns_over_the_sizes() -> None:
    figure = Figure()
    scale.draw(ROWS, figure)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [title for title, _, _ in scale.PANELS]
    for axes, (_, columns, logarithmic) in zip(figure.axes, scale.PANELS, strict=True):
        assert axes.get_yscale() == ("log" if logarithmic else "linear")
        lines = axes.get_lines()
        assert [line.get_label() for line in lines] == list(columns)
        for line, column in zip(lines, columns, strict=True):
            assert np.asarray(line.get_xdata()).tolist() == [1_000, 10_000, 100_000]
            assert np.asarray(line.get_ydata()).tolist() == [row[column] for row in ROWS]


@pytest.mark.parametrize(
    ("value", "label"), [(1_000_000, "1M"), (15_000, "15k"), (1_000, "1k"), (100, "100"), (0.1 + 0.2, "0.3")]
)
def test_ticks_are_short(value: float, label: str) -> None:
    assert scale.format_tick(value) == label


def test_a_plot_in_a_file_brings_its_own_colors() -> None:
    for svg in (peer.plot("Times & more", {"start": (3, 2, 4)}), scale.plot(ROWS)):
        root = ET.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "prefers-color-scheme: dark" in (root.findtext("{http://www.w3.org/2000/svg}style") or "")

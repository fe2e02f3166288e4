"""The cost curve as one SVG: a panel for each figure over the number of sentences, light or dark as the reader is."""

import math
from collections.abc import Mapping, Sequence
from html import escape

RowFilter = Sequence[Mapping[str, float]]

# Title, the figures in it, and whether its axis is logarithmic.
_PANELS = (
    ("answer at one client, ms", ("p50 ms", "p99 ms"), True),
    ("memory, MB", ("resident MB", "build MB"), True),
    ("disk, bytes a sentence", ("snapshot B", "index B"), False),
    ("build, s", ("build s",), True),
    ("R@1", ("R@1", "R@1 same"), False),
    ("recall of dense search", ("recall",), False),
)
_ACROSS, _WIDTH, _HEIGHT = 3, 300, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 44, 34
_STYLE = """
svg { --ink: #1c1c1c; --faint: #dcdcdc; --paper: #fff; --one: #0b62c4; --two: #b8460e; }
text { font: 12px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #e8e8e8; --faint: #3c3c3c; --paper: #161616; --one: #74b4ff; --two: #ff9d66; }
}
rect { fill: var(--paper); } text { fill: var(--ink); } line { stroke: var(--faint); }
polyline { fill: none; stroke-width: 2; } polyline.a { stroke: var(--one); } polyline.b { stroke: var(--two); }
circle.a { fill: var(--one); } circle.b { fill: var(--two); }
"""


def draw(rows: RowFilter) -> str:
    """Return the SVG of what ``scale.py`` measured."""
    width, height = _ACROSS * _WIDTH, -(-len(_PANELS) // _ACROSS) * _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" width="{width}">',
        f"<title>What size costs</title><style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}"/>',
    ]
    for at, (title, names, logarithmic) in enumerate(_PANELS):
        place = f"translate({at % _ACROSS * _WIDTH} {at // _ACROSS * _HEIGHT})"
        parts += [f'<g transform="{place}">', *_panel(rows, title, names, logarithmic), "</g>"]
    return "\n".join([*parts, "</svg>\n"])


def _panel(rows: RowFilter, title: str, names: Sequence[str], logarithmic: bool) -> list[str]:
    sizes = [row["sentences"] for row in rows]
    across = _ticks(min(sizes) * 1.25, max(sizes) / 1.25, True)  # a corpus is only about as large as is said
    values = [row[name] for row in rows for name in names]
    up = _ticks(min(values), max(values), logarithmic)
    parts = [_text(_LEFT - 40, 18, title, "start")]
    for tick in across:
        x = _place(tick, across, True, _LEFT, _WIDTH - _RIGHT)
        parts += [_line(x, _TOP, x, _HEIGHT - _BOTTOM), _text(x, _HEIGHT - _BOTTOM + 18, _number(tick), "middle")]
    for tick in up:
        y = _place(tick, up, logarithmic, _HEIGHT - _BOTTOM, _TOP)
        parts += [_line(_LEFT, y, _WIDTH - _RIGHT, y), _text(_LEFT - 12, y + 4, _number(tick), "end")]
    for style, name in zip("ab", names, strict=False):
        x = _LEFT if style == "a" else _LEFT + 24 + 7 * len(names[0])
        parts += [f'<circle class="{style}" cx="{x + 4}" cy="32" r="4"/>', _text(x + 12, 36, name, "start")]
        points = [
            (
                _place(row["sentences"], across, True, _LEFT, _WIDTH - _RIGHT),
                _place(row[name], up, logarithmic, _HEIGHT - _BOTTOM, _TOP),
            )
            for row in rows
        ]
        parts.append(f'<polyline class="{style}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>')
        parts += [
            f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{name}: {row[name]:,}</title></circle>'
            for (x, y), row in zip(points, rows, strict=True)
        ]
    return parts


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    """Return round numbers up to above the greatest: powers of ten from the least on, or some even steps from 0."""
    if logarithmic:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return [10.0**power for power in range(first, max(last, first + 1) + 1)]
    power = 10.0 ** math.floor(math.log10(high))
    step = next(share * power for share in (0.2, 0.5, 1, 2) if high <= 5.001 * share * power)
    return [step * at for at in range(math.ceil(high / step - 0.001) + 1)]


def _place(value: float, ticks: Sequence[float], logarithmic: bool, start: float, end: float) -> float:
    value, low, high = (math.log10(one) if logarithmic else one for one in (value, ticks[0], ticks[-1]))
    return start + (value - low) / (high - low) * (end - start)


def _number(value: float) -> str:
    """Return a tick's label.

    >>> _number(1_000_000), _number(10_000), _number(0.1 + 0.2)
    ('1M', '10k', '0.3')
    """
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1_000:g}k" if value >= 10_000 else f"{value:.4g}"


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'

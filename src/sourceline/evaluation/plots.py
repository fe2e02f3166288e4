"""Plots, as SVG, for a page with ``STYLE`` in it, which colours the classes ``one``, ``two``, ``axis`` and ``grid``."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from sourceline.evaluation.metrics import Bin, Figure, Float64

WIDTH, HEIGHT = 460, 340
LEFT, RIGHT, TOP, BOTTOM = 60, 440, 14, 290
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --faint: #dcdcdc; --one: #0b62c4; --two: #b8460e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --paper: #161616; --faint: #3c3c3c; --one: #74b4ff; --two: #ff9d66; }
}
svg { max-width: 100%; height: auto; font: 13px system-ui, sans-serif; }
svg text { fill: var(--ink); }
line.one, polyline.one { stroke: var(--one); stroke-width: 2; } line.two { stroke: var(--two); stroke-width: 2; }
circle.one { fill: var(--one); } circle.two { fill: var(--two); }
.axis { stroke: var(--ink); } .grid { stroke: var(--faint); } .dashed { stroke-dasharray: 4 4; }
"""
_POINTS = 200
_ROW = 44
_STEPS = tuple(digit * 10.0**power for power in range(-6, 7) for digit in (1, 2, 5))


def quality(title: str, figures: dict[str, dict[str, Figure]], measures: tuple[str, str]) -> str:
    """Return a row for each system, with two measures as points on their intervals.

    Args:
        title: for readers of the screen.
        figures: by system, then measure.
        measures: the two that are shown.
    """
    left = 24 + 7 * max(map(len, figures))  # the names stand there; a letter is at most 7 wide
    right, bottom = left + 480, TOP + _ROW * len(figures)
    parts = []
    for tick in TICKS:
        x = _between(tick, left, right)
        parts += [_line("grid", x, TOP, x, bottom), _text(x, bottom + 18, f"{tick:.1f}", "middle")]
    for row, (system, values) in enumerate(figures.items()):
        middle = TOP + _ROW * row + _ROW / 2
        parts.append(_text(left - 10, middle + 5, system, "end"))
        for name, style, shift in zip(measures, ("one", "two"), (-7, 7), strict=True):
            figure, y = values[name], middle + shift
            low, mean, high = (_between(at, left, right) for at in (figure.low, figure.mean, figure.high))
            parts += [_line(style, low, y, high, y), _dot(style, mean, y, 4, f"{system}: {name} {figure.mean:.3f}")]
    for at, (name, style) in enumerate(zip(measures, ("one", "two"), strict=True)):
        x = left + 110 * at
        parts += [_dot(style, x + 6, bottom + 38, 4, name), _text(x + 16, bottom + 43, name, "start")]
    return _svg(title, right + 24, bottom + 56, parts)


def risk_coverage(title: str, risks: Float64) -> str:
    """Return the share of wrong answers (up) among the most confident share of the questions (right)."""
    total = len(risks)
    chosen = sorted({round(step * (total - 1) / _POINTS) for step in range(_POINTS + 1)})
    points = " ".join(f"{_x((at + 1) / total):.1f},{_y(float(risks[at])):.1f}" for at in chosen)
    curve = f'<polyline class="one" fill="none" points="{points}"/>'
    return _svg(title, WIDTH, HEIGHT, [*_axes("coverage: share of questions answered", "risk: share wrong"), curve])


def reliability(title: str, bins: Sequence[Bin]) -> str:
    """Return how often the first passage is right (up) by confidence (right); a greater dot is more questions."""
    most = max((one.count for one in bins), default=1)
    dots = [
        _dot("one", _x(one.confidence), _y(one.right), 3 + 9 * (one.count / most) ** 0.5, f"questions: {one.count:,}")
        for one in bins
    ]
    ideal = _line("axis dashed", _x(0), _y(0), _x(1), _y(1))
    return _svg(title, WIDTH, HEIGHT, [*_axes("confidence", "share right"), ideal, *dots])


def ratios(title: str, figures: Mapping[str, Figure]) -> str:
    """Return a row for each measure: a ratio above 0 as a point on its interval, on a logarithmic axis."""
    left = 24 + 7 * max(map(len, figures))
    right, bottom = left + 480, TOP + _ROW * len(figures)
    least = max(step for step in _STEPS if step <= min(0.5, *(figure.low for figure in figures.values())))
    most = min(step for step in _STEPS if step >= max(2.0, *(figure.high for figure in figures.values())))

    def place(ratio: float) -> float:
        return _between(math.log(ratio / least) / math.log(most / least), left, right)

    parts = []
    for step in _STEPS:
        if least <= step <= most:
            x = place(step)
            parts.append(_line("axis" if step == 1 else "grid", x, TOP, x, bottom))
            parts.append(_text(x, bottom + 18, f"{step:g}", "middle"))
    for row, (name, figure) in enumerate(figures.items()):
        y, x = TOP + _ROW * row + _ROW / 2, place(figure.mean)
        parts += [_text(left - 10, y + 5, name, "end"), _line("one", place(figure.low), y, place(figure.high), y)]
        parts += [_dot("one", x, y, 4, name), _text(x, y - 9, f"{figure.mean:.1f} ×", "middle")]
    return _svg(title, right + 24, bottom + 34, parts)


def standalone(plot: str) -> str:
    """Return a plot as a file of its own."""
    head, _, rest = plot.partition(">")
    namespace = 'xmlns="http://www.w3.org/2000/svg" '
    style = f"<style>{STYLE}svg {{ background: var(--paper); }}</style>"
    return f"{head.replace('<svg ', f'<svg {namespace}')}>{style}{rest}\n"


def _axes(across: str, up: str) -> list[str]:
    """Return both axes from 0 to 1."""
    parts = []
    for tick in TICKS:
        x, y = _x(tick), _y(tick)
        parts += [_line("grid", x, TOP, x, BOTTOM), _text(x, BOTTOM + 18, f"{tick:.1f}", "middle")]
        parts += [_line("grid", LEFT, y, RIGHT, y), _text(LEFT - 8, y + 5, f"{tick:.1f}", "end")]
    parts += [_line("axis", LEFT, BOTTOM, RIGHT, BOTTOM), _line("axis", LEFT, TOP, LEFT, BOTTOM)]
    middle = (TOP + BOTTOM) / 2
    parts.append(_text((LEFT + RIGHT) / 2, BOTTOM + 42, across, "middle"))
    parts.append(_text(16, middle, up, "middle", f' transform="rotate(-90 16 {middle})"'))
    return parts


def _x(value: float) -> float:
    return _between(value, LEFT, RIGHT)


def _y(value: float) -> float:
    return _between(value, BOTTOM, TOP)


def _between(value: float, low: float, high: float) -> float:
    return low + value * (high - low)


def _svg(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    head = f'<svg role="img" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">'
    return "\n".join([head, f"<title>{escape(title)}</title>", *parts, "</svg>"])


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _dot(style: str, x: float, y: float, radius: float, title: str) -> str:
    place = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"'
    return f'<circle class="{style}" {place}><title>{escape(title)}</title></circle>'


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'

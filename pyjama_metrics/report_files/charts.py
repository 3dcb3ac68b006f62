"""Charts as SVG, made here and without a script: colours are those of the page around it, by their classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 1000, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 8, 12, 26
_GRID = 4
_MOST_LABELS = 9
_TOPS = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10)
"""Of these a fourth reads well, too."""

Axis = Callable[[float], str]


class Bar(NamedTuple):
    """One bar: what it is called, what is said when one points at it, and its parts from below as (class, size)."""

    label: str
    title: str
    parts: tuple[tuple[str, float], ...]


def bars(values: Sequence[Bar], axis: Axis, described: str) -> str:
    """Stacked bars over a line, with a grid.

    Args:
        values: from left to right.
        axis: how a size is written at the axis.
        described: what the chart shows, for who cannot see it.
    """
    top = _round_up(max((sum(size for _, size in bar.parts) for bar in values), default=0.0))
    height, width = HEIGHT - _TOP - _BOTTOM, WIDTH - _LEFT - _RIGHT
    drawn = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(described)}">']
    for line in range(_GRID + 1):
        y = _TOP + height * (1 - line / _GRID)
        drawn.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(
            f'<text class="axis" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(axis(top * line / _GRID))}</text>'
        )
    slot = width / max(len(values), 1)
    thick = min(max(slot * 0.72, 0.6), 64.0)
    every = -(-len(values) // _MOST_LABELS)
    for number, bar in enumerate(values):
        left, y = _LEFT + slot * number + (slot - thick) / 2, float(_TOP + height)
        drawn.append(f"<g><title>{escape(bar.title)}</title>")
        # The whole slot answers the pointer, also where there is no bar.
        drawn.append(f'<rect class="slot" x="{_LEFT + slot * number:.2f}" y="{_TOP}" width="{slot:.2f}" height="{height}"/>')
        for kind, size in bar.parts:
            tall = size / top * height
            if tall:
                # What is there is seen, however little it is.
                tall = max(tall, 1.0)
                y -= tall
                drawn.append(f'<rect class="{kind}" x="{left:.2f}" y="{y:.2f}" width="{thick:.2f}" height="{tall:.2f}"/>')
        drawn.append("</g>")
        if not number % every:
            x = _LEFT + slot * (number + 0.5)
            drawn.append(f'<text class="axis" x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(bar.label)}</text>')
    drawn.append("</svg>")
    return "".join(drawn)


def _round_up(value: float) -> float:
    """The next number that reads well at an axis.

    >>> _round_up(7.3), _round_up(23), _round_up(101), _round_up(0)
    (8.0, 24.0, 120.0, 1.0)
    """
    if value <= 0:
        return 1.0
    unit = 1.0
    while unit * 10 < value:
        unit *= 10
    while unit >= value:
        unit /= 10
    return next(step * unit for step in _TOPS if step * unit >= value)

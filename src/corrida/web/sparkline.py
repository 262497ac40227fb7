"""A line as large as a word: how a number went, drawn as SVG on the page itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT, _EDGE = 120.0, 24.0, 3.0
_SVG = Markup(
    '<svg class="sparkline" viewBox="0 0 {0:.0f} {1:.0f}" width="{0:.0f}" height="{1:.0f}" role="img" aria-label="{2}">'
    '<polyline points="{3}"/><circle cx="{4:.1f}" cy="{5:.1f}" r="2.5"/></svg>'
)


def sparkline(points: Sequence[float], label: str) -> Markup:
    """Return a small line.

    Args:
        points: from the oldest to the newest; those that are not finite are left out; fewer than two give nothing.
        label: what it shows, for those who do not see it.
    """
    finite = [(i, p) for i, p in enumerate(points) if math.isfinite(p)]
    if len(finite) < 2:  # one point is no line
        return Markup("")
    low, high = min(p for _, p in finite), max(p for _, p in finite)
    span = high - low
    steps = max(len(points) - 1, 1)

    def place(number: int, point: float) -> tuple[float, float]:
        height = (point - low) / span if span and math.isfinite(span) else 0.5
        x = _EDGE + number / steps * (_WIDTH - 2 * _EDGE)
        return x, _HEIGHT - _EDGE - height * (_HEIGHT - 2 * _EDGE)

    places = [place(i, p) for i, p in finite]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return _SVG.format(_WIDTH, _HEIGHT, label, line, *places[-1])

"""Metrics of two runs: their values, and how sure their differences are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from corrida.analysis.charts.intervals import differences_tooltip, intervals_chart
from corrida.analysis.charts.theme import BAD, GOOD, QUIET, Spec
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from corrida.analysis.metrics_diff import MetricChange

_STATES = {"better": GOOD, "worse": BAD, "within noise": "#6E7781", "not tested": QUIET}
_SHAPES = {
    "better": "triangle-up",
    "worse": "triangle-down",
    "within noise": "circle",
    "not tested": "circle",
}


def differences_chart(
    metrics: Sequence[MetricChange], *, confidence: float, margin: float | None
) -> Spec | None:
    """Return the tested differences with their intervals, around 0.

    Args:
        metrics: those that were tested are shown.
        confidence: of the intervals.
        margin: differences inside ±margin do not matter; shaded. None shades nothing.

    Returns:
        The figure; None when no metric was tested.
    """
    rows = [
        {
            "metric": m.name,
            "difference": m.difference,
            "low": m.low,
            "high": m.high,
            "state": _state(m),
            "values": f"{format_number(m.a or 0.0)} → {format_number(m.b or 0.0)}",
        }
        for m in metrics
        if m.low is not None and m.high is not None and m.difference is not None
    ]
    if not rows:
        return None
    shaded = f"; shaded: too small to matter (±{format_number(margin)})" if margin else ""
    return intervals_chart(
        "Differences and what is sure of them",
        f"point: B − A on the shared items; line: {100 * confidence:g} % interval{shaded}",
        rows,
        name="metric",
        colours=_STATES,
        shapes=_SHAPES,
        facts=[
            {"field": "metric", "type": "nominal"},
            {"field": "values", "type": "nominal", "title": "A → B"},
            *differences_tooltip(),
        ],
        margin=margin,
    )


def _state(metric: MetricChange) -> str:
    if metric.real is None:
        return "not tested"
    if not metric.real or metric.better is None:
        return "within noise"
    return "better" if metric.better else "worse"

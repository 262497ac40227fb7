"""Metrics of two runs: their values, and how sure their differences are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from corrida.analysis.charts.theme import BAD, GOOD, QUIET, Spec, figure
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from corrida.analysis.metrics_diff import MetricChange

_ROW = 26
_STATES = {"better": GOOD, "worse": BAD, "within noise": "#6E7781", "not tested": QUIET}


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
    names = [row["metric"] for row in rows]
    states = [state for state in _STATES if any(row["state"] == state for row in rows)]
    y = {
        "field": "metric",
        "type": "nominal",
        "sort": names,
        "title": None,
        "axis": {"ticks": False, "domain": False},
    }
    colour = {
        "field": "state",
        "type": "nominal",
        "title": None,
        "scale": {"domain": states, "range": [_STATES[state] for state in states]},
        "legend": {"orient": "bottom"},
    }
    tooltip = [
        {"field": "metric", "type": "nominal"},
        {"field": "values", "type": "nominal", "title": "A → B"},
        {"field": "difference", "type": "quantitative", "format": "+.4f"},
        {"field": "low", "type": "quantitative", "format": "+.4f"},
        {"field": "high", "type": "quantitative", "format": "+.4f"},
    ]
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": [{"zero": 0}]},
            "mark": {"type": "rule", "color": "#6E7781", "strokeDash": [4, 3]},
            "encoding": {"x": {"field": "zero", "type": "quantitative"}},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 3},
            "encoding": {
                "y": y,
                "x": {"field": "low", "type": "quantitative", "title": "B − A", "axis": {"format": "+.3~f"}},
                "x2": {"field": "high"},
                "color": colour,
                "tooltip": tooltip,
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
            "encoding": {
                "y": y,
                "x": {"field": "difference", "type": "quantitative"},
                "color": colour,
                "shape": {
                    "field": "state",
                    "type": "nominal",
                    "title": None,
                    "scale": {"domain": states, "range": [_SHAPES[state] for state in states]},
                },
                "tooltip": tooltip,
            },
        },
    ]
    if margin:
        band = {
            "data": {"values": [{"from": -margin, "to": margin}]},
            "mark": {"type": "rect", "color": "#EAEEF2", "opacity": 0.9},
            "encoding": {"x": {"field": "from", "type": "quantitative"}, "x2": {"field": "to"}},
        }
        layers.insert(0, band)
    shaded = f"; shaded: too small to matter (±{format_number(margin)})" if margin else ""
    return figure(
        "Differences and what is sure of them",
        f"point: B − A on the shared items; line: {100 * confidence:g} % interval{shaded}",
        data={"values": rows},
        width=480,
        height=max(2, len(rows)) * _ROW,
        layer=layers,
    )


_SHAPES = {
    "better": "triangle-up",
    "worse": "triangle-down",
    "within noise": "circle",
    "not tested": "circle",
}


def _state(metric: MetricChange) -> str:
    if metric.real is None:
        return "not tested"
    if not metric.real or metric.better is None:
        return "within noise"
    return "better" if metric.better else "worse"

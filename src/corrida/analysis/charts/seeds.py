"""Several runs side by side: one point a run, and their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corrida.analysis.charts.theme import GOOD, INK, Spec, figure
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.analysis.aggregate_results import AxisResult, SeedContrast, Spread

_ROW = 30
_NAMES: dict[str, Any] = {"ticks": False, "domain": False, "labelLimit": 320}


def axis_chart(axis: AxisResult, runs: Sequence[str]) -> Spec:
    """Return the F1 of each matcher, strategy or model: a point a run, a bar at the mean, the worst run named.

    Args:
        axis: the results.
        runs: ids, in the order of the values.
    """
    points = [
        {"name": level.name, "run": run, "f1": value}
        for level in axis.levels
        for run, value in zip(runs, level.values, strict=True)
        if value is not None
    ]
    means = [{"name": level.name, "f1": level.mean, "text": f"{level.mean:.3f}"} for level in axis.levels]
    return _strips(
        f"F1 of each {axis.axis} over {len(runs)} runs",
        "a point: one run, the mean of its cells; the bar and the number: the mean over runs; the best worst run on top",
        points,
        means,
        [level.name for level in axis.levels],
    )


def metrics_chart(metrics: Sequence[Spread], runs: Sequence[str]) -> Spec | None:
    """Return metrics between 0 and 1: a point a run, a bar at the mean.

    Returns:
        The figure; None when there is none of that scale.
    """
    fit = [m for m in metrics if m.least >= 0 and m.greatest <= 1]
    if not fit:
        return None
    points = [
        {"name": m.name, "run": run, "f1": value}
        for m in fit
        for run, value in zip(runs, m.values, strict=True)
        if value is not None
    ]
    means = [{"name": m.name, "f1": m.mean, "text": format_number(round(m.mean, 4))} for m in fit]
    note = "a point: one run; the bar and the number: the mean"
    return _strips(f"Metrics over {len(runs)} runs", note, points, means, [m.name for m in fit])


def contrasts_chart(pairs: Sequence[SeedContrast], confidence: float, title: str) -> Spec:
    """Return the differences of pairs: a small point a run, the mean with its interval, around 0."""
    names = [f"{pair.better} − {pair.other}" for pair in pairs]
    rows = [
        {
            "name": name,
            "difference": pair.difference,
            "low": pair.low,
            "high": pair.high,
            "word": pair.judgement,
        }
        for name, pair in zip(names, pairs, strict=True)
    ]
    points = [
        {"name": name, "difference": d}
        for name, pair in zip(names, pairs, strict=True)
        for d in pair.differences
    ]
    y = {"field": "name", "type": "nominal", "sort": names, "title": None, "axis": _NAMES}
    x = {
        "field": "difference",
        "type": "quantitative",
        "title": "difference of F1",
        "axis": {"format": "+.2~f", "tickCount": 6},
    }
    return figure(
        title,
        f"circle: one run; diamond and line: the mean and its {100 * confidence:g} % interval on these items",
        data={"values": rows},
        width=480,
        height={"step": _ROW},
        layer=[
            {
                "data": {"values": [{"zero": 0}]},
                "mark": {"type": "rule", "color": "#6E7781", "strokeDash": [4, 3]},
                "encoding": {"x": {"field": "zero", "type": "quantitative"}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 3, "color": GOOD},
                "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
            },
            {
                "data": {"values": points},
                "mark": {"type": "point", "size": 45, "color": INK, "opacity": 0.8, "strokeWidth": 1.2},
                "encoding": {"y": y, "x": x},
            },
            {
                "mark": {"type": "point", "shape": "diamond", "filled": True, "size": 130, "color": GOOD, "opacity": 1},
                "encoding": {"y": y, "x": x},
            },
        ],
    )  # fmt: skip


def _strips(
    title: str,
    note: str,
    points: Sequence[dict[str, Any]],
    means: Sequence[dict[str, Any]],
    names: Sequence[str],
) -> Spec:
    y = {"field": "name", "type": "nominal", "sort": list(names), "title": None, "axis": _NAMES}
    x = {
        "field": "f1", "type": "quantitative", "title": None, "scale": {"zero": False, "nice": True, "padding": 12},
        "axis": {"format": ".2~f"},
    }  # fmt: skip
    return figure(
        title,
        note,
        width=440,
        height={"step": _ROW},
        layer=[
            {
                "data": {"values": points},
                "mark": {"type": "point", "size": 60, "color": GOOD, "opacity": 0.9, "strokeWidth": 1.5},
                "encoding": {"y": y, "x": x, "tooltip": [{"field": "run", "type": "nominal"}, {"field": "f1", "type": "quantitative"}]},
            },
            {
                "data": {"values": means},
                "mark": {"type": "tick", "thickness": 3, "size": 20, "color": INK},
                "encoding": {"y": y, "x": x},
            },
            {
                "data": {"values": means},
                "mark": {"type": "text", "align": "left", "fontSize": 11, "color": INK},
                "encoding": {"y": y, "x": {"value": 448}, "text": {"field": "text"}},
            },
        ],
    )  # fmt: skip

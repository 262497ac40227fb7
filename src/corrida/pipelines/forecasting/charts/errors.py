"""How far models are from what happened: over the series, and step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from corrida.analysis.charts.theme import GOOD, INK, QUIET, Spec, figure
from corrida.pipelines.forecasting.models import NAIVE

if TYPE_CHECKING:
    from corrida.pipelines.forecasting.results import Results

_FEW: Final = 8  # series up to which each is a point and a box would say nothing
_MANY: Final = 60  # series up to which points stand beside the box
_LOGARITHMIC: Final = 30
_ROW: Final = 30
_NAMES: Final[dict[str, Any]] = {"ticks": False, "domain": False}


def model_errors(results: Results) -> Spec:
    """Return the error of each model: its spread over the series, and the mean."""
    spreads = results.spreads
    names = [one.model for one in spreads]
    means = [{"model": one.model, "error": one.mean, "text": _number(one.mean)} for one in spreads]
    boxes = [
        {"model": one.model, **{name: one.quantile(share) for name, share in _SHARES.items()}}
        for one in spreads
        if one.values.size > _FEW
    ]
    points = [
        {"model": one.model, "error": float(value)}
        for one in spreads
        if one.values.size <= _MANY
        for value in one.values
    ]
    count = max((one.values.size for one in spreads), default=0)
    low, high = _range(results)
    steep = low > 0 and high > _LOGARITHMIC * low
    y = {"field": "model", "type": "nominal", "sort": names, "title": None, "axis": _NAMES}
    x: dict[str, Any] = {
        "field": "error", "type": "quantitative", "title": f"{results.unit}{' (logarithmic)' if steep else ''}",
        "scale": {"type": "log"} if steep else {"domainMin": 0},
        "axis": {"tickCount": 6, "format": "~g"},
    }  # fmt: skip
    note = [f"diamond and number: the mean over {count:,} series, each the mean over its windows"]
    if boxes:
        note.append("box: the middle half of the series; line: from 5 to 95 % of them; tick: the median")
    if results.scaled:
        note.append("1 is the error of a seasonal naive forecast inside the history")
    layers: list[dict[str, Any]] = []
    if results.scaled and low <= 1 <= high:
        layers.append(
            {
                "data": {"values": [{"one": 1}]},
                "mark": {"type": "rule", "color": "#6E7781", "strokeDash": [4, 3]},
                "encoding": {"x": {**x, "field": "one"}},
            }
        )
    if boxes:
        layers += [
            {
                "data": {"values": boxes},
                "mark": {"type": "rule", "color": "#8B949E", "strokeWidth": 1.5},
                "encoding": {"y": y, "x": {**x, "field": "p05"}, "x2": {"field": "p95"}},
            },
            {
                "data": {"values": boxes},
                "mark": {"type": "bar", "color": "#A8C8E4", "height": {"band": 0.5}},
                "encoding": {"y": y, "x": {**x, "field": "p25"}, "x2": {"field": "p75"}},
            },
            {
                "data": {"values": boxes},
                "mark": {"type": "tick", "color": GOOD, "thickness": 2.5, "size": 16},
                "encoding": {"y": y, "x": {**x, "field": "p50"}},
            },
        ]
    layers += [
        {
            "data": {"values": points},
            "mark": {"type": "point", "size": 18, "color": INK, "opacity": 0.45, "strokeWidth": 1},
            "encoding": {"y": y, "x": x},
        },
        {
            "data": {"values": means},
            "mark": {"type": "point", "shape": "diamond", "filled": True, "size": 110, "color": INK, "opacity": 1},
            "encoding": {"y": y, "x": x, "tooltip": [{"field": "model"}, {"field": "error", "type": "quantitative"}]},
        },
        {
            "data": {"values": means},
            "mark": {"type": "text", "align": "left", "fontSize": 11, "color": INK},
            "encoding": {"y": y, "x": {"value": 496}, "text": {"field": "text"}},
        },
    ]  # fmt: skip
    return figure("Error of each model", note, width=480, height={"step": _ROW}, layer=layers)


def step_errors(results: Results) -> Spec | None:
    """Return the error of each model step by step: a panel a model, the others grey behind it.

    Returns:
        The figure; None where there is one step only.
    """
    steps = results.steps
    if results.config.horizon == 1 or not steps:
        return None
    rows: list[dict[str, Any]] = [
        {"model": model, "step": step, "error": float(value)}
        for model, values in steps.items()
        for step, value in enumerate(values, 1)
    ]
    behind = [{**row, "other": row["model"]} for row in rows]
    names = list(steps)
    horizon = results.config.horizon
    naive = NAIVE in steps
    x = {
        "field": "step", "type": "quantitative", "title": "steps ahead",
        "scale": {"domain": [1, horizon], "nice": False},
        "axis": {"values": _ticks(horizon), "format": "d", "grid": False, "labelFlush": False},
    }  # fmt: skip
    values = [row["error"] for row in rows]
    steep = min(values) > 0 and max(values) > _LOGARITHMIC * max(np.median(values), 1e-12)
    y = {
        "field": "error", "type": "quantitative", "title": "mean error",
        "scale": {"type": "log"} if steep else {"domainMin": 0},
        "axis": {"tickCount": 4, "format": "~g"},
    }  # fmt: skip
    unit = "in units of the MASE" if results.scaled else "in units of the series"
    return figure(
        "Error by step ahead",
        [
            f"mean absolute error over series and windows, {unit}{', logarithmic' if steep else ''}",
            f"each panel one model, the best first; grey: the others{f', dashed: {NAIVE}' if naive else ''}",
        ],
        data={"values": rows},
        facet={
            "field": "model", "type": "nominal", "sort": names, "title": None,
            "header": {"labelFontSize": 12, "labelFontWeight": 600, "labelColor": INK, "labelAnchor": "start"},
        },
        columns=3,
        resolve={"axis": {"x": "independent"}},
        spec={
            "width": 190,
            "height": 130,
            "layer": [
                {
                    "data": {"values": [row for row in behind if row["other"] != NAIVE]},
                    "mark": {"type": "line", "color": QUIET, "strokeWidth": 1, "opacity": 0.7},
                    "encoding": {"x": x, "y": y, "detail": {"field": "other"}},
                },
                {
                    "data": {"values": [row for row in behind if row["other"] == NAIVE]},
                    "mark": {"type": "line", "color": "#6E7781", "strokeWidth": 1.2, "strokeDash": [4, 3]},
                    "encoding": {"x": x, "y": y},
                },
                {
                    "mark": {"type": "line", "color": GOOD, "strokeWidth": 2.2},
                    "encoding": {"x": x, "y": y},
                },
            ],
        },
    )  # fmt: skip


_SHARES: Final = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}


def _range(results: Results) -> tuple[float, float]:
    """Return the least and the greatest error that is drawn."""
    ends: list[float] = []
    for one in results.spreads:
        few = one.values.size <= _MANY
        ends += [
            one.mean,
            *((one.values[0], one.values[-1]) if few else (one.quantile(0.05), one.quantile(0.95))),
        ]
    return (float(min(ends)), float(max(ends))) if ends else (0.0, 0.0)


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 100 else f"{value:,.0f}"


def _ticks(horizon: int) -> list[int]:
    """Return the steps that are named: all of a few, else the first and a handful of round ones."""
    if horizon <= 7:
        return list(range(1, horizon + 1))
    gap = next(g for g in (3, 6, 12, 24, 48, 96, 7 * 24, horizon) if horizon / g <= 6)
    return [1, *range(gap, horizon + 1, gap)]

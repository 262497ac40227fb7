"""A metric over the steps of a run, beside that of other runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from corrida.analysis.charts.theme import PALETTE, Spec, figure
from corrida.analysis.curves import Axis, Curve, time_unit

MOST_RUNS = len(PALETTE)
_FEW_POINTS = 40
_LARGE = 10_000


class RunCurve(NamedTuple):
    """The curve of one run.

    Attributes:
        run: its id.
        number: its place among the runs that are shown, which decides on the colour.
        line: what is drawn strongly.
        raw: what lies behind it where it is smoothed.
    """

    run: str
    number: int
    line: Curve
    raw: Curve | None = None


def history_chart(metric: str, curves: Sequence[RunCurve], *, axis: Axis = "step", log: bool = False) -> Spec:
    """Return a metric over the steps or the time, a line a run.

    Args:
        metric: its name.
        curves: those of the runs that logged it, at most :data:`MOST_RUNS`.
        axis: what the curves have as x.
        log: logarithmic axis of the values.
    """
    unit, unit_name = 1.0, ""
    if axis == "time":
        longest = max((one.line.x[-1] for one in curves if one.line.x), default=0.0)
        unit, unit_name = time_unit(longest)
    rows: list[dict[str, Any]] = []
    for one in curves:
        for kind, line in (("raw", one.raw), ("line", one.line)):
            if line is not None:
                rows += [
                    {"run": one.run, "x": x / unit, "y": y, "kind": kind}
                    for x, y in zip(line.x, line.y, strict=True)
                ]
    few = max((len(one.line.x) for one in curves), default=0) <= _FEW_POINTS
    greatest = max((abs(y) for one in curves for y in one.line.y), default=0.0)
    left_out = sum(one.line.left_out for one in curves)
    ids = [one.run for one in curves]
    x_title = "step" if axis == "step" else f"{unit_name} since the first point"
    encoding: dict[str, Any] = {
        "x": {"field": "x", "type": "quantitative", "title": x_title, "scale": {"zero": False, "nice": False},
              "axis": {"grid": False, "tickCount": 5, "format": "~s" if axis == "step" else "~g"}},
        "y": {"field": "y", "type": "quantitative", "title": None,
              "scale": {"type": "log", "nice": False} if log else {"zero": False},
              "axis": {"tickCount": 5, "format": "~s" if greatest >= _LARGE else ".4~g"}},
        "color": {"field": "run", "type": "nominal", "legend": None, "scale": {
            "domain": ids, "range": [PALETTE[one.number % len(PALETTE)] for one in curves]}},
    }  # fmt: skip
    tooltip = [
        {"field": "run", "type": "nominal"},
        {"field": "x", "type": "quantitative", "title": x_title, "format": ".6~g"},
        {"field": "y", "type": "quantitative", "title": metric.replace(".", " ").replace("[", "("), "format": ".6~g"},
    ]  # fmt: skip
    layers: list[dict[str, Any]] = []
    if any(one.raw is not None for one in curves):
        layers.append(
            {
                "transform": [{"filter": "datum.kind === 'raw'"}],
                "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.25},
                "encoding": encoding,
            }
        )
    layers += [
        {
            "transform": [{"filter": "datum.kind === 'line'"}],
            "mark": {"type": "line", "strokeWidth": 1.8, "strokeJoin": "round"},
            "encoding": encoding,
        },
        {
            "transform": [{"filter": "datum.kind === 'line'"}],
            "mark": {"type": "circle", "size": 28 if few else 70, "opacity": 1 if few else 0.001},
            "encoding": {**encoding, "tooltip": tooltip},
        },
    ]
    why = "not above 0 or not finite" if log else "not finite"
    subtitle = f"{left_out:,} point{'s' * (left_out != 1)} left out: {why}" if left_out else ""
    return figure(
        metric, subtitle, width=340, height=210, data={"values": rows, "name": "points"}, layer=layers
    )


def history_alt(metric: str, curves: Sequence[RunCurve]) -> str:
    """Return what the figure says, for those who do not see it."""
    told = [
        f"{one.run}: {one.line.total:,} points from {one.line.y[0]:.4g} to {one.line.y[-1]:.4g}"
        for one in curves
        if one.line.y
    ]
    return f"{metric} over the run. " + ("; ".join(told) or "no finite point")

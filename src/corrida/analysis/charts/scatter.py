"""Two fields of many runs against each other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from corrida.analysis.charts.over_time import unfinished_said
from corrida.analysis.charts.theme import GOOD, QUIET, Spec, figure

if TYPE_CHECKING:
    from corrida.analysis.run_fields import Field


def scatter_chart(
    runs: Sequence[str], x: Field, y: Field, *, log: Sequence[str] = (), unfinished: Collection[str] = ()
) -> Spec:
    """Return a point a run; those that are chosen stand out, and a rectangle chooses some.

    The points are named ``points``, each with ``run``, ``x``, ``y`` and ``chosen``; the rectangle is named ``brush``.

    Args:
        runs: their ids.
        x: across.
        y: upwards.
        log: names of fields with an axis of logarithms; of those with numbers that are not above 0 it has no effect.
        unfinished: ids of runs that did not finish; they are diamonds.
    """
    rows = [
        {"run": run, "x": a, "y": b, "chosen": True, "ended": run not in unfinished}
        for run, a, b in zip(runs, x.values, y.values, strict=True)
        if a is not None and b is not None
    ]
    missing = len(runs) - len(rows)
    parts = [f"{missing:,} run{'s' * (missing != 1)} without both left out"] if missing else []
    parts += unfinished_said(str(row["run"]) for row in rows if not row["ended"])
    return figure(
        f"{_label(y)} over {_label(x)}",
        "; ".join(parts),
        width=420,
        height=300,
        data={"name": "points", "values": rows},
        params=[
            {
                "name": "brush",
                "select": {
                    "type": "interval",
                    "encodings": ["x", "y"],
                    "mark": {"fill": GOOD, "fillOpacity": 0.12, "stroke": GOOD},
                },
            }
        ],
        mark={"type": "point", "filled": True, "size": 55},
        encoding={
            "x": _axis("x", x, x.name in log),
            "y": _axis("y", y, y.name in log),
            "color": {"condition": {"test": "datum.chosen", "value": GOOD}, "value": QUIET},
            "opacity": {"condition": {"test": "datum.chosen", "value": 0.8}, "value": 0.45},
            "shape": {
                "condition": [
                    {"test": "!datum.chosen", "value": "cross"},
                    {"test": "!datum.ended", "value": "diamond"},
                ],
                "value": "circle",
            },
            "tooltip": [
                {"field": "run", "type": "nominal"},
                *(
                    {"field": axis, "type": _kind(field), "title": _title(field)}
                    | ({"format": ".6~g"} if field.kind == "number" else {})
                    for axis, field in (("x", x), ("y", y))
                ),
            ],
        },
    )


def _axis(channel: str, field: Field, log: bool) -> dict[str, Any]:
    if field.kind == "name":
        return {
            "field": channel, "type": "nominal", "title": _title(field), "sort": list(field.domain),
            "axis": {"labelLimit": 140, "grid": True}
            | ({"labelAngle": -30, "labelLimit": 90} if channel == "x" else {}),
        }  # fmt: skip
    scale = {"type": "log", "nice": False} if log and field.positive else {"zero": False}
    return {"field": channel, "type": "quantitative", "title": _title(field), "scale": scale,
            "axis": {"tickCount": 6, "format": ".4~g"}}  # fmt: skip


def _kind(field: Field) -> str:
    return "quantitative" if field.kind == "number" else "nominal"


def _label(field: Field) -> str:
    return field.name.removeprefix("metrics.").removeprefix("params.")


def _title(field: Field) -> str:
    """Return the title of an axis; Vega-Lite reads dots and brackets of a title in tooltips as a path."""
    return _label(field).replace(".", " ").replace("[", "(").replace("]", ")")

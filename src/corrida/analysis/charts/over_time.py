"""A metric over the time of the runs, with the changes of their configuration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from corrida.analysis.charts.theme import CHANGED, GOOD, PALETTE, QUIET, Spec, figure

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord

_CLEAR = 40
_SAID = 240


def over_time_chart(
    metric: str,
    runs: Sequence[RunRecord],
    values: Sequence[float | None],
    changes: Mapping[str, Sequence[str]],
) -> Spec:
    """Return a line a pipeline over the time at which the runs started; a rule where a run was configured anew.

    The points are named ``points``, each with ``kind`` (``run`` or ``change``), ``run`` and ``chosen``;
    those of runs that did not finish are diamonds.

    Args:
        metric: its name.
        runs: the oldest first.
        values: of the metric, one a run.
        changes: by id of a run what changed since the one before it, in lines.
    """
    rows: list[dict[str, Any]] = []
    for run, value in zip(runs, values, strict=True):
        base = {
            "run": run.id, "pipeline": run.pipeline, "time": run.created, "chosen": True,
            "ended": run.status == "finished", "status": run.status,
        }  # fmt: skip
        if value is not None:
            rows.append({**base, "kind": "run", "y": value})
        if lines := changes.get(run.id):
            said = "; ".join(lines)
            rows.append(
                {**base, "kind": "change", "said": said if len(said) <= _SAID else f"{said[:_SAID]}…"}
            )
    pipelines = sorted({run.pipeline for run in runs})
    missing = sum(value is None for value in values)
    parts = (
        [f"{len(changes):,} change{'s' * (len(changes) != 1)} of the configuration (dashed)"]
        if changes
        else []
    )
    parts += [f"{missing:,} run{'s' * (missing != 1)} without it left out"] if missing else []
    parts += unfinished_said(row["run"] for row in rows if row["kind"] == "run" and not row["ended"])
    time = {
        "field": "time", "type": "temporal", "title": None,
        "axis": {"grid": False, "tickCount": 6, "labelOverlap": True, "format": _time_format(runs)},
    }  # fmt: skip
    height = {"field": "y", "type": "quantitative", "title": metric.replace(".", " ").replace("[", "("),
              "scale": {"zero": False}, "axis": {"tickCount": 5, "format": ".4~g"}}  # fmt: skip
    colour: dict[str, Any] = {"value": GOOD}
    if len(pipelines) > 1:
        colour = {"field": "pipeline", "type": "nominal", "title": None,
                  "scale": {"domain": pipelines, "range": [c for c in PALETTE if c != CHANGED]}, "legend": {"orient": "bottom"}}  # fmt: skip
    tooltip = [
        {"field": "run", "type": "nominal"},
        {"field": "y", "type": "quantitative", "title": metric.replace(".", " ").replace("[", "("), "format": ".6~g"},
        {"field": "time", "type": "temporal", "format": "%Y-%m-%d %H:%M"},
        {"field": "status", "type": "nominal"},
    ]  # fmt: skip
    only = {kind: [{"filter": f"datum.kind === '{kind}'"}] for kind in ("run", "change")}
    clear = len(changes) <= _CLEAR
    layers: list[dict[str, Any]] = [
        {"transform": only["run"], "mark": {"type": "line", "strokeWidth": 1.2, "opacity": 0.55},
         "encoding": {"x": time, "y": height, "color": colour}},
        {"transform": only["run"], "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
         "encoding": {"x": time, "y": height, "tooltip": tooltip,
                      "shape": {"condition": {"test": "!datum.ended", "value": "diamond"}, "value": "circle"},
                      "size": {"condition": {"test": "!datum.ended", "value": 85}, "value": 55},
                      "color": {"condition": {"test": "!datum.chosen", "value": QUIET}, **colour},
                      "opacity": {"condition": {"test": "datum.chosen", "value": 0.95}, "value": 0.5}}},
    ]  # fmt: skip
    if changes:
        rule = {"type": "rule", "strokeDash": [4, 3], "strokeWidth": 1.5, "opacity": 0.9 if clear else 0.25}
        mark = {"type": "point", "shape": "triangle-down", "filled": True, "size": 90, "opacity": 1}
        facts = [
            {"field": "run", "type": "nominal", "title": "from"},
            {"field": "said", "type": "nominal", "title": "changed"},
        ]
        same: dict[str, Any] = {"x": time, "color": {"value": CHANGED}}
        layers.insert(0, {"transform": only["change"], "mark": rule, "encoding": same})
        layers.append(
            {
                "transform": only["change"],
                "mark": mark,
                "encoding": {**same, "y": {"value": 4}, "tooltip": facts},
            }
        )
    return figure(
        f"{metric} over time",
        "; ".join(parts),
        width=640,
        height=260,
        data={"name": "points", "values": rows},
        layer=layers,
    )


def unfinished_said(runs: Iterable[str]) -> list[str]:
    """Say that runs which did not finish look otherwise; nothing where there is none."""
    count = len(set(runs))
    return [f"diamonds: {count:,} run{'s' * (count != 1)} that did not finish"] if count else []


def _time_format(runs: Sequence[RunRecord]) -> str:
    """Return how the axis writes times, by how far they lie apart."""
    times = []
    for run in runs:
        with contextlib.suppress(ValueError):  # somebody wrote run.json by hand
            times.append(datetime.fromisoformat(run.created).replace(tzinfo=UTC))
    span = (max(times) - min(times)).total_seconds() if times else 0.0
    return "%H:%M:%S" if span < 10 * 60 else "%d %b %H:%M" if span < 4 * 86_400 else "%d %b %Y"

"""What the runner does, over time: what ended, how long it took, and how far files stood from training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from corrida.analysis.charts.theme import BAD, GOOD, INK, PALETTE, QUIET, Spec, figure

MOST_FEATURES: Final = 6
"""So many lines can be told apart, and told by colours that stand out from a white ground."""
DRIFT_LIMITS: Final[Mapping[str, float]] = {"psi": 0.25, "level": 3.0}
"""Beyond it a feature counts as far from training."""
_COLOURS: Final = {"processed": GOOD, "failed": BAD, "cancelled": QUIET}
_FEW: Final = 5
_TIME: Final = {
    "field": "time",
    "type": "temporal",
    "title": None,
    "axis": {"grid": False, "tickCount": 6, "labelOverlap": True, "format": "%H:%M"},
}


def ended_chart(
    title: str, subtitle: str, spans: Sequence[tuple[float, float, Mapping[str, int], int]]
) -> Spec:
    """Return how many analyses ended, a bar a stretch of time.

    Args:
        title: what the figure says.
        subtitle: what a bar is.
        spans: begin and end in seconds since the epoch, analyses by how they ended, rows of those processed.
    """
    rows = [
        {"time": begin * 1000, "until": end * 1000, "end": how, "analyses": count, "rows": scored}
        for number, (begin, end, ended, scored) in enumerate(spans)
        for how, count in ended.items()
        if count or (number in {0, len(spans) - 1} and how == "processed")  # the ends of the axis
    ]
    most = max((sum(ended.values()) for _, _, ended, _ in spans), default=0)
    ticks: dict[str, Any] = {"values": list(range(most + 1))} if most <= _FEW else {"tickCount": 4}
    shown = [how for how in _COLOURS if any(ended.get(how) for _, _, ended, _ in spans)] or ["processed"]
    return figure(
        title, subtitle, width=440, height=224, data={"values": rows},
        mark={"type": "bar", "orient": "vertical", "xOffset": 0.5, "x2Offset": -0.5},
        encoding={
            "x": _TIME,
            "x2": {"field": "until"},
            "y": {"field": "analyses", "type": "quantitative", "title": None, "stack": "zero",
                  "axis": {**ticks, "format": "~s"}},
            "color": {"field": "end", "type": "nominal", "title": None,
                      "scale": {"domain": shown, "range": [_COLOURS[how] for how in shown]},
                      "legend": {"orient": "bottom", "symbolType": "square"} if len(shown) > 1 else None},
            "order": {"field": "end", "type": "nominal", "sort": "descending"},
            "tooltip": [
                {"field": "time", "type": "temporal", "title": "from", "format": "%H:%M"},
                {"field": "end", "type": "nominal", "title": "how"},
                {"field": "analyses", "type": "quantitative", "format": ",d"},
                {"field": "rows", "type": "quantitative", "title": "rows scored", "format": ",d"},
            ],
        },
    )  # fmt: skip


def times_chart(title: str, subtitle: str, spans: Sequence[tuple[float, Mapping[str, float]]]) -> Spec:
    """Return how long analyses took, a line a measure, broken where nothing ended.

    Args:
        title: what the figure says.
        subtitle: what the lines are.
        spans: middle of each stretch in seconds since the epoch, the oldest first and without gaps, and seconds by the
            name of the measure; what nothing ended in has none, and is on the axis all the same.
    """
    names = list(dict.fromkeys(name for _, measures in spans for name in measures))
    rows = [
        {
            "time": middle * 1000,
            "what": name,
            "seconds": round(measures[name], 4) if name in measures else None,
        }
        for middle, measures in spans
        for name in names
    ]
    encoding: dict[str, Any] = {
        "x": _TIME,
        "y": {"field": "seconds", "type": "quantitative", "title": "seconds", "scale": {"zero": True},
              "axis": {"tickCount": 4, "format": "~s"}},
        "color": {"field": "what", "type": "nominal", "title": None,
                  "scale": {"domain": names, "range": list(PALETTE[: len(names)])},
                  "legend": {"orient": "bottom", "symbolType": "stroke", "symbolOpacity": 1, "symbolStrokeWidth": 2.5}},
    }  # fmt: skip
    tooltip = [
        {"field": "time", "type": "temporal", "title": "at", "format": "%H:%M"},
        {"field": "what", "type": "nominal"},
        {"field": "seconds", "type": "quantitative", "format": ".3~g"},
    ]
    return figure(
        title, subtitle, width=440, height=224, data={"values": rows},
        layer=[
            {"mark": {"type": "line", "strokeWidth": 1.8, "strokeJoin": "round"}, "encoding": encoding},
            {"transform": [{"filter": "isValid(datum.seconds)"}],
             "mark": {"type": "circle", "size": 30}, "encoding": {**encoding, "tooltip": tooltip}},
        ],
    )  # fmt: skip


def drift_chart(
    title: str, subtitle: str, measure: str, points: Sequence[tuple[str, float, Mapping[str, float]]]
) -> Spec:
    """Return how far features stood from training, a line a feature: those that stood farthest.

    Args:
        title: what the figure says.
        subtitle: what it shows.
        measure: a key of :data:`DRIFT_LIMITS`.
        points: analysis, when it ended in seconds since the epoch, and the measure by feature; the oldest first.
    """
    shown = farthest([values for _, _, values in points])
    rows = [
        {"number": number + 1, "analysis": analysis, "time": round(ended * 1000), "feature": name,
         "drift": round(values[name], 4)}
        for number, (analysis, ended, values) in enumerate(points)
        for name in shown
        if name in values
    ]  # fmt: skip
    limit = DRIFT_LIMITS.get(measure, DRIFT_LIMITS["psi"])
    limits = [limit] if measure == "psi" else [-limit, limit]
    encoding: dict[str, Any] = {
        "x": {"field": "number", "type": "quantitative", "title": "analyses, the oldest first",
              "scale": {"nice": False, "zero": False}, "axis": {"grid": False, "tickMinStep": 1, "format": "d"}},
        "y": {"field": "drift", "type": "quantitative", "title": None, "axis": {"tickCount": 5}},
        "color": {"field": "feature", "type": "nominal", "title": None,
                  "scale": {"domain": shown, "range": list(PALETTE[: len(shown)])},
                  "legend": {"orient": "bottom", "symbolType": "stroke", "symbolOpacity": 1, "symbolStrokeWidth": 2.5, "columns": 3}},
    }  # fmt: skip
    tooltip = [
        {"field": "analysis", "type": "nominal"},
        {"field": "time", "type": "temporal", "title": "ended", "format": "%Y-%m-%d %H:%M"},
        {"field": "feature", "type": "nominal"},
        {"field": "drift", "type": "quantitative", "format": ".3~f"},
    ]
    return figure(
        title, subtitle, width=440, height=240, data={"values": rows},
        layer=[
            {"data": {"values": [{"limit": one} for one in limits]},
             "mark": {"type": "rule", "strokeDash": [4, 4], "color": INK, "opacity": 0.6},
             "encoding": {"y": {"field": "limit", "type": "quantitative"}}},
            {"mark": {"type": "line", "strokeWidth": 1.6}, "encoding": encoding},
            {"mark": {"type": "circle", "size": 36}, "encoding": {**encoding, "tooltip": tooltip}},
        ],
    )  # fmt: skip


def farthest(points: Sequence[Mapping[str, float]]) -> list[str]:
    """Return the features that stood farthest from training in any file, at most :data:`MOST_FEATURES`."""
    far: dict[str, float] = {}
    for values in points:
        for name, value in values.items():
            far[name] = max(far.get(name, 0.0), abs(value))
    return sorted(far, key=lambda name: (-far[name], name))[:MOST_FEATURES]

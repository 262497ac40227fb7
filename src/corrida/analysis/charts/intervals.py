"""Differences with their intervals around 0, one row each: of metrics, of segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from corrida.analysis.charts.theme import Spec, figure

_ROW = 26


def intervals_chart(
    title: str,
    subtitle: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    name: str,
    colours: Mapping[str, str],
    shapes: Mapping[str, str],
    facts: Sequence[Mapping[str, Any]] = (),
    margin: float | None = None,
) -> Spec:
    """Return a figure with a point and a line a row.

    Args:
        title: of the figure.
        subtitle: what point, line and colours mean.
        rows: at least one, top down; each has its ``name``, ``difference``, ``low``, ``high``, ``state`` and ``values``.
        name: the field with the name of a row.
        colours: colour of each state, in the order of the legend.
        shapes: mark of each state.
        facts: what the tooltip says, as fields of Vega-Lite.
        margin: differences inside ±margin do not matter; shaded. None shades nothing.
    """
    states = [state for state in colours if any(row["state"] == state for row in rows)]
    y = {
        "field": name,
        "type": "nominal",
        "sort": [row[name] for row in rows],
        "title": None,
        "axis": {"ticks": False, "domain": False, "labelPadding": 8},
    }
    by_state = {"field": "state", "type": "nominal", "title": None}
    colour = {
        **by_state,
        "scale": {"domain": states, "range": [colours[state] for state in states]},
        "legend": {"orient": "bottom"},
    }
    shape = {**by_state, "scale": {"domain": states, "range": [shapes[state] for state in states]}}
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
                "x": {
                    "field": "low",
                    "type": "quantitative",
                    "title": "B − A",
                    "axis": {"format": "+.3~f", "tickCount": 6, "labelOverlap": True, "labelSeparation": 8},
                },
                "x2": {"field": "high"},
                "color": colour,
                "tooltip": list(facts),
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
            "encoding": {
                "y": y,
                "x": {"field": "difference", "type": "quantitative"},
                "color": colour,
                "shape": shape,
                "tooltip": list(facts),
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
    return figure(
        title,
        subtitle,
        data={"values": list(rows)},
        width=480,
        height=max(2, len(rows)) * _ROW,
        layer=layers,
    )


def differences_tooltip() -> list[dict[str, Any]]:
    """Return what the tooltip of a difference says of its values."""
    return [
        {"field": name, "type": "quantitative", "format": "+.4f"} for name in ("difference", "low", "high")
    ]

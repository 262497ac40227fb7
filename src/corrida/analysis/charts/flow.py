"""A flow from the states of A to those of B, as bands whose width is a count."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from corrida.analysis.charts.theme import BAD, CHANGED, GOOD, INK, QUIET, Spec, figure

STATES: Final = ("right", "wrong", "no answer", "not known")
KINDS: Final = {
    "fixed": GOOD,
    "better": GOOD,
    "broken": BAD,
    "worse": BAD,
    "changed": CHANGED,
    "same": QUIET,
}
_POINTS = 24
_LABEL = 0.07  # the height of a label, as a share of the figure
_GAP = 0.03  # between two states, as a share of all items


def flow_chart(
    flows: Mapping[tuple[str, str, str], int], a: str, b: str, *, title: str, subtitle: str
) -> Spec:
    """Return the flow of items from the states of one run to those of another.

    Vega-Lite has no such mark; each band is an area between two curves that are computed here.

    Args:
        flows: number of items by (state in A, state in B, kind), kinds as of :data:`KINDS`; zero is left out.
        a: name of the left side.
        b: name of the right side.
        title: above the figure.
        subtitle: below the title.
    """
    total = sum(flows.values()) or 1
    chosen = {key: count for key, count in flows.items() if count}
    left = _places([(key, key[0]) for key in chosen], chosen, total)
    right = _places([(key, key[1]) for key in chosen], chosen, total)
    bands = []
    for key, count in chosen.items():
        (low_a, high_a), (low_b, high_b) = left[key], right[key]
        for step in range(_POINTS + 1):
            x = step / _POINTS
            weight = (1 - math.cos(math.pi * x)) / 2
            bands.append(
                {
                    "band": " → ".join(key[:2]) + f" ({key[2]})",
                    "kind": key[2],
                    "items": count,
                    "x": x,
                    "low": low_a + (low_b - low_a) * weight,
                    "high": high_a + (high_b - high_a) * weight,
                }
            )
    labels = [*_labels(left, chosen, 0, a), *_labels(right, chosen, 1, b)]
    shown = [kind for kind in KINDS if any(key[2] == kind for key in chosen)]
    return figure(
        title,
        subtitle,
        width=520,
        height=280,
        layer=[
            # What flipped lies above what did not.
            *[
                _areas([band for band in bands if (band["kind"] == "same") is same], shown)
                for same in (True, False)
            ],
            *[
                {
                    "data": {"values": [label for label in labels if label["side"] == side]},
                    "mark": {
                        "type": "text",
                        "align": "right" if side == 0 else "left",
                        "dx": -8 if side == 0 else 8,
                        "fontSize": 12,
                        "color": INK,
                        "clip": False,
                    },
                    "encoding": {
                        "x": {"field": "x", "type": "quantitative"},
                        "y": {"field": "y", "type": "quantitative"},
                        "text": {"field": "text", "type": "nominal"},
                    },
                }
                for side in (0, 1)
            ],
        ],
    )


def _areas(bands: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> Spec:
    hidden = {"type": "quantitative", "axis": None}
    return {
        "data": {"values": bands},
        "mark": {"type": "area", "opacity": 0.85, "interpolate": "monotone"},
        "encoding": {
            "x": {"field": "x", "scale": {"domain": [-0.02, 1.02], "nice": False}, **hidden},
            "y": {"field": "low", "scale": {"reverse": True, "zero": True, "nice": False}, **hidden},
            "y2": {"field": "high"},
            "detail": {"field": "band", "type": "nominal"},
            "color": {
                "field": "kind",
                "type": "nominal",
                "title": None,
                "scale": {"domain": shown, "range": [KINDS[kind] for kind in shown]},
                "legend": {"orient": "bottom", "symbolType": "square"},
            },
            "tooltip": [
                {"field": "band", "type": "nominal", "title": "A → B"},
                {"field": "items", "type": "quantitative", "format": ",d"},
            ],
        },
    }


Key = tuple[str, str, str]


def _places(
    members: Sequence[tuple[Key, str]], counts: Mapping[Key, int], total: int
) -> dict[Key, tuple[float, float]]:
    """Stack the bands of one side by state, in the order of STATES and kinds."""
    kinds = list(KINDS)
    states = [*STATES, *sorted({state for _, state in members} - set(STATES))]
    found: dict[Key, tuple[float, float]] = {}
    place = 0.0
    for state in states:
        own = sorted(
            (key for key, of in members if of == state),
            key=lambda k: (states.index(k[0]), states.index(k[1]), kinds.index(k[2])),
        )
        for key in own:
            height = counts[key] / total
            found[key] = (place, place + height)
            place += height
        place += _GAP if own else 0
    return found


def _labels(
    places: Mapping[Key, tuple[float, float]], counts: Mapping[Key, int], side: int, run: str
) -> list[dict[str, Any]]:
    middles: list[tuple[float, str]] = []
    for state in dict.fromkeys(key[side] for key in places):
        own = [key for key in places if key[side] == state]
        middle = (min(places[k][0] for k in own) + max(places[k][1] for k in own)) / 2
        middles.append((middle, f"{state} in {run}: {sum(counts[k] for k in own):,}"))
    found: list[dict[str, Any]] = []
    least = 0.0
    for middle, text in sorted(middles):
        place = max(middle, least)
        found.append({"side": side, "x": side, "y": place, "text": text})
        least = place + _LABEL  # labels of thin bands would lie on one another
    return found

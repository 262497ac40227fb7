"""What a model answers: predicted against actual, residuals, classes that are mixed up, and columns that matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from corrida.analysis.blocks import shorten
from corrida.analysis.charts.theme import BAD, GOOD, INK, Spec, figure
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from corrida.pipelines.model_search.importances import Importance

_MOST_POINTS = 2_000
_MOST_COLUMNS = 20
_MOST_CLASSES = 25
_SIDE = 300
_DASHED = {"type": "rule", "color": "#6E7781", "strokeDash": [4, 3]}


def residuals_chart(
    model: str,
    target: str,
    expected: np.ndarray[Any, Any],
    output: np.ndarray[Any, Any],
    times: Sequence[str] | None,
    blocks: Sequence[str] | None,
) -> Spec:
    """Return predicted against actual, and the residuals over time, or over the prediction where rows have no time.

    Args:
        model: whose predictions these are.
        target: what is predicted.
        expected: actual values of the test rows.
        output: predictions.
        times: of the rows, if they have some.
        blocks: of neighbours in time; their mean residual is drawn as a line.
    """
    places = _drawn(len(expected))
    points = [
        {
            "actual": float(expected[i]),
            "predicted": float(output[i]),
            "residual": float(expected[i] - output[i]),
            **({"time": times[i]} if times else {}),
        }
        for i in places
    ]
    low = float(min(expected.min(), output.min()))
    high = float(max(expected.max(), output.max()))
    edge = (high - low) * 0.03 or 1.0
    domain = [low - edge, high + edge]
    few = "" if len(places) == len(expected) else f"; {len(places):,} of {len(expected):,} rows drawn"
    mark = {"type": "circle", "size": 22, "color": GOOD, "opacity": 0.45 if len(places) > 150 else 0.7}
    left = {
        "title": _small("predicted and actual", "on the dashed line both are the same"),
        "width": _SIDE,
        "height": _SIDE,
        "layer": [
            {
                "data": {"values": [{"a": domain[0], "b": domain[1]}]},
                "mark": {**_DASHED},
                "encoding": {
                    "x": {"field": "a", "type": "quantitative"},
                    "x2": {"field": "b"},
                    "y": {"field": "a", "type": "quantitative"},
                    "y2": {"field": "b"},
                },
            },
            {
                "mark": mark,
                "encoding": {
                    "x": _quantity("predicted", f"predicted {shorten(target, 40)}", domain),
                    "y": _quantity("actual", f"actual {shorten(target, 40)}", domain),
                },
            },
        ],
    }
    x = (
        {"field": "time", "type": "temporal", "title": None, "axis": {"labelOverlap": True, "tickCount": 6}}
        if times
        else _quantity("predicted", f"predicted {shorten(target, 40)}", domain)
    )
    means = _means(expected - output, times, blocks)
    right = {
        "title": _small(
            "residuals over time" if times else "residuals over the prediction",
            ("actual minus predicted" + ("; line: mean of neighbouring times" if means else "")),
        ),
        "width": 420 if times else _SIDE,
        "height": _SIDE,
        "layer": [
            {
                "data": {"values": [{"zero": 0}]},
                "mark": _DASHED,
                "encoding": {"y": {"field": "zero", "type": "quantitative"}},
            },
            {"mark": mark, "encoding": {"x": x, "y": _quantity("residual", None, None)}},
            *(
                [
                    {
                        "data": {"values": means},
                        "mark": {"type": "line", "color": BAD, "strokeWidth": 1.8},
                        "encoding": {"x": x, "y": _quantity("residual", None, None)},
                    }
                ]
                if means
                else []
            ),
        ],
    }
    return figure(
        f"{model} on the test rows",
        f"{target}{few}",
        data={"values": points},
        hconcat=[left, right],
        spacing=36,
    )


def _means(
    residuals: np.ndarray[Any, Any], times: Sequence[str] | None, blocks: Sequence[str] | None
) -> list[dict[str, Any]]:
    if not times or not blocks:
        return []
    names, of_row = np.unique(np.asarray(blocks, dtype=object).astype(str), return_inverse=True)
    if len(names) < 4:
        return []
    sums, counts = np.bincount(of_row, weights=residuals), np.bincount(of_row)
    step = max(1, len(names) // 300)
    return [
        {"time": str(name), "residual": float(total / count)}
        for name, total, count in list(zip(names, sums, counts, strict=True))[::step]
    ]


def confusion_chart(model: str, expected: Sequence[str], output: Sequence[str]) -> Spec:
    """Return how often each class is taken for each other one: counts, coloured by the share of the actual class."""
    counts: dict[tuple[str, str], int] = {}
    for pair in zip(expected, output, strict=True):
        counts[pair] = counts.get(pair, 0) + 1
    support: dict[str, int] = {}
    for (actual, said), count in counts.items():
        support[actual] = support.get(actual, 0) + count
        support.setdefault(said, 0)
    classes = sorted(support, key=lambda name: (-support[name], name))
    shown = classes[:_MOST_CLASSES]
    names = {name: shorten(name, 24) for name in shown}
    squares = [
        {
            "actual": f"{names[a]} ({support[a]:,})",
            "predicted": names[p],
            "share": counts.get((a, p), 0) / support[a],
            "text": f"{counts[a, p]:,}" if (a, p) in counts else "",
            "dark": counts.get((a, p), 0) / support[a] > 0.6,
        }
        for a in shown
        for p in shown
        if support[a]
    ]
    rest = len(classes) - len(shown)
    note = [
        "rows: the actual class, with its test rows; columns: what was predicted; colour: share of the row"
    ]
    if rest:
        note.append(f"the {len(shown)} classes with most rows; {rest} more are left out")
    x = {
        "field": "predicted", "type": "nominal", "sort": [names[c] for c in shown], "title": "predicted",
        "axis": {"orient": "top", "labelAngle": 0 if len(shown) <= 8 else -45, "ticks": False, "domain": False},
    }  # fmt: skip
    y = {
        "field": "actual", "type": "nominal", "sort": [f"{names[c]} ({support[c]:,})" for c in shown], "title": "actual",
        "axis": {"ticks": False, "domain": False},
    }  # fmt: skip
    cell = 64 if len(shown) <= 8 else 34
    return figure(
        f"{model}: classes on the test rows",
        note,
        data={"values": squares},
        width={"step": cell},
        height={"step": 40 if len(shown) <= 8 else 26},
        layer=[
            {
                "mark": {"type": "rect", "stroke": "white", "strokeWidth": 2},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": {
                        "field": "share", "type": "quantitative", "scale": {"domain": [0, 1], "range": ["#F3F6F9", "#0072B2"]},
                        "legend": {"title": "share", "format": ".0%", "gradientLength": 90, "tickCount": 3},
                    },
                },
            },
            {
                "mark": {"type": "text", "fontSize": 11},
                "encoding": {
                    "x": x,
                    "y": y,
                    "text": {"field": "text"},
                    "color": {"condition": {"test": "datum.dark", "value": "white"}, "value": INK},
                },
            },
        ],
    )  # fmt: skip


def importances_chart(model: str, found: Sequence[Importance], metric: str) -> Spec | None:
    """Return how much the loss rises when each column is shuffled, with the range over the shuffles.

    Args:
        model: whose importances these are.
        found: of columns, the greatest first.
        metric: of the loss, in words.

    Returns:
        The figure; None when there are none.
    """
    if not found:
        return None
    shown = found[:_MOST_COLUMNS]
    rows = [
        {
            "column": shorten(one.column, 40),
            "mean": one.mean,
            "least": one.least,
            "greatest": one.greatest,
            "text": format_number(float(f"{one.mean:.3g}")),
            "end": max(one.greatest, one.mean, 0.0),
        }
        for one in shown
    ]
    more = len(found) - len(shown)
    left = f"; {more} more columns in importances.csv" if more else ""
    y = {
        "field": "column", "type": "nominal", "sort": [row["column"] for row in rows], "title": None,
        "axis": {"ticks": False, "domain": False},
    }  # fmt: skip
    x = {
        "field": "mean", "type": "quantitative", "title": f"rise of the {metric}", "axis": {"tickCount": 5},
        "scale": {"nice": False, "padding": 14},
    }  # fmt: skip
    return figure(
        f"What {model} goes by",
        f"rise of the {metric} on the test rows when a column is shuffled{left}; line: least and greatest of "
        f"{len(found[0].values)} shuffles",
        data={"values": rows},
        width=440,
        height={"step": 28},
        layer=[
            {
                "mark": {"type": "bar", "color": "#A8C8E4", "height": {"band": 0.62}},
                "encoding": {"y": y, "x": x},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 2.2, "color": INK},
                "encoding": {"y": y, "x": {**x, "field": "least"}, "x2": {"field": "greatest"}},
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 6, "fontSize": 11, "color": INK},
                "encoding": {"y": y, "x": {**x, "field": "end"}, "text": {"field": "text"}},
            },
        ],
    )


def _quantity(field: str, title: str | None, domain: list[float] | None) -> dict[str, Any]:
    scale = {"domain": domain, "nice": False} if domain else {}
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "axis": {"tickCount": 6},
        **({"scale": scale} if scale else {}),
    }


def _small(title: str, subtitle: str) -> dict[str, Any]:
    return {"text": title, "subtitle": subtitle, "fontSize": 12, "subtitleFontSize": 11, "offset": 6}


def _drawn(rows: int) -> list[int]:
    """Return which rows are drawn: all, or evenly spread ones."""
    if rows <= _MOST_POINTS:
        return list(range(rows))
    return [int(place) for place in np.linspace(0, rows - 1, _MOST_POINTS)]

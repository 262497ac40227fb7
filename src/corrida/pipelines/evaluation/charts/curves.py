"""Calibration and thresholds as curves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from corrida.analysis.charts.theme import GOOD, PALETTE, Spec, figure
from corrida.pipelines.evaluation.charts.words import HEADER, ceiling, number

if TYPE_CHECKING:
    from corrida.pipelines.evaluation.results import Evaluation, Sweep

_MOST_PANELS = 12
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2])


def calibration(evaluation: Evaluation) -> Spec | None:
    """Return the reliability curves under the matcher of the best cell, one panel a strategy and model.

    Returns:
        The figure; None when no detection has a confidence.
    """
    if not evaluation.calibration:
        return None
    matcher = evaluation.best.cell.split("+")[0] if evaluation.best else evaluation.matchers[0]
    chosen = [one for one in evaluation.calibration if one.cell.split("+")[0] == matcher]
    panels = [(one, "\n".join(one.cell.split("+")[1:])) for one in chosen[:_MOST_PANELS]]
    rows = [
        {
            "panel": f"{name}\nECE {number(one.ece)}",
            "confidence": bin_.confidence,
            "precision": bin_.precision,
            "count": bin_.count,
        }
        for one, name in panels
        for bin_ in one.bins
    ]
    names = list(dict.fromkeys(row["panel"] for row in rows))
    x = {
        "field": "confidence", "type": "quantitative", "scale": {"domain": [0, 1]},
        "axis": {"tickCount": 4, "format": ".2~f"}, "title": "confidence",
    }  # fmt: skip
    y = {**x, "field": "precision", "title": "share that is right"}
    more = len(chosen) - len(panels)
    return figure(
        "Confidence and being right",
        [
            f"matcher {matcher}; on the dashed line confidence is the chance of being right",
            "area of a point: decisions in the bin" + (f"; {more} more in calibration.csv" if more else ""),
        ],
        data={"values": rows},
        facet={"field": "panel", "type": "nominal", "sort": names, "title": None, "header": {**HEADER, "labelExpr": "split(datum.label, '\\n')"}},
        columns=3,
        spec={
            "width": 205,
            "height": 180,
            "layer": [
                {
                    "data": {"values": [{"at": 0}, {"at": 1}]},
                    "mark": {"type": "line", "color": "#6E7781", "strokeDash": [4, 3], "strokeWidth": 1},
                    "encoding": {"x": {**x, "field": "at"}, "y": {**y, "field": "at"}},
                },
                {
                    "mark": {"type": "line", "color": GOOD, "strokeWidth": 2},
                    "encoding": {"x": x, "y": y},
                },
                {
                    "mark": {"type": "point", "filled": True, "color": GOOD, "opacity": 1},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "size": {
                            "field": "count", "type": "quantitative", "title": "decisions",
                            "scale": {"range": [20, 260]}, "legend": {"orient": "bottom", "tickCount": 4, "format": ",d"},
                        },
                        "tooltip": [{"field": name, "type": "quantitative"} for name in ("confidence", "precision", "count")],
                    },
                },
            ],
        },
    )  # fmt: skip


def precision_recall(evaluation: Evaluation) -> Spec | None:
    """Return what each threshold of each matcher gives: its F1, and precision against recall.

    Returns:
        The figure; None when thresholds were not swept.
    """
    rows = [row for sweep in evaluation.sweeps for row in _curve(sweep)]
    if not rows:
        return None
    marks = [{**row, "what": what} for row in rows for what in _KINDS if row[what]]
    names = [sweep.matcher for sweep in evaluation.sweeps]
    legend = {"orient": "bottom", "symbolType": "stroke", "symbolSize": 500, "symbolStrokeWidth": 2}
    series = {"field": "matcher", "type": "nominal", "title": None, "sort": names}
    colour = {**series, "legend": legend, "scale": {"domain": names, "range": list(_COLOURS[: len(names)])}}
    dash = {
        **series,
        "legend": legend,
        "scale": {"domain": names, "range": [list(d) for d in _DASHES[: len(names)]]},
    }
    shape = {
        "field": "what", "type": "nominal", "legend": None, "scale": {"domain": list(_KINDS), "range": ["circle", "square"]},
    }  # fmt: skip

    def panel(x: str, y: str, title: str, top: tuple[float, float]) -> Spec:
        def axis(field: str, end: float) -> dict[str, Any]:
            name = "F1" if field == "f1" else field
            return {
                "field": field, "type": "quantitative", "title": name, "scale": {"domain": [0, end]},
                "axis": {"format": ".2~f", "tickCount": 5},
            }  # fmt: skip

        places = {"x": axis(x, top[0]), "y": axis(y, top[1])}
        order = {"field": "threshold", "type": "quantitative"}
        return {
            "title": {"text": title, "fontSize": 12},
            "width": 300,
            "height": 250,
            "layer": [
                {
                    "data": {"values": rows},
                    "mark": {"type": "line", "strokeWidth": 2},
                    "encoding": {**places, "color": colour, "strokeDash": dash, "order": order},
                },
                {
                    "data": {"values": marks},
                    "mark": {"type": "point", "size": 90, "strokeWidth": 2, "opacity": 1, "fill": "white"},
                    "encoding": {**places, "color": colour, "shape": shape},
                },
            ],
        }

    best, recall, precision = (ceiling(row[rate] for row in rows) for rate in ("f1", "recall", "precision"))
    return figure(
        "Thresholds",
        [
            "on the half of the clusters where thresholds are chosen, all cells of a matcher together",
            "circle: the threshold chosen here, whose score is reported on the other half; square: the one that the run used",
        ],
        hconcat=[
            panel("threshold", "f1", "F1 by threshold", (1.0, best)),
            panel("recall", "precision", "precision and recall", (recall, precision)),
        ],
    )


_KINDS: Final = ("chosen", "configured")
_COLOURS: Final = (PALETTE[0], PALETTE[5], PALETTE[6])


def _curve(sweep: Sweep) -> Iterable[dict[str, Any]]:
    """Yield what each threshold gives where that is defined; the nearest to the chosen and configured one are marked."""
    known = [
        point for point in sweep.points if point.counts.precision is not None and point.counts.f1 is not None
    ]
    nearest = {
        what: min(known, key=lambda point: abs(point.threshold - getattr(sweep, what)), default=None)
        for what in _KINDS
    }
    for point in known:
        yield {
            "matcher": sweep.matcher,
            "threshold": point.threshold,
            "precision": point.counts.precision,
            "recall": point.counts.recall,
            "f1": point.counts.f1,
            **{what: nearest[what] is point for what in _KINDS},
        }

"""The figures of a risk run; each says the same in grey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from corrida.analysis.charts.theme import BAD, GOOD, INK, PALETTE, Spec, figure
from corrida.pipelines.risk.metrics import confusion
from corrida.pipelines.risk.settings import CLASSES
from corrida.pipelines.risk.tables import calibration_table, learning_table, thresholds_table

if TYPE_CHECKING:
    import polars as pl

    from corrida.pipelines.risk.training import Trained

_PANEL: Final = {"width": 300, "height": 210}
_HEADER: Final = {"labelFontSize": 12, "labelFontWeight": 600, "labelAnchor": "start", "title": None}
_MOST_FEATURES: Final = 16


_FEW: Final = {"tickCount": 5, "labelFlush": False, "labelOverlap": "greedy", "labelSeparation": 8}
_STAGES: Final = ("before calibration", "after calibration")


def _number(field: str, title: str | None = None, **more: Any) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "title": title, "axis": _FEW, **more}


def cost_curves(trained: Trained) -> Spec:
    """Return what each threshold of the grid costs, with the one that is used."""
    rows = thresholds_table(trained).to_dicts()
    free: dict[str, Any] = {
        "zero": False,
        "nice": False,
        "padding": 14,
    }  # a circle at the end stays off the axis
    x = _number("threshold", "threshold", scale=free)
    y = _number("cost", "mean cost of a transaction", scale=free)
    return figure(
        "What a threshold costs",
        "on the calibration transactions; circle: the one that was learned and is used",
        data={"values": rows},
        facet={"column": {"field": "alarm", "type": "nominal", "header": _HEADER}},
        resolve={"scale": {"y": "independent"}},
        spec={
            **_PANEL,
            "layer": [
                {"mark": {"type": "line", "color": GOOD, "strokeWidth": 2}, "encoding": {"x": x, "y": y}},
                {
                    "mark": {"type": "point", "color": GOOD, "filled": True, "size": 18},
                    "encoding": {"x": x, "y": y},
                },
                {
                    "transform": [{"filter": "datum.used"}],
                    "mark": {"type": "point", "size": 170, "strokeWidth": 2.5, "color": INK, "opacity": 1},
                    "encoding": {"x": x, "y": y},
                },
            ],
        },
    )


def learning_curves(trained: Trained) -> Spec:
    """Return how Q-learning converged: the threshold at which its policy ends, and how much its values still changed."""
    rows = [
        {"alarm": row["alarm"], "episode": row["episode"], "what": what, "value": row[key]}
        for row in learning_table(trained).to_dicts()
        for what, key in (("threshold of the policy", "threshold"), ("greatest change of a value", "change"))
    ]
    names = list(trained.learned)
    series = {"field": "alarm", "type": "nominal", "title": None, "sort": names}
    return figure(
        "How the thresholds were learned",
        "Q-learning by episodes; it ends when the policy stands still and the values change no more",
        data={"values": rows},
        facet={
            "column": {
                "field": "what",
                "type": "nominal",
                "sort": ["threshold of the policy"],
                "header": _HEADER,
            }
        },
        resolve={"scale": {"y": "independent"}},
        spec={
            **_PANEL,
            "mark": {"type": "line", "strokeWidth": 2},
            "encoding": {
                "x": _number("episode", "episode", axis={**_FEW, "tickCount": 4}),
                "y": _number("value", scale={"zero": False, "nice": True}),
                "color": {
                    **series,
                    "scale": {"domain": names, "range": [PALETTE[0], PALETTE[5]][: len(names)]},
                    "legend": {"orient": "bottom"},
                },
                "strokeDash": {**series, "scale": {"domain": names, "range": [[1, 0], [6, 3]][: len(names)]}},
            },
        },
    )


def reliability_curves(trained: Trained) -> Spec:
    """Return what was said and what was so on the test transactions, before and after calibration."""
    rows = calibration_table(trained).to_dicts()
    for row in rows:
        row["panel"] = f"at least {row['at_least']}"
        row["calibration"] = f"{row['calibration']} calibration"
    names = [f"at least {CLASSES[level]}" for level in sorted(trained.decided.risks)]
    axis = {"scale": {"domain": [0, 1]}, "axis": {**_FEW, "format": ".1f"}}
    x, y = _number("said", "risk that was given", **axis), _number("so", "share that was so", **axis)
    stage = {"field": "calibration", "type": "nominal", "title": None, "sort": list(_STAGES)}
    colour = {
        **stage,
        "scale": {"domain": list(_STAGES), "range": [BAD, GOOD]},
        "legend": {"orient": "bottom"},
    }
    shape = {**stage, "scale": {"domain": list(_STAGES), "range": ["triangle-up", "circle"]}}
    return figure(
        "Are the risks honest?",
        "test transactions in bins of equal width; on the dashed line a risk is what it says; area: transactions",
        data={"values": rows},
        facet={"column": {"field": "panel", "type": "nominal", "sort": names, "header": _HEADER}},
        spec={
            "width": 215,
            "height": 215,
            "layer": [
                {
                    "data": {"values": [{"at": 0}, {"at": 1}]},
                    "mark": {"type": "line", "color": "#6E7781", "strokeDash": [4, 3], "strokeWidth": 1},
                    "encoding": {"x": {**x, "field": "at"}, "y": {**y, "field": "at"}},
                },
                {"mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.7}, "encoding": {"x": x, "y": y, "color": colour}},
                {
                    "mark": {"type": "point", "filled": True, "opacity": 0.9},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "color": colour,
                        "shape": shape,
                        "size": {"field": "rows", "type": "quantitative", "scale": {"type": "log", "range": [15, 240]}, "legend": None},
                    },
                },
            ],
        },
    )  # fmt: skip


def confusion_chart(items: pl.DataFrame, lowest: int) -> Spec:
    """Return true against given classes, with counts and the share of the true class."""
    names = list(CLASSES[lowest:])
    rows = []
    for expected, counts in zip(names, confusion(items, lowest), strict=True):
        whole = sum(counts)
        for output, count in zip(names, counts, strict=True):
            share = count / whole if whole else 0.0
            rows.append({"expected": expected, "output": output, "share": share, "text": f"{count:,}"})
    x = {
        "field": "output",
        "type": "nominal",
        "sort": names,
        "title": "class that was given",
        "axis": {"labelAngle": 0, "orient": "top"},
    }
    y = {"field": "expected", "type": "nominal", "sort": names, "title": "true class"}
    return figure(
        "Which class is taken for which",
        "test transactions; coloured by the share of the true class",
        data={"values": rows},
        width={"step": 96},
        height={"step": 40},
        layer=[
            {
                "mark": "rect",
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": {
                        "field": "share",
                        "type": "quantitative",
                        "scale": {"domain": [0, 1], "range": ["#F6F8FA", GOOD]},
                        "legend": None,
                    },
                },
            },
            {
                "mark": {"type": "text", "fontSize": 13},
                "encoding": {
                    "x": x,
                    "y": y,
                    "text": {"field": "text"},
                    "color": {"condition": {"test": "datum.share > 0.55", "value": "white"}, "value": INK},
                },
            },
        ],
    )  # fmt: skip


def importance_chart(trained: Trained) -> Spec | None:
    """Return the features that matter most; None where importance could not be measured."""
    ranked = sorted(trained.importances.items(), key=lambda one: -one[1])[:_MOST_FEATURES]
    if not ranked:
        return None
    rows = [{"feature": name, "importance": value, "text": f"{value:.3f}"} for name, value in ranked]
    y = {"field": "feature", "type": "nominal", "sort": [name for name, _ in ranked], "title": None,
         "axis": {"ticks": False, "domain": False}}  # fmt: skip
    x = _number("importance", "loss of average precision when the feature is shuffled")
    return figure(
        "Which features matter",
        "calibration transactions; several features may say the same, and then each alone matters little",
        data={"values": rows},
        width=420,
        height={"step": 20},
        layer=[
            {"mark": {"type": "bar", "color": "#A8C8E4"}, "encoding": {"x": x, "y": y}},
            {
                "mark": {"type": "text", "align": "left", "dx": 4, "fontSize": 11},
                "encoding": {"x": x, "y": y, "text": {"field": "text"}},
            },
        ],
    )


def precision_recall(trained: Trained) -> Spec:
    """Return precision against recall of each alarm on the test transactions."""
    from sklearn.metrics import precision_recall_curve

    rows = []
    names = [CLASSES[level] for level in sorted(trained.decided.risks) if level >= 2]
    for name in names:
        level = CLASSES.index(name)
        truth = trained.expected >= level
        if not truth.any():
            continue
        precision, recall, _ = precision_recall_curve(truth, trained.decided.risks[level])
        step = max(len(recall) // 300, 1)
        rows += [
            {"alarm": name, "recall": float(r), "precision": float(p), "order": i}
            for i, (p, r) in enumerate(zip(precision[::step], recall[::step], strict=True))
        ]
    series = {"field": "alarm", "type": "nominal", "title": None, "sort": names}
    axis = {"scale": {"domain": [0, 1]}, "axis": {**_FEW, "format": ".1f"}}
    return figure(
        "What finding more costs in false alarms",
        "test transactions, by the risk alone, without the law",
        data={"values": rows},
        width=330,
        height=240,
        mark={"type": "line", "strokeWidth": 2},
        encoding={
            "x": _number("recall", "share of the true ones that is found (recall)", **axis),
            "y": _number("precision", "share of the alarms that is true (precision)", **axis),
            "order": {"field": "order", "type": "quantitative"},
            "color": {**series, "scale": {"domain": names, "range": [PALETTE[0], PALETTE[5]][: len(names)]}},
            "strokeDash": {**series, "scale": {"domain": names, "range": [[1, 0], [6, 3]][: len(names)]}},
        },
    )

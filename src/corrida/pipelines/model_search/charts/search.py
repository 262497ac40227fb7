"""The search: models side by side, the score of each candidate, and which settings did well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from corrida.analysis.charts.theme import BAD, CHANGED, GOOD, INK, QUIET, Spec, figure
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from corrida.pipelines.model_search.leaderboard import Leaderboard

_COLOURS = {
    "chosen": GOOD, "as good": GOOD, "may be as good": "#56B4E9", "better": CHANGED, "worse": BAD, "not tested": QUIET,
}  # fmt: skip
_SHAPES = {
    "chosen": "diamond", "as good": "circle", "may be as good": "circle", "better": "triangle-up",
    "worse": "triangle-down", "not tested": "circle",
}  # fmt: skip
_WORDS = {"better": "better on the test rows"}
_TITLES = {"rmse": "RMSE", "mae": "MAE", "mse": "MSE", "r2": "R²"}
_MOST_SETTINGS = 6


class Candidate(NamedTuple):
    """What was tried: its number from 1, its settings, and its score (None where it failed)."""

    number: int
    params: Mapping[str, Any]
    score: float | None


def leaderboard_chart(board: Leaderboard) -> Spec | None:
    """Return each model's metric on the test rows with its interval; the colour says what the paired test says.

    Returns:
        The figure; None when no model could be tested.
    """
    alive = [one for one in board.standings if one.value is not None]
    if not alive:
        return None
    rows = [
        {
            "model": one.model,
            "value": one.value,
            "low": one.value if one.value_low is None else one.value_low,
            "high": one.value if one.value_high is None else one.value_high,
            "state": _WORDS.get(one.state, one.state),
            "text": format_number(float(f"{one.value:.4g}")),
        }
        for one in alive
    ]
    states = list(dict.fromkeys(_WORDS.get(one.state, one.state) for one in alive))
    raw = {_WORDS.get(state, state): state for state in _COLOURS}
    y = {
        "field": "model", "type": "nominal", "sort": [row["model"] for row in rows], "title": None,
        "axis": {"ticks": False, "domain": False},
    }  # fmt: skip
    colour = {
        "field": "state", "type": "nominal", "title": None,
        "scale": {"domain": states, "range": [_COLOURS[raw[s]] for s in states]}, "legend": {"orient": "bottom"},
    }  # fmt: skip
    shape = {
        "field": "state", "type": "nominal", "title": None,
        "scale": {"domain": states, "range": [_SHAPES[raw[s]] for s in states]},
    }  # fmt: skip
    name = _title(board.metric)
    x = {
        "field": "value", "type": "quantitative", "title": f"test {name}",
        "scale": {"zero": False, "nice": True, "padding": 10}, "axis": {"tickCount": 6},
    }  # fmt: skip
    units = f", {board.units} {board.clustered}s drawn as wholes" if board.clustered else ""
    side = "more" if board.metric == "accuracy" else "less"
    return figure(
        f"Models on {board.rows:,} test rows",
        [
            f"{name} ({side} is better) with its {100 * board.confidence:g} % interval{units}; in the order of validation",
            "may be as good: the paired test does not tell the model from the chosen one",
        ],
        data={"values": rows},
        width=460,
        height={"step": 30},
        layer=[
            {
                "mark": {"type": "rule", "strokeWidth": 3},
                "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colour},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 100, "opacity": 1},
                "encoding": {"y": y, "x": x, "color": colour, "shape": shape},
            },
            {
                "mark": {"type": "text", "align": "left", "fontSize": 11, "color": INK},
                "encoding": {"y": y, "x": {"value": 468}, "text": {"field": "text"}},
            },
        ],
    )


def traces_chart(traces: Mapping[str, Sequence[Candidate]], scoring: str, *, higher: bool) -> Spec | None:
    """Return the validation score of each candidate of each model, and the best so far as a line.

    Scores far below the others are left outside of the frame: one bad candidate would flatten all the rest.

    Returns:
        The figure; None when no model had two candidates.
    """
    rows: list[dict[str, Any]] = []
    finals: list[float] = []
    for model, candidates in traces.items():
        known = [one for one in candidates if one.score is not None]
        if len(known) < 2:
            continue
        best: float | None = None
        for one in known:
            score = float(one.score or 0.0)
            best = score if best is None else (max if higher else min)(best, score)
            rows.append({"model": model, "candidate": one.number, "score": score, "best": best})
        finals.append(float(best or 0.0))
    if not rows:
        return None
    low, high = _frame([row["score"] for row in rows], higher=higher)
    outside = sum(not low <= row["score"] <= high for row in rows)
    for row in rows:
        row["best"] = min(max(row["best"], low), high)
    models = list(dict.fromkeys(row["model"] for row in rows))
    y = {
        "field": "score", "type": "quantitative", "title": f"validation {_title(scoring)}",
        "scale": {"zero": False, "domain": [low, high], "nice": True}, "axis": {"tickCount": 5},
    }  # fmt: skip
    x = {
        "field": "candidate", "type": "quantitative", "title": "candidate",
        "axis": {"tickMinStep": 1, "format": "d", "tickCount": 5, "grid": False}, "scale": {"zero": False, "padding": 6},
    }  # fmt: skip
    left = f"; {outside} far off are outside of the frame" if outside else ""
    return figure(
        "What was tried",
        f"circle: the mean {_title(scoring)} over folds of a candidate; line: the best so far{left}",
        data={"values": rows},
        facet={"field": "model", "sort": models, "title": None, "header": {"labelFontSize": 12, "labelFontWeight": 600}},
        columns=3,
        spec={
            "width": 200,
            "height": 130,
            "layer": [
                {
                    "mark": {"type": "line", "interpolate": "step-after", "color": GOOD, "strokeWidth": 1.8},
                    "encoding": {"x": x, "y": {**y, "field": "best"}},
                },
                {
                    "mark": {"type": "point", "size": 34, "color": INK, "opacity": 0.75, "strokeWidth": 1.2, "clip": True},
                    "encoding": {"x": x, "y": y},
                },
            ],
        },
        resolve={"scale": {"x": "independent"}},
    )  # fmt: skip


def settings_chart(model: str, candidates: Sequence[Candidate], scoring: str, *, higher: bool) -> Spec | None:
    """Return the score against each setting that varied, to see where the search did well.

    Returns:
        The figure; None when nothing varied.
    """
    known = [one for one in candidates if one.score is not None]
    varied = [
        name
        for name in dict.fromkeys(name for one in known for name in one.params)
        if len({repr(one.params.get(name)) for one in known}) > 1
    ][:_MOST_SETTINGS]
    if len(known) < 4 or not varied:
        return None
    low, high = _frame([float(one.score or 0) for one in known], higher=higher)
    best = (max if higher else min)(known, key=lambda one: float(one.score or 0))
    y = {
        "field": "score", "type": "quantitative", "scale": {"zero": False, "domain": [low, high], "nice": True},
        "axis": {"tickCount": 5},
    }  # fmt: skip
    panels = []
    for place, name in enumerate(varied):
        values = [one.params.get(name) for one in known]
        rows = [
            {"value": value, "score": one.score, "best": one is best}
            for one, value in zip(known, values, strict=True)
        ]
        rows.sort(key=lambda row: bool(row["best"]))  # drawn last, on top
        panels.append(
            {
                "data": {"values": rows},
                "width": 200,
                "height": 130,
                "mark": {"type": "point", "filled": True, "clip": True},
                "encoding": {
                    "x": _axis_of(name, values),
                    "y": {**y, "title": f"validation {_title(scoring)}" if place % 3 == 0 else None},
                    "color": {
                        "condition": {"test": "datum.best", "value": BAD}, "value": GOOD,
                    },
                    "size": {"condition": {"test": "datum.best", "value": 90}, "value": 36},
                    "opacity": {"condition": {"test": "datum.best", "value": 1}, "value": 0.6},
                },
            }
        )  # fmt: skip
    return figure(
        f"Settings of {model}",
        "each circle is a candidate; the large one is the best",
        concat=panels,
        columns=3,
    )


def _title(metric: str) -> str:
    return _TITLES.get(metric, metric.replace("_", " "))


def _axis_of(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return the axis of a setting: numbers as such (over two powers of ten by their logarithm), all else as names."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(values):
        return {"field": "value", "type": "nominal", "title": name, "axis": {"labelAngle": 0}}
    scale: dict[str, Any] = {"zero": False, "padding": 8}
    if min(numbers) > 0 and max(numbers) / min(numbers) >= 50:
        scale = {"type": "log", "padding": 8}
    return {
        "field": "value", "type": "quantitative", "title": name, "scale": scale,
        "axis": {"tickCount": 4, "grid": False, **({"format": "~g"} if scale.get("type") == "log" else {})},
    }  # fmt: skip


def _frame(scores: Sequence[float], *, higher: bool) -> tuple[float, float]:
    """Return the ends of the axis of scores: those that are not far worse than most."""
    ordered = sorted(scores)
    quarter, middle = ordered[len(ordered) // 4], ordered[len(ordered) // 2]
    three = ordered[(3 * len(ordered)) // 4]
    spread = max(three - quarter, abs(middle) * 1e-3, 1e-9)
    low, high = ordered[0], ordered[-1]
    if higher:
        low = max(low, quarter - 3 * spread)
    else:
        high = min(high, three + 3 * spread)
    edge = (high - low) * 0.05 or abs(high) * 0.01 or 0.01
    return low - edge, high + edge

"""Series with what was forecast of them: history, forecasts of the validation, and what comes after the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from corrida.analysis.blocks import display_width, shorten
from corrida.analysis.charts.theme import BAD, INK, PALETTE, Spec, figure
from corrida.pipelines.forecasting.intervals import widened
from corrida.pipelines.forecasting.results import time_value

if TYPE_CHECKING:
    from corrida.pipelines.forecasting.panel import Forecast, Series
    from corrida.pipelines.forecasting.results import Example, Results

_NAME: Final = 60
_LONGEST: Final = 400
_SHORT_BAND: Final = {"type": "rule", "opacity": 0.35, "strokeWidth": 5}
_WIDTH, _HEIGHT = 640, 170
_LATER = PALETTE[2]
_KINDS: Final = ("what happened", "forecast in the validation", "forecast after the data")
_COLOURS: Final = (INK, BAD, _LATER)


def examples(results: Results) -> Spec | None:
    """Return the best, the median and the worst series, one panel each.

    Returns:
        The figure; None when there is no series with an error.
    """
    shown = results.examples
    if not shown:
        return None
    level = results.config.levels[-1]
    cut = any(len(results.panel.by_id[one.series].y) > _most(results) for one in shown)
    subtitle = [
        f"lines in colour: the model that is chosen; bands: its intervals of {level} %",
        "grey: what the validation held out, with a line at each cutoff, where the forecast starts",
    ]
    if cut:
        subtitle.append(f"only the last {_most(results):,} values are drawn")
    return figure(
        "Forecasts of the best, the median and the worst series"
        if len(shown) == 3
        else "Forecasts of the best and the worst series"
        if len(shown) == 2
        else "Forecasts of the series",
        subtitle,
        vconcat=[
            _panel(results, one, level, last=place == len(shown) - 1) for place, one in enumerate(shown)
        ],
        spacing=18,
        resolve={"scale": {"color": "independent"}},
    )


def _panel(results: Results, example: Example, level: int, *, last: bool) -> Spec:
    panel, one = results.panel, results.panel.by_id[example.series]
    first = max(0, len(one.y) - _most(results))
    counted = panel.frequency.unit == "step"
    kind = "quantitative" if counted else "temporal"
    history = [
        {"at": time_value(at), "y": float(y), "kind": _KINDS[0]}
        for at, y in zip(
            panel.frequency.times(one.start, first, len(one.y) - first), one.y[first:], strict=True
        )
    ]
    rows, cuts = _said(results, one, level, first)
    x: dict[str, Any] = {
        "field": "at", "type": kind, "title": None,
        "axis": {"grid": False, "tickCount": 8, **({"format": "d"} if counted else {})},
        "scale": {"zero": False, "nice": False} if counted else {},
    }  # fmt: skip
    y: dict[str, Any] = {
        "field": "y", "type": "quantitative", "title": None, "scale": {"zero": False},
        "axis": {"tickCount": 5, **({"format": "~s"} if _large(one) else {})},
    }  # fmt: skip
    legend = (
        {
            "orient": "bottom",
            "symbolType": "stroke",
            "symbolSize": 400,
            "symbolStrokeWidth": 2.5,
            "symbolOpacity": 1,
        }
        if last
        else None
    )
    kinds = [kind for kind in _KINDS if kind == _KINDS[0] or any(row["kind"] == kind for row in rows)]
    colour = {
        "field": "kind", "type": "nominal", "title": None, "legend": legend,
        "scale": {"domain": kinds, "range": [_COLOURS[_KINDS.index(kind)] for kind in kinds]},
    }  # fmt: skip
    short = results.config.horizon <= 2  # of one or two steps neither a line nor an area is seen
    held = panel.frequency.times(one.start, max(first, len(one.y) - results.config.held_out - 1), 1)[0]
    end = panel.cutoff(one)
    return {
        "title": {
            "text": f"{example.word}: {_named(example.series)}",
            "subtitle": f"{_models(results, example.series)}; {results.unit} {example.error:.3g}",
            "fontSize": 12,
            "offset": 6,
            "frame": "group",
        },
        "width": _WIDTH,
        "height": _HEIGHT,
        "layer": [
            {
                "data": {"values": [{"from": time_value(held), "to": time_value(end)}]},
                "mark": {"type": "rect", "color": "#F2F4F7"},
                "encoding": {"x": {**x, "field": "from"}, "x2": {"field": "to"}},
            },
            {
                "data": {"values": cuts},
                "mark": {"type": "rule", "color": "#AFB8C1", "strokeDash": [3, 3]},
                "encoding": {"x": x},
            },
            {
                "data": {"values": [row for row in rows if row["low"] is not None]},
                "mark": _SHORT_BAND if short else {"type": "area", "opacity": 0.22},
                "encoding": {
                    "x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour,
                    "detail": {"field": "part"},
                },
            },
            {
                "data": {"values": history},
                "mark": {"type": "line", "strokeWidth": 1.4},
                "encoding": {"x": x, "y": y, "color": colour},
            },
            {
                "data": {"values": rows},
                "mark": {"type": "line", "strokeWidth": 1.8, **({"point": {"size": 16, "filled": True}} if short else {})},
                "encoding": {
                    "x": x, "y": y, "color": colour, "detail": {"field": "part"},
                    "tooltip": [{"field": "at", "type": kind}, {"field": "y", "type": "quantitative", "format": ",.4~g"}, {"field": "model"}],
                },
            },
        ],
    }  # fmt: skip


def _said(
    results: Results, one: Series, level: int, first: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what the chosen models said of a series, and the cutoffs."""
    panel = results.panel
    rows: list[dict[str, Any]] = []
    cuts = []
    step, held = results.config.step, results.config.held_out
    for place, window in enumerate(results.trials.windows):
        choice = results.nested.get(window, {}).get(one.id) or results.final[one.id]
        trial = results.trials.one(one.id, choice.model, window)
        start = len(one.y) - held + place * step
        if start - 1 >= first:
            cuts.append({"at": time_value(trial.cutoff)})
        times = panel.frequency.times(one.start, start, len(trial.actual))
        rows += _rows(trial.forecast, times, level, _KINDS[1], window, choice.model)
    model = results.final[one.id].model
    found = results.trained.validated[model]
    if (ahead := found.ahead.get(one.id)) is not None:
        if found.widths and (scale := results.scale(one.id)) > 0:
            ahead = widened(ahead, scale, found.widths)
        cuts.append({"at": time_value(panel.cutoff(one))})
        times = panel.ahead(one, len(ahead.mean))
        rows += _rows(ahead, times, level, _KINDS[2], 0, model)
    return rows, cuts


def _rows(
    forecast: Forecast, times: Any, level: int, kind: str, part: int, model: str
) -> list[dict[str, Any]]:
    lower, upper = forecast.bounds.get(level, (None, None))
    return [
        {
            "at": time_value(at),
            "y": float(forecast.mean[i]),
            "low": None if lower is None else float(lower[i]),
            "high": None if upper is None else float(upper[i]),
            "kind": kind,
            "part": part,
            "model": model,
        }
        for i, at in enumerate(times)
    ]


def _models(results: Results, series: str) -> str:
    """Return which models are drawn: that of each window where they differ."""
    final = results.final[series].model
    others = [
        choice.model
        for window in results.trials.windows
        if (choice := results.nested.get(window, {}).get(series)) and choice.model != final
    ]
    told = f"in earlier windows {', '.join(dict.fromkeys(others))}" if others else ""
    return ", ".join(filter(None, (final, told)))


def _most(results: Results) -> int:
    """Return how many values are drawn: the validation, and enough before it to see what it follows."""
    before = max(4 * results.panel.season_length, 3 * results.config.held_out, 60)
    return min(_LONGEST, results.config.held_out + before)


def _named(series: str) -> str:
    """Return an id that fits above a panel; ids that are long begin alike, so the end is kept too."""
    if display_width(series) <= _NAME:
        return shorten(series, _NAME)
    end = series[-_NAME // 2 :]
    while display_width(end) > _NAME // 2:
        end = end[1:]
    return shorten(series, _NAME - display_width(end)) + shorten(end, _NAME)


def _large(one: Series) -> bool:
    return bool(abs(one.y).max() >= 10_000_000)

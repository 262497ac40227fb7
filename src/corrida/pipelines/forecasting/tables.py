"""The tables of a run: errors, forecasts of the validation, models, choices, items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from corrida.pipelines.forecasting.cherry_pick import Choice, Trials
    from corrida.pipelines.forecasting.panel import Floats, Forecast, Panel
    from corrida.pipelines.forecasting.validation import Trial

ERRORS = ("mae", "rmse", "mase", "smape")


def item_id(trial: Trial, panel: Panel) -> str:
    """Return the id of the item that a trial is about: ``series@cutoff``."""
    return f"{trial.series}@{panel.frequency.text(trial.cutoff)}"


def metrics_table(trials: Iterable[Trial], levels: Sequence[int]) -> pl.DataFrame:
    """Return the errors, one row a model, series and window. Training and prediction write the same columns."""
    rows = [
        {
            "model": trial.model,
            "unique_id": trial.series,
            "cutoff": trial.cutoff,
            "window": trial.window,
            "steps": len(trial.actual),
            **trial.errors(levels),
        }
        for trial in trials
    ]
    floats = dict.fromkeys((*ERRORS, *(f"coverage_{level}" for level in levels)), pl.Float64)
    return dated(pl.DataFrame(rows, schema_overrides=floats))


def forecast_columns(forecast: Forecast, levels: Sequence[int]) -> dict[str, Any]:
    """Return a forecast as columns; without an interval its columns are null."""
    empty = [None] * len(forecast.mean)
    columns: dict[str, Any] = {"forecast": forecast.mean}
    for level in levels:
        lower, upper = forecast.bounds.get(level, (empty, empty))
        columns[f"lower_{level}"] = pl.Series(lower, dtype=pl.Float64)
        columns[f"upper_{level}"] = pl.Series(upper, dtype=pl.Float64)
    return columns


def cv_table(trials: Iterable[Trial], panel: Panel, levels: Sequence[int]) -> pl.DataFrame:
    """Return what a model said in the validation and what happened, one row a step."""
    said = list(trials)
    counts = [len(trial.actual) for trial in said]
    each = pl.DataFrame(
        {
            "unique_id": pl.Series([trial.series for trial in said], dtype=pl.String),
            "cutoff": [trial.cutoff for trial in said],
            "window": pl.Series([trial.window for trial in said], dtype=pl.Int64),
        }
    )
    rows = each[np.repeat(np.arange(len(said)), counts)]
    ahead = pl.Series(np.concatenate([np.arange(1, count + 1) for count in counts]), dtype=pl.Int64)
    columns = {
        "y": np.concatenate([trial.actual for trial in said]),
        "forecast": np.concatenate([trial.forecast.mean for trial in said]),
    }
    for level in levels:
        bounds = [_bounds(trial.forecast, level) for trial in said]
        columns[f"lower_{level}"] = np.concatenate([one[0] for one in bounds])
        columns[f"upper_{level}"] = np.concatenate([one[1] for one in bounds])
    frame = rows.select(
        "unique_id",
        panel.frequency.times_from(rows["cutoff"], ahead).alias("ds"),
        "cutoff",
        "window",
        *(pl.Series(name, values, dtype=pl.Float64).fill_nan(None) for name, values in columns.items()),
    )
    return dated(frame)


def scored_table(trials: Sequence[Trial], panel: Panel, levels: Sequence[int]) -> pl.DataFrame:
    """Return forecasts in the columns of a prediction, with what happened and the window."""
    counts = [len(trial.actual) for trial in trials]
    models = pl.Series("model", [trial.model for trial in trials], dtype=pl.String)
    frame = cv_table(trials, panel, levels).with_columns(models[np.repeat(np.arange(len(trials)), counts)])
    last = ("model", "cutoff", "window")
    return frame.select(pl.exclude(last), *last)


def _bounds(forecast: Forecast, level: int) -> tuple[Floats, Floats]:
    nothing = np.full(len(forecast.mean), np.nan)
    return forecast.bounds.get(level, (nothing, nothing))


def models_table(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return rows about the models as a table."""
    return pl.DataFrame([dict(row) for row in rows], infer_schema_length=None)


def choices_table(choices: Mapping[str, Choice]) -> pl.DataFrame:
    """Return the choice of each series."""
    return pl.DataFrame(
        [
            {
                "unique_id": one.series,
                "model": one.model,
                "best_model": one.best,
                "best_single_model": one.single,
                "error": one.error,
                "best_error": one.best_error,
                "naive_error": one.naive_error,
                "p_value": one.p_value,
                "why": one.why,
            }
            for one in choices.values()
        ],
        schema_overrides={"p_value": pl.Float64},
    )


def items_table(
    trials: Trials, nested: Mapping[int, Mapping[str, Choice]], panel: Panel, levels: Sequence[int]
) -> pl.DataFrame:
    """Return one row a series and cutoff: the model that earlier windows choose, and its errors.

    The loss is the MASE of that model; null in the first window, before which nothing is known to choose by, and where
    the series has no MASE. The MASE of each model stands beside it.
    """
    rows = []
    for window in trials.windows:
        for series in trials.series:
            choice = nested.get(window, {}).get(series)
            naive = trials.one(series, trials.models[0], window)
            row: dict[str, Any] = {
                "item_id": item_id(naive, panel),
                "unique_id": series,
                "cutoff": panel.frequency.text(naive.cutoff),
                "window": window,
                "model": choice.model if choice else None,
            }
            taken = trials.one(series, choice.model, window).errors(levels) if choice else {}
            row["loss"] = taken.get("mase")
            row |= {name: taken.get(name) for name in ("mae", "rmse", "smape")}
            row |= {f"coverage_{level}": taken.get(f"coverage_{level}") for level in levels}
            row |= {f"mase.{model}": trials.one(series, model, window).mase for model in trials.models}
            rows.append(row)
    floats = ["loss", "mae", "rmse", "smape", *(f"coverage_{level}" for level in levels)]
    floats += [f"mase.{model}" for model in trials.models]
    texts = {"model": pl.String}
    return pl.DataFrame(rows, schema_overrides={**dict.fromkeys(floats, pl.Float64), **texts})


def history_table(panel: Panel) -> pl.DataFrame:
    """Return the series that models were fitted on; rows of the future hold exogenous values and no y."""
    counts = [len(one.exogenous) for one in panel.series]
    each = pl.DataFrame(
        {
            "unique_id": pl.Series([one.id for one in panel.series], dtype=pl.String),
            "ds": [one.start for one in panel.series],
        }
    )
    rows = each[np.repeat(np.arange(len(counts)), counts)]
    steps = pl.Series(np.concatenate([np.arange(count) for count in counts]), dtype=pl.Int64)
    y = [np.concatenate([one.y, np.full(one.known_ahead, np.nan)]) for one in panel.series]
    exogenous = np.concatenate([one.exogenous for one in panel.series])
    return rows.select(
        "unique_id",
        panel.frequency.times_from(rows["ds"], steps).alias("ds"),
        pl.Series("y", np.concatenate(y), dtype=pl.Float64).fill_nan(None),
        *(pl.Series(name, exogenous[:, i], dtype=pl.Float64) for i, name in enumerate(panel.exogenous)),
    )


def dated(frame: pl.DataFrame) -> pl.DataFrame:
    """Write times as dates where all of them are midnight."""
    for name in ("ds", "cutoff"):
        if name in frame.columns and isinstance(frame.schema[name], pl.Datetime):
            column = frame[name]
            if (column.dt.date().cast(pl.Datetime("us")) == column).all():
                frame = frame.with_columns(column.dt.date())
    return frame

"""The tables of a run: errors, forecasts of the validation, models, choices, items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from corrida.pipelines.forecasting.cherry_pick import Choice, Trials
    from corrida.pipelines.forecasting.panel import Forecast, Panel
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
    parts = []
    for trial in trials:
        one, count = panel.by_id[trial.series], len(trial.actual)
        history = len(one.y) - _back(trial, panel)
        parts.append(
            pl.DataFrame(
                {
                    "unique_id": [trial.series] * count,
                    "ds": panel.frequency.times(one.start, history, count),
                    "cutoff": [trial.cutoff] * count,
                    "window": [trial.window] * count,
                    "y": trial.actual,
                    **forecast_columns(trial.forecast, levels),
                }
            )
        )
    return dated(pl.concat(parts))


def _back(trial: Trial, panel: Panel) -> int:
    one = panel.by_id[trial.series]
    positions = panel.frequency.positions(pl.Series([one.start, trial.cutoff]))
    return len(one.y) - 1 - int(positions[1]) if positions is not None else 0


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
    parts = []
    for one in panel.series:
        count, known = len(one.exogenous), len(one.y)
        parts.append(
            pl.DataFrame(
                {
                    "unique_id": [one.id] * count,
                    "ds": panel.frequency.times(one.start, 0, count),
                    "y": pl.Series([*one.y, *[None] * (count - known)], dtype=pl.Float64),
                    **{name: one.exogenous[:, i] for i, name in enumerate(panel.exogenous)},
                }
            )
        )
    return pl.concat(parts)


def dated(frame: pl.DataFrame) -> pl.DataFrame:
    """Write times as dates where all of them are midnight."""
    for name in ("ds", "cutoff"):
        if name in frame.columns and isinstance(frame.schema[name], pl.Datetime):
            column = frame[name]
            if (column.dt.date().cast(pl.Datetime("us")) == column).all():
                frame = frame.with_columns(column.dt.date())
    return frame

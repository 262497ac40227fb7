"""A panel as one long table, as the libraries of global models take it: time is counted, the calendar is columns.

A series stands from position 0 on. Counting keeps every library's own reading of calendars out of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from corrida.pipelines.forecasting.frequency import Frequency
    from corrida.pipelines.forecasting.panel import Panel, Series

_DAY = 86_400


def calendar_parts(frequency: Frequency) -> tuple[str, ...]:
    """Return the parts of a date that can differ from step to step: month, weekday, hour and the like."""
    if frequency.unit == "step":
        return ()
    if frequency.unit == "month":
        return ("month",) if frequency.count % 12 else ()
    if frequency.unit == "second" and frequency.count % (7 * _DAY) == 0:
        return ("week",)
    if frequency.unit == "business day" or frequency.count % _DAY == 0:
        return ("weekday", "day", "month")
    return ("hour", "weekday", "month")


def history_frame(panel: Panel) -> pl.DataFrame:
    """Return ``unique_id, ds, y``, the calendar and the exogenous columns, up to the last value of each series."""
    return pl.concat([_rows(panel, one, 0, len(one.y)) for one in panel.series])


def future_frame(panel: Panel, horizon: int) -> pl.DataFrame:
    """Return the calendar and the exogenous columns of the next steps; those must be known."""
    return pl.concat([_rows(panel, one, len(one.y), horizon).drop("y") for one in panel.series])


def _rows(panel: Panel, one: Series, first: int, count: int) -> pl.DataFrame:
    times = panel.frequency.times(one.start, first, count)
    parts = [
        getattr(times.dt, part)().cast(pl.Int32).alias(f"calendar_{part}")
        for part in calendar_parts(panel.frequency)
    ]
    values = [
        pl.Series(f"exogenous_{i}", one.exogenous[first : first + count, i], dtype=pl.Float64)
        for i in range(len(panel.exogenous))
    ]
    y = one.y[first : first + count]
    return pl.DataFrame(
        [
            pl.Series("unique_id", [one.id] * count, dtype=pl.String),
            pl.Series("ds", range(first, first + count), dtype=pl.Int64),
            pl.Series("y", y if len(y) else [None] * count, dtype=pl.Float64),
            *parts,
            *values,
        ]
    )

"""A panel as one long table, as the libraries of global models take it: time is counted, the calendar is columns.

A series stands from position 0 on. Counting keeps every library's own reading of calendars out of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.pipelines.forecasting.frequency import Frequency
    from corrida.pipelines.forecasting.panel import Panel

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
    rows = _rows(panel, [0] * len(panel), [len(one.y) for one in panel.series])
    y = pl.Series("y", np.concatenate([one.y for one in panel.series]))
    return rows.insert_column(2, y)


def future_frame(panel: Panel, horizon: int) -> pl.DataFrame:
    """Return the calendar and the exogenous columns of the next steps; those must be known."""
    return _rows(panel, [len(one.y) for one in panel.series], [horizon] * len(panel))


def _rows(panel: Panel, first: Sequence[int], counts: Sequence[int]) -> pl.DataFrame:
    """Return some steps of each series: ``unique_id, ds``, the calendar and the exogenous columns.

    All series at once: a frame for each would cost more than many a model.
    """
    steps = pl.Series("ds", np.concatenate([np.arange(a, a + n) for a, n in zip(first, counts, strict=True)]))
    of_series = pl.Series(np.repeat(np.arange(len(panel)), counts))
    columns = [pl.Series("unique_id", [one.id for one in panel.series], dtype=pl.String)[of_series], steps]
    if parts := calendar_parts(panel.frequency):
        starts = pl.Series([one.start for one in panel.series], dtype=pl.Datetime("us"))
        times = panel.frequency.times_from(starts[of_series], steps)
        columns += [getattr(times.dt, part)().cast(pl.Int32).alias(f"calendar_{part}") for part in parts]
    if panel.exogenous:
        known = [one.exogenous[a : a + n] for one, a, n in zip(panel.series, first, counts, strict=True)]
        values = np.concatenate(known)
        columns += [pl.Series(f"exogenous_{i}", values[:, i]) for i in range(len(panel.exogenous))]
    return pl.DataFrame(columns)

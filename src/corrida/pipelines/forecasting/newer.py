"""Newer values behind the history that models were fitted on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from corrida.errors import InvalidData
from corrida.pipelines.forecasting.data import read_panel, some
from corrida.pipelines.forecasting.panel import Panel, Series
from corrida.pipelines.inputs import read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from corrida.pipelines.forecasting.panel import Floats
    from corrida.pipelines.forecasting.settings import ForecastingConfig


def read_newer(
    paths: Sequence[Path],
    config: ForecastingConfig,
    history: Panel,
    notes: list[str],
    read: Callable[[Path], pl.DataFrame] = read_table,
) -> Panel:
    """Return the series of newer files, each behind its history where it starts after that.

    Args:
        paths: in the columns of the training data.
        config: names of columns and rules.
        history: what the models were fitted on.
        notes: gets what a person should know: values that were corrected since, series that end before the training.
        read: what reads a file.

    Raises:
        InvalidData: the files cannot be used, or leave a hole behind the history.
    """
    given = read_panel(paths, config, like=history, appended=True, read=read)
    notes += given.warnings
    whole = replace(history, series=tuple(_continued(history, one) for one in given.panel.series))
    corrected: dict[str, int] = {}
    early = []
    for one in whole.series:
        old = history.by_id.get(one.id)
        if old is None:
            continue
        if (count := _corrected(history, old, one)) > 0:
            corrected[one.id] = count
        if values_after(history, one) < 0:
            early.append(one.id)
    if corrected:
        notes.append(
            f"{sum(corrected.values()):,} values that the models were trained on are others in the data "
            f"({some(list(corrected))}); those of the data count"
        )
    if early:
        notes.append(
            f"the data end before the training did ({some(early)}): the models know more than was known at these cutoffs"
        )
    return whole


def values_after(history: Panel, one: Series) -> int:
    """Return how many values of a series, as :func:`read_newer` gives it, came after its history; below 0 it ends earlier."""
    old = history.by_id[one.id]
    return len(one.y) - _lead(history, old, one) - len(old.y)


def is_newer(history: Panel, one: Series) -> bool:
    """Tell whether a series holds other values than those that were learnt from."""
    old = history.by_id.get(one.id)
    return old is None or not np.array_equal(old.y, one.y)


def _lead(history: Panel, old: Series, one: Series) -> int:
    """Return how many values a series has before the start of its history."""
    if one.start == old.start:
        return 0
    positions = history.frequency.positions(pl.Series([one.start, old.start]))
    if positions is None:
        raise InvalidData(f"the series {one.id!r} does not go by {history.frequency} towards its history")
    return int(positions[1])


def _corrected(history: Panel, old: Series, one: Series) -> int:
    now = one.y[_lead(history, old, one) :][: len(old.y)]
    # A file may be written with fewer digits than the one before.
    return int((~np.isclose(now, old.y[: len(now)], rtol=1e-9, atol=0)).sum())


def _continued(history: Panel, one: Series) -> Series:
    """Return newer values behind the history where they start after its start."""
    old = history.by_id.get(one.id)
    if old is None or one.start <= old.start:
        if len(one.y) <= history.season_length:
            raise InvalidData(
                f"the series {one.id!r} has {len(one.y)} values, too few to forecast from; "
                f"{history.season_length + 1} are needed"
            )
        return one
    positions = history.frequency.positions(pl.Series([old.start, one.start]))
    if positions is None:
        raise InvalidData(f"the series {one.id!r} does not go by {history.frequency} after its history")
    first = int(positions[1])
    if first > len(old.y):
        raise InvalidData(
            f"between the history of {one.id!r} and the data {first - len(old.y)} values are missing; "
            "give those too"
        )
    y: Floats = np.concatenate([old.y[:first], one.y]) if one.y.size else old.y  # the future alone
    exogenous = np.concatenate([old.exogenous[:first], one.exogenous])
    return Series(one.id, old.start, y, exogenous if len(exogenous) >= len(y) else old.exogenous)

"""From files to a panel: what is odd in the data is settled by a stated rule, or refused with the series named.

- Rows may stand in any order. A series is a text; two rows for one series and time are refused.
- Rows without a value after the last value of a series are its future: they give exogenous values, nothing else.
- Rows without a value before the first one are left out, and counted in a warning.
- Missing rows or values in between are refused, unless ``gaps`` says how to fill them; exogenous values are then
  carried forward.
- A value that is no number, or infinite, is refused.
- A series too short to be validated is refused, or left out where ``short_series`` is ``skip``.
- A constant series is kept; it has no MASE, and a warning says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from corrida.errors import InvalidData
from corrida.pipelines.forecasting.frequency import Frequency, infer_frequency, parse_frequency
from corrida.pipelines.forecasting.panel import Panel
from corrida.pipelines.forecasting.reading import Reading, said
from corrida.pipelines.forecasting.times import read_times
from corrida.pipelines.forecasting.validation import least_length
from corrida.pipelines.inputs import read_table, require_columns, rows_named, shown, text_column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from corrida.pipelines.forecasting.panel import Series
    from corrida.pipelines.forecasting.settings import ForecastingConfig

NAMED = 5
_MISSING = frozenset({"nan", "na", "n/a", "null", "none", "-", "."})


@dataclass(frozen=True)
class Found:
    """What was read.

    Attributes:
        panel: the series that are used.
        skipped: series left out, with the reason.
        warnings: what a person should know.
        filled: values that were missing and are filled in, by series.
    """

    panel: Panel
    skipped: dict[str, str]
    warnings: list[str]
    filled: dict[str, int]


def read_panel(
    paths: Sequence[Path],
    config: ForecastingConfig,
    *,
    validated: bool = False,
    like: Panel | None = None,
    appended: bool = False,
    read: Callable[[Path], pl.DataFrame] = read_table,
) -> Found:
    """Read series.

    Args:
        paths: CSV, Parquet or another table, in long format; together one data set.
        config: names of columns, frequency and rules.
        validated: whether series need the values that validation holds out, besides those to learn from.
        like: the panel that models were trained on; its frequency and exogenous columns are asked for.
        appended: whether series may be as short as one value, since they continue those of ``like``; or hold none,
            and say what exogenous columns will be.
        read: what reads a file.

    Raises:
        InvalidData: naming the file, the column, the row or the series, and the mend.
    """
    exogenous = like.exogenous if like is not None else None
    future = appended and bool(exogenous)
    days = like is None or like.frequency.days
    frame = pl.concat(
        [_read(path, read(path), config, exogenous, days=days, future=future) for path in paths],
        how="diagonal",
    )
    names = tuple(name for name in frame.columns if name.startswith("x:"))
    frame = frame.sort("id", "time", maintain_order=True)
    _refuse_duplicates(frame)
    parts = {str(key[0]): part for key, part in frame.group_by("id", maintain_order=True)}
    frequency = _frequency(parts, config, like)
    season = like.season_length if like is not None else config.season_length or frequency.season_length
    least = int(not future) if appended else least_length(config, season) if validated else season + 1
    series: list[Series] = []
    skipped: dict[str, str] = {}
    filled: dict[str, int] = {}
    late: list[str] = []
    for name, part in parts.items():
        one = Reading(name, part, frequency, names, config, appended=appended, future=future)
        if one.length < least:
            skipped[name] = f"{one.length} of {least} values"
            continue
        series.append(one.series())
        filled |= {name: one.filled} if one.filled else {}
        late += [name] if one.dropped else []
    if appended and skipped:
        raise InvalidData(
            f"the data hold no values of {some(list(skipped))}; give some, or leave those rows out"
        )
    _settle_short(skipped, series, config)
    panel = Panel(tuple(series), frequency, season, tuple(name[2:] for name in names))
    warnings = _warnings(panel, skipped, filled, late, config)
    return Found(panel, skipped, warnings, filled)


def some(names: Sequence[str]) -> str:
    """Name a few series, and how many more there are."""
    few = ", ".join(names[:NAMED])
    return few if len(names) <= NAMED else f"{few} and {len(names) - NAMED:,} more"


def _read(
    path: Path,
    frame: pl.DataFrame,
    config: ForecastingConfig,
    exogenous: Sequence[str] | None,
    *,
    days: bool,
    future: bool,
) -> pl.DataFrame:
    """Return a file as id, time, y and ``x:`` columns; y and x are floats, null where nothing stands.

    A file that says what exogenous columns will be in the ``future`` need not have the column of the values.
    """
    columns = config.columns
    if future and columns.target not in frame.columns:
        frame = frame.with_columns(pl.lit(None, pl.Float64).alias(columns.target))
    _require_named(frame, path, config, mend=exogenous is None)
    if exogenous is None:
        rest = [n for n in frame.columns if n not in {columns.id, columns.time, columns.target}]
        exogenous = rest if columns.exogenous is None else columns.exogenous
    require_columns(frame, path, list(exogenous))
    ids = text_column(frame, path, columns.id)
    if (blank := ids.is_null().arg_true().to_list()) != []:
        raise InvalidData(
            f"{shown(path)}: column {columns.id!r} is empty at {rows_named(path, blank)}. Give every row its series."
        )
    times = read_times(frame[columns.time], path, columns.time, days=days)
    numbers = [
        _numbers(frame, path, name, ids).alias(alias)
        for name, alias in [(columns.target, "y"), *((name, f"x:{name}") for name in exogenous)]
    ]
    return pl.DataFrame([ids.alias("id"), times.alias("time"), *numbers])


def _require_named(frame: pl.DataFrame, path: Path, config: ForecastingConfig, *, mend: bool) -> None:
    columns = config.columns
    try:
        require_columns(frame, path, [columns.id, columns.time, columns.target])
    except InvalidData as error:
        if "Did you mean" in str(error) or not mend:
            raise
        raise InvalidData(
            f"{error} Say how the series, the time and the value are called there: columns.id, columns.time, columns.target, "
            f"as in --set columns.time={frame.columns[min(1, frame.width - 1)]}"
        ) from None


def _numbers(frame: pl.DataFrame, path: Path, column: str, ids: pl.Series) -> pl.Series:
    given = frame[column]
    if given.dtype.is_numeric() or given.dtype in {pl.Boolean, pl.Null}:
        values = given.cast(pl.Float64)
    elif given.dtype == pl.String:
        text = given.str.strip_chars()
        text = text.set(text.str.to_lowercase().is_in(list(_MISSING)) | (text == ""), None)
        values = text.cast(pl.Float64, strict=False)
        if (bad := (values.is_null() & text.is_not_null()).arg_true().to_list()) != []:
            mend = "Write numbers with a point and without separators of thousands" + (
                "." if column == "y" else ", or name the columns to use in columns.exogenous."
            )
            raise InvalidData(
                f"{shown(path)}: column {column!r} is {text[bad[0]]!r} at {rows_named(path, bad)} "
                f"(series {ids[bad[0]]!r}), which is no number. {mend}"
            )
    else:
        raise InvalidData(f"{shown(path)}: column {column!r} must be numbers but holds {given.dtype}.")
    values = values.fill_nan(None)
    if (bad := values.is_infinite().fill_null(value=False).arg_true().to_list()) != []:
        raise InvalidData(
            f"{shown(path)}: column {column!r} is infinite at {rows_named(path, bad)} (series {ids[bad[0]]!r}). "
            "Correct the value, or leave it empty."
        )
    return values


def _refuse_duplicates(frame: pl.DataFrame) -> None:
    twice = frame.filter(pl.struct("id", "time").is_duplicated())
    if twice.height:
        names = twice["id"].unique(maintain_order=True).to_list()
        first = twice.row(0, named=True)
        raise InvalidData(
            f"the series {first['id']!r} has more than one row for {said(first['time'])}"
            f"{f'; so have others: {some(names[1:])}' if len(names) > 1 else ''}. "
            "Keep one row for each series and time, or add them up first."
        )


def _frequency(parts: dict[str, pl.DataFrame], config: ForecastingConfig, like: Panel | None) -> Frequency:
    times = {name: part["time"] for name, part in parts.items()}
    counted = next(iter(times.values())).dtype.is_integer()
    if like is not None:
        found: Frequency | None = like.frequency
    elif config.freq is not None:
        found = parse_frequency(config.freq)
        if found.unit == "month" and not counted:
            ends = all((one.dt.month_end().dt.date() == one.dt.date()).all() for one in times.values())
            found = Frequency("month", found.count, month_end=ends)
    else:
        found = infer_frequency(times.values())
    if found is None:
        raise InvalidData(
            "the time between two values cannot be read off the data, since no series has two rows; set freq, as in --set freq=1mo"
        )
    if (found.unit == "step") != counted:
        if like is not None:
            was, now = ("dates", "whole numbers") if counted else ("whole numbers", "dates")
            raise InvalidData(
                f"the column {config.columns.time!r} holds {now}; the models were trained on {was}"
            )
        kind = "whole numbers" if counted else "dates"
        raise InvalidData(
            f"freq is {found}, but the column {config.columns.time!r} holds {kind}; "
            f"{'set freq to a number' if counted else 'write freq as 1mo, 1d or 1h'}"
        )
    return found


def _settle_short(skipped: dict[str, str], series: list[Series], config: ForecastingConfig) -> None:
    if not skipped or (config.short_series == "skip" and series):
        return
    listed = some([f"{name!r} ({why})" for name, why in skipped.items()])
    mend = "Set a smaller horizon or n_windows" + (
        ", or short_series to skip." if series else "; no series is long enough."
    )
    raise InvalidData(
        f"{len(skipped):,} series {'are' if len(skipped) > 1 else 'is'} too short for a horizon of {config.horizon} steps "
        f"in {_count(config.n_windows, 'window')}: {listed}. {mend}"
    )


def _warnings(
    panel: Panel, skipped: dict[str, str], filled: dict[str, int], late: list[str], config: ForecastingConfig
) -> list[str]:
    found = []

    def tell(names: Sequence[str], one: Callable[[str], str]) -> None:
        if names:
            found.append(one(f"{len(names):,} series ({some(list(names))})"))

    tell(list(skipped), lambda text: f"too short and left out: {text}")
    tell(
        list(filled),
        lambda text: f"{_count(sum(filled.values()), 'missing value')} filled ({config.gaps}) in {text}",
    )
    tell(late, lambda text: f"rows without a value before the first one are left out in {text}")
    constant = [one.id for one in panel.series if one.y.size and (one.y == one.y[0]).all()]
    tell(constant, lambda text: f"constant, and so without a MASE: {text}")
    return found


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count != 1 else ''}"

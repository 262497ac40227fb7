"""The features: what each is, and how it comes about from a transaction and what its client did before.

Every feature of a row depends on the row, on its client's rows of the 180 days before, and on what training recorded; never on
other rows that happen to stand in the same file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
import polars as pl

from corrida.pipelines.risk.windows import DAY, LONGEST, Windows, time_order, within

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from corrida.pipelines.risk.guardrails import Checked, Integers, Law

    Floats = npt.NDArray[np.float64]
    Booleans = npt.NDArray[np.bool_]

JUST_BELOW: Final = 0.8  # of a limit
_NIGHT = (22, 6)
_THOUSAND = 100_000  # in hundredths


class Feature(NamedTuple):
    """A feature: its name, what it is, and whether it is the code of a category."""

    name: str
    meaning: str
    category: bool = False


FEATURES: Final = (
    Feature("log_amount", "log10(1 + amount)"),
    Feature("whole_thousands", "1 when the amount is a multiple of 1,000 pesos"),
    Feature("trailing_zeros", "zeros at the end of the amount in whole pesos; 0 with centavos"),
    Feature("share_of_notice", "amount / limit of notice, at most 5; 0 without such a limit"),
    Feature("share_of_cash_limit", "amount / limit of cash, at most 5; 0 unless it is cash and has such a limit"),
    Feature("just_below_limit", "1 from 80 % of the limit of notice or cash up to it"),
    Feature("cash", "1 when the type of operation is cash"),
    Feature("weekday", "day of the week: 1 is Monday, 7 is Sunday"),
    Feature("day_of_month", "day of the month, 1 to 31"),
    Feature("hour", "0 to 23; missing when the date has no time"),
    Feature("night", "1 from 22 to 6 o'clock; missing when the date has no time"),
    Feature("count_7", "log2(1 + transactions of the client in 7 days before)"),
    Feature("count_30", "the same, 30 days"),
    Feature("count_180", "the same, 180 days"),
    Feature("sum_7", "log10(1 + pesos of the client in 7 days before)"),
    Feature("sum_30", "the same, 30 days"),
    Feature("sum_180", "the same, 180 days"),
    Feature("amount_ratio", "log10 of (1 + amount) / (1 + mean amount of 180 days before); missing without any"),
    Feature("days_since_last", "days since the client's last transaction, at most 180; 180 without any"),
    Feature("cash_count_30", "log2(1 + cash transactions of the client in 30 days before)"),
    Feature("below_limit_count_30", "log2(1 + transactions just below a limit in 30 days before)"),
    Feature("window_share_of_notice", "pesos in the activity in the window, this one included / limit of notice, at most 5"),
    Feature("same_operation_share", "share of the client's 180 days before that had the same type; missing without any"),
    Feature("amount_vs_operation", "log10(1 + amount) less the median of the type of operation in training"),
    Feature("pair_rarity", "-log10 of the share of the training rows of that type in that sector"),
    Feature("operation", "code of the type of operation: by frequency in training; 0 is one not seen", category=True),
    Feature("sector", "code of the sector, likewise", category=True),
)  # fmt: skip
NAMES: Final = tuple(feature.name for feature in FEATURES)


class Categories(msgspec.Struct, frozen=True, kw_only=True):
    """What training recorded of categories.

    Attributes:
        operation, sector: names, the most frequent first; the code is the place, from 1.
        median: of log10(1 + amount) by operation; the last one over all.
        pairs: rows of training by operation and sector, ``"<operation code> <sector code>"``.
        rows: of training.
    """

    operation: list[str]
    sector: list[str]
    median: list[float]
    pairs: dict[str, int]
    rows: int


def learn_categories(frame: pl.DataFrame) -> Categories:
    """Return what is recorded of the categories of training rows (columns ``operation``, ``sector``, ``cents``)."""
    operations, sectors = (_by_frequency(frame[name]) for name in ("operation", "sector"))
    logs = frame.with_columns((1 + pl.col("cents") / 100).log10().alias("log"))
    medians = dict(logs.group_by("operation").agg(pl.col("log").median()).iter_rows())
    overall = float(logs.select(pl.col("log").median()).item() or 0.0)
    pairs = frame.group_by("operation", "sector").len().sort("operation", "sector")
    at = {name: i for i, name in enumerate(operations, 1)}, {name: i for i, name in enumerate(sectors, 1)}
    return Categories(
        operation=operations,
        sector=sectors,
        median=[*(float(medians[name]) for name in operations), overall],
        pairs={f"{at[0][o]} {at[1][s]}": n for o, s, n in pairs.iter_rows()},
        rows=frame.height,
    )


def _by_frequency(values: pl.Series) -> list[str]:
    counts = values.value_counts().sort(["count", values.name], descending=[True, False])
    return counts[values.name].to_list()


@dataclass(frozen=True)
class Ordered:
    """Transactions by client and time, as arrays, with what the law says and what the client did before.

    Attributes:
        rows: where each stood in the frame.
        seconds, cents, activity: as in the frame; the activity as a number of the law, -1 for none.
        timed, cash: booleans.
        operation, sector: codes, 0 for one that training had not seen.
        windows: of the client.
        checked: what the law says.
        window_total: hundredths in the activity in the window of the law, this one included.
        same_operation: rows of 180 days before with the same type of operation.
    """

    rows: Integers
    seconds: Integers
    cents: Integers
    activity: Integers
    timed: Booleans
    cash: Booleans
    operation: Integers
    sector: Integers
    windows: Windows
    checked: Checked
    window_total: Integers
    same_operation: Integers

    def __len__(self) -> int:
        """Return how many transactions there are."""
        return len(self.rows)

    def at(self, rows: Any) -> Ordered:
        """Return only these rows; their windows stay those of all, so features have to be made before."""
        arrays = {name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays, checked=self.checked.at(rows))


def ordered(frame: pl.DataFrame, law: Law, categories: Categories) -> Ordered:
    """Put transactions that can be scored into the order of clients and time.

    Args:
        frame: rows of ``transactions.SCHEMA`` without problems, history first, in the order of their files.
        law: the limits.
        categories: of training.
    """
    group = numbered(frame["client"])
    seconds = frame["seconds"].to_numpy().astype(np.int64)
    order = time_order(group, seconds)
    group, seconds = group[order], seconds[order]
    group = (
        np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(np.diff(group) != 0)]) if len(group) else group
    )
    cents = frame["cents"].to_numpy().astype(np.int64)[order]
    names, kinds = frame["operation"], numbered(frame["operation"])[order]
    cash = _looked_up(names, {name: law.is_cash(name) for name in names.unique().to_list()}, pl.Boolean)[
        order
    ]
    activity = _activities(frame, law)[order]
    windows = Windows(group, seconds)
    _, in_activity = within(group, activity + 1, seconds, cents, law.law.window_days)
    same, _ = within(group, kinds, seconds, cents, LONGEST)
    total = in_activity + cents
    day = np.floor_divide(seconds, DAY)
    return Ordered(
        rows=order,
        seconds=seconds,
        cents=cents,
        activity=activity,
        timed=frame["timed"].to_numpy()[order],
        cash=cash,
        operation=_codes(frame["operation"], categories.operation)[order],
        sector=_codes(frame["sector"], categories.sector)[order],
        windows=windows,
        checked=law.check(activity, day, cents, cash, total),
        window_total=total,
        same_operation=same,
    )


def feature_table(data: Ordered, categories: Categories) -> Mapping[str, Floats]:
    """Return every feature of :data:`FEATURES` for every transaction, missing ones as NaN."""
    seconds, cents, windows, checked = data.seconds, data.cents, data.windows, data.checked
    pesos = cents / 100
    log = np.log10(1 + pesos)
    below = _just_below(data)
    count = windows.count(LONGEST)
    total = windows.total(cents, LONGEST)
    day = np.floor_divide(seconds, DAY)
    hour = np.where(data.timed, np.floor_divide(seconds - day * DAY, 3600), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / 100 / count
        ratio = np.where(count > 0, log - np.log10(1 + mean), np.nan)
        same = np.where(count > 0, data.same_operation / count, np.nan)
    medians = np.array([categories.median[-1], *categories.median[:-1]])
    return {
        "log_amount": log,
        "whole_thousands": ((cents % _THOUSAND == 0) & (cents > 0)).astype(np.float64),
        "trailing_zeros": _trailing_zeros(cents),
        "share_of_notice": _share(cents, checked.notice),
        "share_of_cash_limit": np.where(data.cash, _share(cents, checked.cash), 0.0),
        "just_below_limit": below.astype(np.float64),
        "cash": data.cash.astype(np.float64),
        "weekday": (day + 3) % 7 + 1.0,
        "day_of_month": _day_of_month(day),
        "hour": hour,
        "night": np.where(data.timed, (hour >= _NIGHT[0]) | (hour < _NIGHT[1]), np.nan),
        "count_7": np.log2(1.0 + windows.count(7)),
        "count_30": np.log2(1.0 + windows.count(30)),
        "count_180": np.log2(1.0 + count),
        "sum_7": np.log10(1 + windows.total(cents, 7) / 100),
        "sum_30": np.log10(1 + windows.total(cents, 30) / 100),
        "sum_180": np.log10(1 + total / 100),
        "amount_ratio": ratio,
        "days_since_last": windows.since_last(seconds) / DAY,
        "cash_count_30": np.log2(1.0 + windows.total(data.cash.astype(np.int64), 30)),
        "below_limit_count_30": np.log2(1.0 + windows.total(below.astype(np.int64), 30)),
        "window_share_of_notice": _share(data.window_total, checked.notice),
        "same_operation_share": same,
        "amount_vs_operation": log - medians[data.operation],
        "pair_rarity": _rarity(data, categories),
        "operation": data.operation.astype(np.float64),
        "sector": data.sector.astype(np.float64),
    }


def _just_below(data: Ordered) -> Booleans:
    found = np.zeros(len(data), dtype=np.bool_)
    for limit, counts in ((data.checked.notice, None), (data.checked.cash, data.cash)):
        near = (limit > 0) & (data.cents < limit) & (data.cents >= JUST_BELOW * limit)
        found |= near if counts is None else near & counts
    return found


def _share(cents: Integers, limit: Integers) -> Floats:
    return np.where(limit > 0, np.minimum(cents / np.maximum(limit, 1), 5.0), 0.0)


def _trailing_zeros(cents: Integers) -> Floats:
    zeros = np.zeros(len(cents))
    rows = np.flatnonzero(cents > 0)
    for power in range(1, 7):
        rows = rows[cents[rows] % (100 * 10**power) == 0]
        zeros[rows] = power
    return zeros


def _day_of_month(day: Integers) -> Floats:
    days: Floats = pl.Series(day.astype(np.int32)).cast(pl.Date).dt.day().to_numpy().astype(np.float64)
    return days


def _rarity(data: Ordered, categories: Categories) -> Floats:
    width = len(categories.sector) + 1
    shares = np.full((len(categories.operation) + 1) * width, 0.5)  # one not seen: half a row
    for pair, rows in categories.pairs.items():
        operation, sector = (int(code) for code in pair.split())
        shares[operation * width + sector] = rows
    rarity: Floats = -np.log10(shares / max(categories.rows, 1))[data.operation * width + data.sector]
    return rarity


def numbered(values: pl.Series) -> Integers:
    """Return a number for each value; equal values have the same."""
    # Categories of their own, where polars knows them, are forgotten with the frame; else a worker would keep all names.
    kind = pl.Categorical(pl.Categories.random()) if hasattr(pl, "Categories") else pl.Categorical
    found: Integers = values.cast(kind).to_physical().to_numpy().astype(np.int64)
    return found


def _codes(values: pl.Series, known: list[str]) -> Integers:
    found: Integers = _looked_up(values, {name: code for code, name in enumerate(known, 1)}, pl.Int64)
    return found


def _looked_up(values: pl.Series, table: Mapping[str, Any], kind: Any) -> Any:
    default = False if kind == pl.Boolean else 0
    return values.replace_strict(dict(table), default=default, return_dtype=kind).to_numpy()


def _activities(frame: pl.DataFrame, law: Law) -> Integers:
    pairs = frame.select("sector", "section").unique()
    activities = [law.activity_of(sector, section) for sector, section in pairs.iter_rows()]
    found = frame.select("sector", "section").join(
        pairs.with_columns(pl.Series("activity", activities, dtype=pl.Int64)),
        on=["sector", "section"],
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    numbers: Integers = found["activity"].to_numpy().astype(np.int64)
    return numbers

"""The limits of the law (LFPIORPI), dated, and what they say of transactions.

Limits are set in UMA, a unit whose value in pesos is published once a year. Both have periods of validity; a transaction is
measured by what was valid on its day. A day without a value is said to be without one, and never passes for unlimited.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from corrida.errors import InvalidConfig
from corrida.pipelines.contract import Config

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
NONE: Final = -1  # no activity of the law, or no limit
UNKNOWN: Final = -2  # no period holds the day
Positive = Annotated[float, msgspec.Meta(gt=0)]
Limit = Annotated[float, msgspec.Meta(ge=0)]


class Uma(Config, frozen=True, kw_only=True):
    """The value of the UMA.

    Attributes:
        from_: first day.
        to: last day.
        value: pesos a day.
        source: where it was published.
    """

    from_: dt.date = msgspec.field(name="from")
    to: dt.date
    value: Positive
    source: Annotated[str, msgspec.Meta(min_length=1)]


class Limits(Config, frozen=True, kw_only=True):
    """The limits of an activity in UMA; None where the law sets none.

    Attributes:
        from_: first day.
        to: last day; None while they are in force.
        identification: from here on the client is identified; 0 is always.
        notice: from here on a notice is due, for one transaction or for the sum of the window.
        cash: from here on cash is forbidden.
        source: the article.
    """

    from_: dt.date = msgspec.field(name="from")
    to: dt.date | None = None
    identification: Limit | None = None
    notice: Limit | None = None
    cash: Limit | None = None
    source: Annotated[str, msgspec.Meta(min_length=1)]


class Activity(Config, frozen=True, kw_only=True):
    """An activity of the law.

    Attributes:
        activity: its name.
        section: the fraction of article 17.
        sectors: how the files of users name it.
        limits: by period.
    """

    activity: str
    section: str
    sectors: tuple[str, ...] = ()
    limits: Annotated[list[Limits], msgspec.Meta(min_length=1)]


class Guardrails(Config, frozen=True, kw_only=True):
    """The limits of the law.

    Attributes:
        version: of this file.
        law: its name.
        about: what is to be said of the file.
        window_days: over which the transactions of a client in an activity are summed.
        cash_operations: types of operation that are cash.
        uma: by period.
        activities: and their limits.
    """

    version: str = ""
    law: str = ""
    about: str = ""
    window_days: Annotated[int, msgspec.Meta(ge=1, le=180)] = 180
    cash_operations: tuple[str, ...] = ()
    uma: Annotated[list[Uma], msgspec.Meta(min_length=1)]
    activities: list[Activity]


def default_guardrails() -> Guardrails:
    """Return the limits that come with corrida."""
    return msgspec.json.decode(files(__package__).joinpath("guardrails.json").read_bytes(), type=Guardrails)


def check_guardrails(law: Guardrails) -> None:
    """Refuse periods that overlap, and a sector that two activities claim.

    Raises:
        InvalidConfig: naming both.
    """
    spans: list[tuple[str, list[tuple[dt.date, dt.date | None]]]] = [
        ("guardrails.uma", [(one.from_, one.to) for one in law.uma])
    ]
    spans += [
        (f"guardrails: {a.activity}", [(one.from_, one.to) for one in a.limits]) for a in law.activities
    ]
    for place, periods in spans:
        ordered = sorted(periods, key=lambda period: period[0])
        for (start, end), (after, _) in pairwise(ordered):
            if end is None or end >= after:
                raise InvalidConfig(f"{place}: the period from {start} reaches into the one from {after}.")
        for start, end in ordered:
            if end is not None and end < start:
                raise InvalidConfig(f"{place}: a period ends on {end}, before it starts on {start}.")
    claimed: dict[str, str] = {}
    for activity in law.activities:
        for sector in {folded(name) for name in activity.sectors}:
            if sector in claimed:
                raise InvalidConfig(
                    f"guardrails: the sector {sector!r} belongs to {claimed[sector]!r} and {activity.activity!r}."
                )
            claimed[sector] = activity.activity


def folded(name: str) -> str:
    """Return a name as it is compared: lower case, without accents, words joined by ``_``."""
    import unicodedata

    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(sign if sign.isalnum() else " " for sign in plain if not unicodedata.combining(sign))
    return "_".join(plain.split())


@dataclass(frozen=True)
class Checked:
    """What the limits say of transactions, one entry a transaction; limits in hundredths, -1 where there is none.

    Attributes:
        identification, notice, cash: the limits of the day.
        identified: at or above identification.
        noticed: at or above notice.
        summed: the sum of the window at or above notice, and the transaction alone is not.
        paid_cash: cash at or above its limit.
        unknown: in an activity of the law, on a day for which no limits are known.
    """

    identification: Integers
    notice: Integers
    cash: Integers
    identified: Booleans
    noticed: Booleans
    summed: Booleans
    paid_cash: Booleans
    unknown: Booleans

    def at(self, rows: Any) -> Checked:
        """Return only these rows."""
        return Checked(**{name: value[rows] for name, value in vars(self).items()})

    @property
    def forbids(self) -> Booleans:
        """Whether a limit makes a transaction ``preocupante``."""
        return self.noticed | self.summed | self.paid_cash


class Law:
    """The limits, ready to be looked up."""

    def __init__(self, law: Guardrails) -> None:
        self.law = law
        self.names = [activity.activity for activity in law.activities]
        self._by_sector = {
            folded(name): number for number, a in enumerate(law.activities) for name in a.sectors
        }
        self._by_section = {a.section.casefold(): number for number, a in enumerate(law.activities)}
        self.cash_words = frozenset(folded(name) for name in law.cash_operations)

    def activity_of(self, sector: str | None, section: str | None) -> int:
        """Return the number of the activity that a section of the law, or else a sector, stands for; -1 for none."""
        if section:
            numeral = folded(section).split("_")[0]
            if numeral in self._by_section:
                return self._by_section[numeral]
        return self._by_sector.get(folded(sector), NONE) if sector else NONE

    def is_cash(self, operation: str | None) -> bool:
        """Tell whether a type of operation is cash: it is one of the words, or has ``efectivo`` or ``cash`` as a word."""
        name = folded(operation or "")
        return name in self.cash_words or not {"efectivo", "cash"}.isdisjoint(name.split("_"))

    @cached_property
    def _steps(self) -> list[tuple[Integers, npt.NDArray[np.int64]]]:
        """Return for each activity the days on which limits change, and the limits from then on (3 columns, hundredths)."""
        return [_steps_of(activity, self.law.uma) for activity in self.law.activities]

    def check(
        self, activity: Integers, day: Integers, amount: Integers, cash: Booleans, total: Integers
    ) -> Checked:
        """Return what the limits say.

        Args:
            activity: numbers of activities, -1 for none.
            day: days since 1970.
            amount: hundredths of pesos.
            cash: whether a transaction is in cash.
            total: hundredths that the client has moved in the activity in the window, this transaction included.
        """
        limits = np.full((len(activity), 3), NONE, dtype=np.int64)
        for number in np.unique(activity[activity >= 0]).tolist():
            rows = np.flatnonzero(activity == number)
            starts, values = self._steps[number]
            limits[rows] = values[np.searchsorted(starts, day[rows], side="right")]
        identification, notice, paid = limits.T
        known_notice, noticed = notice >= 0, (notice >= 0) & (amount >= notice)
        return Checked(
            identification=identification,
            notice=notice,
            cash=paid,
            identified=(identification >= 0) & (amount >= identification),
            noticed=noticed,
            summed=known_notice & ~noticed & (total >= notice),
            paid_cash=cash & (paid >= 0) & (amount >= paid),
            unknown=notice == UNKNOWN,
        )


def _steps_of(activity: Activity, uma: list[Uma]) -> tuple[Integers, npt.NDArray[np.int64]]:
    days = {_day(one.from_) for one in uma} | {_day(one.to) + 1 for one in uma}
    days |= {_day(one.from_) for one in activity.limits}
    days |= {_day(one.to) + 1 for one in activity.limits if one.to is not None}
    starts = sorted(days)
    rows: list[list[int]] = [[UNKNOWN] * 3]  # before all periods
    for start in starts:
        value = next((one.value for one in uma if _day(one.from_) <= start <= _day(one.to)), None)
        limits = next(
            (
                one
                for one in activity.limits
                if _day(one.from_) <= start and (one.to is None or start <= _day(one.to))
            ),
            None,
        )
        rows.append([UNKNOWN] * 3 if value is None or limits is None else _in_pesos(limits, value))
    return np.array(starts, dtype=np.int64), np.array(rows, dtype=np.int64)


def _in_pesos(limits: Limits, uma: float) -> list[int]:
    every: list[Any] = [limits.identification, limits.notice, limits.cash]
    return [NONE if units is None else round(units * uma * 100) for units in every]


def _day(date: dt.date) -> int:
    return (date - dt.date(1970, 1, 1)).days

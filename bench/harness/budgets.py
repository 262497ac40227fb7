"""Budgets: what corrida has to reach, and whether it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.harness import results
from bench.harness.units import quantity, times

if TYPE_CHECKING:
    from bench.harness.rounds import Measured


@dataclass(frozen=True)
class Outcome:
    """Whether a budget was met.

    Attributes:
        met: None when it could not be told, as when nobody was there to compare with.
        came_out: the figure, as text.
    """

    met: bool | None
    came_out: str


_UNKNOWN = Outcome(None, "not measured")


@dataclass(frozen=True)
class Budget:
    """Something that corrida has to reach in a case.

    Attributes:
        text: what, for the table.
        judge: looks at what was measured.
        why_missed: the reason, shown when it was missed.
    """

    text: str
    judge: Callable[[Measured], Outcome]
    why_missed: str = ""


def at_most_times(limit: float, base: str, *, of: str = "corrida", why_missed: str = "") -> Budget:
    """No more than ``limit`` times the seconds of the entry ``base``."""

    def judge(measured: Measured) -> Outcome:
        found = results.ratio(measured, of, base)
        return _UNKNOWN if found is None else Outcome(found <= limit, times(found))

    return Budget(f"{of}: at most {limit:g} × {base}", judge, why_missed)


def at_least_times(
    limit: float,
    base: str,
    *,
    of: str = "corrida",
    fact: str = "value",
    text: str = "",
    why_missed: str = "",
) -> Budget:
    """At least ``limit`` times the calls a second of the entry ``base``, or ``limit`` times another ``fact`` of it."""

    def judge(measured: Measured) -> Outcome:
        found = results.ratio(measured, of, base, fact)
        return _UNKNOWN if found is None else Outcome(found >= limit, times(found))

    return Budget(text or f"at least {limit:g} × {base}", judge, why_missed)


def at_most_seconds(limit: float, *, of: str = "corrida", why_missed: str = "") -> Budget:
    """No more than ``limit`` seconds, on whatever machine this is."""

    def judge(measured: Measured) -> Outcome:
        found = results.median(measured, of)
        return _UNKNOWN if found is None else Outcome(found <= limit, quantity(found, "s"))

    return Budget(f"{of}: at most {quantity(limit, 's')}", judge, why_missed)


def better_than_every_peer(*, why_missed: str = "") -> Budget:
    """Better than the best of the others."""

    def judge(measured: Measured) -> Outcome:
        best = results.best_peer(measured)
        found = None if best is None else results.ratio(measured, "corrida", best)
        if best is None or found is None:
            return _UNKNOWN
        return Outcome(found < 1 if measured.case.unit == "s" else found > 1, f"{times(found)} {best}")

    return Budget("better than every peer", judge, why_missed)


def never(fact: str, text: str, *, why_missed: str = "") -> Budget:
    """In no round more than 0 of ``fact``, as of runs that were lost."""

    def judge(measured: Measured) -> Outcome:
        found = results.values(measured, "corrida", fact)
        if not found:
            return _UNKNOWN
        return Outcome(max(found) == 0, f"{max(found):,.0f} in the worst of {len(found)} rounds")

    return Budget(text, judge, why_missed)


def at_most_of(fact: str, limit: float, text: str, *, why_missed: str = "") -> Budget:
    """In no round more than ``limit`` of ``fact``, as of memory."""

    def judge(measured: Measured) -> Outcome:
        found = results.values(measured, "corrida", fact)
        return Outcome(max(found) <= limit, f"{max(found):,.0f}") if found else _UNKNOWN

    return Budget(text, judge, why_missed)

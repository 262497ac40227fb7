"""Medians, spreads and ratios of what the rounds gave."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.harness.rounds import Measured


@dataclass(frozen=True)
class Middle:
    """A median and the range of the middle half.

    Attributes:
        median: of all rounds.
        low: first quartile.
        high: third quartile.
    """

    median: float
    low: float
    high: float


def middle(values: list[float]) -> Middle:
    """Return median and quartiles of at least one value."""
    if len(values) < 2:
        return Middle(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Middle(median, low, high)


def values(measured: Measured, label: str, fact: str = "value") -> list[float]:
    """Return one value a round, of those rounds in which the entry gave it."""
    return [sample[fact] for sample in measured.samples.get(label, []) if fact in sample]


def median(measured: Measured, label: str, fact: str = "value") -> float | None:
    """Return the median over the rounds; None when there is none."""
    found = values(measured, label, fact)
    return statistics.median(found) if found else None


def ratio(measured: Measured, label: str, base: str, fact: str = "value") -> float | None:
    """Return how many times the value of ``base`` that of ``label`` is: the median of the ratios round by round.

    What slows the machine down for a while slows both sides of a round, so that a ratio within a round is
    steadier than one of two medians.
    """
    pairs = zip(values(measured, label, fact), values(measured, base, fact), strict=False)
    found = [value / other for value, other in pairs if other > 0]
    return statistics.median(found) if found else None


def best_peer(measured: Measured) -> str | None:
    """Return the label of the peer with the best median, of those that lost nothing; None without any."""
    medians = {
        entry.label: found
        for entry in measured.case.entries
        if entry.is_peer
        and not any(values(measured, entry.label, "lost"))
        and (found := median(measured, entry.label)) is not None
    }
    if not medians:
        return None
    choose = min if measured.case.unit == "s" else max
    return choose(medians, key=lambda label: medians[label])

"""Verdicts in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.analysis.metrics_diff import MetricChange, format_difference
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from corrida.analysis.metric_tests import MetricTest
    from corrida.analysis.statistics.difference import Difference

_FEW = 30


def shown(value: float | None) -> str:
    """Return a number, or a dash."""
    return "–" if value is None else format_number(value)


def format_p(p_value: float) -> str:
    """Return ``p = 0.012``; what is very small is said to be below 0.0001."""
    return "p < 0.0001" if p_value < 1e-4 else f"p = {format_number(float(f'{p_value:.2g}'))}"


def format_interval(low: float, high: float) -> str:
    """Return ``−0.012 to +0.066``."""
    return f"{_signed(low)} to {_signed(high)}"


def _signed(value: float) -> str:
    return "0" if value == 0 else format_difference(value)


def about(count: int) -> str:
    """Return a number of items to two digits, as no more of them is known: ``about 5,300``."""
    size = 10 ** max(len(str(count)) - 2, 0)
    rounded = -(-count // size) * size
    if rounded < 1_000_000:
        return f"about {rounded:,}"
    for word, unit in (("million", 1e6), ("billion", 1e9)):
        if rounded < 1000 * unit:
            return f"about {rounded / unit:g} {word}"
    return "more than a trillion"


def untested_sentence(change: MetricChange, why: str) -> str:
    """Return the verdict on a metric that moved and was not tested.

    Args:
        change: of which both values are there.
        why: it was not tested.
    """
    side = {True: "the better way", False: "the worse way", None: "no better side is known"}[change.better]
    moved = format_difference(change.difference or 0.0)
    return (
        f"not tested: {change.name} {shown(change.a)} → {shown(change.b)} ({moved}, {side}); "
        f"whether that is more than chance cannot be said: {why}"
    )


def sentence_of_test(outcome: str, name: str, found: Difference, p_adjusted: float | None) -> str:
    """Return the verdict on a metric that was tested."""
    what = _units(found)
    if found.units < 2:
        return f"not enough items: {name} {shown(found.a)} → {shown(found.b)} on {what}, which is too little to test"
    if found.identical:
        return f"tied: {name} is {shown(found.a)} in both, and the same in each of {what}"
    values = f"{name} {shown(found.a)} → {shown(found.b)}"
    p = format_p(found.p_value if p_adjusted is None else p_adjusted)
    evidence = (
        f"{_signed(found.difference)}, {100 * found.confidence:g} % interval {format_interval(found.low, found.high)}, "
        f"{p}{'' if p_adjusted is None else ' by Holm'}, {what}"
    )
    small = (
        f"; smaller than the margin of ±{shown(found.margin)}" if abs(found.difference) < found.margin else ""
    )
    if outcome == "underpowered":
        return f"not enough items: {values} ({evidence}){_what_it_takes(found)}"
    if outcome == "tied":
        return f"tied: {values} ({evidence}); inside the margin of ±{shown(found.margin)}"
    if outcome == "unknown":
        return f"{values} ({evidence}): more than chance, but no better side is known{small}"
    return f"{outcome}: {values} ({evidence}){small}"


def _units(found: Difference) -> str:
    items = f"{found.items:,} shared item{'' if found.items == 1 else 's'}"
    if not found.clustered:
        return items
    return f"{items} in {found.units:,} cluster{'' if found.units == 1 else 's'}"


def _what_it_takes(found: Difference) -> str:
    what = "clusters" if found.clustered else "items"
    parts = []
    if found.needed is not None:
        parts.append(
            f"it would take {about(found.needed)} {what} at the effect seen"
            if found.needed > found.units
            else f"at the effect seen, that many {what} find it four times in five"
        )
    if found.to_tie is not None and found.to_tie > found.units and found.margin:
        parts.append(f"{about(found.to_tie)} to call them tied")
        if found.needed is None:
            parts[-1] = f"it would take {parts[-1]}"
    return f"; {', or '.join(parts)}" if parts else ""


def _one_sided(count: int) -> str:
    """Say that items were lost to one run only: what is left may look better than the run is."""
    return f"; {count:,} of them in one run only, which may be what matters" if count else ""


def cautions_of_test(name: str, test: MetricTest, found: Difference) -> tuple[str, ...]:
    """Return what to know before believing a test."""
    said = []
    left = test.left_out
    if left.low is not None and left.high is not None:
        said.append(
            f"over the items of either run the difference lies between {_signed(left.low)} and {_signed(left.high)}, "
            "whatever the items left out hide"
        )
    elif left.only_a or left.only_b:
        said.append(f"nothing bounds what the items left out do to {name}")
    if left.unknown:
        said.append(
            f"{left.unknown:,} shared item{' says' if left.unknown == 1 else 's say'} nothing of {test.measure} in at "
            f"least one run (no truth, or no finite number): left out{_one_sided(left.one_sided)}"
        )
    if not test.agrees:
        said.append(
            f"the runs logged {name} {shown(test.logged_a)} and {shown(test.logged_b)}, their items give "
            f"{shown(test.items_a)} and {shown(test.items_b)}: what is tested is {test.measure} of the items"
        )
    if found.units < 2:
        return tuple(said)
    if found.resamples and found.units < _FEW and not found.identical:
        what = "clusters" if found.clustered else "items"
        said.append(f"only {found.units} {what}: the interval is rough")
    if found.undefined > 0.01:
        said.append(
            f"{name} is not defined in {found.undefined:.0%} of the resamples; the interval leaves them out"
        )
    if found.p_value <= 1 - found.confidence and found.low <= 0 <= found.high and not found.identical:
        said.append("test and interval do not agree, so no difference is claimed")
    return tuple(said)

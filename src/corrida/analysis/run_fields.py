"""The fields of many runs side by side: which are numbers, which are names, and which differ at all."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.runs.record import RunRecord

_OWN = ("created", "duration", "seed", "source", "status", "pipeline", "git.branch")
_MOST_NAMES = 24
_MOST_PARAMS = 6
_WIDE = 1000
_NOT_OFFERED = ("seed", "duration")
OTHERS = "(others)"
"""Stands for the values of a field of names that are rare."""


class Field(NamedTuple):
    """A field over some runs.

    Attributes:
        name: as in filters.
        kind: ``number``, or ``name`` for what has no order of its own.
        values: one a run: numbers, or texts; None where the run has none, or one that is not finite.
        domain: of names: those that occur, the order of the axis; of numbers empty.
    """

    name: str
    kind: Literal["number", "name"]
    values: tuple[float | str | None, ...]
    domain: tuple[str, ...] = ()

    @property
    def varies(self) -> bool:
        """Whether two runs differ in it."""
        return len({value for value in self.values if value is not None}) > 1

    @property
    def positive(self) -> bool:
        """Whether all numbers are above 0, as an axis of logarithms needs."""
        return self.kind == "number" and all(
            isinstance(v, float) and v > 0 for v in self.values if v is not None
        )

    @property
    def is_wide(self) -> bool:
        """Whether an axis of logarithms shows it better: above 0 and over three powers of ten at least."""
        numbers = [value for value in self.values if isinstance(value, float)]
        return self.positive and bool(numbers) and max(numbers) >= _WIDE * min(numbers)


def fields_of(runs: Sequence[RunRecord]) -> dict[str, Field]:
    """Return the fields that at least one run has, by name: those of the run itself, metrics, parameters, tags."""
    rows = [run.as_row() for run in runs]
    names = dict.fromkeys(name for row in rows for name in row)
    wanted = [n for n in names if n in _OWN or n.startswith(("metrics.", "params.", "tags."))]
    found = (_field(name, [row.get(name) for row in rows]) for name in wanted if name != "created")
    return {field.name: field for field in found if any(value is not None for value in field.values)}


def main_metric(runs: Sequence[RunRecord], fields: dict[str, Field]) -> str | None:
    """Return the metric that decides for most of the runs, as a field; else the one that most of them have."""
    primary = Counter(f"metrics.{run.primary_metric.name}" for run in runs if run.primary_metric)
    known = [name for name, _ in primary.most_common() if name in fields]
    if known:
        return known[0]
    metrics = [name for name in fields if name.startswith("metrics.")]
    return max(metrics, key=lambda name: sum(v is not None for v in fields[name].values), default=None)


def telling_axes(fields: dict[str, Field], metric: str | None) -> list[str]:
    """Return fields that say how the runs differ: parameters that vary, and at the end the metric that decides."""
    params = [f for name, f in fields.items() if name.startswith("params.") and f.varies]
    if not params:
        params = [
            f
            for name, f in fields.items()
            if f.varies and name != metric and name not in _NOT_OFFERED and not name.startswith("tags.")
        ]
    # What all runs have says more than what a few of them have; a name of its own for each run says nothing.
    params = [f for f in params if f.kind == "number" or len(f.domain) < max(3, 0.8 * len(f.values))]
    params.sort(key=lambda f: sum(v is None for v in f.values))
    return [*(f.name for f in params[:_MOST_PARAMS]), *([metric] if metric else [])]


def _field(name: str, values: Sequence[Any]) -> Field:
    there = [value for value in values if value is not None]
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in there):
        return Field(name, "number", tuple(_number(value) for value in values))
    texts = [None if value is None or value == "" else _text(value) for value in values]
    counted = Counter(text for text in texts if text is not None)
    if len(counted) > _MOST_NAMES:
        kept = {text for text, _ in counted.most_common(_MOST_NAMES - 1)}
        texts = [text if text is None or text in kept else OTHERS for text in texts]
        return Field(name, "name", tuple(texts), (*sorted(kept), OTHERS))
    return Field(name, "name", tuple(texts), tuple(sorted(counted)))


def _number(value: float | None) -> float | None:
    """Return a number that an axis can show."""
    if value is None:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)

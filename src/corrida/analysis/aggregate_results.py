"""What is found of several runs together, as plain structs; see :mod:`corrida.analysis.aggregate`."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from corrida.errors import BadInput
from corrida.runs.numbers import json_number
from corrida.runs.run_file import Direction  # noqa: TC001 - msgspec reads the annotations

Judgement = Literal["consistent", "on average", "tied", "not shown"]


class AggregateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How runs are aggregated.

    Attributes:
        confidence: of the intervals; 1 - confidence is the level of the tests.
        margin: differences inside ±margin do not matter.
        resamples: of bootstrap and randomization.
        seed: of the random numbers.
        cluster: the column of items that belong together; None takes the one that the run declares, ``none`` takes every
            item alone (of a grid: all rows of an item together).
    """

    confidence: float = 0.95
    margin: float = 0.01
    resamples: int = 10_000
    seed: int = 0
    cluster: str | None = None

    def check(self) -> AggregateOptions:
        """Return the options.

        Raises:
            BadInput: one is out of its range.
        """
        if not 0 < self.confidence < 1:
            raise BadInput(f"the confidence lies between 0 and 1, not at {self.confidence}")
        if not 100 <= self.resamples <= 1_000_000:
            raise BadInput(f"resamples are 100 to 1,000,000, not {self.resamples}")
        if not (math.isfinite(self.margin) and self.margin >= 0):
            raise BadInput(f"the margin is 0 or more, not {self.margin}")
        return self


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A metric over the runs.

    Attributes:
        name: of the metric.
        direction: whether more or less of it is better; None when not known.
        values: one a run, None where it is missing.
        runs: how many have it.
        mean, least, greatest: over those.
        deviation: standard deviation between runs (n - 1); None for one run.
        sampling_error: standard error within a run, by resampling its clusters: the root of the mean square over runs;
            None when the items do not say how the metric comes about.
        beyond: standard deviation beyond what sampling explains; 0 when sampling explains it all.
        p_value: that sampling alone gives so great a deviation.
    """

    name: str
    direction: Direction | None
    values: tuple[float | None, ...]
    runs: int
    mean: float
    least: float
    greatest: float
    deviation: float | None = None
    sampling_error: float | None = None
    beyond: float | None = None
    p_value: float | None = None


class Robustness(msgspec.Struct, frozen=True, kw_only=True):
    """How one matcher, strategy or model fares over the runs, by the mean F1 of its cells.

    Attributes:
        name: which.
        values: F1 of each run; None where it did not run or is not defined.
        mean, deviation: over runs.
        worst: the least F1, and ``worst_run`` where.
        spread: greatest minus least.
        mean_rank: 1 is the best; ties share.
        firsts: in how many runs it is first.
    """

    name: str
    values: tuple[float | None, ...]
    mean: float
    deviation: float | None
    worst: float
    worst_run: str
    spread: float
    mean_rank: float
    firsts: int


class SeedContrast(msgspec.Struct, frozen=True, kw_only=True):
    """A paired difference ``better - other`` of F1 over the runs.

    Attributes:
        better, other: the names; ``better`` has the greater mean.
        differences: one a run that has both.
        difference: their mean, with ``low`` and ``high`` from resampling clusters within these runs.
        p_value: of the randomization test on the items of these runs.
        p_adjusted: by Holm's method for the pairs of the axis.
        wins: runs in which ``better`` is better.
        runs: that have both.
        p_seeds: of the exact sign-flip test, for which a run is one observation.
        least_p_seeds: the least that test can give with so many runs.
        judgement: ``consistent``: more than chance on these items and better in every run; ``on average``: more than chance,
            not in every run; ``tied``: the interval lies inside the margin; ``not shown`` otherwise.
    """

    better: str
    other: str
    differences: tuple[float, ...]
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    wins: int
    runs: int
    p_seeds: float
    least_p_seeds: float
    judgement: Judgement


class AxisResult(msgspec.Struct, frozen=True, kw_only=True):
    """All of one axis of a grid.

    Attributes:
        axis: ``matcher``, ``strategy`` or ``model``.
        levels: each name, the best worst run first.
        contrasts: every pair, the greatest difference first.
    """

    axis: str
    levels: tuple[Robustness, ...]
    contrasts: tuple[SeedContrast, ...]


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    """Several runs together.

    Attributes:
        pipeline: of all of them.
        runs: their ids, and ``seeds`` beside them.
        metrics: the headline metrics.
        axes: of a grid of matchers, strategies and models; empty for other pipelines.
        best: how often each ``findings.best_config`` was best.
        shared_items: whether all runs have the same items, so that their sampling errors are one.
        cautions: what a reader has to know before believing any of it.
        confidence, margin, resamples: as asked for.
    """

    pipeline: str
    runs: tuple[str, ...]
    seeds: tuple[int | None, ...]
    metrics: tuple[Spread, ...]
    axes: tuple[AxisResult, ...] = ()
    best: dict[str, int] = {}
    shared_items: bool = False
    cautions: tuple[str, ...] = ()
    confidence: float = 0.95
    margin: float = 0.01
    resamples: int = 10_000

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        for spread in values["metrics"]:
            spread["values"] = [v if v is None else json_number(v) for v in spread["values"]]
        return values

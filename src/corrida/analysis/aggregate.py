"""Several runs of one pipeline together: means and spreads, what is consistently better, what is robust.

Runs that differ in their seed alone are repetitions. Three questions are kept apart:

*How much do the runs vary?* The standard deviation between runs is set against the sampling error: that which resampling the
items of each run gives. If sampling explains the spread, another seed tells no more than other items would. Tested by the
bootstrap test of homogeneity: each run's resampled deviations around its own value are spread as the values
themselves would be, were they all the same (Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 16.2).

*Is one consistently better, on these items?* Within every run the two sides are swapped in each cluster at random, and
the mean difference over runs is compared with what swapping gives: the randomization test, stratified by run (Noreen 1989,
Computer-Intensive Methods for Testing Hypotheses; Yeh 2000, COLING). Adjusted by Holm's method for all pairs of an axis.

*Would it be so with other seeds?* For that a run is one observation. The exact sign-flip test of the differences by run
(Fisher 1935, The Design of Experiments, section 21) cannot give less than 2 / 2^runs: five runs can never reach 0.05.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.analysis.aggregate_results import (
    Aggregate,
    AggregateOptions,
    AxisResult,
    Judgement,
    Robustness,
    SeedContrast,
    Spread,
)
from corrida.analysis.directions import direction_of
from corrida.errors import BadInput

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord

MOST_METRICS = 12


def aggregate_runs(
    runs: Sequence[RunRecord], metrics: Sequence[str] = (), options: AggregateOptions | None = None
) -> Aggregate:
    """Aggregate finished runs of one pipeline, in the order in which they were made.

    Args:
        runs: at least two.
        metrics: names; those that ``corrida list`` shows for the pipeline when none is given.
        options: how.

    Raises:
        BadInput: there are fewer than two runs, one did not finish, they are of several pipelines, or no run has a
            metric that was asked for.
    """
    options = (options or AggregateOptions()).check()
    unique = {run.id: run for run in runs}
    ordered = sorted(unique.values(), key=lambda run: (run.order, run.id))
    _refuse(ordered)
    names = list(dict.fromkeys(metrics)) or _headline(ordered)
    if unknown := [name for name in names if not any(name in run.metrics for run in ordered)]:
        known = sorted({name for run in ordered for name in run.metrics})
        import difflib

        near = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise BadInput(f"none of these runs has the metric {unknown[0]!r}{hint}")
    from corrida.analysis.aggregate_samples import RunSample

    samples = [RunSample(run, options) for run in ordered]
    shared = _share_items(samples)
    for number, sample in enumerate(samples):
        sample.stream = 0 if shared else number
    return Aggregate(
        pipeline=ordered[0].pipeline,
        runs=tuple(run.id for run in ordered),
        seeds=tuple(run.seed for run in ordered),
        metrics=tuple(_spread(name, ordered, samples) for name in names),
        axes=_axes(ordered, samples, options),
        best=_best(ordered),
        shared_items=shared,
        cautions=tuple(_cautions(ordered, samples, shared=shared)),
        confidence=options.confidence,
        margin=options.margin,
        resamples=options.resamples,
    )


def _refuse(runs: Sequence[RunRecord]) -> None:
    if len(runs) < 2:
        named = f"only {runs[0].id}" if runs else "none"
        raise BadInput(
            f"at least two different runs are needed, and there is {named}; run the pipeline with another --seed"
        )
    if unfinished := [run for run in runs if run.status != "finished"]:
        raise BadInput(
            f"the run {unfinished[0].id} is {unfinished[0].status}; leave it out, only finished runs are counted"
        )
    pipelines = sorted({run.pipeline for run in runs})
    if len(pipelines) > 1:
        raise BadInput(
            f"these runs are of {' and '.join(pipelines)}; name runs of one pipeline, or add --pipeline"
        )


def _headline(runs: Sequence[RunRecord]) -> list[str]:
    primary = [run.primary_metric.name for run in runs if run.primary_metric]
    columns = [
        c.field.removeprefix("metrics.")
        for run in runs
        for c in run.columns
        if c.field.startswith("metrics.")
    ]
    there = {name for run in runs for name in run.metrics}
    found = [name for name in dict.fromkeys([*primary, *columns]) if name in there]
    return found or sorted(there)[:MOST_METRICS]


def _share_items(samples: Sequence[Any]) -> bool:
    first = samples[0].item_set
    return bool(first) and all(sample.item_set == first for sample in samples[1:])


def _spread(name: str, runs: Sequence[RunRecord], samples: Sequence[Any]) -> Spread:
    import numpy as np

    values = [run.metrics.get(name) for run in runs]
    known = np.array([v for v in values if v is not None and math.isfinite(v)])
    direction = next((d for run in runs if (d := direction_of(name, run.directions))), None)
    if not known.size:
        raise BadInput(f"the metric {name!r} is no finite number in any of these runs")
    deviation = float(known.std(ddof=1)) if known.size > 1 else None
    error = beyond = p_value = None
    drawn = [sample.drawn(name) for sample, value in zip(samples, values, strict=True) if value is not None]
    if deviation is not None and drawn and len(drawn) == known.size and all(d is not None for d in drawn):
        away = np.vstack(drawn) - known[:, None]
        usable = away[:, np.isfinite(away).all(axis=0)]
        if usable.shape[1] >= 100:
            error = float(np.sqrt((usable.std(axis=1) ** 2).mean()))
            by_chance = usable.std(axis=0, ddof=1)  # of runs that share their items, the common part cancels
            expected = float((by_chance**2).mean())
            beyond = math.sqrt(max(0.0, deviation**2 - expected))
            p_value = float((1 + np.count_nonzero(by_chance >= deviation - 1e-12)) / (1 + by_chance.size))
    return Spread(
        name=name,
        direction=direction,
        values=tuple(values),
        runs=int(known.size),
        mean=float(known.mean()),
        least=float(known.min()),
        greatest=float(known.max()),
        deviation=deviation,
        sampling_error=error,
        beyond=beyond,
        p_value=p_value,
    )


def _axes(
    runs: Sequence[RunRecord], samples: Sequence[Any], options: AggregateOptions
) -> tuple[AxisResult, ...]:
    grids = [sample.grid for sample in samples]
    if any(grid is None for grid in grids):
        return ()
    from corrida.analysis.aggregate_samples import AXES, contrast

    found = []
    for place, axis in enumerate(AXES):
        names = list(dict.fromkeys(cell[place] for grid in grids for cell in grid.cells))
        levels = _robustness(names, [[grid.f1(place, name) for grid in grids] for name in names], runs)
        pairs = [contrast(samples, place, a, b, options) for a, b in itertools.combinations(names, 2)]
        known = [pair for pair in pairs if pair is not None]
        if len(names) > 1 and levels:
            found.append(AxisResult(axis=axis, levels=levels, contrasts=_adjusted(known, options)))
    return tuple(found)


def _robustness(
    names: Sequence[str], table: Sequence[Sequence[float | None]], runs: Sequence[RunRecord]
) -> tuple[Robustness, ...]:
    import numpy as np

    found = []
    columns = list(zip(*table, strict=True))
    for name, values in zip(names, table, strict=True):
        known = [(value, run.id) for value, run in zip(values, runs, strict=True) if value is not None]
        if not known:
            continue
        numbers = np.array([value for value, _ in known])
        ranks = [
            1
            + sum(v > value + 1e-12 for v in column if v is not None)
            + sum(abs(v - value) <= 1e-12 for v in column if v is not None) / 2
            - 0.5
            for value, column in zip(values, columns, strict=True)
            if value is not None
        ]
        worst, where = min(known)
        found.append(
            Robustness(
                name=name,
                values=tuple(values),
                mean=float(numbers.mean()),
                deviation=float(numbers.std(ddof=1)) if numbers.size > 1 else None,
                worst=worst,
                worst_run=where,
                spread=float(np.ptp(numbers)),
                mean_rank=float(np.mean(ranks)),
                firsts=sum(rank == 1 for rank in ranks),
            )
        )
    return tuple(sorted(found, key=lambda one: -one.worst))


def _adjusted(pairs: Sequence[SeedContrast], options: AggregateOptions) -> tuple[SeedContrast, ...]:
    from corrida.analysis.statistics.multiplicity import holm

    found = []
    for pair, p_adjusted in zip(pairs, holm([pair.p_value for pair in pairs]), strict=True):
        judgement: Judgement = "not shown"
        if p_adjusted <= 1 - options.confidence + 1e-12 and not pair.low <= 0 <= pair.high:
            judgement = "consistent" if pair.wins == pair.runs else "on average"
        elif -options.margin <= pair.low and pair.high <= options.margin:
            judgement = "tied"
        found.append(msgspec.structs.replace(pair, p_adjusted=p_adjusted, judgement=judgement))
    return tuple(sorted(found, key=lambda pair: -pair.difference))


def _best(runs: Sequence[RunRecord]) -> dict[str, int]:
    found: dict[str, int] = {}
    for run in runs:
        if best := run.findings.get("best_config"):
            found[best] = found.get(best, 0) + 1
    return dict(sorted(found.items(), key=lambda one: -one[1]))


def _cautions(runs: Sequence[RunRecord], samples: Sequence[Any], *, shared: bool) -> list[str]:
    found = []
    names = sorted({name for run in runs for name in run.params})
    differing = [n for n in names if len({str(run.params.get(n)) for run in runs}) > 1]
    if differing:
        shown = ", ".join(differing[:4]) + (f" and {len(differing) - 4} more" if len(differing) > 4 else "")
        found.append(f"the runs differ in more than their seed: {shown}; their spread is of that, too")
    by_seed: dict[int, list[str]] = {}
    for run in runs:
        if run.seed is not None:
            by_seed.setdefault(run.seed, []).append(run.id)
    for seed, ids in by_seed.items():
        if len(ids) > 1:
            found.append(
                f"{' and '.join(ids)} have the seed {seed}; a run that is repeated with its seed tells nothing new"
            )
    sets = [sample.item_set for sample in samples if sample.item_set]
    if not shared and any(a & b for a, b in itertools.combinations(sets, 2)):
        found.append(
            "some runs share a part of their items and are tested as if they did not; intervals may be too narrow"
        )
    if len(runs) < 6:
        found.append(
            f"{len(runs)} runs: what holds for other seeds cannot be shown at the level 0.05, for which it takes at least 6"
        )
    return found

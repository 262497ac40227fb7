"""Intervals of the rates of a grid: the cluster bootstrap, bias-corrected and accelerated."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from corrida.analysis.statistics.bootstrap import acceleration, bca_limits
from corrida.analysis.statistics.pairs import Pairs
from corrida.analysis.statistics.resampling import bootstrap_sums
from corrida.pipelines.evaluation.results import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from corrida.pipelines.evaluation.score.counting import Floats, Integers
    from corrida.pipelines.evaluation.settings import Bootstrap

    # From sums (resamples × whatever) to a rate for each resample, NaN where not defined.
    Statistic = Callable[[Floats], Floats]

KeyT = TypeVar("KeyT", bound="Hashable")


def rate(name: str, sums: Floats) -> Floats:
    """Return precision, recall or F1 from tp, fp and fn in the last axis; NaN where not defined.

    F1 needs a true label, as recall does.
    """
    tp, fp, fn = sums[..., 0], sums[..., 1], sums[..., 2]
    if name == "f1":
        part, whole = 2 * tp, np.where(tp + fn > 0, 2 * tp + fp + fn, 0)
    else:
        part, whole = tp, tp + (fp if name == "precision" else fn)
    found: Floats = np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
    return found


def micro(name: str) -> Statistic:
    """Return the rate of cells together: sums are cells × 3 in the last axis, flat."""
    return lambda sums: rate(name, sums.reshape(*sums.shape[:-1], -1, 3).sum(axis=-2))


def macro(name: str) -> Statistic:
    """Return the mean rate of cells; one that is not defined is left out."""

    def mean(sums: Floats) -> Floats:
        values = rate(name, sums.reshape(*sums.shape[:-1], -1, 3))
        known = np.isfinite(values)
        count = known.sum(axis=-1)
        total = np.where(known, values, 0).sum(axis=-1)
        found: Floats = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
        return found

    return mean


def intervals(
    rows: Floats, counts: Integers, statistics: Mapping[KeyT, Statistic], settings: Bootstrap, seed: int
) -> dict[KeyT, Estimate | None]:
    """Return several statistics of the same clusters, all from the same resamples.

    Clusters are drawn as wholes; the limits are BCa, the acceleration from leaving out one cluster at a time.

    Sources: Efron, B. (1987), Better bootstrap confidence intervals, JASA 82; Field, C. A. and Welsh, A. H. (2007),
    Bootstrapping clustered data, JRSS B 69.

    Args:
        rows: patterns × sums.
        counts: clusters of each pattern.
        statistics: by name.
        settings: confidence and resamples.
        seed: of the random numbers.

    Returns:
        None where a statistic is not defined; no limits with fewer than two clusters.
    """
    total = counts @ rows
    seen = {name: float(statistic(total)) for name, statistic in statistics.items()}
    names = [name for name, value in seen.items() if np.isfinite(value)]
    found: dict[KeyT, Estimate | None] = dict.fromkeys(statistics)
    units = int(counts.sum())
    if units < 2:
        return found | {name: Estimate(seen[name]) for name in names}
    moved = {name: statistics[name](total - rows) - seen[name] for name in names}
    pairs = Pairs.of(np.zeros((len(rows), 0)), rows, counts)
    drawn: dict[KeyT, list[Floats]] = {name: [] for name in names}
    if names:
        # Where there are too many patterns, the clusters that move the first statistics most are drawn one by one.
        influence = np.max([np.nan_to_num(np.abs(moved[name])) for name in names], axis=0)
        rng = np.random.default_rng(seed)
        for _, sums in bootstrap_sums(pairs, influence, settings.resamples, rng):
            for name in names:
                drawn[name].append(statistics[name](np.maximum(sums, 0)))
    for name in names:
        values = np.concatenate(drawn[name])
        defined = np.sort(values[np.isfinite(values)])
        if defined.size:
            bend = acceleration(moved[name], counts)
            low, high = bca_limits(defined, seen[name], bend, settings.confidence)
            found[name] = Estimate(seen[name], low, high)
        else:
            found[name] = Estimate(seen[name])
    return found


def patterns(rows: Floats) -> tuple[Floats, Integers]:
    """Return the distinct rows of whole numbers and how often each occurs."""
    key: Integers = np.zeros(len(rows), dtype=np.int64)
    for column in rows.T.astype(np.int64):
        key = np.unique(key * (column.max(initial=0) + 1) + column, return_inverse=True)[1]
    _, first, counts = np.unique(key, return_index=True, return_counts=True)
    return rows[first], counts

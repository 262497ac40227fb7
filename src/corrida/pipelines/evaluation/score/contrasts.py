"""Paired differences of F1: matchers in pairs, and every cell against the best."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from corrida.analysis.statistics.bootstrap import acceleration, bca_limits
from corrida.analysis.statistics.difference import paired_difference
from corrida.analysis.statistics.multiplicity import holm
from corrida.analysis.statistics.pairs import Pairs
from corrida.analysis.statistics.randomization import randomization_test
from corrida.analysis.statistics.resampling import batches, bootstrap_sums
from corrida.pipelines.evaluation.results import Best, Contrast
from corrida.pipelines.evaluation.score.resampling import macro, patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from corrida.pipelines.evaluation.results import Cell
    from corrida.pipelines.evaluation.score.counting import Floats
    from corrida.pipelines.evaluation.settings import Bootstrap

_TOGETHER = 20_000  # clusters up to which all contrasts share their resamples
_CLOSE = 1e-9  # swaps that give the difference itself must not miss it by rounding
_f1 = macro("f1")


@dataclass(frozen=True)
class MacroF1:
    """The mean F1 of cells, as an estimator of paired statistics; of a single cell it is the F1."""

    bounds: tuple[float | None, float | None] = (0.0, 1.0)

    def __call__(self, sums: Floats) -> Floats:
        """Return the mean for each row of sums: tp, fp and fn of one cell after the other."""
        return _f1(sums)


class Sides(NamedTuple):
    """Two things to compare: their names, and what each cluster adds to their sums (clusters × 3 a cell)."""

    a: str
    b: str
    in_a: Floats
    in_b: Floats

    @property
    def seen(self) -> float:
        """The F1 of b minus that of a; NaN where one is not defined."""
        return float(_f1(self.in_b.sum(axis=0)) - _f1(self.in_a.sum(axis=0)))


class Tested(NamedTuple):
    """The interval of a difference, and how likely one as great is by chance."""

    low: float
    high: float
    p_value: float


def compare_matchers(sums: Mapping[str, Floats], settings: Bootstrap, seed: int) -> tuple[Contrast, ...]:
    """Compare the macro F1 of every two matchers on the same cells, clusters and items, with Holm's correction.

    Args:
        sums: of each matcher pairs × clusters × 3.
        settings: confidence, resamples, margin.
        seed: of the random numbers.
    """
    flat = {name: found.transpose(1, 0, 2).reshape(found.shape[1], -1) for name, found in sums.items()}
    return _contrast([Sides(a, b, flat[a], flat[b]) for a, b in combinations(flat, 2)], settings, seed)


def find_best(
    cells: Sequence[Cell],
    shared: Callable[[str, str], tuple[Floats, Floats]],
    settings: Bootstrap,
    seed: int,
) -> Best | None:
    """Return the cell with the greatest F1 and what is tied with it; the first of several; None when none has an F1.

    Args:
        cells: the grid.
        shared: for two cells the sums of both (clusters × 3) over the items that both count.
        settings: confidence, resamples, margin.
        seed: of the random numbers.
    """
    rated = [(cell.name, cell.rates.f1) for cell in cells]
    known = [(name, f1) for name, f1 in rated if f1 is not None]
    if not known:
        return None
    best, f1 = max(known, key=lambda one: one[1].value)
    others = sorted((one for one in known if one[0] != best), key=lambda one: -one[1].value)
    contrasts = _contrast([Sides(best, name, *shared(best, name)) for name, _ in others], settings, seed)
    return Best(cell=best, f1=f1, contrasts=contrasts, tied=tuple(one.b for one in contrasts if not one.real))


def _contrast(found: Sequence[Sides], settings: Bootstrap, seed: int) -> tuple[Contrast, ...]:
    """Return the contrasts of a family; one whose F1 is not defined on both sides is left out."""
    family = [sides for sides in found if np.isfinite(sides.seen)]
    if not family:
        return ()
    clusters = len(family[0].in_a)
    if clusters > _TOGETHER:
        tested = [_test_alone(sides, settings, seed) for sides in family]
    else:
        limits = _intervals(family, settings, seed)
        p_values = _p_values(family, settings.resamples, seed + 1)
        tested = [Tested(*ends, p_value) for ends, p_value in zip(limits, p_values, strict=True)]
    adjusted = holm([one.p_value for one in tested])
    return tuple(
        _judged(sides, one, p_adjusted, settings)
        for sides, one, p_adjusted in zip(family, tested, adjusted, strict=True)
    )


def _judged(sides: Sides, tested: Tested, p_adjusted: float, settings: Bootstrap) -> Contrast:
    """Judge as verdicts do: real when the test says so and the interval agrees; an interval never says more."""
    level = 1 - settings.confidence + 1e-12
    low, high = tested.low, tested.high
    if tested.p_value > level:
        low, high = min(low, 0.0), max(high, 0.0)
    real = p_adjusted <= level and not low <= 0 <= high
    same = np.array_equal(sides.in_a, sides.in_b) or (-settings.margin <= low and high <= settings.margin)
    in_a, in_b = sides.in_a.sum(axis=0), sides.in_b.sum(axis=0)
    return Contrast(
        a=sides.a,
        b=sides.b,
        f1_a=float(_f1(in_a)),
        f1_b=float(_f1(in_b)),
        difference=sides.seen,
        low=low,
        high=high,
        p_value=tested.p_value,
        p_adjusted=p_adjusted,
        real=real,
        judgement=("higher" if sides.seen > 0 else "lower") if real else "tied" if same else "underpowered",
        clusters=len(sides.in_a),
    )


def _intervals(family: Sequence[Sides], settings: Bootstrap, seed: int) -> list[tuple[float, float]]:
    """Return the BCa interval of each difference, all from the same resamples of clusters."""
    rows = np.hstack([np.hstack([sides.in_a, sides.in_b]) for sides in family])
    width = family[0].in_a.shape[1]
    each = np.ones(len(rows), dtype=np.int64)
    moved = [
        (_f1(sides.in_b.sum(axis=0) - sides.in_b) - _f1(sides.in_a.sum(axis=0) - sides.in_a)) - sides.seen
        for sides in family
    ]
    influence = np.max(np.nan_to_num(np.abs(moved)), axis=0)
    drawn: list[list[Floats]] = [[] for _ in family]
    rng = np.random.default_rng(seed)
    resamples = bootstrap_sums(
        Pairs.of(np.zeros((len(rows), 0)), rows, each), influence, settings.resamples, rng
    )
    for _, sums in resamples:
        whole = np.maximum(sums, 0)
        for place, values in enumerate(drawn):
            start = 2 * width * place
            in_a, in_b = whole[:, start : start + width], whole[:, start + width : start + 2 * width]
            values.append(_f1(in_b) - _f1(in_a))
    found = []
    for sides, values, shift in zip(family, drawn, moved, strict=True):
        together = np.concatenate(values)
        defined = np.sort(together[np.isfinite(together)])
        if len(rows) < 2 or not defined.size:
            found.append((-1.0, 1.0))  # nothing can be said of the difference of two rates
        else:
            found.append(bca_limits(defined, sides.seen, acceleration(shift, each), settings.confidence))
    return found


def _p_values(family: Sequence[Sides], resamples: int, seed: int) -> list[float]:
    """Return how often swapping the two sides in each cluster at random gives a difference as great as the one seen.

    Where all swaps can be tried they are; else all differences share the same draws, p = (1 + k) / (1 + resamples).

    Sources: see :func:`~corrida.analysis.statistics.randomization.randomization_test`.
    """
    shifts = [sides.in_b - sides.in_a for sides in family]
    differing = [int(shift.any(axis=1).sum()) for shift in shifts]
    few = [number < 60 and 2**number <= resamples for number in differing]
    found = [
        randomization_test(
            Pairs.of(sides.in_a, sides.in_b), MacroF1(), resamples=resamples, seed=seed
        ).p_value
        if exact
        else 0.0
        for sides, exact in zip(family, few, strict=True)
    ]
    many = [place for place, exact in enumerate(few) if not exact]
    if not many:
        return found
    width = family[0].in_a.shape[1]
    # Single precision is exact here: sums of whole numbers far below 2^24.
    stacked = np.hstack([shifts[place] for place in many]).astype(np.float32)
    totals = [(family[place].in_a.sum(axis=0), family[place].in_b.sum(axis=0)) for place in many]
    least = [abs(family[place].seen) * (1 - _CLOSE) for place in many]
    hits = np.zeros(len(many), dtype=np.int64)
    rng = np.random.default_rng(seed)
    clusters = len(stacked)
    for size in batches(resamples, clusters):
        bits = np.frombuffer(rng.bytes(size * ((clusters + 7) // 8)), dtype=np.uint8).reshape(size, -1)
        swapped = np.unpackbits(bits, axis=1, count=clusters).astype(np.float32)
        changes = (swapped @ stacked).astype(np.float64)
        for number, (in_a, in_b) in enumerate(totals):
            change = changes[:, number * width : (number + 1) * width]
            difference = np.abs(_f1(in_b - change) - _f1(in_a + change))
            hits[number] += np.count_nonzero(~(difference < least[number]))  # not defined counts against it
    for number, place in enumerate(many):
        found[place] = float((1 + hits[number]) / (1 + resamples))
    return found


def _test_alone(sides: Sides, settings: Bootstrap, seed: int) -> Tested:
    """Test one of very many clusters: those with the same counts are one pattern."""
    rows, counts = patterns(np.hstack([sides.in_a, sides.in_b]))
    width = sides.in_a.shape[1]
    difference = paired_difference(
        Pairs.of(rows[:, :width], rows[:, width:], counts, clustered=True),
        MacroF1(),
        confidence=settings.confidence,
        margin=settings.margin,
        resamples=settings.resamples,
        seed=seed,
    )
    if difference is None:  # not defined; left out before
        return Tested(-1.0, 1.0, 1.0)
    return Tested(difference.low, difference.high, difference.p_value)

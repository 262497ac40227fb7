"""The items of one run, resampled, for what is said of several runs."""

from __future__ import annotations

import itertools
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from corrida.analysis.aggregate_results import AggregateOptions, SeedContrast
from corrida.analysis.measures import candidates, parse_measure
from corrida.analysis.metric_tests import NO_CLUSTER, same_number
from corrida.analysis.run_items import RunItems
from corrida.analysis.statistics.resampling import batches, count_rows
from corrida.errors import BadInput, InvalidMetric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from corrida.analysis.measures import Measure
    from corrida.analysis.statistics.pairs import Floats, Integers
    from corrida.runs.record import RunRecord

AXES = ("matcher", "strategy", "model")
_RATES = ("precision", "recall", "f1")


class Grid(NamedTuple):
    """The counts of a grid: cells as (matcher, strategy, model), and clusters × cells × (tp, fp, fn)."""

    cells: list[tuple[str, str, str]]
    sums: Floats

    def of(self, place: int, name: str) -> list[int]:
        """Return where the cells of one matcher (place 0), strategy (1) or model (2) are."""
        return [number for number, cell in enumerate(self.cells) if cell[place] == name]

    def f1(self, place: int, name: str) -> float | None:
        """Return the mean F1 of its cells; None when there are none, or none has an F1."""
        cells = self.of(place, name)
        if not cells:
            return None
        value = float(mean_rate("f1", self.sums[:, cells].sum(axis=0)))
        return value if np.isfinite(value) else None


class RunSample:
    """The items of a run by cluster.

    Args:
        run: whose.
        options: how to resample.

    Attributes:
        stream: runs with the same items draw the same clusters, others their own.
    """

    def __init__(self, run: RunRecord, options: AggregateOptions) -> None:
        self._run, self._options = run, options
        self.stream = 0

    @cached_property
    def frame(self) -> pl.DataFrame | None:
        """The items; None without any."""
        frame = self._run.items() if self._run.has_items() else None
        return frame if frame is not None and frame.height and "item_id" in frame.columns else None

    @cached_property
    def item_set(self) -> frozenset[str]:
        """The ids of the items; of a grid, of the rows of all cells."""
        return frozenset() if self.frame is None else frozenset(self.frame["item_id"].cast(str).to_list())

    @cached_property
    def _units(self) -> tuple[Integers, int]:
        """Of each item its cluster as a number, clusters in the order of their names, and how many there are."""
        import polars as pl

        frame = self.frame
        if frame is None:
            return np.zeros(0, dtype=np.int64), 0
        asked = self._options.cluster
        named = self._run.cluster if asked is None else None if asked == NO_CLUSTER else asked
        if named is not None and named not in frame.columns:
            raise BadInput(
                f"the items of {self._run.id} have no column {named!r}; there are {', '.join(frame.columns)}"
            )
        column = named or ("item" if "item" in frame.columns else "item_id")
        names = frame[column].cast(pl.String).fill_null("")
        _, numbers = np.unique(names.to_numpy().astype(str), return_inverse=True)
        return numbers.astype(np.int64), int(numbers.max()) + 1

    @cached_property
    def grid(self) -> Grid | None:
        """The counts by cluster and cell; None when the items are not those of a grid."""
        frame = self.frame
        if frame is None or not {*AXES, "tp", "fp", "fn"} <= set(frame.columns):
            return None
        rows = list(zip(*(frame[axis].cast(str).to_list() for axis in AXES), strict=True))
        cells = list(dict.fromkeys(rows))
        place = {cell: number for number, cell in enumerate(cells)}
        columns = np.array([place[row] for row in rows])
        units, size = self._units
        sums = np.zeros((size, len(cells), 3))
        for number, name in enumerate(("tp", "fp", "fn")):
            np.add.at(sums[:, :, number], (units, columns), frame[name].cast(float).fill_null(0).to_numpy())
        return Grid(cells, sums)

    @cached_property
    def grid_draws(self) -> Floats:
        """The counts of every cell in each resample of the clusters: resamples × cells × 3."""
        grid = self.grid
        if grid is None:
            raise ValueError("these are no items of a grid")
        return self._resampled(grid.sums.reshape(len(grid.sums), -1)).reshape(-1, len(grid.cells), 3)

    def drawn(self, metric: str) -> Floats | None:
        """Return a metric in each resample of the clusters; None when the items do not say how it comes about."""
        value = self._run.metrics.get(metric)
        if self.frame is None or value is None or self._units[1] < 2:
            return None
        of_grid = self._of_grid(metric, value)
        if of_grid is not None:
            return of_grid
        items = RunItems(self.frame, self._run.id)
        for measure in self._measures(metric, items):
            if measure.averages_labels:
                continue
            contributions = items.contributions(measure)
            if contributions is None:
                continue
            units, size = self._units
            matrix = np.zeros((size, contributions.width))
            np.add.at(matrix, units, contributions.fill_null(0).fill_nan(0).to_numpy())
            estimator = measure.estimator()
            if same_number(float(estimator(matrix.sum(axis=0))), value):
                return np.asarray(estimator(self._resampled(matrix)))
        return None

    def _measures(self, metric: str, items: RunItems) -> Iterator[Measure]:
        declared = self._run.measures.get(metric)
        if declared is not None:
            try:
                yield parse_measure(declared)
            except InvalidMetric:
                return
            return
        for measure, _ in candidates(metric, items.frame.columns, items.labels):
            yield measure

    def _of_grid(self, metric: str, value: float) -> Floats | None:
        """Return the resampled mean of the cells of one matcher, strategy or model, if that is what a metric is."""
        grid = self.grid
        name, _, rate = metric.rpartition(".")
        if grid is None or rate not in _RATES or not name:
            return None
        prefix, _, rest = name.partition(".")
        place = AXES.index(prefix) if prefix in AXES[1:] and rest else 0
        cells = grid.of(place, rest if place else name)
        if not cells or not same_number(float(mean_rate(rate, grid.sums[:, cells].sum(axis=0))), value):
            return None
        return mean_rate(rate, self.grid_draws[:, cells])

    def _resampled(self, matrix: Floats) -> Floats:
        """Return the sums of each resample of the clusters with replacement."""
        size = self._units[1]
        rng = np.random.default_rng([self._options.seed, self.stream])
        parts = [
            count_rows(rng.integers(0, size, size=(step, size)), size).astype(np.float64) @ matrix
            for step in batches(self._options.resamples, size)
        ]
        return np.concatenate(parts)


def mean_rate(name: str, counts: Floats) -> Floats:
    """Return the mean of a rate over cells, from … × cells × (tp, fp, fn); cells without it are left out, NaN without any.

    F1 = 2 tp / (2 tp + fp + fn), and like recall it is not defined without a true label.
    """
    tp, fp, fn = counts[..., 0], counts[..., 1], counts[..., 2]
    if name == "f1":
        part, whole = 2 * tp, np.where(tp + fn > 0, 2 * tp + fp + fn, 0)
    else:
        part, whole = tp, tp + (fp if name == "precision" else fn)
    known = whole > 0
    values = np.divide(part, whole, out=np.zeros(np.shape(part)), where=known)
    number = known.sum(axis=-1)
    nothing = np.full(np.shape(number), np.nan)
    return np.asarray(np.divide(values.sum(axis=-1), number, out=nothing, where=number > 0))


class _Sides(NamedTuple):
    """Two sides in one run: their cells in the same order."""

    sample: RunSample
    a: list[int]
    b: list[int]

    @property
    def grid(self) -> Grid:
        if self.sample.grid is None:
            raise ValueError("these are no items of a grid")
        return self.sample.grid


def contrast(
    samples: Sequence[RunSample], place: int, a: str, b: str, options: AggregateOptions
) -> SeedContrast | None:
    """Compare two matchers (place 0), strategies (1) or models (2) on the cells that both have, in every run that has both.

    Returns:
        The contrast, whose p-value is not adjusted yet; None when no run has an F1 of both.
    """
    found, differences = [], []
    for sample in samples:
        grid = sample.grid
        if grid is None:
            continue
        of_a, of_b = (
            {
                cell[:place] + cell[place + 1 :]: number
                for number, cell in enumerate(grid.cells)
                if cell[place] == name
            }
            for name in (a, b)
        )
        both = [rest for rest in of_a if rest in of_b]
        sides = _Sides(sample, [of_a[rest] for rest in both], [of_b[rest] for rest in both])
        total = grid.sums.sum(axis=0)
        seen = (
            float(mean_rate("f1", total[sides.b]) - mean_rate("f1", total[sides.a])) if both else float("nan")
        )
        if np.isfinite(seen):
            found.append(sides)
            differences.append(seen)
    if not found:
        return None
    mean = float(np.mean(differences))
    draws = np.mean(
        [
            mean_rate("f1", s.sample.grid_draws[:, s.b]) - mean_rate("f1", s.sample.grid_draws[:, s.a])
            for s in found
        ],
        axis=0,
    )
    known = draws[np.isfinite(draws)]
    level = 1 - options.confidence
    low, high = np.quantile(known, [level / 2, 1 - level / 2]) if known.size else (-1.0, 1.0)
    p_value = _swapped(found, mean, options)
    if p_value > level:  # an interval never says more than its test
        low, high = min(low, 0.0), max(high, 0.0)
    if mean < 0:
        a, b, mean, low, high = b, a, -mean, -high, -low
        differences = [-d for d in differences]
    return SeedContrast(
        better=b,
        other=a,
        differences=tuple(differences),
        difference=mean,
        low=float(low),
        high=float(high),
        p_value=p_value,
        p_adjusted=p_value,
        wins=sum(d > 0 for d in differences),
        runs=len(differences),
        p_seeds=sign_flip(differences),
        least_p_seeds=2 / 2 ** len(differences),
        judgement="not shown",
    )


def _swapped(found: Sequence[_Sides], mean: float, options: AggregateOptions) -> float:
    """Return how often swapping the sides in each cluster of each run gives a mean difference as great as the one seen."""
    hits = 0
    widest = max(len(sides.grid.sums) for sides in found)
    streams = {sides.sample.stream for sides in found}
    generators = {stream: np.random.default_rng([options.seed, stream, 1]) for stream in streams}
    for size in batches(options.resamples, widest):
        together = np.zeros(size)
        bits: dict[int, Floats] = {}
        for sides in found:
            sums, stream = sides.grid.sums, sides.sample.stream
            if stream not in bits:  # a cluster that several runs share is swapped in all of them or in none
                bits[stream] = _coins(generators[stream], size, len(sums))
            shift = (sums[:, sides.b] - sums[:, sides.a]).reshape(len(sums), -1)
            change = (bits[stream] @ shift).reshape(size, len(sides.a), 3)
            total = sums.sum(axis=0)
            together += mean_rate("f1", total[sides.b] - change) - mean_rate("f1", total[sides.a] + change)
        swapped = np.abs(together) / len(found)
        hits += int(np.count_nonzero(~(swapped < abs(mean) * (1 - 1e-9))))  # not defined counts against it
    return (1 + hits) / (1 + options.resamples)


def _coins(rng: np.random.Generator, rows: int, width: int) -> Floats:
    """Return 0 or 1 with equal chances, eight of a byte."""
    bits = np.frombuffer(rng.bytes(rows * ((width + 7) // 8)), dtype=np.uint8).reshape(rows, -1)
    return np.unpackbits(bits, axis=1, count=width).astype(np.float64)


def sign_flip(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of the exact sign-flip test of a mean; above 16 differences, of 65,536 drawn flips.

    Source: Fisher, R. A. (1935), The Design of Experiments, section 21.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.size <= 16:
        flips = np.array(list(itertools.product((-1.0, 1.0), repeat=values.size)))
        extra = 0
    else:
        flips = np.random.default_rng(0).choice((-1.0, 1.0), size=(65_535, values.size))
        extra = 1
    seen = abs(values.sum())
    hits = int(np.count_nonzero(np.abs(flips @ values) >= seen * (1 - 1e-9)))
    return float((hits + extra) / (len(flips) + extra))

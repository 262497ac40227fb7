"""Items of two runs as counted patterns of what each contributes to a metric.

A metric that is a function of sums over items (a ratio, a mean, a macro average) needs of an item only the numbers
that it adds to those sums, in A and in B. Items that add the same are one *pattern*: a million items that are right or
wrong are four patterns. Resampling items is then one multinomial draw of the pattern counts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]


_WHOLE = 2_000_000  # numbers up to which a matrix product is quicker than adding what is not 0


class Contributions(ABC):
    """What each pattern adds to the sums of a metric: a matrix of patterns × sums.

    Attributes:
        shape: patterns, sums.
    """

    shape: tuple[int, int]

    @abstractmethod
    def block(self, start: int, stop: int) -> Floats:
        """Return some patterns as a matrix."""

    @abstractmethod
    def sums(self, counts: NDArray[np.generic]) -> Floats:
        """Return the sums when pattern p occurs ``counts[..., p]`` times: resamples × sums."""

    @abstractmethod
    def select(self, picks: Integers) -> Contributions:
        """Return some patterns, in the order given; none may be given twice."""

    @abstractmethod
    def minus(self, other: Any) -> Contributions:
        """Return the difference of two contributions of one kind and shape."""

    @abstractmethod
    def not_zero(self) -> Integers:
        """Return the patterns that add anything at all."""


class Matrix(Contributions):
    """The contributions of a metric that has few sums."""

    def __init__(self, matrix: Floats) -> None:
        self.matrix: Floats = np.ascontiguousarray(matrix, dtype=np.float64)
        self.shape = (matrix.shape[0], matrix.shape[1])

    def block(self, start: int, stop: int) -> Floats:
        """Return some patterns as a matrix."""
        return self.matrix[start:stop]

    def sums(self, counts: NDArray[np.generic]) -> Floats:
        """Return the sums when pattern p occurs ``counts[..., p]`` times."""
        return np.asarray(counts.astype(np.float64) @ self.matrix)

    def select(self, picks: Integers) -> Matrix:
        """Return some patterns."""
        return self if picks.size == self.shape[0] else Matrix(self.matrix[picks])

    def minus(self, other: Matrix) -> Matrix:
        """Return the difference."""
        return Matrix(self.matrix - other.matrix)

    def not_zero(self) -> Integers:
        """Return the patterns that add anything at all."""
        found = self.matrix[:, 0] != 0
        for column in range(1, self.shape[1]):
            found |= self.matrix[:, column] != 0
        return np.flatnonzero(found)


class Entries(Contributions):
    """The contributions of a metric that has many sums, three a label, of which a pattern adds to a few.

    Args:
        rows: patterns, one an entry, in any order; entries at one place are added.
        columns: sums, one an entry.
        values: what is added.
        shape: patterns, sums.
    """

    def __init__(self, rows: Integers, columns: Integers, values: Floats, shape: tuple[int, int]) -> None:
        places, back = np.unique(columns * shape[0] + rows, return_inverse=True)
        added = np.bincount(back, weights=values, minlength=places.size)
        places = places[added != 0]
        self.rows: Integers = places % shape[0]
        self.columns: Integers = places // shape[0]  # ascending
        self.values: Floats = added[added != 0]
        self.shape = shape

    def block(self, start: int, stop: int) -> Floats:
        """Return some patterns as a matrix."""
        inside = (self.rows >= start) & (self.rows < stop)
        found = np.zeros((stop - start, self.shape[1]))
        found[self.rows[inside] - start, self.columns[inside]] = self.values[inside]
        return found

    def sums(self, counts: NDArray[np.generic]) -> Floats:
        """Return the sums when pattern p occurs ``counts[..., p]`` times."""
        if self.shape[0] * self.shape[1] <= _WHOLE:
            return np.asarray(counts.astype(np.float64) @ self._whole)
        found = np.zeros((*counts.shape[:-1], self.shape[1]))
        if self.rows.size:
            starts = np.flatnonzero(np.diff(self.columns, prepend=-1))
            terms = counts.T[self.rows].astype(np.float64)
            terms *= self.values.reshape(-1, *([1] * (counts.ndim - 1)))
            found[..., self.columns[starts]] = np.add.reduceat(terms, starts, axis=0).T
        return found

    @cached_property
    def _whole(self) -> Floats:
        return self.block(0, self.shape[0])

    def select(self, picks: Integers) -> Entries:
        """Return some patterns."""
        place = np.full(self.shape[0], -1)
        place[picks] = np.arange(picks.size)
        kept = place[self.rows] >= 0
        shape = (picks.size, self.shape[1])
        return Entries(place[self.rows[kept]], self.columns[kept], self.values[kept], shape)

    def minus(self, other: Entries) -> Entries:
        """Return the difference."""
        return Entries(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.columns, other.columns]),
            np.concatenate([self.values, -other.values]),
            self.shape,
        )

    def not_zero(self) -> Integers:
        """Return the patterns that add anything at all."""
        return np.unique(self.rows)


@dataclass(frozen=True, eq=False)
class Pairs:
    """The shared items of two runs, counted by pattern.

    Attributes:
        a: what each pattern adds to the sums of A.
        b: the same of B.
        counts: how often each pattern occurs, 1 or more.
        items: how many items there are.
        clustered: whether a unit that is drawn as a whole is a cluster of items instead of an item.
    """

    a: Contributions  # both of one kind: a metric has few sums, or many
    b: Contributions
    counts: Integers
    items: int
    clustered: bool = False

    @classmethod
    def of(
        cls,
        a: Floats,
        b: Floats,
        counts: Integers | None = None,
        *,
        items: int | None = None,
        clustered: bool = False,
    ) -> Pairs:
        """Return pairs from matrices of units × sums; every unit counts once when ``counts`` is not given."""
        weights = np.ones(len(a), dtype=np.int64) if counts is None else np.asarray(counts, dtype=np.int64)
        if counts is not None and not weights.all():
            a, b, weights = a[weights > 0], b[weights > 0], weights[weights > 0]
        size = int(weights.sum()) if items is None else items
        return cls(Matrix(a), Matrix(b), weights, size, clustered)

    @property
    def units(self) -> int:
        """How many items, or clusters, there are."""
        return int(self.counts.sum())

    @property
    def patterns(self) -> int:
        """How many patterns there are."""
        return self.counts.size

    @cached_property
    def totals(self) -> tuple[Floats, Floats]:
        """The sums of A and of B over all units."""
        return self.a.sums(self.counts), self.b.sums(self.counts)

    @cached_property
    def shift(self) -> Contributions:
        """What swapping the two runs in one unit of a pattern adds to A and takes from B."""
        return self.b.minus(self.a)

    @cached_property
    def discordant(self) -> Integers:
        """The patterns in which A and B contribute something else."""
        return self.shift.not_zero()

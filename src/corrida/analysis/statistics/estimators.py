"""Metrics as functions of sums over items, evaluated for many resamples at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from corrida.analysis.statistics.pairs import Floats


class Estimator(Protocol):
    """A metric as a function of sums over items."""

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """The least and the greatest value it can have; None where there is no end."""
        ...

    def __call__(self, sums: Floats) -> Floats:
        """Return the metric for each row of sums; NaN where it is not defined.

        Args:
            sums: resamples × sums, or the sums alone.
        """
        ...


@dataclass(frozen=True)
class Ratio:
    """A ratio of two sums: accuracy, precision, recall, F1 = 2 tp / (predicted + actual), a mean.

    The sums are numerator and denominator. Source of precision, recall and F: van Rijsbergen, C. J. (1979),
    Information Retrieval, 2nd ed., chapter 7.
    """

    bounds: tuple[float | None, float | None] = (0.0, 1.0)

    def __call__(self, sums: Floats) -> Floats:
        """Return numerator / denominator."""
        return _divide(sums[..., 0], sums[..., 1])


@dataclass(frozen=True)
class Mean:
    """The mean over a number of units that is the same in every resample.

    Attributes:
        units: how many.
    """

    units: int
    bounds: tuple[float | None, float | None] = (None, None)

    def __call__(self, sums: Floats) -> Floats:
        """Return the sum over the number of units."""
        return np.asarray(sums[..., 0] / self.units)


@dataclass(frozen=True)
class RootRatio:
    """The square root of a ratio of two sums, such as the root mean square error."""

    bounds: tuple[float | None, float | None] = (0.0, None)

    def __call__(self, sums: Floats) -> Floats:
        """Return √(numerator / denominator)."""
        return np.sqrt(np.maximum(_divide(sums[..., 0], sums[..., 1]), 0.0))


@dataclass(frozen=True)
class Determination:
    """The coefficient of determination R² = 1 - Σ(y - ŷ)² / (Σy² - (Σy)²/n).

    The sums are Σ(y - ŷ)², Σy², Σy and n. Source: Draper and Smith (1998), Applied Regression Analysis, 3rd ed.,
    section 1.3.
    """

    bounds: tuple[float | None, float | None] = (None, 1.0)

    def __call__(self, sums: Floats) -> Floats:
        """Return R²; NaN where y does not vary."""
        spread = sums[..., 1] - _divide(sums[..., 2] ** 2, sums[..., 3])
        return 1.0 - _divide(sums[..., 0], np.where(spread > 1e-12 * sums[..., 1], spread, 0.0))


@dataclass(frozen=True)
class LabelAverage:
    """Precision, recall or F1 of each label, averaged over labels.

    The sums are, for L labels, L times the true positives, then L times how often each label was given as output,
    then L times how often it was expected. As in scikit-learn, a label that occurs neither in outputs nor in
    expected answers is not averaged, and one whose own denominator is 0 counts as 0.

    Sources: Sokolova and Lapalme (2009), A systematic analysis of performance measures for classification tasks,
    Information Processing & Management 45, 427-437 (macro averages); Brodersen et al. (2010), The balanced accuracy
    and its posterior distribution, ICPR (``expected_only`` with recall).

    Attributes:
        of: what is averaged.
        weighted: by how often a label is expected; else every label counts the same.
        expected_only: average the labels that are expected, not those that occur as output only.
    """

    of: Literal["precision", "recall", "f1"]
    weighted: bool = False
    expected_only: bool = False
    bounds: tuple[float | None, float | None] = (0.0, 1.0)

    def __call__(self, sums: Floats) -> Floats:
        """Return the average."""
        size = sums.shape[-1] // 3
        hits, given, expected = sums[..., :size], sums[..., size : 2 * size], sums[..., 2 * size :]
        if self.of == "f1":
            part, whole = 2 * hits, given + expected
        else:
            part, whole = hits, given if self.of == "precision" else expected
        values = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
        if self.weighted:
            return _divide((values * expected).sum(axis=-1), expected.sum(axis=-1))
        present = (expected > 0) if self.expected_only else (given + expected > 0)
        return _divide((values * present).sum(axis=-1), present.sum(axis=-1).astype(np.float64))


def _divide(part: Floats, whole: Floats) -> Floats:
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    if whole.all():
        return np.asarray(part / whole)
    nothing: Floats = np.full(np.broadcast(part, whole).shape, np.nan)
    return np.asarray(np.divide(part, whole, out=nothing, where=whole != 0))

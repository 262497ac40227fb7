"""What training recorded of the features, and how other data are brought into the same shape.

Order, types, medians, means and scales come from the training rows. Data to be scored has no say in any of them, so a row
means the same alone and among a million.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from corrida.pipelines.feature_profile import binned, quantile_edges, stability_index
from corrida.pipelines.risk.features import FEATURES, NAMES, Categories

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt
    import polars as pl

    Floats = npt.NDArray[np.float64]
    Matrix = npt.NDArray[np.float32]

_MOST_NAMED = 20  # unseen categories in a report


class Alignment(msgspec.Struct, frozen=True, kw_only=True):
    """What training recorded.

    Attributes:
        features: in the order of the matrix.
        dtype: of the matrix.
        median: what is filled in where a feature is missing.
        mean, scale: by which a feature is standardised.
        edges: inner edges of the bins of equal count of each feature, for drift.
        shares: of the training rows in these bins.
        missing: share of the training rows in which the feature was missing.
        categories: and their codes.
    """

    features: tuple[str, ...]
    dtype: str
    median: list[float]
    mean: list[float]
    scale: list[float]
    edges: list[list[float]]
    shares: list[list[float]]
    missing: list[float]
    categories: Categories


def learn_alignment(table: Mapping[str, Floats], categories: Categories) -> Alignment:
    """Return what is recorded of the features of the training rows."""
    median, mean, scale, edges, shares, missing = [], [], [], [], [], []
    for name in NAMES:
        values = table[name]
        known = values[~np.isnan(values)]
        middle = float(np.median(known)) if known.size else 0.0
        filled = np.where(np.isnan(values), middle, values)
        spread = float(filled.std())
        cuts = quantile_edges(values)
        median.append(middle)
        mean.append(float(filled.mean()))
        scale.append(spread if spread > 1e-12 else 1.0)
        edges.append(cuts.tolist())
        shares.append((binned(values, cuts) / max(len(values), 1)).tolist())
        missing.append(float(np.isnan(values).mean()))
    return Alignment(
        features=NAMES,
        dtype="float32",
        median=median,
        mean=mean,
        scale=scale,
        edges=edges,
        shares=shares,
        missing=missing,
        categories=categories,
    )


class Aligner:
    """Brings features into the shape of training, and counts what had to be done for it.

    Attributes:
        filled: by feature, values that were missing.
        unseen: by column, categories that training had not seen, with their rows.
    """

    def __init__(self, alignment: Alignment) -> None:
        self.alignment = alignment
        self.filled: Counter[str] = Counter()
        self.unseen: dict[str, Counter[str]] = {"operation": Counter(), "sector": Counter()}
        self._bins = [np.zeros(len(one) + 2, dtype=np.int64) for one in alignment.edges]

    def matrix(self, table: Mapping[str, Floats], rows: Any = slice(None)) -> Matrix:
        """Return the matrix the models take: filled, standardised, in the order of training.

        Args:
            table: features by name.
            rows: of the table, those that are wanted.
        """
        about = self.alignment
        columns = []
        for place, name in enumerate(about.features):
            values = table[name][rows]
            if np.isnan(values.sum()):  # quicker than to look at each
                absent = np.isnan(values)
                self.filled[name] += int(absent.sum())
                values = np.where(absent, about.median[place], values)
            columns.append(((values - about.mean[place]) / about.scale[place]).astype(np.float32))
        return np.column_stack(columns) if columns else np.empty((0, 0), dtype=np.float32)

    def observe(self, table: Mapping[str, Floats], rows: Any = slice(None)) -> None:
        """Count rows into the bins of training, for :meth:`drift`."""
        for place, name in enumerate(self.alignment.features):
            self._bins[place] += binned(table[name][rows], np.array(self.alignment.edges[place]))

    def meet(self, frame: pl.DataFrame) -> None:
        """Count the categories of rows that training had not seen."""
        for column, counts in self.unseen.items():
            known = getattr(self.alignment.categories, column)
            found = frame[column].value_counts()
            for name, rows in found.filter(~found[column].is_in(known)).iter_rows():
                counts[name] += rows

    def drift(self) -> dict[str, float]:
        """Return the population stability index of each feature against training; below 0.1 is little, above 0.25 much."""
        found = {}
        for bins, shares, name in zip(
            self._bins, self.alignment.shares, self.alignment.features, strict=True
        ):
            if bins.sum():
                found[name] = stability_index(bins, np.array(shares), self.alignment.categories.rows)
        return found

    def report(self, ignored: Iterable[str]) -> dict[str, Any]:
        """Return what had to be done: unseen categories, filled values, columns that were not used."""
        unseen = {
            column: {
                "categories": len(counts),
                "rows": counts.total(),
                "most": dict(counts.most_common(_MOST_NAMED)),
            }
            for column, counts in self.unseen.items()
            if counts
        }
        return {
            "features": len(FEATURES),
            "unseen": unseen,
            "filled": dict(self.filled),
            "ignored_columns": list(ignored),
        }

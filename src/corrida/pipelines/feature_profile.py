"""How the features of training were spread, and how far those of other data stand from them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Counts = npt.NDArray[np.int64]

_BINS = 10
_MOST_LEVELS = 30


class FeatureProfile(msgspec.Struct, frozen=True, kw_only=True):
    """How a feature was spread over the training rows.

    Attributes:
        name: of the feature.
        kind: number or category.
        edges: of a number, inner edges of bins of equal count.
        levels: of a category, the most frequent ones; a bin each, and one for all others that training saw.
        shares: of the training rows: in the bins, then (of a category) unseen, then missing.
    """

    name: str
    kind: Literal["number", "category"]
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    shares: tuple[float, ...]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How the features of training were spread.

    Attributes:
        rows: of training.
        features: in the order of training.
    """

    rows: int
    features: tuple[FeatureProfile, ...]


def learn_profile(table: pl.DataFrame) -> Profile:
    """Return how the columns of the training rows are spread; texts are categories, the rest numbers.

    Args:
        table: one row a training row; null is missing.
    """
    found = [
        _of_numbers(name, _floats(table[name])) if table[name].dtype.is_numeric() else _of_texts(table[name])
        for name in table.columns
    ]
    return Profile(rows=table.height, features=tuple(found))


def _of_numbers(name: str, values: Floats) -> FeatureProfile:
    edges = quantile_edges(values)
    shares = binned(values, edges) / max(len(values), 1)
    return FeatureProfile(
        name=name, kind="number", edges=tuple(edges.tolist()), shares=tuple(shares.tolist())
    )


def _of_texts(given: pl.Series) -> FeatureProfile:
    counts: Counter[str | None] = Counter(given.cast(pl.String).to_list())
    missing, rows = counts.pop(None, 0), max(given.len(), 1)
    most = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))[:_MOST_LEVELS]
    named = [count / rows for _, count in most]
    others = max(1 - sum(named) - missing / rows, 0.0) if len(counts) > len(most) else 0.0
    return FeatureProfile(
        name=given.name,
        kind="category",
        levels=tuple(str(level) for level, _ in most),
        shares=(*named, others, 0.0, missing / rows),
    )


class ProfileCounter:
    """Counts rows into the bins of training."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._counts = [np.zeros(len(one.shares), dtype=np.int64) for one in profile.features]
        self._edges = [np.array(one.edges) for one in profile.features]
        self._places = [{level: place for place, level in enumerate(one.levels)} for one in profile.features]

    def observe(self, table: pl.DataFrame, unseen: Mapping[str, Mapping[str, int]]) -> None:
        """Count rows.

        Args:
            table: with the columns of the profile.
            unseen: by column, texts of these rows that training never saw.
        """
        for number, one in enumerate(self._profile.features):
            given = table[one.name]
            if one.kind == "number":
                self._counts[number] += binned(_floats(given), self._edges[number])
                continue
            places, others = self._places[number], len(one.levels)
            for text, rows in given.cast(pl.String).value_counts(name="corrida rows").iter_rows():
                place = -1 if text is None else places.get(text, others)
                if place == others and text in unseen.get(one.name, {}):
                    place = others + 1
                self._counts[number][place] += rows

    def drift(self) -> dict[str, float]:
        """Return the population stability index of each feature against training."""
        return {
            one.name: stability_index(counts, np.array(one.shares), self._profile.rows)
            for one, counts in zip(self._profile.features, self._counts, strict=True)
            if counts.sum()
        }


def quantile_edges(values: Floats) -> Floats:
    """Return inner edges of bins that hold about as many values each; NaN does not count."""
    known = values[~np.isnan(values)]
    return np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS)) if known.size else np.empty(0)


def binned(values: Floats, edges: Floats) -> Counts:
    """Count values between edges; the last place is for missing ones."""
    absent = np.isnan(values)
    places = np.searchsorted(edges, values[~absent], side="left")
    return np.append(np.bincount(places, minlength=len(edges) + 1), absent.sum())


def stability_index(counts: Counts, shares: Floats, training_rows: int) -> float:
    """Return the population stability index: below 0.1 is little, above 0.25 much.

    PSI = Σ (a - e) ln(a / e) over the bins, with a and e the shares of the rows here and in training; half a row stands for
    none. Source: Siddiqi, N. (2006), Credit risk scorecards, Wiley.

    Args:
        counts: rows by bin, at least one row.
        shares: of the training rows by bin.
        training_rows: how many there were.
    """
    rows = int(counts.sum())
    expected = np.maximum(shares, 0.5 / max(training_rows, 1))
    actual = np.maximum(counts / rows, 0.5 / rows)
    return round(float(np.sum((actual - expected) * np.log(actual / expected))), 4)


def _floats(given: pl.Series) -> Floats:
    return given.cast(pl.Float64).fill_null(float("nan")).to_numpy()

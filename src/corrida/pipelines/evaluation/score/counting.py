"""Counting: the unit is (item, label).

- A true label that an item got, from one detection or from ten, is one true positive.
- A label that an item got and does not have is one false positive, in clean items too.
- A detection without a label is a false positive, one for each distinct name (folded) in the item.
- A true label that the item did not get is one false negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from corrida.pipelines.text import fold

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import polars as pl

    from corrida.pipelines.evaluation.match import Matched
    from corrida.pipelines.evaluation.truth import Truth

Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Booleans: TypeAlias = NDArray[np.bool_]
Pair: TypeAlias = tuple[str, str]


class Said:
    """The detections as numbers, and the truth they are counted against.

    Attributes:
        pairs: (strategy, model), strategies then models in the order in which they come.
        items: how many there are.
        labels: how many there are in the taxonomy.
        included: pairs × items: whether the item counts; one that the detector could not answer does not.
        item, pair, name: of each detection; ``name`` numbers the distinct folded names.
        confidence: of each detection; NaN where there is none.
        true_item, true_label: each true label of each item.
        cluster: of each item.
        clusters: how many there are.
    """

    def __init__(
        self,
        detections: pl.DataFrame,
        truth: Truth,
        labels: int,
        pairs: Sequence[Pair],
        failed: Collection[tuple[str, str, str]] = (),
    ) -> None:
        """Number everything.

        Args:
            detections: as read; all items are in the truth.
            truth: the items.
            labels: how many the taxonomy has.
            pairs: every (strategy, model) that was tried, with or without detections.
            failed: (item, strategy, model) without an answer; their detections, if any, do not count.
        """
        self.pairs = list(pairs)
        self.items, self.labels = len(truth), labels
        number = {pair: place for place, pair in enumerate(self.pairs)}
        self.included: Booleans = np.ones((len(self.pairs), self.items), dtype=bool)
        for item, strategy, model in failed:
            self.included[number[strategy, model], truth.index[item]] = False
        self.item = _array([truth.index[item] for item in detections["item"].to_list()])
        self.pair = _array(
            [number[pair] for pair in zip(detections["strategy"], detections["model"], strict=True)]
        )
        names = detections["name"].fill_null(detections["description"]).to_list()
        folded: dict[str, int] = {}
        numbers = {
            name: folded.setdefault(" ".join(fold(name).split()), len(folded))
            for name in dict.fromkeys(names)
        }
        self.name = _array([numbers[name] for name in names])
        self.names = max(len(folded), 1)
        self.confidence: Floats = (
            detections["confidence"].cast(float).fill_null(float("nan")).to_numpy().astype(np.float64)
        )
        self.true_item = _array([item for item, given in enumerate(truth.labels) for _ in given])
        self.true_label = _array([label for given in truth.labels for label in given])
        clusters: dict[str, int] = {}
        self.cluster = _array([clusters.setdefault(name, len(clusters)) for name in truth.clusters])
        self.clusters = len(clusters)
        self.kept: Booleans = self.included[self.pair, self.item]

    @cached_property
    def true_keys(self) -> Integers:
        """``item × labels + label`` of each true label, ascending."""
        return np.sort(self.true_item * self.labels + self.true_label)

    @cached_property
    def true_counts(self) -> Integers:
        """How many true labels each item has."""
        return np.bincount(self.true_item, minlength=self.items)


@dataclass(frozen=True)
class Decisions:
    """What a matcher makes of the detections, each decision once.

    A decision is a label given to an item, or a name without one, under a pair of strategy and model.

    Attributes:
        pair, item: where.
        label: the label; -1 for a name without one.
        right: whether the item has the label.
        confidence: the greatest of its detections; NaN where none has one.
    """

    pair: Integers
    item: Integers
    label: Integers
    right: Booleans
    confidence: Floats


@dataclass(frozen=True)
class Tally:
    """Counts per pair of strategy and model and item, of one matcher; zeros where an item is not included.

    Attributes:
        tp, fp, fn: pairs × items.
        detections, unmatched: per pair.
    """

    tp: Integers
    fp: Integers
    fn: Integers
    detections: Integers
    unmatched: Integers

    @property
    def stacked(self) -> Integers:
        """Return tp, fp and fn as pairs × items × 3."""
        return np.stack([self.tp, self.fp, self.fn], axis=-1)


def decide(said: Said, matched: Matched, threshold: float) -> Decisions:
    """Return the decisions of a matcher at a threshold."""
    has_label = matched.score >= np.float32(threshold)
    width = said.labels + said.names
    code = np.where(has_label, matched.label, said.labels + said.name)
    keys = ((said.pair * said.items + said.item) * width + code)[said.kept]
    unique, back = np.unique(keys, return_inverse=True)
    confidence = np.full(unique.size, -np.inf)
    known = np.where(np.isnan(said.confidence), -np.inf, said.confidence)[said.kept]
    np.maximum.at(confidence, back, known)
    code = unique % width
    place = unique // width
    item, label = place % said.items, np.where(code < said.labels, code, -1)
    right = (label >= 0) & among(said.true_keys, item * said.labels + label)
    confidence[np.isinf(confidence)] = np.nan
    return Decisions(place // said.items, item, label, right, confidence)


def tally(said: Said, decisions: Decisions, matched: Matched, threshold: float) -> Tally:
    """Count the decisions per pair and item."""
    shape = (len(said.pairs), said.items)
    place = decisions.pair * said.items + decisions.item
    size = shape[0] * shape[1]
    tp = np.bincount(place[decisions.right], minlength=size).reshape(shape)
    fp = np.bincount(place[~decisions.right], minlength=size).reshape(shape)
    fn = np.where(said.included, said.true_counts[None, :] - tp, 0)
    without = said.kept & (matched.score < np.float32(threshold))
    return Tally(
        tp,
        fp,
        fn,
        np.bincount(said.pair[said.kept], minlength=shape[0]),
        np.bincount(said.pair[without], minlength=shape[0]),
    )


def cluster_sums(said: Said, counts: Tally, pair: int, only: Booleans | None = None) -> Floats:
    """Return tp, fp and fn of each cluster under one pair: clusters × 3.

    Args:
        said: for the clusters.
        counts: of a matcher.
        pair: the number of the pair.
        only: the items to count; None for all that are included.
    """
    found = np.zeros((said.clusters, 3))
    for place, column in enumerate((counts.tp[pair], counts.fp[pair], counts.fn[pair])):
        weights = column if only is None else np.where(only, column, 0)
        found[:, place] = np.bincount(said.cluster, weights=weights, minlength=said.clusters)
    return found


def _array(values: list[int]) -> Integers:
    return np.array(values, dtype=np.int64)


def among(ascending: Integers, keys: Integers) -> Booleans:
    """Return which keys are among some that are sorted."""
    if not ascending.size:
        return np.zeros(keys.shape, dtype=bool)
    places = np.minimum(np.searchsorted(ascending, keys), ascending.size - 1)
    return np.asarray(ascending[places] == keys)

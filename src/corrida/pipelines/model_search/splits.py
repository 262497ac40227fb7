"""Which rows are tested, and the folds of the others: by time, by groups, by classes or at random.

By time, all test rows come after all training rows, rows of one
time stay together, and each fold predicts what comes after what it learnt from (expanding window). By groups, a group is on
one side. Rows with dates are not shuffled unless somebody asks for it.

Sources: Roberts, D. R. et al. (2017), Cross-validation strategies for data with temporal, spatial, hierarchical, or
phylogenetic structure, Ecography 40, 913-929; Hyndman and Athanasopoulos (2021), Forecasting: principles and practice,
3rd ed., section 5.10.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from corrida.errors import InvalidConfig, InvalidData

if TYPE_CHECKING:
    from collections.abc import Sequence

Rows: TypeAlias = NDArray[np.int64]
Way = Literal["time", "group", "stratified", "random"]
_LEAST = 2  # rows, times or groups on each side


@dataclass(frozen=True)
class Split:
    """Where rows go.

    Attributes:
        way: how they were parted.
        train: rows to learn from, ascending; by time where the split is.
        test: rows to predict.
        left_out: rows in the gap.
    """

    way: Way
    train: Rows
    test: Rows
    left_out: Rows


def split_by_time(times: NDArray[Any], share: float, first: Any | None, gap: int) -> Split:
    """Test on the last rows.

    Args:
        times: of each row.
        share: of the times that is tested; rounded up, at least one.
        first: the first time that is tested, instead of the share.
        gap: times before it that are left out.

    Raises:
        InvalidData: too few times, or nothing on one side.
    """
    order = np.argsort(times, kind="stable")
    ordered = np.unique(times)
    if len(ordered) < 2 * _LEAST:
        raise InvalidData(
            f"there {'is' if len(ordered) == 1 else 'are'} {len(ordered)} different time{'' if len(ordered) == 1 else 's'}, "
            "too few for a split by time; give more data, or another split: --set split=random"
        )
    if first is None:
        size = min(max(1, round(share * len(ordered))), len(ordered) - _LEAST)
        place = len(ordered) - size
    else:
        place = int(np.searchsorted(ordered, first))
        if place < _LEAST or place >= len(ordered):
            raise InvalidConfig(
                f"test_from: {_text(first)} leaves nothing to {'learn from' if place < _LEAST else 'test on'}; "
                f"the data go from {_text(ordered[0])} to {_text(ordered[-1])}."
            )
    if place - gap < _LEAST:
        raise InvalidConfig(f"gap: {gap} times leave nothing to learn from; there are {len(ordered)} in all.")
    kept, tested = ordered[place - gap], ordered[place]
    by_time = times[order]
    return Split(
        "time",
        order[by_time < kept],
        order[by_time >= tested],
        order[(by_time >= kept) & (by_time < tested)],
    )


def split_by_group(groups: Sequence[str], share: float, seed: int) -> Split:
    """Test on groups drawn at random, as many as come nearest to the share of all groups, two at least.

    Raises:
        InvalidData: too few groups.
    """
    names, of_row = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    if len(names) < 2 * _LEAST:
        raise InvalidData(
            f"there {'is' if len(names) == 1 else 'are'} {len(names)} group{'' if len(names) == 1 else 's'}, too few to hold "
            "some out; 4 are needed. Name another column with group=, or use another split"
        )
    # One group alone would leave nothing to compare models by.
    size = min(max(_LEAST, round(share * len(names))), len(names) - _LEAST)
    held = np.random.default_rng(seed).permutation(len(names))[:size]
    test = np.isin(of_row, held)
    return Split("group", np.flatnonzero(~test), np.flatnonzero(test), np.zeros(0, dtype=np.int64))


def split_at_random(rows: int, share: float, seed: int) -> Split:
    """Test on rows drawn at random."""
    size = min(max(1, round(share * rows)), rows - _LEAST)
    order = np.random.default_rng(seed).permutation(rows)
    return Split("random", np.sort(order[size:]), np.sort(order[:size]), np.zeros(0, dtype=np.int64))


def split_by_class(classes: NDArray[Any], share: float, seed: int) -> Split:
    """Test on the same share of each class; a class of two or more rows is on both sides."""
    random = np.random.default_rng(seed)
    held: list[Rows] = []
    for name in np.unique(classes.astype(str)):
        rows = np.flatnonzero(classes.astype(str) == name)
        size = min(max(1, round(share * len(rows))), len(rows) - 1)
        held.append(random.permutation(rows)[:size])
    test = np.sort(np.concatenate(held))
    mask = np.zeros(len(classes), dtype=bool)
    mask[test] = True
    return Split("stratified", np.flatnonzero(~mask), test, np.zeros(0, dtype=np.int64))


def folds_by_time(times: NDArray[Any], count: int, gap: int) -> list[tuple[Rows, Rows]]:
    """Return folds of which each predicts the times after those it learns from; the earliest first.

    Args:
        times: of the training rows, ascending.
        count: of the folds.
        gap: times left out between both.

    Raises:
        InvalidConfig: too many folds, or too wide a gap.
    """
    ordered, of_row = np.unique(times, return_inverse=True)
    size = len(ordered) // (count + 1)
    if size < 1 or len(ordered) - count * size - gap < _LEAST:
        raise InvalidConfig(
            f"cv: the training rows have {len(ordered)} different times, too few for {count} folds"
            f"{f' with a gap of {gap}' if gap else ''}; set cv{' or gap' if gap else ''} lower."
        )
    folds = []
    for number in range(count):
        start = len(ordered) - (count - number) * size
        folds.append(
            (
                np.flatnonzero(of_row < start - gap),
                np.flatnonzero((of_row >= start) & (of_row < start + size)),
            )
        )
    return folds


def folds_of(
    way: Way, count: int, target: NDArray[Any], groups: Sequence[str] | None, seed: int
) -> list[tuple[Rows, Rows]]:
    """Return folds of rows that have no order in time.

    Args:
        way: of the split.
        count: of the folds.
        target: of the training rows; classes for ``stratified``.
        groups: of the training rows, for ``group``.
        seed: of the shuffling.

    Raises:
        InvalidConfig: too many folds.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    if way == "group" and groups is not None:
        there = len(set(groups))
        if there < count:
            raise InvalidConfig(
                f"cv: the training rows have {there} groups, too few for {count} folds; set cv lower."
            )
        return list(GroupKFold(count).split(target, groups=np.asarray(groups, dtype=object)))
    if len(target) < 2 * count:
        raise InvalidConfig(f"cv: {len(target)} training rows are too few for {count} folds; set cv lower.")
    if way == "stratified":
        with warnings.catch_warnings():
            # A class with fewer rows than folds is in some of them only; the caller says so.
            warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
            return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(target, target))
    return list(KFold(count, shuffle=True, random_state=seed).split(target))


def _text(time: Any) -> str:
    text = str(time.astype("datetime64[s]")) if isinstance(time, np.datetime64) else str(time)
    return text.removesuffix("T00:00:00")

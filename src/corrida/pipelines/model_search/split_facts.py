"""What the manifest says of a split and its folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from corrida.pipelines.model_search.dates import time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.pipelines.model_search.splits import Rows, Split

_MOST_GROUPS = 1000
_MOST_CLASSES = 50


def split_facts(
    split: Split, times: pl.Series | None, groups: Sequence[str] | None, seed: int
) -> dict[str, Any]:
    """Return how rows were parted: sizes, the ends in time, the groups that are tested, or the seed.

    Args:
        split: which rows are where.
        times: of all rows, for a split by time.
        groups: of all rows, for a split by groups.
        seed: of a split that draws.
    """
    about: dict[str, Any] = {
        "by": split.way,
        "train_rows": len(split.train),
        "test_rows": len(split.test),
    }
    if split.way == "time" and times is not None:
        about |= {f"train_{end}": text for end, text in _ends(times.gather(split.train))}
        about |= {f"test_{end}": text for end, text in _ends(times.gather(split.test))}
        if len(split.left_out):
            about["gap_rows"] = len(split.left_out)
    elif split.way == "group" and groups is not None:
        names = np.asarray(groups, dtype=object).astype(str)
        about["train_groups"] = len(set(names[split.train]))
        about["test_groups"] = [str(one) for one in sorted(set(names[split.test]))[:_MOST_GROUPS]]
    else:
        about["seed"] = seed
    return about


def fold_facts(fold: tuple[Rows, Rows], times: pl.Series | None) -> dict[str, Any]:
    """Return the sizes of a fold, and its ends in time.

    Args:
        fold: training and validation rows.
        times: of the training rows of the search, for folds by time.
    """
    train, held = fold
    found: dict[str, Any] = {"train_rows": len(train), "validation_rows": len(held)}
    if times is not None:
        found["train_until"] = dict(_ends(times.gather(train)))["until"]
        found |= {f"validation_{end}": text for end, text in _ends(times.gather(held))}
    return found


def class_counts(classes: pl.Series) -> dict[str, int]:
    """Return how many rows each class has, the most frequent first."""
    table = classes.value_counts(sort=True, name="rows")
    return {str(name): int(rows) for name, rows in table.head(_MOST_CLASSES).iter_rows()}


def _ends(times: pl.Series) -> list[tuple[str, str]]:
    text = time_text(pl.Series([times.min(), times.max()], dtype=pl.Datetime("us")))
    return [("from", text[0]), ("until", text[1])]

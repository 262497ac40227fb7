"""The target: which rows have one, whether it is a number or a class, and classes too rare to be tested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from corrida.errors import InvalidData
from corrida.pipelines.inputs import shown
from corrida.pipelines.model_search.columns import MISSING, kind_of, numbers_of, texts_of

if TYPE_CHECKING:
    from corrida.pipelines.model_search.columns import Source
    from corrida.pipelines.model_search.settings import ModelSearchConfig

Task = Literal["regression", "classification"]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Places = np.ndarray[Any, np.dtype[np.int64]]
_NAMED = 4


def rows_with_target(source: Source, name: str) -> Mask:
    """Tell of each row whether it has a target.

    Raises:
        InvalidData: none has.
    """
    text = source.frame[name].cast(pl.String, strict=False).str.strip_chars()
    unknown = text.is_null() | text.str.to_lowercase().is_in(["", "nan", "na", "n/a", "null"])
    marks = text.str.to_lowercase().is_in(list(MISSING))
    others = text.filter(~(unknown | marks))
    if others.len() and others.cast(pl.Float64, strict=False).null_count() == 0:
        unknown = unknown | marks  # among numbers; of classes, one may be called "none"
    if unknown.all():
        raise InvalidData(f"{shown(source.path)}: the target {name!r} is empty in every row.")
    return np.asarray((~unknown).to_numpy(), dtype=np.bool_)


def read_target(source: Source, config: ModelSearchConfig, kept: Places) -> tuple[Task, pl.Series]:
    """Return the task and the target of the kept rows: numbers, or classes as text.

    Text, and whole numbers of two values, are classes where nobody says otherwise.

    Raises:
        InvalidData: the target holds dates, is the same in every row, or is neither number nor class.
    """
    name, asked = config.target, config.task
    given = source.frame[name]
    kind = kind_of(source, name, named=name in config.categories)
    if kind == "date":
        raise InvalidData(
            f"{shown(source.path)}: the target {name!r} holds dates; a target is a number or a class."
        )
    if asked == "regression" or (asked == "auto" and kind == "number"):
        values = numbers_of(source, name).gather(kept)
        two = values.n_unique() <= 2 and bool((values == values.round()).all())
        if asked == "regression" or not two:
            if values.n_unique() < 2:
                raise InvalidData(
                    f"{shown(source.path)}: the target {name!r} is {values[0]:g} in every row; "
                    "there is nothing to learn."
                )
            return "regression", values
    classes = texts_of(given).gather(kept)
    if classes.n_unique() < 2:
        raise InvalidData(
            f"{shown(source.path)}: the target {name!r} is {classes[0]!r} in every row; "
            "there is nothing to learn."
        )
    if classes.n_unique() > max(50, len(kept) // 3):
        raise InvalidData(
            f"{shown(source.path)}: the target {name!r} has {classes.n_unique():,} different texts in "
            f"{len(kept):,} rows, too many for classes. Name another target."
        )
    return "classification", classes


def without_rare_classes(
    source: Source, config: ModelSearchConfig, kept: Places, target: pl.Series
) -> tuple[Places, pl.Series, str]:
    """Refuse or leave out classes of one row: they cannot be learnt from and tested.

    Returns:
        The rows and targets that stay, and what was left out, in words.

    Raises:
        InvalidData: naming the class and its row.
    """
    counts = target.value_counts(sort=True, name="rows")
    rare = counts.filter(pl.col("rows") < 2)[target.name].to_list()
    if not rare:
        return kept, target, ""
    names = ", ".join(repr(one) for one in sorted(rare)[:_NAMED])
    more = f" and {len(rare) - _NAMED} more" if len(rare) > _NAMED else ""
    if config.rare_classes == "refuse":
        row = int(kept[int(target.is_in(rare).arg_true()[0])])
        path, where = source.at([row])
        raise InvalidData(
            f"{shown(path)}: the {'class' if len(rare) == 1 else 'classes'} {names}{more} of {config.target!r} "
            f"{'has' if len(rare) == 1 else 'have each'} one row ({where}); two are needed, to learn and to test. "
            "Merge it with another class, or leave it out: --set rare_classes=leave_out"
        )
    stays = (~target.is_in(rare)).to_numpy()
    kept, target = kept[stays], target.filter(pl.Series(stays))
    if target.n_unique() < 2:
        raise InvalidData(f"{shown(source.path)}: only one class of {config.target!r} has two rows.")
    return kept, target, f"classes of one row are left out: {names}{more}"

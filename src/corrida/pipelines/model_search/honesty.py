"""What may make scores too good, and what a person should look at before trusting them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from corrida.pipelines.model_search.splits import Split

# 3/4/2024 can be read two ways, and 20240403 is a number: neither is taken for a date.
_LIKE_DATES = r"^\s*(\d{1,2}[/.\-]\d{1,2}[/.\-](\d{4}|\d{2})([ T].*)?|(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01]))\s*$"
_LEAST_TWINS = 0.05
_FEW_NUMBERS = 10


def like_dates(given: pl.Series) -> str:
    """Return a value of a column of text that looks like dates in a notation that is not read; empty when none does."""
    if given.dtype != pl.String:
        return ""
    known = given.drop_nulls()
    if known.n_unique() < 2 or not known.str.contains(_LIKE_DATES).all():
        return ""
    return str(known[0]).strip()


def said_of_unread_dates(name: str, example: str) -> str:
    """Say that rows may be dated."""
    return (
        f"{name} looks like dates, such as {example}, in a notation that is not read or can be read two ways, so rows are split "
        "without regard to time; write dates as 2024-01-31"
    )


def said_of_twins(features: pl.DataFrame, target: pl.Series, split: Split) -> str:
    """Say how many test rows have a twin among the training rows, where they are many; else nothing.

    Args:
        features: what is learnt from, of all rows.
        target: of all rows.
        split: which of them are where.
    """
    if split.way not in {"random", "stratified"}:
        return ""
    rows = features.hstack([target.alias("\0target")]).hash_rows(seed=0)
    twins = int(rows.gather(split.test).is_in(rows.gather(split.train).unique().to_list()).sum())
    if twins < 2 or twins < _LEAST_TWINS * len(split.test):
        return ""
    return (
        f"{twins:,} of {len(split.test):,} test rows have a twin among the training rows, the same in all columns: if they are "
        "copies, scores are too good; remove them, or keep them together with group="
    )


def said_of_few_numbers(name: str, values: pl.Series) -> str:
    """Say that a target of few whole numbers is learnt as a number; nothing of any other."""
    distinct = values.n_unique()
    if distinct > _FEW_NUMBERS or not bool((values == values.round()).all()):
        return ""
    return (
        f"{name} holds {distinct} different whole numbers and is learnt as a number; if they are classes: "
        "--set task=classification"
    )

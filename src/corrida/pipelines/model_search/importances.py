"""How much each column matters to a fitted model: what it loses on the test rows when the column is shuffled.

A date is shuffled as a whole, with all that was made of it. A column that another one stands in for seems to matter less than
it does.

Source: Breiman, L. (2001), Random forests, Machine Learning 45, 5-32, section 10; on any model: Fisher, Rudin and
Dominici (2019), All models are wrong, but many are useful, Journal of Machine Learning Research 20, 177.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from corrida.pipelines.model_search.columns import Column, origin_of

if TYPE_CHECKING:
    import polars as pl

    from corrida.pipelines.model_search.fitted import FittedModel
    from corrida.pipelines.model_search.leaderboard import Floats

MOST_ROWS = 2_000


class Importance(msgspec.Struct, frozen=True):
    """What a column is worth.

    Attributes:
        column: its name.
        mean: the rise of the mean loss when it is shuffled.
        least, greatest: over the shuffles.
        values: of each shuffle.
    """

    column: str
    mean: float
    least: float
    greatest: float
    values: tuple[float, ...]


def permutation_importances(
    losses: Callable[[pl.DataFrame, np.ndarray[Any, Any]], Floats],
    x: pl.DataFrame,
    y: np.ndarray[Any, Any],
    columns: Sequence[Column],
    *,
    repeats: int,
    seed: int,
) -> list[Importance]:
    """Shuffle each column a few times, the others kept, and return what the model loses; the greatest first.

    Args:
        losses: of rows, given features and targets.
        x: features of the test rows; of very many, some are drawn.
        y: their targets.
        columns: the features were made of.
        repeats: shuffles of each.
        seed: of them.
    """
    random = np.random.default_rng(seed)
    if x.height > MOST_ROWS:
        rows = np.sort(random.permutation(x.height)[:MOST_ROWS])
        x, y = x[rows], y[rows]
    if x.height < 2 or not repeats:
        return []
    base = float(losses(x, y).mean())
    features: dict[str, list[str]] = {}
    for feature in x.columns:
        features.setdefault(origin_of(feature, columns), []).append(feature)
    orders = [random.permutation(x.height) for _ in range(repeats)]
    found = []
    for name, own in features.items():
        values = tuple(
            float(losses(x.with_columns(x[feature].gather(order) for feature in own), y).mean()) - base
            for order in orders
        )
        found.append(Importance(name, float(np.mean(values)), min(values), max(values), values))
    return sorted(found, key=lambda one: -one.mean)


def own_importances(fitted: FittedModel, columns: Sequence[Column]) -> dict[str, float]:
    """Return what a model of trees itself says of its columns: their share in the splits, by the column; else nothing.

    It is learnt from the training rows, and favours columns of many values.

    Args:
        fitted: the model.
        columns: its features were made of.
    """
    preparation, model = fitted.parts()
    shares, names = getattr(model, "feature_importances_", None), fitted.feature_names
    if shares is None or names is None:
        return {}
    places = list(range(len(names)))
    if preparation is not None:
        # Named by the preparation: numbers__x3, texts__x7_2.0, numbers__missingindicator_x3.
        found = [re.search(r"x(\d+)(?:_[^x]*)?$", one) for one in preparation.get_feature_names_out()]
        places = [int(one[1]) for one in found if one is not None]
    whole = float(np.sum(shares))
    if len(places) != len(shares) or not whole:
        return {}
    told: dict[str, float] = {}
    for place, share in zip(places, shares, strict=True):
        name = origin_of(names[place], columns)
        told[name] = told.get(name, 0.0) + float(share) / whole
    return told


def importances_table(found: Sequence[Importance], own: Mapping[str, float]) -> pl.DataFrame:
    """Return ``importances.csv``: one row a column, with the model's own share where it has one."""
    import polars as pl

    return pl.DataFrame(
        [
            {
                "column": one.column,
                "loss_rise": one.mean,
                "least": one.least,
                "greatest": one.greatest,
                **({"own_share": own.get(one.column, 0.0)} if own else {}),
            }
            for one in found
        ],
        infer_schema_length=None,
    )

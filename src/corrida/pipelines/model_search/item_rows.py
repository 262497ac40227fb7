"""The test rows as items of a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from corrida.pipelines.model_search.search_data import PreparedData


MEASURES = {
    "test_loss": "mean(loss)",
    **{f"test_{name}": name for name in ("r2", "mse", "rmse", "mae")},
    **{
        f"test_{name}": name
        for name in ("accuracy", "balanced_accuracy", "f1_macro", "precision_macro", "recall_macro")
    },
}
"""How metrics come about from the items, for the verdict of a comparison."""


def measures_of(metrics: Mapping[str, float]) -> dict[str, str]:
    """Return how those of the metrics come about that can be worked out from the items."""
    return {name: measure for name, measure in MEASURES.items() if name in metrics}


_DIGITS = 6


def readable(values: NDArray[np.float64], spread: float) -> list[str]:
    """Return numbers as text of six digits and more, enough to tell rows apart; a loss is never worked out from them.

    Args:
        values: what a model says.
        spread: the standard deviation of what is right: of large numbers that differ little, six digits would say little.
    """
    finest = _DIGITS - 1 - (math.floor(math.log10(spread)) if 0 < spread < math.inf else 0)
    texts = []
    for one in values.tolist():
        own = _DIGITS - 1 - math.floor(math.log10(abs(one))) if one and math.isfinite(one) else 0
        texts.append(repr(round(one, max(own, finest, 0))))
    return texts


def items_table(
    prepared: PreparedData, scoring: str, output: NDArray[Any], probabilities: NDArray[np.float64] | None
) -> pl.DataFrame:
    """Return one row a test row: item_id, output, expected, loss, and what the data put beside them.

    The loss of a number is its squared error (absolute where the search is decided by an absolute error); that of a label is 1
    where it is wrong. Labels have ``correct`` besides, and ``confidence`` where there are probabilities.
    """
    import polars as pl

    data, expected = prepared.given, prepared.y_test
    if expected is None:
        raise ValueError("there are no test rows")
    ids = [str(one) for one in (data.test_ids if data.test_ids is not None else range(len(expected)))]
    columns: dict[str, Any] = {"item_id": ids}
    if prepared.labels is None:
        error = np.abs(output - expected)
        columns |= {
            "output": readable(output, float(np.std(expected))),
            "expected": [repr(float(one)) for one in expected],
            "loss": error if scoring in {"mae", "median_ae"} else error**2,
        }
    else:
        labels = [str(label) for label in prepared.labels]
        right = output == expected
        columns |= {
            "output": [labels[one] for one in output],
            "expected": [
                labels[one] if one >= 0 else str(given)
                for one, given in zip(expected, data.y_test, strict=True)
            ],
            "correct": right,
            "loss": 1.0 - right,
        }
        if probabilities is not None:
            columns["confidence"] = probabilities[np.arange(len(output)), output]
    frame = pl.DataFrame(columns)
    beside = data.test_columns
    if beside is None:
        return frame
    return frame.hstack([column for column in beside.get_columns() if column.name not in columns])

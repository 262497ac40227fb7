"""How good predictions are: each metric once, from predictions that are made once.

scikit-learn's own functions check their input anew for each metric, which on small folds takes longer than the fit; these are
the same formulas on counts and ranks, and are tested against scikit-learn's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from corrida.errors import InvalidConfig
from corrida.pipelines.inputs import suggest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from corrida.pipelines.contract import Direction
    from corrida.pipelines.model_search.specs import Task

DIRECTIONS: Mapping[str, Direction] = {
    "r2": "max",
    "mse": "min",
    "rmse": "min",
    "mae": "min",
    "median_ae": "min",
    "accuracy": "max",
    "balanced_accuracy": "max",
    "f1_macro": "max",
    "precision_macro": "max",
    "recall_macro": "max",
    "log_loss": "min",
    "roc_auc": "max",
}
METRICS: Mapping[Task, tuple[str, ...]] = {
    "regression": ("r2", "mse", "rmse", "mae", "median_ae"),
    "classification": (
        "accuracy",
        "balanced_accuracy",
        "f1_macro",
        "precision_macro",
        "recall_macro",
        "log_loss",
        "roc_auc",
    ),
}
DEFAULT_SCORING: Mapping[Task, str] = {"regression": "r2", "classification": "accuracy"}
_SYNONYMS = {
    "neg_mean_squared_error": "mse",
    "neg_root_mean_squared_error": "rmse",
    "neg_mean_absolute_error": "mae",
    "neg_median_absolute_error": "median_ae",
    "neg_log_loss": "log_loss",
    "roc_auc_ovr": "roc_auc",
}


def scoring_metric(scoring: str | None, task: Task) -> str:
    """Return the metric that decides which candidate is best.

    Args:
        scoring: a name of :data:`METRICS`, or what scikit-learn calls it (``neg_mean_squared_error`` is ``mse``); None
            for r2 or accuracy.
        task: regression or classification.

    Raises:
        InvalidConfig: the task has no such metric.
    """
    if scoring is None:
        return DEFAULT_SCORING[task]
    name = _SYNONYMS.get(scoring, scoring)
    if name not in METRICS[task]:
        raise InvalidConfig(
            f"there is no metric {scoring!r} for {task}.{suggest(scoring, METRICS[task])} "
            f"Known are: {', '.join(METRICS[task])}"
        )
    return name


def better(a: float, b: float, metric: str) -> bool:
    """Tell whether a score ``a`` is better than ``b``."""
    return a > b if DIRECTIONS[metric] == "max" else a < b


def regression_metrics(expected: NDArray[np.float64], output: NDArray[np.float64]) -> dict[str, float]:
    """Return the metrics of numbers; one that is undefined or not finite is left out.

    Args:
        expected: the true values, one a row.
        output: what was predicted.
    """
    error = expected - output
    squares = float(error @ error)
    mse = squares / len(error)
    around = expected - expected.mean()
    spread = float(around @ around)
    found = {"mse": mse, "rmse": math.sqrt(mse) if mse >= 0 else math.nan}
    size = np.abs(error)
    found |= {"mae": float(size.mean()), "median_ae": float(np.median(size))}
    if spread > 0:  # the values of one row, or all the same, have no variance to explain
        found = {"r2": 1 - squares / spread, **found}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def classification_metrics(
    expected: NDArray[np.intp],
    output: NDArray[np.intp],
    probabilities: NDArray[np.float64] | None,
    classes: int,
) -> dict[str, float]:
    """Return the metrics of labels; one that is undefined or not finite is left out.

    Precision, recall and F1 are means over the classes that occur in truth or output, a division by zero counting as 0;
    balanced accuracy is the mean recall of the classes that occur in truth.

    Args:
        expected: the true class of each row, from 0.
        output: what was predicted.
        probabilities: rows × classes; None where the model gives none.
        classes: how many there are.
    """
    counts = np.bincount(expected * classes + output, minlength=classes * classes)
    table = counts.reshape(classes, classes).astype(np.float64)
    hits, truth, said = np.diag(table), table.sum(1), table.sum(0)
    there = (truth + said) > 0
    recall = np.divide(hits, truth, out=np.zeros(classes), where=truth > 0)
    precision = np.divide(hits, said, out=np.zeros(classes), where=said > 0)
    f1 = np.divide(2 * hits, truth + said, out=np.zeros(classes), where=there)
    found = {
        "accuracy": float(hits.sum() / table.sum()),
        "balanced_accuracy": float(recall[truth > 0].mean()),
        "f1_macro": float(f1[there].mean()),
        "precision_macro": float(precision[there].mean()),
        "recall_macro": float(recall[there].mean()),
    }
    if probabilities is not None:
        least = np.finfo(probabilities.dtype).eps
        chosen = np.clip(probabilities[np.arange(len(expected)), expected], least, 1 - least)
        found["log_loss"] = float(-np.log(chosen).mean())
        found["roc_auc"] = _roc_auc(expected, probabilities, truth)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _roc_auc(
    expected: NDArray[np.intp], probabilities: NDArray[np.float64], truth: NDArray[np.float64]
) -> float:
    """Return the area under the curve: of the second class, or the mean of each class against the others.

    By ranks: Hanley, McNeil 1982. NaN when a class is absent.
    """
    from scipy.stats import rankdata

    rows = len(expected)
    if (truth == 0).any() or (truth == rows).any() or not np.isfinite(probabilities).all():
        return math.nan
    asked = [1] if len(truth) == 2 else range(len(truth))
    areas = []
    for one in asked:
        inside = expected == one
        positive = float(truth[one])
        ranks = float(rankdata(probabilities[:, one])[inside].sum())
        areas.append((ranks - positive * (positive + 1) / 2) / (positive * (rows - positive)))
    return float(np.mean(areas))

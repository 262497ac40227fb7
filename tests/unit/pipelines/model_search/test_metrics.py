"""Each metric against scikit-learn's, which is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as oracle

from corrida.errors import InvalidConfig
from corrida.pipelines.model_search.metrics import (
    better,
    classification_metrics,
    regression_metrics,
    scoring_metric,
)


def test_metrics_of_numbers():
    rng = np.random.default_rng(0)
    expected, output = rng.normal(size=101), rng.normal(size=101)
    assert regression_metrics(expected, output) == pytest.approx(
        {
            "r2": oracle.r2_score(expected, output),
            "mse": oracle.mean_squared_error(expected, output),
            "rmse": oracle.root_mean_squared_error(expected, output),
            "mae": oracle.mean_absolute_error(expected, output),
            "median_ae": oracle.median_absolute_error(expected, output),
        }
    )


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_metrics_of_labels(classes):
    rng = np.random.default_rng(classes)
    expected = rng.integers(classes, size=200)
    probabilities = np.round(rng.dirichlet(np.ones(classes), 200), 2)  # rounded: there are ties
    probabilities /= probabilities.sum(1, keepdims=True)
    output = probabilities.argmax(1)
    auc = (
        oracle.roc_auc_score(expected, probabilities[:, 1])
        if classes == 2
        else oracle.roc_auc_score(expected, probabilities, multi_class="ovr")
    )
    averaged = {"average": "macro", "zero_division": 0}
    assert classification_metrics(expected, output, probabilities, classes) == pytest.approx(
        {
            "accuracy": oracle.accuracy_score(expected, output),
            "balanced_accuracy": oracle.balanced_accuracy_score(expected, output),
            "f1_macro": oracle.f1_score(expected, output, **averaged),
            "precision_macro": oracle.precision_score(expected, output, **averaged),
            "recall_macro": oracle.recall_score(expected, output, **averaged),
            "log_loss": oracle.log_loss(expected, probabilities, labels=range(classes)),
            "roc_auc": auc,
        }
    )


def test_a_class_that_is_never_given_or_never_true_is_counted_as_scikit_learn_does():
    expected, output = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 3])
    found = classification_metrics(expected, output, None, 5)
    assert found["f1_macro"] == pytest.approx(
        oracle.f1_score(expected, output, average="macro", zero_division=0)
    )
    assert found["balanced_accuracy"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert "log_loss" not in found


def test_what_is_undefined_or_infinite_is_absent_and_not_zero():
    same = np.ones(4)
    assert "r2" not in regression_metrics(same, same)
    assert regression_metrics(same, np.array([1, 1, np.inf, 1])) == {"median_ae": 0.0}
    assert regression_metrics(same, np.full(4, np.nan)) == {}
    one_class = classification_metrics(np.zeros(3, int), np.zeros(3, int), np.full((3, 2), 0.5), 2)
    assert "roc_auc" not in one_class
    assert one_class["accuracy"] == 1


def test_the_metric_that_decides_is_named_here_as_in_scikit_learn():
    assert scoring_metric(None, "regression") == "r2"
    assert scoring_metric("neg_mean_absolute_error", "regression") == "mae"
    assert better(1, 2, "mae")
    assert not better(1, 2, "r2")
    with pytest.raises(InvalidConfig, match="no metric 'accuracy' for regression"):
        scoring_metric("accuracy", "regression")

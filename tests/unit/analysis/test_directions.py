"""Which way a metric is better."""

from __future__ import annotations

import pytest

from corrida.analysis.directions import direction_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("loss", "min"), ("val_loss", "min"), ("RMSE", "min"), ("mean_absolute_error", "min"), ("latency_ms", "min"),
        ("precision", "max"), ("f1", "max"), ("f1_macro", "max"), ("recall@5", "max"), ("hits@10", "max"),
        ("precision.unit", "max"), ("val/accuracy", "max"), ("R2", "max"),
        ("items", None), ("lossless", None), ("scores_seen_by", None), ("mapping", None), ("timeout", None), ("", None),
    ],
)  # fmt: skip
def test_by_name(name, expected):
    assert direction_of(name, {}) == expected


def test_what_is_declared_wins():
    declared = {"loss": "max", "rules.*": "min", "rules.fired*": "max", "*": "min"}
    assert direction_of("loss", declared) == "max"
    assert direction_of("rules.dead", declared) == "min"
    assert direction_of("rules.fired_now", declared) == "max"
    assert direction_of("precision", declared) == "min"

"""What a metric measures: by its name, by what agrees, as declared; and its value over items."""

from __future__ import annotations

import math

import polars as pl
import pytest

from corrida.analysis.measures import candidates, parse_measure
from corrida.analysis.metric_tests import find_measure, same_number
from corrida.analysis.metrics_diff import MetricChange
from corrida.analysis.paired_items import PairedItems
from corrida.errors import InvalidMetric

TRUTH = ["cook", "cook", "cook", "baker", "baker", "waiter", "waiter", None]
GIVEN = ["cook", "cook", "baker", "baker", None, "waiter", "cook", "cook"]


@pytest.fixture
def single():
    return pl.DataFrame(
        {"item_id": [str(i) for i in range(8)], "output": GIVEN, "expected": TRUTH,
         "decided_by": ["rule", "index"] * 4, "loss": [0.0, 1, 4, 0, math.nan, 1, 2, None], "tokens": range(8)}
    )  # fmt: skip


def _value(frame, text):
    return PairedItems(frame, frame).value(parse_measure(text), "a")


# 7 items have a truth, 4 of them are right, 6 have an output.
SINGLE = {
    "accuracy": 4 / 7,
    "error_rate": 3 / 7,
    "coverage": 7 / 8,
    "precision": 4 / 6,
    "recall": 4 / 7,
    "f1": 8 / 13,
    "precision(cook)": 2 / 3,
    "recall(cook)": 2 / 3,
    "f1(waiter)": 2 / 3,
    "recall_macro": (2 / 3 + 1 / 2 + 1 / 2) / 3,
    "precision_macro": (2 / 3 + 1 / 2 + 1) / 3,
    "f1_macro": (2 / 3 + 1 / 2 + 2 / 3) / 3,
    "recall_weighted": 4 / 7,
    "f1_weighted": (3 * 2 / 3 + 2 * 1 / 2 + 2 * 2 / 3) / 7,
    "balanced_accuracy": (2 / 3 + 1 / 2 + 1 / 2) / 3,
    "mean(loss)": 8 / 6,
    "root_mean(loss)": math.sqrt(8 / 6),
    "rms(loss)": math.sqrt(22 / 6),
    "mean(tokens)": 3.5,
    "ratio(loss/tokens)": 8 / (0 + 1 + 2 + 3 + 5 + 6),
    "accuracy where decided_by=rule": 1 / 4,
    "precision where decided_by = index": 3 / 3,
    "f1_macro where decided_by=rule": (2 / 4 + 0 + 0) / 3,
}


@pytest.mark.parametrize("measure", SINGLE)
def test_values_of_single_labels(single, measure):
    assert _value(single, measure) == pytest.approx(SINGLE[measure])
    assert str(parse_measure(measure)) == measure.replace(" = ", "=")


def test_labels_that_a_file_format_made_numbers():
    frame = pl.DataFrame(
        {"item_id": ["1", "2", "3"], "output": [1.0, 2.0, None], "expected": ["1", "1", "2"]}
    )
    assert _value(frame, "recall_macro") == pytest.approx((1 / 2 + 0) / 2)
    assert _value(frame, "recall(1)") == pytest.approx(1 / 2)


def test_values_of_many_labels():
    frame = pl.DataFrame(
        {
            "item_id": ["1", "2", "3"],
            "output": [["a", "b", "b"], [], None],
            "expected": [["a"], ["a", "c"], ["b"]],
        }
    )
    assert _value(frame, "precision") == pytest.approx(1 / 2)
    assert _value(frame, "recall") == pytest.approx(1 / 4)
    assert _value(frame, "f1") == pytest.approx(2 / 6)
    assert _value(frame, "f1_macro") == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert _value(frame, "recall(a)") == pytest.approx(1 / 2)
    assert _value(frame, "accuracy") == 0.0


def test_values_of_numbers_and_of_counts():
    frame = pl.DataFrame(
        {"item_id": ["1", "2", "3", "4"], "output": ["1.5", "2", "4", None], "expected": [1.0, 2, 6, 8]}
    )
    assert _value(frame, "mae") == pytest.approx(2.5 / 3)
    assert _value(frame, "mse") == pytest.approx(4.25 / 3)
    assert _value(frame, "rmse") == pytest.approx(math.sqrt(4.25 / 3))
    assert _value(frame, "r2") == pytest.approx(1 - 4.25 / 14)
    counted = pl.DataFrame({"item_id": ["1", "2"], "tp": [3, 1], "fp": [1, 0], "fn": [0, 2]})
    assert _value(counted, "counted_precision") == pytest.approx(4 / 5)
    assert _value(counted, "counted_recall") == pytest.approx(4 / 6)
    assert _value(counted, "counted_f1") == pytest.approx(8 / 11)


@pytest.mark.parametrize(
    "measure", ["f1", "f1_macro", "accuracy", "mean(nope)", "mae", "coverage", "counted_f1", "f1(x)"]
)
def test_a_table_that_lacks_the_columns_has_no_value(measure):
    assert _value(pl.DataFrame({"item_id": ["1"], "note": ["x"]}), measure) is None


def test_what_is_unlike_a_number_or_unknown_has_no_value(single):
    assert _value(single.with_columns(loss=pl.lit("high")), "mean(loss)") is None
    assert _value(single.with_columns(expected=pl.lit(None, dtype=pl.String)), "f1_macro") is None
    assert _value(single.with_columns(expected=pl.lit(None, dtype=pl.String)), "accuracy") is None


@pytest.mark.parametrize(
    "text",
    ["", "auc", "mean", "mean()", "ratio(a)", "mean(a/b)", "f1_macro(x)", "accuracy(x)", "F1", "f1 where x"],
)
def test_what_is_no_measure_is_refused_with_those_there_are(text):
    with pytest.raises(InvalidMetric, match="there are accuracy"):
        parse_measure(text)


def _sure(name, columns=(), labels=()):
    return [str(m) for m, sure in candidates(name, columns, labels) if sure]


@pytest.mark.parametrize(
    ("name", "measure"),
    [("accuracy", "accuracy"), ("val/acc", "accuracy"), ("test_f1_macro", "f1_macro"), ("macro-F1", "f1_macro"),
     ("f1_score", "f1"), ("micro_f1", "f1"), ("weighted_precision", "precision_weighted"), ("error_rate", "error_rate"),
     ("balanced_accuracy", "balanced_accuracy"), ("coverage", "coverage"), ("mean_loss", "mean(loss)"),
     ("Log_Loss", "mean(loss)"), ("brier_score", "mean(loss)"), ("recall.cook", "recall(cook)"),
     ("r2_score", "r2"), ("mean_score", "mean(score)")],
)  # fmt: skip
def test_what_a_name_vouches_for(name, measure):
    assert _sure(name, ["loss", "score"], ["cook"]) == [measure]


@pytest.mark.parametrize(
    "name",
    [
        "auc",
        "items",
        "error",
        "hit_rate",
        "precision.rules",
        "accuracy_top5",
        "recall@10",
        "ndcg",
        "f1.unknown",
        "",
        "é",
    ],
)
def test_what_a_name_does_not_tell(name):
    assert _sure(name, ["loss", "score"], ["cook"]) == []


def _found(frame, name, value, **declared):
    paired = PairedItems(frame, frame)
    return find_measure(paired, MetricChange(name, value, value, 0.0, None, None), declared)


def test_the_measure_is_the_one_that_gives_the_logged_values(single):
    macro, binary = (
        SINGLE["f1_macro"],
        pl.DataFrame({"item_id": ["1", "2", "3"], "output": ["1", "1", "0"], "expected": ["1", "0", "0"]}),
    )
    assert str(_found(single, "f1", 8 / 13).measure) == "f1"
    assert str(_found(single, "f1", round(macro, 3)).measure) == "f1_macro"
    assert str(_found(single, "f1", SINGLE["f1_weighted"]).measure) == "f1_weighted"
    assert str(_found(binary, "precision", 0.5).measure) == "precision(1)"
    assert str(_found(single, "tokens", 3.5).measure) == "mean(tokens)"
    assert str(_found(single, "loss", 3 / 7).measure) == "error_rate"
    assert all(_found(*case).agrees for case in [(single, "f1", 8 / 13), (single, "tokens", 3.5)])


def test_a_logged_value_that_no_measure_gives_leaves_what_the_name_vouches_for(single):
    found = _found(single, "f1", 0.9)
    assert (str(found.measure), found.agrees) == ("f1", False)
    assert found.a == pytest.approx(8 / 13)
    assert _found(single, "tokens", 99.0) is None
    assert _found(single, "auc", 0.9) is None


def test_a_declared_measure_wins(single):
    found = _found(single, "hits", 1 / 4, hits="accuracy where decided_by=rule")
    assert found.agrees
    assert _found(single, "f1", 8 / 13, f1="f1_macro").agrees is False


@pytest.mark.parametrize(
    ("computed", "logged", "same"),
    [(2 / 3, 2 / 3, True), (2 / 3, 0.667, True), (2 / 3, 0.6667, True), (2 / 3, 0.67, False), (0.4996, 0.5, True),
     (0.46, 0.5, False), (1e-7, 1e-7, True), (2e-7, 1e-7, False), (12345.678, 12345.7, False)],
)  # fmt: skip
def test_numbers_that_were_rounded(computed, logged, same):
    assert same_number(computed, logged) is same

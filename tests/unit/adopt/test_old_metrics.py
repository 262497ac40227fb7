"""Metrics of old records."""

from __future__ import annotations

import pytest

from corrida.adopt.old_metrics import metrics_of, metrics_of_table, number_of


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0.64, 0.64), (64, 64), ("64%", 0.64), ("64.1 %", 0.641), ("64,5%", 0.645), ("-3%", -0.03), ("0.64", 0.64), (".5", 0.5),
        ("1,234", None), ("high", None), ("", None), ("%", None), (None, None), (True, None), ([1], None), ("9" * 50, None),
    ],
)  # fmt: skip
def test_what_counts_as_a_number(value, number):
    assert number_of(value, "precision") == number


def test_a_text_counts_only_where_its_name_is_that_of_a_metric():
    assert number_of("1.2", "matching_version") is None
    assert number_of("1.2", "val.loss") == 1.2


def test_nested_records_become_flat():
    warnings: list[str] = []
    record = {
        "by_matcher": {"hybrid": {"avg_f1": 0.591, "n": None}}, "rows": [{"f1": 1}], "seed": 7, "version": 2, "ok": True,
        "precision": "64%", "recall": 64.0, "": 1, "bad\nname": 2, "huge": 10**400,
    }  # fmt: skip
    found = metrics_of(record, "m.json", warnings)
    assert found == {"by_matcher.hybrid.avg_f1": 0.591, "precision": 0.64, "recall": 64.0}
    assert any("recall is 64 in m.json; it was kept as it is" in w for w in warnings)
    assert any("precision was written as '64%' in m.json and counts as 0.64" in w for w in warnings)
    assert sum("cannot name a metric" in w for w in warnings) == 2


def test_depth_has_an_end():
    deep: dict[str, object] = {"f1": 1.0}
    for _ in range(100):
        deep = {"a": deep}
    assert metrics_of(deep, "m.json", []) == {}


def test_a_table_that_is_no_summary_is_said():
    warnings: list[str] = []
    rows = "".join(f"m{n},{n}\n" for n in range(101))
    assert metrics_of_table(f"model,mae\n{rows}".encode(), "metrics.csv", warnings) == {}
    assert "is not one row a model" in warnings[0]
    assert metrics_of_table(b"model,acc\nA,64%\nB,inf\nC,nan\nD\n", "metrics.csv", warnings) == {
        "A.acc": 0.64,
        "B.acc": float("inf"),
    }
    assert metrics_of_table(b"\xff\xfe", "metrics.csv", warnings) == {}

"""Two tables of answers to the same rows: what counts as a difference, and how differences are added up."""

from __future__ import annotations

import math

import polars as pl
import pytest

from corrida.errors import InvalidData
from corrida.inference import shadow_difference
from corrida.inference.shadow_difference import NOT_SCORED, Moments, compare_rows
from corrida.inference.shadow_summary import LEAST_UNITS, shift_of


@pytest.fixture(autouse=True)
def in_parts(monkeypatch):
    """Every table of these tests is read in several parts."""
    monkeypatch.setattr(shadow_difference, "_CHUNK", 2)


def compare(tmp_path, ours, theirs):
    for name, columns in (("ours", ours), ("theirs", theirs)):
        pl.DataFrame(columns).write_parquet(tmp_path / f"{name}.parquet")
    target = tmp_path / "difference.parquet"
    found = compare_rows(tmp_path / "ours.parquet", tmp_path / "theirs.parquet", target, {"analysis_id": "a"})
    return found, pl.read_parquet(target)


def test_decisions_decide_and_rows_that_one_could_not_score_count(tmp_path):
    found, rows = compare(
        tmp_path,
        {"row": [1, 2, 3, 4, 5], "class": ["a", "b", None, None, "b"], "p": [0.1, 0.2, None, None, 0.5]},
        {
            "row": [1, 2, 3, 4, 5],
            "class": ["a", "a", "b", None, "b"],
            "p": [0.2, 0.2, 0.7, None, 0.1],
            "new": [1] * 5,
        },
    )
    assert (found.rows, found.differ, found.decision) == (5, 2, "class")
    assert found.table == [
        (NOT_SCORED, NOT_SCORED, 1), (NOT_SCORED, "b", 1), ("a", "a", 1), ("b", "a", 1), ("b", "b", 1),
    ]  # fmt: skip
    assert rows["row"].to_list() == [2, 3]
    assert rows["class_shadow"].to_list() == ["a", "b"]
    assert rows["p_shadow"].to_list() == [0.2, 0.7]
    assert found.missing == {"shadow": ["new"]}
    apart = [0.1, 0.0, -0.4]
    mean = sum(apart) / 3
    assert found.scores["p"].n == 3
    assert found.scores["p"].mean == pytest.approx(mean)
    assert found.scores["p"].squares == pytest.approx(sum((d - mean) ** 2 for d in apart))


def test_without_decisions_numbers_decide_and_rounding_is_none(tmp_path):
    nan = math.nan
    found, rows = compare(
        tmp_path,
        {"x": [1.0, 2.0, 3.0, 4.0], "score": [1.0, nan, nan, 5.0]},
        {"x": [1.0, 2.0, 3.0, 4.0], "score": [1.0 + 1e-15, nan, 3.0, 5.1]},
    )
    assert (found.differ, found.decision) == (2, None)
    assert rows["row"].to_list() == [3, 4]  # counted through all parts
    assert "x_shadow" not in rows.columns


def test_the_truth_is_counted_where_it_is_known(tmp_path):
    found, _ = compare(
        tmp_path,
        {"prediction": ["a", "b", "a", "b"], "expected": ["a", "a", "b", None]},
        {"prediction": ["b", "a", "a", "a"], "expected": ["a", "a", "b", None]},
    )
    assert found.truth == {"known": 3, "production": 1, "shadow": 1, "fixed": 1, "broken": 1}


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        ({"class": ["a"]}, {"class": ["a", "b"]}, "1 and 2 rows"),
        ({"row": [1, 2], "class": ["a", "b"]}, {"row": [1, 3], "class": ["a", "b"]}, "different rows"),
        ({"x": ["a"]}, {"y": ["a"]}, "no answers in common"),
    ],
)
def test_what_cannot_be_matched_is_refused(tmp_path, ours, theirs, why):
    with pytest.raises(InvalidData, match=why):
        compare(tmp_path, ours, theirs)


def moments(values):
    mean = sum(values) / len(values)
    return Moments(len(values), mean, sum((v - mean) ** 2 for v in values))


def test_parts_add_up_to_the_whole():
    values = [0.1 * i * i for i in range(40)]
    whole = Moments()
    for start in range(0, 40, 7):
        whole.add(moments(values[start : start + 7]))
    expected = moments(values)
    assert (whole.n, whole.mean) == (40, pytest.approx(expected.mean))
    assert whole.squares == pytest.approx(expected.squares)


def test_the_interval_takes_rows_then_files_and_few_rows_give_none():
    values = [(-1.0) ** i * i for i in range(LEAST_UNITS)]
    assert shift_of("s", [moments(values[:-1])]).low is None
    rows = shift_of("s", [moments(values)])
    error = math.sqrt(rows_variance(values) / len(values))
    assert rows.unit == "rows"
    assert rows.high - rows.mean == pytest.approx(1.959964 * error, rel=1e-6)
    # Files whose rows are all alike: the rows say nothing that the file does not.
    files = shift_of("s", [moments([value] * 50) for value in values])
    assert files.unit == "analyses"
    assert files.rows == 50 * len(values)
    assert files.high - files.mean == pytest.approx(rows.high - rows.mean)


def rows_variance(values):
    mean = sum(values) / len(values)
    return sum((v - mean) ** 2 for v in values) / (len(values) - 1)

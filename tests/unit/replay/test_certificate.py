"""Identical, equal within a tolerance, or different: item by item."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.replay.certificate import Result, certify, difference_text, near, suspects_of
from corrida.replay.drift import Drift, environment_drift

ITEMS = pl.DataFrame(
    {
        "item_id": ["1", "2", "3"],
        "output": ["A", None, "ñ日"],
        "score": [0.5, math.nan, 1e9],
        "words": [["a"], [], None],
    }
)


def result(items=ITEMS, metrics=None, files=None):
    return Result({"f1": 0.5} if metrics is None else metrics, items, files or {})


def compare(before, after, **more):
    return certify("a", "b", before, after, **more)


def test_the_same_is_identical_whatever_the_order_and_the_type():
    other = pl.DataFrame(
        {
            "score": [1e9, 0.5, math.nan],
            "item_id": [3, 1, 2],
            "output": ["ñ日", "A", None],
            "words": [None, ["a"], []],
        }
    )
    found = compare(result(), result(other))
    assert found.outcome == "identical"
    assert (found.items, found.metrics, found.items_differing) == (3, 1, ())
    assert "3 items and 1 metric" in found.sentence()
    assert compare(result(metrics={"x": math.nan}), result(metrics={"x": math.nan})).outcome == "identical"


@pytest.mark.parametrize(
    ("column", "values", "within"),
    [
        ("score", [0.5000001, math.nan, 1e9], True),
        ("score", [0.5, math.nan, 1e9 + 100], True),
        ("score", [0.6, math.nan, 1e9], False),
        ("score", [0.5, 0.0, 1e9], False),
        ("score", [None, math.nan, 1e9], False),
        ("score", [math.inf, math.nan, 1e9], False),
        ("output", ["B", None, "ñ日"], False),
        ("words", [["a"], ["b"], None], False),
        ("new", [1, None, None], False),
    ],
)
def test_one_value_decides(column, values, within):
    other = ITEMS.with_columns(pl.Series(column, values, strict=False))
    assert compare(result(), result(other)).outcome == "differs"
    found = compare(result(), result(other), tolerance=1e-6)
    assert found.outcome == ("equal" if within else "differs")
    assert len(found.items_differing) == 1
    (difference,) = found.items_differing[0].columns
    assert (difference.name, difference.within) == (column, within)
    assert difference_text(difference).startswith(f"{column} ")
    assert compare(result(), result(other), ignored=[column]).outcome == "identical"


def test_items_metrics_and_columns_that_only_one_has():
    found = compare(result(), result(ITEMS.head(2), metrics={}))
    assert found.only_original == ("3",)
    assert found.metrics_differing[0].after is None
    assert "differs in 1 of 3 items and 1 of 1 metrics" in found.sentence()
    found = compare(result(ITEMS.head(1)), result(), tolerance=1.0)
    assert found.only_rerun == ("2", "3")
    assert found.outcome == "differs"
    assert compare(result(), result(None)).outcome == "differs"
    assert compare(result(), result(), failure="it broke").outcome == "differs"


def test_other_files_decide_only_where_there_is_nothing_else():
    files = (
        {"same.txt": "1", "other.txt": "1", "gone.txt": "1"},
        {"same.txt": "1", "other.txt": "2", "new.txt": "1"},
    )
    found = compare(result(files=files[0]), result(files=files[1]))
    assert found.outcome == "identical"
    assert found.files == {
        "same": ("same.txt",),
        "different": ("other.txt",),
        "missing": ("gone.txt",),
        "new": ("new.txt",),
    }
    alone = compare(result(None, {}, files[0]), result(None, {}, files[1]))
    assert alone.outcome == "differs"
    assert "3 of 4 files are not the same" in alone.sentence()
    assert compare(result(None, {}, files[0]), result(None, {}, files[0])).outcome == "identical"
    assert "nothing could differ" in compare(result(None, {}), result(None, {})).sentence()


@given(st.floats(), st.floats(), st.floats(0, 1e3))
def test_near_is_symmetric_and_never_narrower_than_equality(a, b, tolerance):
    assert near(a, b, tolerance) == near(b, a, tolerance)
    assert near(a, a, tolerance)
    if near(a, b, tolerance) and not math.isnan(a) and a != b:
        assert abs(a - b) <= max(tolerance * max(abs(a), abs(b)), tolerance) * (1 + 1e-9)


def test_suspects_are_what_differs_or_what_is_not_recorded():
    drift = [Drift("code", "x.py has other content", refuses=True), Drift("package", "numpy 1 → 2")]
    differing = compare(result(), result(metrics={"f1": 0.6}), suspects=drift)
    assert suspects_of(differing, seed=1) == ["x.py has other content", "numpy 1 → 2"]
    assert "no seed was recorded" in suspects_of(differing, seed=None)[-1]
    (alone,) = suspects_of(compare(result(), result(metrics={"f1": 0.6})), seed=1)
    assert "nothing else that is recorded differs" in alone
    assert suspects_of(compare(result(), result()), seed=None) == []


def test_environments_side_by_side():
    then = {
        "python": "3.11.1",
        "processors": 2,
        "threads": {"polars": 2, "torch": 1},
        "packages": {"a": "1", "b": "1"},
    }
    now = {
        "python": "3.12.0", "processors": 2, "threads": {"polars": 2}, "packages": {"a": "2", "c": "1"},
        "variables": {"POLARS_MAX_THREADS": "2", "TZ": "UTC"},
    }  # fmt: skip
    assert [d.text for d in environment_drift(then, now)] == [
        "python 3.11.1 → 3.12.0",
        "TZ not set → UTC",
        "a 1 → 2",
        "b 1 → not there",
        "1 new package: c",
    ]
    assert environment_drift(then, then) == []
    (threads,) = environment_drift({"threads": {"torch": 1}}, {"threads": {"torch": 2}})
    assert (threads.kind, threads.text, threads.refuses) == ("threads", "threads of torch 1 → 2", False)

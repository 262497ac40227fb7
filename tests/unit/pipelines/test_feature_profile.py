"""How far features stand from training: the index by hand, and what it says of the same and of other rows."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from corrida.pipelines.feature_profile import (
    ProfileCounter,
    binned,
    learn_profile,
    quantile_edges,
    stability_index,
)


def table(rows, seed, shift=0.0):
    random = np.random.default_rng(seed)
    numbers = random.normal(shift, 1, rows)
    numbers[::10] = np.nan
    kinds = random.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1])
    return pl.DataFrame({"x": numbers, "kind": kinds}, nan_to_null=True)


def drift(profile, given, unseen=None):
    counter = ProfileCounter(profile)
    half = given.height // 2
    for part in (given.head(half), given.tail(given.height - half)):
        counter.observe(part, unseen or {})
    return counter.drift()


def test_the_index_is_the_sum_of_its_definition():
    counts, shares = np.array([10, 30, 60]), np.array([0.2, 0.3, 0.5])
    by_hand = sum((a - e) * math.log(a / e) for a, e in ((0.1, 0.2), (0.3, 0.3), (0.6, 0.5)))
    assert stability_index(counts, shares, 1000) == pytest.approx(by_hand, abs=1e-4)
    # A bin that training left empty counts as half a row of it.
    counts, shares = np.array([50, 50]), np.array([1.0, 0.0])
    by_hand = (0.5 - 1) * math.log(0.5) + (0.5 - 0.005) * math.log(0.5 / 0.005)
    assert stability_index(counts, shares, 100) == pytest.approx(by_hand, abs=1e-4)


def test_bins_hold_about_as_many_values_each_and_missing_ones_the_last():
    values = np.append(np.arange(100.0), [np.nan] * 7)
    edges = quantile_edges(values)
    assert len(edges) == 9
    assert binned(values, edges).tolist() == [10] * 10 + [7]
    assert quantile_edges(np.array([np.nan])).tolist() == []
    assert binned(np.array([3.0, np.nan]), np.empty(0)).tolist() == [1, 1]


def test_rows_of_training_stand_nowhere_and_moved_ones_far():
    given = table(2000, 1)
    profile = learn_profile(given)
    assert drift(profile, given) == {"x": 0.0, "kind": 0.0}
    alike = drift(profile, table(2000, 2))
    assert max(alike.values()) < 0.05
    moved = drift(profile, table(2000, 3, shift=1.5))
    assert moved["x"] > 0.25 > moved["kind"]


def test_unseen_and_missing_texts_are_bins_of_their_own():
    profile = learn_profile(table(2000, 1))
    given = table(2000, 2)
    odd = given.with_columns(kind=pl.lit("z"))
    found = drift(profile, odd, {"kind": {"z": 1000}})
    assert found["kind"] > 5
    assert found["x"] == drift(profile, given)["x"]
    gaps = given.with_columns(kind=pl.lit(None, dtype=pl.String))
    assert drift(profile, gaps)["kind"] > 5


def test_rare_texts_of_training_share_a_bin():
    names = [f"n{i % 100}" for i in range(3000)]
    profile = learn_profile(pl.DataFrame({"name": names}))
    (one,) = profile.features
    assert len(one.levels) == 30
    assert one.shares[-3:] == pytest.approx((0.7, 0.0, 0.0))
    assert drift(profile, pl.DataFrame({"name": names})) == {"name": 0.0}

"""Blocks of neighbouring times keep the tests of autocorrelated errors honest."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from corrida.pipelines.model_search import leaderboard
from corrida.pipelines.model_search.blocks import block_length, blocks_of
from corrida.pipelines.model_search.leaderboard import Standing, rank


def days(count, step=dt.timedelta(days=1)):
    return pl.Series(
        [dt.datetime(2020, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None) + n * step for n in range(count)]
    ).cast(pl.Datetime("us"))


def lingering(random, count, share):
    found = random.normal(size=count)
    for place in range(1, count):
        found[place] = share * found[place - 1] + np.sqrt(1 - share**2) * found[place]
    return found


def test_blocks_hold_neighbours_and_grow_with_the_rows():
    noise = np.random.default_rng(0).normal(size=366)
    blocks = blocks_of(days(366), noise)
    assert blocks.value_counts()["count"].max() == 7
    assert blocks[0] == blocks[6] == "2020-01-01" != blocks[7]


def test_a_target_that_lingers_makes_long_blocks_and_a_season_does_not():
    random = np.random.default_rng(1)
    times = days(1000)
    season = 10 * np.sin(2 * np.pi * np.arange(1000) / 365.25)
    assert block_length(times, season + random.normal(size=1000)) == 10
    assert 25 < block_length(times, season + lingering(random, 1000, 0.9)) <= 40
    assert block_length(times, lingering(random, 1000, 0.999)) == 100  # ten blocks are left
    assert block_length(times, np.zeros(1000)) == 10
    hours = days(1000, dt.timedelta(hours=1))
    daily = 10 * np.sin(2 * np.pi * np.arange(1000) / 24)
    assert block_length(hours, daily + random.normal(size=1000)) == 10


def test_rows_of_one_time_share_a_block_in_any_order():
    times = days(30)
    both = pl.concat([times, times]).sample(fraction=1, shuffle=True, seed=2)
    blocks = blocks_of(both, np.random.default_rng(2).choice(["sun", "rain"], 60).astype(object))
    frame = pl.DataFrame({"time": both, "block": blocks}).group_by("time").agg(pl.col("block").n_unique())
    assert frame["block"].max() == 1


@pytest.mark.parametrize("share", [0.0, 0.6, 0.9])
def test_equally_good_models_are_rarely_called_worse(share, monkeypatch):
    """Without blocks it is 3, 19 and more than 40 of 100; the nominal 5 grow to 10 where errors hardly change."""
    monkeypatch.setattr(leaderboard, "RESAMPLES", 499)
    random = np.random.default_rng(7)
    entries = [Standing(model=name, state="not tested", val=val) for name, val in (("a", 0.9), ("b", 0.8))]
    alarms = 0
    for seed in range(150):
        common = lingering(random, 300, share)
        losses = {name: (common + 0.5 * lingering(random, 300, share)) ** 2 for name in "ab"}
        board = rank(
            entries, losses, scoring="r2", higher=True, loss="squared", clustered="block", confidence=0.95,
            clusters=blocks_of(days(300), 20 + common).to_list(), seed=seed,
        )  # fmt: skip
        alarms += board.standings[1].state in {"worse", "better"}
    assert alarms <= 0.14 * 150

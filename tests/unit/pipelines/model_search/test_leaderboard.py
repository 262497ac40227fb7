"""The leaderboard: who is chosen, and who is told apart from it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from corrida.pipelines.model_search.columns import Column
from corrida.pipelines.model_search.importances import permutation_importances
from corrida.pipelines.model_search.leaderboard import Standing, leaderboard_table, rank


def board(losses, vals, *, loss="squared", higher=True, clusters=None, failed=()):
    entries = [Standing(model=name, state="not tested", val=vals[name]) for name in losses]
    entries += [Standing(model=name, state="failed", reason="it broke") for name in failed]
    return rank(
        entries,
        {name: np.asarray(values, dtype=np.float64) for name, values in losses.items()},
        scoring="r2",
        higher=higher,
        loss=loss,
        clusters=clusters,
        clustered="block",
        confidence=0.95,
        seed=1,
    )


@pytest.fixture
def errors():
    random = np.random.default_rng(4)
    return {
        "a": random.normal(0, 1.0, 200) ** 2,
        "b": random.normal(0, 1.02, 200) ** 2,
        "c": random.normal(0, 3.0, 200) ** 2,
    }


def test_the_best_in_validation_is_chosen_and_each_other_is_tested_against_it(errors):
    found = board(errors, {"a": 0.9, "b": 0.8, "c": 0.85}, failed=["d"])
    assert [(s.model, s.state) for s in found.standings] == [
        ("a", "chosen"), ("c", "worse"), ("b", "may be as good"), ("d", "failed"),
    ]  # fmt: skip
    assert found.as_good == ["b"]
    worse = found.standings[1]
    assert worse.difference == pytest.approx(errors["c"].mean() - errors["a"].mean())
    assert worse.low > 0
    assert worse.p_adjusted >= worse.p_value
    assert found.chosen.value == pytest.approx(np.sqrt(errors["a"].mean()))
    assert found.chosen.value_low < found.chosen.value < found.chosen.value_high


def test_a_model_that_does_better_on_the_test_rows_is_not_chosen_for_it(errors):
    found = board(errors, {"a": 0.7, "b": 0.6, "c": 0.9})
    assert found.chosen.model == "c"
    assert {s.model: s.state for s in found.standings} == {"c": "chosen", "a": "better", "b": "better"}


def test_the_same_answers_are_as_good(errors):
    found = board({"a": errors["a"], "twin": errors["a"]}, {"a": 0.9, "twin": 0.9})
    assert found.standings[1].state == "as good"


def test_less_is_better_where_the_scoring_says_so(errors):
    assert board(errors, {"a": 2.0, "b": 1.0, "c": 3.0}, higher=False).chosen.model == "b"


def test_neighbours_count_as_one():
    random = np.random.default_rng(2)
    shared = np.repeat(random.normal(0, 1, 20), 10)  # what goes wrong goes wrong for ten days
    a, b = np.full(200, 4.0), 4.0 + 0.6 * shared + 0.15
    rows = board({"a": a, "b": b}, {"a": 0.9, "b": 0.8})
    blocks = board({"a": a, "b": b}, {"a": 0.9, "b": 0.8}, clusters=[str(i // 10) for i in range(200)])
    assert (rows.units, blocks.units, blocks.clustered) == (200, 20, "block")
    assert blocks.standings[1].p_value > rows.standings[1].p_value
    assert blocks.standings[1].high - blocks.standings[1].low > 2 * (
        rows.standings[1].high - rows.standings[1].low
    )


def test_right_and_wrong_answers_are_tested_exactly_and_shown_as_accuracy():
    a, b = np.zeros(60), np.r_[np.ones(9), np.zeros(51)]
    found = board({"a": a, "b": b}, {"a": 0.9, "b": 0.8}, loss="wrong")
    assert found.test == "exact McNemar test"
    assert found.standings[1].p_value == pytest.approx(2 * 0.5**9)
    assert (found.chosen.value, found.standings[1].value) == (1.0, pytest.approx(51 / 60))
    assert leaderboard_table(found)["test_accuracy"].to_list() == [1.0, pytest.approx(0.85)]


def test_one_test_row_tells_nothing():
    found = board({"a": [1.0], "b": [2.0]}, {"a": 0.9, "b": 0.8})
    assert found.standings[1].state == "not tested"
    assert found.chosen.value_low is None


def test_importances_shuffle_a_date_as_a_whole_and_find_what_matters():
    random = np.random.default_rng(1)
    x = pl.DataFrame(
        {
            "d.month": random.normal(size=300),
            "d.hour": random.normal(size=300),
            "n": random.normal(size=300),
            "idle": random.normal(size=300),
        }
    )
    y = 3 * x["d.month"].to_numpy() + 2 * x["d.hour"].to_numpy() + x["n"].to_numpy()
    columns = [
        Column(name="d", kind="date", parts=("month", "hour")),
        Column(name="n", kind="number"),
        Column(name="idle", kind="number"),
    ]

    def losses(rows, target):
        output = 3 * rows["d.month"].to_numpy() + 2 * rows["d.hour"].to_numpy() + rows["n"].to_numpy()
        return (target - output) ** 2

    found = permutation_importances(losses, x, y, columns, repeats=4, seed=1)
    assert [one.column for one in found] == ["d", "n", "idle"]
    assert found[0].mean == pytest.approx(2 * (9 + 4), rel=0.3)
    assert found[1].mean == pytest.approx(2, rel=0.3)
    assert found[2].mean == 0
    assert found[0].least <= found[0].mean <= found[0].greatest

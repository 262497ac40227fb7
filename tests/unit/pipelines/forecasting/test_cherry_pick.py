"""The choice, on errors that are made up: what is right is known."""

from __future__ import annotations

import numpy as np
import pytest

from corrida.pipelines.forecasting.cherry_pick import Trials, choose, nested_choices, scores
from corrida.pipelines.forecasting.panel import Forecast
from corrida.pipelines.forecasting.settings import CherryPick
from corrida.pipelines.forecasting.validation import Trial

NAIVE, THETA, ETS = "SeasonalNaive", "DynamicOptimizedTheta", "AutoETS"


def trials(errors, steps=12, noise=0.0):
    """Make trials from mean errors: series to model to one error a window."""
    rng = np.random.default_rng(0)
    return Trials(
        Trial(
            model,
            series,
            window,
            window,
            np.zeros(steps),
            Forecast(np.abs(error + noise * rng.normal(size=steps))),
            1.0,
        )
        for series, models in errors.items()
        for model, by_window in models.items()
        for window, error in enumerate(by_window, 1)
    )


def same(naive, theta, ets, windows=4):
    return {NAIVE: [naive] * windows, THETA: [theta] * windows, ETS: [ets] * windows}


def pick(found, series="s", rule="guarded"):
    return choose(found, found.windows, CherryPick(rule=rule))[series]


def test_the_best_everywhere_is_taken():
    choice = pick(trials({"s": same(3, 1, 2), "t": same(3, 1, 2)}))
    assert (choice.model, choice.best, choice.single, choice.p_value) == (THETA, THETA, THETA, None)


def test_a_more_complex_model_must_be_significantly_better():
    others = {f"t{i}": same(3, 1, 2) for i in range(9)}
    clear = pick(trials({"s": same(3, 1, 0.5), **others}, noise=0.05))
    assert (clear.model, clear.best, clear.single) == (ETS, ETS, THETA)
    assert clear.p_value < 0.05
    assert "significantly better" in clear.why
    unclear = pick(trials({"s": same(3, 1, 0.98), **others}, noise=0.5))
    assert (unclear.model, unclear.best) == (THETA, ETS)
    assert unclear.p_value > 0.05


def test_fewer_than_six_windows_are_tested_by_their_steps():
    others = {f"t{i}": same(3, 1, 2) for i in range(9)}
    mixed = {NAIVE: [3.0] * 8, THETA: [1.0] * 8, ETS: [0.2, 1.7] * 4}  # better in every other window
    by_windows = pick(trials({"s": mixed, **{k: same(3, 1, 2, 8) for k in others}}))
    assert (by_windows.model, by_windows.best) == (THETA, ETS)
    assert by_windows.p_value > 0.5


def test_a_model_worse_than_seasonal_naive_is_never_taken():
    others = {f"t{i}": same(3, 2, 1) for i in range(9)}
    for naive, theta, ets in ((0.9, 1.5, 1.0), (0.5, 1.0, 2.0), (1.0, 0.98, 1.2)):
        choice = pick(trials({"s": same(naive, theta, ets), **others}, noise=0.3))
        assert choice.error <= choice.naive_error


def test_where_the_best_single_model_is_out_the_next_best_stands_in():
    others = {f"t{i}": same(3, 2, 1) for i in range(9)}
    choice = pick(trials({"s": same(1.0, 0.99, 1.2), **others}, noise=0.01))
    assert (choice.model, choice.single) == (THETA, ETS)
    assert choice.why == "AutoETS is worse here than SeasonalNaive; best here"


def test_the_rule_proven_leaves_the_best_single_model_only_for_a_significantly_better_one():
    others = {f"t{i}": same(3, 2, 1) for i in range(9)}
    unclear = {NAIVE: [1.1] * 4, THETA: [0.2, 1.7] * 2, ETS: [1.0] * 4}
    found = trials({"s": unclear, **others})
    assert pick(found).model == THETA
    assert pick(found, rule="proven").model == ETS
    clear = trials({"s": same(1.1, 0.2, 1.0), **others}, noise=0.05)
    assert pick(clear, rule="proven").model == THETA


def test_the_rule_proven_takes_no_model_that_is_significantly_worse_than_seasonal_naive():
    others = {f"t{i}": same(3, 2, 1) for i in range(9)}
    bad = {
        NAIVE: [1.0] * 4,
        THETA: [0.2, 1.7] * 2,
        ETS: [1.5] * 4,
    }  # the best there is not proven, the single is bad
    choice = pick(trials({"s": bad, **others}), rule="proven")
    assert (choice.model, choice.best, choice.single) == (THETA, THETA, ETS)
    assert choice.why == "AutoETS is significantly worse here than SeasonalNaive; best here"
    noise = {NAIVE: [1.0] * 4, THETA: [1.2] * 4, ETS: [0.2, 2.0] * 2}  # worse, but not proven so
    assert pick(trials({"s": noise, **others}), rule="proven").model == ETS


def test_equal_models_give_the_simplest():
    assert pick(trials({"s": same(1, 1, 1)})).model == NAIVE


def test_the_choice_of_a_window_does_not_see_it():
    errors = {NAIVE: [2.0, 2.0, 9.0], THETA: [1.0, 1.0, 9.0], ETS: [5.0, 5.0, 0.0]}
    found = trials({"s": errors})
    nested = nested_choices(found, CherryPick())
    assert set(nested) == {2, 3}
    assert nested[3]["s"].model == THETA
    everything = {("s", window) for window in (1, 2, 3)}
    score = scores(found, nested, choose(found, found.windows, CherryPick()), everything)
    assert score["cherry_pick.mase"] == (1.0 + 9.0) / 2
    assert score["naive.mase"] == (2.0 + 9.0) / 2
    assert score["cherry_pick.mase_seen"] == (5.0 + 0.0) / 2
    assert score["cherry_pick.optimism"] == pytest.approx(2.5)


def test_choosing_among_equal_models_is_optimistic_and_the_score_is_not():
    rng = np.random.default_rng(3)
    errors = {
        f"s{i}": {m: rng.uniform(0.5, 1.5, 4).tolist() for m in (NAIVE, THETA, ETS)} for i in range(300)
    }
    found = trials(errors, steps=3)
    kept = {(series, window) for series in found.series for window in found.windows}
    rule = CherryPick(rule="guarded")  # the other one hardly ever chooses here
    score = scores(found, nested_choices(found, rule), choose(found, found.windows, rule), kept)
    assert score["cherry_pick.mase"] == pytest.approx(1.0, abs=0.04)
    assert score["cherry_pick.mase_seen"] < 0.95
    assert score["cherry_pick.optimism"] > 0.05


def test_one_window_gives_no_score():
    found = trials({"s": same(3, 1, 2, windows=1)})
    final = choose(found, found.windows, CherryPick())
    assert final["s"].model == THETA
    assert scores(found, nested_choices(found, CherryPick()), final, {("s", 1)}) == {}

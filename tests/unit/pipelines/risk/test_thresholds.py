"""Q-learning finds the cheapest threshold, and says how."""

from __future__ import annotations

import numpy as np
import pytest

from corrida.pipelines.risk.settings import Costs, Thresholds
from corrida.pipelines.risk.thresholds import cost_curve, learn_threshold


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "costs",
    [
        Costs(missed=10_000, false_alarm=100),
        Costs(missed=100, false_alarm=100),
        Costs(missed=5, false_alarm=100),
    ],
)
def test_learning_arrives_at_the_optimum_of_the_whole_grid(seed, costs):
    draw = np.random.default_rng(seed)
    risk = draw.beta(0.6, 2, 4000)
    truth = draw.random(4000) < risk
    learned = learn_threshold("inusual", risk, truth, Thresholds(inusual=costs), seed)
    curve = cost_curve(risk, truth, learned.grid, costs)
    assert len(learned.grid) == 21
    assert learned.agrees
    assert curve[list(learned.grid).index(learned.threshold)] == curve.min()
    assert learned.history[-1].change < 0.01 < learned.history[0].change
    assert learned.history[-1].threshold == learned.threshold


def test_costs_move_the_threshold():
    draw = np.random.default_rng(1)
    risk = draw.random(5000)
    truth = draw.random(5000) < risk
    dear = Thresholds(inusual=Costs(missed=100, false_alarm=1), low=0.01, high=0.99)
    cheap = Thresholds(inusual=Costs(missed=1, false_alarm=100), low=0.01, high=0.99)
    assert learn_threshold("inusual", risk, truth, dear, 1).threshold < 0.2
    assert learn_threshold("inusual", risk, truth, cheap, 1).threshold > 0.8


def test_too_little_learning_is_seen_and_the_cheapest_is_used():
    risk = np.linspace(0, 1, 2000)
    truth = risk > 0.62
    few = Thresholds(episodes=1, inusual=Costs(missed=1, false_alarm=1))
    found = [learn_threshold("inusual", risk, truth, few, seed) for seed in range(20)]
    missed = [one for one in found if not one.agrees]
    assert missed
    assert all(one.threshold == one.cheapest for one in missed)


def test_an_end_of_the_grid_is_told():
    risk = np.linspace(0, 1, 2000)
    learned = learn_threshold("inusual", risk, risk > 0.1, Thresholds(), 1)
    assert learned.threshold == 0.45
    assert learned.end == 0.45


def test_an_end_of_the_grid_is_told_where_its_neighbours_cost_the_same():
    risk = np.repeat([0.1, 0.3, 0.5, 0.9], 500)  # as calibration gives it: in steps
    truth = np.tile([True, False], 1000)
    learned = learn_threshold("inusual", risk, truth, Thresholds(), 1)
    assert (learned.costs == learned.costs.min()).sum() == 6
    assert learned.end == 0.45


def test_no_end_of_the_grid_is_told_where_the_cheapest_lies_within_it_or_costs_nothing():
    draw = np.random.default_rng(1)
    risk = draw.random(5000)
    within = Thresholds(inusual=Costs(missed=1, false_alarm=1), low=0.1, high=0.9)
    assert learn_threshold("inusual", risk, draw.random(5000) < risk, within, 1).end is None
    apart = np.repeat([0.01, 0.99], 500)
    free = learn_threshold("inusual", apart, apart > 0.5, Thresholds(), 1)
    assert free.costs.max() == 0
    assert free.end is None

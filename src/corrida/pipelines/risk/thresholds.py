"""The third layer: from which risk on an alarm is raised, learned by Q-learning on the costs of mistakes.

The states are the thresholds of a grid; the actions go one step down, stay, or go one step up; the reward is the cost that is
saved at the threshold arrived at. The best policy therefore walks to the cheapest threshold and stays there. Since the grid is
small, all of it is priced as well, and the two are compared: what is used is known to be the cheapest.

Source: Watkins, C. J. C. H. and Dayan, P. (1992), Q-learning, Machine Learning 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from corrida.pipelines.risk.alignment import Floats
    from corrida.pipelines.risk.guardrails import Booleans
    from corrida.pipelines.risk.settings import Costs, Thresholds

_MOVES: Final = (-1, 0, 1)
_STEPS = 2  # times the grid: the most an episode walks
_EVERY = 20  # episodes from one record to the next
_STABLE = 5  # records in a row with the same policy end the learning


@dataclass(frozen=True)
class Convergence:
    """How far learning had come.

    Attributes:
        episode: from 1.
        change: the greatest change of a value since the record before.
        threshold: at which the policy of the moment ends.
        cost: there, for each transaction.
    """

    episode: int
    change: float
    threshold: float
    cost: float


@dataclass(frozen=True)
class Learned:
    """A threshold and how it was found.

    Attributes:
        alarm: the class it is for.
        threshold: the one that is used.
        by_learning: where Q-learning ended.
        grid: all thresholds.
        costs: of each, for each calibration transaction.
        history: of learning.
        rows, positives: of the calibration transactions.
    """

    alarm: str
    threshold: float
    by_learning: float
    grid: Floats
    costs: Floats
    history: tuple[Convergence, ...]
    rows: int
    positives: int

    @property
    def cheapest(self) -> float:
        """The cheapest threshold of the grid; the middle one where several are."""
        return float(self.grid[_cheapest(self.costs)])

    @property
    def agrees(self) -> bool:
        """Whether learning ended at a threshold that costs no more than any other."""
        place = int(np.argmin(np.abs(self.grid - self.by_learning)))
        return bool(self.costs[place] <= self.costs.min() + 1e-12)

    @property
    def end(self) -> float | None:
        """The end of the grid beyond which a cheaper threshold may lie: none costs less than it, and it is not free.

        Calibration gives many rows the same risk, so thresholds beside an end often cost what it costs. Of two ends that cost the
        same, the one that is nearer to the threshold that is used.
        """
        least = self.costs.min()
        ends = [place for place in (0, -1) if 1e-12 < self.costs[place] <= least + 1e-12]
        if len(self.grid) < 2 or not ends:
            return None
        return float(min((self.grid[place] for place in ends), key=lambda one: abs(one - self.threshold)))


def cost_curve(risk: Floats, truth: Booleans, grid: Floats, costs: Costs) -> Floats:
    """Return the mean cost of a transaction at each threshold: missed ones below it, false alarms from it on."""
    missed = np.array([float((truth & (risk < one)).sum()) for one in grid])
    false = np.array([float((~truth & (risk >= one)).sum()) for one in grid])
    return (costs.missed * missed + costs.false_alarm * false) / max(len(risk), 1)


def learn_threshold(alarm: str, risk: Floats, truth: Booleans, config: Thresholds, seed: int) -> Learned:
    """Learn the threshold of an alarm.

    Args:
        alarm: ``preocupante`` or ``inusual``.
        risk: calibrated probabilities of rows that the ensemble was not fitted on.
        truth: whether they were at least that grave.
        config: grid, costs and learning.
        seed: of the exploration.
    """
    grid = np.round(np.linspace(config.low, config.high, config.points), 10)
    costs: Costs = getattr(config, alarm)
    curve = cost_curve(risk, truth, grid, costs)
    history, end = _walks(curve, grid, config, seed)
    learned = Learned(
        alarm=alarm,
        threshold=float(grid[end]),
        by_learning=float(grid[end]),
        grid=grid,
        costs=curve,
        history=tuple(history),
        rows=len(risk),
        positives=int(truth.sum()),
    )
    if learned.agrees:
        return learned
    return Learned(**{**learned.__dict__, "threshold": learned.cheapest})


def _walks(curve: Floats, grid: Floats, config: Thresholds, seed: int) -> tuple[list[Convergence], int]:
    draw = np.random.default_rng(seed)
    states, span = len(grid), float(curve.max() - curve.min())
    # Rewards between 0 and 1, whatever the costs; 1 is the cheapest threshold.
    reward = (curve.max() - curve) / span if span > 0 else np.zeros(states)
    values = np.zeros((states, len(_MOVES)))
    before = values.copy()
    history: list[Convergence] = []
    settled, last = 0, -1
    for episode in range(1, config.episodes + 1):
        curious = config.exploration * (1 - (episode - 1) / config.episodes)
        state = int(draw.integers(states))
        for _ in range(_STEPS * states):
            action = int(draw.integers(3)) if draw.random() < curious else int(np.argmax(values[state]))
            after = min(max(state + _MOVES[action], 0), states - 1)
            target = reward[after] + config.discount * values[after].max()
            values[state, action] += config.learning_rate * (target - values[state, action])
            state = after
        if episode % _EVERY == 0 or episode == config.episodes:
            end = _arrives(values)
            change = float(np.abs(values - before).max())
            history.append(Convergence(episode, change, float(grid[end]), float(curve[end])))
            before = values.copy()
            settled = settled + 1 if end == last and change < 1e-3 else 0
            last = end
            if settled >= _STABLE:
                break
    return history, last


def _arrives(values: Floats) -> int:
    """Return where the greedy policy ends, from the middle of the grid; of two it sways between, the better."""
    state, seen = len(values) // 2, set()
    while state not in seen:
        seen.add(state)
        state = min(max(state + _MOVES[int(np.argmax(values[state]))], 0), len(values) - 1)
    return state


def _cheapest(curve: Floats) -> int:
    best = np.flatnonzero(curve <= curve.min() + 1e-12)
    return int(best[len(best) // 2])

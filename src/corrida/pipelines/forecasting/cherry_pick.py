"""Cherry-pick: for each series the model that validation proves best, and what that choice is worth.

The choice (rule ``proven``). The model with the lowest error on the series stands against the one with the lowest mean
MASE over all series, of those that are not significantly worse on the series than SeasonalNaive. The evidence of one
series is thin, that of all series together is not: so the latter is taken, unless the best on the series is significantly
better in a paired test. The rule ``guarded`` goes by the numbers as they are: it takes the simpler of the two where the
test does not decide, and no model whose error on the series is above that of SeasonalNaive.

The test is the randomization test of :mod:`corrida.analysis.statistics`, two-sided, on the errors of the two models.
Its units are the windows where there are at least six: fewer cannot reach 5 %, whatever the errors (2/2⁵ = 0.06). With
fewer windows the units are the steps of all windows. Errors of neighbouring steps resemble each other, so that this
test is easier to pass than it says; its p-value is a threshold, no proof.

The score. A choice looks better on the windows that it saw. So for each window from the second on the choice is made
from the earlier windows alone and scored on that one (nested windows). The optimism is the difference between that and
the error, on the same windows, of the choice that saw them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from corrida.pipelines.forecasting.models import MODELS, NAIVE

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from corrida.pipelines.forecasting.settings import CherryPick
    from corrida.pipelines.forecasting.validation import Trial

ENOUGH_WINDOWS = 6
_RESAMPLES = 2000


@dataclass(frozen=True)
class Choice:
    """The model of one series.

    Attributes:
        series: the id.
        model: what is taken.
        best: the model with the lowest error on the series.
        single: the best single model for all series.
        error: of the model taken, on the windows that the choice saw: the MASE, or the MAE where there is none.
        best_error: of the best model, on the same.
        naive_error: of SeasonalNaive, on the same.
        p_value: of the test of the best model, where there was one to be made.
        why: in a few words.
    """

    series: str
    model: str
    best: str
    single: str
    error: float
    best_error: float
    naive_error: float
    p_value: float | None
    why: str


class Trials:
    """The trials of all models that were validated, by series, model and window."""

    def __init__(self, trials: Iterable[Trial]) -> None:
        self._at = {(trial.series, trial.model, trial.window): trial for trial in trials}
        self.series = list(dict.fromkeys(key[0] for key in self._at))
        self.models = sorted({key[1] for key in self._at}, key=lambda name: MODELS[name].complexity)
        self.windows = sorted({key[2] for key in self._at})

    def one(self, series: str, model: str, window: int) -> Trial:
        """Return one trial."""
        return self._at[series, model, window]

    def error(self, series: str, model: str, windows: Sequence[int]) -> float:
        """Return the mean MASE over windows; the mean MAE where the series has no MASE in all of them."""
        found = [self.one(series, model, window) for window in windows]
        scaled = [trial.mase for trial in found]
        return float(np.mean([t.mae for t in found] if None in scaled else scaled))  # type: ignore[arg-type]

    def has_mase(self, series: str, windows: Sequence[int]) -> bool:
        """Tell whether the MASE of a series is defined in all the windows."""
        return all(self.one(series, self.models[0], window).scale > 0 for window in windows)


def pooled_errors(trials: Trials, windows: Sequence[int]) -> dict[str, float]:
    """Return the mean MASE of each model over all series that have one; the mean MAE where none has."""
    counted = [series for series in trials.series if trials.has_mase(series, windows)] or trials.series
    return {
        model: float(np.mean([trials.error(series, model, windows) for series in counted]))
        for model in trials.models
    }


def choose(trials: Trials, windows: Sequence[int], rule: CherryPick) -> dict[str, Choice]:
    """Return the choice of each series, from some windows alone; of equal models the simplest."""
    pooled = pooled_errors(trials, windows)
    return {series: _choose(trials, series, pooled, windows, rule) for series in trials.series}


def nested_choices(trials: Trials, rule: CherryPick) -> dict[int, dict[str, Choice]]:
    """Return for each window the choice made from those before it; none for the first, unless there is one model only."""
    if len(trials.models) == 1:
        return {window: choose(trials, [window], rule) for window in trials.windows}
    return {
        window: choose(trials, trials.windows[:before], rule)
        for before, window in enumerate(trials.windows)
        if before
    }


def _choose(
    trials: Trials, series: str, pooled: Mapping[str, float], windows: Sequence[int], rule: CherryPick
) -> Choice:
    errors = {model: trials.error(series, model, windows) for model in trials.models}
    best = min(trials.models, key=lambda model: errors[model])
    single = min(trials.models, key=lambda model: pooled[model])
    naive = errors.get(NAIVE, float("inf"))
    guarded = rule.rule == "guarded"
    by_all = sorted(trials.models, key=lambda model: pooled[model])

    def out(model: str) -> bool:
        if errors[model] <= naive:
            return False
        return guarded or _p_value(trials, series, NAIVE, model, windows) <= 1 - rule.confidence

    usual = next(model for model in by_all if not out(model))
    how = "worse" if guarded else "significantly worse"
    why = "" if usual == single else f"{single} is {how} here than {NAIVE}; "
    p_value: float | None = None
    taken = best
    if best == usual:
        why += "best here" if why else "best here and over all series"
    elif guarded and MODELS[best].complexity < MODELS[usual].complexity:
        why += f"best here, and simpler than {usual}"
    else:
        p_value = _p_value(trials, series, best, usual, windows)
        if p_value <= 1 - rule.confidence:
            why += f"significantly better here than {usual}"
        else:
            taken, why = usual, f"{why}{best} is better here, but not significantly"
    return Choice(series, taken, best, single, errors[taken], errors[best], naive, p_value, why)


def _p_value(trials: Trials, series: str, best: str, other: str, windows: Sequence[int]) -> float:
    """Return the p-value of the difference of two models on one series."""
    from corrida.analysis.statistics.estimators import Mean
    from corrida.analysis.statistics.pairs import Matrix, Pairs
    from corrida.analysis.statistics.randomization import randomization_test

    sides = []
    for model in (other, best):
        found = [trials.one(series, model, window) for window in windows]
        scaled = [trial.steps / (trial.scale or 1.0) for trial in found]
        units = (
            [float(np.mean(one)) for one in scaled]
            if len(found) >= ENOUGH_WINDOWS
            else np.concatenate(scaled)
        )
        sides.append(np.asarray(units, dtype=np.float64))
    moved = (sides[1] - sides[0]).reshape(-1, 1)
    count = len(moved)
    pairs = Pairs(Matrix(np.zeros_like(moved)), Matrix(moved), np.ones(count, dtype=np.int64), count)
    return randomization_test(pairs, Mean(count), resamples=_RESAMPLES, seed=0).p_value


def scores(
    trials: Trials,
    nested: Mapping[int, Mapping[str, Choice]],
    final: Mapping[str, Choice],
    kept: Container[tuple[str, int]],
) -> dict[str, float]:
    """Return the errors of cherry-pick, of the best single model and of SeasonalNaive on the nested windows.

    Args:
        trials: of all models.
        nested: the choice for each window by the windows before it.
        final: the choice that saw all windows.
        kept: series and windows that count.

    Returns:
        ``cherry_pick.mase`` and ``best_single.mase``, each chosen without the window it is scored on; ``naive.mase``;
        ``cherry_pick.mase_seen``, of the final choice on the same windows; ``cherry_pick.optimism``, what it hides. Empty
        with a single window, or where no MASE is defined.
    """
    rows: dict[str, list[float]] = {}
    for window, choices in nested.items():
        for series, choice in choices.items():
            if (series, window) not in kept:
                continue
            picks = {
                "cherry_pick.mase": choice.model,
                "best_single.mase": choice.single,
                "naive.mase": NAIVE,
                "cherry_pick.mase_seen": final[series].model,
            }
            for name, model in picks.items():
                if model not in trials.models:
                    continue  # even SeasonalNaive may have failed
                value = trials.one(series, model, window).mase
                if value is not None:
                    rows.setdefault(name, []).append(value)
    found = {name: float(np.mean(values)) for name, values in rows.items()}
    if found:
        found["cherry_pick.optimism"] = found["cherry_pick.mase"] - found["cherry_pick.mase_seen"]
    return found

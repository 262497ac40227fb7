"""What a run found, as the report and its figures need it: errors by series, by model and by step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from corrida.pipelines.forecasting.accuracy import seasonal_scale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corrida.analysis.statistics.difference import Difference
    from corrida.pipelines.forecasting.cherry_pick import Choice, Trials
    from corrida.pipelines.forecasting.panel import Floats, Panel
    from corrida.pipelines.forecasting.settings import ForecastingConfig
    from corrida.pipelines.forecasting.training import Trained
    from corrida.pipelines.forecasting.validation import Trial


class Spread(NamedTuple):
    """The errors of a model over the series.

    Attributes:
        model: its name.
        mean: over series, each the mean over its windows.
        values: one a series, ascending.
    """

    model: str
    mean: float
    values: Floats

    def quantile(self, share: float) -> float:
        """Return the error below which a share of the series lies."""
        return float(np.quantile(self.values, share))


class Example(NamedTuple):
    """A series that is shown.

    Attributes:
        word: ``best``, ``median`` or ``worst``.
        series: the id.
        error: the mean error of the choice on it.
    """

    word: str
    series: str
    error: float


@dataclass(frozen=True)
class Results:
    """What a run found.

    Attributes:
        panel: the series.
        config: of the run.
        trained: the models, and those that failed.
        trials: of the validation.
        final: the choice that saw all windows.
        nested: for each window the choice made from those before it.
        kept: series and windows that count.
        metrics: of the run.
    """

    panel: Panel
    config: ForecastingConfig
    trained: Trained
    trials: Trials
    final: Mapping[str, Choice]
    nested: Mapping[int, Mapping[str, Choice]]
    kept: frozenset[tuple[str, int]]
    metrics: Mapping[str, float]

    @cached_property
    def scaled(self) -> bool:
        """Whether errors are MASE; where no series has one they are absolute."""
        return any(trial.scale > 0 for trial in self._kept(self.trials.models[0]))

    @property
    def unit(self) -> str:
        """What errors are called."""
        return "MASE" if self.scaled else "MAE"

    @cached_property
    def honest(self) -> bool:
        """Whether the choice was scored on windows that it did not see."""
        return bool(self.chosen_errors and self.nested)

    @cached_property
    def chosen_errors(self) -> dict[str, float]:
        """By series, the mean error of the chosen model: on windows that the choice did not see, where there are any."""
        nested = self.nested or dict.fromkeys(self.trials.windows, self.final)
        found: dict[str, list[float]] = {}
        for window, choices in nested.items():
            for series, choice in choices.items():
                if (series, window) in self.kept:
                    error = self._error(self.trials.one(series, choice.model, window))
                    if error is not None:
                        found.setdefault(series, []).append(error)
        return {series: float(np.mean(errors)) for series, errors in found.items()}

    @cached_property
    def examples(self) -> list[Example]:
        """The best, the median and the worst series; fewer where there are no three."""
        ranked = sorted(self.chosen_errors.items(), key=lambda one: (one[1], one[0]))
        places = {"best": 0, "worst": len(ranked) - 1, "median": (len(ranked) - 1) // 2}
        taken: dict[int, str] = {}
        for word, place in places.items():
            if 0 <= place < len(ranked):
                taken.setdefault(place, word)
        return [Example(taken[place], *ranked[place]) for place in sorted(taken)]

    @cached_property
    def spreads(self) -> list[Spread]:
        """The errors of each model over the series, the best model first."""
        found = []
        for model in self.trials.models:
            by_series: dict[str, list[float]] = {}
            for trial in self._kept(model):
                if (error := self._error(trial)) is not None:
                    by_series.setdefault(trial.series, []).append(error)
            values = np.sort([np.mean(errors) for errors in by_series.values()])
            if values.size:
                found.append(Spread(model, float(np.mean(values)), values))
        return sorted(found, key=lambda one: one.mean)

    @cached_property
    def steps(self) -> dict[str, Floats]:
        """By model, the mean error of each step ahead; the best model first."""
        found: dict[str, Floats] = {}
        for spread in self.spreads:
            rows = [
                trial.steps / (trial.scale if self.scaled else 1.0)
                for trial in self._kept(spread.model)
                if trial.scale > 0 or not self.scaled
            ]
            found[spread.model] = np.mean(rows, axis=0)
        return found

    @cached_property
    def against_single(self) -> Difference | None:
        """The paired difference of cherry-pick to the best single model, series by series, on windows not seen.

        Series are what is drawn anew: the windows of one series are not independent of each other.

        Returns:
            None with fewer than six series, or without windows that the choice did not see.
        """
        from corrida.analysis.statistics.difference import paired_difference
        from corrida.analysis.statistics.estimators import Ratio
        from corrida.analysis.statistics.pairs import Pairs

        rows: dict[str, list[tuple[float, float]]] = {}
        for window, choices in self.nested.items():
            for series, choice in choices.items():
                single = self._error(self.trials.one(series, choice.single, window))
                picked = self._error(self.trials.one(series, choice.model, window))
                if (series, window) in self.kept and single is not None and picked is not None:
                    rows.setdefault(series, []).append((single, picked))
        if len(rows) < _ENOUGH_SERIES or not self.scaled:
            return None
        # Of each series the sum of its errors and how many there are: a mean over windows is then a ratio of sums.
        sides = [
            np.array([[sum(error[side] for error in errors), len(errors)] for errors in rows.values()])
            for side in (0, 1)
        ]
        count = sum(len(errors) for errors in rows.values())
        pairs = Pairs.of(sides[0], sides[1], items=count, clustered=True)
        return paired_difference(pairs, Ratio(bounds=(0.0, None)), resamples=_RESAMPLES)

    def scale(self, series: str) -> float:
        """Return the seasonal naive error of the whole history of a series."""
        return seasonal_scale(self.panel.by_id[series].y, self.panel.season_length)

    def _kept(self, model: str) -> Sequence[Trial]:
        return [
            self.trials.one(series, model, window)
            for window in self.trials.windows
            for series in self.trials.series
            if (series, window) in self.kept
        ]

    def _error(self, trial: Trial) -> float | None:
        return trial.mase if self.scaled else trial.mae


_ENOUGH_SERIES = 6
_RESAMPLES = 5000


def time_value(time: Any) -> Any:
    """Return a time as a figure takes it."""
    return time if isinstance(time, int) else f"{time:%Y-%m-%dT%H:%M:%S}"

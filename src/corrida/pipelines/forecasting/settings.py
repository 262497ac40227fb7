"""The typed configuration of forecasting."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from corrida.pipelines.contract import Config

Name = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Level = Annotated[int, msgspec.Meta(ge=1, le=99)]
STATISTICAL = ["SeasonalNaive", "DynamicOptimizedTheta", "AutoETS"]


class Columns(Config, frozen=True):
    """The columns of the data.

    Attributes:
        id: names a series.
        time: when, as a date, a time or a whole number.
        target: what is forecast.
        exogenous: what else is known, also in the future; None for all further columns.
    """

    id: Name = "unique_id"
    time: Name = "ds"
    target: Name = "y"
    exogenous: list[Name] | None = None


class CherryPick(Config, frozen=True):
    """How a model is chosen for each series.

    Attributes:
        rule: ``proven`` takes the best single model for all series unless another one is significantly better on a
            series. ``guarded`` takes no model that is worse on a series than SeasonalNaive, and the simpler one where
            two are alike.
        confidence: of that test.
    """

    rule: Literal["proven", "guarded"] = "proven"
    confidence: Annotated[float, msgspec.Meta(gt=0.5, lt=1)] = 0.95


class Boosting(Config, frozen=True):
    """How LightGBM learns.

    Attributes:
        rounds: trees.
        learning_rate: what a tree adds.
        leaves: the most a tree has.
        smallest_leaf: values that a leaf needs at least; few, since many data sets of series are small.
        lags: past values that it sees, in steps; None for the last ``input_size``, at most two seasons.
    """

    rounds: Count = 200
    learning_rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.05
    leaves: Annotated[int, msgspec.Meta(ge=2)] = 15
    smallest_leaf: Count = 5
    lags: list[Count] | None = None


class ForecastingConfig(Config, frozen=True):
    """The configuration that runs.

    Attributes:
        horizon: steps ahead.
        input_size: past values that a network or LightGBM sees; None for two seasons, or the horizon if that is more.
        max_steps: training steps of a network.
        models: names, freely mixed. SeasonalNaive is always among those that run.
        n_windows: windows of the rolling origin.
        test_size: steps at the end that the windows cover together; None for windows side by side.
        data_file: the data, relative to the project; instead of ``--data``.
        output_dir: understood, not used: the store is where runs go.
        run_id: understood, not used: ``--run-id`` names a run.
        log_file: understood, not used: a run has its log.txt.
        freq: the time between two values, such as ``1mo``, ``1d``, ``15m``; None to read it off the data.
        season_length: steps of a season; None for what goes with the frequency.
        levels: of the prediction intervals, in percent.
        gaps: what to do about missing values inside a series.
        short_series: what to do about series that are too short to be validated.
        seed: of models that draw random numbers, where ``--seed`` does not give one.
        n_jobs: models and windows at once, in processes; where there are fewer of them, series too.
        threads: of a network; another number gives other forecasts.
        intervals: ``own`` takes those of a model where it has them, ``conformal`` those from the errors of validation for all.
        report: write report.md with pictures and report.html.
    """

    horizon: Count = 12
    input_size: Count | None = None
    max_steps: Count = 1000
    models: Annotated[list[Name], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: list(STATISTICAL)
    )
    n_windows: Count = 3
    test_size: Count | None = None
    data_file: Name | None = None
    output_dir: str | None = None
    run_id: str | None = None
    log_file: str | None = None
    freq: str | int | None = None
    season_length: Count | None = None
    levels: list[Level] = msgspec.field(default_factory=lambda: [80])
    gaps: Literal["refuse", "previous", "interpolate", "zero"] = "refuse"
    short_series: Literal["refuse", "skip"] = "refuse"
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 1
    n_jobs: Count = 1
    threads: Count = 1
    columns: Columns = Columns()
    cherry_pick: CherryPick = CherryPick()
    boosting: Boosting = Boosting()
    intervals: Literal["own", "conformal"] = "own"
    report: bool = True

    @property
    def step(self) -> int:
        """Steps from one cutoff to the next."""
        if self.test_size is None or self.n_windows == 1:
            return self.horizon
        return (self.test_size - self.horizon) // (self.n_windows - 1)

    @property
    def held_out(self) -> int:
        """Values at the end of each series that validation forecasts."""
        return self.horizon + self.step * (self.n_windows - 1)

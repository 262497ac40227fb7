"""The typed configuration of a model search over a table."""

from __future__ import annotations

from collections.abc import Container
from typing import Annotated, Literal

import msgspec

from corrida.pipelines.contract import Config

Name = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Folds = Annotated[int, msgspec.Meta(ge=2, le=100)]
Steps = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]

Part = Literal["year", "month", "day", "weekday", "hour", "minute"]
_FOR_NUMBERS = ("linear", "lasso", "ridge", "random_forest", "gradient_boosting", "xgboost")
_FOR_CLASSES = ("linear", "random_forest", "gradient_boosting", "xgboost")


class ModelSearchConfig(Config, frozen=True):
    """The configuration that runs.

    Attributes:
        target: the column that is predicted.
        models: names of the catalogue, or ``module:object`` of the project; None for a handful of them.
        task: what kind of answer; ``auto`` infers it from the target and says so.
        data_file: the data, relative to the project; instead of ``--data``.
        date: the column that orders rows in time; None to take the only column that holds dates, if there is one.
        group: the column whose groups stay together on one side of the split.
        id: the column that names a row; None for the number of the row.
        features: the columns to learn from; None for all others.
        ignore: columns that are left out.
        categories: columns that are names, even where they look like numbers, such as postal codes.
        calendar: what is made of dates; None for what the dates hold.
        split: how test rows are chosen. ``auto``: by time where there is a date, by groups where a group is named, else
            ``stratified`` for classes and ``random`` for numbers.
        test_size: share of the test rows (of the times, or of the groups).
        test_from: the first time of the test rows, instead of ``test_size``.
        gap: times between training and what is predicted, left out in the split by time and in its folds.
        cv: folds of cross-validation in the training rows.
        rare_classes: what to do about a class that has too few rows to be on both sides.
        n_iter: candidates of the search for each model.
        method: ``random``, ``tpe`` (Optuna), ``halving``, or ``none`` for the settings as they are.
        scoring: what the search goes by; None for R² or accuracy.
        max_seconds: a model's search starts no candidate after that time.
        patience: a model's search ends after so many candidates without improvement.
        batch: candidates that ``tpe`` asks for at a time.
        min_rows: the least rows of a candidate in ``halving``.
        n_jobs: candidates at once; 0 is the number of cores.
        seed: of everything that draws random numbers, where ``--seed`` does not give one.
        repeats: how often each column is shuffled to see how much it matters; 0 leaves that out.
        confidence: of the intervals of the leaderboard.
        slices: columns of the data that items carry, so that comparisons can be cut by them; None for those of few values.
        report: write report.md and report.html.
        system_metrics: log CPU and memory while the search runs.
        pickle: keep a model that no safe format can hold as a pickle.
        output_dir: understood, not used: the store is where runs go.
        random_state: another name of ``seed``.
    """

    target: Name
    models: Annotated[list[Name], msgspec.Meta(min_length=1)] | None = None
    task: Literal["auto", "regression", "classification"] = "auto"
    data_file: Name | None = None
    date: Name | None = None
    group: Name | None = None
    id: Name | None = None
    features: list[Name] | None = None
    ignore: list[Name] = msgspec.field(default_factory=list)
    categories: list[Name] = msgspec.field(default_factory=list)
    calendar: list[Part] | None = None
    split: Literal["auto", "time", "group", "stratified", "random"] = "auto"
    test_size: Share = 0.2
    test_from: Name | None = None
    gap: Steps = 0
    cv: Folds = 5
    rare_classes: Literal["refuse", "leave_out"] = "refuse"
    n_iter: Count = 20
    method: Literal["random", "tpe", "halving", "none"] = "random"
    scoring: Name | None = None
    max_seconds: Seconds | None = None
    patience: Count | None = None
    batch: Count = 4
    min_rows: Count | None = None
    n_jobs: Annotated[int, msgspec.Meta(ge=0)] = 1
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 1
    repeats: Annotated[int, msgspec.Meta(ge=0, le=100)] = 5
    confidence: Annotated[float, msgspec.Meta(gt=0.5, lt=1)] = 0.95
    slices: list[Name] | None = None
    report: bool = True
    system_metrics: bool = False
    pickle: bool = False
    output_dir: str | None = None
    random_state: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None

    def default_models(self, task: str, there: Container[str]) -> list[str]:
        """Return the models that run when none are named: of those that are installed, a few of each kind."""
        return [name for name in (_FOR_NUMBERS if task == "regression" else _FOR_CLASSES) if name in there]

    def used_seed(self, seed: int | None) -> int:
        """Return the seed of the run: that of ``--seed``, of ``random_state``, or of the configuration."""
        if seed is not None:
            return seed % 2**31
        return self.seed if self.random_state is None else self.random_state

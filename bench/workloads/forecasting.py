"""The forecasting pipeline beside the bare libraries: the same models, windows and refits on the same series."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from bench.harness.budgets import at_most_times
from bench.harness.case import Case, Entry, Sample
from bench.harness.place import ContestantFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.harness.place import Place

_SERIES, _FEW = 22, 3
_REPORT = "with its report"
_ALIKE, _NEARLY = 1e-6, 0.1
"""Relative differences of errors up to which the work is the same: sums are taken in another order, and on few series the
trees of LightGBM turn on the last digit of a value."""


def _measure(place: Place, entry: Entry) -> Sample:
    if place.tiny and entry.variant != _REPORT:
        found = dict(_few(place, entry.contestant))
    else:
        report = {"report": 1} if entry.variant == _REPORT else {}
        found = dict(_call(place, entry.contestant, place.size(_SERIES, _FEW), **report))
    return {"value": found.pop("seconds"), **found}


def _call(place: Place, contestant: str, series: int, **more: Any) -> Mapping[str, Any]:
    return place.call(
        contestant,
        "forecasting",
        series=series,
        folder=place.fresh(contestant),
        warm_up=int(not place.tiny),
        **more,
    )


@cache
def _few(place: Place, contestant: str) -> Mapping[str, Any]:
    """Forecast few series, once."""
    return _call(place, contestant, _FEW)


def _same_errors(place: Place, entry: Entry) -> None:
    """Make sure that both sides do the same work: the errors of each model are the same."""
    if entry.contestant != "corrida" or entry.variant:
        return
    bare, ours = _few(place, "floor"), _few(place, "corrida")
    for model in bare.keys() - {"seconds"}:
        limit = _NEARLY if model == "LightGBM" else _ALIKE
        if abs(bare[model] - ours[model]) > limit * abs(bare[model]):
            raise ContestantFailed(f"{model}: the errors differ, {bare[model]} and {ours[model]}")


CASES = [
    Case(
        name="forecasting",
        title="22 series forecast by 4 models, in 4 windows and refitted",
        entries=(Entry("floor"), Entry("corrida"), Entry("corrida", _REPORT)),
        measure=_measure,
        prepare=_same_errors,
        budgets=(at_most_times(1.05, "plain Python"),),
        warm_up=False,
        note=(
            "SeasonalNaive, DynamicOptimizedTheta, AutoETS and LightGBM on the monthly employment of the demo, a year ahead. The "
            "floor calls `cross_validation`, `fit` and `predict` of statsforecast and mlforecast; the errors of the statistical models are the same to "
            "the sixth digit, which is checked first. corrida also reads and checks the data, compares and chooses models, "
            "writes tables, items and models and seals the run; its report draws pictures besides. In one process, after a warm-up of two series."
        ),
    )
]

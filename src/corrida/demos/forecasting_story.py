"""The forecasting demo: a baseline, more models, and what validation says of the difference; on request with networks."""

from __future__ import annotations

from corrida.demos.evaluation_story import FIGURES
from corrida.demos.story import Command, Demo, Optional, Replace

_MODELS = Optional(
    ("statsforecast",),
    "the demo forecasting needs statsforecast; pip install 'corrida[forecasting]'",
)
_NETWORKS = Optional(
    ("statsforecast", "neuralforecast", "torch"),
    "the demo forecasting with networks needs neuralforecast and torch; pip install 'corrida[neural]'",
)


def _run(told: str, name: str, description: str) -> Command:
    return Command(
        told, ("run", "employment", "--run-id", name, "--description", description), optional=(FIGURES,)
    )


def _compare(told: str, a: str, b: str) -> Command:
    return Command(told, ("compare", a, b, "--only-changed", "--items", "4"))


def _predict(told: str, *arguments: str) -> Command:
    return Command(told, ("predict", *arguments))


_BASELINE = _run(
    "A baseline: the season of last year, and the Theta method. Each is tried on four years that it had not seen.",
    "experiment_baseline",
    "SeasonalNaive and Theta",
)
_ADD_SMOOTHING = Replace(
    "Somebody adds exponential smoothing as a third model:", "forecasting_1.1.yaml", "config/forecasting.yaml"
)
_MORE = _run(
    "And again.",
    "experiment_more_models",
    "with AutoETS",
)
_ADD_NETWORKS = Replace("And three neural networks:", "forecasting_1.2.yaml", "config/forecasting.yaml")
_NEURAL = _run(
    "And again. Each network is fitted five times, so this takes a few minutes.",
    "experiment_networks",
    "with NBEATS, NHITS and LSTM",
)
_LIST = Command(
    "All runs: the best error of one model, and that of the model chosen for each series.",
    ("list",),
)
_COMPARED = _compare(
    "Is it better, really? Every sector and year is an item; a choice is judged on years that it did not see.",
    "experiment_baseline",
    "experiment_more_models",
)
_LOOK = (
    "open runs/experiment_more_models/report.md (and report.html, with the extra report)",
    "corrida item construction@2014-12-01            # one sector and year, over all runs",
    "edit config/forecasting.yaml, as by  models: [AutoETS, AutoARIMA, LightGBM]  then:",
    'corrida run employment --description "what I changed"',
    "corrida compare --latest",
)


def _told(best: str) -> tuple[Command, ...]:
    return (
        _predict(
            "What comes next, by the model that proved best for the sector; the run holds all that is needed.",
            best,
            "--cherry-pick",
            "--series",
            "construction",
        ),
        Command(
            "The run that forecasts from now on.",
            ("promote", best, "--reason", "lowest error on years not seen"),
        ),
        _predict(
            "Without a name the promoted run is taken, and it is said.",
            "--cherry-pick",
            "--horizon",
            "6",
            "--series",
            "utilities",
        ),
    )


_TITLE = "People employed in 22 sectors of the United States, a year ahead (Bureau of Labor Statistics, 2006 to 2015)"

_WITH_NETWORKS = Demo(
    "forecasting",
    "forecasting",
    _TITLE,
    (
        _BASELINE,
        _ADD_SMOOTHING,
        _MORE,
        _ADD_NETWORKS,
        _NEURAL,
        _LIST,
        _COMPARED,
        _compare("Are the networks worth their time?", "experiment_more_models", "experiment_networks"),
        *_told("experiment_more_models"),
    ),
    ("open runs/experiment_networks/report.md (and report.html, with the extra report)", *_LOOK[1:]),
    needs=(_NETWORKS,),
)

FORECASTING = Demo(
    "forecasting",
    "forecasting",
    _TITLE,
    (_BASELINE, _ADD_SMOOTHING, _MORE, _LIST, _COMPARED, *_told("experiment_more_models")),
    (*_LOOK, "corrida demo forecasting --neural --to networks      # with NBEATS, NHITS and LSTM"),
    needs=(_MODELS,),
    neural=_WITH_NETWORKS,
)

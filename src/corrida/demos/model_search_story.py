"""The model search demo: Seattle's weather, which models may be as good as the chosen one, and what a column is worth."""

from __future__ import annotations

from corrida.demos.evaluation_story import FIGURES
from corrida.demos.story import Command, Demo, Optional

_SEARCH = Optional(
    ("sklearn", "skops", "xgboost"),
    "the demo needs scikit-learn, skops and xgboost: pip install 'corrida[search]'",
)


def _run(told: str, tag: str, *more: str) -> Command:
    return Command(told, ("run", "weather", "--seed", "1", "--run-tag", tag, *more), optional=(FIGURES,))


def _compare(told: str, a: str, b: str) -> Command:
    return Command(told, ("compare", a, b, "--only-changed", "--items", "3"))


MODEL_SEARCH = Demo(
    "model-search",
    "model_search",
    "Seattle's daily weather: which model tells the warmest temperature of a day, and whether it is really better",
    (
        _run(
            "Six models and their settings. The last fifth of the days is tested; validation chooses without seeing it.",
            "first",
        ),
        Command("The search, and how many runs of single models it holds.", ("list",)),
        Command(
            "The days that the chosen model misses most.",
            ("items", "run_first", "--where", "loss > 45", "--columns", "item_id,date,weather,expected,output"),
        ),
        _run("Does the kind of weather help? The same search without it.", "no_kind", "--set", "ignore=[weather]"),
        _compare("Is the difference real? The same days side by side, neighbours counted as one.", "run_first", "run_no_kind"),
        _run("And the lowest temperature of the day?", "no_low", "--set", "ignore=[temp_min]"),
        _compare("This time the verdict is clear.", "run_first", "run_no_low"),
        Command("The first search goes into production.", ("promote", "run_first", "--reason", "the first search")),
        Command(
            "December, which no search has seen, by the chosen model.",
            ("predict", "@production", "--data", "data/december.csv"),
        ),
    ),
    (
        "open runs/run_first/report.md (and report.html, with the extra report)",
        "corrida list --all",
        "corrida predict @production --data data/december.csv --model random_forest",
        "corrida run weather --set method=tpe --set n_iter=30 --jobs 2",
        "corrida compare run_first latest",
    ),
    needs=(_SEARCH,),
)  # fmt: skip

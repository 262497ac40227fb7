"""What the workload of model search is given: rows, folds, and the candidates of each model."""

MODELS = ("ridge", "random_forest", "gradient_boosting")
RANDOM_STATE = 7
FOLDS = 5


def rows():
    """Return features and target of the weather of the demo, day by day, split into training and test rows."""
    import csv
    from importlib.resources import files

    import numpy as np

    text = (files("corrida") / "demos" / "model_search" / "data" / "weather.csv").read_text(encoding="utf-8")
    table = list(csv.DictReader(text.splitlines()))
    names = ("precipitation", "temp_min", "wind")
    features = [
        [float(row[name]) for name in names] + [float(row["date"][5:7]), float(row["date"][8:10])]
        for row in table
    ]
    x, y = np.array(features), np.array([float(row["temp_max"]) for row in table])
    first = len(y) * 4 // 5
    return x[:first], y[:first], x[first:], y[first:]


def folds(count: int):
    """Return training and validation rows, in time."""
    from sklearn.model_selection import TimeSeriesSplit

    return list(TimeSeriesSplit(FOLDS).split(range(count)))


def candidates(name: str, count: int):
    """Return the estimator of a search by corrida, with its preprocessing, and the settings of it that are tried."""
    from corrida.model_search import SearchData, SearchSettings, available_specs
    from corrida.pipelines.model_search.model_run import ModelRun
    from corrida.pipelines.model_search.search.random import random_candidates
    from corrida.pipelines.model_search.search_data import prepare

    x, y, _, _ = rows()
    prepared = prepare(SearchData(x, y, splits=folds(len(y))), cv=FOLDS, random_state=RANDOM_STATE)
    settings = SearchSettings(n_iter=count, random_state=RANDOM_STATE)
    run = ModelRun(available_specs()[name], prepared, settings, "r2")
    drawn = random_candidates(run.problem).values()
    prefix = run.evaluation.prefix
    return run.estimator, [{f"{prefix}{key}": value for key, value in one.items()} for one in drawn]

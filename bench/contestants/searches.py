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
        [float(row[name]) for name in names] + [float(row["date"][5:7]), float(row["date"][8:10])] for row in table
    ]
    x, y = np.array(features), np.array([float(row["temp_max"]) for row in table])
    first = len(y) * 4 // 5
    return x[:first], y[:first], x[first:], y[first:]


def folds(count: int):
    """Return training and validation rows, in time."""
    from sklearn.model_selection import TimeSeriesSplit

    return list(TimeSeriesSplit(FOLDS).split(range(count)))


def candidates(name: str, count: int):
    """Return an estimator and the settings of it that a search by corrida tries."""
    from corrida.model_search import available_specs
    from corrida.pipelines.model_search.preprocessing import settled
    from corrida.pipelines.model_search.search import Problem
    from corrida.pipelines.model_search.search.random import random_candidates

    spec = available_specs()[name]
    estimator = settled(spec.build(), RANDOM_STATE)
    defaults = {key: estimator.get_params()[key] for key in spec.space}
    problem = Problem(space=spec.distributions, defaults=defaults, n_iter=count, random_state=RANDOM_STATE)
    return estimator, list(random_candidates(problem).values())

"""The floor: plain Python that writes and reads the same content, with nothing around it."""

import json
import os
import sqlite3
import sys

from bench.contestants import material


def small_runs(store: str, count: str, scratch: str, fsync: str = "", warm_up: str = "3", first: str = "0"):
    """Write runs: a folder with run.json, metrics.json and the artifacts; durable on request."""
    files = material.artifacts(scratch)
    os.makedirs(store, exist_ok=True)
    name = f"run_{os.getpid()}_"
    durable = bool(fsync)

    def one(number):
        _one_run(store, f"{name}{number}", number, files, durable=durable)

    return material.timed_runs(one, int(count), first=int(first), warm_up=int(warm_up))


def _one_run(store, run_id, number, files, *, durable):
    folder = f"{store}/{run_id}"
    os.mkdir(folder)
    record = {"id": run_id, "params": material.params(number), "metrics": material.metrics(number)}
    _write(f"{folder}/run.json", json.dumps(record).encode(), durable)
    _write(f"{folder}/metrics.json", json.dumps(record["metrics"]).encode(), durable)
    for path in files:
        with open(path, "rb") as source:
            _write(f"{folder}/{os.path.basename(path)}", source.read(), durable)
    if durable:
        _sync_folder(folder)
        _sync_folder(store)


def _write(path, content, durable):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    os.write(fd, content)
    if durable:
        os.fsync(fd)
    os.close(fd)


def _sync_folder(folder):
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


def count_runs(store: str):
    """Count the runs that are whole."""
    whole = 0
    for name in os.listdir(store):
        with open(f"{store}/{name}/run.json", "rb") as file:
            whole += len(json.load(file)["metrics"]) == len(material.metrics(0))
        whole -= len(os.listdir(f"{store}/{name}")) != 2 + material.ARTIFACTS
    return {"runs": whole}


def fill(store: str, count: str, scratch: str, first: str = "0"):
    """Write runs without artifacts."""
    os.makedirs(store, exist_ok=True)
    for number in range(int(first), int(first) + int(count)):
        _one_run(store, f"run_{number:07}", number, (), durable=False)


def index(store: str, table: str):
    """Write an indexed SQLite table of the runs of a store that ``fill`` made."""
    rows = []
    for name in sorted(os.listdir(store)):
        with open(f"{store}/{name}/run.json", "rb") as file:
            content = file.read()
        rows.append((name, json.loads(content)["metrics"][material.METRIC], content))
    with sqlite3.connect(table) as connection:
        connection.execute("CREATE TABLE runs (id TEXT PRIMARY KEY, value REAL, record BLOB)")
        connection.executemany("INSERT INTO runs VALUES (?, ?, ?)", rows)
        connection.execute("CREATE INDEX runs_value ON runs (value)")
    connection.close()


def list_table(table: str):
    """Print the 20 best runs from the table."""
    connection = sqlite3.connect(table)
    for _name, value, content in connection.execute("SELECT * FROM runs ORDER BY value DESC LIMIT 20"):
        material.top_line(json.loads(content)["id"], value)


def list_scan(store: str):
    """Print the 20 best runs by reading the run.json of all."""
    found = []
    for name in os.listdir(store):
        with open(f"{store}/{name}/run.json", "rb") as file:
            record = json.load(file)
        found.append((record["metrics"][material.METRIC], record["id"]))
    for value, name in sorted(found, reverse=True)[:20]:
        material.top_line(name, value)


def compare(store: str, a: str, b: str):
    """Read two runs and print what differs."""
    sides = []
    for name in (a, b):
        with open(f"{store}/{name}/run.json", "rb") as file:
            record = json.load(file)
        sides.append({**record["params"], **record["metrics"]})
    material.print_differences(*sides)


def steps(store: str, count: str):
    """Log step metrics: one line of JSON and one system call each, so that a kill loses nothing."""
    with _History(store) as log:
        return material.timed_calls(log, int(count))


def steps_until_killed(store: str, counter: str, most: str):
    """Log step metrics until killed."""
    with _History(store) as log:
        material.counted_calls(log, counter, int(most))


class _History:
    def __init__(self, store):
        os.makedirs(store, exist_ok=True)
        self.fd = os.open(f"{store}/history.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def __enter__(self):
        fd, dumps, write, values = self.fd, json.dumps, os.write, material.step_metrics
        return lambda step: write(fd, (dumps({"step": step, "metrics": values(step)}) + "\n").encode())

    def __exit__(self, *_):
        os.close(self.fd)


def count_steps(store: str):
    """Count the calls that can be read back."""
    with open(f"{store}/history.jsonl", "rb") as file:
        return {"steps": sum(len(json.loads(line)["metrics"]) == 3 for line in file if line.endswith(b"\n"))}


def verdict(store: str, a: str, b: str):
    """Read the item tables of two runs, and say how long it took."""
    import time

    import polars as pl

    for _ in range(2):  # the first is the warm-up
        started = time.perf_counter()
        tables = [pl.read_parquet(f"{store}/{name}/items.parquet") for name in (a, b)]
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "items": sum(table.height for table in tables)}


def item(store: str, item_id: str):
    """Read the item tables of all runs, one by one, and print the rows of one item."""
    import polars as pl

    for name in sorted(os.listdir(store)):
        path = f"{store}/{name}/items.parquet"
        if os.path.exists(path):
            for row in pl.read_parquet(path).filter(pl.col("item_id") == item_id).iter_rows():
                print(name, *row)


def evaluation_matching(detections: str, labels: str):
    """Call rapidfuzz and the embedding model on the texts of detections and labels, and say how long it took."""
    import time
    from pathlib import Path

    import numpy as np
    import wordllama
    from rapidfuzz import fuzz, process

    from bench.contestants import classroom

    known = classroom.labels(int(labels))
    said, _meant = classroom.detections(int(detections), known)
    # Nothing but the two libraries is timed: names are folded before, and texts of like length make up the batches.
    names, of_labels = ([name.lower() for name, _ in rows] for rows in (said, known))
    whole = [sorted((f"{name}. {text}" for name, text in rows), key=len) for rows in (said, known)]
    batches = [texts[first : first + 64] for texts in whole for first in range(0, len(texts), 64)]
    folder = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load("l2_supercat", cache_dir=folder, dim=256, disable_download=True)
    for _ in range(2):  # the first is the warm-up
        started = time.perf_counter()
        process.cdist(names, of_labels, scorer=fuzz.ratio, dtype=np.float32, workers=1)
        for batch in batches:
            model.embed(batch, norm=False, batch_size=64)
        seconds = time.perf_counter() - started
    return {"seconds": seconds}


def evaluation_grid(items: str, resamples: str):
    """Draw the clusters of a grid again and again, and say how long it took and how good its first cell is."""
    import time

    import numpy as np

    from bench.contestants import classroom

    sums = _cluster_sums(classroom.graded(int(items)))
    clusters, cells = sums.shape[:2]
    for _ in range(2):  # the first is the warm-up
        started = time.perf_counter()
        draw = np.random.default_rng(0)
        flat, even = sums.reshape(clusters, -1), np.full(clusters, 1 / clusters)
        drawn = []
        for first in range(0, int(resamples), 500):
            many = min(500, int(resamples) - first)
            drawn.append(draw.multinomial(clusters, even, size=many).astype(float) @ flat)
        limits = np.quantile(_f1(np.concatenate(drawn).reshape(-1, cells, 3)), (0.025, 0.975), axis=0)
        seconds = time.perf_counter() - started
    f1 = float(_f1(sums.sum(axis=0))[0])
    return {"seconds": seconds, "f1": f1, "low": float(limits[0, 0]), "high": float(limits[1, 0])}


def _f1(sums):
    import numpy as np

    tp, fp, fn = np.moveaxis(sums, -1, 0)
    return 2 * tp / (2 * tp + fp + fn)


def _cluster_sums(graded):
    """Count true labels found, other findings, and true labels not found: clusters × cells × 3."""
    import numpy as np

    from bench.contestants import classroom

    items, pairs = len(graded.true), len(classroom.PAIRS)
    counts = np.zeros((items, len(classroom.MATCHERS), pairs, 3))
    for place, matcher in enumerate(classroom.MATCHERS):
        given = {}
        for item, pair, name, label, score in zip(
            graded.item, graded.pair, graded.name, *graded.matched[matcher], strict=True
        ):
            decision = int(label) if score >= classroom.THRESHOLD else name
            given.setdefault((int(item), int(pair)), set()).add(decision)
        for item, true in enumerate(graded.true):
            for pair in range(pairs):
                decisions = given.get((item, pair), set())
                found = len(decisions & set(true))
                counts[item, place, pair] = found, len(decisions) - found, len(true) - found
    starts = np.arange(0, items, classroom.CLUSTER)
    return np.add.reduceat(counts.reshape(items, -1, 3), starts, axis=0)


def forecasting(series: str, folder: str, warm_up: str = "1"):
    """Validate, refit and forecast by the bare libraries, and say how long it took."""
    import time
    import warnings

    import lightgbm
    import polars as pl
    import statsforecast.models
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean
    from mlforecast.target_transforms import Differences, LocalStandardScaler
    from statsforecast import StatsForecast

    from bench.contestants import forecasts

    warnings.simplefilter("ignore")
    os.makedirs(folder, exist_ok=True)
    season, horizon, level = forecasts.SEASON, forecasts.HORIZON, [forecasts.LEVEL]
    windows = {"h": horizon, "n_windows": forecasts.WINDOWS, "step_size": horizon, "refit": True}
    errors = {}
    for count in (2, int(series))[warm_up == "0" :]:
        forecasts.write(f"{folder}/employment_{count}.csv", count)
        started = time.perf_counter()
        table = pl.read_csv(
            f"{folder}/employment_{count}.csv", try_parse_dates=True, schema_overrides={"y": pl.Float64}
        )
        for name in forecasts.STATISTICAL:
            model = getattr(statsforecast.models, name)(season_length=season)
            bare = StatsForecast([model], freq="1mo", n_jobs=1)
            found = bare.cross_validation(df=table, level=level, **windows)
            bare.fit(table).predict(h=horizon, level=level)
            errors[name] = float((found["y"] - found[name]).abs().mean())
        learner = lightgbm.LGBMRegressor(
            n_estimators=200,
            learning_rate=0.05,
            num_leaves=15,
            min_child_samples=5,
            random_state=1,
            n_jobs=1,
            deterministic=True,
            force_row_wise=True,
            verbosity=-1,
        )
        bare = MLForecast(
            models={forecasts.LEARNING: learner},
            freq="1mo",
            lags=list(range(1, 2 * season + 1)),
            lag_transforms={1: [RollingMean(season)]},
            target_transforms=[Differences([season]), LocalStandardScaler()],
            date_features=["month"],
        )
        found = bare.cross_validation(table, **windows, static_features=[])
        bare.fit(table, static_features=[])
        bare.predict(horizon)
        errors[forecasts.LEARNING] = float((found["y"] - found[forecasts.LEARNING]).abs().mean())
        seconds = time.perf_counter() - started
    return {"seconds": seconds, **errors}


def model_search(models: str, candidates: str, jobs: str, folder: str, warm_up: str = "1"):
    """Search by scikit-learn alone, and say how long a candidate took, the rest, and what the best scores are."""
    import time

    from sklearn.base import clone
    from sklearn.metrics import r2_score
    from sklearn.model_selection import RandomizedSearchCV

    from bench.contestants import searches

    x, y, x_test, y_test = searches.rows()
    folds = searches.folds(len(y))
    drawn = {name: searches.candidates(name, int(candidates)) for name in models.split(",")}
    scores = {}
    for count in (2, None)[warm_up == "0" :]:
        seconds = rest = 0.0
        for name, (estimator, settings) in drawn.items():
            grids = [{key: [value] for key, value in one.items()} for one in settings[:count]]
            started = time.perf_counter()
            search = RandomizedSearchCV(
                estimator,
                grids,
                n_iter=len(grids),
                scoring="r2",
                cv=folds,
                n_jobs=int(jobs),
                random_state=0,
                refit=False,
            ).fit(x, y)
            searched = time.perf_counter()
            best = clone(estimator).set_params(**search.best_params_).fit(x, y)
            r2_score(y_test, best.predict(x_test))
            seconds += searched - started
            rest += time.perf_counter() - searched
            scores[name] = float(search.best_score_)
    return {"seconds": seconds / len(drawn) / int(candidates), "rest": rest, **scores}


def risk_models(**options: str):
    """Call the risk models on a matrix that is ready."""
    from bench.contestants import bare_models

    return bare_models.models(**options)


def risk_jobs(**options: str):
    """Hand small files to loops over a folder."""
    from bench.contestants import bare_models

    return bare_models.jobs(**options)


def client_runs(store: str, count: str, calls: str, fsync: str = "1", warm_up: str = "3", first: str = "0"):
    """Write runs with 100 points of a metric: run.json, and history.jsonl with one line and one system call each."""
    os.makedirs(store, exist_ok=True)
    durable = fsync == "1"

    def one(number):
        run_id = f"run_{os.getpid()}_{number}"
        folder = f"{store}/{run_id}"
        os.mkdir(folder)
        points = [(1 / (step + 1 + number % 50), step) for step in range(100)]
        lines = [json.dumps({"step": step, "loss": value}) + "\n" for value, step in points]
        fd = os.open(f"{folder}/history.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for text in ["".join(lines)] if calls == "batch" else lines:
            os.write(fd, text.encode())
        if durable:
            os.fsync(fd)
        os.close(fd)
        record = {"id": run_id, "params": material.params(number), "metrics": {"loss": points[-1][0]}}
        _write(f"{folder}/run.json", json.dumps(record).encode(), durable)
        if durable:
            _sync_folder(folder)
            _sync_folder(store)

    return material.timed_runs(one, int(count), first=int(first), warm_up=int(warm_up))


def client_search(store: str, total: str):
    """Read the run.json of all runs, and take the best of those that fit."""
    import time

    for _ in range(2):  # the first is the warm-up
        started = time.perf_counter()
        found = []
        for name in os.listdir(store):
            with open(f"{store}/{name}/run.json", "rb") as file:
                record = json.load(file)
            if record["metrics"]["loss"] < 0.009 and record["params"]["depth"] == 3:
                found.append((record["metrics"]["loss"], name))
        found.sort()
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "found": len(found[:20])}


def nothing():
    """Start Python and end it."""


def version():
    """Return the version of Python."""
    return {"version": sys.version.split()[0]}

"""corrida, used as its documentation says."""

import os

import corrida
from bench.contestants import material


def small_runs(store: str, count: str, scratch: str, warm_up: str = "3", first: str = "0", ids: str = ""):
    """Make runs as a script would; with ``ids`` under ids of their own, else under those that corrida makes."""
    files = material.artifacts(scratch)

    def one(number):
        run_id = f"{ids}_{os.getpid()}_{number}" if ids else None
        with corrida.start_run(store=store, run_id=run_id, params=material.params(number)) as run:
            run.log_metrics(material.metrics(number))
            for path in files:
                run.log_artifact(path)

    return material.timed_runs(one, int(count), first=int(first), warm_up=int(warm_up))


def count_runs(store: str):
    """Count the runs that are whole: finished, with all metrics and artifacts, and nothing altered."""
    opened = corrida.Store(store)
    intact = {found.run for found in opened.verify() if found.intact}
    return {
        "runs": sum(
            run.status == "finished"
            and len(run.metrics) == len(material.metrics(0))
            and len(run.artifacts()) == material.ARTIFACTS
            and run.id in intact
            for run in opened.runs()
        )
    }


def fill(store: str, count: str, scratch: str, first: str = "0"):
    """Make runs without artifacts; those that are there already stay."""
    for number in range(int(first), int(first) + int(count)):
        if os.path.exists(f"{store}/run_{number:07}"):
            continue
        with corrida.start_run(
            store=store, run_id=f"run_{number:07}", params=material.params(number), capture=False
        ) as run:
            run.log_metrics(material.metrics(number))


def with_items(store: str, run_id: str, count: str, offset: str):
    """Make a run with a table of items, of which some are right."""
    rows = [
        {
            "item_id": f"item_{i:07}",
            "output": f"answer {(i + int(offset)) % 5}",
            "expected": f"answer {i % 5}",
            "correct": (i + int(offset)) % 3 > 0,
            "loss": ((i * 7 + int(offset)) % 100) / 100,
        }
        for i in range(int(count))
    ]
    with corrida.start_run(
        store=store, run_id=run_id, params=material.params(int(offset)), primary_metric="accuracy"
    ) as run:
        run.log_items(rows)
        run.log_metrics(
            {**material.metrics(int(offset)), "accuracy": sum(r["correct"] for r in rows) / len(rows)}
        )


def steps(store: str, count: str):
    """Log step metrics."""
    with corrida.start_run(store=store) as run:
        return material.timed_calls(lambda step: run.log(material.step_metrics(step), step=step), int(count))


def steps_until_killed(store: str, counter: str, most: str):
    """Log step metrics until killed."""
    with corrida.start_run(store=store) as run:
        material.counted_calls(
            lambda step: run.log(material.step_metrics(step), step=step), counter, int(most)
        )


def count_steps(store: str):
    """Count the calls that can be read back."""
    (run,) = corrida.Store(store).runs()
    return {"steps": sum(1 for _ in run.history().iter_rows()), "status": run.status}


def with_many_items(store: str, run_id: str, count: str, offset: str):
    """Make a run with a large table of items, each with a loss of its own, and the metrics that they give."""
    items, metrics = material.many_items(int(count), int(offset))
    with corrida.start_run(store=store, run_id=run_id, primary_metric="accuracy", capture=False) as run:
        run.log_items(items)
        run.log_metrics(metrics)


def verdict(store: str, a: str, b: str, resamples: str):
    """Compare two runs, with the verdict on three metrics, and say how long it took and what came out."""
    import time

    from corrida.analysis.compare import compare_runs
    from corrida.analysis.metric_tests import VerdictOptions

    opened = corrida.Store(store)
    runs = [opened.get(a), opened.get(b)]
    options = VerdictOptions(resamples=int(resamples))
    for _ in range(2):  # the first is the warm-up
        started = time.perf_counter()
        found = compare_runs(*runs, metric=["accuracy", "f1", "loss"], options=options)
        seconds = time.perf_counter() - started
    if any(v.difference is None for v in found.verdicts):
        raise SystemExit(f"a metric was not tested: {found.verdicts}")
    return {"seconds": seconds}


def with_histories(store: str, count: str, items: str):
    """Make runs with items, of which each run gives other answers; those that are there already stay."""
    for number in range(int(count)):
        run_id = f"run_{number:07}"
        if os.path.exists(f"{store}/{run_id}/items.parquet"):
            continue
        rows, metrics = material.many_items(int(items), number)
        with corrida.start_run(
            store=store, run_id=run_id, params={"number": number // 50}, capture=False
        ) as run:
            run.log_items(rows)
            run.log_metrics(metrics)


class _Silent:
    """The recorder of a pipeline that is not part of a run."""

    def progress(self, items, **_shown):
        return iter(items)

    def warn(self, message):
        raise SystemExit(message)


def evaluation_matching(detections: str, labels: str):
    """Match detections with labels by spelling and meaning, and say how long it took."""
    import time

    import numpy as np
    import polars as pl

    from bench.contestants import classroom
    from corrida.pipelines.evaluation.embeddings import make_embedder
    from corrida.pipelines.evaluation.match import match_detections
    from corrida.pipelines.evaluation.settings import EvaluationConfig, Matchers
    from corrida.pipelines.evaluation.taxonomy import Label, Taxonomy

    known = classroom.labels(int(labels))
    said, meant = classroom.detections(int(detections), known)
    taxonomy = Taxonomy([Label(f"L{i}", name, text, None) for i, (name, text) in enumerate(known)])
    columns = {"name": [name for name, _ in said], "description": [text for _, text in said], "topic": None}
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    config, recorder = EvaluationConfig(matchers=Matchers(use=["fuzzy", "semantic"])), _Silent()
    for _ in range(2):  # the first is the warm-up; each has an embedder that knows no text yet
        started = time.perf_counter()
        found = match_detections(
            frame, taxonomy, config, lambda: make_embedder(config.embedding, recorder), recorder
        )
        seconds = time.perf_counter() - started
    right = {name: float(np.mean(matched.label == np.array(meant))) for name, matched in found.items()}
    if min(right.values()) < 0.5:
        raise SystemExit(f"most detections got another label than the one that is meant: {right}")
    return {"seconds": seconds, **right}


def evaluation_grid(items: str, resamples: str):
    """Give a grid its intervals, and say how long it took and how good its first cell is."""
    import time
    from pathlib import Path

    import polars as pl

    from bench.contestants import classroom
    from corrida.pipelines.evaluation.match import Matched
    from corrida.pipelines.evaluation.score.counting import Said
    from corrida.pipelines.evaluation.score.grid import count_columns, make_grid
    from corrida.pipelines.evaluation.settings import Bootstrap
    from corrida.pipelines.evaluation.truth import Truth

    graded = classroom.graded(int(items))
    ids = [f"item_{i:05}" for i in range(int(items))]
    students = [f"student_{i // classroom.CLUSTER:05}" for i in range(int(items))]
    truth = Truth(
        Path("truth"), pl.DataFrame(), ids, graded.true, [None] * len(ids), students, clustered=True
    )
    frame = pl.DataFrame(
        {
            "item": [ids[i] for i in graded.item],
            "strategy": [classroom.PAIRS[i][0] for i in graded.pair],
            "model": [classroom.PAIRS[i][1] for i in graded.pair],
            "name": graded.name,
            "description": graded.name,
            "confidence": pl.Series([None] * len(graded.name), dtype=pl.Float64),
        }
    )
    said = Said(frame, truth, classroom.LABELS, classroom.PAIRS)
    matched = {name: Matched(*found) for name, found in graded.matched.items()}
    columns = count_columns(said, matched, dict.fromkeys(matched, classroom.THRESHOLD))
    settings = Bootstrap(resamples=int(resamples))
    for _ in range(2):  # the first is the warm-up
        started = time.perf_counter()
        cells, _means = make_grid(said, columns, settings, seed=0)
        seconds = time.perf_counter() - started
    limits = [
        estimate for cell in cells for estimate in (cell.rates.f1, cell.rates.precision, cell.rates.recall)
    ]
    if len(cells) != 24 or any(one is None or one.low is None for one in limits):
        raise SystemExit(f"the grid is not whole: {cells}")
    first = cells[0].rates.f1
    return {"seconds": seconds, "f1": first.value, "low": first.low, "high": first.high}


def forecasting(series: str, folder: str, report: str = "", warm_up: str = "1"):
    """Run the forecasting pipeline as the command line does, and say how long it took."""
    import contextlib
    import io
    import time

    from bench.contestants import forecasts
    from corrida.cli.main import run_cli

    os.makedirs(folder, exist_ok=True)
    models = ",".join((*forecasts.STATISTICAL, forecasts.LEARNING))
    settings = {
        "models": f"[{models}]",
        "horizon": forecasts.HORIZON,
        "n_windows": forecasts.WINDOWS,
        "levels": f"[{forecasts.LEVEL}]",
        "report": "true" if report else "false",
    }
    store = corrida.Store(f"{folder}/runs")
    for count in (2, int(series))[warm_up == "0" :]:
        forecasts.write(f"{folder}/employment_{count}.csv", count)
        said = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        arguments = [
            "run",
            "forecasting",
            "--data",
            f"{folder}/employment_{count}.csv",
            "--run-id",
            f"of_{count}",
        ]
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            code = run_cli([*arguments, *said, "--store", str(store.root)])
        seconds = time.perf_counter() - started
        if code:
            raise SystemExit(f"the run ended with {code}")
    metrics = store.get(f"of_{series}").metrics
    names = (*forecasts.STATISTICAL, forecasts.LEARNING)
    return {"seconds": seconds, **{name: metrics[f"{name}.mae"] for name in names}}


def model_search(models: str, candidates: str, jobs: str, folder: str, warm_up: str = "1"):
    """Search as the Python interface does it, and say how long a candidate took, the rest, and what the best scores are."""
    import logging
    import time

    from bench.contestants import searches

    logging.disable()
    x, y, x_test, y_test = searches.rows()
    folds = searches.folds(len(y))
    for count in (2, int(candidates))[warm_up == "0" :]:
        started = time.perf_counter()
        found = corrida.run_model_search(
            models.split(","),
            x,
            y,
            x_test,
            y_test,
            n_iter=count,
            cv=folds,
            random_state=searches.RANDOM_STATE,
            n_jobs=int(jobs),
            store=f"{folder}/runs",
        )
        seconds = time.perf_counter() - started
    searched = sum(one.train_duration_sec for one in found.values())
    scores = {name: one.metrics["val_r2"] for name, one in found.items()}
    return {"seconds": searched / len(found) / int(candidates), "rest": seconds - searched, **scores}


def risk_material(**options: str):
    """Train the risk models and make the files that they score."""
    from bench.contestants import transactions

    return transactions.prepare(**options)


def risk_file(**options: str):
    """Submit a large file to a worker."""
    from bench.contestants import runner

    return runner.file(**options)


def risk_jobs(**options: str):
    """Hand small files to the runner."""
    from bench.contestants import runner

    return runner.jobs(**options)


def _through_client(verb, options):
    from bench.contestants import client

    verbs = client.verbs(lambda store: client.open_store(f"corrida:{store}"))
    return {one.__name__: one for one in verbs}[verb](**options)


def client_runs(**options: str):
    """Make runs through the MLflow client."""
    return _through_client("client_runs", options)


def client_search(**options: str):
    """Search through the MLflow client."""
    return _through_client("client_search", options)


def client_count(**options: str):
    """Count through the MLflow client the runs that are whole."""
    return _through_client("client_count", options)


def version():
    """Return the version of corrida."""
    return {"version": corrida.__version__}

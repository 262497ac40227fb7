"""Code that logs through the MLflow client, the same whatever store is behind it."""

import os
import time

import mlflow
from mlflow.entities import Metric

from bench.contestants import material

EXPERIMENT = "bench"
POINTS = 100
SEARCHES = 5


def open_store(uri, location=None):
    """Set the store, and make the experiment unless it is there."""
    mlflow.set_tracking_uri(uri)
    if location is not None and mlflow.get_experiment_by_name(EXPERIMENT) is None:
        mlflow.create_experiment(EXPERIMENT, artifact_location=location)
    mlflow.set_experiment(EXPERIMENT)


def not_waiting():
    """Keep SQLite from waiting for the disk, in every connection from now on."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @event.listens_for(Engine, "connect")
    def _connected(connection, _record):
        connection.execute("PRAGMA synchronous = OFF")


def runs(count, calls, first, warm_up):
    """Make runs of 20 parameters and 100 points of a metric, and say how long one takes.

    With ``calls`` as ``batch`` all parameters are given in one call and all points in another, as ``single`` each in its own.
    """

    def one(number):
        with mlflow.start_run() as run:
            points = [(1 / (step + 1 + number % 50), step) for step in range(POINTS)]
            if calls == "batch":
                mlflow.log_params(material.params(number))
                now = int(time.time() * 1000)
                metrics = [Metric("loss", value, now, step) for value, step in points]
                mlflow.MlflowClient().log_batch(run.info.run_id, metrics=metrics)
                return
            for name, value in material.params(number).items():
                mlflow.log_param(name, value)
            for value, step in points:
                mlflow.log_metric("loss", value, step=step)

    return material.timed_runs(one, count, first=first, warm_up=warm_up)


def search(expected):
    """Search by a metric and a parameter, and say how long it takes and how many runs there are."""

    def once():
        return mlflow.search_runs(
            experiment_names=[EXPERIMENT],
            filter_string="metrics.loss < 0.009 and params.depth = '3'",
            order_by=["metrics.loss ASC"],
            max_results=20,
            output_format="list",
        )

    once()
    started = time.perf_counter()
    for _ in range(SEARCHES):
        found = once()
    seconds = (time.perf_counter() - started) / SEARCHES
    if len(found) != expected:
        raise SystemExit(f"the search found {len(found)} runs, and there are {expected}")
    return {"seconds": seconds, "found": len(found)}


def count():
    """Count the runs that are whole: ended, with all parameters and all points."""
    client = mlflow.MlflowClient()
    found = mlflow.search_runs(experiment_names=[EXPERIMENT], output_format="list", max_results=1000)
    return {
        "runs": sum(
            run.info.status == "FINISHED"
            and len(run.data.params) == len(material.params(0))
            and len(client.get_metric_history(run.info.run_id, "loss")) == POINTS
            for run in found
        )
    }


def matching(total):
    """Return how many of the first runs the search has to find."""
    wanted = [n for n in range(total) if 1 / (POINTS + n % 50) < 0.009 and n % 12 == 3]
    return min(len(wanted), 20)


def verbs(opened):
    """Return the functions of a contestant, given one that opens its store."""

    def client_runs(
        store: str, count: str, calls: str, first: str = "0", warm_up: str = "3", waiting: str = "1"
    ):
        if waiting != "1":
            not_waiting()
        os.makedirs(store, exist_ok=True)
        opened(store)
        return runs(int(count), calls, int(first), int(warm_up))

    def client_search(store: str, total: str):
        opened(store)
        return search(matching(int(total)))

    def client_count(store: str):
        opened(store)
        return count()

    return client_runs, client_search, client_count

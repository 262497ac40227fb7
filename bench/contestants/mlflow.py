"""MLflow with its default backend, a SQLite database, and artifacts in a folder beside it."""

import os

import mlflow

from bench.contestants import client, material


def _open(store):
    os.makedirs(store, exist_ok=True)
    mlflow.set_tracking_uri(f"sqlite:///{store}/mlflow.db")
    if mlflow.get_experiment_by_name("bench") is None:
        mlflow.create_experiment("bench", artifact_location=f"file://{store}/artifacts")
    mlflow.set_experiment("bench")


def initialise(store: str):
    """Create the database, which MLflow does not survive being done by several processes at once."""
    _open(store)


def small_runs(store: str, count: str, scratch: str, warm_up: str = "3", first: str = "0"):
    """Make runs."""
    _open(store)
    files = material.artifacts(scratch)

    def one(number):
        with mlflow.start_run():
            mlflow.log_params(material.params(number))
            mlflow.log_metrics(material.metrics(number))
            for path in files:
                mlflow.log_artifact(path)

    return material.timed_runs(one, int(count), first=int(first), warm_up=int(warm_up))


def _runs(**options):
    return mlflow.search_runs(experiment_names=["bench"], output_format="list", **options)


def count_runs(store: str):
    """Count the runs that are whole."""
    _open(store)
    return {
        "runs": sum(
            run.info.status == "FINISHED"
            and len(run.data.metrics) == len(material.metrics(0))
            and len(run.data.params) == len(material.params(0))
            and len(mlflow.artifacts.list_artifacts(run_id=run.info.run_id)) == material.ARTIFACTS
            for run in _runs(max_results=1000)
        )
    }


def fill(store: str, count: str, scratch: str, first: str = "0"):
    """Make runs without artifacts."""
    _open(store)
    for number in range(int(first), int(first) + int(count)):
        with mlflow.start_run():
            mlflow.log_params(material.params(number))
            mlflow.log_metrics(material.metrics(number))


def list_best(store: str):
    """Print the 20 best runs."""
    _open(store)
    for run in _runs(order_by=[f"metrics.{material.METRIC} DESC"], max_results=20):
        material.top_line(run.info.run_id, run.data.metrics[material.METRIC])


def two_runs(store: str):
    """Return the ids of two runs."""
    _open(store)
    a, b = _runs(max_results=2)
    return {"a": a.info.run_id, "b": b.info.run_id}


def compare(store: str, a: str, b: str):
    """Print what differs between two runs."""
    mlflow.set_tracking_uri(f"sqlite:///{store}/mlflow.db")
    sides = [{**run.data.params, **run.data.metrics} for run in map(mlflow.get_run, (a, b))]
    material.print_differences(*sides)


def steps(store: str, count: str):
    """Log step metrics."""
    _open(store)
    with mlflow.start_run():
        return material.timed_calls(
            lambda step: mlflow.log_metrics(material.step_metrics(step), step=step), int(count)
        )


def steps_until_killed(store: str, counter: str, most: str):
    """Log step metrics until killed."""
    _open(store)
    with mlflow.start_run():
        material.counted_calls(
            lambda step: mlflow.log_metrics(material.step_metrics(step), step=step), counter, int(most)
        )


def count_steps(store: str):
    """Count the calls that can be read back."""
    _open(store)
    (run,) = _runs()
    return {"steps": len(mlflow.MlflowClient().get_metric_history(run.info.run_id, "rate"))}


client_runs, client_search, client_count = client.verbs(
    lambda store: client.open_store(f"sqlite:///{store}/mlflow.db", f"file://{store}/artifacts")
)


def version():
    """Return the version."""
    return {"version": mlflow.__version__}

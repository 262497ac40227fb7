"""Aim: one RocksDB database a repository; here without its threads for system metrics and terminal logs."""

import os

import aim

from bench.contestants import material


def initialise(store: str):
    """Create the repository, as ``aim init`` does."""
    os.makedirs(store, exist_ok=True)
    aim.Repo.from_path(store, init=True)


def _run(store):
    run = aim.Run(repo=store, experiment="bench", system_tracking_interval=None, capture_terminal_logs=False)
    run.set_artifacts_uri(f"file://{store}/artifacts")
    return run


def small_runs(store: str, count: str, scratch: str, warm_up: str = "3", first: str = "0"):
    """Make runs."""
    files = material.artifacts(scratch)
    initialise(store)

    def one(number):
        run = _run(store)
        run["params"] = material.params(number)
        for name, value in material.metrics(number).items():
            run.track(value, name=name)
        for path in files:
            run.log_artifact(path, block=True)
        run.close()

    return material.timed_runs(one, int(count), first=int(first), warm_up=int(warm_up))


def _metrics(run):
    return {metric.name: metric.values.last_value() for metric in run.metrics()}


def count_runs(store: str):
    """Count the runs that are whole."""
    whole = 0
    for run in aim.Repo.from_path(store).iter_runs():
        kept = f"{store}/artifacts/{run.hash}"
        whole += (
            run.get("params") is not None
            and len(_metrics(run)) == len(material.metrics(0))
            and os.path.isdir(kept)
            and len(os.listdir(kept)) == material.ARTIFACTS
        )
    return {"runs": whole}


def fill(store: str, count: str, scratch: str, first: str = "0"):
    """Make runs without artifacts."""
    initialise(store)
    for number in range(int(first), int(first) + int(count)):
        run = _run(store)
        run["params"] = material.params(number)
        for name, value in material.metrics(number).items():
            run.track(value, name=name)
        run.close()


def list_best(store: str):
    """Print the 20 best runs."""
    repo = aim.Repo.from_path(store)
    found = []
    for collection in repo.query_metrics(f"metric.name == '{material.METRIC}'", report_mode=0).iter_runs():
        found += [(metric.values.last_value(), metric.run.hash) for metric in collection]
    for value, name in sorted(found, reverse=True)[:20]:
        material.top_line(name, value)


def two_runs(store: str):
    """Return the ids of two runs."""
    runs = aim.Repo.from_path(store).iter_runs()
    return {"a": next(runs).hash, "b": next(runs).hash}


def compare(store: str, a: str, b: str):
    """Print what differs between two runs."""
    repo = aim.Repo.from_path(store)
    sides = []
    for name in (a, b):
        run = repo.get_run(name)
        sides.append({**run["params"], **_metrics(run)})
    material.print_differences(*sides)


def _log(run, step):
    run.track(material.step_metrics(step), step=step)


def steps(store: str, count: str):
    """Log step metrics."""
    initialise(store)
    run = _run(store)
    found = material.timed_calls(lambda step: _log(run, step), int(count))
    run.close()
    return found


def steps_until_killed(store: str, counter: str, most: str):
    """Log step metrics until killed."""
    initialise(store)
    run = _run(store)
    material.counted_calls(lambda step: _log(run, step), counter, int(most))


def count_steps(store: str):
    """Count the calls that can be read back."""
    (run,) = aim.Repo.from_path(store).iter_runs()
    return {"steps": min((len(metric.values.sparse_numpy()[0]) for metric in run.metrics()), default=0)}


def version():
    """Return the version."""
    from importlib.metadata import version

    return {"version": version("aim")}

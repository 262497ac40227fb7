"""Sacred with its file storage observer: a numbered folder of JSON files a run."""

import json
import os

from sacred import Experiment
from sacred.observers import FileStorageObserver

from bench.contestants import material


def _experiment(store, main, config):
    experiment = Experiment("bench", save_git_info=False, base_dir=os.getcwd())
    experiment.captured_out_filter = None
    experiment.observers.append(FileStorageObserver(store))
    experiment.add_config(config)
    experiment.main(main)
    return experiment


def small_runs(store: str, count: str, scratch: str, warm_up: str = "3", first: str = "0"):
    """Make runs of one experiment, each with a configuration of its own."""
    files = material.artifacts(scratch)
    return material.timed_runs(_maker(store, files), int(count), first=int(first), warm_up=int(warm_up))


def _maker(store, files):
    number = 0

    def main(_run):
        for name, value in material.metrics(number).items():
            _run.log_scalar(name, value)
        for path in files:
            _run.add_artifact(path)

    experiment = _experiment(store, main, material.params(0))

    def one(wanted):
        nonlocal number
        number = wanted
        experiment.run(config_updates=material.params(wanted), options={"--loglevel": "ERROR"})

    return one


def _read(store, name, file):
    with open(f"{store}/{name}/{file}", "rb") as stream:
        return json.load(stream)


def _names(store):
    return [name for name in os.listdir(store) if name.isdigit()]


def _best(store, name):
    return _read(store, name, "metrics.json")[material.METRIC]["values"][-1]


def count_runs(store: str):
    """Count the runs that are whole."""
    whole = 0
    for name in _names(store):
        run = _read(store, name, "run.json")
        whole += (
            run["status"] == "COMPLETED"
            and len(run["artifacts"]) == material.ARTIFACTS
            and len(_read(store, name, "metrics.json")) == len(material.metrics(0))
        )
    return {"runs": whole}


def fill(store: str, count: str, scratch: str, first: str = "0"):
    """Make runs without artifacts."""
    one = _maker(store, ())
    for number in range(int(first), int(first) + int(count)):
        one(number)


def list_best(store: str):
    """Print the 20 best runs; Sacred has no reader of its folders, so that this reads the metrics of each."""
    found = [(_best(store, name), name) for name in _names(store)]
    for value, name in sorted(found, reverse=True)[:20]:
        material.top_line(name, value)


def two_runs(store: str):
    """Return the ids of two runs."""
    return {"a": "1", "b": "2"}


def compare(store: str, a: str, b: str):
    """Print what differs between two runs."""
    sides = []
    for name in (a, b):
        metrics = {
            metric: found["values"][-1] for metric, found in _read(store, name, "metrics.json").items()
        }
        sides.append({**_read(store, name, "config.json"), **metrics})
    material.print_differences(*sides)


def steps(store: str, count: str):
    """Log step metrics."""
    found = {}

    def main(_run):
        found.update(material.timed_calls(lambda step: _log(_run, step), int(count)))

    _experiment(store, main, {"count": int(count)}).run(options={"--loglevel": "ERROR"})
    return found


def _log(run, step):
    for name, value in material.step_metrics(step).items():
        run.log_scalar(name, value, step)


def steps_until_killed(store: str, counter: str, most: str):
    """Log step metrics until killed."""

    def main(_run):
        material.counted_calls(lambda step: _log(_run, step), counter, int(most))

    _experiment(store, main, {"count": 0}).run(options={"--loglevel": "ERROR"})


def count_steps(store: str):
    """Count the calls that can be read back."""
    try:
        metrics = _read(store, "1", "metrics.json")
    except (FileNotFoundError, json.JSONDecodeError):
        return {"steps": 0}
    return {
        "steps": min(
            (len(metrics.get(name, {}).get("values", ())) for name in material.step_metrics(0)), default=0
        )
    }


def version():
    """Return the version."""
    import sacred

    return {"version": sacred.__version__}

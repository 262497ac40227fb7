"""DVCLive: a folder of YAML, JSON and TSV files a run, in a DVC repository without git; no experiments are saved."""

import json
import os

from dvclive import Live

from bench.contestants import material


def initialise(store: str):
    """Create the repository, without which DVCLive keeps no artifacts, as ``dvc init --no-scm`` does."""
    from dvc.repo import Repo

    os.makedirs(store)
    Repo.init(store, no_scm=True).close()


def _open(store):
    if not os.path.exists(f"{store}/.dvc"):
        initialise(store)
    os.chdir(store)


def _live(folder):
    return Live(folder, save_dvc_exp=False, dvcyaml=None)


def small_runs(store: str, count: str, scratch: str, warm_up: str = "3", first: str = "0"):
    """Make runs, each in a folder of its own."""
    files = material.artifacts(scratch)
    _open(store)
    name = f"run_{os.getpid()}_"

    def one(number):
        _one_run(f"{store}/{name}{number}", number, files)

    return material.timed_runs(one, int(count), first=int(first), warm_up=int(warm_up))


def _one_run(folder, number, files):
    with _live(folder) as live:
        live.log_params(material.params(number))
        for name, value in material.metrics(number).items():
            live.log_metric(name, value)
        for path in files:
            live.log_artifact(path, copy=True, cache=False)


def _names(store):
    return sorted(name for name in os.listdir(store) if name.startswith("run_"))


def count_runs(store: str):
    """Count the runs that are whole."""
    whole = 0
    for name in _names(store):
        with open(f"{store}/{name}/metrics.json", "rb") as file:
            metrics = json.load(file)
        kept = len(os.listdir(f"{store}/{name}/artifacts"))
        whole += material.metrics(0).keys() <= metrics.keys() and kept == material.ARTIFACTS
    return {"runs": whole}


def fill(store: str, count: str, scratch: str, first: str = "0"):
    """Make runs without artifacts."""
    _open(store)
    for number in range(int(first), int(first) + int(count)):
        _one_run(f"{store}/run_{number:07}", number, ())


def two_runs(store: str):
    """Return the ids of two runs."""
    a, b = _names(store)[:2]
    return {"a": a, "b": b}


def compare(store: str, a: str, b: str):
    """Print what differs between two runs, by reading the files of both."""
    from dvclive.serialize import load_yaml

    sides = []
    for name in (a, b):
        with open(f"{store}/{name}/metrics.json", "rb") as file:
            sides.append({**load_yaml(f"{store}/{name}/params.yaml"), **json.load(file)})
    material.print_differences(*sides)


def steps(store: str, count: str):
    """Log step metrics."""
    _open(store)
    with _live(f"{store}/run_1") as live:
        return material.timed_calls(lambda step: _log(live, step), int(count))


def _log(live, step):
    for name, value in material.step_metrics(step).items():
        live.log_metric(name, value)
    live.next_step()


def steps_until_killed(store: str, counter: str, most: str):
    """Log step metrics until killed."""
    _open(store)
    with _live(f"{store}/run_1") as live:
        material.counted_calls(lambda step: _log(live, step), counter, int(most))


def count_steps(store: str):
    """Count the calls that can be read back."""
    counts = []
    for name in material.step_metrics(0):
        with open(f"{store}/run_1/plots/metrics/{name}.tsv", "rb") as file:
            counts.append(sum(line.endswith(b"\n") for line in file) - 1)
    return {"steps": min(counts)}


def version():
    """Return the version."""
    from importlib.metadata import version

    return {"version": version("dvclive")}

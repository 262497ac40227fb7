"""Trackio: one SQLite database a project; here without its threads for CPU and GPU metrics."""

import os

from bench.contestants import material

_PROJECT = "bench"


def _open(store):
    os.makedirs(store, exist_ok=True)
    os.environ["TRACKIO_DIR"] = store  # read when trackio is imported
    import trackio

    return trackio


def _init(trackio, **options):
    return trackio.init(_PROJECT, auto_log_cpu=False, auto_log_gpu=False, embed=False, **options)


def _query(trackio, text):
    return trackio.SQLiteStorage.query_project(_PROJECT, text, max_rows=10_000_000)["rows"]


def small_runs(store: str, count: str, scratch: str, warm_up: str = "3", first: str = "0"):
    """Make runs."""
    trackio = _open(store)
    files = material.artifacts(scratch)

    def one(number):
        _init(trackio, config=material.params(number))
        trackio.log(material.metrics(number))
        for path in files:
            trackio.save(path, project=_PROJECT)
        trackio.finish()

    return material.timed_runs(one, int(count), first=int(first), warm_up=int(warm_up))


def count_runs(store: str):
    """Count the runs that are whole; files belong to the project, so these are not counted."""
    trackio = _open(store)
    return {
        "runs": sum(
            len(run.config or {}) >= len(material.params(0))
            and any(
                material.metrics(0).keys() <= row.keys()
                for row in trackio.SQLiteStorage.get_logs(_PROJECT, run.name, run_id=run.id)
            )
            for run in trackio.Api().runs(_PROJECT)
        )
    }


def fill(store: str, count: str, scratch: str, first: str = "0"):
    """Make runs without artifacts."""
    trackio = _open(store)
    for number in range(int(first), int(first) + int(count)):
        _init(trackio, config=material.params(number))
        trackio.log(material.metrics(number))
        trackio.finish()


def list_best(store: str):
    """Print the 20 best runs, by the query that ``trackio query`` offers."""
    trackio = _open(store)
    field = f"json_extract(metrics, '$.{material.METRIC}')"
    text = f"SELECT run_name, {field} AS value FROM metrics ORDER BY value DESC LIMIT 20"  # noqa: S608 - a constant
    for row in _query(trackio, text):
        material.top_line(row["run_name"], row["value"])


def two_runs(store: str):
    """Return the ids of two runs."""
    runs = _open(store).Api().runs(_PROJECT)
    return {"a": runs[0].id, "b": runs[1].id}


def compare(store: str, a: str, b: str):
    """Print what differs between two runs."""
    storage = _open(store).SQLiteStorage
    sides = []
    for run in (a, b):
        logged = storage.get_logs(_PROJECT, None, run_id=run)[-1]
        sides.append({**storage.get_run_config(_PROJECT, run_id=run), **logged})
    material.print_differences(*sides)


def steps(store: str, count: str):
    """Log step metrics."""
    trackio = _open(store)
    _init(trackio)
    found = material.timed_calls(lambda step: trackio.log(material.step_metrics(step), step=step), int(count))
    trackio.finish()
    return found


def steps_until_killed(store: str, counter: str, most: str):
    """Log step metrics until killed."""
    trackio = _open(store)
    _init(trackio)
    material.counted_calls(
        lambda step: trackio.log(material.step_metrics(step), step=step), counter, int(most)
    )


def count_steps(store: str):
    """Count the calls that can be read back."""
    trackio = _open(store)
    try:
        (row,) = _query(trackio, "SELECT count(*) AS steps FROM metrics")
    except FileNotFoundError:  # nothing was written at all
        return {"steps": 0}
    return row


def version():
    """Return the version."""
    import trackio

    return {"version": trackio.__version__}

"""Weights & Biases offline: each run a folder with a binary log, written by a service process of its own."""

import os

import wandb

from bench.contestants import material

_BLOCK = 32_768
_HEADER = 7


def _init(store, **options):
    os.makedirs(store, exist_ok=True)
    settings = wandb.Settings(x_disable_stats=True, silent=True, console="off")
    return wandb.init(project="bench", dir=store, mode="offline", settings=settings, **options)


def small_runs(store: str, count: str, scratch: str, warm_up: str = "3", first: str = "0"):
    """Make runs."""
    files = material.artifacts(scratch)

    def one(number):
        with _init(store, config=material.params(number)) as run:
            run.log(material.metrics(number))
            for path in files:
                run.save(path, base_path=scratch, policy="now")

    return material.timed_runs(one, int(count), first=int(first), warm_up=int(warm_up))


def count_runs(store: str):
    """Count the runs that are whole."""
    whole = 0
    for folder in _folders(store):
        records = list(_records(folder))
        names = {
            item.key or item.nested_key[0]
            for r in records
            if r.HasField("history")
            for item in r.history.item
        }
        ended = any(r.HasField("exit") for r in records)
        kept = [name for name in os.listdir(f"{folder}/files") if name.startswith("artifact_")]
        whole += ended and material.metrics(0).keys() <= names and len(kept) == material.ARTIFACTS
    return {"runs": whole}


def fill(store: str, count: str, scratch: str, first: str = "0"):
    """Make runs without artifacts."""
    for number in range(int(first), int(first) + int(count)):
        with _init(store, config=material.params(number)) as run:
            run.log(material.metrics(number))


def steps(store: str, count: str):
    """Log step metrics."""
    with _init(store) as run:
        return material.timed_calls(lambda step: run.log(material.step_metrics(step), step=step), int(count))


def steps_until_killed(store: str, counter: str, most: str):
    """Log step metrics until killed."""
    with _init(store) as run:
        material.counted_calls(
            lambda step: run.log(material.step_metrics(step), step=step), counter, int(most)
        )


def count_steps(store: str):
    """Count the calls that can be read back."""
    (folder,) = _folders(store)
    return {"steps": sum(record.HasField("history") for record in _records(folder))}


def _folders(store):
    return [entry.path for entry in os.scandir(f"{store}/wandb") if entry.name.startswith("offline-run-")]


def _records(folder):
    """Read the log of a run: a LevelDB log after a header of 7 bytes; the library has no reader of its own."""
    from wandb.proto.wandb_internal_pb2 import Record

    (name,) = [name for name in os.listdir(folder) if name.endswith(".wandb")]
    with open(f"{folder}/{name}", "rb") as file:
        data = file.read()
    place, parts = _HEADER, b""
    while place + _HEADER <= len(data):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER:  # the rest of a block that holds no header
            place += left
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        content = data[place + _HEADER : place + _HEADER + length]
        if len(content) < length or kind not in {1, 2, 3, 4}:  # cut off, or not written
            return
        place += _HEADER + length
        parts = content if kind in {1, 2} else parts + content  # whole or first, middle or last
        if kind in {1, 4}:
            yield Record.FromString(parts)


def version():
    """Return the version."""
    return {"version": wandb.__version__}

"""What every contestant is given: the same parameters, metrics and artifacts."""

from __future__ import annotations

import mmap
import random
import time
from collections.abc import Callable
from pathlib import Path

ARTIFACTS = 3
ARTIFACT_BYTES = 10_240
METRIC = "f1"
"""The metric that lists are sorted by."""
WARM_UP = 3


def params(number: int) -> dict[str, int | float | str]:
    """Return the 20 parameters of a run; a few of them depend on its number."""
    texts: dict[str, int | float | str] = {f"choice_{i}": f"value {i} of the configuration" for i in range(7)}
    numbers = {f"weight_{i}": i / 7 for i in range(8)}
    return {
        **texts,
        **numbers,
        "top_k": 5,
        "rounds": 100,
        "depth": number % 12,
        "rate": number % 7 / 10,
        "seed": number,
    }


def metrics(number: int) -> dict[str, float]:
    """Return the 10 final metrics of a run."""
    draw = random.Random(number)  # noqa: S311 - no secret
    names = (
        METRIC,
        "precision",
        "recall",
        "accuracy",
        "coverage",
        "loss",
        "auc",
        "log_loss",
        "brier",
        "seconds",
    )
    return {name: draw.random() for name in names}


def step_metrics(step: int) -> dict[str, float]:
    """Return the 3 values of a logging call."""
    return {"loss": 1 / (step + 1), "accuracy": step / (step + 100), "rate": 0.001 * step}


def many_items(count: int, number: int):
    """Return a table of items, about four in five right, and the metrics that it gives.

    Two numbers give two runs over the same items, of which most have the same answer.
    """
    import numpy as np
    import polars as pl

    labels = np.array([f"answer {i}" for i in range(20)])
    truth = np.random.default_rng(0)
    expected, hard = truth.integers(20, size=count), truth.random(count)
    draw = np.random.default_rng(number + 1)
    noise = hard + draw.normal(0, 0.05, count)
    given = np.where(noise < 0.8, expected, (expected + 1) % 20)
    silent = noise > 0.95
    items = pl.DataFrame(
        {
            "item_id": [f"item_{i:07}" for i in range(count)],
            "output": pl.Series(labels[given]).set(pl.Series(silent), None),
            "expected": labels[expected],
            "correct": (given == expected) & ~silent,
            "loss": np.exp(noise),
        }
    )
    right, answered = int(items["correct"].sum()), count - int(silent.sum())
    return items, {
        "accuracy": right / count,
        "f1": 2 * right / (answered + count),
        "loss": float(items["loss"].mean()),
    }


def artifacts(folder: str) -> list[str]:
    """Write the artifacts into ``folder`` unless they are there, and return their paths."""
    paths = [Path(folder, f"artifact_{i}.bin") for i in range(ARTIFACTS)]
    for i, path in enumerate(paths):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random.Random(i).randbytes(ARTIFACT_BYTES))  # noqa: S311 - no secret
    return [str(path) for path in paths]


def timed_runs(
    one: Callable[[int], object], count: int, *, first: int = 0, warm_up: int = WARM_UP
) -> dict[str, float]:
    """Make ``count`` runs after a few that do not count, and return the mean seconds of one."""
    for number in range(first, first + warm_up):
        one(number)
    started = time.perf_counter()
    for number in range(first + warm_up, first + warm_up + count):
        one(number)
    return {"seconds": (time.perf_counter() - started) / count}


def timed_calls(log: Callable[[int], object], count: int) -> dict[str, float]:
    """Make ``count`` logging calls, and return how many a second."""
    started = time.perf_counter()
    for step in range(count):
        log(step)
    return {"calls_per_second": count / (time.perf_counter() - started)}


def counted_calls(log: Callable[[int], object], counter: str, most: int) -> None:
    """Log until killed; the number of calls that have returned stands in the file ``counter``, whatever happens."""
    with Path(counter).open("r+b") as file:
        shared = mmap.mmap(file.fileno(), 8)
    for step in range(most):
        log(step)
        shared[:8] = (step + 1).to_bytes(8, "little")


def top_line(name: str, value: float) -> None:
    """Print a line of a list."""
    print(f"{name:40} {value:.6f}")


def print_differences(a: dict[str, object], b: dict[str, object]) -> None:
    """Print what two runs do not have in common."""
    for name in sorted(a.keys() | b.keys()):
        if a.get(name) != b.get(name):
            print(f"{name:40} {a.get(name)} -> {b.get(name)}")

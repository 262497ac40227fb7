"""Step metrics, 3 values a call: how quick, and what is left of them after SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from bench.harness.budgets import at_least_times, better_than_every_peer, never
from bench.harness.case import Case, Entry, Sample
from bench.harness.place import ContestantFailed

if TYPE_CHECKING:
    from pathlib import Path

    from bench.harness.place import Place

_LOGGING_SECONDS = 1.5
_FIRST_CALL_SECONDS = 60.0
_SETTLING_SECONDS = 1.5
_MOST_CALLS = 5_000_000


def _measure(place: Place, entry: Entry) -> Sample:
    store = place.fresh(entry.contestant)
    found = place.call(entry.contestant, "steps", store=store, count=place.size(entry.count))
    return {"value": found["calls_per_second"]}


def _measure_killed(place: Place, entry: Entry) -> Sample:
    """Kill the logging process; helpers that it started have time to write what they still hold."""
    store = place.fresh(entry.contestant)
    counter = place.fresh("counter")
    counter.write_bytes(bytes(8))
    command = place.command(
        entry.contestant, "steps_until_killed", store=store, counter=counter, most=_MOST_CALLS
    )
    process = place.start(entry.contestant, command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for_first(process, counter)
        time.sleep(0.2 if place.tiny else _LOGGING_SECONDS)
        process.kill()
        process.wait()
        time.sleep(0.0 if place.tiny else _SETTLING_SECONDS)
    finally:
        _end_session(process)
    returned = _returned(counter)
    kept = place.call(entry.contestant, "count_steps", store=store)["steps"]
    return {
        "value": min(kept / returned, 1.0),
        "returned": returned,
        "kept": kept,
        "lost": max(returned - kept, 0),
    }


def _returned(counter: Path) -> int:
    return int.from_bytes(counter.read_bytes(), "little")


def _wait_for_first(process: subprocess.Popen[bytes], counter: Path) -> None:
    until = time.monotonic() + _FIRST_CALL_SECONDS
    while not _returned(counter):
        if process.poll() is not None or time.monotonic() > until:
            raise ContestantFailed("it ended, or did nothing, before the first logging call returned")
        time.sleep(0.01)


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """End what the killed process left behind in the session that was made for it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


_CALLS = {
    "floor": 100_000,
    "corrida": 100_000,
    "sacred": 30_000,
    "trackio": 20_000,
    "wandb": 10_000,
    "aim": 3_000,
    "mlflow": 100,
    "dvclive": 100,
}

CASES = [
    Case(
        name="steps",
        title="step metrics, 3 values a call",
        entries=tuple(Entry(name, count=count) for name, count in _CALLS.items()),
        measure=_measure,
        unit="calls/s",
        budgets=(at_least_times(0.5, "plain Python"), better_than_every_peer()),
        rounds=4,
        warm_up=False,
        note=(
            "Calls a second until the last call has returned; what is put off until the run ends is not counted, in "
            "favour of those that put it off. Plain Python makes one line of JSON and one system call of each call."
        ),
    ),
    Case(
        name="killed",
        title="step metrics, ended by SIGKILL: what is left",
        entries=tuple(Entry(name) for name in _CALLS),
        measure=_measure_killed,
        unit="share",
        budgets=(never("lost", "no call lost that had returned"),),
        rounds=2,
        warm_up=False,
        ratios=False,
        note=(
            "The share of the calls that is kept. The logging process alone is killed, 1.5 s after its first call; "
            "helpers of it live 1.5 s longer. Then a new process counts the calls that can be read back."
        ),
        facts={"returned": "calls returned", "kept": "kept", "lost": "lost"},
    ),
]

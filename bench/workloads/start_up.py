"""What it costs to start: the import, the help, the cheapest list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.harness.budgets import at_most_seconds, better_than_every_peer
from bench.harness.case import Case, Entry, Sample
from bench.workloads.comparing import compared_store, fill_compared

if TYPE_CHECKING:
    from bench.harness.place import Place

_LISTS = {
    "corrida": ("corrida list --store {store}", {}),
    "mlflow": ("mlflow experiments search", {"MLFLOW_TRACKING_URI": "sqlite:///{store}/mlflow.db"}),
    "trackio": ("trackio list projects", {"TRACKIO_DIR": "{store}"}),
}


def _python(place: Place, entry: Entry) -> str:
    return str(place.python(entry.contestant))


def _import(place: Place, entry: Entry) -> Sample:
    statement = "pass" if entry.contestant == "floor" else f"import {entry.contestant}"
    return {"value": place.timed(entry.contestant, [_python(place, entry), "-c", statement])}


def _help(place: Place, entry: Entry) -> Sample:
    if entry.contestant == "floor":
        return _import(place, entry)
    program = place.python(entry.contestant).with_name(entry.contestant)
    return {"value": place.timed(entry.contestant, [str(program), "--help"])}


def _list(place: Place, entry: Entry) -> Sample:
    if entry.contestant == "floor":
        return _import(place, entry)
    store = compared_store(place, entry)
    text, variables = _LISTS[entry.contestant]
    program, *arguments = text.format(store=store).split(" ")
    command = [str(place.python(entry.contestant).with_name(program)), *arguments]
    given = {name: value.format(store=store) for name, value in variables.items()}
    return {"value": place.timed(entry.contestant, command, variables=given)}


CASES = [
    Case(
        name="import",
        title="import in a new process",
        entries=tuple(
            Entry(name)
            for name in ("floor", "corrida", "mlflow", "trackio", "wandb", "aim", "dvclive", "sacred")
        ),
        measure=_import,
        budgets=(at_most_seconds(0.04), better_than_every_peer()),
        rounds=5,
        note="Plain Python starts and ends; its time is part of all others.",
    ),
    Case(
        name="help",
        title="--help of the command line",
        entries=tuple(Entry(name) for name in ("floor", "corrida", "mlflow", "trackio", "wandb", "aim")),
        measure=_help,
        budgets=(at_most_seconds(0.07), better_than_every_peer()),
        rounds=5,
    ),
    Case(
        name="cheapest_list",
        title="the cheapest list on the command line",
        entries=tuple(Entry(name) for name in ("floor", *_LISTS)),
        measure=_list,
        prepare=fill_compared,
        budgets=(better_than_every_peer(),),
        rounds=5,
        note="`corrida list` shows all 20 runs or so; MLflow lists its experiments, Trackio its projects: one each.",
    ),
]

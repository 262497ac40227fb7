"""Which columns a table of runs shows, and what stands in them: for the terminal and for the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.analysis.directions import direction_of
from corrida.runs.query import compile_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.runs.record import RunRecord
    from corrida.runs.run_file import Column

HAS = "has"
"""What the folder of a run has, looked up when it is shown: predictions come after the end."""
TAGS = "tags"
"""All tags of a run in one column of a page; a field of filters is one of them."""
RESULT = "result"
"""The primary metric of each run in one column of a page, where runs of several pipelines stand under each other."""


def telling_fields(runs: Sequence[RunRecord]) -> list[tuple[str, str]]:
    """Return the columns of the table as (header, field): those that say something of these runs."""
    fields = [("id", "id"), ("pipeline", "pipeline"), ("status", "status"), ("created", "created")]
    if any(run.parent for run in runs):  # not folded: else a child looks like a run of its own
        fields.insert(1, ("parent", "parent"))
    if any(run.seed is not None for run in runs):
        fields.append(("seed", "seed"))
    own = _pipeline_columns(runs)
    if own:
        fields = [f for f in fields if f[1] != "pipeline"]
        taken = {field for _, field in fields}
        fields += [(c.header, c.field) for c in own if c.field not in taken and _any_has(runs, c.field)]
    else:
        names = dict.fromkeys(r.primary_metric.name for r in runs if r.primary_metric)
        names |= dict.fromkeys(m for r in runs if not r.primary_metric for m in list(r.metrics)[:3])
        fields += [(name, f"metrics.{name}") for name in list(names)[:5]]
    for name in ("source", "description", "notes"):
        if any(said_of(run, name) for run in runs) and name not in {f for _, f in fields}:
            fields.append((name, name))
    return fields


def chosen_fields(columns: str, more: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return columns that a person named as (header, field).

    Args:
        columns: fields as in filters, separated by commas; and ``has``.
        more: other names that may stand in it.

    Raises:
        InvalidFilter: a field is unknown.
    """
    chosen = compile_order(columns, more=[HAS, *more])
    return [(f.removeprefix("metrics.").removeprefix("params."), f) for f, _ in chosen]


def said_of(run: RunRecord, field: str) -> str:
    """Return what a run says of itself, and behind it what was noted later, or why it ended."""
    parts = [getattr(run, field)]
    if field == "notes":
        parts += [note.text for note in run.later_notes]
    if field == "description" and run.status in {"failed", "unreadable"} and run.error:
        parts.append(run.error.message or run.error.type)
    return "; ".join(part for part in parts if part)


def result_fields(runs: Sequence[RunRecord], names: Sequence[str]) -> set[str]:
    """Return the columns of the metrics that decide; where none of those is shown, of all that can be good or bad."""
    primary = {f"metrics.{r.primary_metric.name}" for r in runs if r.primary_metric}
    if not primary.isdisjoint(names):
        return primary
    directions = {name: way for run in runs for name, way in run.directions.items()}
    metrics = [name for name in names if name.startswith("metrics.")]
    return {name for name in metrics if direction_of(name.removeprefix("metrics."), directions)}


def are_numbers(runs: Sequence[RunRecord], field: str) -> bool:
    """Tell whether a column holds numbers only, and at least one."""
    if field.startswith("metrics.") or field in {"duration", "seed"}:
        return True
    if not field.startswith("params."):
        return False
    name = field.removeprefix("params.")
    values = [value for run in runs if (value := run.params.get(name)) is not None]
    return bool(values) and all(type(value) in {int, float} for value in values)


def _any_has(runs: Sequence[RunRecord], field: str) -> bool:
    """Tell whether one of the runs has a value to show: a column of dashes says nothing of these."""
    return any(run.has() if field == HAS else run.as_row().get(field) not in {None, ""} for run in runs)


def _pipeline_columns(runs: Sequence[RunRecord]) -> Sequence[Column]:
    """Return the columns that the pipeline of all these runs asked for; none of several pipelines."""
    if len({run.pipeline for run in runs if run.pipeline}) != 1:
        return ()
    return next((run.columns for run in runs if run.columns), ())

"""Stamping the user's database after a run: looked at before the work, done when the run has finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from corrida.errors import BadInput, CorridaError

if TYPE_CHECKING:
    from corrida.bridges.database import Target
    from corrida.execute.options import Executed, RunOptions
    from corrida.project import PipelineSettings, Project
    from corrida.runs.snapshot.data import DataSource


def stamp_target(
    project: Project, options: RunOptions, settings: PipelineSettings, data: Sequence[Path | DataSource]
) -> Target | None:
    """Return the table that the run is to be stamped onto, after a look at it; None when nobody asked.

    Hours of work come before the stamp: what is wrong with the table is said first.

    Raises:
        BadInput: the run is not to be kept, or there is no such table, key or column.
        DatabaseError: the database cannot be reached.
        MissingExtra: SQLAlchemy or the driver is not installed.
    """
    if not (settings.stamp if options.stamp is None else options.stamp):
        if options.add_column:
            raise BadInput("--add-column is for --stamp; give both, or neither")
        return None
    if not options.save:
        if options.stamp is None:
            return None  # of corrida.toml: a quick test is no reason to change it
        raise BadInput("--stamp needs a run that is kept; leave out --no-save")
    from corrida.bridges.database import TableSource, check_target, find_target

    sources = {entry.origin: entry.address for entry in data if isinstance(entry, TableSource)}
    target = find_target(project, sources)
    check_target(target, add_column=options.add_column)
    return target


def stamped(project: Project, done: Executed, target: Target | None, options: RunOptions) -> Executed:
    """Stamp the rows of a run that has finished, and return what came of both.

    The run is kept whatever happens here, and can be stamped again: so no error is raised.
    """
    if target is None or done.record is None or done.record.status != "finished":
        return done
    from corrida.bridges.database import stamp_run

    try:
        result = stamp_run(project.store(), done.record, target, add_column=options.add_column)
    except CorridaError as error:
        again = f"the run {done.run_id} is kept, and `corrida stamp {done.run_id}` repeats the stamp"
        return replace(done, not_stamped=f"{error}; {again}")
    return replace(done, record=project.store().get(done.run_id), stamped=result)

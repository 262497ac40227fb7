"""Which runs count as work of their own, and which are parts of others: what ``latest`` means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from corrida.errors import CorridaError
from corrida.runs.query import Sql
from corrida.runs.run_file import read_run_file

if TYPE_CHECKING:
    from corrida.runs.catalog import Catalog
    from corrida.runs.run_file import RunHeader

# Most often the newest run is the one; a store of many parts is gone through in larger and larger steps.
_FIRST_PAGE, _LAST_PAGE = 8, 4096
_FINISHED = Sql("runs.status = 'finished'")
# What a bisection executed stays nobody's own work when the run that it belongs to is gone.
_NO_HYBRID = Sql("""json_extract(runs.tags, '$."replay"') IS NOT 'bisect'""")
# Made by a pipeline or by executing again; of other children the parent must be looked at.
_MADE = (
    """coalesce(json_extract(runs.tags, '$."child"'), json_extract(runs.tags, '$."replay"')) IS NOT NULL"""
)


def no_child(*, same_pipeline: bool, but: str = "") -> Sql:
    """Return the condition that a run has no parent in the store.

    Args:
        same_pipeline: a parent of another pipeline does not count.
        but: a condition that a child must meet too, in SQL.
    """
    parent = "SELECT 1 FROM runs p WHERE p.id = runs.parent AND p.n <> runs.n"
    same = " AND p.pipeline = runs.pipeline" if same_pipeline else ""
    return Sql(f"NOT (EXISTS ({parent}{same}){' AND ' + but if but else ''})")


def own_runs(
    catalog: Catalog, root: Path, *, pipeline: str | None = None, before: RunHeader | None = None
) -> Iterator[RunHeader]:
    """Yield the finished runs that are no parts of others, the newest first.

    A part is a run whose parent is in the store: a model of a search, a hybrid of a bisection, a rerun, a run that
    was started with ``parent=``. What the command of ``corrida exec`` starts under a name of its own is no part;
    then the run of the command, which only keeps what was printed, is passed over unless it has metrics too.

    Args:
        catalog: over the runs, refreshed.
        root: the folder of the store.
        pipeline: only runs of this one; then a part is one whose parent is of this pipeline too.
        before: only runs older than this one.
    """
    where = [_FINISHED, _NO_HYBRID, no_child(same_pipeline=pipeline is not None, but=_MADE)]
    if pipeline is not None:
        where.append(Sql("runs.pipeline = ?", (pipeline,)))
    if before is not None:
        where.append(Sql("(runs.ord, runs.id) < (?, ?)", (before.order, before.id)))
    whole: dict[str, bool] = {}  # whether the children of a run count
    frames = {before.parent} if before is not None else set()  # commands whose runs have been passed
    offset, limit = 0, _FIRST_PAGE
    while True:
        page = catalog.query(limit=limit, offset=offset, where=where)
        for header in page:
            if header.id in frames and not header.metrics:
                continue
            if header.parent is not None and header.parent != header.id:
                if header.parent not in whole:
                    whole[header.parent] = _children_count(catalog, root, header.parent, pipeline)
                if not whole[header.parent]:
                    continue
                frames.add(header.parent)
            yield header
        if len(page) < limit:
            return
        offset, limit = offset + limit, min(2 * limit, _LAST_PAGE)


def _children_count(catalog: Catalog, root: Path, run_id: str, pipeline: str | None) -> bool:
    """Tell whether the children of a run are work of their own: as those of a command, or of one that is gone."""
    found = catalog.query(where=[Sql("runs.id = ?", (run_id,))])
    if not found or (pipeline is not None and found[0].pipeline != pipeline):
        return True
    if "replay" in found[0].tags:  # a command that was executed again starts its runs again
        return False
    try:
        invocation = read_run_file(root / run_id).invocation
    except CorridaError:
        return False
    return invocation is not None and invocation.kind == "command"

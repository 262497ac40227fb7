"""Which two runs are compared, where a person named two, one or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.errors import RunNotFound

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord
    from corrida.runs.store import Store


def runs_to_compare(
    store: Store, a: str | None = None, b: str | None = None, pipeline: str | None = None
) -> tuple[RunRecord, RunRecord]:
    """Return the runs to compare, the earlier first where nobody chose.

    Args:
        store: that holds them.
        a: the run before; without ``b`` the run after, which is compared with the run of its pipeline before it.
        b: the run after.
        pipeline: count ``latest``, which stands for no name at all, among its runs.

    Raises:
        RunNotFound: there is none to compare with, or what was named is not there.
        InvalidReference, AmbiguousReference, AliasNotFound: a name does not lead to one run.
        DamagedRun, NewerFormat: a run cannot be read.
    """
    if a and b:
        return store.get(a, pipeline=pipeline), store.get(b, pipeline=pipeline)
    after = store.get(a or "latest", pipeline=pipeline)
    before = store.before(after)
    if before is not None:
        return before, after
    part = after.tags.get("child")
    what = f"no {part} of another {after.pipeline}" if part else f"no run of {after.pipeline}"
    raise RunNotFound(f"{what} finished before {after.id}; run it again, then compare")

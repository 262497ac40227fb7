"""Which analyses a second run scores as well, for comparison: the records, and the only ways in which they change.

A shadow never touches its analysis: it has a row of its own. Like a job it is *claimed* with a token, the first to
*settle* it with that token decides, and only then files move.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import sqlalchemy as sa

from corrida.inference.database import Database, analyses, executors, shadows
from corrida.inference.jobs import note

if TYPE_CHECKING:
    import threading

    from sqlalchemy import Connection
    from sqlalchemy.sql.elements import ColumnElement

    from corrida.inference.jobs import Job
    from corrida.inference.models import Model
    from corrida.inference.problems import Problem

State = Literal["planned", "running", "settled", "compared", "failed"]
COMPARED, FAILED = "shadow_compared", "shadow_failed"
MOST_CLAIMS = 20
"""A shadow that was started so often without an end is given up."""


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """An analysis that a second run scores, too.

    Attributes:
        analysis: its id.
        spool: id of the folder that holds its file.
        status: ``planned`` until the analysis was processed and there is time, ``running``, ``settled`` while files
            move, and ``compared`` or ``failed`` at the end.
        reference: what was asked for, such as ``@candidate``.
        run_id, run_digest, pipeline: what that was when the analysis was claimed.
        created, ended: seconds since the epoch.
        due: not before.
        tries: that failed by themselves.
        claims: how often it was started, kills included.
        claim: token of the last claim; of a settled one, that of the claim whose results count.
        executor: that made it.
        code, message: why it failed.
        rows, differ: rows that both runs answered, and those of them with different answers.
        summary: how they differ, as JSON; see :class:`corrida.inference.shadow_difference.Difference`.
    """

    analysis: str
    spool: str
    status: State
    reference: str
    run_id: str | None = None
    run_digest: str | None = None
    pipeline: str | None = None
    created: float
    ended: float | None = None
    due: float = 0.0
    tries: int = 0
    claims: int = 0
    claim: str | None = None
    executor: str | None = None
    code: str | None = None
    message: str | None = None
    rows: int | None = None
    differ: int | None = None
    summary: str | None = None


class Shadows:
    """The door to the shadows of one database."""

    def __init__(self, database: Database, stop: threading.Event | None = None) -> None:
        """Use a database; with ``stop`` set, nothing waits for it any longer."""
        self.database = database
        self._stop = stop

    # -- changing -------------------------------------------------------------------------------------------

    def plan(self, job: Job, reference: str, found: Model | Problem) -> None:
        """Write down which run is the shadow of an analysis, or why there is none; tried once.

        It may be called again while the run of the analysis itself is not written down yet.
        """
        now = time.time()
        planned = Shadow(
            analysis=job.id, spool=job.spool, status="planned", reference=reference, created=now, due=now
        )
        if isinstance(found, tuple):
            planned = msgspec.structs.replace(
                planned, run_id=found.run_id, run_digest=found.digest, pipeline=found.pipeline
            )
        else:
            planned = msgspec.structs.replace(
                planned, status="failed", ended=now, code=found.code, message=found.message
            )
        values = msgspec.to_builtins(planned)
        with self.database.transaction() as connection:
            insert = self.database.insert(shadows).values(values)
            # An analysis that is tried again by hand resolves both of its runs anew.
            again = insert.on_conflict_do_update(
                index_elements=[shadows.c.analysis],
                set_={name: value for name, value in values.items() if name != "analysis"},
                where=shadows.c.status.in_(["planned", "failed"]),
            )
            connection.execute(again)
            if planned.status == "failed":
                note(connection, job.id, FAILED, code=planned.code, message=planned.message)

    def claim(self, spool: str, executor: str, token: str) -> Shadow | None:
        """Claim the oldest that is due: whose analysis was processed, and which nobody alive works at.

        Returns:
            The shadow, ``running`` under the token, or ``settled`` under that of another; None when none is due.
        """
        alive = sa.select(executors.c.id).where(executors.c.id != executor)
        left = sa.and_(shadows.c.status.in_(["running", "settled"]), shadows.c.executor.not_in(alive))
        query = (
            sa.select(shadows)
            .join(analyses, analyses.c.id == shadows.c.analysis)
            .where(shadows.c.spool == spool, analyses.c.status == "processed")
            .where(left | ((shadows.c.status == "planned") & (shadows.c.due <= time.time())))
            .order_by(analyses.c.ended)
            .limit(1)
        )
        with self.database.reading() as connection:  # nobody waits for a look that finds nothing
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        found = _shadow(row)
        as_found = (
            shadows.c.analysis == found.analysis,
            shadows.c.status == found.status,
            shadows.c.claim.is_not_distinct_from(found.claim),
            shadows.c.executor.is_not_distinct_from(found.executor),
        )
        values: dict[str, Any] = {"executor": executor}
        if found.status != "settled":
            values |= {"status": "running", "claim": token, "claims": found.claims + 1}

        def work(connection: Connection) -> bool:
            return connection.execute(sa.update(shadows).where(*as_found).values(values)).rowcount == 1

        if not self.database.persevere(work, self._stop):
            return None
        return msgspec.structs.replace(found, **values)

    def settle(self, shadow: Shadow, rows: int, differ: int, summary: str) -> bool:
        """Decide how a shadow ends that was scored; files move afterwards.

        Returns:
            Whether this claim is the one that decided.
        """
        values = {"status": "settled", "rows": rows, "differ": differ, "summary": summary}
        return self._change(shadow, "running", values) or self._is(shadow, "settled")

    def finish(self, shadow: Shadow) -> bool:
        """Say that the files of a settled shadow are where they belong.

        Returns:
            Whether this call was the first to say so.
        """
        values = {"status": "compared", "ended": time.time(), "code": None, "message": None}
        said = {"run": shadow.run_id, "rows": shadow.rows, "differ": shadow.differ}
        return self._change(shadow, "settled", values, COMPARED, said)

    def fail(self, shadow: Shadow, problem: Problem) -> bool:
        """Give a shadow up; its analysis stays as it is."""
        values = {"status": "failed", "ended": time.time(), "code": problem.code, "message": problem.message}
        said = {"run": shadow.run_id, "code": problem.code, "message": problem.message}
        return self._change(shadow, "running", {**values, "tries": shadow.tries + 1}, FAILED, said)

    def again(self, shadow: Shadow, problem: Problem, wait: float) -> bool:
        """Try a shadow again in ``wait`` seconds."""
        values = {"code": problem.code, "message": problem.message, "due": time.time() + wait}
        return self._change(shadow, "running", {**values, "status": "planned", "tries": shadow.tries + 1})

    def _change(
        self,
        shadow: Shadow,
        status: State,
        values: dict[str, Any],
        event: str | None = None,
        said: dict[str, Any] | None = None,
    ) -> bool:
        def work(connection: Connection) -> bool:
            ours = _ours(shadow, status)
            changed = connection.execute(sa.update(shadows).where(*ours).values(values)).rowcount == 1
            if changed and event is not None:
                note(connection, shadow.analysis, event, **(said or {}))
            return changed

        return self.database.persevere(work, self._stop)

    def _is(self, shadow: Shadow, status: State) -> bool:
        with self.database.reading() as connection:
            query = sa.select(shadows.c.analysis).where(*_ours(shadow, status))
            return connection.execute(query).first() is not None

    # -- reading --------------------------------------------------------------------------------------------

    def get(self, analysis: str) -> Shadow | None:
        """Return the shadow of an analysis."""
        with self.database.reading() as connection:
            query = sa.select(shadows).where(shadows.c.analysis == analysis)
            row = connection.execute(query).mappings().first()
        return None if row is None else _shadow(row)

    def of_pairs(self) -> list[tuple[Shadow, str, str]]:
        """Return all shadows of processed analyses, the newest first, with id and digest of the run that answered."""
        query = (
            sa.select(shadows, analyses.c.run_id.label("main"), analyses.c.run_digest.label("main_digest"))
            .join(analyses, analyses.c.id == shadows.c.analysis)
            .where(analyses.c.status == "processed")
            .order_by(shadows.c.created.desc(), shadows.c.analysis)
        )
        with self.database.reading() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return [(_shadow(row), row["main"], row["main_digest"]) for row in rows]

    def counts(self) -> dict[str, int]:
        """Return how many shadows of processed analyses wait, and how many are being scored."""
        query = (
            sa.select(shadows.c.status, sa.func.count())
            .join(analyses, analyses.c.id == shadows.c.analysis)
            .where(analyses.c.status == "processed", shadows.c.ended.is_(None))
            .group_by(shadows.c.status)
        )
        with self.database.reading() as connection:
            found: dict[Any, int] = {row[0]: row[1] for row in connection.execute(query)}
        waiting = found.get("planned", 0)
        return {"waiting": waiting, "running": sum(found.values()) - waiting}

    def live(self, spool: str) -> set[str]:
        """Return the names of the work folders that shadows of a spool use."""
        query = sa.select(shadows.c.analysis, shadows.c.claim).where(
            shadows.c.spool == spool, shadows.c.status.in_(["running", "settled"])
        )
        with self.database.reading() as connection:
            return {f"{row[0]}.{row[1]}" for row in connection.execute(query)}


def _ours(shadow: Shadow, status: State) -> Sequence[ColumnElement[bool]]:
    return shadows.c.analysis == shadow.analysis, shadows.c.claim == shadow.claim, shadows.c.status == status


def _shadow(row: Any) -> Shadow:
    return msgspec.convert({name: row[name] for name in Shadow.__struct_fields__}, Shadow)

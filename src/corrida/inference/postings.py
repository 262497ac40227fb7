"""What a gateway outside is still to be told of the ledger, and what it said: planned in the commit of the ledger's row.

The ledger is only appended to. How far the gateway is stands here, a row for each charge or refund that goes there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import sqlalchemy as sa

from corrida.errors import NotFound, Refused
from corrida.inference.database import Database, postings
from corrida.inference.jobs import note

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from sqlalchemy import Connection

LEASE_SECONDS = 60.0
STATUSES = ("waiting", "taken", "refused", "void")


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger on its way to the gateway.

    Attributes:
        analysis, kind: of the row.
        status: ``waiting``, ``taken``, ``refused`` by the gateway for good, or ``void``: refused and
            recalled, so that nothing is left to do of either.
        tries: how often it was sent since it was planned, or put on again by hand.
        due: when it is sent next, in seconds since the epoch; while somebody sends it, when others may.
        created, ended: seconds since the epoch.
        said: what the last try came to.
    """

    analysis: str
    kind: Literal["charge", "refund"]
    status: Literal["waiting", "taken", "refused", "void"] = "waiting"
    tries: int = 0
    due: float
    created: float
    ended: float | None = None
    said: str | None = None


def plan_posting(
    connection: Connection, database: Database, analysis: str, kind: Literal["charge", "refund"]
) -> None:
    """Plan to tell the gateway of a row, in the transaction that appends it.

    It is told of a refund only if it was told of the charge, and only after it took that.
    """
    now = time.time()
    planned = Posting(analysis=analysis, kind=kind, due=now, created=now)
    if kind == "refund":
        # Locked, so that a refusal of the charge at this moment comes before or after, and sees the refund then.
        query = sa.select(postings.c.status).where(*_one(analysis, "charge")).with_for_update()
        charge = connection.execute(query).scalar()
        if charge is None:
            return
        if charge == "refused":  # then there is nothing to take back
            planned = msgspec.structs.replace(planned, status="void", ended=now)
            connection.execute(sa.update(postings).where(*_one(analysis, "charge")).values(status="void"))
    connection.execute(
        database.insert(postings).values(msgspec.to_builtins(planned)).on_conflict_do_nothing()
    )


class Postings:
    """The postings of a database; any number of processes may send them."""

    def __init__(self, database: Database, stop: threading.Event | None = None) -> None:
        """Use a database; once ``stop`` is set, it is not waited for while it is away."""
        self._database = database
        self._stop = stop

    def of(self, analyses: Sequence[str]) -> list[Posting]:
        """Return the postings of some analyses, oldest first."""
        return self._read(postings.c.analysis.in_(list(analyses)), order=postings.c.created)

    def refused(self, limit: int | None) -> list[Posting]:
        """Return what the gateway refused, the oldest first."""
        return self._read(postings.c.status == "refused", order=postings.c.created, limit=limit)

    def due(self, limit: int, analyses: Sequence[str] | None = None) -> list[Posting]:
        """Return what is to be sent now, the longest overdue first: refunds after their charge was taken."""
        charge = postings.alias()
        open_charge = (
            sa.select(charge.c.analysis)
            .where(charge.c.analysis == postings.c.analysis, charge.c.kind == "charge")
            .where(charge.c.status != "taken")
        )
        conditions = [
            postings.c.status == "waiting",
            postings.c.due <= time.time(),
            sa.or_(postings.c.kind == "charge", ~sa.exists(open_charge)),
        ]
        if analyses is not None:
            conditions.append(postings.c.analysis.in_(list(analyses)))
        return self._read(*conditions, order=postings.c.due, limit=limit)

    def take(self, posting: Posting) -> Posting | None:
        """Reserve a posting for one try and return it as it is now; None when another process was first.

        The reservation lapses after a minute, so that others send what a process had in hand that was killed. The gateway
        may thus be told twice, with the same key.
        """
        due = time.time() + LEASE_SECONDS
        taken = self._change(posting, postings.c.due == posting.due, tries=posting.tries + 1, due=due)
        return msgspec.structs.replace(posting, tries=posting.tries + 1, due=due) if taken else None

    def taken(self, posting: Posting, said: str) -> bool:
        """Write down that the gateway took it."""
        return self._change(
            posting, event=f"{posting.kind}_taken", status="taken", ended=time.time(), said=said
        )

    def later(self, posting: Posting, wait: float, said: str) -> bool:
        """Send it again after ``wait`` seconds, unless another process has it by now."""
        return self._change(posting, postings.c.due == posting.due, due=time.time() + wait, said=said)

    def refuse(self, posting: Posting, said: str) -> bool:
        """Send it no more until somebody asks for it; the refund of a charge that was refused is void."""
        return self._change(
            posting, event=f"{posting.kind}_refused", status="refused", ended=time.time(), said=said
        )

    def again(self, analysis: str) -> list[Posting]:
        """Put on again what the gateway refused of an analysis, and return it.

        Raises:
            NotFound: the gateway was never told of it.
            Refused: it refused nothing, or the charge was recalled since.
        """

        def work(connection: Connection) -> list[Posting]:
            query = sa.select(postings).where(postings.c.analysis == analysis).with_for_update()
            found = [_posting(row) for row in connection.execute(query).mappings()]
            if not found:
                raise NotFound(f"no gateway was told of the analysis {analysis[:120]!r}")
            if any(one.status == "void" for one in found):
                raise Refused(f"the analysis {analysis} was recalled; it is not charged any more")
            refused = [one for one in found if one.status == "refused"]
            if not refused:
                raise Refused(f"nothing of the analysis {analysis} was refused by the gateway")
            for one in refused:
                change = sa.update(postings).where(*_one(analysis, one.kind))
                connection.execute(change.values(status="waiting", tries=0, due=time.time(), ended=None))
                note(connection, analysis, f"{one.kind}_again")
            return refused

        return self._database.persevere(work, self._stop)

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many postings there are of each kind and status."""
        query = sa.select(postings.c.kind, postings.c.status, sa.func.count()).group_by(
            postings.c.kind, postings.c.status
        )
        with self._database.reading() as connection:
            found = {(row[0], row[1]): row[2] for row in connection.execute(query)}
        return {
            (kind, status): found.get((kind, status), 0)
            for kind in ("charge", "refund")
            for status in STATUSES
        }

    def _read(
        self, *conditions: sa.ColumnElement[bool], order: Any, limit: int | None = None
    ) -> list[Posting]:
        query = sa.select(postings).where(*conditions).order_by(order, postings.c.kind).limit(limit)
        with self._database.reading() as connection:
            return [_posting(row) for row in connection.execute(query).mappings()]

    def _change(
        self, posting: Posting, *conditions: sa.ColumnElement[bool], event: str | None = None, **values: Any
    ) -> bool:
        query = (
            sa.update(postings)
            .where(*_one(posting.analysis, posting.kind), postings.c.status == "waiting", *conditions)
            .values(**values)
        )

        def work(connection: Connection) -> bool:
            changed = connection.execute(query).rowcount == 1
            if changed and event is not None:
                said = values["said"] if values["status"] == "refused" else None
                note(connection, posting.analysis, event, said=said)
            if changed and values.get("status") == "refused" and posting.kind == "charge":
                refund = sa.update(postings).where(*_one(posting.analysis, "refund"))
                if connection.execute(refund.values(status="void", ended=time.time())).rowcount == 1:
                    charge = sa.update(postings).where(*_one(posting.analysis, "charge"))
                    connection.execute(charge.values(status="void"))
            return changed

        return self._database.persevere(work, self._stop)


def _one(analysis: str, kind: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return postings.c.analysis == analysis, postings.c.kind == kind


def _posting(row: Any) -> Posting:
    return msgspec.convert({str(name): value for name, value in row.items()}, Posting)

"""Webhooks that are still to be sent: planned in the commit that ends a job, so that none is lost or made up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from corrida.inference.database import Database, deliveries

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from corrida.inference.jobs import Job

LEASE_SECONDS = 60.0


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook.

    Attributes:
        id: the analysis and the number of its attempt; the receiver knows a repetition by it.
        analysis: what it tells of.
        url: whom.
        status: ``waiting``, ``delivered`` or ``given_up``.
        tries: how often it was sent.
        due: when it is sent next, in seconds since the epoch; while somebody sends it, when others may.
        created, ended: seconds since the epoch.
        said: what the last try came to.
    """

    id: str
    analysis: str
    url: str
    status: str = "waiting"
    tries: int = 0
    due: float
    created: float
    ended: float | None = None
    said: str | None = None


def plan_delivery(connection: Connection, database: Database, job: Job) -> None:
    """Plan the webhook of a job, in the transaction that ends it; a job without one needs none."""
    if job.webhook is None:
        return
    now = time.time()
    planned = Delivery(id=f"{job.id}.{job.attempt}", analysis=job.id, url=job.webhook, due=now, created=now)
    insert = database.insert(deliveries).values(msgspec.to_builtins(planned))
    connection.execute(insert.on_conflict_do_nothing())


class Outbox:
    """The webhooks of a database; any number of processes may send them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, analysis: str) -> list[Delivery]:
        """Return the webhooks of an analysis, oldest first."""
        return sorted(self._read(deliveries.c.analysis == analysis, limit=1000), key=lambda one: one.created)

    def shown(self, analysis: str) -> list[dict[str, Any]]:
        """Return what became of the webhooks of an analysis, as everybody may know it; times in seconds since the epoch."""
        found = [
            {
                "status": one.status, "tries": one.tries, "said": one.said,
                "next": one.due if one.status == "waiting" else None,
            }
            for one in self.of(analysis)
        ]  # fmt: skip
        return [{name: value for name, value in one.items() if value is not None} for one in found]

    def due(self, limit: int) -> list[Delivery]:
        """Return webhooks that are to be sent now, the longest overdue first."""
        return self._read(deliveries.c.status == "waiting", deliveries.c.due <= time.time(), limit=limit)

    def take(self, delivery: Delivery) -> bool:
        """Reserve a webhook for one try; False when another process was first.

        The reservation lapses after a minute, so that the webhooks of a process that was killed are sent by others. A
        receiver may thus get one twice, with the same id.
        """
        return self._change(
            delivery,
            deliveries.c.due == delivery.due,
            tries=delivery.tries + 1,
            due=time.time() + LEASE_SECONDS,
        )

    def delivered(self, delivery: Delivery, said: str) -> None:
        """Write down that it was taken."""
        self._change(delivery, status="delivered", ended=time.time(), said=said)

    def later(self, delivery: Delivery, wait: float, said: str) -> None:
        """Send it again after ``wait`` seconds."""
        self._change(delivery, due=time.time() + wait, said=said)

    def give_up(self, delivery: Delivery, said: str) -> None:
        """Send it no more."""
        self._change(delivery, status="given_up", ended=time.time(), said=said)

    def counts(self) -> dict[str, int]:
        """Return how many webhooks there are of each status."""
        query = sa.select(deliveries.c.status, sa.func.count()).group_by(deliveries.c.status)
        with self._database.reading() as connection:
            found: dict[Any, int] = {row[0]: row[1] for row in connection.execute(query)}
        return {status: found.get(status, 0) for status in ("waiting", "delivered", "given_up")}

    def _read(self, *conditions: sa.ColumnElement[bool], limit: int) -> list[Delivery]:
        query = sa.select(deliveries).where(*conditions).order_by(deliveries.c.due).limit(limit)
        with self._database.reading() as connection:
            return [
                msgspec.convert({str(k): v for k, v in row.items()}, Delivery)
                for row in connection.execute(query).mappings()
            ]

    def _change(self, delivery: Delivery, *conditions: sa.ColumnElement[bool], **values: Any) -> bool:
        query = (
            sa.update(deliveries)
            .where(deliveries.c.id == delivery.id, deliveries.c.status == "waiting", *conditions)
            .values(**values)
        )
        with self._database.transaction() as connection:
            return connection.execute(query).rowcount == 1

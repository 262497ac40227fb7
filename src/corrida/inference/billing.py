"""Charging, after success only: a line of the ledger for each analysis, and what a gateway outside must promise."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec
import sqlalchemy as sa

from corrida.inference.database import Database, ledger
from corrida.inference.jobs import note
from corrida.inference.postings import plan_posting

if TYPE_CHECKING:
    from collections.abc import Sequence


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the ledger.

    Attributes:
        analysis: its id, which is the idempotency key too.
        kind: a charge, or the refund of one.
        units: rows that were scored.
        amount: decimal number, or None where no price is set.
        run_id: the run that scored.
        client: name of the API key, or None.
        reason: of a refund.
        time: seconds since the epoch; set by the ledger.
    """

    analysis: str
    kind: Literal["charge", "refund"] = "charge"
    units: int
    amount: str | None = None
    run_id: str | None = None
    client: str | None = None
    reason: str | None = None
    time: float | None = None

    @property
    def key(self) -> str:
        """The idempotency key: the id of the analysis, and of its refund ``ID:refund``; no id holds a colon."""
        return self.analysis if self.kind == "charge" else f"{self.analysis}:{self.kind}"


class ChargeRefused(Exception):
    """A gateway will not take an entry, however often it is asked; the text says why in a few words."""


class GatewayBusy(Exception):
    """A gateway does not take an entry now; the text says why in a few words.

    Attributes:
        wait: seconds that it asks to wait; None when it does not say.
    """

    def __init__(self, said: str, wait: float | None = None) -> None:
        super().__init__(said)
        self.wait = wait


class BillingGateway(Protocol):
    """What charges. A call may be repeated after a kill: the same analysis and kind must count once."""

    def record(self, entry: Entry) -> bool:
        """Charge or refund, and return whether this call was the first with this analysis and kind.

        Raises:
            ChargeRefused: it will never be taken.
            Exception: the gateway cannot be reached; the call is repeated later.
        """
        ...


class Ledger:
    """The built-in gateway: an append-only table with one row of a kind for each analysis.

    Where a gateway outside charges as well, what it is to be told is planned in the transaction that appends the row, so that
    neither is without the other; :class:`corrida.inference.collector.Collector` tells it.
    """

    def __init__(self, database: Database, *, onward: bool = False) -> None:
        """Use the table of a database.

        Args:
            database: of the jobs.
            onward: charges are passed on to a gateway outside. Refunds are where their charge was.
        """
        self._database = database
        self._onward = onward

    def record(self, entry: Entry) -> bool:
        """Append a line, unless the analysis has one of that kind."""
        values = msgspec.to_builtins(entry) | {"time": time.time()}
        insert = self._database.insert(ledger).values(values).on_conflict_do_nothing().returning(ledger.c.seq)

        def append(connection: sa.Connection) -> bool:
            first = connection.execute(insert).first() is not None
            if first and entry.kind == "refund":
                note(connection, entry.analysis, "refunded", reason=entry.reason)
            if first and (self._onward or entry.kind == "refund"):
                plan_posting(connection, self._database, entry.analysis, entry.kind)
            return first

        return self._database.persevere(append)

    def entries(self, analyses: Sequence[str] | None = None) -> list[Entry]:
        """Return the lines in their order, of some analyses or of all."""
        query = sa.select(ledger).order_by(ledger.c.seq)
        if analyses is not None:
            query = query.where(ledger.c.analysis.in_(list(analyses)))
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [msgspec.convert({str(k): v for k, v in row.items() if k != "seq"}, Entry) for row in rows]


def charge_of(
    analysis: str, units: int, unit_price: str | None, run_id: str | None, client: str | None
) -> Entry:
    """Return what an analysis costs: its scored rows, times the price where there is one."""
    amount = None if unit_price is None else str(Decimal(unit_price) * units)
    return Entry(analysis=analysis, units=units, amount=amount, run_id=run_id, client=client)

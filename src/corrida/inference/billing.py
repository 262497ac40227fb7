"""Charging, after success only: whatever charges gets the id of the analysis as its key, and must know it again."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec
import sqlalchemy as sa

from corrida.inference.database import Database, ledger

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


class BillingGateway(Protocol):
    """What charges. A call may be repeated after a kill: the same analysis and kind must count once."""

    def record(self, entry: Entry) -> bool:
        """Charge or refund, and return whether this call was the first with this analysis and kind.

        Raises:
            Exception: the gateway cannot be reached; the call is repeated later.
        """
        ...


class Ledger:
    """The built-in gateway: an append-only table with one row of a kind for each analysis."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, entry: Entry) -> bool:
        """Append a line, unless the analysis has one of that kind."""
        values = msgspec.to_builtins(entry) | {"time": time.time()}
        insert = self._database.insert(ledger).values(values).on_conflict_do_nothing().returning(ledger.c.seq)

        def append(connection: sa.Connection) -> bool:
            return connection.execute(insert).first() is not None

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

"""The user's database: items are read from a table, and the id of a run is written back onto its rows."""

from __future__ import annotations

from corrida.bridges.database.address import Address, parse_address
from corrida.bridges.database.reading import TableSource, table_source
from corrida.bridges.database.stamping import Stamped, stamp_rows
from corrida.bridges.database.target import Target, check_target, find_target, stamp, stamp_run

__all__ = [
    "Address",
    "Stamped",
    "TableSource",
    "Target",
    "check_target",
    "find_target",
    "parse_address",
    "stamp",
    "stamp_rows",
    "stamp_run",
    "table_source",
]

"""Item ids as values of the key of a table: the ids are converted, never the column, so that its index is used."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidData

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import ReflectedColumn

    from corrida.bridges.database.address import TableName

_SHOWN = 5
_WHOLE_NUMBER = re.compile(r"(?:0|-?[1-9][0-9]*)\Z", re.ASCII)
_BITS = {"SMALLINT": 15, "INTEGER": 31, "BIGINT": 63}


def converted_ids(
    connection: Connection,
    item_ids: Sequence[str],
    key: ReflectedColumn,
    table: TableName,
    dialect: str,
    rows: Any,
) -> list[Any]:
    """Return the ids as values of the key's type.

    Raises:
        InvalidData: some cannot be; the first ones are named.
    """
    from sqlalchemy import types

    kind = key["type"]
    convert: Callable[[str], Any] = str
    if isinstance(kind, types.Integer):
        bits = 63 if dialect == "sqlite" else _BITS.get(str(kind), 63)
        convert = lambda text: _whole_number(text, bits)  # noqa: E731
    elif isinstance(kind, types.Uuid):
        convert = uuid.UUID
    elif isinstance(kind, types.NullType) and dialect == "sqlite":
        from sqlalchemy import func, select

        column = rows.c[key["name"]]
        stored = connection.execute(select(func.typeof(column)).where(column.is_not(None)).limit(1)).scalar()
        convert = (lambda text: _whole_number(text, 63)) if stored == "integer" else str
    length = getattr(kind, "length", None) if dialect == "postgresql" else None
    values, odd = [], []
    for text in item_ids:
        try:
            value = convert(text)
        except ValueError:
            odd.append(text)
            continue
        if "\0" in text or (length is not None and len(text) > length):
            odd.append(text)
        else:
            values.append(value)
    if odd:
        shown = ", ".join(repr(text[:40]) for text in odd[:_SHOWN]) + (" …" if len(odd) > _SHOWN else "")
        raise InvalidData(
            f"{len(odd)} of {len(item_ids)} item ids are no values of the key {key['name']} of {table} ({kind}): "
            f"{shown}; nothing was changed, name another column with --key"
        )
    return values


def _whole_number(text: str, bits: int) -> int:
    """Return an id as an integer; 007 and 7 are two ids, so only the plain form is one."""
    if not _WHOLE_NUMBER.match(text) or not -(2**bits) <= (number := int(text[:30])) < 2**bits:
        raise ValueError
    return number

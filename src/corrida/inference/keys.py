"""Keys of the API: shown once, kept as digests."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from corrida.errors import AlreadyExists, InvalidName, NotFound
from corrida.inference.database import Database, keys
from corrida.runs.ids import validate_alias

if TYPE_CHECKING:
    from sqlalchemy import Connection

_PREFIX = "corrida_"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the API.

    Attributes:
        name: of who has it; its analyses carry it, and no other key sees them.
        sees_all: it sees the analyses of all.
        per_minute: calls that it may make; those of the settings when None.
        created: seconds since the epoch.
        revoked: since when it opens nothing, or None.
    """

    name: str
    sees_all: bool = False
    per_minute: int | None = None
    created: float
    revoked: float | None = None


class Keys:
    """The keys of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, *, sees_all: bool = False, per_minute: int | None = None) -> tuple[Key, str]:
        """Make a key and return it with its text, which is kept nowhere.

        Raises:
            InvalidName: the name is outside the grammar of aliases.
            AlreadyExists: the name was given before; analyses belong to names, so none is given twice.
        """
        try:
            validate_alias(name)
        except InvalidName as error:
            raise InvalidName(str(error).replace("alias", "name of a key")) from None
        key = Key(name=name, sees_all=sees_all, per_minute=per_minute, created=time.time())
        # 256 bits by chance need no slow digest: nobody finds them by trying.
        text = _PREFIX + secrets.token_urlsafe(32)
        values = {"digest": _digest(text), **msgspec.to_builtins(key)}
        insert = self._database.insert(keys).values(values).on_conflict_do_nothing().returning(keys.c.name)
        with self._database.transaction() as connection:
            if connection.execute(insert).first() is None:  # psycopg counts no rows here
                raise AlreadyExists(f"there was a key {name} already; choose another name")
        return key, text

    def find(self, text: str) -> Key | None:
        """Return the key that a caller showed; None when it opens nothing."""
        if not text.startswith(_PREFIX):
            return None
        with self._database.reading() as connection:
            query = sa.select(*_FIELDS).where(keys.c.digest == _digest(text), keys.c.revoked.is_(None))
            row = connection.execute(query).mappings().first()
        return None if row is None else msgspec.convert({str(k): v for k, v in row.items()}, Key)

    def list(self) -> list[Key]:
        """Return all keys, also those that were revoked, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(*_FIELDS).order_by(keys.c.name)).mappings().all()
        return [msgspec.convert({str(k): v for k, v in row.items()}, Key) for row in rows]

    def any(self) -> bool:
        """Tell whether there is a key that opens."""
        with self._database.reading() as connection:
            query = sa.select(sa.func.count()).select_from(keys).where(keys.c.revoked.is_(None))
            return bool(connection.execute(query).scalar())

    def revoke(self, name: str) -> None:
        """Let a key open nothing from now on.

        Raises:
            NotFound: there is none of that name that opens.
        """

        def work(connection: Connection) -> int:
            query = sa.update(keys).where(keys.c.name == name, keys.c.revoked.is_(None))
            return connection.execute(query.values(revoked=time.time())).rowcount

        with self._database.transaction() as connection:
            if work(connection) != 1:
                raise NotFound(f"there is no key {name[:120]!r} that opens; `corrida keys list` shows them")


_FIELDS = [keys.c[name] for name in Key.__struct_fields__]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

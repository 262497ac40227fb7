"""Questions to the catalog: which runs, in which order."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from corrida.errors import InvalidFilter
from corrida.runs.query import GROUPS, Sql, compile_filter, compile_order, field_expression
from corrida.runs.record import flatten
from corrida.runs.run_file import RunHeader

_FEW = 5_000


class Question(NamedTuple):
    """Which runs are asked for; see :meth:`corrida.runs.store.Store.runs`."""

    filter: str | None = None
    order_by: str | None = None
    limit: int | None = None
    offset: int = 0
    where: Sequence[Sql] = ()

    def checked(self) -> Question:
        """Return the question when its numbers make sense.

        Raises:
            InvalidFilter: one is below zero.
        """
        for number in (self.offset, self.limit or 0):
            if number < 0:
                raise InvalidFilter(f"limit and offset count runs: {number} is below zero")
        return self


@functools.cache
def header_decoder() -> Callable[[bytes], RunHeader]:
    """Return what turns the column ``header`` into the header of a run."""
    return msgspec.msgpack.Decoder(RunHeader).decode


def answer(db: sqlite3.Connection, question: Question) -> list[RunHeader]:
    """Return runs; the newest first unless the question says otherwise, and those without the field last.

    Raises:
        InvalidFilter: the filter or the order cannot be read.
    """
    conditions = list(question.where)
    if question.filter is not None:
        conditions.append(compile_filter(question.filter, _Names(db)))
    order = compile_order(question.order_by, _Names(db)) if question.order_by else []
    text = " AND ".join(c.text for c in conditions) or "1"
    values = [v for c in conditions for v in c.values]
    limit = -1 if question.limit is None else question.limit
    if len(order) == 1 and order[0][0].startswith("metrics.") and limit >= 0:
        return _top(db, order[0], Sql(text, tuple(values)), limit, question.offset)
    keys: list[str] = []
    by = f"INDEXED BY {index_name(order[0][0])}" if _is_indexed(db, question, order) else ""
    for name, descending in order:
        expression = Sql(stored_expression(name) or "") if by else field_expression(name)
        keys.append(f"{expression.text} {'DESC' if descending else 'ASC'} NULLS LAST")
        values += expression.values
    keys += ["ord DESC", "id DESC"]

    def sql(column: str) -> str:
        return f"SELECT {column} FROM runs {by} WHERE {text} ORDER BY {', '.join(keys)} LIMIT ? OFFSET ?"  # noqa: S608 - built from constants

    asked = [*values, limit, question.offset]
    if not 0 <= limit <= _FEW:
        return _headers(db, sql("header"), asked)
    # First which, then what: of most orders an index knows which.
    found = [row[0] for row in db.execute(sql("n"), asked)]
    chosen = "SELECT n, header FROM runs WHERE n IN (SELECT value FROM json_each(?))"
    headers = dict(db.execute(chosen, (msgspec.json.encode(found).decode(),)))
    decode = header_decoder()
    return [decode(headers[n]) for n in found if n in headers]


def stored_expression(name: str) -> str | None:
    """Return the SQL of a field of the wide part of a run as an index of it is written; None of other fields."""
    if name in {"description", "notes"}:
        return f"runs.{name}"
    group, _, rest = name.partition(".")
    if group not in GROUPS[1:] or not rest or '"' in rest or not rest.isprintable():
        return None
    path = f'$."{rest}"'.replace("'", "''")
    return f"json_extract(runs.{group}, '{path}')"


def index_name(name: str) -> str:
    """Return the name of the index of a field."""
    return f"runs_by_{name.encode().hex()}"


def index_order(db: sqlite3.Connection, name: str) -> None:
    """Make an index for the order by such a field; nothing where there is one."""
    expression = stored_expression(name)
    if expression is not None:
        text = expression.replace("runs.", "", 1)
        db.execute(
            f"CREATE INDEX IF NOT EXISTS {index_name(name)} ON runs ({text}, ord, id, pipeline, status, parent)"
        )


def _is_indexed(db: sqlite3.Connection, question: Question, order: Sequence[tuple[str, bool]]) -> bool:
    """Tell whether an index knows the order; with a filter it is better not to follow it."""
    if len(order) != 1 or question.filter is not None or stored_expression(order[0][0]) is None:
        return False
    sql = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?"
    return db.execute(sql, (index_name(order[0][0]),)).fetchone() is not None


def _top(
    db: sqlite3.Connection, order: tuple[str, bool], chosen: Sql, limit: int, offset: int
) -> list[RunHeader]:
    """Answer 'the best n by a metric' from the index on its values, without sorting every run."""
    name = order[0].removeprefix("metrics.")
    way = "DESC" if order[1] else "ASC"
    sql = (
        f"SELECT header FROM metrics x INDEXED BY metrics_value JOIN runs ON runs.n = x.run "  # noqa: S608
        f"WHERE x.name = ? AND x.value IS NOT NULL AND {chosen.text} "
        f"ORDER BY x.value {way}, ord DESC, id DESC LIMIT ? OFFSET ?"
    )
    found = _headers(db, sql, [name, *chosen.values, limit, offset])
    if len(found) < limit:
        with_value = db.execute(
            f"SELECT count(*) FROM metrics x JOIN runs ON runs.n = x.run "  # noqa: S608
            f"WHERE x.name = ? AND x.value IS NOT NULL AND {chosen.text}",
            [name, *chosen.values],
        ).fetchone()[0]
        rest = (
            f"SELECT header FROM runs WHERE {chosen.text} AND NOT EXISTS (SELECT 1 FROM metrics x WHERE "  # noqa: S608
            "x.run = runs.n AND x.name = ? AND x.value IS NOT NULL) ORDER BY ord DESC, id DESC LIMIT ? OFFSET ?"
        )
        values = [*chosen.values, name, limit - len(found), max(0, offset - with_value)]
        found += _headers(db, rest, values)
    return found


def _headers(db: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[RunHeader]:
    decode = header_decoder()
    return [decode(row[0]) for row in db.execute(sql, values)]


def names(db: sqlite3.Connection) -> list[str]:
    """Return the names of metrics, params, tags and findings that occur, with their group."""
    if db.execute("SELECT 1 FROM meta WHERE key = 'names'").fetchone():
        found = counted_names(db)
    else:
        found = {row[0] for row in db.execute("SELECT name FROM names")}
    return sorted(found, key=lambda name: (GROUPS.index(name.partition(".")[0]), name))


def counted_names(db: sqlite3.Connection) -> set[str]:
    """Return these names from the runs themselves: needed where a run that had some of them changed or went."""
    found = {f"metrics.{row[0]}" for row in db.execute("SELECT DISTINCT name FROM metrics")}
    for group in GROUPS[1:]:
        sql = f"SELECT DISTINCT key FROM runs, json_each(runs.{group})"  # noqa: S608 - constants
        found |= {f"{group}.{row[0]}" for row in db.execute(sql)}
    return found


def names_of(header: RunHeader) -> set[str]:
    """Return the names that a run has."""
    found = {f"metrics.{name}" for name in header.metrics}
    found |= {f"params.{name}" for name in flatten(header.params)}
    found |= {f"tags.{name}" for name in header.tags}
    return found | {f"findings.{name}" for name in header.findings}


class _Names(Iterable[str]):
    """The names that occur, asked for only when a filter names an unknown field."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __iter__(self) -> Iterator[str]:
        return iter(names(self._db))

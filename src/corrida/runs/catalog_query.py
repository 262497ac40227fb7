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
    for name, descending in order:
        expression = field_expression(name)
        keys.append(f"{expression.text} {'DESC' if descending else 'ASC'} NULLS LAST")
        values += expression.values
    keys += ["ord DESC", "id DESC"]
    sql = f"SELECT header FROM runs WHERE {text} ORDER BY {', '.join(keys)} LIMIT ? OFFSET ?"  # noqa: S608 - built from constants
    return _headers(db, sql, [*values, limit, question.offset])


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

"""The runner at a glance: what ended lately and how long it took, why analyses failed, how far files stood from training."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import sqlalchemy as sa

from corrida.inference.database import analyses, events, postings, shadows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from corrida.inference.database import Database

MOST_EVENTS = 50_000
"""Events that a look goes back: the table is appended to for ever and has no index by time."""
_ENDS = ("processed", "failed", "cancelled")
_FAILURES = 500
_SHARE = 0.95


class Span(NamedTuple):
    """What ended within a stretch of time.

    Attributes:
        start: seconds since the epoch.
        ended: analyses by how they ended.
        rows: of those that were processed.
        median, most: seconds from coming in to the end of half of them, and of 95 %; None without any.
        waited: median of the seconds before the first try began.
    """

    start: float
    ended: dict[str, int]
    rows: int
    median: float | None
    most: float | None
    waited: float | None


class Pace(NamedTuple):
    """What ended over a time.

    Attributes:
        spans: stretches of the same length, the oldest first, without gaps.
        seconds: the length of one.
        whole: all of them as one.
        cut: whether more happened than is looked at; then the oldest spans are not whole.
    """

    spans: list[Span]
    seconds: float
    whole: Span
    cut: bool


class Failure(NamedTuple):
    """Analyses that failed for the same reason: its code, the sentence that callers are told, how many, and the last."""

    code: str
    message: str
    files: int
    last: str
    ended: float


class Drift(NamedTuple):
    """How far the features of the last files stood from training.

    Attributes:
        measure: ``psi``, the population stability index, or ``level``, in usual changes from a season to the next.
        pipeline: of the runs that measured it.
        points: analysis, when it ended, its rows, and the measure by feature; the oldest first.
    """

    measure: str
    pipeline: str
    points: list[tuple[str, float, int, dict[str, float]]]


class ShadowPair(NamedTuple):
    """What a second run answered to the same files.

    Attributes:
        reference, run: of it.
        compared, waiting, failed: analyses.
        rows, differ: that both runs answered, and of them those with different answers.
        message: why the last one failed.
    """

    reference: str
    run: str | None
    compared: int
    waiting: int
    failed: int
    rows: int
    differ: int
    message: str | None


def pace(database: Database, now: float, seconds: float, spans: int) -> Pace:
    """Return what ended lately.

    Args:
        database: of the jobs.
        now: seconds since the epoch.
        seconds: length of a span.
        spans: how many.
    """
    # Whole spans since the epoch, so that a bar stays the same from one look to the next.
    first = (math.floor(now / seconds) - spans + 1) * seconds
    with database.reading() as connection:
        newest = connection.execute(sa.select(sa.func.max(events.c.seq))).scalar() or 0
        edge = newest - MOST_EVENTS
        query = (
            sa.select(
                events.c.event, events.c.time, analyses.c.created, analyses.c.started, analyses.c.rows,
            )
            .join(analyses, analyses.c.id == events.c.analysis)
            .where(events.c.seq > edge, events.c.time >= first, events.c.event.in_(_ENDS))
        )  # fmt: skip
        rows = connection.execute(query).all()
        oldest = None
        if edge > 0:
            after = sa.select(sa.func.min(events.c.time)).where(
                events.c.seq > edge, events.c.seq <= edge + 100
            )
            oldest = connection.execute(after).scalar()
    by_span: dict[int, list[Any]] = {}
    for row in rows:
        by_span.setdefault(min(int((row.time - first) // seconds), spans - 1), []).append(row)
    found = [_span(first + n * seconds, by_span.get(n, ())) for n in range(spans)]
    return Pace(found, seconds, _span(first, rows), oldest is not None and oldest > first)


def _span(start: float, rows: Sequence[Any]) -> Span:
    took = sorted(max(0.0, row.time - row.created) for row in rows if row.event != "cancelled")
    waited = [max(0.0, row.started - row.created) for row in rows if row.started is not None]
    return Span(
        start,
        {end: sum(row.event == end for row in rows) for end in _ENDS},
        sum(row.rows or 0 for row in rows if row.event == "processed"),
        statistics.median(took) if took else None,
        took[math.ceil(_SHARE * len(took)) - 1] if took else None,
        statistics.median(waited) if waited else None,
    )


def failures(database: Database) -> list[Failure]:
    """Return why the last analyses failed, the latest reason first; the names of the files are no part of a reason."""
    query = (
        sa.select(analyses.c.id, analyses.c.code, analyses.c.message, analyses.c.ended, analyses.c.file)
        .where(analyses.c.status == "failed")
        .order_by(analyses.c.ended.desc(), analyses.c.id)
        .limit(_FAILURES)
    )
    found: dict[tuple[str, str], Failure] = {}
    with database.reading() as connection:
        for row in connection.execute(query):
            key = (row.code or "", (row.message or "").removeprefix(f"{row.file}: "))
            known = found.get(key)
            found[key] = (
                Failure(*key, 1, row.id, row.ended or 0.0)
                if known is None
                else known._replace(files=known.files + 1)
            )
    return list(found.values())


def drift(database: Database, limit: int) -> Drift | None:
    """Return how far the last files stood from training; None where no pipeline measured it.

    Args:
        database: of the jobs.
        limit: files at most; those of the pipeline that measured last.
    """
    query = (
        sa.select(analyses.c.id, analyses.c.ended, analyses.c.rows, analyses.c.pipeline, analyses.c.report)
        .where(analyses.c.status == "processed", analyses.c.report.is_not(None))
        .order_by(analyses.c.ended.desc(), analyses.c.id)
        .limit(limit)
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
    points: list[tuple[str, float, int, dict[str, float]]] = []
    kind: tuple[str, str] | None = None
    for row in rows:
        try:
            report = msgspec.json.decode(row.report)
        except msgspec.DecodeError:
            continue
        values = {
            str(name): float(value)
            for name, value in (report.get("drift") or {}).items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
        own = (str(report.get("drift_measure", "psi")), row.pipeline or "")
        if not values or own != (kind or own):
            continue
        kind = own
        points.append((row.id, row.ended or 0.0, row.rows or 0, values))
    return None if kind is None else Drift(*kind, points[::-1])


def shadow_pairs(database: Database) -> list[ShadowPair]:
    """Return what second runs answered to the same files; empty where there was none."""
    with database.reading() as connection:
        if not _has(connection, shadows):
            return []
        # The file of an analysis that failed is never compared, so nothing waits for it.
        query = (
            sa.select(
                shadows.c.reference, shadows.c.run_id, shadows.c.status, sa.func.count().label("found"),
                sa.func.coalesce(sa.func.sum(shadows.c.rows), 0).label("rows"),
                sa.func.coalesce(sa.func.sum(shadows.c.differ), 0).label("differ"),
                sa.func.max(shadows.c.message).label("message"),
            )
            .join(analyses, analyses.c.id == shadows.c.analysis)
            .where(shadows.c.ended.is_not(None) | (analyses.c.status == "processed"))
            .group_by(shadows.c.reference, shadows.c.run_id, shadows.c.status)
        )  # fmt: skip
        rows = connection.execute(query).all()
    found: dict[tuple[str, str | None], ShadowPair] = {}
    for row in rows:
        key = (row.reference, row.run_id)
        pair = found.get(key, ShadowPair(*key, 0, 0, 0, 0, 0, None))
        if row.status == "compared":
            pair = pair._replace(compared=row.found, rows=int(row.rows), differ=int(row.differ))
        elif row.status == "failed":
            pair = pair._replace(failed=row.found, message=row.message)
        else:
            pair = pair._replace(waiting=pair.waiting + row.found)
        found[key] = pair
    return sorted(found.values(), key=lambda pair: (pair.reference, pair.run or ""))


def shadow_of(database: Database, analysis: str) -> dict[str, Any] | None:
    """Return what a second run answered to the file of an analysis; None where none did."""
    return next(iter(_rows_of(database, shadows, analysis)), None)


def postings_of(database: Database, analysis: str) -> list[dict[str, Any]]:
    """Return how far a gateway outside was told of the charge of an analysis and of its refund."""
    return _rows_of(database, postings, analysis)


def _rows_of(database: Database, table: sa.Table, analysis: str) -> list[dict[str, Any]]:
    with database.reading() as connection:
        if not _has(connection, table):
            return []
        rows = connection.execute(sa.select(table).where(table.c.analysis == analysis)).mappings().all()
    return [{str(name): value for name, value in row.items()} for row in rows]


def _has(connection: Connection, table: sa.Table) -> bool:
    """Tell whether a table is there: a database that an older version laid out may lack it until it is served again."""
    return bool(sa.inspect(connection).has_table(table.name))

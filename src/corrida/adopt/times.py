"""When an old run was made: as its record says, else as its id says, else as its files say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

STARTED = ("created_at", "created", "timestamp", "started_at", "start_time", "date", "fecha")
ENDED = ("finished_at", "finished", "completed_at", "ended_at", "end_time")
_IN_ID = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_]?(\d\d)[-_]?(\d\d)"
    r"(?:[T_-]?([01]\d|2[0-3])[-_:hH]?([0-5]\d)(?:[-_:mM]?([0-5]\d))?)?(?!\d)"
)
_LONGEST = 400 * 86400.0


class When(NamedTuple):
    """When a run was made.

    Attributes:
        created: its start, aware.
        finished: its end, aware; the start where nobody knows.
        duration: seconds; None where start and end are not both on record.
        told_by: where the start was found, in words.
    """

    created: datetime
    finished: datetime
    duration: float | None
    told_by: str


def when(
    records: Iterable[tuple[str, Mapping[str, Any]]],
    old_id: str,
    changed: Iterable[int],
    now: datetime,
    warnings: list[str],
) -> When:
    """Return when a run was made.

    A time without a zone is of the zone of this machine, in which programs that write such times live. A time in the
    future is not believed.

    Args:
        records: old records with their names, the most trusted first.
        old_id: the id, which may hold a time such as ``20241021_130601`` or ``2025-12-04``.
        changed: times of change of its files, in nanoseconds since the epoch; at least one.
        now: the time of the adoption.
        warnings: gets a sentence for each time that cannot be used.
    """
    records = list(records)
    stamps = sorted(datetime.fromtimestamp(ns / 1e9, UTC) for ns in changed)
    start = _first(records, STARTED, now, warnings)
    end = _first(records, ENDED, now, warnings)
    if start is not None:
        created, told_by = start
        if end is not None and end[0] >= created:
            lasted = (end[0] - created).total_seconds()
            return When(created, end[0], lasted if lasted < _LONGEST else None, told_by)
        return When(created, created, None, told_by)
    if (told := time_in(old_id)) is not None and told <= now:
        return When(told, end[0] if end and end[0] >= told else told, None, "the id")
    past = [stamp for stamp in stamps if stamp <= now] or [now]
    return When(past[0], past[-1], None, "the times of its files")


def _first(
    records: Iterable[tuple[str, Mapping[str, Any]]],
    keys: tuple[str, ...],
    now: datetime,
    warnings: list[str],
) -> tuple[datetime, str] | None:
    for name, record in records:
        for key in keys:
            if key not in record or record[key] in (None, ""):
                continue
            told = read_time(record[key])
            if told is None or told > now:
                why = "lies in the future" if told else "is no time"
                warnings.append(f"{key} in {name} {why} ({str(record[key])[:40]}) and was not used")
                continue
            return told, f"{key} in {name}"
    return None


def read_time(value: object) -> datetime | None:
    """Return a time in ISO 8601, or in seconds since the epoch, as an aware one; None when it is neither."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and 1e8 < value < 1e11:
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            return datetime.fromisoformat(value.strip()).astimezone()
        if isinstance(value, datetime):  # YAML has times of its own
            return value.astimezone()
    except (ValueError, OverflowError, OSError):
        pass
    return None


def time_in(name: str) -> datetime | None:
    """Return the time that a name such as ``run_20260113_1550`` holds, in the zone of this machine."""
    for found in _IN_ID.finditer(name):
        try:
            return datetime(*(int(part) for part in found.groups() if part)).astimezone()  # type: ignore[arg-type]
        except (ValueError, OverflowError, OSError):
            continue
    return None

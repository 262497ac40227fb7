"""The table of runs as a file: CSV and JSON, of all runs that fit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import StreamingResponse

from corrida.analysis.run_columns import HAS, RESULT, TAGS, chosen_fields, said_of
from corrida.runs.numbers import json_number
from corrida.web.address import RunsState

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.runs.record import RunRecord
    from corrida.web.viewer import Site

_AT_ONCE = 2_000
_PIECE = 1 << 18
_OWN = (
    "id", "pipeline", "status", "created", "finished", "duration", "source", "description", "notes", "seed", "parent",
    "resumed_from", "git.commit", "git.branch",
)  # fmt: skip


def as_csv(site: Site, request: Request) -> Response:
    """Answer ``/runs.csv``: a line a run, the columns that were chosen or all."""
    state, fields, first = _asked(site, request)

    def lines() -> Iterator[str]:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(fields)
        for runs in _batches(site, state, first):
            for run in runs:
                row = _values(run, fields)
                writer.writerow([_plain(row[field]) for field in fields])
                if text.tell() > _PIECE:
                    yield text.getvalue()
                    text.seek(0)
                    text.truncate()
        yield text.getvalue()

    return _file(lines(), "text/csv; charset=utf-8", "runs.csv")


def as_json(site: Site, request: Request) -> Response:
    """Answer ``/runs.json``: a list with an object a run; what a run lacks is left out."""
    state, fields, first = _asked(site, request)

    def lines() -> Iterator[bytes]:
        before = b"[\n"
        for runs in _batches(site, state, first):
            for run in runs:
                row = {name: value for name, value in _values(run, fields).items() if value is not None}
                numbers = {
                    name: json_number(value) if isinstance(value, float) else value
                    for name, value in row.items()
                }
                yield before + msgspec.json.encode(numbers, enc_hook=str)
                before = b",\n"
        yield (b"[" if before == b"[\n" else b"\n") + b"]\n"

    return _file(lines(), "application/json", "runs.json")


def _asked(site: Site, request: Request) -> tuple[RunsState, list[str], Sequence[RunRecord]]:
    """Return what to write, and the first runs of it: a filter that cannot be read is refused before the file begins."""
    state = RunsState.of(request.query_params)
    site.freshness.look()
    chosen = (
        [field for _, field in chosen_fields(state.columns, [TAGS, RESULT])]
        if state.columns
        else [*_OWN, TAGS]
    )
    overview = site.overviews.get()
    names = overview.names
    tags = [name for name in names if name.startswith("tags.") and name not in chosen]
    parts = {TAGS: tags, RESULT: [f"metrics.{trend.metric}" for trend in overview.trends.values()]}
    fields = list(dict.fromkeys(name for field in chosen for name in parts.get(field, [field])))
    if not state.columns:
        fields += [name for name in names if not name.startswith("tags.")]
    return state, fields, _some(site, state, 0)


def _batches(site: Site, state: RunsState, first: Sequence[RunRecord]) -> Iterator[Sequence[RunRecord]]:
    """Yield all runs, some at a time; one that has moved on because others came meanwhile is not told twice."""
    told: set[str] = set()
    runs, offset = first, 0
    while runs:
        yield [run for run in runs if run.id not in told]
        told |= {run.id for run in runs}
        offset += _AT_ONCE
        runs = _some(site, state, offset) if len(runs) == _AT_ONCE else ()


def _some(site: Site, state: RunsState, offset: int) -> Sequence[RunRecord]:
    return site.store.runs(
        filter=state.filter or None,
        order_by=state.sort or None,
        limit=_AT_ONCE,
        offset=offset,
        pipeline=state.pipeline or None,
        children=state.children or bool(state.filter),
        refresh=False,
    )


def _values(run: RunRecord, fields: Sequence[str]) -> dict[str, Any]:
    row = run.as_row()
    if HAS in fields:
        row[HAS] = " ".join(run.has())
    row["notes"] = said_of(run, "notes") or None
    return {field: row.get(field) for field in fields}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return json_number(value)
    return (
        msgspec.json.encode(value, enc_hook=str).decode() if isinstance(value, dict | list | tuple) else value
    )


def _file(content: Iterator[Any], kind: str, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(content, media_type=kind, headers=headers)

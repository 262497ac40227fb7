"""The items of a run: filtered, sorted, page by page."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlencode

from corrida.analysis.items_listing import (
    by_loss,
    item_cell,
    items_where,
    number_columns,
    readable_columns,
    rightness,
    wrong_items,
)
from corrida.analysis.items_values import are_measurements
from corrida.errors import BadInput, InvalidFilter
from corrida.runs import layout
from corrida.web.address import item_address, page_number
from corrida.web.aligned import column_gaps
from corrida.web.run_head import find_run, run_head

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.runs.record import RunRecord
    from corrida.web.viewer import Site

ROWS = 100
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")
_HIDING = re.compile(r"[\\$#]|--|/\*")
_TOO_MUCH = re.compile(
    r"\b(select|read_\w+|\w*replace|[lr]pad|repeat|generate_series)\b",
    re.IGNORECASE,
)
_CELL = 400
_WORST = "-loss"


class ItemsState(NamedTuple):
    """What the table of items shows.

    Attributes:
        filter: SQL over the columns, as of ``corrida items --where``.
        wrong: only items whose answer is wrong.
        sort: a column, ``-`` before it for the greatest first; empty for the order in which they were logged.
        page: from 1.
        item: the id of the one that is shown whole.
    """

    filter: str = ""
    wrong: bool = False
    sort: str = ""
    page: int = 1
    item: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Read it from the query of an address."""
        return cls(
            query.get("filter", "").strip(),
            query.get("wrong") == "1",
            query.get("sort", "").strip(),
            page_number(query.get("page", "")),
            query.get("item", ""),
        )

    def address(self, **changes: Any) -> str:
        """Return the query of this state with changes; another page or item only where it is named."""
        state = {**self._asdict(), "page": 1, "item": "", **changes}
        pairs = {
            name: "1" if value is True else str(value)
            for name, value in state.items()
            if value and not (name == "page" and value == 1)
        }
        return f"?{urlencode(pairs)}"


class Head(NamedTuple):
    """The head of a column."""

    name: str
    address: str
    sorted: str
    number: bool


def show(site: Site, request: Request) -> Response:
    """Answer ``/runs/ID/items``."""
    run = find_run(site, request.path_params["id"])
    state = ItemsState.of(request.query_params)
    everything = run_items(run)
    error = ""
    frame = everything
    try:
        frame = _chosen(everything, state, run)
    except BadInput as problem:
        error = str(problem)
        frame = everything.clear()
    first = (state.page - 1) * ROWS
    shown = frame.slice(first, ROWS)
    names = readable_columns(shown.columns)
    numbers = number_columns(everything, names) if names else frozenset()
    right = rightness(shown) or [None] * shown.height
    cells = [[_cell(row[name], name) for name in names] for row in shown.iter_rows(named=True)]
    gaps = column_gaps(cells, [i in numbers for i in range(len(names))])
    ids = shown["item_id"].to_list() if "item_id" in shown.columns else [None] * shown.height
    rows = [
        {
            "id": ids[i],
            "history": item_address(site.pages.base, str(ids[i]), run.pipeline),
            "cells": cells[i],
            "gaps": gaps[i],
            "right": {True: "right", False: "wrong", None: ""}[right[i]],
        }
        for i in range(shown.height)
    ]
    content = {
        **run_head(site, run, "items"),
        "state": state,
        "error": error,
        "heads": [_head(state, name, i in numbers) for i, name in enumerate(names)],
        "example": _example(everything),
        "rows": rows,
        "first": first + 1,
        "fitting": frame.height,
        "total": everything.height,
        "more": first + ROWS < frame.height,
        "names": everything.columns,
        "all_columns": everything.width == len(names),
        "has_loss": "loss" in everything.columns,
        "tells_right": bool(rightness(everything.head(1))),
        "whole": _whole(everything, state.item) if state.item else None,
        "item_address": item_address(site.pages.base, state.item, run.pipeline),
    }
    return site.pages.page(request, "run_items", content, here="runs", status=400 if error else 200)


def run_items(run: RunRecord) -> pl.DataFrame:
    """Return the items of a run; of the runs that were looked at last they are kept.

    Raises:
        DamagedRun: they cannot be read.
    """
    try:
        status = (run.dir / layout.ITEMS).stat()
    except OSError:
        return run.items()
    return _kept(_Of(run), run.dir, (status.st_mtime_ns, status.st_size, status.st_ino, run.status))


class _Of:
    """A run beside the key of what is kept, equal to any other."""

    def __init__(self, run: RunRecord) -> None:
        self.run = run

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Of)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=6)
def _kept(of: _Of, run_dir: Path, state: tuple[Any, ...]) -> pl.DataFrame:
    del run_dir, state
    return of.run.items()


def _chosen(frame: pl.DataFrame, state: ItemsState, run: RunRecord) -> pl.DataFrame:
    import polars as pl

    if state.wrong:
        frame = wrong_items(frame, run.id, worst="the order by loss")
    if state.filter:
        check_filter(state.filter)
        frame = items_where(frame, state.filter, "the filter")
    if not state.sort:
        return frame
    if state.sort == _WORST:
        return by_loss(frame, run.id)
    name = state.sort.removeprefix("-")
    if name not in frame.columns:
        raise InvalidFilter(f"there is no column {name!r} to sort by; there are {', '.join(frame.columns)}")
    try:
        return frame.sort(name, descending=state.sort[0] == "-", nulls_last=True, maintain_order=True)
    except pl.exceptions.PolarsError:
        raise InvalidFilter(f"the column {name!r} has no order") from None


def _example(frame: pl.DataFrame) -> str:
    """Return a filter that fits these items."""
    import polars as pl

    said = []
    if frame.schema.get("output") == pl.String and not are_measurements(frame):
        answers = frame["output"].drop_nulls().head(1).to_list()
        said += [f"output = '{answer}'" for answer in answers if re.fullmatch(r"[\w .-]{1,20}", answer)]
    for name, least in (("score", "score < 0.5"), ("loss", "loss > 1")):
        if name in frame.columns and len(said) < 2:
            said.append(least)
    return " AND ".join(said) or "item_id = '7'"


def check_filter(text: str) -> None:
    """Refuse what a condition over columns does not need: reading other tables, and texts without an end.

    Raises:
        InvalidFilter: with the word.
    """
    # A quote that is not one (in a comment, after a backslash) could hide a word from us.
    code = text if _HIDING.search(text) else _QUOTED.sub("''", text)
    if found := _TOO_MUCH.search(code):
        raise InvalidFilter(
            f"a filter on this page takes no {found.group().upper()}; `corrida items --where` does, "
            "and a column of that name goes in double quotes"
        )


def _head(state: ItemsState, name: str, number: bool) -> Head:
    way = {f"-{name}": "descending", name: "ascending"}.get(state.sort, "none")
    following = {f"-{name}": name, name: ""}.get(state.sort, f"-{name}")
    return Head(name, state.address(sort=following), way, number)


def _cell(value: Any, name: str) -> str:
    text = item_cell(value, name)
    return text if len(text) <= _CELL else f"{text[:_CELL]}…"


def _whole(frame: pl.DataFrame, item: str) -> list[tuple[str, Any]] | None:
    """Return every column of an item: long ones as text, lists and structures as trees."""
    import polars as pl

    from corrida.runs.plain import plain, printable
    from corrida.web.folded import folded

    if "item_id" not in frame.columns:
        return None
    found = frame.filter(pl.col("item_id").cast(pl.String) == item).head(1)
    if found.is_empty():
        return None
    row = found.row(0, named=True)
    return [
        (name, folded(plain(value)) if isinstance(value, list | dict) else printable(str(plain(value))))
        for name, value in row.items()
        if value is not None
    ]

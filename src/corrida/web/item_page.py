"""An item over the runs: what they gave, since when, and what changed where the answer did."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from corrida.analysis.item_report import (
    ALL_STABLE,
    NOTHING_ALIKE,
    groups_alike,
    no_such_item,
    telling_columns,
)
from corrida.analysis.items_values import format_answer
from corrida.errors import BadInput, NotFound
from corrida.runs.numbers import format_number
from corrida.web.address import PAGE_SIZE, compare_address, item_address, page_number
from corrida.web.sparkline import sparkline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.analysis.item_history import Answer, Histories, ItemHistory
    from corrida.runs.record import Runs
    from corrida.web.viewer import Site

NEWEST = 500
_MOST = 100_000


class Dot(NamedTuple):
    """What one run gave, in a row of them.

    Attributes:
        answer: of the run.
        text: the answer as it is shown.
        state: ``right``, ``wrong`` or ``unknown``.
        turns: whether it is another one than in the run before.
        before: the run before; empty for the first.
    """

    answer: Answer
    text: str
    state: str
    turns: bool
    before: str


class Shown(NamedTuple):
    """The history of an item in one pipeline, as the page shows it; ``losses`` where those are all that is known."""

    history: ItemHistory
    columns: list[str]
    dots: list[Dot]
    about: list[tuple[str, str]]
    losses: Markup | None


def show(site: Site, request: Request) -> Response:
    """Answer ``/items/ID``, and ``/items``."""
    item_id = request.path_params.get("id") or request.query_params.get("id", "")
    pipeline = request.query_params.get("pipeline", "").strip()
    site.freshness.look()
    if not item_id.strip():
        return _without_item(site, request, pipeline)
    newest = min(page_number(request.query_params.get("newest", "")), _MOST)
    newest = NEWEST if newest == 1 else newest
    runs = site.store.runs(pipeline=pipeline or None, limit=newest + 1, refresh=False)
    more = len(runs) > newest
    found = _history(site, runs[:newest], item_id)
    content: dict[str, Any] = {
        "item": item_id,
        "pipeline": pipeline,
        "shown": [_shown(history, found) for history in found.histories],
        "damaged": found.damaged,
        "newest": newest if more else 0,
        "further": f"{item_address(site.pages.base, item_id, pipeline)}",
        "said": lambda given: " ".join(format_answer(given).split()),
        "compare": compare_address,
    }
    return site.pages.page(request, "item", content, here="runs")


def _history(site: Site, runs: Runs | list[Any], item_id: str) -> Histories:
    from corrida.analysis.item_history import item_history

    found = item_history(runs, item_id, list_keys=site.project.settings.list_keys)
    if not found.histories:
        raise NotFound(no_such_item(item_id, runs))
    return found


def _shown(history: ItemHistory, found: Histories) -> Shown:
    dots: list[Dot] = []
    for answer in found.answers[history.pipeline]:
        before = dots[-1].answer if dots else None
        given = (answer.output, answer.expected, answer.correct)
        turns = before is not None and given != (before.output, before.expected, before.correct)
        state = {None: "unknown", True: "right", False: "wrong"}[answer.correct]
        dots.append(Dot(answer, _answer(answer), state, turns, before.run if before else ""))
    columns = telling_columns(history)
    losses = None
    if "loss" in columns:
        points = [math.nan if dot.answer.loss is None else float(dot.answer.loss) for dot in dots]
        losses = sparkline(points, f"loss of the item over {len(points)} runs, the oldest first")
    return Shown(history, columns, dots, list(history.about.items()), losses)


def _answer(answer: Answer) -> str:
    if answer.output is None and answer.correct is None and answer.loss is not None:
        return f"loss {format_number(float(answer.loss))}"
    return " ".join(format_answer(answer.output).split())


def _without_item(site: Site, request: Request, pipeline: str) -> Response:
    """Show how to ask for an item, and those that change their answer without a reason."""
    from corrida.analysis.item_history import flaky_items

    content: dict[str, Any] = {
        "pipeline": pipeline,
        "pipelines": sorted(site.store.catalog.newest_pipelines()),
        "asked": request.query_params.get("flaky", "") == "1",
        "groups": {}, "rows": [], "said": "", "damaged": {}, "page": 1, "more": False, "total": 0,
        "address": item_address, "compare": compare_address,
    }  # fmt: skip
    if content["asked"]:
        runs = site.store.runs(pipeline=pipeline or None, status="finished", limit=NEWEST, refresh=False)
        found = flaky_items(runs)
        page = page_number(request.query_params.get("page", ""))
        shown = found.frame.slice((page - 1) * PAGE_SIZE, PAGE_SIZE)
        said = "" if found.frame.height else ALL_STABLE if found.groups else NOTHING_ALIKE
        content |= {
            "groups": groups_alike(found),
            "rows": [_flaky_row(row, found.groups) for row in shown.iter_rows(named=True)],
            "said": said,
            "damaged": found.damaged,
            "page": page,
            "total": found.frame.height,
            "more": page * PAGE_SIZE < found.frame.height,
        }
    if pipeline and pipeline not in content["pipelines"]:
        raise BadInput(f"there is no run of {pipeline!r}; choose one of the pipelines of the store")
    return site.pages.page(request, "items", content, here="runs")


def _flaky_row(row: dict[str, Any], groups: Sequence[Sequence[str]]) -> dict[str, Any]:
    members = groups[row["configuration"] - 1]
    return {
        **row,
        "agreement": f"{100 * row['agreement']:.0f} %",
        "right": "–" if row["right"] is None else f"{100 * row['right']:.0f} %",
        "most_frequent": " ".join(format_answer(row["most_frequent"]).split()),
        "pair": members[:2],
    }

"""Where the aliases point: since when, by whom and why, and what was there before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import RedirectResponse

from corrida.errors import CorridaError
from corrida.runs.alias import before
from corrida.runs.numbers import format_number
from corrida.web.address import aliases_address, compare_address, page_number
from corrida.web.forms import Done
from corrida.web.promote_page import check_unmoved
from corrida.web.run_head import find_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.runs.alias import Promotion
    from corrida.runs.record import RunRecord
    from corrida.web.viewer import Site

_PAGE = 50
_OFFERED = 30


class Carried(NamedTuple):
    """An alias and its run.

    Attributes:
        alias: without ``@``.
        promotion: since when, by whom and why.
        run: that carries it; None where it is gone or cannot be read.
        problem: why it cannot.
        before: the run that carried it before, to which it would point back.
        compare: the address of both beside each other; empty without one of them.
        metric: name and value of what decides, and the value of the run before; None where nothing is known.
        serves: whether the runner answers with it.
        seen: when it was moved last.
    """

    alias: str
    promotion: Promotion
    run: RunRecord | None
    problem: str
    before: str | None
    compare: str
    metric: tuple[str, str, str | None] | None
    serves: bool
    seen: str


class Move(NamedTuple):
    """A line of the history: what was done, and the run that carried the alias until then."""

    promotion: Promotion
    what: str
    was: str | None
    compare: str


def show(site: Site, request: Request) -> Response:
    """Answer ``/aliases``."""
    return _page(site, request)


def demote(site: Site, request: Request, form: Mapping[str, str]) -> Response:
    """Answer a form that points an alias back."""
    session = site.forms.check(request, form)
    alias = form.get("alias", "").removeprefix("@")

    def demoted() -> Done:
        check_unmoved(site, alias, form.get("seen", ""))
        promotion = site.store.demote(alias, form.get("reason", "").strip() or None)
        address = aliases_address(site.pages.base, alias, form.get("once", ""))
        return Done(address, f"@{promotion.alias} is {promotion.run or 'no run now'}")

    try:
        done = site.forms.once(session, form, demoted)
    except CorridaError as error:
        return _page(site, request, problem=str(error), status=409)
    return RedirectResponse(done.address, status_code=303)


def _page(site: Site, request: Request, *, problem: str = "", status: int = 200) -> Response:
    site.freshness.look()
    chosen = request.query_params.get("alias", "").removeprefix("@")
    page = page_number(request.query_params.get("page", ""))
    history = site.store.alias_history()
    names = sorted({promotion.alias for promotion in history})
    if chosen not in names:
        chosen = ""
    moves = _moves(site, [p for p in history if chosen in {"", p.alias}])
    start = (page - 1) * _PAGE
    moved = {promotion.alias: promotion.time for promotion in history}
    carried = [_carried(site, one, moved.get(one.alias, "")) for one in site.store.aliases().values()]
    content: dict[str, Any] = {
        "carried": sorted(carried, key=lambda one: (not one.serves, one.alias)),
        "moves": moves[start : start + _PAGE],
        "total": len(moves),
        "first": start + 1,
        "page": page,
        "more": len(moves) > start + _PAGE,
        "names": names,
        "chosen": chosen,
        "problem": problem,
        "done": site.forms.said(request, request.query_params.get("done", "")),
        "offered": [
            run.id for run in site.store.runs(filter="status = 'finished'", limit=_OFFERED, refresh=False)
        ]
        if site.write
        else [],
        "any_run": site.store.catalog.count() > 0,
        "serving_alias": site.project.settings.serve.alias,
    }
    return site.pages.page(request, "aliases", content, here="aliases", status=status)


def _carried(site: Site, promotion: Promotion, moved: str) -> Carried:
    run, problem = _read(site, promotion.run)
    if run is not None and promotion.digest is not None and _seal(run) not in {None, promotion.digest}:
        problem = "this run was altered since it was promoted, and does not serve; promote another, or restore a copy"
    earlier = before(site.store.root, promotion.alias)
    there, _ = _read(site, earlier)
    compare = "" if run is None or there is None else compare_address(site.pages.base, [there.id, run.id])
    return Carried(
        promotion.alias,
        promotion,
        run,
        problem,
        earlier,
        compare,
        _metric(run, there),
        promotion.alias == site.project.settings.serve.alias,
        moved,
    )


def _read(site: Site, run_id: str | None) -> tuple[RunRecord | None, str]:
    if run_id is None:
        return None, ""
    try:
        return find_run(site, run_id), ""
    except CorridaError as error:
        return None, str(error)


def _seal(run: RunRecord) -> str | None:
    try:
        return run.run_file().seal
    except CorridaError:
        return None


def _metric(run: RunRecord | None, there: RunRecord | None) -> tuple[str, str, str | None] | None:
    if run is None or run.primary_metric is None or run.primary_metric.name not in run.metrics:
        return None
    name = run.primary_metric.name
    was = there.metrics.get(name) if there is not None else None
    return name, format_number(run.metrics[name]), None if was is None else format_number(was)


def _moves(site: Site, history: Sequence[Promotion]) -> list[Move]:
    """Return the lines of the history, the newest first, each with the run that was there until then."""
    now: dict[str, str | None] = {}
    there: dict[str, bool] = {}
    found = []
    for promotion in history:
        was = now.get(promotion.alias)
        what = "taken away" if promotion.run is None else "pointed back" if promotion.demotion else "promoted"
        pair = [run for run in (was, promotion.run) if run is not None]
        for run in pair:
            there.setdefault(run, (site.store.root / run).is_dir())
        both = len(set(pair)) == len(pair) == 2 and all(there[run] for run in pair)
        found.append(Move(promotion, what, was, compare_address(site.pages.base, pair) if both else ""))
        now[promotion.alias] = promotion.run
    return found[::-1]

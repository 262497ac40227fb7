"""Putting the configurations of a run back: what would change, doing it, and taking it back."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from starlette.responses import RedirectResponse

from corrida.analysis.restore_report import plan_blocks
from corrida.errors import CorridaError, Refused
from corrida.runs.journal import last_undoable
from corrida.runs.restore import unsaved_sentence
from corrida.web.address import restore_address
from corrida.web.forms import Done
from corrida.web.run_head import find_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.runs.record import RunRecord
    from corrida.runs.restore import RestorePlan
    from corrida.web.viewer import Site


def show(site: Site, request: Request) -> Response:
    """Answer ``/runs/ID/restore``."""
    exact = request.query_params.get("exact") == "1"
    run = find_run(site, request.path_params["id"])
    if run.id != request.path_params["id"]:
        return RedirectResponse(restore_address(site.pages.base, run.id, exact=exact), status_code=302)
    return _page(site, request, run, exact=exact)


def act(site: Site, request: Request, form: Mapping[str, str]) -> Response:
    """Answer a form that puts the configurations of a run back."""
    session = site.forms.check(request, form)
    run = find_run(site, request.path_params["id"])
    exact = form.get("exact") == "1"

    def restored() -> Done:
        plan = site.store.plan_restore(run.id, site.project.root, exact=exact)
        if _digest(plan) != form.get("plan", ""):
            raise Refused("the files changed since this page was written; look again at what would change")
        operation = site.store.restore(plan, force="force" in form)
        count = len(plan.changes)
        said = (
            f"restored {count} file{'s' if count != 1 else ''} from {plan.run}"
            if count
            else "nothing changed"
        )
        address = restore_address(site.pages.base, run.id, exact=exact, done=form.get("once", ""))
        return Done(address, said, operation or "")

    try:
        done = site.forms.once(session, form, restored)
    except CorridaError as error:
        return _page(site, request, run, exact=exact, problem=str(error), status=409)
    return RedirectResponse(done.address, status_code=303)


def undo(site: Site, request: Request, form: Mapping[str, str]) -> Response:
    """Answer a form that takes a restore back: the very one that its page told of."""
    session = site.forms.check(request, form)
    run = find_run(site, request.path_params["id"])

    def undone() -> Done:
        last = last_undoable(site.store.root)
        if last is None or last.id != form.get("operation", ""):
            raise Refused(
                "something else was done since, and that would be taken back first; `corrida undo` does both"
            )
        operation, files = site.store.undo()
        address = restore_address(site.pages.base, run.id, done=form.get("once", ""))
        return Done(address, f"took back the restore of {operation.runs[0]}: {', '.join(files)}")

    try:
        done = site.forms.once(session, form, undone)
    except CorridaError as error:
        return _page(site, request, run, exact=False, problem=str(error), status=409)
    return RedirectResponse(done.address, status_code=303)


def _page(
    site: Site, request: Request, run: RunRecord, *, exact: bool, problem: str = "", status: int = 200
) -> Response:
    plan: RestorePlan | None = None
    try:
        plan = site.store.plan_restore(run.id, site.project.root, exact=exact)
    except CorridaError as error:
        problem = problem or str(error)
    done = site.forms.said(request, request.query_params.get("done", ""))
    last = last_undoable(site.store.root) if done is not None and done.undo else None
    content: dict[str, Any] = {
        "run": run,
        "plan": plan,
        "exact": exact,
        "blocks": [] if plan is None else plan_blocks(plan)[1:],
        "changes": 0 if plan is None else len(plan.changes),
        "unsaved": unsaved_sentence(plan.unsaved) if plan is not None and plan.unsaved else "",
        "extra": plan is not None and any(file.state == "extra" for file in plan.files),
        "digest": "" if plan is None else _digest(plan),
        "problem": problem,
        "done": done,
        "undo": last.id if last is not None and done is not None and last.id == done.undo else "",
    }
    return site.pages.page(request, "restore", content, here="runs", status=status)


def _digest(plan: RestorePlan) -> str:
    """Return what tells a plan from another one: its files, as they are and as they would be."""
    told = hashlib.sha256(f"{plan.run}\n{plan.target}\n{plan.exact}\n".encode("utf-8", "surrogateescape"))
    for path, old, new in plan.changes:
        for part in (path.encode("utf-8", "surrogateescape"), old, new):
            told.update(b"-" if part is None else hashlib.sha256(part).digest())
    return told.hexdigest()

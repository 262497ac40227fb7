"""Pointing an alias to a run: what the rules of the project say before it is done, and doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import RedirectResponse

from corrida.analysis.blocks import Line
from corrida.analysis.gate_report import gate_blocks
from corrida.analysis.pages import Banner
from corrida.errors import BadInput, CorridaError, Refused
from corrida.gating import judge, promote
from corrida.runs import layout
from corrida.runs.alias import DEFAULT_ALIAS
from corrida.runs.ids import validate_alias
from corrida.web.address import aliases_address, compare_address, promote_address
from corrida.web.forms import Done
from corrida.web.run_head import find_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.analysis.blocks import Block
    from corrida.runs.alias import Promotion
    from corrida.runs.record import RunRecord
    from corrida.web.viewer import Site


class Asked(NamedTuple):
    """What stands in the form: the alias, why, and whether the rules may say no."""

    alias: str
    reason: str = ""
    force: bool = False


def choose(site: Site, request: Request) -> Response:
    """Answer ``/promote?run=RUN``: the page of that run, whatever it was called by."""
    reference = request.query_params.get("run", "").strip()
    if not reference:
        raise BadInput("name a run, such as latest, or the beginning of its id")
    alias = request.query_params.get("alias", "").strip().removeprefix("@")
    run_id = site.store.resolve(reference)
    return RedirectResponse(promote_address(site.pages.base, run_id, alias), status_code=302)


def show(site: Site, request: Request) -> Response:
    """Answer ``/runs/ID/promote``."""
    alias = request.query_params.get("alias", "").strip().removeprefix("@") or DEFAULT_ALIAS
    run = find_run(site, request.path_params["id"])
    if run.id != request.path_params["id"]:
        return RedirectResponse(promote_address(site.pages.base, run.id, alias), status_code=302)
    return _page(site, request, run, Asked(alias))


def act(site: Site, request: Request, form: Mapping[str, str]) -> Response:
    """Answer a form that points an alias to a run."""
    session = site.forms.check(request, form)
    run = find_run(site, request.path_params["id"])
    asked = Asked(
        form.get("alias", "").strip().removeprefix("@"), form.get("reason", "").strip(), "force" in form
    )

    def promoted() -> Done:
        check_unmoved(site, asked.alias, form.get("seen", ""))
        check_unaltered(run)
        done = promote(
            site.store, site.project.settings, run.id, asked.alias, asked.reason or None, force=asked.force
        )
        address = aliases_address(site.pages.base, asked.alias, form.get("once", ""))
        return Done(address, "; ".join(done.sentences))

    try:
        validate_alias(asked.alias)
        done = site.forms.once(session, form, promoted)
    except CorridaError as error:
        status = 400 if isinstance(error, BadInput) else 409
        return _page(site, request, run, asked, problem=str(error), status=status)
    return RedirectResponse(done.address, status_code=303)


def check_unmoved(site: Site, alias: str, seen: str) -> None:
    """Refuse when an alias was moved since its page was written.

    Raises:
        Refused: by somebody else; what is there now is to be looked at first.
    """
    if last_move(site, alias) != seen:
        now = site.store.aliases().get(alias)
        where = f"is {now.run} now" if now is not None and now.run else "is no run now"
        raise Refused(f"@{alias} was moved by somebody else meanwhile: it {where}; look again")


def check_unaltered(run: RunRecord) -> None:
    """Refuse a run whose models are not those that it was trained with: that would only be found out when it is to serve.

    Raises:
        DamagedRun: a model was altered, is missing, or was put there since.
    """
    from corrida.execute.predictable import check_models

    if run.status == "finished" and (run.dir / layout.MODELS_DIR).is_dir():
        check_models(run)


def last_move(site: Site, alias: str) -> str:
    """Return when an alias was moved last; empty when never."""
    history = site.store.alias_history(alias)
    return history[-1].time if history else ""


def _page(
    site: Site, request: Request, run: RunRecord, asked: Asked, *, problem: str = "", status: int = 200
) -> Response:
    try:
        alias = validate_alias(asked.alias)
    except CorridaError as error:
        problem, alias, status = problem or str(error), DEFAULT_ALIAS, max(status, 400)
    now = site.store.aliases().get(alias)
    findings, why, passes, doubt = _findings(site, run, alias)
    damage = _damage(run)
    content: dict[str, Any] = {
        "run": run,
        "asked": asked._replace(alias=alias),
        "now": now,
        "seen": last_move(site, alias),
        "aliases": sorted({DEFAULT_ALIAS, *site.store.aliases()}),
        "carries": now is not None and now.run == run.id,
        "gate": _banner(findings),
        "findings": findings[1:],
        "why_no_gate": why,
        "passes": passes,
        "damage": damage,
        "problem": problem or damage or doubt,
        "compare": _compare(site, now, run),
    }
    return site.pages.page(request, "promote", content, here="aliases", status=status)


def _findings(site: Site, run: RunRecord, alias: str) -> tuple[Sequence[Block], str | None, bool, str]:
    """Return what the rules say, why they were not asked, whether the run passes, and why they cannot be judged."""
    if run.status != "finished":
        return (), None, True, ""
    try:
        gate, why = judge(site.store, site.project.settings, run, alias)
    except CorridaError as error:
        return (), None, False, f"the rules could not be judged: {error}"
    return ((), why, True, "") if gate is None else (gate_blocks(gate), why, gate.passed, "")


def _banner(findings: Sequence[Block]) -> Banner | None:
    """Return whether the gate passed as what stands large above its rules: the line that says it, in two."""
    if not findings or not isinstance(findings[0], Line):
        return None
    word, _, text = findings[0].text.partition(": ")
    return Banner(word, text, findings[0].style)


def _damage(run: RunRecord) -> str:
    try:
        check_unaltered(run)
    except CorridaError as error:
        return str(error)
    return ""


def _compare(site: Site, now: Promotion | None, run: RunRecord) -> str:
    if now is None or now.run is None or now.run == run.id or now.run not in site.store:
        return ""
    return compare_address(site.pages.base, [now.run, run.id])

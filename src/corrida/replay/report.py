"""Certificates, plans and findings for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from corrida.analysis.blocks import Block, Heading, Line, Style, Table
from corrida.replay.certificate import Certificate, difference_text, suspects_of
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from corrida.replay.findings import Bisection, Blame
    from corrida.replay.plan import Plan
    from corrida.runs.record import RunRecord

_SHOWN = 8
_ITEMS = 12


def certificate_blocks(
    run: RunRecord, certificate: Certificate, *, seed: int | None, items: int = _ITEMS
) -> list[Block]:
    """Return a certificate for people.

    Args:
        run: the new run.
        certificate: what it proves.
        seed: that of the run.
        items: list at most so many items; 0 for all.
    """
    styles: dict[str, Style] = {"identical": "good", "equal": "good", "differs": "bad"}
    blocks: list[Block] = [
        Line(f"{certificate.original} executed again as {run.id}", "strong"),
        Line(certificate.sentence(), styles[certificate.outcome], 1),
    ]
    if certificate.rerun != run.id:
        blocks.append(Line(f"compared with {certificate.rerun}, the run that its script makes", "plain", 1))
    if certificate.ignored:
        blocks.append(Line(f"left out: {', '.join(certificate.ignored)}", "quiet", 1))
    files = {kind: names for kind, names in certificate.files.items() if kind != "same"}
    if files and certificate.failure is None:
        told = "; ".join(f"{kind}: {_some(names)}" for kind, names in files.items())
        lead = "other files, which decide nothing" if certificate.metrics or certificate.items else "files"
        blocks.append(Line(f"{lead}: {told}", "quiet", 1))
    if certificate.outcome != "identical" and certificate.failure is None:
        blocks += _differences(certificate, run.id, items)
    suspects = suspects_of(certificate, seed=seed)
    if certificate.outcome == "identical":
        if suspects:
            blocks.append(Heading("Not as it was, and without effect"))
            blocks += _lines(suspects)
    elif suspects:
        blocks.append(Heading("Suspects"))
        blocks += _lines(suspects)
    return blocks


def _differences(certificate: Certificate, run_id: str, items: int) -> list[Block]:
    blocks: list[Block] = []
    if certificate.metrics_differing:
        rows = [
            [d.name, *(_value(v) for v in (d.before, d.after)), "within" if d.within else "differs"]
            for d in certificate.metrics_differing
        ]
        styles: list[Style] = ["quiet" if d.within else "bad" for d in certificate.metrics_differing]
        blocks += [Heading("Metrics"), Table(("metric", "then", "now", ""), rows, frozenset({1, 2}), styles)]
    count = certificate.beyond + certificate.within
    shown = certificate.items_differing[: items or None]
    if shown:
        rows = [[item.item_id, "; ".join(map(difference_text, item.columns))] for item in shown]
        item_styles: list[Style] = ["quiet" if item.within else "bad" for item in shown]
        blocks += [
            Heading("Items"),
            Table(("item", "then → now"), rows, styles=item_styles, whole=frozenset({0})),
        ]
        if count > len(shown):
            more = f"… and {count - len(shown):,} more; see certificate.json of {run_id}"
            blocks.append(Line(more, "quiet", 1))
    for text, names in (("only then", certificate.only_original), ("only now", certificate.only_rerun)):
        if names:
            blocks.append(Line(f"items {text}: {_some(names)}", "bad", 1))
    return blocks


def _value(value: Any) -> str:
    return "–" if value is None else str(value)


def plan_blocks(plan: Plan) -> list[Block]:
    """Return what a bisection is going to do, for people."""
    units = plan.mixer.units
    goals = []
    if plan.fall is not None:
        fall = plan.fall
        goals.append(f"{fall.name} {format_number(fall.good)} → {format_number(fall.bad)}")
    if plan.kinds:
        kinds = [*plan.kinds.values()]
        parts = [
            f"{kinds.count(k)} {k}" for k in ("broken", "fixed", "changed", "worse", "better") if k in kinds
        ]
        goals.append(f"{', '.join(parts)} item{'s' if len(kinds) > 1 else ''}")
    blocks: list[Block] = [
        Line(f"from {plan.good.id} to {plan.bad.id}: {' and '.join(goals)}", "strong"),
        Line(f"{len(units)} change{'s' if len(units) > 1 else ''}", "plain", 1),
        *(Line(unit.label, "plain", 2) for unit in units[: 2 * _SHOWN]),
    ]
    if len(units) > 2 * _SHOWN:
        blocks.append(Line(f"… and {len(units) - 2 * _SHOWN} more", "quiet", 2))
    blocks += [Line(remark, "warning", 1) for remark in plan.remarks]
    return [*blocks, Line(estimate(plan), "quiet", 1)]


def estimate(plan: Plan) -> str:
    """Say how many runs a bisection takes, and how long."""
    few, many = plan.runs
    on = f" on {len(plan.kinds)} item{'s' if len(plan.kinds) > 1 else ''} each" if plan.limited else ""
    text = f"about {few} runs{on} if one change is to blame" + (
        f", {many} if two only together are" if many > few else ""
    )
    if plan.seconds_each is None:
        return text
    least, most = (_duration(n * each) for n, each in zip(plan.runs, plan.seconds_each, strict=True))
    return f"{text}: {least}" + (f" to {most}" if least != most else "") + ", going by how long the two took"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(seconds, 0.1):.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return what a bisection is going to do, as plain values."""
    return {
        "good": plan.good.id,
        "bad": plan.bad.id,
        "changes": [{"kind": unit.kind, "name": unit.name, "label": unit.label} for unit in plan.mixer.units],
        "metric": {"name": plan.fall.name, "good": plan.fall.good, "bad": plan.fall.bad}
        if plan.fall
        else None,
        "items": dict(plan.kinds),
        "on_all_items": not plan.limited,
        "remarks": list(plan.remarks),
        "runs": {"one_change": plan.runs[0], "two_together": plan.runs[1]},
        "seconds_each": list(plan.seconds_each) if plan.seconds_each else None,
    }


def bisection_blocks(found: Bisection) -> list[Block]:
    """Return what a bisection found, for people: what was tried, who did what, and the sentence."""
    blocks: list[Block] = [
        Line(f"skipped {'; '.join(skipped.changes) or found.good}: {skipped.reason}", "warning", 1)
        for skipped in found.skipped[:_SHOWN]
    ]
    if len(found.skipped) > _SHOWN:
        blocks.append(
            Line(f"… and {len(found.skipped) - _SHOWN} more hybrids that cannot be run", "warning", 1)
        )
    blocks += [_told_apart(f"as bad with everything of {found.good}, executed now", found.without)] * bool(
        found.without
    )
    blocks += [_told_apart(f"as good with everything of {found.bad}, executed now", found.vanished)] * bool(
        found.vanished
    )
    blocks.append(Heading("To blame"))
    for blame in found.blames:
        blocks += _blame_blocks(blame, found)
    kept = f"{found.executed} run{'s' if found.executed != 1 else ''} executed"
    if found.reused:
        kept += f", {found.reused} there already"
    blocks.append(Line(f"{kept}; kept in the family of {found.bad}", "quiet", 1))
    if not found.complete:
        blocks.append(
            Line("the runs ran out: the same command with a larger --max-runs goes on", "warning", 1)
        )
    return [*blocks, Heading("Found"), Line(found.sentence, "strong", 1)]


def _told_apart(text: str, items: Sequence[str]) -> Line:
    return Line(
        f"{len(items)} item{'s' if len(items) > 1 else ''} {text}, so not looked for: {_some(items)}",
        "warning",
        1,
    )


def _blame_blocks(blame: Blame, found: Bisection) -> list[Block]:
    blocks: list[Block] = []
    for number, cause in enumerate(blame.causes):
        lead = "" if number == 0 else "also enough by itself: "
        if len(cause) > 1 and blame.minimal:
            lead += "only together: "
        elif not blame.minimal:
            lead += "enough, and perhaps more than it takes: "
        blocks.append(Line(lead + " and ".join(cause), "bad", 1))
    what = []
    if blame.metric and found.metric:
        values = [format_number(float(found.metric[side])) for side in ("good", "bad")]
        what.append(f"{found.metric['name']} {values[0]} → {values[1]}")
    if blame.items:
        what.append(f"{len(blame.items)} {blame.kind}: {_some(blame.items, _ITEMS)}")
    blocks.append(Line("; ".join(what), "plain", 2))
    if blame.inseparable:
        names = "; ".join(blame.inseparable)
        blocks.append(Line(f"cannot be left out, since the rest cannot be run without: {names}", "quiet", 2))
    return blocks


def _lines(texts: Sequence[str]) -> list[Block]:
    lines: list[Block] = [Line(text, "warning", 1) for text in texts[:_SHOWN]]
    return [*lines, Line(f"… and {len(texts) - _SHOWN} more", "quiet", 1)] if len(texts) > _SHOWN else lines


def _some(names: Sequence[str], count: int = _SHOWN) -> str:
    more = f" and {len(names) - count:,} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more

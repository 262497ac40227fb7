"""What a person sees of analyses: the list of them, and one with all that happened to it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from corrida.cli.common import on_terminal, say, short_time, show_blocks, terminal_width
from corrida.runs.numbers import duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corrida.analysis.blocks import Line, Style, Table
    from corrida.inference.jobs import Job

_SAID = 5  # sentences below a list


def show_list(found: list[Job], counts: Mapping[Any, int]) -> None:
    """Show analyses as a table, with how many there are of each status."""
    from corrida.analysis.blocks import Line, Table

    if not found:
        say("there is no analysis; `corrida submit FILE` hands one over", err=True)
        return
    rows = [
        [
            job.id, job.status, job.file, "–" if job.rows is None else f"{job.rows:,}", job.run_id or "–",
            _time(job.created), duration_text(job.ended - job.created) if job.ended else "–", job.message or "",
        ]
        for job in found
    ]  # fmt: skip
    known: dict[str, Style] = {"failed": "bad", "processed": "plain", "running": "strong"}
    styles = [known.get(job.status, "quiet") for job in found]
    columns = ("analysis", "status", "file", "rows", "run", "since", "took", "why")
    # What failed is to say why: that goes last.
    leave = (6, 5, 3, 4, 2) if any(job.message for job in found) else ()
    summary = ", ".join(f"{count:,} {status}" for status, count in counts.items() if count)
    table = Table(columns, rows, styles=styles, right=frozenset({3, 6}), whole=frozenset({0, 1}), leave=leave)
    show_blocks([table, *_reasons(table), Line(summary, style="quiet")])


def _reasons(table: Table) -> list[Line]:
    """Return in whole what a terminal has no room for in the last column, each sentence once."""
    from corrida.analysis.blocks import Line, display_width, fit

    if not on_terminal():
        return []
    said = Counter(row[-1] for row in table.rows if row[-1])
    room = fit(table, terminal_width() - 2)
    if room.widths[-1] >= max(map(display_width, said), default=0):
        return []
    return [Line(f"{count:,} × {why}", indent=1, hang=4) for why, count in said.most_common(_SAID)]


def webhook_line(webhook: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name and the text under which a person sees what became of a webhook."""
    tries = webhook["tries"]
    said = f"{str(webhook['status']).replace('_', ' ')}, {tries} tr{'y' if tries == 1 else 'ies'}"
    if "said" in webhook:
        said += f", the last: {webhook['said']}"
    return "webhook", said + (f"; next {_time(webhook['next'], seconds=True)}" if "next" in webhook else "")


def show_one(
    job: Job,
    waits_for: str | None,
    more: list[tuple[str, str]],
    events: list[tuple[float, str, dict[str, Any]]],
) -> None:
    """Show one analysis.

    Args:
        job: it.
        waits_for: why nobody takes it.
        more: further facts, each with its name.
        events: time, name and detail of what happened.
    """
    import msgspec

    from corrida.analysis.blocks import Heading, Line, Table
    from corrida.inference.report_text import counted, sentences, unit_of

    state = job.status + (", is being cancelled" if job.cancel and job.ended is None else "")
    facts = [
        ("status", state + (f": {job.message}" if job.message else "")),
        ("waits", waits_for or ""),
        ("file", f"{job.file} ({job.size:,} bytes, {job.source})"),
        ("run", f"{job.run_id} (@{job.alias}, {job.pipeline})" if job.run_id else f"@{job.alias}"),
        ("options", "" if job.options == "{}" else job.options),
        ("answers", "" if job.rows is None else counted(job.scored, job.rows, unit_of(job.report))),
        *more,
    ]
    blocks: list[Any] = [Heading(job.id)]
    blocks += [Line(f"{name}: {value}", hang=2) for name, value in facts if value]
    blocks += [Line(f"– {said}", hang=2) for said in sentences(msgspec.json.decode(job.report or "{}"))]
    rows = [
        [_time(when, seconds=True), event, ", ".join(f"{k} {v}" for k, v in detail.items())]
        for when, event, detail in events
    ]
    blocks.append(Table(("time", "event", "detail"), rows))
    show_blocks(blocks)


def _time(when: float, *, seconds: bool = False) -> str:
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(when, UTC)
    return moment.astimezone().strftime("%H:%M:%S.%f")[:-3] if seconds else short_time(moment.isoformat())

"""Slices as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from corrida.analysis.blocks import Block, Heading, Line, Style, Table
from corrida.analysis.metrics_diff import format_difference
from corrida.analysis.slices import without_parts
from corrida.analysis.verdict_text import format_interval
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from corrida.analysis.slices import Slice, Slices

_STYLES: dict[str, Style] = {"worse": "bad", "better": "good", "changed": "warning"}
_UNSURE = 3
_COLUMNS = 6


def slice_blocks(
    slices: Slices, limit: int = 12, *, hint: str = ": --items 0 shows all", skipped: bool = True
) -> list[Block]:
    """Return which segments got worse, the worst first; then which got better; then what was not looked at.

    Args:
        slices: the segments.
        limit: show at most so many of each; 0 for all.
        hint: how to see those that are not shown.
        skipped: also say which columns could not be used.
    """
    blocks: list[Block] = [Heading("Slices")]
    if slices.reason is not None:
        blocks.append(Line(f"not looked at: {slices.reason}", "warning", 1))
        return [*blocks, *skipped_lines(slices)] if skipped else blocks
    blocks.append(Line(_summary(slices), "plain", 1))
    # The best last in the result; here the best first.
    groups = (slices.worse, slices.changed, slices.better[::-1])
    apart = [without_parts(group) if limit else group for group in groups]
    shown = [row for group in apart for row in (group[:limit] if limit else group)]
    hidden = sum(len(group) for group in apart) - len(shown)
    parts = sum(len(group) for group in groups) - sum(len(group) for group in apart)
    unsure: Sequence[Slice] = ()
    if not slices.worse and not slices.changed:
        rest = [
            row for row in slices.found if row.outcome in {"tied", "underpowered"} and _is_worse(row, slices)
        ]
        unsure = sorted(rest, key=lambda row: (row.q_value, row.p_value))[:_UNSURE]
    if shown or unsure:
        blocks.append(_table([*shown, *unsure]))
    if hidden:
        blocks.append(Line(f"… and {hidden} more{hint}", "quiet", 1))
    if parts:
        what = f"{parts} others lie" if parts > 1 else "1 other lies"
        blocks.append(Line(f"{what} inside these, and moved as these did{hint}", "quiet", 1))
    blocks.append(Line(_how(slices), "quiet", 1))
    blocks += [Line(text, "quiet", 1) for text in _untested(slices)]
    return [*blocks, *skipped_lines(slices)] if skipped else blocks


def _is_worse(row: Slice, slices: Slices) -> bool:
    return row.difference != 0 and (
        slices.direction is None or (row.difference < 0) == (slices.direction == "max")
    )


def _summary(slices: Slices) -> str:
    rest = slices.looked_at - len(slices.worse) - len(slices.better) - len(slices.changed)
    some = "1 segment" if slices.looked_at == 1 else f"{slices.looked_at:,} segments"
    if slices.changed or slices.direction is None:
        return f"{slices.metric} in {some}: {len(slices.changed)} changed, {rest} within noise (no better side is known)"
    return f"{slices.metric} in {some}: {len(slices.worse)} worse, {len(slices.better)} better, {rest} within noise"


def _table(rows: Sequence[Slice]) -> Table:
    clustered = any(row.clusters is not None for row in rows)
    columns = ["", "segment", "items", "A", "B", "difference", "interval", "q"]
    cells = []
    for row in rows:
        sure = row.outcome in _STYLES
        line = [
            row.outcome if sure else "within noise",
            row.segment,
            f"{row.items:,}",
            format_number(row.a),
            format_number(row.b),
            format_difference(row.difference) if row.difference else "0",
            format_interval(row.low, row.high),
            "< 0.0001" if row.q_value < 1e-4 else format_number(float(f"{row.q_value:.2g}")),
        ]
        if clustered:
            line.insert(3, "–" if row.clusters is None else f"{row.clusters:,}")
        cells.append(line)
    if clustered:
        columns.insert(3, "clusters")
    right = frozenset(
        i for i, name in enumerate(columns) if name in {"items", "clusters", "A", "B", "difference", "q"}
    )
    leave = [columns.index(name) for name in ("interval", "clusters", "A", "B") if name in columns]
    styles = [_STYLES.get(row.outcome, "quiet") for row in rows]
    return Table(columns, cells, right, styles, whole=frozenset({0}), leave=leave)


def _how(slices: Slices) -> str:
    return (
        f"{slices.tested}, each segment tested for itself; q adjusted by {slices.method}: at most "
        f"{100 * slices.level:g} % of the segments called worse or better are expected to be false alarms"
    )


def _untested(slices: Slices) -> list[str]:
    def some(count: int, what: str = "segment") -> str:
        return f"{count:,} {what}{'' if count == 1 else 's'}"

    said = []
    if slices.pairs:
        said.append(f"{some(slices.pairs, 'pair')} of columns looked at too")
    if slices.too_small:
        said.append(f"{some(slices.too_small)} with fewer than {slices.min_items} items not tested")
    if slices.undefined:
        said.append(f"{some(slices.undefined)} where {slices.tested} is not defined")
    if slices.repeated:
        verb = "has" if slices.repeated == 1 else "have"
        said.append(f"{some(slices.repeated)} that {verb} the very items of another, or all")
    if slices.beyond:
        said.append(
            f"{some(slices.beyond)} beyond the limit of {slices.limit} not looked at, the smallest of their column"
        )
    if slices.pairs_beyond:
        said.append(
            f"{some(slices.pairs_beyond, 'pair')} of columns not looked at: with them it would be more than "
            f"{slices.limit} segments (name one with --slices A,B)"
        )
    return said


def skipped_lines(slices: Slices, most: int = _COLUMNS) -> list[Line]:
    """Return which columns could not be used, and why of at most so many."""
    named, rest = slices.skipped[:most], slices.skipped[most:]
    lines = [Line(f"column {c.column} not used: {c.reason}", "quiet", 1) for c in named]
    if rest:
        names = ", ".join(column.column for column in rest)
        lines.append(Line(f"nor {len(rest)} others (--json says why): {names}", "quiet", 1))
    return lines

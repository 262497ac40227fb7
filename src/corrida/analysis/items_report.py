"""The items of two runs as text for people: how many flipped, and which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from corrida.analysis.blocks import Block, Heading, Line, Style, Table, shorten
from corrida.analysis.items_values import format_answer
from corrida.analysis.metrics_diff import format_difference
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    import polars as pl

    from corrida.analysis.compare import Comparison
    from corrida.analysis.items_diff import ItemCounts, ItemsDiff

_CELL = 36
_IDS_SHOWN = 8
_DESCRIBING = ("text", "title", "input", "name", "question", "prompt")
_STYLES: dict[str, Style] = {"broken": "bad", "worse": "bad", "fixed": "good", "better": "good"}


def flips_sentence(counts: ItemCounts) -> str:
    """Return in one line what became of the shared items: right and wrong, or better and worse by their loss."""
    parts = []
    if says_truth(counts):
        parts.append(f"{counts.fixed:,} fixed, {counts.broken:,} broken")
    if says_losses(counts):
        parts.append(f"{counts.better:,} better, {counts.worse:,} worse by loss")
    plural = "s" if counts.shared != 1 else ""
    return f"{', '.join(parts)} of {counts.shared:,} shared item{plural}"


def says_losses(counts: ItemCounts) -> bool:
    """Tell whether losses say of some items what became of them."""
    # An item with two losses is better, worse, or the same.
    return counts.loss is not None and bool(
        counts.unknown_correctness and (counts.loss.better + counts.loss.worse + counts.loss.equal)
    )


def says_truth(counts: ItemCounts) -> bool:
    """Tell whether some items are known to be right or wrong; yes where nothing else is known of any."""
    return counts.unknown_correctness < counts.shared or not says_losses(counts)


def item_blocks(comparison: Comparison, limit: int) -> list[Block]:
    """Return how many items did what, and those that differ.

    Args:
        comparison: two runs compared.
        limit: at most so many items; 0 for all.
    """
    blocks: list[Block] = [Heading("Items"), *item_counts(comparison, limit)]
    items = comparison.items
    if items is not None and items.differing.height:
        blocks.append(items_table(items, limit))
        if 0 < limit < items.differing.height:
            rest = items.differing.height - limit
            command = f"corrida compare {comparison.a.id} {comparison.b.id} --items 0"
            blocks.append(Line(f"… and {rest} more: {command}", "quiet", 1))
    return blocks


def item_counts(comparison: Comparison, limit: int = 1) -> list[Line]:
    """Return how many items did what, and what stands against comparing them.

    Args:
        comparison: two runs compared.
        limit: 0 names every item that only one run has.
    """
    if comparison.items is None:
        lacking = [r.id for r in (comparison.a, comparison.b) if not r.has_items()]
        return [Line(f"no items in {' and '.join(lacking)}", "quiet", 1)]
    items = comparison.items
    counts = items.counts
    blocks = [Line(_counts_text(counts), "plain", 1)]
    if counts.loss is not None and says_truth(counts) and (counts.loss.better or counts.loss.worse):
        loss = counts.loss
        text = f"by loss: {loss.worse:,} worse, {loss.better:,} better, {loss.equal:,} equal"
        blocks.append(Line(text, "quiet", 1))
    if counts.only_a or counts.only_b:
        text = (
            f"{counts.only_a:,} only in A, {counts.only_b:,} only in B: the metrics are not of the same items"
        )
        blocks.append(Line(text, "warning", 1))
        for side, ids in (("A", items.only_a), ("B", items.only_b)):
            blocks += _listed_ids(f"only in {side}", ids.to_list(), limit)
    if counts.expected_changed:
        text = f"{counts.expected_changed:,} {'has' if counts.expected_changed == 1 else 'have'} another expected answer: the truth changed, not only the run"
        blocks.append(Line(text, "warning", 1))
    return blocks


def _counts_text(counts: ItemCounts) -> str:
    truth, losses = says_truth(counts), says_losses(counts)
    parts = []
    if truth:
        parts += [f"{counts.broken:,} broken", f"{counts.fixed:,} fixed"]
    if losses:
        parts += [f"{counts.worse:,} worse", f"{counts.better:,} better"]
    if truth or counts.changed:
        parts.append(f"{counts.changed:,} changed")
    parts.append(f"{counts.same:,} same")
    if counts.not_comparable:
        what = "a loss in both runs" if losses else "an answer to compare"
        parts.append(f"{counts.not_comparable:,} without {what}")
    return ", ".join(parts)


def _listed_ids(what: str, ids: Sequence[str], limit: int) -> list[Line]:
    if not ids:
        return []
    shown = ids[:_IDS_SHOWN] if limit else ids
    more = f" and {len(ids) - len(shown):,} more" if len(ids) > len(shown) else ""
    return [Line(f"{what}: {', '.join(map(str, shown))}{more}", "plain", 2)]


def items_table(items: ItemsDiff, limit: int, *, chosen: pl.DataFrame | None = None) -> Table:
    """Return the differing items as a table, the worst first; answers, expectations and losses where there are any.

    Args:
        items: what differs.
        limit: at most so many items; 0 for all.
        chosen: rows of ``items.differing`` to take instead.
    """
    whole = items.differing
    frame = chosen if chosen is not None else whole.head(limit) if limit else whole
    answered = _any(whole, "output_a", "output_b")
    by_loss = bool(whole["kind"].is_in(["worse", "better"]).any())
    # Beside losses, answers that nobody gave would be columns of dashes.
    answers = answered or not by_loss
    expected = answers and (_any(whole, "expected") or not by_loss)
    described = [c for c in _DESCRIBING if c in frame.columns][:1]
    rows: list[list[str]] = []
    for row in frame.iter_rows(named=True):
        cells = [row["kind"], row["item_id"]]
        if by_loss:
            cells += _loss_cells(row["loss_a"], row["loss_b"])
        if answers:
            cells += [_answer(row["output_a"]), _answer(row["output_b"])]
        if expected:
            cells.append(_answer(row["expected"]))
        rows.append([*cells, *(shorten(str(row[c] if row[c] is not None else ""), _CELL) for c in described)])
    losses = ["loss A", "loss B", "difference"] if by_loss else []
    shown = ["A", "B"] * answers + ["expected"] * expected
    numbers = set(losses) | set(shown if by_loss and _all_numbers(whole) else ())
    columns = ["", "item", *losses, *shown, *described]
    styles = [_STYLES.get(kind, "plain") for kind in frame["kind"]]
    right = frozenset(i for i, name in enumerate(columns) if name in numbers)
    return Table(columns, rows, right, styles, whole=frozenset({0, 1}))


def _all_numbers(frame: pl.DataFrame) -> bool:
    """Tell whether outputs and expected answers are numbers; those of a regression may be kept as text."""
    import polars as pl

    for name in ("output_a", "output_b", "expected"):
        column = frame[name].drop_nulls()
        if column.dtype.is_nested() or column.dtype == pl.Boolean:
            return False
        if column.cast(pl.Float64, strict=False).null_count():
            return False
    return True


def _any(frame: pl.DataFrame, *names: str) -> bool:
    return any(frame[name].null_count() < frame.height for name in names)


def _loss_cells(a: float | None, b: float | None) -> list[str]:
    shown = ["–" if loss is None else format_number(float(loss)) for loss in (a, b)]
    return [*shown, "–" if a is None or b is None else format_difference(float(b) - float(a))]


def _answer(value: object) -> str:
    return shorten(format_answer(value), _CELL)

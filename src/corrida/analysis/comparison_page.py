"""A comparison as a page: the verdict large, then figures, tables and the items behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from corrida.analysis.blocks import Block, Heading, Line, Style
from corrida.analysis.charts.flow import flow_chart
from corrida.analysis.charts.losses import loss_chart
from corrida.analysis.charts.metrics import differences_chart
from corrida.analysis.charts.slices import slices_chart
from corrida.analysis.compare_report import comparison_blocks, how_tested
from corrida.analysis.items_report import says_losses, says_truth
from corrida.analysis.items_values import correctness
from corrida.analysis.pages import Banner, Figure, Part

if TYPE_CHECKING:
    import polars as pl

    from corrida.analysis.compare import Comparison
    from corrida.analysis.verdict import Verdict

_STYLES: dict[str, Style] = {"better": "good", "worse": "bad", "underpowered": "warning"}
_WORDS = {"underpowered": "not enough items", "untested": "not tested", "unknown": "cannot be said"}


def comparison_title(comparison: Comparison) -> str:
    """Return the title of the page."""
    return f"{comparison.a.id} → {comparison.b.id}"


def comparison_parts(comparison: Comparison, *, items: int = 50) -> list[Part]:
    """Return what is on the page of a comparison, the most important first.

    Args:
        comparison: two runs compared.
        items: show at most so many differing items; 0 for all.
    """
    blocks = comparison_blocks(comparison, items=items, details=True)
    sections = _by_heading(blocks)
    parts: list[Part] = []
    for verdict in comparison.verdicts or (comparison.verdict,):
        parts += verdict_parts(verdict)
    parts += [part for part in sections.pop("", []) if not _is_title(part)]
    said = {verdict.sentence for verdict in comparison.verdicts or (comparison.verdict,)}
    said |= {how_tested(v) for v in comparison.verdicts if v.method is not None}
    said |= {c for v in comparison.verdicts for c in v.cautions}
    parts += [p for p in sections.pop("Verdict", [])[1:] if not (isinstance(p, Line) and p.text in said)]
    figures = comparison_figures(comparison)
    for heading, members in sections.items():
        head, *rest = members
        parts.append(head)
        drawn = figures.get(heading)
        if drawn is not None:
            parts.append(drawn)
        parts += rest
    return parts


def comparison_figures(comparison: Comparison) -> dict[str, Figure | None]:
    """Return the figures of a comparison by the section that they stand in: ``Metrics``, ``Slices``, ``Items``."""
    return {
        "Metrics": _metric_figure(comparison),
        "Slices": _slice_figure(comparison),
        "Items": _items_figure(comparison),
    }


def _is_title(part: Block) -> bool:
    return isinstance(part, Line) and part.style == "strong"


def _by_heading(blocks: Sequence[Block]) -> dict[str, list[Block]]:
    found: dict[str, list[Block]] = {}
    heading = ""
    for block in blocks:
        if isinstance(block, Heading):
            heading = block.text
        found.setdefault(heading, []).append(block)
    return found


def verdict_parts(verdict: Verdict) -> list[Part]:
    """Return a verdict: its word and sentence as a banner, then cautions, then how it was tested."""
    word = _WORDS.get(verdict.outcome, verdict.outcome)
    text = verdict.sentence.removeprefix(f"{word}: ")
    parts: list[Part] = [Banner(word, text, _STYLES.get(verdict.outcome, "plain"))]
    parts += [Line(caution, "warning") for caution in verdict.cautions]
    if verdict.method is not None:
        parts.append(Line(how_tested(verdict), "quiet"))
    return parts


def _metric_figure(comparison: Comparison) -> Figure | None:
    verdict = comparison.verdict
    # One band fits only metrics of one kind: shares.
    shares = [
        m for m in comparison.metrics if m.low is not None and abs(m.a or 0) <= 1 and abs(m.b or 0) <= 1
    ]
    margin = verdict.margin if verdict.margin and verdict.metric in {m.name for m in shares} else None
    spec = differences_chart(shares, confidence=verdict.confidence or 0.95, margin=margin)
    if spec is None:
        return None
    return Figure("differences", spec, "differences of the metrics, with their intervals")


def _slice_figure(comparison: Comparison) -> Figure | None:
    slices = comparison.slices
    spec = None if slices is None else slices_chart(slices)
    if slices is None or spec is None:
        return None
    return Figure(
        "slices", spec, f"{len(slices.worse)} segments of the items worse, {len(slices.better)} better"
    )


def _items_figure(comparison: Comparison) -> Figure | None:
    """Return what became of the items: from which answers to which, or, where only losses tell, by how much they moved."""
    if comparison.items is None:
        return None
    if says_truth(comparison.items.counts) or not says_losses(comparison.items.counts):
        return _flow_figure(comparison)
    import polars as pl

    moved = comparison.items.differing.filter(pl.col("kind").is_in(["better", "worse"])).select(
        difference=pl.col("loss_b").cast(pl.Float64) - pl.col("loss_a").cast(pl.Float64)
    )["difference"]
    counts = comparison.items.counts
    spec = loss_chart(
        moved.filter(moved.is_finite()).to_list(), equal=counts.loss.equal if counts.loss else 0
    )
    if spec is None:
        return None
    return Figure("losses", spec, f"{counts.better} items better by loss, {counts.worse} worse")


def _flow_figure(comparison: Comparison) -> Figure | None:
    if comparison.items is None:
        return None
    flows = item_flows(comparison)
    if not flows or all(state == "not known" for a, b, _ in flows for state in (a, b)):
        return None
    counts = comparison.items.counts
    total = sum(flows.values())
    spec = flow_chart(
        flows,
        "A",
        "B",
        title=f"{counts.fixed} items fixed, {counts.broken} broken",
        subtitle=f"from the answers of A to those of B; a band is as wide as its number of items ({total:,} in all)",
    )
    return Figure("flips", spec, f"{counts.fixed} items fixed, {counts.broken} broken of {total} shared")


def item_flows(comparison: Comparison) -> dict[tuple[str, str, str], int]:
    """Return how many shared items went from which state in A to which in B, and by what kind of change.

    States are ``right``, ``wrong``, ``no answer`` and ``not known``; kinds ``fixed``, ``broken``, ``better``,
    ``worse``, ``changed`` and ``same``. Items with another expected answer are left out.
    """
    import polars as pl

    if comparison.items is None:
        return {}
    sides = [_states(run.items(), side) for side, run in (("a", comparison.a), ("b", comparison.b))]
    kinds = comparison.items.differing.select("item_id", "kind")
    shared = sides[0].join(sides[1], on="item_id").join(kinds, on="item_id", how="left")
    others = comparison.items.expected_changed["item_id"].implode()
    counted = (
        shared.filter(~pl.col("item_id").is_in(others))
        .group_by("a", "b", pl.col("kind").fill_null("same"))
        .len()
        .sort("a", "b", "kind")
    )
    return {(a, b, kind): count for a, b, kind, count in counted.iter_rows()}


def _states(frame: pl.DataFrame, side: str) -> pl.DataFrame:
    import polars as pl

    from corrida.analysis.items_values import item_ids

    correct = correctness(frame, side.upper())
    answered = (
        frame["output"].is_not_null()
        if "output" in frame.columns
        else pl.repeat(True, len(frame), eager=True)
    )
    facts = pl.DataFrame({"item_id": item_ids(frame["item_id"]), "correct": correct, "answered": answered})
    state = (
        pl.when(pl.col("correct"))
        .then(pl.lit("right"))
        .when(~pl.col("answered"))
        .then(pl.lit("no answer"))
        .when(pl.col("correct").is_null())
        .then(pl.lit("not known"))
        .otherwise(pl.lit("wrong"))
    )
    return facts.select("item_id", state.alias(side))

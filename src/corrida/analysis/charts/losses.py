"""How far the loss of each item moved from one run to another."""

from __future__ import annotations

from collections.abc import Sequence

from corrida.analysis.charts.theme import BAD, GOOD, QUIET, Spec, figure

_MOST_BARS = 240
_KINDS = {"worse": BAD, "equal": QUIET, "better": GOOD}


def loss_chart(differences: Sequence[float], *, equal: int = 0) -> Spec | None:
    """Return the differences of the losses, from the item that got worst to the one that got best.

    Of very many items each bar stands for many, and is as high as the one in their middle.

    Args:
        differences: loss in B minus loss in A of each item that is better or worse; finite, in any order.
        equal: how many other items have equal losses.

    Returns:
        The figure; None when no item is better or worse.
    """
    if not differences:
        return None
    ordered = sorted(differences, reverse=True)
    worse = sum(value > 0 for value in ordered)
    total = len(ordered) + equal
    count = min(total, _MOST_BARS)
    bars = []
    for bar in range(count):
        low, high = bar * total // count, (bar + 1) * total // count
        value = _at(ordered, worse, equal, (low + high - 1) // 2)
        kind = "worse" if value > 0 else "better" if value < 0 else "equal"
        bars.append({"low": low, "high": high, "difference": value, "kind": kind})
    each = "a bar is an item"
    if total > count:
        least, rest = divmod(total, count)
        each = f"a bar is {least:,}{f' or {least + 1:,}' if rest else ''} items"
    shown = [kind for kind in _KINDS if any(bar["kind"] == kind for bar in bars)]
    return figure(
        f"{len(ordered) - worse:,} items better, {worse:,} worse by loss",
        f"loss in B − loss in A, sorted; {each} ({total:,} in all)",
        width=520,
        height=240,
        data={"values": bars},
        mark={"type": "bar", "binSpacing": 0},
        encoding={
            "x": {
                "field": "low", "type": "quantitative", "bin": "binned",
                "title": "items, from the worst to the best", "scale": {"domain": [0, total], "nice": False},
                "axis": {"grid": False, "format": ",d", "tickCount": 6, "tickMinStep": 1},
            },
            "x2": {"field": "high"},
            "y": {"field": "difference", "type": "quantitative", "title": "difference of the loss (less is better)"},
            "color": {
                "field": "kind", "type": "nominal", "title": None,
                "scale": {"domain": shown, "range": [_KINDS[kind] for kind in shown]},
                "legend": {"orient": "bottom", "symbolType": "square"},
            },
            "tooltip": [
                {"field": "kind", "type": "nominal"},
                {"field": "difference", "type": "quantitative", "format": ".4~g"},
            ],
        },
    )  # fmt: skip


def _at(ordered: Sequence[float], worse: int, equal: int, place: int) -> float:
    """Return the difference of the item at a place: those that are equal stand between worse and better."""
    if place < worse:
        return ordered[place]
    return 0.0 if place < worse + equal else ordered[place - equal]

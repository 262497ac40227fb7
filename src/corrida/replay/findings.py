"""What a bisection found, as values and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from corrida.replay.plan import GoalKind  # noqa: TC001 - msgspec reads the annotations


class Blame(msgspec.Struct, frozen=True, kw_only=True):
    """Items, or the metric, with the changes that did it.

    Attributes:
        items: which items; empty for the metric.
        metric: whether it is the metric.
        kind: what became of them.
        causes: sets of changes, each enough by itself and none enough in part; usually one. Several: undoing one
            does not help while the others are there.
        minimal: False when the runs ran out: then the cause is enough, and may hold more than it needs.
        inseparable: changes that could not be left out of their cause, since what is left cannot be run.
    """

    items: tuple[str, ...] = ()
    metric: bool = False
    kind: GoalKind = "broken"
    causes: tuple[tuple[str, ...], ...] = ()
    minimal: bool = True
    inseparable: tuple[str, ...] = ()


class Skipped(msgspec.Struct, frozen=True):
    """A hybrid that could not be run, and why."""

    changes: tuple[str, ...]
    reason: str


class Bisection(msgspec.Struct, frozen=True, kw_only=True):
    """What a bisection found.

    Attributes:
        good, bad: ids of the runs.
        changes: every change between them.
        metric: the metric that was looked for, with its values in both; None when only items were.
        blames: who did what, the most items first.
        sentence: the same in words.
        without: items that are as in the bad run even with everything of the good one: data, code or packages did it.
        vanished: items that are as in the good run even with everything of the bad one: they do not reproduce.
        skipped: hybrids that could not be run.
        executed: how many runs were executed now.
        reused: how many were there from an earlier call.
        runs: ids of all hybrids that were looked at.
        complete: False when the runs that were allowed ran out.
    """

    good: str
    bad: str
    changes: tuple[str, ...]
    metric: dict[str, Any] | None
    blames: tuple[Blame, ...]
    sentence: str
    without: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    executed: int = 0
    reused: int = 0
    runs: tuple[str, ...] = ()
    complete: bool = True


def sentence(blames: Sequence[Blame], metric: str) -> str:
    """Say who did what, in one sentence."""
    parts = []
    of_metric = next((blame for blame in blames if blame.metric), None)
    if of_metric is not None and not of_metric.minimal:
        parts.append(f"{metric} not narrowed down further than {len(of_metric.causes[0])} changes")
    elif of_metric is not None and not of_metric.items:
        parts.append(f"{_who(of_metric.causes)} makes {metric} worse")
    with_items = [blame for blame in blames if blame.items]
    total = sum(len(blame.items) for blame in with_items)
    told: tuple[str, ...] = ()
    verbs = {
        "broken": "breaks",
        "fixed": "fixes",
        "changed": "changes",
        "worse": "worsens",
        "better": "betters",
    }
    for place, blame in enumerate(with_items):
        last = place == len(with_items) - 1 and place > 0
        share = _share(blame.items, total, last=last)
        verb = verbs[blame.kind]
        first = blame.causes[0]
        if not blame.minimal:
            parts.append(f"{share} not narrowed down further than {len(first)} changes")
        elif told and len(blame.causes) == 1 and {*told} < {*first}:
            rest = tuple(label for label in first if label not in told)
            parts.append(f"together with {_listed(rest)} {share}")
        else:
            also = f"makes {metric} worse and " if blame.metric else ""
            parts.append(f"{_who(blame.causes)} {also}{verb} {share}")
            told = first if len(blame.causes) == 1 and not told else told
    return "; ".join(parts)


def _share(items: Sequence[str], total: int, *, last: bool) -> str:
    count = len(items)
    if count == total:
        return items[0] if total == 1 else f"all {total}"
    return f"the other {count}" if last else f"{count} of the {total}"


def _who(causes: Sequence[tuple[str, ...]]) -> str:
    return ", and as well ".join(
        f"{cause[0]} together with {_listed(cause[1:])}" if len(cause) > 1 else cause[0] for cause in causes
    )


def _listed(labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"

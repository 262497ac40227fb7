"""What the rules did in a run: hits, dead rules, rules that contradict each other."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from corrida.pipelines.matching.items import Decision
    from corrida.pipelines.matching.rules import RuleSet

NAMED_AT_MOST = 10


class RuleReport(msgspec.Struct, frozen=True):
    """The report.

    Attributes:
        rules: one row a rule, in the order of the file.
        conflicts: one row for each pair of rules that hold for the same item with different codes.
        metrics: ``rules.fired``, ``rules.dead``, ``rules.conflicts``.
        warnings: sentences for a person, at most one about dead rules and one about conflicts.
    """

    rules: Any
    conflicts: Any
    metrics: dict[str, float]
    warnings: list[str]


def report_rules(rules: RuleSet, decisions: Sequence[Decision]) -> RuleReport:
    """Count for every rule how often it decided, held and was right.

    A rule is *dead* when it is active and its condition holds for no item; *fired* when it decided at least one.
    Two rules are in *conflict* when both hold for an item and their codes differ, whichever won.

    Args:
        rules: the rules of the run.
        decisions: with the positions of the rules that held, in the order of trial.
    """
    fired = [d for d in decisions if d.fired]
    hits = Counter(d.fired[0] for d in fired)
    matches = Counter(position for d in fired for position in d.fired)
    winners: dict[int, Counter[int]] = {}
    pairs: dict[tuple[int, int], list[Decision]] = {}
    for decision in fired:
        first, *others = decision.fired
        for position in others:
            winners.setdefault(position, Counter())[first] += 1
        for at, one in enumerate(decision.fired):
            for two in decision.fired[at + 1 :]:
                if rules.active[one].code != rules.active[two].code:
                    pairs.setdefault((one, two), []).append(decision)
    dead = [c.rule.id for position, c in enumerate(rules.active) if not matches[position]]
    metrics = {
        "rules.fired": float(len(hits)),
        "rules.dead": float(len(dead)),
        "rules.conflicts": float(len(pairs)),
    }
    warnings = []
    if dead:
        warnings.append(f"{_count(len(dead), 'active rule')} held for no item: {_few(dead)}. See rules.csv.")
    if pairs:
        names = [f"{rules.active[one].rule.id} and {rules.active[two].rule.id}" for one, two in pairs]
        warnings.append(
            f"{_count(len(pairs), 'pair')} of rules held for the same item with different codes: {_few(names)}. See rule_conflicts.csv."
        )
    return RuleReport(
        rules=_rules_frame(rules, decisions, hits, matches, winners, set(pairs)),
        conflicts=_conflicts_frame(rules, pairs),
        metrics=metrics,
        warnings=warnings,
    )


def _rules_frame(
    rules: RuleSet,
    decisions: Sequence[Decision],
    hits: Counter[int],
    matches: Counter[int],
    winners: dict[int, Counter[int]],
    pairs: set[tuple[int, int]],
) -> pl.DataFrame:
    """Lay out one row a rule; the counts of an inactive rule are null, because it was not tried."""
    import polars as pl

    position_of = {compiled.rule.id: position for position, compiled in enumerate(rules.active)}
    judged = [(d.fired[0], d.correct) for d in decisions if d.fired and d.correct is not None]
    right = Counter(position for position, correct in judged if correct)
    wrong = Counter(position for position, correct in judged if not correct)
    rows = []
    for compiled in rules.all:
        rule = compiled.rule
        at = position_of.get(rule.id)
        known = at is not None and right[at] + wrong[at] > 0
        against = [two if one == at else one for one, two in sorted(pairs) if at in {one, two}]
        shadows = winners.get(at, Counter()).most_common() if at is not None else []
        rows.append(
            (
                rule.id,
                rule.name,
                rule.priority,
                rule.active,
                compiled.code,
                None if at is None else hits[at],
                None if at is None else matches[at],
                right[at] if at is not None and known else None,
                wrong[at] if at is not None and known else None,
                right[at] / (right[at] + wrong[at]) if at is not None and known else None,
                "; ".join(f"{rules.active[p].rule.id} ({count})" for p, count in shadows) or None,
                "; ".join(rules.active[p].rule.id for p in against) or None,
            )
        )
    text, number = pl.String, pl.Int64
    schema = {
        "id": text,
        "name": text,
        "priority": number,
        "active": pl.Boolean,
        "code": text,
        "hits": number,
        "matches": number,
        "correct": number,
        "wrong": number,
        "precision": pl.Float64,
        "shadowed_by": text,
        "contradicts": text,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _conflicts_frame(rules: RuleSet, pairs: dict[tuple[int, int], list[Decision]]) -> pl.DataFrame:
    """Lay out one row a pair, the rule that is tried first on the left, the pair with most items on top."""
    import polars as pl

    rows = [
        (
            rules.active[one].rule.id,
            rules.active[one].code,
            rules.active[two].rule.id,
            rules.active[two].code,
            len(found),
            found[0].item.item_id,
            found[0].item.text,
        )
        for (one, two), found in sorted(pairs.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    ]
    text = pl.String
    schema = {
        "rule": text,
        "code": text,
        "other_rule": text,
        "other_code": text,
        "items": pl.Int64,
        "example_item": text,
        "example_text": text,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED_AT_MOST:,} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more

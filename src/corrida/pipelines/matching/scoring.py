"""The metrics of a matching run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.pipelines.matching.classification import Classification
    from corrida.pipelines.matching.items import Decision


def score(decisions: Sequence[Decision], classification: Classification) -> dict[str, float]:
    """Count and score the decisions.

    With D the decided items, G those with an expected code, C those whose output is the expected code:

    - ``coverage`` = D / items
    - ``precision`` = C / (D and G), ``recall`` = C / G, ``f1`` = 2 C / ((D and G) + G), the harmonic mean of the two
    - ``accuracy`` = C / G: an abstention counts as wrong. With one code an item this equals ``recall``; both
      stand there because people look for either name.
    - ``precision.<level>``: of the items in D and G whose expected code reaches the level, the share whose
      output lies under the same code of that level.
    - ``precision.rules``, ``precision.retrieval``: precision of the items that each has decided.

    Source: van Rijsbergen, C. J. (1979), Information Retrieval, chapter 7, for precision, recall and F.

    Args:
        decisions: at least one.
        classification: for the levels.

    Returns:
        Metric names to numbers; a ratio whose denominator is 0 is left out.
    """
    decided = [d for d in decisions if d.code is not None]
    by_rule = [d for d in decided if d.decided_by == "rule"]
    by_index = [d for d in decided if d.decided_by == "index"]
    judged = [d for d in decided if d.item.expected is not None]
    with_expected = sum(d.item.expected is not None for d in decisions)
    correct = sum(d.correct is True for d in decisions)
    metrics: dict[str, float | None] = {
        "items": len(decisions),
        "decided": len(decided),
        "decided_by_rule": len(by_rule),
        "decided_by_index": len(by_index),
        "abstained": len(decisions) - len(decided),
        "coverage": _ratio(len(decided), len(decisions)),
        "precision": _ratio(correct, len(judged)),
        "recall": _ratio(correct, with_expected),
        "accuracy": _ratio(correct, with_expected),
        "f1": _ratio(2 * correct, len(judged) + with_expected),
        "precision.rules": _precision(by_rule),
        "precision.retrieval": _precision(by_index),
    }
    for level in classification.levels:
        pairs = [
            (classification.at_level(d.code or "", level), wanted)
            for d in judged
            if (wanted := classification.at_level(d.item.expected or "", level)) is not None
        ]
        metrics[f"precision.{'_'.join(level.split())}"] = _ratio(
            sum(got == wanted for got, wanted in pairs), len(pairs)
        )
    return {name: value for name, value in metrics.items() if value is not None}


def _precision(decisions: Sequence[Decision]) -> float | None:
    judged = [d.correct for d in decisions if d.correct is not None]
    return _ratio(sum(judged), len(judged))


def _ratio(part: int, whole: int) -> float | None:
    """Return part / whole, or None when there is nothing to divide by: a missing metric is not 0."""
    return part / whole if whole else None

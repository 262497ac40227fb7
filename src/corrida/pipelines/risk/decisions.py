"""From the three layers and the law to one class, with reasons in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import polars as pl

from corrida.pipelines.risk.settings import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from corrida.pipelines.risk.alignment import Floats
    from corrida.pipelines.risk.features import Ordered
    from corrida.pipelines.risk.guardrails import Booleans, Checked, Integers, Law

LIMPIO, RELEVANTE, INUSUAL, PREOCUPANTE = range(4)
LAYERS: Final = ("none", "unsupervised", "supervised", "guardrail")
NOTHING: Final = "no limit of the law is reached, and no model sees a risk above its threshold"
RULES: Final = ("notice", "cash", "window_sum", "identification", "unknown_limits")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """From which values on the layers raise a class.

    Attributes:
        preocupante, inusual: the learned thresholds of the calibrated risks.
        relevante: of the risk to be at least ``relevante``.
        anomaly: the share of the training rows that must be less unusual by both measures.
        levels: 1 to 3, those that the labels of training told apart.
    """

    preocupante: float
    inusual: float
    relevante: float
    anomaly: float
    levels: list[int]

    def threshold(self, level: int) -> float:
        """Return the threshold of a level."""
        return (self.relevante, self.inusual, self.preocupante)[level - 1]


@dataclass(frozen=True)
class Decided:
    """The classes of transactions, one entry a transaction.

    Attributes:
        level: 0 to 3, places in ``CLASSES``.
        layer: places in ``LAYERS``: the one that gave the class; of several the law, then the model.
        by_model: the level that the first layer gave by itself.
        risks: by level, calibrated.
        isolation, distance: shares of the training rows that are less unusual.
        unusual: whether the second layer raised an alarm.
        checked: what the law says.
    """

    level: Integers
    layer: Integers
    by_model: Integers
    risks: Mapping[int, Floats]
    isolation: Floats
    distance: Floats
    unusual: Booleans
    checked: Checked

    def rules(self) -> dict[str, Booleans]:
        """Return which transactions each rule of the law caught."""
        c = self.checked
        return dict(
            zip(RULES, (c.noticed, c.paid_cash, c.summed, c.identified & ~c.forbids, c.unknown), strict=True)
        )


def decide(
    risks: Mapping[int, Floats], isolation: Floats, distance: Floats, checked: Checked, policy: Policy
) -> Decided:
    """Return the class of each transaction: the gravest that a layer or the law gives."""
    size = len(isolation)
    model = np.zeros(size, dtype=np.int64)
    for level in policy.levels:
        model = np.where(risks[level] >= policy.threshold(level), np.maximum(model, level), model)
    unusual = (isolation >= policy.anomaly) & (distance >= policy.anomaly) & (policy.anomaly < 1)
    law = np.where(checked.forbids, PREOCUPANTE, np.where(checked.identified, RELEVANTE, LIMPIO))
    level = np.maximum.reduce([model, np.where(unusual, INUSUAL, LIMPIO), law])
    layer = np.select(
        [level == LIMPIO, law == level, model == level],
        [0, 3, 2],
        default=1,
    )
    return Decided(level, layer, model, risks, isolation, distance, unusual, checked)


def decision_frame(found: Decided, data: Ordered, rows: slice, law: Law, policy: Policy) -> pl.DataFrame:
    """Return classes, reasons and what they rest on.

    Args:
        found: of these rows.
        data: the transactions.
        rows: those of ``data`` that were decided.
        law: its activities are named in reasons.
        policy: its thresholds are named in reasons.
    """
    return pl.DataFrame(
        {
            "class": pl.Series(CLASSES).gather(found.level),
            "decided_by": pl.Series(LAYERS).gather(found.layer),
            "reasons": _reasons(found, data, rows, law, policy),
            **{f"risk_{CLASSES[level]}": np.round(found.risks[level], 6) for level in sorted(found.risks)},
            "isolation": np.round(found.isolation, 4),
            "distance": np.round(found.distance, 4),
        }
    )


def _reasons(found: Decided, data: Ordered, rows: slice, law: Law, policy: Policy) -> pl.Series:
    """Return why each transaction has its class: all that holds, the gravest first, parted by ``; ``."""
    checked, model = found.checked, found.by_model
    cents, total, activity = data.cents[rows], data.window_total[rows], data.activity[rows]
    names = [*law.names, ""]
    days = law.law.window_days

    def pesos(values: Integers, at: int) -> str:
        return f"{values[at] / 100:,.2f}"

    def name(at: int) -> str:
        return names[int(activity[at])]

    said: list[tuple[Booleans, Callable[[int], str]]] = [
        (checked.noticed, lambda i: f"the amount of {pesos(cents, i)} reaches the limit of notice for {name(i)}, {pesos(checked.notice, i)}"),
        (checked.paid_cash, lambda i: f"cash of {pesos(cents, i)} reaches the limit of cash for {name(i)}, {pesos(checked.cash, i)}"),
        (checked.summed, lambda i: f"with this one the client has moved {pesos(total, i)} for {name(i)} in {days} days, which reaches the limit of notice, {pesos(checked.notice, i)}"),
    ]  # fmt: skip
    modelled = [level for level in (PREOCUPANTE, INUSUAL, RELEVANTE) if level in policy.levels]
    said += [(model == level, _by_model(found, level, policy)) for level in modelled]
    said += [
        (found.unusual, lambda i: f"unlike the transactions of training: more isolated than {found.isolation[i]:.2%} of them, and farther from what is ordinary than {found.distance[i]:.2%}"),
        (checked.identified & ~checked.forbids, lambda i: f"the amount reaches the limit of identification for {name(i)}, {pesos(checked.identification, i)}" if checked.identification[i] > 0 else f"for {name(i)} the client of every transaction has to be identified"),
        (checked.unknown, lambda i: f"no limits are known for this day, so those of {name(i)} were not checked"),
    ]  # fmt: skip
    return _joined(said, len(cents))


def _by_model(found: Decided, level: int, policy: Policy) -> Callable[[int], str]:
    risk, threshold, word = found.risks[level], policy.threshold(level), CLASSES[level]
    return lambda i: (
        f"the model gives a risk of {risk[i]:.3f} for {word}, and its threshold is {threshold:.3g}"
    )


def _joined(said: Sequence[tuple[Booleans, Callable[[int], str]]], size: int) -> pl.Series:
    found: dict[int, list[str]] = {}
    for holds, sentence in said:
        for at in np.flatnonzero(holds).tolist():
            found.setdefault(at, []).append(sentence(at))
    texts = pl.Series([NOTHING]).new_from_index(0, size)
    if not found:
        return texts
    return texts.scatter(list(found), ["; ".join(parts) for parts in found.values()])

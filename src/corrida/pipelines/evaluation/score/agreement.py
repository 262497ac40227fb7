"""Agreement of the models: Cohen's kappa in pairs, Fleiss' kappa of all."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from corrida.pipelines.evaluation.results import Agreement, CohenKappa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corrida.pipelines.evaluation.score.counting import Booleans, Integers, Said
    from corrida.pipelines.evaluation.score.grid import Column


def agree(said: Said, columns: Sequence[Column]) -> tuple[Agreement, ...]:
    """Return the agreement of the models under each matcher and strategy that at least two models share.

    Every model says of each item and each label of the taxonomy whether the item has it. Names without a label say
    nothing of a label and are left out.
    """
    by_strategy: dict[str, list[int]] = {}
    for pair, (strategy, _) in enumerate(said.pairs):
        by_strategy.setdefault(strategy, []).append(pair)
    found = []
    for column in columns:
        for strategy, pairs in by_strategy.items():
            if len(pairs) < 2:
                continue
            common: Booleans = np.logical_and.reduce(said.included[pairs], axis=0)
            given = {
                said.pairs[pair][1]: _given(column, pair, common, said.labels)
                for pair in sorted(pairs, key=lambda pair: said.pairs[pair][1])
            }
            units = int(common.sum()) * said.labels
            if units:
                found.append(_agreement(column.matcher, strategy, given, units))
    return tuple(found)


def cohen_kappa(a: Integers, b: Integers, units: int) -> tuple[float | None, float]:
    """Return kappa and the observed agreement of two raters who say yes or no.

    κ = (p_o - p_e) / (1 - p_e). Source: Cohen, J. (1960), A coefficient of agreement for nominal scales, Educational and
    Psychological Measurement 20, 37-46.

    Args:
        a: the units, each once, of which one rater says yes.
        b: those of the other.
        units: how many there are in all.
    """
    both = np.intersect1d(a, b, assume_unique=True).size
    observed = (units - a.size - b.size + 2 * both) / units
    p, q = a.size / units, b.size / units
    chance = p * q + (1 - p) * (1 - q)
    return (None if chance >= 1 else float((observed - chance) / (1 - chance))), float(observed)


def fleiss_kappa(yes: Integers, raters: int, units: int) -> float | None:
    """Return the kappa of several raters who say yes or no of every unit.

    κ = (P̄ - P̄_e) / (1 - P̄_e). Source: Fleiss, J. L. (1971), Measuring nominal scale agreement among many raters,
    Psychological Bulletin 76, 378-382.

    Args:
        yes: how many raters say yes, of each unit of which any does.
        raters: how many there are, two or more.
        units: how many there are in all.
    """
    no = raters - yes
    agreeing = (yes * (yes - 1) + no * (no - 1)).sum() + (units - yes.size) * raters * (raters - 1)
    observed = agreeing / (units * raters * (raters - 1))
    share = yes.sum() / (units * raters)
    chance = share**2 + (1 - share) ** 2
    return None if chance >= 1 else float((observed - chance) / (1 - chance))


def _given(column: Column, pair: int, common: Booleans, labels: int) -> Integers:
    decisions = column.decisions
    here = (decisions.pair == pair) & (decisions.label >= 0)
    here[here] = common[decisions.item[here]]
    return np.asarray(decisions.item[here] * labels + decisions.label[here])


def _agreement(matcher: str, strategy: str, given: Mapping[str, Integers], units: int) -> Agreement:
    _, yes = np.unique(np.concatenate(list(given.values())), return_counts=True)
    cohen = []
    for a, b in combinations(given, 2):
        kappa, observed = cohen_kappa(given[a], given[b], units)
        cohen.append(CohenKappa(a=a, b=b, kappa=kappa, observed=observed))
    return Agreement(
        matcher=matcher,
        strategy=strategy,
        models=tuple(given),
        units=units,
        cohen=tuple(cohen),
        fleiss=fleiss_kappa(yes, len(given), units),
    )

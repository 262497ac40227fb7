"""How many items it takes to see a difference, and what difference the items at hand can show.

Everything here is a plan, not a test: the effect, the spread and the share of discordant items are taken from what
was seen, and are uncertain themselves. Read the numbers as an order of magnitude.
"""

from __future__ import annotations

import math
from statistics import NormalDist

POWER = 0.8
"""The chance with which a difference of the size seen shall be found: the custom since Cohen (1988)."""


def items_for_proportions(
    discordant: float, difference: float, confidence: float, power: float = POWER
) -> float:
    """Return how many items McNemar's test needs.

    n = (z_{α/2} √ψ + z_β √(ψ - δ²))² / δ².

    Source: Connor, R. J. (1987), Sample size for testing differences in proportions for the paired-sample design,
    Biometrics 43, 207-211 (after Miettinen, O. S. (1968), Biometrics 24, 339-352).

    Args:
        discordant: ψ, the share of items that are right in one run and wrong in the other.
        difference: δ, of the two proportions; not 0.
        confidence: 1 - α.
        power: 1 - β.
    """
    alpha, beta = _quantiles(confidence, power)
    rest = max(discordant - difference**2, 0.0)
    return (alpha * math.sqrt(discordant) + beta * math.sqrt(rest)) ** 2 / difference**2


def items_for_mean(spread: float, difference: float, confidence: float, power: float = POWER) -> float:
    """Return how many pairs a paired test of a mean needs.

    n = ((z_{α/2} + z_β) σ / δ)² + z²_{α/2} / 2: the normal formula with Guenther's correction, within one pair of the
    exact one for the paired t-test.

    Source: Guenther, W. C. (1981), Sample size formulas for normal theory t tests, The American Statistician 35,
    243-244.

    Args:
        spread: σ, the standard deviation of the paired differences.
        difference: δ, their mean; not 0.
        confidence: 1 - α.
        power: 1 - β.
    """
    alpha, beta = _quantiles(confidence, power)
    return ((alpha + beta) * spread / difference) ** 2 + alpha**2 / 2


def detectable_proportion(discordant: float, items: int, confidence: float, power: float = POWER) -> float:
    """Return the least difference of two proportions that McNemar's test finds with the power, by Connor's formula.

    Args:
        discordant: ψ, the share of items that are right in one run and wrong in the other.
        items: how many there are.
        confidence: 1 - α.
        power: 1 - β.
    """
    if not discordant or items_for_proportions(discordant, discordant, confidence, power) > items:
        return math.nan  # not even if all of them went one way
    low, high = 0.0, discordant
    for _ in range(60):
        middle = (low + high) / 2
        if items_for_proportions(discordant, middle, confidence, power) > items:
            low = middle
        else:
            high = middle
    return high


def detectable_mean(error: float, confidence: float, power: float = POWER) -> float:
    """Return the least difference that is found with the power, (z_{α/2} + z_β) times the standard error.

    Args:
        error: standard error of the difference with the items at hand.
        confidence: 1 - α.
        power: 1 - β.
    """
    return sum(_quantiles(confidence, power)) * error


def items_to_tie(
    units: int, error: float, difference: float, margin: float, confidence: float
) -> float | None:
    """Return how many units bring the interval inside the margin, if the difference stays what it is.

    The interval is difference ± z · error, and the error falls with the square root of the number of units.

    Args:
        units: how many there are.
        error: standard error with those.
        difference: as seen.
        margin: differences below it do not matter.
        confidence: of the interval.

    Returns:
        The number; None when the difference is not inside the margin.
    """
    room = margin - abs(difference)
    if room <= 0 or not error:
        return None
    return units * (_quantiles(confidence, POWER)[0] * error / room) ** 2


def _quantiles(confidence: float, power: float) -> tuple[float, float]:
    normal = NormalDist()
    return normal.inv_cdf(0.5 + confidence / 2), normal.inv_cdf(power)

"""Several tests at once: adjusted p-values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that keep the chance of any false alarm at the level, whatever the tests have in common.

    Source: Holm, S. (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of
    Statistics 6, 65-70.

    Args:
        p_values: of all tests of the family, in any order.

    Returns:
        Adjusted p-values in the same order; a test is rejected at a level when its adjusted p is at most that level.
    """
    order = _ascending(p_values)
    size = len(order)
    steps = accumulate((min(1.0, (size - rank) * p_values[i]) for rank, i in enumerate(order)), max)
    return _in_place(order, steps)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return p-values that keep the expected share of false alarms among all alarms at the level.

    It holds for tests that are independent or positively dependent.

    Source: Benjamini, Y. and Hochberg, Y. (1995), Controlling the false discovery rate, Journal of the Royal
    Statistical Society B 57, 289-300; positive dependence: Benjamini and Yekutieli (2001).

    Args:
        p_values: of all tests of the family, in any order.
    """
    return _step_up(p_values, 1.0)


def benjamini_yekutieli(p_values: Sequence[float]) -> list[float]:
    """Return p-values that keep the expected share of false alarms at the level under any dependence.

    Source: Benjamini, Y. and Yekutieli, D. (2001), The control of the false discovery rate in multiple testing under
    dependency, Annals of Statistics 29, 1165-1188.

    Args:
        p_values: of all tests of the family, in any order.
    """
    return _step_up(p_values, sum(1 / i for i in range(1, len(p_values) + 1)))


def _step_up(p_values: Sequence[float], factor: float) -> list[float]:
    order = _ascending(p_values)[::-1]
    size = len(order)
    steps = accumulate(
        (min(1.0, factor * size / (size - back) * p_values[i]) for back, i in enumerate(order)), min
    )
    return _in_place(order, steps)


def _ascending(p_values: Sequence[float]) -> list[int]:
    return sorted(range(len(p_values)), key=lambda i: p_values[i])


def _in_place(order: Sequence[int], values: accumulate[float]) -> list[float]:
    found = [0.0] * len(order)
    for i, value in zip(order, values, strict=True):
        found[i] = value
    return found

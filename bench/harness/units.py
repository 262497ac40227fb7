"""Numbers as people read them."""

from __future__ import annotations


def significant(value: float) -> str:
    """Return a number of about three digits, as in ``0.012``, ``1.23``, ``12.3`` and ``4,310``."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def quantity(value: float, unit: str) -> str:
    """Return a value with its unit; seconds below 1 in milliseconds."""
    if unit == "s":
        return f"{significant(value)} s" if value >= 1 else f"{significant(value * 1000)} ms"
    return f"{value:.2%}" if unit == "share" else f"{significant(value)} {unit}"


def times(value: float) -> str:
    """Return a ratio, as in ``1.8 ×``."""
    return f"{significant(value)} ×"

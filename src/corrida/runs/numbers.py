"""Numbers as a person and as JSON read them."""

from __future__ import annotations

from collections.abc import Mapping


def format_number(value: float) -> str:
    """Return a number as a person reads it: up to four significant decimals, no trailing zeros."""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN
        return str(value)
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if abs(value) >= 1e6 or abs(value) < 1e-4:
        return f"{value:.4g}"
    return f"{value:.{4 if abs(value) < 1000 else 2}f}".rstrip("0").rstrip(".")


NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})


def json_number(value: float) -> float | str:
    """Return ``value``, or its name when JSON has no number for it: ``NaN``, ``Infinity``, ``-Infinity``."""
    if value - value == 0:
        return value
    if value != value:  # noqa: PLR0124 - NaN
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def metrics_from_file(metrics: Mapping[str, float | str]) -> dict[str, float]:
    """Return metrics as numbers; NaN and infinities are stored by name, since JSON has none."""
    return {k: float(v) if isinstance(v, str) else v for k, v in metrics.items()}


def duration_text(seconds: float | None) -> str:
    """Return a duration as a person says it."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"

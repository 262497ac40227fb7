"""The rules of a gate, as corrida.toml and the command line give them."""

from __future__ import annotations

import math
import re
from typing import Literal

import msgspec

from corrida.errors import BadInput

OnDoubt = Literal["pass", "fail"]
_PERCENT = re.compile(r"([0-9.]+(?:e-?\d+)?)\s*%", re.IGNORECASE)


class GateRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a metric may drop.

    A drop is a change in the worse direction: of a loss, a rise.

    Attributes:
        metric: which.
        max_drop: how far, in units of the metric or in percent of the base's value (``"1%"``).
        confidence: with which a drop must be excluded; of the interval.
        on_doubt: what a rule that cannot be decided counts as.
        cluster: a column of the items that says which of them belong together.
        shared_items: judge by the shared items alone; otherwise items that only one run has are a doubt.
        slices: columns of the items, or ``auto``: no segment may be proven to drop further than ``slices_max_drop``.
        slices_max_drop: how far a segment may drop; ``max_drop`` when not given.
    """

    metric: str
    max_drop: float | str
    confidence: float = 0.95
    on_doubt: OnDoubt = "fail"
    cluster: str | None = None
    shared_items: bool = False
    slices: tuple[str, ...] | str = ()
    slices_max_drop: float | str | None = None

    def check(self) -> GateRule:
        """Return the rule when it can be used.

        Raises:
            BadInput: a number is outside of its range.
        """
        if not self.metric.strip():
            raise BadInput("a gate's rule must name a metric")
        read_drop(self.max_drop, "max_drop")
        if self.slices_max_drop is not None:
            read_drop(self.slices_max_drop, "slices_max_drop")
            if not self.slices:
                raise BadInput(f"the rule on {self.metric} has slices_max_drop and no slices; name columns")
        if self.on_doubt not in {"pass", "fail"}:
            raise BadInput(f"on_doubt is pass or fail, not {self.on_doubt}")
        if not 0 < self.confidence < 1:
            raise BadInput(f"the confidence must lie between 0 and 1, such as 0.95, not {self.confidence:g}")
        return self

    @property
    def slice_specs(self) -> tuple[str, ...]:
        """The columns to slice by."""
        return (self.slices,) if isinstance(self.slices, str) else self.slices

    def allowed(self, base: float) -> float:
        """Return the greatest drop, in units of the metric.

        Args:
            base: the metric of the base.
        """
        return _in_units(self.max_drop, base)

    def allowed_in_slice(self, base: float) -> float:
        """Return the greatest drop of a segment, in units of the metric.

        Args:
            base: the metric of the base in the segment.
        """
        return _in_units(self.max_drop if self.slices_max_drop is None else self.slices_max_drop, base)


class GateSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section ``[gate]``: what a change must not make worse.

    Attributes:
        rules: all of them must hold.
    """

    rules: tuple[GateRule, ...] = ()


def read_drop(value: float | str, name: str) -> tuple[float, bool]:
    """Read a greatest drop: ``0.01``, or ``1%`` of the base's value.

    Args:
        value: a number or text.
        name: how to call it in an error message.

    Returns:
        The number (as a share when it is relative), and whether it is relative.

    Raises:
        BadInput: it is no number, or below 0.
    """
    number, relative = math.nan, False
    if isinstance(value, str):
        percent = _PERCENT.fullmatch(value.strip())
        relative = percent is not None
        try:
            number = float(percent.group(1)) / 100 if percent else float(value)
        except ValueError:
            number = math.nan
    elif isinstance(value, int | float):
        number = float(value)
    if not (number >= 0 and math.isfinite(number)):
        shown = f"{value:g}" if isinstance(value, float) else value
        raise BadInput(f"{name} must be a number from 0 on, such as 0.01, or a share such as 1%, not {shown}")
    return number, relative


def _in_units(drop: float | str, base: float) -> float:
    number, relative = read_drop(drop, "max_drop")
    return number * abs(base) if relative else number

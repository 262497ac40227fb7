"""What all figures share: colours, fonts, and how a specification begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Spec = dict[str, Any]

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
# Okabe and Ito, "Color universal design" (2008): told apart with every common colour blindness. Their order here
# also falls in lightness, so that two neighbours differ in grey.
PALETTE: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
GOOD: Final = "#0072B2"
BAD: Final = "#D55E00"
CHANGED: Final = "#E69F00"
QUIET: Final = "#B8BEC6"
INK: Final = "#24292F"

_CONFIG: Final[Mapping[str, Any]] = {
    "background": "white",
    "font": "Helvetica, Arial, DejaVu Sans, sans-serif",
    "view": {"stroke": None},
    "title": {
        "anchor": "start", "fontSize": 14, "fontWeight": 600, "color": INK, "subtitleColor": "#57606A",
        "subtitleFontSize": 12, "offset": 12,
    },
    "axis": {
        "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelColor": INK,
        "titleColor": "#57606A", "gridColor": "#EAEEF2", "domainColor": "#AFB8C1", "tickColor": "#AFB8C1",
        "labelLimit": 260,
    },
    "legend": {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelLimit": 260},
    "range": {"category": list(PALETTE)},
}  # fmt: skip


def figure(title: str, subtitle: str | Sequence[str] = "", **parts: Any) -> Spec:
    """Return a specification that begins as all do.

    Args:
        title: what the figure says.
        subtitle: what it shows, and how to read it.
        parts: the rest of the specification: ``data``, ``mark``, ``encoding``, ``layer`` …
    """
    heading: dict[str, Any] = {"text": title}
    if subtitle:
        heading["subtitle"] = subtitle if isinstance(subtitle, str) else list(subtitle)
    return {
        "$schema": SCHEMA,
        "config": dict(_CONFIG),
        "title": heading,
        "padding": 8,
        **parts,
    }

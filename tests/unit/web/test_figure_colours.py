"""The colours of figures in the dark: told apart, and seen on their ground; the same as those of the legend."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from corrida.analysis.charts.theme import PALETTE
from corrida.web.pages import static_file

GROUNDS = ("#0d1117", "#1c2129")
_SEEN = 3.0
_APART = 20.0


def _night() -> dict[str, str]:
    (table,) = re.findall(r"const night = \{(.*?)\};", static_file("figure.js").decode(), re.DOTALL)
    return dict(re.findall(r'"(#[0-9A-F]{6})": "(#[0-9a-f]{6})"', table))


def _linear(colour: str) -> list[float]:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""
    low, high = sorted(
        sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), _linear(colour), strict=True))
        for colour in (one, other)
    )
    return (high + 0.05) / (low + 0.05)


def _lab(colour: str) -> tuple[float, float, float]:
    """CIE 1976 L*a*b* of sRGB, white D65."""
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    x, y, z = (
        sum(weight * part for weight, part in zip(row, _linear(colour), strict=True)) / white
        for row, white in zip(rows, (0.9505, 1.0, 1.089), strict=True)
    )
    fx, fy, fz = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def _in_the_dark() -> list[str]:
    night = _night()
    return [night.get(colour, colour).lower() for colour in PALETTE]


@pytest.mark.parametrize("ground", GROUNDS)
def test_every_colour_stands_out_from_the_dark(ground: str) -> None:
    for colour in _in_the_dark():
        assert _contrast(colour, ground) >= _SEEN, colour


def test_no_two_colours_look_alike_in_the_dark() -> None:
    for one, other in combinations(_in_the_dark(), 2):
        apart = sum((a - b) ** 2 for a, b in zip(_lab(one), _lab(other), strict=True)) ** 0.5
        assert apart >= _APART, (one, other, apart)


def test_the_legend_has_the_colours_of_the_figure() -> None:
    style = static_file("style.css").decode()
    light, dark = style.split("@media (prefers-color-scheme: dark) { .series-0", 1)
    dark = ".series-0" + dark.split("\n", 1)[0]
    by_number = {int(n): c for n, c in re.findall(r"\.series-(\d) \{ background: (#[0-9a-f]+); \}", light)}
    assert [by_number[n].replace("#000", "#000000") for n in range(8)] == [c.lower() for c in PALETTE]
    by_number |= {int(n): c for n, c in re.findall(r"\.series-(\d) \{ background: (#[0-9a-f]+); \}", dark)}
    assert [by_number[n] for n in range(8)] == _in_the_dark()

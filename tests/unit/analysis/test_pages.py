"""Pages: text, tables and figures as HTML that stands alone, and as Markdown."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from corrida.analysis.blocks import Heading, Line, Table
from corrida.analysis.charts.flow import flow_chart
from corrida.analysis.charts.metrics import differences_chart
from corrida.analysis.charts.render import to_png, to_svg
from corrida.analysis.metrics_diff import MetricChange
from corrida.analysis.pages import Banner, Figure, page_html, page_markdown

FLOWS = {
    ("right", "right", "same"): 600,
    ("right", "wrong", "broken"): 3,
    ("wrong", "right", "fixed"): 40,
    ("no answer", "wrong", "changed"): 5,
}


def flow() -> dict:
    return flow_chart(FLOWS, "A", "B", title="flips", subtitle="and more")


def changes() -> list[MetricChange]:
    common = {"direction": "max", "tested": "f1"}
    return [
        MetricChange(
            "f1", 0.5, 0.6, 0.1, better=True, low=0.05, high=0.15, p_adjusted=0.001, real=True, **common
        ),
        MetricChange(
            "精度", 0.5, 0.49, -0.01, better=False, low=-0.05, high=0.03, p_adjusted=0.7, real=False, **common
        ),
        MetricChange("items", 5, 5, 0, None, None),
    ]


def test_bands_meet_and_add_up() -> None:
    spec = flow()
    bands = [row for layer in spec["layer"][:2] for row in layer["data"]["values"]]
    assert sum({row["band"]: row["items"] for row in bands}.values()) == 648
    for row in bands:
        assert row["high"] - row["low"] == pytest.approx(row["items"] / 648)
    texts = [row["text"] for layer in spec["layer"][2:] for row in layer["data"]["values"]]
    assert "right in A: 603" in texts
    assert "right in B: 640" in texts
    for x in (0, 1):  # bands of one side do not lie on one another
        ends = sorted((row["low"], row["high"]) for row in bands if row["x"] == x)
        assert all(high <= low + 1e-9 for (_, high), (low, _) in itertools.pairwise(ends))


def test_only_tested_metrics_are_drawn() -> None:
    spec = differences_chart(changes(), confidence=0.95, margin=0.01)
    assert spec is not None
    assert [(row["metric"], row["state"]) for row in spec["data"]["values"]] == [
        ("f1", "better"),
        ("精度", "within noise"),
    ]
    assert differences_chart(changes()[2:], confidence=0.95, margin=None) is None


def test_figures_are_drawn_alike_each_time() -> None:
    assert to_png(flow()) == to_png(flow())
    assert to_png(flow())[:8] == b"\x89PNG\r\n\x1a\n"
    assert "right in A: 603" in to_svg(flow())


def page(text: str = "plain") -> str:
    parts = [
        Banner("better", text, "good"),
        Heading("Números"),
        Line(text),
        Table(("a", text), [["1", text]], frozenset({0})),
        Figure("flips", flow(), text),
    ]
    return page_html(text, parts, subtitle=text)


def test_a_page_needs_no_network_and_nothing_in_it_is_executed() -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    html = page(evil)
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", html.split("<script")[0])
    assert html.count("</script>") == 2
    found = re.search(r'id="specs">(.*?)</script>', html, re.DOTALL)
    assert found
    assert set(json.loads(found.group(1))) == {"flips"}


def test_a_page_shows_the_figure_without_scripts() -> None:
    html = page()
    assert "<svg" in html.split("<script")[0]
    assert '<div class="banner good"' in html


def test_a_page_as_markdown() -> None:
    text, pictures = page_markdown(
        "título", [Banner("better", "a | b", "good"), Heading("X"), Line("y"), Figure("f", flow(), "alt")]
    )
    assert text.startswith("# título\n")
    assert "> **better**: a | b" in text
    assert "![alt](assets/f.png)" in text
    assert list(pictures) == ["assets/f.png"]


def test_without_figures_markdown_needs_no_extra() -> None:
    assert page_markdown("t", [Line("x")])[1] == {}

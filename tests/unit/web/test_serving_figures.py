"""Figures of the runner: what they say, and that Vega takes them."""

from __future__ import annotations

import math

import vl_convert

from corrida.analysis.charts.serving import MOST_FEATURES, drift_chart, farthest
from corrida.inference.overview import Drift, Pace, Span
from corrida.runs.numbers import format_number
from corrida.web.serving_page import (
    WINDOWS,
    ServingState,
    drift_figure,
    far_now,
    pace_figures,
    pace_sentences,
)


def _span(start: float, processed: int, failed: int = 0) -> Span:
    ended = {"processed": processed, "failed": failed, "cancelled": 0}
    times = (None, None, None) if not processed + failed else (1.0, 4.0, 0.5)
    return Span(start, ended, processed * 10, *times)


def _pace(*counts: int) -> Pace:
    spans = [_span(60.0 * n, count, failed=n % 2) for n, count in enumerate(counts)]
    failed = sum(n % 2 for n in range(len(counts)))
    return Pace(spans, 60.0, _span(0.0, sum(counts), failed), cut=False)


def test_pace_in_words() -> None:
    said = pace_sentences(_pace(3, 0, 1), WINDOWS[0])
    assert said[0] == "In the last hour: 4 processed, 1 failed; 40 rows scored."
    assert said[1] == "Half of them took at most 1.0 s, 95 % at most 4.0 s; half of them began within 0.5 s."
    assert pace_sentences(_pace(0), WINDOWS[1]) == ["Nothing ended in the last day."]
    assert not pace_figures(_pace(0), WINDOWS[0])
    assert "newest part" in pace_sentences(_pace(3)._replace(cut=True), WINDOWS[0])[-1]


def test_figures_can_be_drawn() -> None:
    drift = Drift("psi", "risk", [(f"a{n}", 60.0 * n, 5, {"x": n / 10, "y.z[0]": 0.3}) for n in range(4)])
    for figure in (*pace_figures(_pace(3, 0, 1, 400), WINDOWS[0]), drift_figure(drift)):
        assert "<svg" in vl_convert.vegalite_to_svg(figure.spec)
        assert figure.alt


def test_a_line_is_broken_where_nothing_ended() -> None:
    _, times = pace_figures(_pace(3, 0, 0, 1), WINDOWS[0])
    rows = [row for row in times.spec["data"]["values"] if row["what"] == "95 %"]
    # The whole window is on the axis.
    assert [row["time"] for row in rows] == [30_000, 90_000, 150_000, 210_000]
    assert [row["seconds"] for row in rows] == [4.0, 4.0, None, 4.0]


def test_the_features_that_moved_most() -> None:
    points = [{f"f{n:02d}": n / 100 for n in range(20)}, {"f00": -0.9}]
    assert farthest(points)[:3] == ["f00", "f19", "f18"]
    assert len(farthest(points)) == MOST_FEATURES
    drift = Drift("level", "forecasting", [("a", 1.0, 5, {"north": -4.0, "south": 2.0})])
    assert far_now(drift) == [("north", format_number(-4.0), True), ("south", format_number(2.0), False)]
    limits = drift_chart("t", "s", "level", [("a", 1.0, {"north": math.pi})])["layer"][0]["data"]["values"]
    assert limits == [{"limit": -3.0}, {"limit": 3.0}]


def test_the_state_of_the_page_is_its_address() -> None:
    state = ServingState.of({"status": "failed", "page": "3", "window": "day", "run": "run_a b"})
    assert state == ServingState("failed", "run_a b", 3, "day")
    assert state.address(page=3) == "?status=failed&run=run_a+b&page=3&window=day"
    assert state.address(status="") == "?run=run_a+b&window=day"
    assert ServingState.of({"status": "x", "page": "-1", "window": "x"}) == ServingState()
    assert ServingState().address() == "?"

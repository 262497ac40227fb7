"""Many runs at once: what is brushed is kept in the figures, the table and the address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser.conftest import Window

EVERY = "/explore?pipeline=weather&children=1"


@pytest.fixture
def many(demos: Callable[[str], Path], served: Callable[..., str], window: Callable[..., Window]) -> Window:
    """Three searches and the runs of single models that they hold."""
    opened = window(served(demos("model-search")))
    opened.open(EVERY)
    opened.draw()
    return opened


def _rows(window: Window) -> list[str]:
    return window.page.locator("table[data-rows] tbody th a.run").all_inner_texts()


def _drag(window: Window, axis: str, start: float, end: float) -> None:
    """Drag along an axis, in shares of its length from the top."""
    held = window.page.locator(f'.held[data-axis="{axis}"]')
    box = held.locator("xpath=following-sibling::*[contains(@class, 'grip')]").bounding_box()
    assert box is not None
    mouse = window.page.mouse
    across = box["x"] + box["width"] / 2
    mouse.move(across, box["y"] + start * box["height"])
    mouse.down()
    mouse.move(across, box["y"] + (start + end) / 2 * box["height"])
    mouse.move(across, box["y"] + end * box["height"])
    mouse.up()


def test_brushing_an_axis_keeps_a_part_of_the_runs(many: Window) -> None:
    page = many.page
    every = _rows(many)
    assert len(every) == 9
    axis = page.locator(".held").last.get_attribute("data-axis")
    assert axis is not None
    page.locator("[data-parallel]").scroll_into_view_if_needed()
    _drag(many, axis, 0, 0.5)
    expect(page.locator("[data-kept]")).to_have_text(
        f"{page.locator('.lines polyline:not(.off)').count()} of 9 runs kept"
    )
    expect(page.locator("table[data-rows] tbody tr")).to_have_count(
        page.locator(".lines polyline:not(.off)").count()
    )
    kept = _rows(many)
    assert 0 < len(kept) < 9
    page.wait_for_url("**keep=**")
    many.draw()
    page.reload()  # the address holds what is kept
    expect(page.locator("table[data-rows] tbody tr")).to_have_count(len(kept))
    assert _rows(many) == kept
    page.get_by_role("button", name="Keep all").click()
    expect(page.locator("table[data-rows] tbody tr")).to_have_count(9)


def test_limits_can_be_typed(many: Window) -> None:
    page = many.page
    losses = [float(text) for text in page.locator("table[data-rows] tbody td:last-child").all_inner_texts()]
    limit = sorted(losses)[4]
    page.get_by_text("Limits by hand").click()
    page.get_by_label("greatest metrics.test_loss to keep").fill(str(limit))
    expect(page.locator("[data-kept]")).to_have_text(
        f"{sum(loss <= limit for loss in losses)} of 9 runs kept"
    )
    page.get_by_role("group", name="model", exact=True).get_by_label("ridge", exact=True).check()
    expect(page.locator("table[data-rows] tbody tr").filter(has_not_text="ridge")).to_have_count(0)
    assert page.locator("table[data-rows] tbody tr").count() > 0


def test_a_rectangle_in_the_scatter(many: Window) -> None:
    page = many.page
    many.open(f"{EVERY}&x=metrics.test_loss&y=metrics.test_loss")
    many.draw()
    figure = page.locator("figure[data-chart=scatter] canvas")
    figure.scroll_into_view_if_needed()
    box = figure.bounding_box()
    assert box is not None
    for turn, (x, y) in enumerate(((0.2, 0.85), (0.4, 0.6), (0.6, 0.5))):  # from the least to the middle
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if not turn:
            page.mouse.down()
    page.mouse.up()
    rows = page.locator("table[data-rows] tbody tr")
    expect(page.get_by_role("button", name="Keep all")).to_be_visible()
    expect(rows).not_to_have_count(9)
    expect(page.locator("[data-kept]")).to_have_text(f"{rows.count()} of 9 runs kept")
    assert rows.count() > 0
    page.get_by_role("button", name="Keep all").click()
    expect(rows).to_have_count(9)


def test_the_rectangle_is_in_the_address(many: Window) -> None:
    page = many.page
    address = f"{EVERY}&x=metrics.test_loss&y=metrics.test_r2"
    many.open(f"{address}&keep=metrics.test_loss~~1e6&keep=metrics.test_r2~0.5~")
    many.draw()
    rows = page.locator("table[data-rows] tbody tr")
    expect(page.locator("[data-kept]")).to_contain_text("of 9 runs kept")
    assert page.get_by_label("greatest metrics.test_loss to keep").input_value() == "1000000"
    assert page.get_by_label("least metrics.test_r2 to keep").input_value() == "0.5"
    figure = page.locator("figure[data-chart=scatter] canvas")
    figure.scroll_into_view_if_needed()
    box = figure.bounding_box()
    assert box is not None
    page.get_by_role("button", name="Keep all").click()
    page.wait_for_url(lambda url: "keep=" not in url)
    for turn, (x, y) in enumerate(((0.15, 0.2), (0.3, 0.4), (0.5, 0.6))):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if not turn:
            page.mouse.down()
    page.mouse.up()
    page.wait_for_url("**keep=metrics.test_loss**keep=metrics.test_r2**")
    kept = page.locator("[data-kept]").inner_text()
    many.draw()
    page.reload()
    expect(page.locator("[data-kept]")).to_have_text(kept)
    page.go_back()  # to all of them
    expect(rows).to_have_count(9)
    page.go_back()  # to the limits that the address had
    expect(page.get_by_label("least metrics.test_r2 to keep")).to_have_value("0.5")


def test_runs_selected_here_are_compared(many: Window) -> None:
    page = many.page
    for run in _rows(many)[:2]:
        page.get_by_role("checkbox", name=f"Select {run}", exact=True).check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/compare?**")
    expect(page.get_by_role("heading", level=1)).to_be_visible()

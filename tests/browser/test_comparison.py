"""A comparison: the verdict, the baseline, items with their two answers, and what can be taken along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser.conftest import Window


@pytest.fixture
def compared(
    demos: Callable[[str], Path], served: Callable[..., str], window: Callable[..., Window]
) -> Window:
    opened = window(served(demos("verdicts")))
    opened.open("/compare?run=base&run=food")
    expect(opened.page.get_by_role("heading", level=1)).to_have_text("better")
    opened.draw()  # figures that come late move what a pointer aims at
    return opened


def test_the_baseline_is_another(compared: Window) -> None:
    page = compared.page
    page.get_by_role("link", name="Swap").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("worse")
    assert page.locator(".side a.run").all_inner_texts() == ["food", "base"]
    page.go_back()
    page.get_by_label("One more run").fill("latest")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 runs against base")
    page.locator(".candidates > li", has_text="quarries").get_by_role(
        "link", name="Make it the baseline"
    ).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 runs against quarries")
    page.locator(".candidates > li", has_text="food").get_by_role("link", name="Remove").click()
    assert page.locator(".side a.run").all_inner_texts() == ["quarries", "base"]
    # What is compared stays in view.
    page.get_by_role("heading", name="Data and environment").scroll_into_view_if_needed()
    expect(page.locator(".side a.run").first).to_be_in_viewport()


def test_items_open_to_the_two_answers(compared: Window) -> None:
    page = compared.page
    page.get_by_role("navigation", name="Which items").get_by_role("link", name="fixed").click()
    page.wait_for_url("**items=fixed**")
    items = page.locator(".flipped details")
    assert {*items.locator(".kind").all_inner_texts()} == {"fixed"}
    item = items.first
    name = item.locator(".id .code").inner_text()
    item.locator("summary").click()
    answers = page.get_by_role("region", name=f"{name} in both runs")
    expect(answers).to_be_visible()
    right = answers.get_by_role("row").filter(has=page.get_by_role("rowheader", name="correct", exact=True))
    assert right.get_by_role("cell").all_inner_texts() == ["no", "yes"]
    item.get_by_role("link", name="Its history over the runs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    assert page.locator(".dots li.right").count() >= 1
    assert page.locator(".dots li.wrong").count() >= 1
    page.go_back()  # and it is still open
    expect(answers).to_be_visible()


def test_a_config_side_by_side_and_another_metric(compared: Window) -> None:
    page = compared.page
    expect(page.locator(".explained").first).to_contain_text("R14")
    page.get_by_role("link", name="show side by side").first.click()
    raw = page.get_by_role("region", name="matching_rules_business.json side by side")
    expect(raw.get_by_role("cell", name='"id": "R14"').first).to_be_visible()
    page.get_by_label("Metric that decides").select_option("coverage")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".verdict .sentence").first).to_contain_text("coverage")


def test_downloads(compared: Window, window: Callable[..., Window], tmp_path: Path) -> None:
    page = compared.page
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download as Markdown").click()
    text = waiting.value.path().read_text(encoding="utf-8")
    assert waiting.value.suggested_filename.endswith(".md")
    assert "better" in text
    assert "base" in text
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download as HTML").click()
    assert waiting.value.suggested_filename.endswith(".html")
    kept = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(kept)
    alone = window("file://")  # the file needs nothing but itself
    alone.page.goto(kept.as_uri())
    expect(alone.page.locator("body")).to_contain_text("better")

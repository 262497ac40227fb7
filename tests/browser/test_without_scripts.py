"""A browser without JavaScript: every page can be read, and links and forms do what keys and clicks did."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser.conftest import Window


def test_sorted_filtered_and_compared_by_links_and_forms(
    demos: Callable[[str], Path], served: Callable[..., str], window: Callable[..., Window]
) -> None:
    one = window(served(demos("verdicts")), java_script_enabled=False)
    page = one.page
    one.open("/")
    page.get_by_role("columnheader", name=re.compile("^f1")).get_by_role("link").click()
    expect(page.get_by_role("columnheader", name=re.compile("^f1"))).to_have_attribute(
        "aria-sort", "descending"
    )
    page.get_by_label("Filter").fill("id != 'food'")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("table.runs tbody tr")).to_have_count(3)
    page.locator("details.columns > summary").click()
    page.get_by_role("checkbox", name="duration").check()
    page.get_by_role("button", name="Show these").click()
    expect(page.get_by_role("columnheader", name="duration", exact=True)).to_be_visible()
    page.get_by_label("Select quarries").check()
    page.get_by_label("Select fitters").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("worse")
    item = page.locator(".flipped details").first
    item.locator("summary").click()
    expect(item.get_by_role("table")).to_be_visible()
    page.get_by_role("searchbox", name="Search").fill("rule")
    page.get_by_role("searchbox", name="Search").press("Enter")
    page.get_by_role("link", name="fitters", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("fitters")
    for tab in page.get_by_role("navigation", name="Parts of the run").get_by_role("link").all_inner_texts():
        page.get_by_role("navigation", name="Parts of the run").get_by_role("link", name=tab).click()
        expect(page.locator("main")).to_contain_text("fitters")


def test_figures_leave_numbers_behind(
    demos: Callable[[str], Path], served: Callable[..., str], window: Callable[..., Window]
) -> None:
    one = window(served(demos("verdicts")), java_script_enabled=False)
    one.open("/explore")
    assert (
        "The figures need JavaScript" in one.page.locator("noscript").inner_html()
    )  # Chromium keeps it as text when told so by Playwright
    expect(one.page.locator("table[data-rows] tbody tr")).to_have_count(4)
    one.open("/items/T110")
    expect(one.page.get_by_role("heading", level=1)).to_have_text("T110")

"""Search, and the history of an item over the runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser.conftest import Window


@pytest.fixture
def anywhere(
    demos: Callable[[str], Path], served: Callable[..., str], window: Callable[..., Window]
) -> Window:
    opened = window(served(demos("verdicts")))
    opened.open("/aliases")
    return opened


def _search(window: Window, text: str) -> None:
    window.page.keyboard.press("/")
    window.page.keyboard.type(text)
    window.page.keyboard.press("Enter")


def test_words_lead_to_runs_files_and_items(anywhere: Window) -> None:
    page = anywhere.page
    _search(anywhere, "quarries")  # what names a run leads to it
    expect(page.get_by_role("heading", level=1)).to_have_text("quarries")
    _search(anywhere, "rule R15")
    found = page.get_by_role("region", name="Table of the runs").get_by_role("row")
    expect(found.filter(has_text="description").first).to_contain_text("fitters")
    _search(anywhere, "rules.csv")
    page.locator("section", has=page.get_by_role("heading", name="Files")).get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=2, name="rules.csv")).to_be_visible()
    _search(anywhere, "nothing of the kind")
    expect(page.locator(".empty")).to_contain_text("Nothing holds these words")


def test_an_item_and_when_its_answer_changed(anywhere: Window) -> None:
    page = anywhere.page
    _search(anywhere, "T110")
    page.locator("section", has=page.get_by_role("heading", name="Items")).get_by_role(
        "link", name="T110"
    ).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("T110")
    runs = page.locator(".dots li")
    expect(runs).to_have_count(4)
    changed = page.get_by_role("region", name="Where the answer changed").get_by_role("row")
    expect(changed.nth(1)).to_contain_text("quarries")
    expect(changed.nth(1)).to_contain_text("R09")
    changed.nth(1).get_by_role("link", name="compare").click()
    assert page.locator(".side a.run").all_inner_texts() == ["fitters", "quarries"]
    page.go_back()
    runs.last.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("quarries")

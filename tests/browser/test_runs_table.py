"""The table of runs, by mouse and by keys: four versions of the rules of a demo."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser.conftest import Window

NEWEST = ["quarries", "fitters", "food", "base"]


@pytest.fixture
def table(demos: Callable[[str], Path], served: Callable[..., str], window: Callable[..., Window]) -> Window:
    opened = window(served(demos("verdicts")))
    opened.open("/")
    assert _ids(opened) == NEWEST
    return opened


def _ids(window: Window) -> list[str]:
    return window.page.locator("table.runs tbody th a.run").all_inner_texts()


def _heads(window: Window) -> list[str]:
    return window.page.locator("table.runs thead th").all_inner_texts()[1:]


def _column(window: Window, name: str) -> list[float]:
    place = _heads(window).index(name) + 2
    return [
        float(text)
        for text in window.page.locator(f"table.runs tbody tr > :nth-child({place})").all_inner_texts()
    ]


def test_sorted_by_a_click(table: Window) -> None:
    head = table.page.get_by_role("columnheader", name=re.compile("^f1"))
    head.get_by_role("link").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    greatest = _column(table, "f1")
    assert greatest == sorted(greatest, reverse=True)
    assert len(set(greatest)) > 1
    head.get_by_role("link").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert _column(table, "f1") == greatest[::-1]
    shared = table.page.url
    table.page.go_back()
    expect(head).to_have_attribute("aria-sort", "descending")
    table.page.go_back()
    expect(head).to_have_attribute("aria-sort", "none")
    assert _ids(table) == NEWEST
    table.page.goto(shared)
    assert _column(table, "f1") == greatest[::-1]


def test_filtered_and_helped_when_the_filter_is_wrong(table: Window) -> None:
    page = table.page
    box = page.get_by_role("combobox", name="Filter")
    box.fill("description ~ 'rule' and id != 'food'")
    box.press("Enter")
    expect(page.get_by_role("row")).to_have_count(4)
    assert _ids(table) == ["quarries", "fitters", "base"]
    table.refusals.add(400)
    box.fill("metrics.f1 >> 0.3")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("expected a value")
    expect(box).to_have_value("metrics.f1 >> 0.3")
    expect(box).to_have_accessible_description(re.compile("at '> 0.3': expected a value"))
    box.fill("metrics.f2 > 0.3")
    box.press("Enter")
    expect(page.locator(".empty")).to_contain_text("did you mean metrics.f1?")
    page.get_by_role("link", name="Show all runs").click()
    expect(page.get_by_role("row")).to_have_count(5)


def test_other_columns_in_another_order(table: Window) -> None:
    page = table.page
    usual = _heads(table)
    page.locator("details.columns > summary").click()
    chooser = page.locator(".chooser")
    chooser.get_by_role("checkbox", name="created").uncheck()
    chooser.get_by_role("checkbox", name="duration").check()
    chooser.get_by_role("button", name="Show these").click()
    page.wait_for_url("**columns=**")
    assert _heads(table) == [*(name for name in usual if name != "created"), "duration"]
    page.locator("details.columns > summary").click()
    page.get_by_role("link", name="duration further to the left").click()
    assert _heads(table)[-2] == "duration"
    page.locator("details.columns > summary").click()
    page.keyboard.press("Escape")
    page.locator("details.columns > summary").click()
    page.get_by_role("link", name="back to the usual columns").click()
    assert _heads(table) == usual


def test_two_runs_selected_with_the_mouse_are_compared(table: Window) -> None:
    page = table.page
    page.get_by_role("checkbox", name="Select food").check()
    expect(page.get_by_role("status")).to_have_text("1 selected")
    expect(page.get_by_role("button", name="Compare")).to_be_disabled()
    page.get_by_role("columnheader", name=re.compile("^f1")).get_by_role("link").click()
    expect(page.get_by_role("checkbox", name="Select food")).to_be_checked()  # turning and sorting keeps it
    page.get_by_role("checkbox", name="Select base").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("better")
    assert page.locator(".side a.run").all_inner_texts() == ["base", "food"]  # the older is the baseline
    page.go_back()
    expect(page.get_by_role("status")).to_have_text("2 selected")
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("button", name="Compare")).to_be_hidden()


def test_two_runs_selected_with_keys_are_compared(table: Window) -> None:
    page = table.page
    here = page.locator("tr.here a.run")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    for key, run in (("j", "quarries"), ("j", "fitters"), ("j", "food"), ("k", "fitters")):
        page.keyboard.press(key)
        expect(here).to_have_text(run)
    expect(here).to_be_focused()
    page.keyboard.press("x")
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(page.get_by_role("status")).to_have_text("2 selected")
    page.keyboard.press("c")
    page.wait_for_url("**/compare?**")
    assert page.locator(".side a.run").all_inner_texts() == ["fitters", "quarries"]
    page.keyboard.press("j")  # the items of a comparison are lines, too
    page.keyboard.press("Enter")
    expect(page.locator(".flipped details").first).to_have_attribute("open", "")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    page.keyboard.type("jjx?c")  # letters in a box are letters
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("jjx?c")
    page.go_back()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/quarries")


def test_what_fits_is_downloaded(table: Window) -> None:
    page = table.page
    table.open("/?filter=metrics.f1%20%3E%200&sort=metrics.f1")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(waiting.value.path().read_text(encoding="utf-8").splitlines()))
    assert [row["id"] for row in rows] == _ids(table)


def test_times_are_local_and_tell_their_utc(table: Window, window: Callable[..., Window]) -> None:
    elsewhere = window(table.site, timezone_id="Asia/Kolkata")
    elsewhere.open("/")
    here, there = (one.page.locator("td.when time").first for one in (table, elsewhere))
    assert here.get_attribute("datetime") == there.get_attribute("datetime")
    assert here.inner_text() != there.inner_text()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", there.get_attribute("title") or "")

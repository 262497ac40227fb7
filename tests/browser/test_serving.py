"""What serves: `corrida serve` with its worker, files that were handed over, and the pages at its `/`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from tests.conftest import CommandLine

from corrida.inference.keys import Keys
from corrida.inference.service import opened
from corrida.inference.settings import runner_of
from corrida.project import find_project

if TYPE_CHECKING:
    from tests.browser.conftest import Window


@pytest.fixture(scope="package")
def scored(demos: Callable[[str], Path], served: Callable[..., str]) -> str:
    """The address of `corrida serve`, which scored two files and refused one."""
    folder = demos("risk")
    address = served(folder, "serve")
    rows = (folder / "data/new.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    for name, text in (
        ("monday", "".join(rows[:300])),
        ("tuesday", "".join(rows[:1] + rows[300:500])),
        ("broken", "client\nSYN1\n"),
    ):
        file = folder / f"{name}.csv"
        file.write_text(text, encoding="utf-8")
        command = [CommandLine.script, "submit", file.name, "--id", name, "--wait"]
        subprocess.run(command, cwd=folder, check=False, capture_output=True, timeout=120)
    return address


def test_the_queue_and_an_analysis(scored: str, window: Callable[..., Window]) -> None:
    one = window(scored)
    page = one.page
    one.open("/")
    page.get_by_role("link", name="Serving").click()
    for name, count in (("processed", "2"), ("failed", "1"), ("waiting", "0")):
        expect(
            page.locator(".tiles > div", has=page.get_by_text(name, exact=True)).locator("dd")
        ).to_have_text(count)
    expect(page.get_by_role("region", name="Table of the reasons")).to_contain_text(
        "there is no column for the amount"
    )
    assert page.locator("figure.chart").count() >= 2
    found = one.faults()
    page.get_by_role("navigation", name="Which analyses").get_by_role("link", name="failed").click()
    rows = page.get_by_role("region", name="Table of the analyses").locator("tbody tr")
    expect(rows).to_have_count(1)
    rows.get_by_role("link", name="broken").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("main")).to_contain_text("corrida jobs broken --retry")
    found += one.faults()
    one.open("/serving/monday")
    expect(page.locator("main")).to_contain_text("299 of 299")
    found += one.faults()
    page.get_by_role("link", name="wider", exact=True).first.click()
    page.get_by_role("link", name="Predictions").click()
    expect(page.get_by_role("region", name="Served", exact=True)).to_contain_text("tuesday")
    found += one.faults()
    assert not found, "\n".join(found)


def test_pages_of_the_run_that_serves(scored: str, window: Callable[..., Window]) -> None:
    one = window(scored)
    found: list[str] = []
    for path in ("/", "/runs/@production", "/runs/wider/items?wrong=1", "/compare?run=first&run=wider"):
        one.open(path)
        found += one.faults()
    assert not found, "\n".join(found)
    one.open("/runs/@production")
    assert one.page.url.endswith("/runs/wider")


def test_where_calls_need_a_key_a_person_enters_it(
    project: Path, served: Callable[..., str], window: Callable[..., Window]
) -> None:
    with opened(runner_of(find_project(project))) as service:
        _, key = Keys(service.database).add("ops", sees_all=True)
    one = window(served(project, "serve", "--workers", "0"))
    page = one.page
    one.open("/aliases", 401)
    found = one.faults()
    page.get_by_label("Key").fill("wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Aliases")
    page.get_by_role("link", name="Runs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
    assert not found, "\n".join(found)

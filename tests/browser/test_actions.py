"""What the pages change with `--write`: promote against the rules, demote, restore and its undo."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

import corrida

if TYPE_CHECKING:
    from tests.browser.conftest import Window

RULES = Path("config/matching_rules_business.json")


@pytest.fixture
def project(demos: Callable[[str], Path]) -> Path:
    """The demo, with a gate that its first rules do not pass after the second ones."""
    return demos("matching")


@pytest.fixture
def writing(project: Path, served: Callable[..., str], window: Callable[..., Window]) -> Window:
    return window(served(project, "ui", "--write"))


def _alias(project: Path) -> str | None:
    found = corrida.Store(project / "runs").aliases().get("production")
    return None if found is None else found.run


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_promoted_against_the_rules_and_demoted(project: Path, served, window, scripts: bool) -> None:
    one = window(served(project, "ui", "--write"), java_script_enabled=scripts)
    page = one.page
    one.open("/runs/run_rules_1.2")
    page.get_by_role("link", name="Promote …").click()
    page.get_by_label("Why").fill("the first that passes")
    page.get_by_role("button", name="Promote as @production").click()
    page.wait_for_url("**/aliases?**")
    expect(page.get_by_role("status").first).to_contain_text("run_rules_1.2")
    assert _alias(project) == "run_rules_1.2"

    one.open("/runs/run_rules_1.1/promote")
    expect(
        page.locator(".part", has=page.get_by_role("heading", name="The rules of the project"))
    ).to_contain_text("f1")
    page.get_by_role("button", name="against the rules").click()  # the reason and the tick are asked for
    assert "/promote" in page.url
    page.get_by_label("Why").fill("the new one is too slow")
    page.get_by_label("against the rules; what they said").check()
    page.get_by_role("button", name="against the rules").click()
    page.wait_for_url("**/aliases?**")
    assert _alias(project) == "run_rules_1.1"
    history = page.get_by_role("region", name="History of the aliases").get_by_role("row")
    expect(history.nth(1)).to_contain_text("the new one is too slow")

    page.get_by_text("Demote …").first.click()
    page.get_by_label("Why").fill("back again")
    page.get_by_role("button", name="Demote @production").click()
    expect(page.get_by_role("status").first).to_contain_text("run_rules_1.2")
    assert _alias(project) == "run_rules_1.2"
    page.reload()
    assert _alias(project) == "run_rules_1.2"
    corrida.Store(project / "runs").demote("production")


def test_restored_after_a_look_and_taken_back(project: Path, writing: Window) -> None:
    page, rules = writing.page, project / RULES
    before = rules.read_bytes()
    writing.open("/runs/run_rules_1.1")
    page.get_by_role("link", name="Restore its configs …").click()
    expect(page.get_by_role("heading", name="1 file would change")).to_be_visible()
    expect(page.locator(".explained")).to_contain_text(f"{RULES.with_suffix('')}: 1.2 → 1.1")
    assert rules.read_bytes() == before
    page.get_by_role("button", name="Restore 1 file").click()
    expect(page.get_by_role("status")).to_have_text(re.compile("restored 1 file from run_rules_1.1"))
    assert rules.read_bytes() == (project / "runs/run_rules_1.1" / RULES).read_bytes() != before
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status")).to_have_text(re.compile("took back"))
    assert rules.read_bytes() == before


def test_a_page_that_is_out_of_date_changes_nothing(project: Path, writing: Window) -> None:
    page = writing.page
    writing.open("/runs/run_rules_1.2/promote")
    store = corrida.Store(project / "runs")
    store.promote("run_rules_1.1")  # somebody else, meanwhile
    writing.refusals.add(409)
    page.get_by_role("button", name="Promote as @production").click()
    expect(page.get_by_role("alert")).to_contain_text("run_rules_1.1")
    assert _alias(project) == "run_rules_1.1"
    store.demote("production")


def test_without_the_flag_pages_say_the_command(demos: Callable[[str], Path], served, window) -> None:
    one = window(served(demos("verdicts")))
    for path, command in (
        ("/runs/food/promote", "corrida promote food @production"),
        ("/runs/food/restore", "corrida restore food"),
        ("/aliases", "corrida promote"),
    ):
        one.open(path)
        expect(one.page.locator("main")).to_contain_text(command)
        expect(one.page.locator("form[method=post]")).to_have_count(0)

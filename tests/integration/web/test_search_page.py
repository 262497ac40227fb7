"""What a search leads to, on real runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import corrida

if TYPE_CHECKING:
    from starlette.testclient import TestClient
    from tests.conftest import CommandLine, Toy


@pytest.fixture
def runs(project: Path) -> None:
    del project
    for name, said in (("first", "Straße and Ñandú"), ("second", "100 % of <b>it</b>"), ("third", "")):
        with corrida.start_run(
            pipeline="code", run_tag=name, description=said or None, tags={"team": f"{name} squad"},
            params={"model": {"kind": f"lasso-{name}"}, "quote": 'a "b"'},
        ) as run:  # fmt: skip
            run.log_items([{"item_id": f"T{n:03d}", "output": "x"} for n in range(30)])
            (Path(run.dir) / "weights_of_it.txt").write_text(name, encoding="utf-8")


def _found(page: str) -> list[str]:
    section = page.partition('id="found-runs"')[2].partition("</section>")[0]
    return re.findall(r'<tr data-href="/runs/([^"]+)"', section)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("straße", ["run_first"]),
        ("ñandú STRA", ["run_first"]),
        ("100 %", ["run_second"]),
        ("<b>it</b>", ["run_second"]),
        ("squad", ["run_third", "run_second", "run_first"]),
        ("lasso-th", ["run_third"]),
        ("run_s", ["run_second"]),
        ('"b"', ["run_third", "run_second", "run_first"]),
        ("first squad", ["run_first"]),
        ("100_", []),
        ("squad nothing", []),
        ("\\", []),
    ],
)
def test_runs_are_found_by_what_they_say(
    pages: TestClient, runs: None, text: str, expected: list[str]
) -> None:
    del runs
    page = pages.get("/search", params={"q": text})
    assert page.status_code == 200
    assert _found(page.text) == expected
    assert "<b>it" not in page.text


def test_where_a_word_stands_is_said(pages: TestClient, runs: None) -> None:
    del runs
    page = pages.get("/search", params={"q": "lasso-second"})
    assert '<span class="quiet">params.model.kind</span> lasso-second' in page.text


def test_notes_that_were_added_count(pages: TestClient, runs: None) -> None:
    del runs
    corrida.Store("runs").note("run_third", "to be promoted after the holidays")
    assert _found(pages.get("/search?q=holidays").text) == ["run_third"]


def test_items_and_files_are_found_by_name(pages: TestClient, runs: None) -> None:
    del runs
    items = pages.get("/search?q=t01")
    assert items.text.count('href="/items/T01') == 10
    files = pages.get("/search?q=WEIGHTS")
    assert "/runs/run_third/view/weights_of_it.txt" in files.text
    assert "and 2 others" in files.text


def test_configuration_files_are_found_by_name(pages: TestClient, toy: Toy, corrida: CommandLine) -> None:
    del toy
    corrida("run", "jobs", "--run-id", "first")
    page = pages.get("/search?q=rules.json")
    assert _found(page.text) == ["first"]
    assert "/runs/first/view/config/" in page.text


@pytest.mark.parametrize("text", ["run_second", "@production", "latest~1"])
def test_what_names_a_run_leads_there(pages: TestClient, runs: None, text: str) -> None:
    del runs
    corrida.Store("runs").promote("run_second")
    answer = pages.get("/search", params={"q": text})
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs/run_second")


def test_a_reference_that_leads_nowhere_is_explained(pages: TestClient, runs: None) -> None:
    del runs
    page = pages.get("/search?q=@nothing")
    assert page.status_code == 200
    assert 'role="alert"' in page.text
    assert "nothing" in page.text


def test_nothing_is_asked_and_nothing_is_found(pages: TestClient, runs: None) -> None:
    del runs
    assert "the beginning of a run" in pages.get("/search").text
    assert "Nothing holds this" in pages.get("/search?q=zzzz").text

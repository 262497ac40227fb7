"""The history of an item as a page, on real runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import corrida

if TYPE_CHECKING:
    from starlette.testclient import TestClient


def _run(
    name: str, output: str | None, *, pipeline: str = "code", item_id: str = "T/1 é", **options: Any
) -> None:
    with corrida.start_run(pipeline=pipeline, run_tag=name, **options) as run:
        run.log_items([{"item_id": item_id, "text": "a cook", "output": output, "expected": "C",
                        "correct": output == "C"}])  # fmt: skip


def test_each_run_is_a_dot_and_changes_are_told(pages: TestClient) -> None:
    _run("a", "B", params={"threshold": 0.5})
    _run("b", "B", params={"threshold": 0.5})
    _run("c", "C", params={"threshold": 0.7})
    page = pages.get("/items/T%2F1%20%C3%A9?pipeline=code")
    assert page.status_code == 200
    dots = re.findall(r'<li class="([^"]+)"><a href="/runs/(\w+)"', page.text)
    assert dots == [("wrong", "run_a"), ("wrong", "run_b"), ("right turns", "run_c")]
    assert "right since run_c: right in 1 of 3 runs" in page.text
    assert "threshold 0.5 → 0.7" in page.text
    assert "/compare?run=run_b&amp;run=run_c" in page.text
    assert "a cook" in page.text


def test_an_unknown_item_says_which_look_like_it(pages: TestClient) -> None:
    _run("a", "B", item_id="T077")
    page = pages.get("/items/T078")
    assert page.status_code == 404
    assert "did you mean T077?" in page.text


def test_ids_that_a_browser_takes_for_a_step_are_reached(pages: TestClient) -> None:
    _run("a", "B", item_id="..")
    assert pages.get("/items?id=..&pipeline=code").status_code == 200


def test_only_the_newest_runs_are_looked_at_and_that_is_said(pages: TestClient) -> None:
    for name in "abc":
        _run(name, "B", item_id="T1")
    page = pages.get("/items/T1?newest=2")
    assert "Of the newest 2 runs" in page.text
    assert "2 runs of code" in page.text
    assert "newest=20" in page.text
    assert "Of the newest" not in pages.get("/items/T1").text


def test_answers_that_change_without_a_reason(pages: TestClient) -> None:
    _run("a", "B", item_id="T1", seed=1)
    _run("b", "C", item_id="T1", seed=2)
    page = pages.get("/items?flaky=1&pipeline=code")
    assert page.status_code == 200
    assert "2 runs that were given the same (run_a, run_b); their seeds differ" in page.text
    assert 'href="/items/T1?pipeline=code"' in page.text
    assert "50 %" in page.text
    assert pages.get("/items?flaky=1&pipeline=nothing").status_code == 400
    assert pages.get("/items").status_code == 200


def test_one_run_cannot_tell_what_is_stable(pages: TestClient) -> None:
    _run("a", "B", item_id="T1")
    page = pages.get("/items?flaky=1")
    assert "no two finished runs with items were given the same" in page.text


def test_without_runs_the_page_says_the_next_command(pages: TestClient) -> None:
    assert "corrida demo" in pages.get("/items").text

"""The items of a run, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

import corrida

if TYPE_CHECKING:
    from starlette.testclient import TestClient


@pytest.fixture
def items(project: object) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "item_id": [f"i/{n}" for n in range(250)],
            "text": [f"<b>text {n}</b>" for n in range(250)],
            "output": ["a" if n % 5 else "b" for n in range(250)],
            "expected": ["a"] * 250,
            "correct": [bool(n % 5) for n in range(250)],
            "score": [n / 250 for n in range(250)],
            "found": [[{"rank": n}] for n in range(250)],
        }
    )
    with corrida.start_run(pipeline="match", run_tag="m") as run:
        run.log_items(frame)
    return frame


def test_items_have_pages_and_an_order(pages: TestClient, items: pl.DataFrame) -> None:
    first = pages.get("/runs/run_m/items")
    assert "1–100 of 250" in first.text
    assert "&lt;b&gt;text 0" in first.text
    assert "/items/i%2F0" in first.text
    assert "201–250 of 250" in pages.get("/runs/run_m/items?page=3").text
    ordered = pages.get("/runs/run_m/items?sort=-score").text
    assert ordered.index("i/249") < ordered.index("i/248")
    assert 'aria-sort="descending"' in ordered


def test_items_are_filtered_as_on_the_command_line(pages: TestClient, items: pl.DataFrame) -> None:
    page = pages.get("/runs/run_m/items", params={"filter": "score > 0.5 AND output = 'b'"}).text
    assert "1–24 of 24 that fit, of 250 in all" in page
    assert "1–50 of 50 that fit" in pages.get("/runs/run_m/items?wrong=1").text
    assert "No item fits" in pages.get("/runs/run_m/items?filter=score > 9").text


@pytest.mark.parametrize(
    "query", ["filter=nonsense(", "filter=zzz = 1", "filter=score", "sort=zzz", "sort=-loss"]
)
def test_a_filter_that_cannot_be_used_gives_a_sentence(
    pages: TestClient, items: pl.DataFrame, query: str
) -> None:
    answer = pages.get(f"/runs/run_m/items?{query}")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


def test_an_item_opens_whole(pages: TestClient, items: pl.DataFrame) -> None:
    page = pages.get("/runs/run_m/items?item=i/7").text
    assert "rank" in page
    assert "Its history over runs" in page
    assert "no such item" in pages.get("/runs/run_m/items?item=zzz").text


def test_a_run_without_items(pages: TestClient, project: object) -> None:
    with corrida.start_run(pipeline="match", run_tag="none") as run:
        run.log_metrics({"f1": 1.0})
    assert "logged no item" in pages.get("/runs/run_none/items").text

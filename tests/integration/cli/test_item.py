"""``corrida item`` and the questions of ``corrida items``."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def runs(toy: Any, corrida: Any) -> None:
    corrida("run", "jobs", "--run-id", "one")
    toy.rules(
        "1.2", [{"id": "R1", "word": "a ", "answer": "C"}, {"id": "R2", "word": "baker", "answer": "B"}]
    )
    corrida("run", "jobs", "--run-id", "two")
    toy.rules(
        "1.3", [{"id": "R2", "word": "baker", "answer": "B"}, {"id": "R1", "word": "a ", "answer": "C"}]
    )
    corrida("run", "jobs", "--run-id", "three")


@pytest.mark.usefixtures("runs")
def test_the_history_of_an_item(corrida: Any) -> None:
    said = corrida("item", "2").out
    assert "2 in 3 runs of jobs" in said
    assert "text: a baker" in said
    assert "right since three: right in 1 of 3 runs" in said
    assert "rules: 1.2 → 1.3 (order of 1 rule changed)" in said
    (history,) = corrida("item", "2", "--json").json
    assert history["sentence"] == "right since three: right in 1 of 3 runs"
    assert [s["first"] for s in history["stretches"]] == ["one", "three"]


@pytest.mark.usefixtures("runs")
def test_it_is_readable_in_a_narrow_and_a_wide_terminal(corrida: Any) -> None:
    for width in (80, 140):
        shown = corrida.terminal(width, "item", "2")
        assert "right since three" in shown
        assert max(map(len, shown.splitlines())) <= width


@pytest.mark.usefixtures("runs")
def test_what_cannot_be_found_is_said_in_a_sentence(corrida: Any) -> None:
    assert "no run has the item 'none'" in corrida.refuses("item", "none")
    assert "no run that fits has items" in corrida.refuses("item", "2", "--pipeline", "other")
    assert "names a column that is not there; there are item_id" in corrida.refuses(
        "items", "--where", "scor > 1"
    )
    assert "cannot be used" in corrida.refuses("items", "--where", "score >")
    assert "cannot be used" in corrida.refuses("items", "--where", "")
    assert "--flaky goes with" in corrida.refuses("items", "--flaky", "--wrong")


@pytest.mark.usefixtures("runs")
def test_items_by_a_condition(corrida: Any) -> None:
    rows = corrida("items", "three", "--where", "output = 'B' AND correct", "--json").json
    assert [row["item_id"] for row in rows] == ["2"]
    rows = corrida("items", "three", "--wrong", "--where", "text LIKE '%waiter'", "--json").json
    assert [row["item_id"] for row in rows] == ["3"]


@pytest.mark.usefixtures("runs")
def test_flaky_items(corrida: Any, toy: Any) -> None:
    assert "no two finished runs with items were given the same" in corrida("items", "--flaky").err
    corrida("run", "jobs", "--run-id", "four")
    assert "every item has the same answer in all of them" in corrida("items", "--flaky").out
    source = toy.root / "toy_pipeline.py"
    text = source.read_text(encoding="utf-8")
    source.write_text(
        text.replace("output = next(", "output = 'Z' if row['id'] == '4' else next("), encoding="utf-8"
    )
    assert corrida.process("run", "jobs", "--run-id", "five").returncode == 0
    found = corrida("items", "--flaky", "--json").json
    assert found["runs"] == {"1": ["three", "four", "five"]}
    assert [row["item_id"] for row in found["items"]] == ["4"]
    shown = corrida("items", "three", "--flaky").out
    assert "3 runs that were given the same" in shown

"""What became of an item over runs, on runs that were really written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import corrida
from corrida.analysis.item_history import flaky_items, item_history


def write_run(
    folder: Path,
    run_id: str,
    rules: dict[str, Any],
    rows: Any,
    *,
    seed: int | None = None,
    pipeline: str = "jobs",
) -> None:
    (folder / "rules.json").write_text(json.dumps(rules), encoding="utf-8")
    with corrida.start_run(run_id=run_id, pipeline=pipeline, configs=["rules.json"], seed=seed) as run:
        run.log_items(rows)


def row(item: str, output: str | None, expected: str | None = "C", **more: Any) -> dict[str, Any]:
    correct = None if expected is None else output == expected
    return {"item_id": item, "title": f"título {item}", "output": output, "expected": expected,
            "correct": correct, **more}  # fmt: skip


@pytest.fixture
def store(project: Path) -> corrida.Store:
    one = {"version": "1.0", "rules": [{"id": "R1", "word": "a"}]}
    two = {"version": "1.1", "rules": [{"id": "R1", "word": "a"}, {"id": "R2", "word": "厨"}]}
    write_run(project, "first", one, [row("1", "C"), row("2", "X"), row("3", None)])
    write_run(project, "second", one, [row("1", "C"), row("2", "Y"), row("3", None)], seed=2)
    write_run(project, "third", two, [row("1", "B"), row("2", "C")], seed=2)
    write_run(project, "other", one, [row("1", "C")], pipeline="else")
    return corrida.Store("runs")


def test_an_answer_is_followed_with_what_changed(store: corrida.Store) -> None:
    jobs, other = item_history(store.runs(), "1").histories
    assert (jobs.pipeline, jobs.runs, jobs.right, jobs.wrong, jobs.without) == ("jobs", 3, 2, 1, 0)
    assert [(s.first, s.last, s.runs, s.output, s.correct) for s in jobs.stretches] == [
        ("first", "second", 2, "C", True),
        ("third", "third", 1, "B", False),
    ]
    assert jobs.stretches[0].changes == ()
    assert jobs.stretches[1].changes == ("rules: 1.0 → 1.1 (+1 rule R2)",)
    assert jobs.sentence() == "wrong since third: right in 2 of 3 runs"
    assert jobs.about == {"title": "título 1"}
    assert other.sentence() == "right from the first run on: right in 1 of 1 run"


def test_runs_without_the_item_are_counted_and_an_abstention_is_an_answer(store: corrida.Store) -> None:
    (history,) = item_history(store.runs(pipeline="jobs"), "3").histories
    assert (history.runs, history.without) == (2, 1)
    assert [s.output for s in history.stretches] == [None]


def test_only_the_seed_differs(store: corrida.Store) -> None:
    (history,) = item_history(store.runs(pipeline="jobs"), "2").histories
    assert history.stretches[1].changes == ("seed – → 2",)


def test_tables_of_other_types_and_columns_are_read_as_one(project: Path) -> None:
    rules = {"version": "1"}
    write_run(project, "text", rules, [{"item_id": "7", "output": "5"}])
    write_run(project, "number", rules, pl.DataFrame({"item_id": [7], "output": [5], "correct": [True]}))
    write_run(project, "list", rules, pl.DataFrame({"item_id": ["7"], "output": [["a", "b"]]}))
    (history,) = item_history(corrida.Store("runs").runs(), "7").histories
    assert [s.output for s in history.stretches] == ["5", "5", "['a', 'b']"]
    assert [s.correct for s in history.stretches] == [None, True, None]


def test_a_damaged_table_is_named_and_the_others_answer(store: corrida.Store) -> None:
    (store.root / "first" / "items.parquet").write_bytes(b"PAR1 no more")
    found = item_history(store.runs(pipeline="jobs"), "1")
    assert list(found.damaged) == ["first"]
    assert found.histories[0].runs == 2


def test_a_killed_run_counts_with_what_it_had_logged(store: corrida.Store, project: Path) -> None:
    import subprocess
    import sys

    code = (
        "import corrida, os, signal\n"
        "run = corrida.start_run(run_id='killed', pipeline='jobs', configs=['rules.json'])\n"
        "run.log_items([{'item_id': '1', 'output': 'Z', 'expected': 'C', 'correct': False}])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=project, check=False)
    (history,) = item_history(store.runs(pipeline="jobs"), "1").histories
    assert history.stretches[-1].output == "Z"
    assert history.stretches[-1].first == "killed"


def test_flaky_items_are_those_that_change_under_the_same_configuration(store: corrida.Store) -> None:
    found = flaky_items(store.runs(status="finished"))
    assert found.groups == [["first", "second"]]
    assert found.seeds == [True]
    (flaky,) = found.frame.to_dicts()
    assert (flaky["item_id"], flaky["runs"], flaky["answers"], flaky["agreement"]) == ("2", 2, 2, 0.5)
    assert flaky["right"] == 0.0


def test_flaky_items_of_runs_like_one(store: corrida.Store, project: Path) -> None:
    two = {"version": "1.1", "rules": [{"id": "R1", "word": "a"}, {"id": "R2", "word": "厨"}]}
    write_run(project, "fourth", two, [row("1", "B"), row("2", None)], seed=2)
    found = flaky_items(store.runs(status="finished"), alike_to=store.get("third"))
    assert found.groups == [["third", "fourth"]]
    assert found.frame["item_id"].to_list() == ["2"]
    assert found.frame["answers"].to_list() == [2]  # an abstention is an answer


def test_without_outputs_right_and_wrong_is_the_answer(project: Path) -> None:
    for name, right in (("a", True), ("b", False)):
        write_run(project, name, {"version": "1"}, [{"item_id": "1", "correct": right}])
    found = flaky_items(corrida.Store("runs").runs())
    assert found.frame["item_id"].to_list() == ["1"]


def test_nothing_to_look_at(project: Path) -> None:
    assert item_history([], "1").histories == []
    assert flaky_items([]).frame.is_empty()


def test_it_is_public(store: corrida.Store) -> None:
    assert [h.pipeline for h in corrida.item_history("2", store=store)] == ["jobs"]
    assert corrida.item_history("none", store=store) == []

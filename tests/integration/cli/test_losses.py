"""Runs whose items have losses, and lists of runs that lack some columns, on the command line."""

from __future__ import annotations

import json

import pytest

import corrida as package
from corrida.runs.run_file import Column
from corrida.runs.writer import RunSpec, RunWriter


@pytest.fixture
def forecasts(project):
    """Two runs of forecasts: one series got worse, one better, one has no loss."""
    for name, losses in (("a", (0.5, 0.25, None)), ("b", (0.75, 0.125, None))):
        with package.start_run(
            run_id=name, pipeline="f", params={"models": name}, primary_metric="mase", direction="min"
        ) as run:
            run.log_metrics({"mase": sum(loss or 0 for loss in losses) / 2})
            run.log_items([{"item_id": f"s{n}", "loss": loss} for n, loss in enumerate(losses)])
    return project


@pytest.fixture
def regression(project):
    with package.start_run(run_id="r", pipeline="r") as run:
        rows = [("x", 11.020406685308505, 12.2), ("y", 9.0, 9.0), ("ñ", 30.5, 20.25)]
        run.log_items([{"item_id": i, "output": y, "expected": t, "loss": (y - t) ** 2} for i, y, t in rows])
    return project


@pytest.mark.parametrize("width", [80, 140])
def test_a_comparison_fits_the_terminal(forecasts, corrida, width):
    shown = corrida.terminal(width, "compare")
    assert "1 better, 1 worse by loss of 3 shared items" in shown
    assert ["worse", "s0", "0.5", "0.75", "+0.25"] in [line.split() for line in shown.splitlines()]
    assert max(len(line) for line in shown.splitlines()) <= width


def test_a_report_has_the_losses(forecasts, corrida):
    corrida("report", "--to", "there")
    assert "s0" in (forecasts / "there" / "report.md").read_text(encoding="utf-8")
    assert (forecasts / "there" / "assets" / "losses.png").stat().st_size > 1000
    assert "better, 1 worse by loss" in (forecasts / "there" / "report.html").read_text(encoding="utf-8")


def test_the_worst_items_first(forecasts, regression, corrida):
    rows = corrida("items", "a", "--worst", "--json").json
    assert [row["item_id"] for row in rows] == ["s0", "s1", "s2"]
    assert [r["item_id"] for r in corrida("items", "r", "--worst", "-n", 2, "--json").json] == ["ñ", "x"]
    assert [r["item_id"] for r in corrida("items", "r", "--worst", "--where", "loss < 2", "--json").json] == [
        "x",
        "y",
    ]
    with package.start_run(run_id="plain", pipeline="p") as run:
        run.log_items([{"item_id": "1", "output": "x"}])
    assert "have no loss" in corrida.refuses("items", "plain", "--worst")


def test_a_regression_has_nothing_wrong_and_six_digits(regression, corrida):
    assert "--worst puts the greatest loss first" in corrida.refuses("items", "--wrong")
    assert "--worst puts the greatest loss first" in corrida.refuses("items", "--wrong", "--id", "y")
    out = corrida("items").out
    assert "11.0204 " in out
    assert "11.02040" not in out
    assert corrida("items", "--json").json[0]["output"] == 11.020406685308505


def test_forecasts_do_not_say_what_is_wrong(forecasts, corrida):
    assert "no column correct" in (said := corrida.refuses("items", "--wrong"))
    assert "--worst" in said


def test_an_item_is_told_by_its_loss(forecasts, corrida):
    shown = corrida("item", "s0").out
    assert "loss 0.75; it was 0.5 in a, the least of 2 runs" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["first", "run", "since", "runs", "loss", "what", "changed"] in lines
    assert "models a → b" in shown
    assert "loss 0.125, the least of 2 runs" in corrida("item", "s1").out


def test_the_models_of_a_search_are_no_steps_in_the_history_of_an_item(project, corrida):
    for name in ("one", "two"):
        for run_id, parent, tags in ((name, None, {}), (f"{name}-m", name, {"child": "m"})):
            with package.start_run(run_id=run_id, parent=parent, tags=tags, pipeline="s") as run:
                run.log_items([{"item_id": "x", "output": run_id, "expected": "y"}])
    (history,) = corrida("item", "x", "--json").json
    assert [s["first"] for s in history["stretches"]] == ["one", "two"]
    (history,) = corrida("item", "x", "--json", "--filter", "tags.child = 'm'").json
    assert [s["first"] for s in history["stretches"]] == ["one-m", "two-m"]


@pytest.fixture
def search(project):
    """Make runs of a pipeline with columns of its own."""
    columns = (
        Column("R²", "metrics.test_r2"),
        Column("accuracy", "metrics.test_accuracy"),
        Column("has", "has"),
    )

    def search(run_id, **metrics):
        spec = RunSpec(pipeline="search", root=project, run_id=run_id, columns=columns)
        with RunWriter(project / "runs", spec) as run:
            run.log_metrics(metrics)

    return search


def test_columns_that_no_run_has_are_left_out(search, corrida):
    search("first", test_r2=0.5)
    search("second", test_r2=0.25)
    assert corrida("list").out.splitlines()[0].split() == ["id", "status", "created", "R²"]
    asked = corrida("list", "--columns", "id,metrics.test_accuracy").out.splitlines()
    assert [line.split() for line in asked] == [["id", "test_accuracy"], ["second", "–"], ["first", "–"]]
    search("third", test_accuracy=0.0)
    rows = [line.split() for line in corrida("list").out.splitlines()]
    assert rows[0] == ["id", "status", "created", "R²", "accuracy"]
    assert [row[-2:] for row in rows[1:]] == [["–", "0"], ["0.25", "–"], ["0.5", "–"]]


def test_a_narrow_list_keeps_what_came_out(search, corrida):
    search("a_run_with_a_rather_long_name_of_its_own", test_r2=0.5)
    assert "0.5" in corrida.terminal(60, "list")
    assert json.loads(corrida("list", "--json").out)[0]["metrics"] == {"test_r2": 0.5}

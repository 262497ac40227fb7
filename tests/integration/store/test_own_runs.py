"""What ``latest`` means where runs have parts: models of a search, reruns, hybrids, runs under a command."""

from __future__ import annotations

import sys

import pytest

import corrida as package
from corrida.errors import RunNotFound


@pytest.fixture
def make(project):
    """Make a finished run, and return its record."""

    def make(run_id, parent=None, pipeline="search", *, status="finished", **tags):
        with package.start_run(run_id=run_id, pipeline=pipeline, parent=parent, tags=tags) as run:
            run.log_metrics({"loss": 1.0})
            if status == "failed":
                run.fail("stopped")
        return package.Store("runs").get(run_id)

    return make


@pytest.fixture
def searches(make):
    """Two searches with two models each."""
    for name in ("first", "second"):
        make(name)
        for model in ("ridge", "lasso"):
            make(f"{name}-{model}", name, child=model)
    return package.Store("runs")


def test_the_models_of_a_search_are_nobodys_latest_work(searches):
    assert [searches.resolve(r) for r in ("latest", "latest~1")] == ["second", "first"]
    assert searches.resolve("latest", pipeline="search") == "second"
    with pytest.raises(
        RunNotFound, match="the store has 2 finished runs in runs, parts of others not counted"
    ):
        searches.resolve("latest~2")


def test_what_a_run_is_compared_with(searches, make):
    def before(run_id):
        found = searches.before(searches.get(run_id))
        return found and found.id

    assert before("second") == "first"
    assert before("first") is None
    assert before("second-lasso") == "first-lasso"  # the same model of the search before
    assert before("first-lasso") is None
    make("second-rerun", "second", replay="rerun")
    assert before("second-rerun") == "second"
    make("second-rerun-ridge", "second-rerun", child="ridge")
    assert searches.resolve("latest") == "second"
    make("third")
    assert before("third") == "second"


def test_a_part_whose_parent_is_gone_is_a_run_of_its_own(searches):
    searches.remove(["second"])
    searches.bring_back(["second-lasso"])
    assert searches.resolve("latest") == "second-lasso"
    searches.bring_back(["second"])
    assert searches.resolve("latest") == "second"


def test_parts_of_a_search_that_failed_do_not_stand_for_it(searches, make):
    make("broken", status="failed")
    make("broken-ridge", "broken", child="ridge")
    assert searches.resolve("latest") == "second"


def test_runs_started_with_a_parent_are_parts_and_those_of_another_pipeline_count_where_asked_for(
    make, project
):
    make("nightly", pipeline="nightly")
    make("step", "nightly", "training")
    store = package.Store("runs")
    assert store.resolve("latest") == "nightly"
    assert store.resolve("latest", pipeline="training") == "step"
    make("fold", "step", "training")
    assert store.resolve("latest", pipeline="training") == "step"


def test_a_run_that_names_itself_as_parent_is_found(make):
    make("itself", "itself")
    assert package.Store("runs").resolve("latest") == "itself"


def test_what_a_command_starts_counts_and_its_own_empty_run_does_not(project, corrida):
    (project / "train.py").write_text(
        "import sys, corrida\n"
        "with corrida.start_run(run_id=sys.argv[1]) as run:\n    run.log_metrics({'loss': 1.0})\n",
        encoding="utf-8",
    )
    for number in (1, 2):
        command = (sys.executable, "train.py", f"inner{number}")
        corrida("exec", "--run-id", f"outer{number}", "--", *command)
    store = package.Store("runs")
    assert [store.resolve(r) for r in ("latest", "latest~1")] == ["inner2", "inner1"]
    found = corrida("compare", "--json").json
    assert (found["a"], found["b"]) == ("inner1", "inner2")
    with pytest.raises(RunNotFound):
        store.resolve("latest~2")


def test_many_parts_are_passed_over(make, project):
    make("whole")
    for number in range(20):  # more than the first step looks at
        make(f"part{number}", "whole")
    assert package.Store("runs").resolve("latest") == "whole"


def test_commands_go_by_it(searches, corrida):
    assert corrida("show", "--json").json["id"] == "second"
    found = corrida("compare", "--json").json
    assert (found["a"], found["b"]) == ("first", "second")
    assert "first-ridge → second-ridge" in corrida("compare", "second-ridge").out
    assert "no ridge of another search finished before first-ridge" in corrida.refuses(
        "compare", "first-ridge"
    )


def test_list_has_a_line_for_each_search_however_many_models_there_are(searches, corrida):
    assert [line.split()[:2] for line in corrida("list").out.splitlines()[1:]] == [
        ["second", "(+2)"], ["first", "(+2)"]
    ]  # fmt: skip
    cut = corrida("list", "-n", "1").out.splitlines()
    assert cut[1].split()[:2] == ["second", "(+2)"]
    assert "3 more; --all shows every run" in cut[2]
    assert len(corrida("list", "--all").out.splitlines()) == 7
    assert len(corrida("list", "--json").json) == 6
    alone = corrida("list", "--filter", "parent = 'first'").out
    assert alone.count("first-") == 2
    assert "there are runs of search, none of weather" in corrida("list", "--pipeline", "weather").err

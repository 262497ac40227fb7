"""The verdict says when two values are not of the same work."""

from __future__ import annotations

import pytest

import corrida


@pytest.fixture
def run(project):
    def make(run_id, answers, pipeline="jobs", expected="x"):
        with corrida.start_run(run_id=run_id, pipeline=pipeline, primary_metric="f1") as run:
            run.log_items([{"item_id": i, "output": o, "expected": expected} for i, o in answers.items()])
            run.log_metrics({"f1": sum(o == "x" for o in answers.values()) / len(answers)})

    return make


def _cautions(a="a", b="b"):
    return corrida.compare(a, b).verdict.cautions


def test_the_same_work_needs_no_caution(run):
    run("a", {"1": "x", "2": "y"})
    run("b", {"1": "x", "2": "x"})
    assert _cautions() == ()


def test_other_items_are_said_with_the_verdict(run):
    run("a", {"1": "x", "2": "y"})
    run("b", {"1": "x", "3": "x", "4": "x"})
    assert "1 shared, 1 only in A, 2 only in B" in _cautions()[0]
    text = str(corrida.compare("a", "b"))
    assert text.index("not the same items") < text.index("Configs")
    assert "not the same items" in corrida.compare("a", "b").to_json()["verdict"]["cautions"][0]


def test_another_truth_and_another_pipeline_are_said(run):
    run("a", {"1": "x"})
    run("b", {"1": "x"}, pipeline="others", expected="y")
    assert [c.split(":")[0] for c in _cautions()] == ["not the same work", "not the same truth"]


@pytest.mark.parametrize("wrong", ["maximize", "", 1])
def test_a_direction_is_checked_before_the_work(project, wrong):
    with pytest.raises(corrida.errors.BadInput, match="'max'"):
        corrida.start_run(primary_metric="f1", direction=wrong)
    with pytest.raises(corrida.errors.BadInput, match="'max'"):
        corrida.start_run(directions={"x": wrong})
    assert list(corrida.Store("runs")) == []


@pytest.mark.parametrize("name", ["params", "tags", "directions"])
def test_what_must_be_a_mapping_is_checked(project, name):
    with pytest.raises(corrida.errors.BadInput, match=f"{name} must be a mapping"):
        corrida.start_run(**{name: ["a"]})


def test_an_id_and_a_tag_exclude_each_other(project):
    with pytest.raises(corrida.errors.BadInput, match="one of them"):
        corrida.start_run(run_id="a", run_tag="b")


def test_directions_of_other_metrics(project):
    for value in (1, 2):
        with corrida.start_run(pipeline="p", directions={"speed*": "min"}) as run:
            run.log_metrics({"speed.x": value})
    (metric,) = corrida.compare("latest~1", "latest").metrics
    assert metric.direction == "min"
    assert metric.better is False

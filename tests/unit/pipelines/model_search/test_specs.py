"""Specs, parameter spaces and the catalogue."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

from corrida.errors import InvalidConfig, MissingExtra
from corrida.pipelines.model_search.catalogue import available_specs, find_specs
from corrida.pipelines.model_search.distributions import (
    Choice,
    IntUniform,
    LogUniform,
    Uniform,
    all_candidates,
    space_size,
)
from corrida.pipelines.model_search.search import Problem
from corrida.pipelines.model_search.search.random import random_candidates
from corrida.pipelines.model_search.specs import ModelSpec


def test_the_catalogue_has_what_it_says():
    regression = available_specs(include_optional=True)
    assert {"linear", "linear_predictive", "lasso", "ridge", "elastic_net", "random_forest"} <= set(
        regression
    )
    assert {"extra_trees", "gradient_boosting", "hist_gradient_boosting", "xgboost", "lightgbm"} <= set(
        regression
    )
    without = available_specs(include_optional=False)
    assert set(regression) - set(without) == {"xgboost", "lightgbm"}
    assert next(iter(available_specs(task="classification"))) == "linear"


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_the_defaults_of_every_model_lie_in_its_space(task):
    for name, spec in available_specs(task=task).items():
        params = spec.build().get_params()
        assert all(entry.holds(params[key]) for key, entry in spec.space.items()), name


def test_names_are_found_and_others_get_the_nearest():
    assert [s.name for s in find_specs(["logistic", "knn"], "classification")] == ["linear", "knn"]
    for names, said in [
        (["rigde"], "no model 'rigde' for regression: .*ridge"),
        (["lasso", "lasso"], "named twice"),
        (["logistic"], "it is for classification"),
        (["lasso"], None),
        (["no_such_module:spec"], "cannot be loaded"),
    ]:
        if said:
            with pytest.raises(InvalidConfig, match=said):
                find_specs(names)
    with pytest.raises(InvalidConfig, match="it is for regression"):
        find_specs(["lasso"], "classification")


def test_a_model_of_the_project_is_named_by_module_and_object(tmp_path):
    (tmp_path / "my_specs_of_test.py").write_text(
        "from sklearn.svm import SVR\nfrom corrida.model_search import ModelSpec\n"
        "svr = ModelSpec('svr', SVR, space={'C': [1.0, 10.0]})\n"
        "def both():\n    return [svr, ModelSpec('svr2', SVR)]\nother = 3\n",
        encoding="utf-8",
    )
    try:
        assert [s.name for s in find_specs(["my_specs_of_test:svr"], root=tmp_path)] == ["svr"]
        assert [s.name for s in find_specs(["ridge", "my_specs_of_test:both"], root=tmp_path)] == [
            "ridge",
            "svr",
            "svr2",
        ]
        with pytest.raises(InvalidConfig, match="is a int; it must be a ModelSpec"):
            find_specs(["my_specs_of_test:other"], root=tmp_path)
    finally:
        sys.path.remove(str(tmp_path))


def test_a_model_whose_package_is_missing_is_said():
    spec = ModelSpec("far", object, packages=("no_such_package",))
    with pytest.raises(MissingExtra, match="the model far needs no_such_package"):
        spec.require()


def test_a_missing_package_is_said_before_anything_is_done(searched, recorder):
    spec = ModelSpec("far", object, packages=("no_such_package",))
    with pytest.raises(MissingExtra, match=r"corrida\[search\]"):
        searched([spec, "linear"], keep_in=recorder)
    assert not recorder.children


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "a/b"}, "cannot be called 'a/b'"),
        ({"build": 3}, "build is no function"),
        ({"task": "ranking"}, "the task 'ranking'"),
        ({"preprocessing": "all"}, "the preprocessing 'all'"),
        ({"space": {"a": 3}}, "the values of a are a int"),
        ({"space": {"a": []}}, "there is none"),
        ({"space": {"a": Uniform(2, 1)}}, "2 is more than 1"),
        ({"space": {"a": LogUniform(0, 1)}}, "above 0"),
        ({"space": {"a": Uniform(0, float("inf"))}}, "not finite"),
    ],
)
def test_specs_that_cannot_be_used_are_refused(given, said):
    with pytest.raises(InvalidConfig, match=said):
        ModelSpec(**{"name": "x", "build": object, **given})


def test_draws_stay_within_the_space():
    rng = np.random.default_rng(0)
    for entry in (Uniform(-1, 2), LogUniform(1e-5, 10), IntUniform(1, 9), IntUniform(1, 400, log=True)):
        drawn = [entry.sample(rng) for _ in range(500)]
        assert all(entry.holds(value) for value in drawn)
        assert len(set(drawn)) > 5
    small = sum(IntUniform(1, 100, log=True).sample(rng) <= 10 for _ in range(1000))
    assert 400 < small < 650


def test_candidates_are_different_and_a_longer_search_begins_as_a_shorter():
    space = {"a": IntUniform(1, 10), "b": Choice(("x", None, (1, 2)))}
    problem = Problem(space, {"a": 1, "b": "x"}, 28, 3)
    drawn = list(random_candidates(problem).values())
    assert drawn[0] == {"a": 1, "b": "x"}
    assert len({repr(one) for one in drawn}) == 28
    fewer = list(random_candidates(Problem(space, {"a": 1, "b": "x"}, 9, 3)).values())
    assert fewer == drawn[:9]
    outside = random_candidates(Problem(space, {"a": 11, "b": "x"}, 5, 3))
    assert {"a": 11, "b": "x"} not in outside.values()


def test_a_finite_space_can_be_gone_through():
    space = {"a": IntUniform(1, 3), "b": Choice(("x", "y")), "c": Uniform(2, 2)}
    assert space_size(space) == 6
    assert [tuple(one.values()) for one in all_candidates(space)] == list(
        itertools.product((1, 2, 3), "xy", (2,))
    )
    assert space_size({"a": Uniform(0, 1)}) == float("inf")

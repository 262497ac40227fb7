"""The configuration of a model search."""

from __future__ import annotations

import pytest

from corrida.errors import InvalidConfig
from corrida.pipelines.contract import ConfigFile
from corrida.pipelines.model_search.configure import configure


def test_files_and_overrides_are_merged_and_the_rest_has_defaults():
    file = ConfigFile("search.yaml", {"version": "1", "target": "high", "models": ["ridge"], "cv": 3})
    config = configure([file], {"models": "lasso, ridge", "n_iter": 4})
    assert (config.target, config.models, config.cv, config.n_iter) == ("high", ["lasso", "ridge"], 3, 4)
    assert (config.split, config.task, config.test_size) == ("auto", "auto", 0.2)


def test_columns_whose_names_are_numbers_are_names():
    config = configure([], {"target": 2019, "features": [2018, 2017], "test_from": "2020-01-01"})
    assert (config.target, config.features) == ("2019", ["2018", "2017"])


def test_the_seed_is_that_of_the_run_then_random_state_then_the_file():
    assert configure([], {"target": "y", "seed": 4}).used_seed(None) == 4
    assert configure([], {"target": "y", "seed": 4, "random_state": 5}).used_seed(None) == 5
    assert configure([], {"target": "y", "random_state": 5}).used_seed(6) == 6


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "no target is named"),
        ({"target": "y", "n_itr": 3}, "n_itr: there is no such setting. Did you mean 'n_iter'?"),
        ({"target": "y", "folds": 3}, "folds: there is no such setting. Did you mean 'cv'?"),
        (
            {"target": "y", "split": "tiem"},
            "split: 'tiem' is none of auto, time, group, stratified, random. Did you mean 'time'?",
        ),
        ({"target": "y", "cv": 1}, "cv: expected int >= 2."),
        ({"target": "y", "test_size": 1.5}, "test_size: expected float < 1.0."),
        ({"target": "y", "models": []}, "models: expected array of length >= 1."),
        ({"target": "y", "models": ["ridge", "ridge"]}, "models: ridge is named twice"),
        ({"target": "y", "split": "group"}, "--set group=COLUMN"),
        ({"target": "y", "features": ["y"]}, "'y' is the target; it cannot be learnt from"),
        ({"target": "y", "ignore": ["y"]}, "'y' is the target; take it out of ignore"),
        ({"target": "y", "date": "y"}, "'y' is also named as id, group or date"),
        ({"target": "y", "split": "random", "gap": 2}, "only a split by time has a gap"),
        ({"target": "y", "split": "random", "test_from": "2020"}, "only a split by time has a first time"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(settings, sentence):
    with pytest.raises(InvalidConfig) as caught:
        configure([], settings)
    assert sentence in str(caught.value)


def test_a_file_is_named_where_the_fault_is_in_it():
    file = ConfigFile("config/search.yaml", {"target": "y", "cv": "many"})
    with pytest.raises(InvalidConfig, match=r"config/search\.yaml: cv: expected int, got str"):
        configure([file], {})

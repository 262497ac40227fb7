"""From names to pipelines, and functions as pipelines."""

from __future__ import annotations

import pytest

from corrida.errors import InvalidConfig, PipelineNotFound
from corrida.pipelines.contract import ConfigFile, Data, Outcome
from corrida.pipelines.registry import FunctionPipeline, known_pipelines, load_pipeline, merge_configs


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda: None, {}),
        (lambda: {"a": 1}, {"a": 1}),
        (lambda data: {"files": len(data.files)}, {"files": 0}),
        (lambda data, config: {"t": config["t"]}, {"t": 2}),
        (lambda data, config, recorder: {"r": recorder}, {"r": 7}),
        (lambda data, config, recorder, more=3: {"more": more}, {"more": 3}),
        (lambda: Outcome(metrics={"o": 1}), {"o": 1}),
    ],
)
def test_functions_take_as_much_as_they_want(function, expected):
    outcome = FunctionPipeline("f", function).run(Data([]), {"t": 2}, 7)
    assert dict(outcome.metrics) == expected


def test_a_function_that_returns_something_else():
    with pytest.raises(TypeError, match="f returned int; return an Outcome"):
        FunctionPipeline("f", lambda: 5).run(Data([]), {}, None)


def test_configurations_are_merged_in_depth_and_stay_as_they_were():
    one = {"a": {"x": 1, "y": 1}, "list": [1, 2], "b": 1}
    two = {"a": {"y": 2}, "list": [3], "b": {"now": "an object"}}
    merged = merge_configs([ConfigFile("1.json", one), ConfigFile("2.json", two)], {"a.z.w": 3, "b.now": 4})
    assert merged == {"a": {"x": 1, "y": 2, "z": {"w": 3}}, "list": [3], "b": {"now": 4}}
    assert one == {"a": {"x": 1, "y": 1}, "list": [1, 2], "b": 1}
    assert two == {"a": {"y": 2}, "list": [3], "b": {"now": "an object"}}


@pytest.mark.parametrize("key", ["", ".", "a.", ".a", "a..b"])
def test_overrides_without_a_name(key):
    with pytest.raises(InvalidConfig, match="a name is missing"):
        merge_configs([], {key: 1})


def test_an_override_through_a_value():
    with pytest.raises(InvalidConfig, match="a holds a value"):
        merge_configs([ConfigFile("1.json", {"a": 1})], {"a.b": 1})
    with pytest.raises(InvalidConfig, match=r"1\.json is a list at its top"):
        merge_configs([ConfigFile("1.json", [])], {})


def test_names():
    assert load_pipeline("matching").name == "matching"
    assert "matching" in {k.name for k in known_pipelines()}
    with pytest.raises(PipelineNotFound, match="did you mean matching"):
        load_pipeline("matchin")

"""The configuration: every mistake is named with its file, its place and the mend."""

from __future__ import annotations

import re

import msgspec
import pytest

from corrida.errors import InvalidConfig
from corrida.pipelines.contract import ConfigFile
from corrida.pipelines.matching import pipeline


def refused(call, *said):
    with pytest.raises(InvalidConfig) as caught:
        call()
    for part in said:
        assert re.search(part, str(caught.value)), str(caught.value)


def test_files_are_known_by_their_keys(project, rule):
    project.rules, project.sectors = [rule()], {"incompatible": []}
    config = project.configure()
    assert config.files == {
        "general": "config/matching.json",
        "rules": "config/rules.json",
        "sectors": "config/sectors.json",
    }
    assert pipeline.data_files(config) == {
        "classification": "data/classification.csv",
        "index": "data/index.csv",
    }
    assert msgspec.to_builtins(config)["rules"]["rules"][0]["id"] == "R1"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], ["general settings"]),
        ([("a.json", [])], ["a.json", "object"]),
        ([("a.json", {"version": "1"})], ["a.json", "no part"]),
        ([("a.json", {"version": "1", "rulez": []})], ["a.json", "Did you mean 'rules'"]),
        ([("a.json", {"classification": "x", "rules": []})], ["a.json", "general and rules"]),
        ([("a.json", {"rules": []}), ("b.json", {"rules": []})], ["b.json", "a.json"]),
        (
            [("a.json", {"version": 1.0, "classification": "x"})],
            ["a.json: version: expected str, got float", "quotes"],
        ),
        ([("a.json", {"classification": "x"})], ["a.json: the key 'version' is missing"]),
        ([("a.json", {"version": "1", "classification": "x"})], ["a.json", "neither"]),
        (
            [("a.json", {"version": "1", "classification": "x", "index": "y", "treshold": 1})],
            ["a.json: unknown key 'treshold'", "Did you mean 'threshold'"],
        ),
        (
            [("a.json", {"version": "1", "classification": "x", "index": "y", "threshold": 1.5})],
            ["a.json: threshold: expected float <= 1.0"],
        ),
        (
            [
                (
                    "a.json",
                    {"version": "1", "classification": "x", "index": "y", "retrieval": {"candidate": 5}},
                )
            ],
            ["a.json: retrieval: unknown key 'candidate'", "Did you mean 'candidates'"],
        ),
        (
            [
                (
                    "a.json",
                    {
                        "version": "1",
                        "classification": "x",
                        "index": "y",
                        "retrieval": {"weights": {"title": 0, "spelling": 0, "sector": 0}},
                    },
                )
            ],
            ["a.json: retrieval.weights", "above 0"],
        ),
    ],
)
def test_bad_files(files, said):
    refused(lambda: pipeline.configure([ConfigFile(path, content) for path, content in files], {}), *said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"priority": "high"}, [r"config/rules.json: rules\[1\] \(R2\).priority: expected int, got str"]),
        ({"active": None}, [r"rules\[1\] \(R2\).active"]),
        ({"prioridad": 1}, [r"rules\[1\] \(R2\): unknown key 'prioridad'", "Known are: .*priority"]),
        ({"id": "R1"}, [r"rules\[1\] \(R1\).id: rules\[0\] has the id 'R1' too"]),
        ({"action": {"cod": "1"}}, [r"rules\[1\] \(R2\).action: unknown key 'cod'", "Did you mean 'code'"]),
        ({"action": {}}, [r"rules\[1\] \(R2\).action", "neither"]),
        ({"condition": {}}, [r"rules\[1\] \(R2\).condition", "empty"]),
        ({"condition": {"match": "word"}}, ["empty"]),
        ({"condition": {"title_contains_any": []}}, ["title_contains_any: the list is empty"]),
        ({"condition": {"title_contains_any": "porter"}}, ["expected a list of texts, got str"]),
        (
            {"condition": {"title_contains_any": ["a", 1]}},
            [r"title_contains_any\[1\]: expected text, got int"],
        ),
        ({"condition": {"title_contains_any": ["-?"]}}, [r"title_contains_any\[0\]: '-\?' holds no letter"]),
        ({"condition": {"title_contain_any": ["a"]}}, ["Did you mean 'title_contains_any'"]),
        ({"condition": {"_contains_any": ["a"]}}, ["unknown key"]),
        ({"condition": {"title_contains_any": ["a"], "match": "fuzzy"}}, ["condition.match", "fuzzy"]),
        (
            {"condition": {"title_contains_all": ["head chef"], "title_not_contains_any": ["CHEF"]}},
            ["never hold", "head chef"],
        ),
        (
            {"condition": {"title_contains_any": ["a b", "b"], "title_not_contains_any": ["b"]}},
            ["never hold"],
        ),
        (
            {"condition": {"title_contains_any": ["x"], "title_or_tasks_not_contains_any": ["x"]}},
            ["never hold"],
        ),
        ({"condition": {"title_is_any": ["chef"], "title_contains_all": ["head"]}}, ["never hold"]),
        ({"condition": {"sector": ["bank"], "sector_not_contains_any": ["bank"]}}, ["never hold"]),
    ],
)
def test_bad_rules(project, rule, change, said):
    project.rules = [rule(), {**rule("R2"), **change}]
    refused(project.configure, "config/rules.json", *said)


@pytest.mark.parametrize("key", ["active", "name", "priority", "condition", "action"])
def test_a_rule_without_a_key_is_not_silently_off(project, rule, key):
    broken = rule()
    del broken[key]
    project.rules = [broken]
    refused(project.configure, rf"config/rules.json: rules\[0\] \(R1\): the key '{key}' is missing")


@pytest.mark.parametrize(
    "condition",
    [
        {"title_contains_any": ["chef", "head cook"], "title_not_contains_any": ["chef"]},
        {"title_contains_any": ["chefs"], "title_not_contains_any": ["chef"]},
        {"title_contains_all": ["chef"], "tasks_not_contains_any": ["chef"]},
        {"title_or_tasks_contains_any": ["chef"], "title_not_contains_any": ["chef"]},
    ],
)
def test_conditions_that_can_hold_are_accepted(project, rule, condition):
    project.rules = [rule(condition=condition)]
    project.configure()


def test_sector_needs_its_column(project, rule):
    project.general = {**project.general, "columns": {"text": "title"}}
    project.rules = [rule(condition={"sector": ["bank"]})]
    refused(project.configure, "columns.sector is not set", '"sector": "industry"')
    project.rules, project.sectors = None, {"incompatible": []}
    refused(project.configure, "columns.sector is not set")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"id": "S1", "sectors": ["x"]}], [r"incompatible\[0\] \(S1\): the key 'codes' is missing"]),
        ([{"id": "S1", "sectors": [], "codes": ["2"]}], [r"incompatible\[0\] \(S1\).sectors"]),
        ([{"id": "S1", "sectors": ["?"], "codes": ["2"]}], [r"sectors\[0\]: '\?' holds no letter"]),
        ([{"id": "S1", "sectors": ["x"], "codes": ["2"]}] * 2, [r"incompatible\[1\] \(S1\).id"]),
    ],
)
def test_bad_sectors(project, entries, said):
    project.sectors = {"incompatible": entries}
    refused(project.configure, "config/sectors.json", *said)


def test_overrides_win(project, rule):
    project.rules = [rule("R7"), rule("R.8")]
    project.sectors = {"incompatible": [{"id": "S1", "sectors": ["bank"], "codes": ["5"]}]}
    config = pipeline.configure(
        [
            ConfigFile("g", project.general),
            ConfigFile("r", {"version": "1", "rules": project.rules}),
            ConfigFile("s", {"version": "1", **project.sectors}),
        ],
        {
            "threshold": 0.5,
            "retrieval.candidates": "30",
            "retrieval.weights.title": 1,
            "columns.expected": None,
            "rules.R7.active": False,
            "rules.R.8.action.code": "2421",
            "rules.R7.condition.title_contains_any": ["cook"],
            "sectors.mode": "penalise",
            "sectors.S1.codes": ["9"],
        },
    )
    assert (config.threshold, config.retrieval.candidates, config.retrieval.weights.title) == (0.5, 30, 1.0)
    assert config.columns.expected is None
    assert config.rules.rules[0].active is False
    assert config.rules.rules[0].condition == {"title_contains_any": ["cook"]}
    assert config.rules.rules[1].action.code == "2421"
    assert (config.sectors.mode, config.sectors.incompatible[0].codes) == ("penalise", ["9"])
    assert project.rules[0]["active"] is True
    assert "retrieval" not in project.general


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("treshold", 1, ["'treshold'", "Did you mean 'threshold'"]),
        ("threshold", 2, ["--set threshold: expected float <= 1.0"]),
        ("threshold", "much", ["--set threshold: expected float"]),
        ("threshold.x", 1, ["nothing stands below 'threshold'"]),
        ("retrieval.candidate", 1, ["Did you mean 'candidates'"]),
        ("rules.R77.active", True, ["no entry 'R77'", "Did you mean 'R7'", "the ids are: R7"]),
        ("rules.R7.activ", True, ["Did you mean 'active'"]),
        ("rules.R7", True, ["no entry"]),
        ("rules", [], ["say what to set"]),
        ("sectors.mode", "filter", ["no file of sectors"]),
        ("rules.R7.condition.title_contain_any", ["x"], ["unknown key 'title_contain_any'"]),
    ],
)
def test_bad_overrides(project, rule, key, value, said):
    project.rules = [rule("R7")]
    refused(lambda: project.configure(**{key: value}), *said)

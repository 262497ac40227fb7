"""Rerun and bisect on the matching demo: 500 real titles."""

from __future__ import annotations

import json

import pytest

RULE = {
    "id": "R18",
    "name": "Workers",
    "priority": 55,
    "active": True,
    "condition": {"title_contains_any": ["worker"]},
    "action": {"code": "9139"},
}


@pytest.mark.slow
def test_the_demo_reproduces_and_a_planted_interaction_is_found(corrida, project, monkeypatch):
    corrida("demo", "matching", "--to", "demo")
    monkeypatch.chdir(project / "demo")
    assert corrida("rerun", "run_rules_1.1", "--json").json["certificate"]["outcome"] == "identical"
    file = project / "demo" / "config" / "matching_rules_business.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    for rule in content["rules"]:
        rule["priority"] += {"R01": 2, "R09": 8, "R16": 2}.get(rule["id"], 0)
    content["rules"].append(RULE)
    file.write_text(json.dumps(content, indent=2), encoding="utf-8")
    corrida("run", "jobs", "--run-id", "worse")
    found = corrida("bisect", "run_rules_1.2", "worse", "--json").json
    assert (
        found["sentence"] == "new rule R18 breaks 4 of the 7; together with R09.priority 50 → 58 the other 3"
    )
    assert found["executed"] <= 14

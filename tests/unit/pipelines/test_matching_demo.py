"""The demo project: real titles, real rules."""

from __future__ import annotations

import csv
import json
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from corrida.pipelines.contract import ConfigFile, Data
from corrida.pipelines.matching import pipeline
from corrida.pipelines.matching.text import singular
from corrida.pipelines.text import tokens

DEMO = Path(str(files("corrida"))) / "demos" / "matching"


def run(recorder, rules):
    paths = [DEMO / "config" / "matching.json", DEMO / "config" / "sector_compatibility.json", rules]
    config = pipeline.configure([ConfigFile(p.name, json.loads(p.read_text())) for p in paths], {})
    named = {role: DEMO / path for role, path in pipeline.data_files(config).items()}
    return pipeline.run(Data([DEMO / "data" / "titles.csv"], named), config, recorder)


def test_the_edit_of_the_rules_fixes_more_than_it_breaks(recorder, capfd):
    old = run(recorder, DEMO / "config" / "matching_rules_business.json")
    new = run(recorder, DEMO / "steps" / "matching_rules_business_1.2.json")
    assert old.metrics["items"] == 500
    flips = list(zip(old.items["correct"], new.items["correct"], strict=True))
    fixed, broken = flips.count((False, True)), flips.count((True, False))
    assert fixed > broken >= 1
    assert new.metrics["f1"] > old.metrics["f1"]
    assert new.metrics["rules.conflicts"] == 1
    assert 0.5 < old.metrics["precision"] < 0.7
    assert capfd.readouterr() == ("", "")
    again = run(recorder, DEMO / "steps" / "matching_rules_business_1.2.json")
    assert again.items.equals(new.items)
    assert again.metrics == new.metrics


def test_no_title_can_be_looked_up():
    def words(title):
        return tuple(sorted(singular(token, ("s",)) for token in tokens(title)))

    def column(name):
        with (DEMO / "data" / name).open(encoding="utf-8", newline="") as file:
            return {words(line["title"]) for line in csv.DictReader(file)}

    assert column("titles.csv").isdisjoint(column("index.csv"))


def test_the_demo_is_small():
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) < 1_000_000


@pytest.mark.parametrize(
    "name", ["config/matching_rules_business.json", "steps/matching_rules_business_1.2.json"]
)
def test_versions(name):
    assert json.loads((DEMO / name).read_text())["version"] == ("1.1" if name.startswith("config") else "1.2")


def test_what_the_index_says_of_the_rules_of_the_verdicts_demo():
    from corrida.pipelines.matching.conditions import parse
    from corrida.pipelines.matching.text import searchable, tokens

    steps = DEMO.parent / "verdicts" / "steps"
    document = json.loads((steps / "matching_rules_business_1.4.json").read_text())
    rules = {rule["id"]: rule for rule in document["rules"]}
    with (DEMO / "data" / "index.csv").open(encoding="utf-8", newline="") as file:
        index = list(csv.DictReader(file))

    def agreement(rule):
        clauses = parse(rule["condition"], rule["id"])
        texts = ({"title": searchable(e["title"]), "sector": searchable(e["industry"])} for e in index)
        held = [
            e["code"] for e, text in zip(index, texts, strict=True) if all(c.holds(text) for c in clauses)
        ]
        return len(held), held.count(rule["action"]["code"]) / len(held)

    assert agreement(rules["R14"]) == (192, pytest.approx(0.89, abs=0.005))
    assert agreement(rules["R15"])[1] == pytest.approx(0.35, abs=0.005)
    codes = {}
    for entry in index:
        for word in {*tokens(entry["title"]), *tokens(entry["industry"])}:
            codes.setdefault(word, Counter())[entry["code"]] += 1
    for word in rules["R14"]["condition"]["title_or_sector_contains_any"]:
        assert codes[word].most_common(1)[0][0] == rules["R14"]["action"]["code"], word

"""What went wrong in run tracking with copied JSON files, each as a test that it cannot happen here."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.disk  # as people have it


def _rule(number, word, answer, **more):
    return {"id": f"R{number}", "word": word, "answer": answer, **more}


def test_two_runs_in_one_minute_do_not_share_a_folder(toy, corrida):
    ids = [corrida("run", "jobs", "--json").json["id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert sorted(os.listdir(toy.root / "runs")) == sorted([*ids, ".corrida", ".gitattributes", "index.json"])


def test_runs_started_at_once_by_many_processes_are_all_kept(toy, corrida):
    started = [corrida.start("run", "jobs", "--run-tag", "same") for _ in range(4)]
    assert [p.wait(60) for p in started] == [0] * 4
    for process in started:
        process.communicate()
    assert sorted(r["id"] for r in corrida("list", "--json").json) == [
        "run_same",
        "run_same-2",
        "run_same-3",
        "run_same-4",
    ]


def test_other_content_under_the_same_version_is_flagged(toy, corrida):
    corrida("run", "jobs")
    toy.rules("1.1", [_rule(1, "a ", "C", active=False)])
    corrida("run", "jobs")
    seen = corrida("compare").out
    line = next(line for line in seen.splitlines() if "rules" in line and "1.1" in line)
    assert "R1.active" in line
    assert "same version" in line
    file = corrida("compare", "--json").json["configs"]["files"][0]
    assert file["flags"]


def test_a_version_that_moves_over_the_same_content_is_flagged(toy, corrida):
    rules = [_rule(1, "a ", "C")]
    toy.rules("1.1", rules)
    corrida("run", "jobs")
    toy.rules("1.2", rules)
    corrida("run", "jobs")
    file = corrida("compare", "--json").json["configs"]["files"][0]
    assert (file["version_a"], file["version_b"]) == ("1.1", "1.2")
    assert file["flags"]


def test_a_description_is_not_counted_as_a_rule(toy, corrida):
    toy.rules("1.1", [_rule(1, "a ", "C")])
    corrida("run", "jobs")
    toy.rules("1.2", [_rule(1, "a ", "C"), _rule(53, "baker", "B")], description="now with a description")
    corrida("run", "jobs")
    line = next(line for line in corrida("compare").out.splitlines() if "1.1 → 1.2" in line)
    assert "+1 rule R53" in line
    assert "2 rules" not in line


def test_switching_on_dead_rules_is_seen_rule_by_rule(toy, corrida):
    toy.rules("1.2", [_rule(n, f"word{n}", "C", active=False) for n in range(1, 8)])
    corrida("run", "jobs")
    toy.rules("1.2", [_rule(n, f"word{n}", "C", active=True) for n in range(1, 8)])
    corrida("run", "jobs")
    details = corrida("compare", "--details").out
    changes = corrida("compare", "--json").json["configs"]["files"][0]["changes"]
    assert len(changes) == 7
    assert "active" in details


def test_precision_is_that_against_the_gold_answers(toy, corrida):
    metrics = corrida("run", "jobs", "--json").json["metrics"]
    assert metrics["precision"] == pytest.approx(1 / 3)  # 3 of 4 decided, 1 right: not 3/4


def test_a_missing_metric_is_missing_and_gives_no_gain(toy, corrida):
    toy.rules("1.0", [])
    corrida("run", "jobs")  # decides nothing: precision has no value
    toy.rules("1.1", [_rule(1, "cook", "C")])
    corrida("run", "jobs")
    seen = corrida("compare")
    line = next(line for line in seen.out.split("Metrics\n")[1].splitlines() if "precision" in line)
    assert line.split() == ["precision", "–", "1", "–"]
    assert "missing in" in seen.out
    metrics = {m["name"]: m for m in corrida("compare", "--json").json["metrics"]}
    assert metrics["precision"]["a"] is None
    assert metrics["precision"]["difference"] is None
    assert "precision" not in corrida("show", "latest~1", "--json").json["metrics"]


def test_items_are_compared_by_their_answers(toy, corrida):
    corrida("run", "jobs")
    toy.rules("1.2", [_rule(1, "baker", "B"), _rule(2, "head", "C"), _rule(3, "a ", "X")])
    corrida("run", "jobs")
    items = corrida("compare", "--json").json["items"]
    kinds = {row["item_id"]: row["kind"] for row in items["differing"]}
    assert kinds == {"1": "broken", "2": "fixed", "4": "fixed", "3": "changed"}
    rows = corrida("compare").out.split("Items\n")[1].splitlines()
    assert rows[2].split()[0] == "broken"  # the broken ones come first


def test_the_items_of_the_older_run_are_still_there(toy, corrida):
    corrida("run", "jobs", "--run-id", "one")
    toy.rules("1.2", [_rule(1, "cook", "C")])
    corrida("run", "jobs", "--run-id", "two")
    assert [r["output"] for r in corrida("items", "one", "--json").json] == ["C", "C", "C", None]
    assert [r["output"] for r in corrida("items", "two", "--json").json] == ["C", None, None, "C"]


GENERAL = {
    "version": "1.0",
    "classification": "data/classification.csv",
    "index": "data/index.csv",
    "columns": {"id": "id", "text": "title", "expected": "gold"},
}


@pytest.fixture
def matching(project, corrida):
    """A project of the matching pipeline; returns a function that sets its rules and runs it."""
    (project / "config").mkdir()
    (project / "data").mkdir()
    (project / "data/classification.csv").write_text(
        "level,code,title\nunit,9271,Porters\nunit,9272,Kitchen helpers\nunit,4211,Cashiers\n",
        encoding="utf-8",
    )
    (project / "data/index.csv").write_text(
        "title,code\nporter,9271\nkitchen helper,9272\n", encoding="utf-8"
    )
    (project / "data/titles.csv").write_text(
        "id,title,gold\n1,cajero de banco,4211\n2,encajero de madera,9271\n", encoding="utf-8"
    )
    (project / "config/general.json").write_text(json.dumps(GENERAL), encoding="utf-8")

    def arguments(rule):
        whole = {"version": "1.0", "rules": [rule]}
        (project / "config/rules.json").write_text(json.dumps(whole), encoding="utf-8")
        return ("run", "matching", "--config", "config/*.json", "--data", "data/titles.csv")

    return arguments


def _matching_rule(**more):
    rule = {
        "id": "R1",
        "name": "cashiers",
        "priority": 1,
        "active": True,
        "condition": {"title_contains_any": ["cajero"]},
        "action": {"code": "4211"},
    }
    return {k: v for k, v in (rule | more).items() if v is not None}


def test_a_rule_that_names_an_unknown_code_is_an_error(matching, corrida, project):
    sentence = corrida.refuses(*matching(_matching_rule(action={"code": "9999"})))
    assert "config/rules.json" in sentence
    assert "R1" in sentence
    assert "9999" in sentence
    assert corrida("list", "--json").json == []


def test_a_rule_without_active_is_an_error(matching, corrida):
    sentence = corrida.refuses(*matching(_matching_rule(active=None)))
    assert "config/rules.json" in sentence
    assert "active" in sentence


def test_conditions_match_whole_words(matching, corrida):
    corrida(*matching(_matching_rule()))
    decided = {r["item_id"]: r["output"] for r in corrida("items", "--json").json}
    assert decided["1"] == "4211"
    assert decided["2"] != "4211"


def test_errors_of_tracking_are_not_swallowed(toy, corrida):
    (toy.root / "runs").write_text("a file where the store should be", encoding="utf-8")
    assert "is a file, not a store" in corrida.refuses("run", "jobs", "--run-id", "x")
    corrida("run", "jobs", "--run-id", "x", "--store", "other")
    assert "the run x is there already" in corrida.refuses("run", "jobs", "--run-id", "x", "--store", "other")


def test_there_is_a_restore_command_that_gives_back_every_byte(toy, corrida):
    first = b'{"version": "1.1",\r\n\t"rules": [], "note": "espa\xc3\xb1ol"}   \n'
    (toy.root / "config" / "rules.json").write_bytes(first)
    corrida("run", "jobs")
    toy.rules("1.2", [_rule(1, "cook", "C")])
    corrida("run", "jobs")
    corrida("restore", "latest~1", "--yes")
    assert (toy.root / "config" / "rules.json").read_bytes() == first


def test_the_script_of_the_first_system_works_here(toy):
    (toy.root / "pipeline.py").write_text(
        "import corrida\n"
        "@corrida.track(configs=['config/*.json'], pipeline='offers')\n"
        "def run_matching_pipeline(offer_ids, source='', description=''):\n"
        "    return {'processed': len(offer_ids), 'precision': 0.64}\n"
        "stats = run_matching_pipeline(offer_ids=['123', '456'], source='gold_set_100', description='Agregué R53')\n"
        "print(stats['run_id'])\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, "pipeline.py"], capture_output=True, text=True, check=True)
    run = json.loads((toy.root / "runs" / done.stdout.strip() / "run.json").read_bytes())
    assert run["source"] == "gold_set_100"
    assert run["description"] == "Agregué R53"
    assert run["metrics"] == {"processed": 2, "precision": 0.64}


def test_the_same_second_is_told_apart_by_order_and_not_by_name(toy, corrida):
    for name in ("zebra", "apple", "mango"):
        corrida("run", "jobs", "--run-id", name)
    assert corrida("show", "--json").json["id"] == "mango"
    assert corrida("show", "latest~2", "--json").json["id"] == "zebra"

"""``corrida bisect``: the change that made it worse, by executing what lies between two runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from corrida.project import find_project

CULPRITS = {"R61": {"priority": 10}, "R7": {"active": False}}
HARMLESS = {"R9": {"priority": 51}, "R8": {"priority": 21}, "R5": {"priority": 31}}


def store():
    return find_project().store()


def both(corrida, shop, *more, good=(), **changes):
    corrida("run", "jobs", "--run-id", "good", "--seed", "1", *good)
    shop.changed(**changes)
    corrida("run", "jobs", "--run-id", "bad", "--seed", "1", *more)


def hybrids():
    return store().runs(filter="tags.replay = 'bisect'")


def refused(corrida, *arguments):
    """Return the sentence with which a bisection ends, after those that say what it tried."""
    *tried, last = corrida("bisect", *arguments, code=2).err.splitlines()
    assert all(line.startswith("run ") for line in tried)
    assert last.startswith("corrida: ")
    return last


def blames(found):
    return {frozenset(cause): sorted(b["items"]) for b in found["blames"] for cause in b["causes"]}


def test_one_change_breaks_most_and_two_together_the_others(corrida, shop):
    before = (shop.root / "config" / "rules.json").read_bytes()
    both(corrida, shop, **CULPRITS, **HARMLESS)
    after = (shop.root / "config" / "rules.json").read_bytes()
    assert before != after
    said = corrida("bisect", "good", "bad")
    last = said.out.rstrip().splitlines()[-1].strip()
    assert (
        last == "R61.priority 40 → 10 breaks 12 of the 14; together with R7.active true → false the other 2"
    )
    assert "5 changes" in said.out
    assert "run 1 of about" in said.err
    assert (shop.root / "config" / "rules.json").read_bytes() == after
    made = hybrids()
    assert {run.parent for run in made} == {"bad"}
    assert {run.item_counts["count"] for run in made} == {14}
    assert all(run.description.startswith("good") for run in made)
    again = corrida("bisect", "good", "bad", "--json").json
    assert (again["executed"], again["reused"]) == (0, len(made))
    assert len(hybrids()) == len(made)
    assert blames(again) == {
        frozenset({"R61.priority 40 → 10"}): sorted(f"c{n}" for n in range(12)),
        frozenset({"R61.priority 40 → 10", "R7.active true → false"}): ["h1", "h2"],
    }
    assert "(+" in corrida("list").out


def test_one_item_and_a_dry_run(corrida, shop):
    both(corrida, shop, **CULPRITS)
    plan = corrida("bisect", "good", "bad", "--item", "h1", "--dry-run", "--json").json
    assert plan["items"] == {"h1": "broken"}
    assert len(plan["changes"]) == 2
    assert plan["runs"]["one_change"] >= 2
    assert not hybrids()
    shown = corrida("bisect", "good", "bad", "--dry-run")
    assert "about" in shown.out
    assert not hybrids()
    found = corrida("bisect", "good", "bad", "--item", "h1", "--json").json
    assert found["sentence"] == "R7.active true → false together with R61.priority 40 → 10 breaks h1"
    assert {run.item_counts["count"] for run in hybrids()} == {1}
    assert "same in good and bad" in corrida.refuses("bisect", "good", "bad", "--item", "w1")
    assert "not both" in corrida.refuses("bisect", "good", "bad", "--item", "h1", "--metric", "accuracy")


def test_the_metric_first_and_then_the_items(corrida, shop):
    both(corrida, shop, **CULPRITS, **HARMLESS)
    found = corrida("bisect", "good", "bad", "--metric", "accuracy", "--json").json
    assert found["metric"]["name"] == "accuracy"
    assert found["blames"][0]["metric"]
    assert found["sentence"] == (
        "R61.priority 40 → 10 makes accuracy worse and breaks 12 of the 14; "
        "together with R7.active true → false the other 2"
    )
    assert {run.item_counts["count"] for run in hybrids()} == {20}


def test_a_metric_without_items(corrida, shop):
    code = "def fit(data, config, recorder):\n    return {'loss': config['a'] * config['b'] + 0.01 * config['c']}\n"
    (shop.root / "fits.py").write_text(code, encoding="utf-8")
    (shop.root / "corrida.toml").write_text(
        '[pipelines.fit]\nuses = "fits:fit"\nprimary_metric = "loss"\nconfigs = ["config/*.yaml"]\n',
        encoding="utf-8",
    )
    file = shop.root / "config" / "fit.yaml"
    file.write_text("a: 0\nb: 0\nc: 1\nd: 1\n", encoding="utf-8")
    corrida("run", "fit", "--run-id", "good", "--set", "e=1")
    file.write_text("a: 3\nb: 4\nc: 2\nd: 2\n", encoding="utf-8")
    corrida("run", "fit", "--run-id", "bad", "--set", "e=2")
    found = corrida("bisect", "good", "bad", "--json").json
    assert found["sentence"] == "a 0 → 3 together with b 0 → 4 makes loss worse"
    assert found["blames"][0]["items"] == []
    assert "loss" in corrida("bisect", "good", "bad").out


def test_set_values_and_the_seed_are_changes_too(corrida, shop):
    corrida("run", "jobs", "--run-id", "good", "--seed", "1", "--set", "labels=[A,B,C,D,E]")
    rules = [{**r, "active": r["id"] not in {"R5", "R61"}} for r in shop.good]
    corrida("run", "jobs", "--run-id", "bad", "--seed", "2", "--set", f"rules={json.dumps(rules)}")
    found = corrida("bisect", "good", "bad", "--json").json
    assert [change.split(" ")[0] for change in found["changes"]] == ["--set", "--set", "seed"]
    assert found["sentence"].startswith("--set rules not set → ")
    assert found["sentence"].endswith("breaks all 12")


def test_two_changes_each_enough_by_itself(corrida, shop):
    both(corrida, shop, R61={"priority": 10}, R5={"answer": "E"})
    found = corrida("bisect", "good", "bad", "--json").json
    (blame,) = found["blames"]
    assert sorted(blame["causes"]) == [['R5.answer "C" → "E"'], ["R61.priority 40 → 10"]]
    assert "and as well" in found["sentence"]
    assert "also enough by itself" in corrida("bisect", "good", "bad").out


def test_hybrids_that_are_no_configuration_are_skipped_and_said(corrida, shop):
    shop.rules(shop.good, labels=["A", "B", "C", "D"])
    corrida("run", "jobs", "--run-id", "good", "--seed", "1")
    changed = [{**r, "answer": "X"} if r["id"] == "R5" else r for r in shop.good]
    shop.rules(changed, labels=["A", "B", "C", "D", "X"])
    corrida("run", "jobs", "--run-id", "bad", "--seed", "1")
    found = corrida("bisect", "good", "bad", "--json").json
    (blame,) = found["blames"]
    assert sorted(blame["causes"][0]) == ['R5.answer "C" → "X"', 'labels: + "X"']
    assert blame["inseparable"] == ['labels: + "X"']
    assert "unknown label X" in found["skipped"][0]["reason"]
    shown = corrida("bisect", "good", "bad").out
    assert "skipped" in shown
    assert "cannot be left out" in shown


def test_items_without_expected_answers_are_looked_at_by_their_answers(corrida, shop):
    texts = shop.root / "data" / "texts.csv"
    lines = texts.read_text(encoding="utf-8").splitlines()
    texts.write_text(
        "\n".join([lines[0], *(line.rpartition(",")[0] + "," for line in lines[1:])]) + "\n", encoding="utf-8"
    )
    code = (shop.root / "codes.py").read_text(encoding="utf-8")
    code = code.replace('"correct": output == row["gold"]}', "}").replace(
        '"accuracy": sum(r["correct"] for r in rows) / max(1, len(rows)),', ""
    )
    (shop.root / "answers.py").write_text(
        code.replace('"accuracy"', '""').replace('{"": "max", "drawn": "max"}', "{}"), encoding="utf-8"
    )
    (shop.root / "corrida.toml").write_text(
        '[pipelines.jobs]\nuses = "answers:pipeline"\nconfigs = ["config/*.json"]\ndata = ["data/texts.csv"]\n',
        encoding="utf-8",
    )
    both(corrida, shop, **CULPRITS)
    found = corrida("bisect", "good", "bad", "--json").json
    assert (
        found["sentence"]
        == "R61.priority 40 → 10 changes 12 of the 14; together with R7.active true → false the other 2"
    )
    assert {b["kind"] for b in found["blames"]} == {"changed"}


def test_max_runs_stops_and_a_later_call_goes_on(corrida, shop):
    both(corrida, shop, **CULPRITS, **HARMLESS)
    assert "at least two runs" in refused(corrida, "good", "bad", "--max-runs", "1")
    partly = corrida("bisect", "good", "bad", "--max-runs", "2", "--json").json
    assert not partly["complete"]
    assert partly["executed"] + partly["reused"] == 3
    assert not partly["blames"][0]["minimal"]
    assert "ran out" in corrida("bisect", "good", "bad", "--max-runs", "1").out
    whole = corrida("bisect", "good", "bad", "--json").json
    assert whole["complete"]
    keys = [run.tags["hybrid"] for run in hybrids()]
    assert len(set(keys)) == len(keys)


def test_what_cannot_be_bisected(corrida, shop):
    both(corrida, shop, **CULPRITS)
    assert "both the good and the bad" in corrida.refuses("bisect", "good", "good")
    backwards = corrida.refuses("bisect", "bad", "good")
    assert "good is not worse than bad: accuracy is 0.3 and then 1" in backwards
    assert "give the good run first" in backwards
    corrida("run", "jobs", "--run-id", "same", "--seed", "1")
    assert "nothing changed from bad to same that can be mixed" in corrida.refuses("bisect", "bad", "same")
    assert "not in both" in corrida.refuses("bisect", "good", "bad", "--metric", "f1")
    assert "drawn is" in corrida.refuses("bisect", "good", "bad", "--metric", "drawn")
    corrida("exec", "--run-id", "other", "--", sys.executable, "-c", "pass")
    assert "there is nothing between them" in corrida.refuses("bisect", "good", "other")
    (shop.root / "data" / "texts.csv").unlink()
    assert "data/texts.csv" in corrida.refuses("bisect", "good", "bad")
    assert not hybrids()


def test_more_right_answers_and_one_broken_item(corrida, shop):
    shop.changed(R9={"active": False})
    corrida("run", "jobs", "--run-id", "good", "--seed", "1")
    shop.changed(R7={"answer": "B"})
    corrida("run", "jobs", "--run-id", "bad", "--seed", "1")
    assert "2 items broke all the same: see what did it with --force" in corrida.refuses(
        "bisect", "good", "bad"
    )
    found = corrida("bisect", "good", "bad", "--force", "--json").json
    assert found["sentence"] == 'R7.answer "D" → "B" breaks all 2'
    fixed = corrida("bisect", "good", "bad", "--item", "w1", "--json").json
    assert fixed["sentence"] == "R9.active false → true fixes w1"


def test_data_that_differ_are_not_mixed_and_that_is_said(corrida, shop):
    corrida("run", "jobs", "--run-id", "good", "--seed", "1")
    texts = shop.root / "data" / "texts.csv"
    texts.write_text(texts.read_text(encoding="utf-8").replace("head one", "boss one"), encoding="utf-8")
    kept = texts.with_name("old.csv")
    shop.changed(R61={"priority": 10})
    corrida("run", "jobs", "--run-id", "bad", "--seed", "1")
    assert "--data" in corrida.refuses("bisect", "good", "bad")
    kept.write_text(texts.read_text(encoding="utf-8").replace("boss one", "head one"), encoding="utf-8")
    said = corrida("bisect", "good", "bad")
    assert "data differ (data/texts.csv has other content) and cannot be mixed" in said.out
    assert "1 item as bad with everything of good" in said.out
    assert said.out.rstrip().endswith("R61.priority 40 → 10 breaks all 12")


MOODY = """
        if Path("mood").exists():
            mood = Path("mood").read_text()
            rows = [{**r, "output": r["expected"], "correct": True} if mood == "right" or (mood == "few" and len(rows) < 20)
                    else {**r, "output": None, "correct": False} if mood == "wrong" else r for r in rows]
        metrics ="""


def test_runs_that_do_not_reproduce_have_nobody_to_blame(corrida, shop):
    code = (shop.root / "codes.py").read_text(encoding="utf-8")
    (shop.root / "moody.py").write_text(code.replace("\n        metrics =", MOODY), encoding="utf-8")
    toml = (shop.root / "corrida.toml").read_text(encoding="utf-8").replace("codes:", "moody:")
    (shop.root / "corrida.toml").write_text(toml, encoding="utf-8")
    both(corrida, shop, R61={"priority": 10}, R8={"priority": 21})
    mood = shop.root / "mood"
    mood.write_text("wrong", encoding="utf-8")
    said = refused(corrida, "good", "bad")
    assert "12 items looked for: as bad even with the configuration of good, executed now" in said
    for run in hybrids():
        store().remove([run.id])
    mood.write_text("right", encoding="utf-8")
    assert "as good even with the configuration of bad" in refused(corrida, "good", "bad", "--all-items")
    mood.write_text("few", encoding="utf-8")
    assert "on these items alone; try --all-items" in refused(corrida, "good", "bad")
    for run in hybrids():
        store().remove([run.id])
    assert (
        corrida("bisect", "good", "bad", "--all-items", "--json").json["sentence"].endswith("breaks all 12")
    )


def test_a_command_is_bisected_by_its_configurations_and_arguments(corrida, project):
    (project / "config").mkdir()
    config = project / "config" / "c.json"
    (project / "w.py").write_text(
        "import json, os, pathlib, sys\n"
        "c = json.loads(pathlib.Path('config/c.json').read_text())\n"
        "if c['k'] > 5 and c['mode'] == 'safe': sys.exit('k is too large')\n"
        "wrong = c['k'] > 1 and sys.argv[2] == '5'\n"
        "out = pathlib.Path(os.environ['CORRIDA_RUN_DIR'])\n"
        "(out / 'metrics.json').write_text(json.dumps({'accuracy': 0.0 if wrong else 1.0}))\n"
        "(out / 'items.csv').write_text('item_id,output,expected\\n1,' + ('B' if wrong else 'A') + ',A\\n')\n"
        "print('worked')\n",
        encoding="utf-8",
    )
    config.write_text('{"k": 1, "mode": "safe"}', encoding="utf-8")
    command = [sys.executable, "w.py", "--depth"]
    corrida("exec", "--run-id", "good", "--config", "config/c.json", "--", *command, "3")
    config.write_text('{"k": 9, "mode": "free"}', encoding="utf-8")
    corrida("exec", "--run-id", "bad", "--config", "config/c.json", "--", *command, "5")
    before = config.read_bytes()
    found = corrida("bisect", "good", "bad", "--json").json
    assert config.read_bytes() == before
    (blame,) = found["blames"]
    assert set(blame["causes"][0]) == {"k 1 → 9", 'mode "safe" → "free"', "--depth 3 → 5"}
    assert blame["inseparable"] == ['mode "safe" → "free"']
    assert any("exit code 1" in skipped["reason"] for skipped in found["skipped"])
    assert corrida("bisect", "good", "bad", "--json").json["executed"] == 0


@pytest.mark.slow
def test_a_killed_bisection_goes_on_and_executes_nothing_twice(corrida, shop):
    rules = [
        *shop.good,
        *({**shop.good[0], "id": f"X{n}", "priority": 60 + n, "words": ["nothing"]} for n in range(8)),
    ]
    shop.rules(rules, sleep=0.15)
    corrida("run", "jobs", "--run-id", "good", "--seed", "1")
    changes = {**CULPRITS, **{f"X{n}": {"priority": 80 + n} for n in range(8)}}
    shop.rules([{**r, **changes.get(r["id"], {})} for r in rules], sleep=0.15)
    corrida("run", "jobs", "--run-id", "bad", "--seed", "1")
    for round_ in range(3):
        process = corrida.start("bisect", "good", "bad")
        until = time.monotonic() + 30
        while (
            len([h for h in hybrids() if h.status == "finished"]) < 2 * (round_ + 1)
            and time.monotonic() < until
        ):
            time.sleep(0.05)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.communicate()
    done = {run.id for run in hybrids() if run.status == "finished"}
    assert len(done) >= 6
    found = corrida("bisect", "good", "bad", "--json").json
    assert found["sentence"].endswith("together with R7.active true → false the other 2")
    assert found["reused"] >= len(done)  # a run that was killed while it ended is ended by the next command
    finished = [run for run in hybrids() if run.status == "finished"]
    keys = [run.tags["hybrid"] for run in finished]
    assert len(keys) == len(set(keys)) == found["executed"] + found["reused"]


def test_an_interruption_says_how_to_go_on(corrida, shop):
    shop.rules(shop.good, sleep=0.3)
    corrida("run", "jobs", "--run-id", "good", "--seed", "1")
    shop.rules([{**r, **CULPRITS.get(r["id"], {})} for r in shop.good], sleep=0.3)
    corrida("run", "jobs", "--run-id", "bad", "--seed", "1")
    process = corrida.start("bisect", "good", "bad", start_new_session=True)
    until = time.monotonic() + 30
    while not hybrids() and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "goes on from there" in err
    assert "Traceback" not in err
    assert corrida("bisect", "good", "bad", "--json").json["complete"]


@pytest.mark.parametrize("width", [80, 140])
def test_what_a_person_sees(corrida, shop, width):
    both(corrida, shop, **CULPRITS, **HARMLESS)
    shown = corrida.terminal(width, "bisect", "good", "bad")
    assert all(len(line.rpartition("\x1b[2K")[2]) <= width for line in shown.replace("\r", "\n").splitlines())
    assert "To blame" in shown
    assert "12 broken: c0" in shown


def test_hybrids_are_nobodys_latest_work(corrida, shop):
    both(corrida, shop, **CULPRITS)
    corrida("bisect", "latest~1", "latest")
    assert store().resolve("latest") == "bad"
    assert store().resolve("latest~1", pipeline="jobs") == "good"
    assert "from good to bad" in corrida("bisect", "latest~1", "latest").out
    compared = corrida("compare", "--latest", "--json").json
    assert (compared["a"], compared["b"]) == ("good", "bad")


def test_a_script_with_a_run_of_its_own_is_bisected(corrida, project):
    (project / "train.py").write_text(
        "import json, pathlib, corrida\n"
        "c = json.loads(pathlib.Path('c.json').read_text())\n"
        "with corrida.start_run(pipeline='train', run_tag='t', configs=['c.json'], primary_metric='f1') as run:\n"
        "    run.log_metrics({'f1': 0.5 if c['a'] > 1 and c['b'] > 1 else 0.9})\n",
        encoding="utf-8",
    )
    for a, b, c in ((1, 1, 1), (2, 2, 2)):
        (project / "c.json").write_text(json.dumps({"a": a, "b": b, "c": c}), encoding="utf-8")
        subprocess.run([sys.executable, "train.py"], check=True, capture_output=True)
    found = corrida("bisect", "run_t", "run_t-2", "--json").json
    assert found["sentence"] == "a 1 → 2 together with b 1 → 2 makes f1 worse"
    assert json.loads((project / "c.json").read_text(encoding="utf-8")) == {"a": 2, "b": 2, "c": 2}

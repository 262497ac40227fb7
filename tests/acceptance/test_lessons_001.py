"""What went wrong in run storage by tag and seed, each as a test that it cannot happen here."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.disk  # as people have it

NOTES = (
    "Baseline with 22.5% seeding, the second half of the class, after the questions 3 and 4 were worded anew "
    "and the two students who had been missing from the manifest were added"
)


def test_the_same_tag_does_not_overwrite_and_leaves_no_stale_files(toy, corrida):
    (toy.root / "plots.py").write_text(
        "def first(data, config, recorder):\n    recorder.save_text('assets/old.txt', 'old')\n    return {'a': 1}\n"
        "def second(data, config, recorder):\n    return {'a': 2}\n",
        encoding="utf-8",
    )
    one = corrida("run", "plots:first", "--run-tag", "baseline_v1", "--json").json["id"]
    two = corrida("run", "plots:second", "--run-tag", "baseline_v1", "--json").json["id"]
    assert (one, two) == ("run_baseline_v1", "run_baseline_v1-2")
    assert (toy.root / "runs" / one / "assets" / "old.txt").exists()
    assert not (toy.root / "runs" / two / "assets").exists()
    assert corrida("show", one, "--json").json["metrics"] == {"a": 1}


def test_the_same_date_and_seed_do_not_overwrite(toy, corrida):
    one = corrida("run", "jobs", "--seed", 9999, "--json").json
    two = corrida("run", "jobs", "--seed", 9999, "--json").json
    assert one["id"] == f"run_{one['created'][:10]}_seed9999"
    assert two["id"] == one["id"] + "-2"
    assert two["seed"] == 9999


def test_a_folder_removed_by_hand_leaves_no_ghost_in_the_index(toy, corrida):
    for name in ("a", "b", "c"):
        corrida("run", "jobs", "--run-id", name)
    shutil.rmtree(toy.root / "runs" / "b")
    corrida("list")
    index = json.loads((toy.root / "runs" / "index.json").read_bytes())
    assert [k for k in index if k != "format_version"] == ["a", "c"]
    assert [r["id"] for r in corrida("list", "--json").json] == ["c", "a"]


def test_the_index_holds_a_run_on_one_line_each(toy, corrida):
    for name in ("b", "a"):
        corrida("run", "jobs", "--run-id", name, "--notes", "two\nlines")
    lines = (toy.root / "runs" / "index.json").read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith('"a"') for line in lines) == 1
    assert sum(line.startswith('"b"') for line in lines) == 1


def test_the_index_is_never_left_half_written(toy, corrida):
    corrida("run", "jobs", "--run-id", "first")
    index = toy.root / "runs" / "index.json"
    started = [corrida.start("run", "jobs") for _ in range(3)]
    looks = 0
    while any(p.poll() is None for p in started):
        assert "first" in json.loads(index.read_bytes())
        looks += 1
    for process in started:
        process.communicate()
    assert looks > 10
    assert [p.returncode for p in started] == [0, 0, 0]
    assert len(json.loads(index.read_bytes())) == 1 + 1 + 3  # and the format version


def test_an_index_that_was_deleted_or_damaged_costs_nothing(toy, corrida):
    corrida("run", "jobs", "--run-id", "a")
    index = toy.root / "runs" / "index.json"
    whole = index.read_bytes()
    index.unlink()
    assert [r["id"] for r in corrida("list", "--json").json] == ["a"]
    index.write_bytes(whole[: len(whole) // 2])
    assert [r["id"] for r in corrida("list", "--json").json] == ["a"]
    corrida("index")
    assert index.read_bytes() == whole


def test_a_run_without_a_metric_is_shown_with_a_dash_and_wins_nothing(toy, corrida):
    (toy.root / "matchers.py").write_text(
        "def one(): return {'semantic_f1': 0.6}\ndef all(): return {'semantic_f1': 0.5, 'hybrid_f1': 0.55}\n",
        encoding="utf-8",
    )
    corrida("run", "matchers:one", "--run-id", "one")
    corrida("run", "matchers:all", "--run-id", "all")
    row = next(line for line in corrida("list").out.splitlines() if line.split()[0] == "one")
    assert "–" in row
    assert [r["id"] for r in corrida("list", "--json", "--sort", "-metrics.hybrid_f1").json] == ["all", "one"]
    assert [r["id"] for r in corrida("list", "--json", "--filter", "metrics.hybrid_f1 >= 0").json] == ["all"]


def test_notes_are_shown_in_full_by_show(toy, corrida):
    corrida("run", "jobs", "--run-id", "a", "--notes", NOTES, "--description", NOTES + " (description)")
    corrida("note", "a", "later: " + NOTES)
    shown = corrida("show", "a").out
    assert f"notes        {NOTES}\n" in shown
    assert f"description  {NOTES} (description)\n" in shown
    assert f"later: {NOTES}" in shown
    on_terminal = " ".join(corrida.terminal(80, "show", "a").split())
    assert f"later: {NOTES}" in on_terminal
    assert f"notes {NOTES} " in on_terminal


def test_notes_are_listed_as_wide_as_the_terminal_allows(toy, corrida):
    corrida("run", "jobs", "--run-id", "a", "--notes", NOTES)
    assert NOTES in corrida("list").out
    wide = corrida.terminal(260, "list")
    assert NOTES in wide
    narrow = corrida.terminal(120, "list")
    shown = next(line for line in narrow.splitlines() if line.split()[0] == "a").rstrip()
    assert shown.endswith("…")
    assert len(shown) in {119, 120}  # no width is given away
    assert "Baseline with 22.5% seeding, the second" in shown


def test_what_ran_is_kept_with_its_thresholds_and_its_code(toy, corrida):
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "add", "toy_pipeline.py"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    corrida("run", "jobs", "--set", "threshold=0.55")
    run = corrida("show", "--json").json
    assert run["params"]["threshold"] == 0.55
    assert "threshold: 0.55" in (toy.root / "runs" / run["id"] / "config.yaml").read_text(encoding="utf-8")
    assert run["git"]["branch"] == "main"
    assert len(run["git"]["commit"]) == 40
    assert run["manifest"]["data"][0]["rows"] == 4


@pytest.mark.parametrize("name", ["list", "list-runs"])
def test_cleaning_up_by_hand_is_supported(toy, corrida, name):
    ids = [corrida("run", "jobs", "--json").json["id"] for _ in range(3)]
    shutil.rmtree(toy.root / "runs" / ids[0])
    assert len(corrida(name, "--json").json) == 2

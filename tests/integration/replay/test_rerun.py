"""``corrida rerun``: a run executed again from its own folder, and what that proves."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from corrida.project import find_project
from corrida.runs.store import Store


def store():
    return find_project().store()


def tree(root):
    """Return every file of the project outside of its store with its bytes."""
    return {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and "runs" not in p.parts and "__pycache__" not in p.parts
    }


def test_identical_whatever_the_project_says_now(corrida, shop):
    (shop.root / "ids.txt").write_text("c1\nc2\nh1\nw1\n", encoding="utf-8")
    corrida("run", "jobs", "--run-id", "a", "--set", "extra=[1,2]", "--seed", "7", "--items", "ids.txt")
    shop.changed(R5={"answer": "E"})
    (shop.root / "corrida.toml").write_text('[pipelines.jobs]\nuses = "codes:pipeline"\n', encoding="utf-8")
    (shop.root / "ids.txt").unlink()
    before = tree(shop.root)
    said = corrida("rerun", "a")
    assert "identical: 4 items and 3 metrics are the same to the last bit" in said.out
    assert tree(shop.root) == before
    first, again = store().get("a"), store().get("run_a-rerun")
    assert again.parent == "a"
    assert again.status == "finished"
    assert again.config_files() == first.config_files()
    assert again.items().equals(first.items())
    assert (again.seed, again.metrics) == (first.seed, first.metrics)
    assert again.run_file().invocation.overrides == {"extra": [1, 2]}
    assert again.tags == {"replay": "rerun", "certificate": "identical"}
    kept = json.loads((again.dir / "certificate.json").read_bytes())
    assert kept["outcome"] == "identical"
    assert kept["items"] == 4
    assert not any(v.problems for v in store().verify(["run_a-rerun"]))
    assert corrida("rerun", "run_a-rerun", "--json").json["certificate"]["outcome"] == "identical"


def test_data_are_found_by_their_digest(corrida, shop):
    stop = shop.root / "data" / "stop.txt"
    stop.write_text("one two\n", encoding="utf-8")
    shop.rules(json.loads((shop.root / "config/rules.json").read_text())["rules"], stop="data/stop.txt")
    corrida("run", "jobs", "--run-id", "a", "--seed", "1")
    texts = shop.root / "data" / "texts.csv"
    aside = shop.root.parent / "somewhere" / "kept.csv"
    aside.parent.mkdir()
    texts.rename(aside)
    texts.write_text("id,text,gold\n1,cook,C\n", encoding="utf-8")
    stop.rename(shop.root / "data" / "words.txt")
    refused = corrida.refuses("rerun", "a")
    for part in ("data/texts.csv", "has other content now", "sha256:", "--data", "bytes"):
        assert part in refused
    assert corrida("rerun", "a", "--data", aside, "--json").json["certificate"]["outcome"] == "identical"
    assert store().get("run_a-rerun").manifest()["data"][0]["path"] == "../somewhere/kept.csv"
    aside.unlink()
    texts.unlink()
    assert "is gone" in corrida.refuses("rerun", "a")
    assert len(store()) == 2


def test_data_in_the_run_folder_are_found(corrida, shop):
    corrida("run", "jobs", "--run-id", "a", "--seed", "1")
    run = store().get("a")
    texts = shop.root / "data" / "texts.csv"
    (run.dir / "data").mkdir()
    (run.dir / "data" / "texts.csv").write_bytes(texts.read_bytes())
    manifest = run.manifest()
    manifest["data"][0]["snapshot"] = "data/texts.csv"
    (run.dir / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    texts.unlink()
    assert corrida("rerun", "a", "--json").json["certificate"]["outcome"] == "identical"


def test_equal_within_a_tolerance_and_different_beyond(corrida, shop):
    noise = shop.root / "noise.txt"
    noise.write_text("0.25", encoding="utf-8")
    corrida("run", "jobs", "--run-id", "a", "--seed", "1")
    noise.write_text("0.2500001", encoding="utf-8")
    said = corrida("rerun", "a", "--tolerance", "1e-6")
    assert "equal within 1e-06" in said.out
    assert "c0    score 2.25 → 2.2500001" in said.out
    said = corrida("rerun", "a", code=1)
    assert "differs in 20 of 20 items and 0 of 3 metrics" in said.out
    assert "files that the pipeline opens by itself" in said.out
    assert "certificate.json" in said.out
    whole = corrida("rerun", "a", "--json", code=1).json["certificate"]
    assert len(whole["items_differing"]) == 20
    assert whole["items_differing"][0]["columns"][0]["name"] == "score"
    assert corrida("rerun", "a", "--ignore", "score", "--json").json["certificate"]["outcome"] == "identical"
    assert "no metric and no column" in corrida.refuses("rerun", "a", "--ignore", "scor")
    assert "tolerance" in corrida.refuses("rerun", "a", "--tolerance", "-1")
    assert "tolerance" in corrida.refuses("rerun", "a", "--tolerance", "nan")


def test_without_a_seed_chance_is_a_suspect(corrida, shop):
    corrida("run", "jobs", "--run-id", "a")
    said = corrida("rerun", "a", code=1)
    assert "no seed was recorded" in said.out
    assert "drawn" in said.out
    corrida("run", "jobs", "--run-id", "b", "--seed", "3")
    corrida("rerun", "b")


def test_other_code_refuses_and_may_be_allowed(corrida, shop):
    """In processes of their own: a module that is imported stays what it was."""
    assert corrida.process("run", "jobs", "--run-id", "a", "--seed", "1").returncode == 0
    code = shop.root / "codes.py"
    text = code.read_text(encoding="utf-8")
    code.write_text(text.replace("len(words)", "len(words) + 1"), encoding="utf-8")
    refused = corrida.process("rerun", "a")
    assert refused.returncode == 2
    assert "codes.py has other content" in refused.stderr
    assert "--allow-drift" in refused.stderr
    assert len(store()) == 1
    allowed = corrida.process("rerun", "a", "--allow-drift")
    assert allowed.returncode == 1
    assert "Suspects" in allowed.stdout
    assert "codes.py has other content" in allowed.stdout
    code.write_text(text.replace("import random", "import random  # as before"), encoding="utf-8")
    harmless = corrida.process("rerun", "a", "--allow-drift")
    assert harmless.returncode == 0
    assert "without effect" in harmless.stdout
    code.unlink()
    gone = corrida.process("rerun", "a")
    assert gone.returncode == 2
    assert "the pipeline of a is no longer there" in gone.stderr
    code.write_text("def pipeline(): raise ValueError('not today')", encoding="utf-8")
    broken = corrida.process("rerun", "a", "--allow-drift")
    assert broken.returncode == 1
    assert "not today" in broken.stdout
    assert store().get("latest", pipeline="jobs").status == "finished"
    assert [run.tags["certificate"] for run in store().runs(status="failed")] == ["differs"]


def test_threads_and_hash_seed_are_those_of_the_run(corrida, shop):
    """The number of threads and the order of hashes are settled when a process starts."""
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "PYTHONHASHSEED": "5"}
    assert corrida.process("run", "jobs", "--run-id", "a", "--seed", "1", env=environment).returncode == 0
    assert store().get("a").metrics["threads"] == 1
    plain = {k: v for k, v in os.environ.items() if k not in {"POLARS_MAX_THREADS", "PYTHONHASHSEED"}}
    said = corrida.process("rerun", "a", "--json", env=plain)
    assert said.returncode == 0, said.stderr
    certificate = json.loads(said.stdout)["certificate"]
    assert certificate["outcome"] == "identical"
    assert certificate["files"] == {"same": ["hash.txt"]}
    assert certificate["suspects"] == []
    assert store().get("run_a-rerun").environment()["variables"]["PYTHONHASHSEED"] == "5"


def test_commits_and_uncommitted_changes_are_suspects_but_not_configurations(corrida, shop):
    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments], check=True, capture_output=True
        )

    git("init", "-b", "main")
    (shop.root / ".gitignore").write_text("runs\n__pycache__\n", encoding="utf-8")
    (shop.root / "helper.py").write_text("x = 1\n", encoding="utf-8")
    git("add", ".")
    git("commit", "-m", "one")
    corrida("run", "jobs", "--run-id", "a", "--seed", "1")
    shop.changed(R5={"answer": "E"})
    git("commit", "-am", "other rules")
    shop.changed(R5={"answer": "D"})
    assert corrida("rerun", "a", "--json").json["certificate"]["suspects"] == []
    (shop.root / "helper.py").write_text("x = 2\n", encoding="utf-8")
    (text,) = [s["text"] for s in corrida("rerun", "a", "--json").json["certificate"]["suspects"]]
    assert "with changes in helper.py" in text
    corrida("run", "jobs", "--run-id", "b", "--seed", "1")
    git("checkout", "helper.py")
    (text,) = [s["text"] for s in corrida("rerun", "b", "--json").json["certificate"]["suspects"]]
    assert text == "uncommitted changes differ in helper.py"


COMMAND = """
import json, os, pathlib, sys
here = pathlib.Path(__file__).resolve().parent
config = json.loads((here / "config" / "c.json").read_text())
extra = sorted(p.name for p in pathlib.Path("config").glob("*.json"))
out = pathlib.Path(os.environ["CORRIDA_RUN_DIR"])
rows = pathlib.Path(sys.argv[1]).read_text().split()
(out / "metrics.json").write_text(json.dumps({"k": config["k"] * len(rows), "files": len(extra)}))
(out / "items.csv").write_text("item_id,output\\n" + "".join(f"{r},{config['k']}\\n" for r in rows))
pathlib.Path("left.txt").write_text("left by the command")
pathlib.Path("data/rows.txt").write_text("overwritten")
print("worked with", config["k"])
"""


def test_a_command_is_executed_in_a_copy_of_the_project(corrida, project):
    (project / "config").mkdir()
    (project / "data").mkdir()
    (project / "work.py").write_text(COMMAND, encoding="utf-8")
    (project / "config" / "c.json").write_text('{"k": 3}', encoding="utf-8")
    rows = project / "data" / "rows.txt"
    rows.write_text("a b é 日本", encoding="utf-8")
    corrida("exec", "--run-id", "a", "--config", "config/*.json", "--data", "data/rows.txt",
            "--", sys.executable, project / "work.py", project / "data/rows.txt")  # fmt: skip
    rows.write_text("a b é 日本", encoding="utf-8")
    (project / "left.txt").unlink()
    (project / "config" / "c.json").write_text('{"k": 99}', encoding="utf-8")
    (project / "config" / "another.json").write_text("{}", encoding="utf-8")
    before = tree(project)
    said = corrida("rerun", "a")
    assert "identical: 4 items and 2 metrics" in said.out
    assert "worked with 3" in said.out
    assert tree(project) == before
    again = store().get("run_a-rerun")
    assert again.config_files() == {"config/c.json": b'{"k": 3}'}
    assert again.pipeline == store().get("a").pipeline
    assert (again.dir / "certificate.json").is_file()
    assert corrida("rerun", "a", "--json").json["certificate"]["outcome"] == "identical"
    rows.rename(project / "data" / "moved.txt")
    assert corrida("rerun", "a", "--json").json["certificate"]["outcome"] == "identical"
    assert not rows.exists()


def test_a_command_in_a_folder_below_with_links_and_files_beside_the_project(corrida, project, monkeypatch):
    (project / "corrida.toml").write_text("", encoding="utf-8")
    elsewhere = project.parent / "linked"
    elsewhere.mkdir()
    (elsewhere / "c.json").write_text('{"k": 3}', encoding="utf-8")
    (project / "config").symlink_to(elsewhere)
    (project.parent / "rows.txt").write_text("a b", encoding="utf-8")
    folder = project / "below"
    (folder / "data").mkdir(parents=True)
    (folder / "work.py").write_text(COMMAND.replace("here /", "here.parent /").replace('Path("config")', 'Path("../config")')
                                    .replace('Path("data/rows.txt")', 'Path("rows.txt")'), encoding="utf-8")  # fmt: skip
    monkeypatch.chdir(folder)
    corrida("exec", "--run-id", "a", "--config", "../config/c.json", "--config", "config/*.json", "--data",
            "../../rows.txt", "--", sys.executable, "work.py", "../../rows.txt", code=2)  # fmt: skip
    corrida("exec", "--run-id", "a", "--config", project / "config/*.json", "--data", project.parent / "rows.txt",
            "--", sys.executable, "work.py", "../../rows.txt")  # fmt: skip
    (elsewhere / "c.json").write_text('{"k": 4}', encoding="utf-8")
    (elsewhere / "d.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(project)
    assert corrida("rerun", "a", "--json").json["certificate"]["outcome"] == "identical"
    assert (elsewhere / "c.json").read_text(encoding="utf-8") == '{"k": 4}'
    assert (elsewhere / "d.json").exists()


def test_a_command_that_fails_now(corrida, project):
    (project / "w.py").write_text(
        "import pathlib, sys\nsys.exit(3 if pathlib.Path('fail').exists() else 0)\n", encoding="utf-8"
    )
    corrida("exec", "--run-id", "a", "--", sys.executable, "w.py")
    (project / "fail").write_text("", encoding="utf-8")
    said = corrida("rerun", "a", code=1)
    assert "differs: a had finished, and now it failed: the command ended with exit code 3" in said.out
    assert store().get("run_a-rerun").status == "failed"
    assert store().get("run_a-rerun").tags["certificate"] == "differs"


SCRIPT = """
import json, pathlib
import corrida
with corrida.start_run(pipeline="train", {given}configs=["c.json"], data=["d.txt"], params={{"p": 1}}, seed=4) as run:
    k = json.loads(pathlib.Path("c.json").read_text())["k"]
    run.log_items([{{"item_id": str(n), "output": k * n}} for n in range(3)])
    run.log_metrics({{"k": k}})
"""


@pytest.mark.parametrize("given", ["", 'run_tag="mine", ', 'run_id="mine", '])
def test_a_script_is_executed_again(corrida, project, given):
    (project / "train.py").write_text(SCRIPT.format(given=given), encoding="utf-8")
    (project / "c.json").write_text('{"k": 3}', encoding="utf-8")
    (project / "d.txt").write_text("x", encoding="utf-8")
    subprocess.run([sys.executable, "train.py"], check=True, capture_output=True)
    (run,) = store().runs()
    (project / "c.json").write_text('{"k": 5}', encoding="utf-8")
    found = corrida("rerun", run.id, "--json").json
    assert found["certificate"]["outcome"] == "identical"
    assert found["certificate"]["items"] == 3
    assert (found["certificate"]["rerun"] == found["run"]) == ("run_tag" not in given)
    assert store().get(found["certificate"]["rerun"]).config_files() == {"c.json": b'{"k": 3}'}


def test_a_script_and_a_command_with_a_store_elsewhere(corrida, project, monkeypatch):
    (project / "train.py").write_text(SCRIPT.format(given=""), encoding="utf-8")
    (project / "c.json").write_text('{"k": 3}', encoding="utf-8")
    (project / "d.txt").write_text("x", encoding="utf-8")
    monkeypatch.setenv("CORRIDA_DIR", str(project.parent / "elsewhere"))
    subprocess.run([sys.executable, "train.py"], check=True, capture_output=True)
    monkeypatch.delenv("CORRIDA_DIR")
    (run,) = Store(project.parent / "elsewhere").runs()
    found = corrida("rerun", run.id, "--store", "../elsewhere", "--json").json
    assert (found["certificate"]["outcome"], found["certificate"]["items"]) == ("identical", 3)
    (project / "corrida.toml").write_text('store = "../third"\n', encoding="utf-8")
    corrida("exec", "--run-id", "a", "--", sys.executable, "train.py")
    assert store().get("a").metrics == {"k": 3}
    found = corrida("rerun", "a", "--json").json
    assert found["certificate"]["outcome"] == "identical"
    assert (len(store()), found["certificate"]["rerun"]) == (2, "run_a-rerun")


def test_runs_that_cannot_be_executed_again(corrida, shop):
    import corrida as api

    with api.start_run(run_id="prompt") as run:
        run.log_metrics({"a": 1})
    assert "was started from Python, not from a script" in corrida.refuses("rerun", "prompt")
    with pytest.raises(ValueError, match="no"), api.start_run(run_id="broken"):
        raise ValueError("no")
    assert "is failed; only a run that has finished" in corrida.refuses("rerun", "broken")
    corrida("run", "jobs", "--run-id", "a")
    folder = store().get("a").dir
    (folder / "config" / "rules.json").rename(folder / "config" / "r.json")
    assert "lacks its configuration" in corrida.refuses("rerun", "a", code=1)
    (folder / "run.json").write_bytes(b"{")
    assert "cannot be read" in corrida.refuses("rerun", "a", code=1)
    assert "no run" in corrida.refuses("rerun", "nobody")


@pytest.mark.parametrize("width", [80, 140])
def test_what_a_person_sees(corrida, shop, width):
    corrida("run", "jobs", "--run-id", "a")
    shown = corrida.terminal(width, "rerun", "a", code=1)
    assert all(len(line) <= width for line in shown.splitlines())
    assert "drawn" in shown
    assert "Suspects" in shown

"""The recorder of a run: child runs, executors, and what an earlier run had saved."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from corrida import Store
from corrida.execute import RunOptions, run_pipeline
from corrida.project import find_project

FAMILY = '''
import os
import signal

import polars as pl

from corrida import Outcome


def double(number):
    return number * 2


def family(data, config, recorder):
    """Opens children, one of which fails."""
    for name, score in config.get("children", {}).items():
        try:
            with recorder.child(name, params={"score": score}, description=f"the {name}") as child:
                print("inside", name)
                child.log({"loss": 1.0}, step=1)
                child.save_text("note.txt", name)
                if score == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                if score is None:
                    raise ValueError("no score")
                items = pl.DataFrame({"item_id": ["a"], "loss": [score]})
                child.finish(Outcome({"f1": score}, items, summary=f"{name} is done"))
                recorder.log({"seen": score})
        except ValueError as error:
            recorder.warn(f"{child.run_id}: {error}")
    with recorder.executor(config.get("jobs", 1)) as executor:
        found = sorted(done.result for done in executor.run(double, range(3)))
    return Outcome({"f1": 1.0, "doubled": sum(found), "slots": executor.slots})
'''


@pytest.fixture
def family(project):
    (project / "family_pipeline.py").write_text(FAMILY, encoding="utf-8")
    (project / "corrida.toml").write_text(
        '[pipelines.family]\nuses = "family_pipeline:family"\nprimary_metric = "f1"\nsource = "gold"\nseed = 7\n',
        encoding="utf-8",
    )
    return project


def run(project, **options):
    return run_pipeline(find_project(), "family", RunOptions(**options), argv=["corrida", "run", "family"])


def test_children_are_runs_of_their_own_below_their_parent(family, corrida):
    run(family, run_id="parent", overrides={"children": {"ridge": 0.5, "árbol rápido": 0.25, "svm": None}})
    store = Store("runs")
    ridge = store.get("parent-ridge")
    assert (ridge.status, ridge.parent, ridge.pipeline, ridge.seed, ridge.source) == (
        "finished",
        "parent",
        "family",
        7,
        "gold",
    )
    assert ridge.params == {"score": 0.5}
    assert ridge.metrics == {"f1": 0.5}
    assert ridge.description == "the ridge"
    assert ridge.summary == "ridge is done"
    assert ridge.primary_metric.name == "f1"
    assert ridge.tags == {"child": "ridge"}
    assert ridge.items()["loss"].to_list() == [0.5]
    assert (ridge.dir / "note.txt").read_text() == "ridge"
    assert "inside ridge" in (ridge.dir / "log.txt").read_text()
    assert store.get("parent-arbol_rapido").tags == {"child": "árbol rápido"}
    failed = store.get("parent-svm")
    assert failed.status == "failed"
    assert failed.error.message == "no score"
    parent = store.get("parent")
    assert parent.status == "finished"
    assert parent.warnings == ("parent-svm: no score",)
    assert all(found.intact for found in store.verify())
    listed = corrida("list").out
    assert "parent" in listed
    assert "parent-ridge" not in listed
    assert "parent       parent" in corrida("show", "parent-ridge").out
    assert corrida("rm", "parent").code == 0
    assert store.runs() == []


def test_a_taken_name_of_a_child_gets_a_number(family):
    (family / "runs" / "parent-ridge").mkdir(parents=True)
    run(family, run_id="parent", overrides={"children": {"ridge": 0.5}})
    assert Store("runs").get("parent-ridge-2").parent == "parent"


def test_children_of_a_run_that_is_not_kept_are_not_kept(family):
    done = run(family, save=False, overrides={"children": {"ridge": 0.5}})
    assert done.metrics["f1"] == 1.0
    assert not (family / "runs").exists()


def test_a_killed_parent_leaves_both_crashed_and_readable(family, corrida):
    done = corrida.process("run", "family", "--run-id", "parent", "--set", "children={ridge: kill}")
    assert done.returncode == -signal.SIGKILL
    store = Store("runs")
    assert [store.get(name).status for name in ("parent", "parent-ridge")] == ["crashed", "crashed"]
    assert store.get("parent-ridge").history()["loss"].to_list() == [1.0]
    assert (store.get("parent-ridge").dir / "note.txt").read_text() == "ridge"


def test_the_person_says_where_tasks_run_and_it_is_recorded(family, corrida):
    corrida("run", "family", "--run-id", "one")
    corrida("run", "family", "--run-id", "two", "--executor", "local", "--jobs", "2")
    corrida("run", "family", "--run-id", "three", "--set", "jobs=2")
    corrida("run", "family", "--run-id", "four", "--set", "jobs=2", "--executor", "serial")
    store = Store("runs")
    assert [store.get(name).metrics["slots"] for name in ("one", "two", "three", "four")] == [1, 2, 2, 1]
    assert all(store.get(name).metrics["doubled"] == 6 for name in ("one", "two", "three", "four"))
    asked = store.get("two").run_file().invocation
    assert (asked.executor, asked.jobs) == ("local", 2)
    assert "executor" not in json.loads((store.get("one").dir / "run.json").read_text())["invocation"]
    compared = corrida("compare", "one", "two").out
    assert "executor" not in compared
    assert "local" not in compared
    assert "there is no executor 'dask'" in corrida.refuses("run", "family", "--executor", "dask")
    assert len(store.runs()) == 4


def test_a_cluster_that_is_not_there_fails_the_run_with_one_sentence(family, corrida):
    said = corrida.refuses("run", "family", "--executor", "ray://127.0.0.1:9", code=1)
    assert said.startswith("nothing answers at ray://127.0.0.1:9")


EARLIER = '''
import os
import signal
from pathlib import Path

from corrida import Outcome

SEEN = []


def steps(data, config, recorder):
    """Makes parts, and takes over those that are there."""
    taken = []
    text = data.files[0].read_text()
    for name in ("a", "b", "c"):
        path = recorder.earlier(f"models/{name}")
        if path is not None:
            taken.append(name)
            recorder.save_model(name, lambda folder: (folder / "w").write_bytes((path / "w").read_bytes()), format="bytes")
            continue
        if name == config.get("stop") and Path("stop").exists():
            action = Path("stop").read_text()
            if action == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if action == "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
            raise RuntimeError("cannot go on")
        recorder.save_model(name, lambda folder: (folder / "w").write_text(f"{name} {text} {data.seed}"), format="bytes")
    with recorder.child("all", params={"n": 1}) as child:
        child.save_text("whole.txt", "whole")
        taken += ["child"] if child.earlier("whole.txt") else []
    return Outcome({"taken": len(taken)}, summary=" ".join(taken))
'''


@pytest.fixture
def steps(project):
    (project / "steps_pipeline.py").write_text(EARLIER, encoding="utf-8")
    (project / "in.csv").write_text("x\n1\n", encoding="utf-8")
    (project / "steps.json").write_text('{"stop": "c"}', encoding="utf-8")
    (project / "corrida.toml").write_text(
        '[pipelines.steps]\nuses = "steps_pipeline:steps"\nconfigs = ["steps.json"]\ndata = ["in.csv"]\nseed = 3\n'
        'tags = {team = "x"}\n',
        encoding="utf-8",
    )
    return project


@pytest.mark.parametrize("action", ["kill", "interrupt", "raise"])
def test_resume_takes_over_what_was_finished(steps, corrida, action):
    (steps / "stop").write_text(action)
    first = corrida.process("run", "steps", "--run-id", "exp", "--description", "first")
    assert first.returncode == {"kill": -9, "interrupt": 130, "raise": 1}[action]
    if action == "interrupt":
        assert first.stderr.strip() == (
            "corrida: interrupted; exp keeps what was done; go on with: corrida run --resume exp"
        )
    (steps / "stop").unlink()
    (steps / "steps.json").write_text("{}", encoding="utf-8")  # what was recorded counts
    said = corrida("run", "--resume", "exp")
    assert "exp-2  finished, in runs/exp-2" in said.out
    store = Store("runs")
    old, new = store.get("exp"), store.get("exp-2")
    assert new.summary == "a b"
    assert new.resumed_from == "exp"
    assert (new.seed, new.tags, new.description) == (3, {"team": "x"}, "first")
    assert new.params["stop"] == "c"
    assert old.status == {"kill": "crashed", "interrupt": "failed", "raise": "failed"}[action]
    assert (new.dir / "models" / "c" / "w").read_text() == "c x\n1\n 3"
    assert (new.dir / "models" / "a" / "w").read_bytes() == (old.dir / "models" / "a" / "w").read_bytes()
    assert "resumes      exp" in corrida("show", "exp-2").out
    assert [r["id"] for r in corrida("list", "--filter", "resumed_from = 'exp'", "--json").json] == ["exp-2"]
    assert store.verify(["exp-2"])[0].intact
    assert "has finished: there is nothing to resume" in corrida.refuses("run", "--resume", "exp-2")


def test_resuming_again_looks_into_all_of_them(steps, corrida):
    (steps / "stop").write_text("raise")
    corrida("run", "steps", "--run-id", "exp", code=1)
    import shutil

    corrida("run", "steps", "--resume", "exp", code=1)
    assert Store("runs").get("exp-2").status == "failed"
    shutil.rmtree(steps / "runs" / "exp-2" / "models" / "a")
    (steps / "stop").unlink()
    corrida("run", "--resume", "exp-2", "--tag", "k=v")
    last = Store("runs").get("exp-3")
    assert last.resumed_from == "exp-2"
    assert last.summary == "a b"
    assert last.tags == {"team": "x", "k": "v"}


def test_children_find_what_their_namesakes_saved(steps, corrida):
    corrida("run", "steps", "--run-id", "exp")
    store = Store("runs")
    # The parent was killed after its child had ended.
    file = steps / "runs" / "exp" / "run.json"
    content = json.loads(file.read_text())
    for key in ("finished", "duration", "seal", "files"):
        content.pop(key, None)
    content |= {"status": "running", "process": {"host": "elsewhere", "pid": 1}}
    file.write_text(json.dumps(content))
    os.utime(file, (1, 1))
    assert store.get("exp").status == "crashed"
    corrida("run", "--resume", "exp")
    assert store.get("exp-2").summary == "a b c child"


@pytest.mark.parametrize("kind", ["sealed", "killed"])
def test_what_was_altered_is_not_taken_over_and_that_is_said(steps, corrida, kind):
    (steps / "stop").write_text("raise" if kind == "sealed" else "kill")
    corrida.process("run", "steps", "--run-id", "exp")
    (steps / "stop").unlink()
    (steps / "runs" / "exp" / "models" / "a" / "w").write_text("poison")
    said = corrida("run", "--resume", "exp")
    assert "warning: models/a of exp was altered since, and is not taken over" in said.out
    new = Store("runs").get("exp-2")
    assert new.summary == "b"
    assert (new.dir / "models" / "a" / "w").read_text() == "a x\n1\n 3"


def test_half_a_model_of_a_killed_run_is_none(steps, corrida):
    (steps / "stop").write_text("kill")
    corrida.process("run", "steps", "--run-id", "exp")
    (steps / "stop").unlink()
    (steps / "runs" / "exp" / "models" / "b" / "model.json").unlink()
    said = corrida("run", "--resume", "exp", "--run-id", "mine")
    assert "altered" not in said.out
    assert Store("runs").get("mine").summary == "a"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--set", "stop=a"), "--set has no place beside it"),
        (("--seed", "1"), "--seed has no place beside it"),
        (("--config", "steps.json"), "--config has no place beside it"),
        (("--items", "in.csv"), "--items has no place beside it"),
        (("--no-save",), "--no-save has no place beside it"),
    ],
)
def test_resume_keeps_the_inputs(steps, corrida, arguments, sentence):
    assert sentence in corrida.refuses("run", "--resume", "exp", *arguments)


def test_resume_refuses_what_it_cannot_go_on_with(steps, corrida):
    assert "name a pipeline" in corrida.refuses("run")
    (steps / "stop").write_text("raise")
    corrida("run", "steps", "--run-id", "exp", code=1)
    assert "exp is a run of steps, not of forecasting" in corrida.refuses("train", "--resume", "exp")
    (steps / "in.csv").write_text("x\n2\n", encoding="utf-8")
    assert "in.csv, which exp read" in corrida.refuses("run", "--resume", "exp")
    (steps / "moved.csv").write_text("x\n1\n", encoding="utf-8")
    (steps / "stop").unlink()
    corrida("run", "steps", "--resume", "exp", "--data", "moved.csv")
    assert Store("runs").get("exp-2").summary == "a b"
    assert "there is no run" in corrida.refuses("run", "--resume", "nothing")
    said = corrida.process("exec", "--run-id", "cmd", "--", sys.executable, "-c", "raise SystemExit(3)")
    assert said.returncode == 3
    assert "was a command or a script" in corrida.refuses("run", "--resume", "cmd")


def test_a_run_that_still_runs_is_not_resumed(steps, corrida):
    script = "import corrida, sys, time\nrun = corrida.start_run(pipeline='steps', run_id='live')\nprint('up', flush=True)\ntime.sleep(60)\n"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "up\n"
        assert "live still runs" in corrida.refuses("run", "--resume", "live", code=1)
    finally:
        process.kill()
        process.communicate()


def test_an_outcome_that_cannot_be_used_fails_the_child(family):
    run(family, run_id="p", overrides={"children": {"ridge": "text"}})
    child = Store("runs").get("p-ridge")
    assert (child.status, child.error.type) == ("failed", "InvalidMetric")

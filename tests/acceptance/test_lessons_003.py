"""What went wrong in versioned training runs, each as a test that it cannot happen here."""

from __future__ import annotations


def test_list_runs_is_installed(toy, corrida):
    corrida("run", "jobs", "--run-id", "a")
    done = corrida.process("list-runs")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split()[:3] == ["a", "jobs", "finished"]
    assert done.stdout == corrida.process("list").stdout


def test_latest_is_the_last_that_ran_whatever_the_names(toy, corrida):
    for name in ("zz_custom", "run_20991231_235959", "my_experiment_v1", "Alpha"):
        corrida("run", "jobs", "--run-id", name)
    assert corrida("show", "latest", "--json").json["id"] == "Alpha"
    assert corrida("show", "latest~1", "--json").json["id"] == "my_experiment_v1"
    assert [r["id"] for r in corrida("list", "--json").json] == [
        "Alpha",
        "my_experiment_v1",
        "run_20991231_235959",
        "zz_custom",
    ]


def test_latest_passes_over_runs_that_failed(toy, corrida):
    corrida("run", "jobs", "--run-id", "good")
    corrida("exec", "--run-id", "bad", "--", "sh", "-c", "exit 4", code=4)
    assert corrida("show", "latest", "--json").json["id"] == "good"


def test_a_run_id_that_is_taken_is_refused_and_nothing_is_overwritten(toy, corrida):
    corrida("run", "jobs", "--run-id", "experiment_baseline", "--description", "the first")
    before = (toy.root / "runs/experiment_baseline/run.json").read_bytes()
    sentence = corrida.refuses("run", "jobs", "--run-id", "experiment_baseline")
    assert "experiment_baseline" in sentence
    assert "another id" in sentence
    assert (toy.root / "runs/experiment_baseline/run.json").read_bytes() == before
    corrida("rm", "experiment_baseline")
    assert "in the trash" in corrida.refuses("run", "jobs", "--run-id", "experiment_baseline")
    corrida("undo")
    assert (toy.root / "runs/experiment_baseline/run.json").read_bytes() == before


def test_data_and_environment_are_recorded(toy, corrida):
    corrida("run", "jobs")
    run = corrida("show", "--json").json
    data = run["manifest"]["data"][0]
    assert data["path"] == "data/texts.csv"
    assert data["sha256"].startswith("sha256:")
    assert data["size"] == (toy.root / "data/texts.csv").stat().st_size
    assert run["environment"]["python"]
    assert "polars" in run["environment"]["packages"]


def test_item_ids_stay_the_text_that_they_are(toy, corrida):
    toy.texts(["007,a cook,C", "1e3,a baker,B", "null,a waiter,W"])
    corrida("run", "jobs")
    assert [r["item_id"] for r in corrida("items", "--json").json] == ["007", "1e3", "null"]


def test_what_is_counted_is_what_happened(toy, corrida):
    (toy.root / "half.py").write_text(
        "def train(data, config, recorder):\n    recorder.save_text('models/a.txt', 'a')\n    raise RuntimeError('b')\n",
        encoding="utf-8",
    )
    corrida("run", "half:train", "--run-id", "half", code=1)
    run = corrida("show", "half", "--json").json
    assert run["status"] == "failed"
    assert run["artifacts"] == ["models/a.txt"]
    assert "there is no latest" in corrida.refuses("show", "latest")

"""``corrida predict`` with a small pipeline of the project: which run, what is written, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess

import polars as pl
import pytest

import corrida as package
from corrida.errors import AlreadyExists, StoreError

PIPELINE = '''
"""The mean of a column, as a model."""

import json
import pickle
from collections.abc import Sequence

import polars as pl

from corrida.errors import InvalidData
from corrida.pipelines.contract import Outcome, Prediction
from corrida.pipelines.model_files import check_model, read_facts
from corrida.pipelines.registry import merge_configs


class Mean:
    name, description, primary_metric = "mean", "the mean", "mean"
    columns, directions = (), {"mean": "min"}

    def configure(self, files, overrides):
        return merge_configs(files, overrides)

    def data_files(self, config):
        return {}

    def run(self, data, config, recorder):
        mean = pl.read_csv(data.files[0])["y"].mean()
        kind = config.get("kind", "json")
        dump = pickle.dumps if kind == "pickle" else lambda v: json.dumps(v).encode()
        for name in config.get("children", []):
            try:
                with recorder.child(name, params={"model": name}) as child:
                    if name == "broken":
                        raise RuntimeError("it broke")
                    child.save_model("mean", lambda f: (f / "mean").write_bytes(dump(mean + 100)), format=kind)
            except RuntimeError:
                pass
        if config.get("fail"):
            raise RuntimeError("no luck")
        if config.get("keep", True):
            recorder.save_model("mean", lambda f: (f / "mean").write_bytes(dump(mean)), format=kind)
        return Outcome({"mean": mean})

    def load(self, models, *, trust=False):
        check_model(models / "mean", trust=trust)
        content = (models / "mean" / "mean").read_bytes()
        kind = read_facts(models / "mean").format
        return Loaded(pickle.loads(content) if kind == "pickle" else json.loads(content))


class Loaded:
    def __init__(self, mean):
        self.mean = mean

    def predict(self, data=None, *, names: Sequence[str] = (), scale: float = 1.0, odd: "Odd" = None):
        if scale == 0:
            raise KeyError("zero")
        if scale < 0:
            raise InvalidData("a negative scale turns the sky to the ground; give another")
        if odd == "nested":
            return Prediction(pl.DataFrame({"name": ["a"], "parts": [[1, 2]]}))
        if odd == "listed":
            return Prediction(pl.DataFrame({"name": ["a"], "reasons": [["cash", "night"]]}))
        if odd == "taken":
            return Prediction(pl.DataFrame({"run_id": ["a"]}))
        read = [pl.read_parquet(f) if f.suffix == ".parquet" else pl.read_csv(f) for f in (data.files if data else ())]
        rows = list(names) + [str(v) for frame in read for v in frame["y"]]
        frame = pl.DataFrame({"name": rows or ["all"], "value": [self.mean * scale] * len(rows or "1")})
        return Prediction(frame, ["a mean is no prophecy"])
'''


@pytest.fixture
def mean(project):
    (project / "mean_pipeline.py").write_text(PIPELINE, encoding="utf-8")
    (project / "corrida.toml").write_text(
        '[pipelines.mean]\nuses = "mean_pipeline:Mean"\ndata = ["y.csv"]\n'
        '[pipelines.plain]\nuses = "plain_pipeline:run"\n',
        encoding="utf-8",
    )
    (project / "plain_pipeline.py").write_text(
        "def run(data, config, recorder):\n    recorder.save_text('models/x.txt', 'x')\n    return {'x': 1}\n",
        encoding="utf-8",
    )
    (project / "y.csv").write_text("y\n1\n2\n3\n", encoding="utf-8")
    return project


def made(project, run):
    return sorted(p.name for p in (project / "runs" / run / "predictions").glob("*"))


def test_the_latest_predicts_and_what_is_written(mean, corrida):
    corrida("run", "mean", "--run-id", "zz")
    corrida("run", "mean", "--run-id", "aa", "--set", "keep=true")
    corrida("run", "plain", "--run-id", "later")
    said = corrida("predict", "--set", "scale=2", "--set", "names=[año, 東京]")
    lines = said.out.splitlines()
    assert lines[0] == "aa predicts: it is the latest finished run of mean; no run is @production"
    assert "note: a mean is no prophecy" in lines
    table, about = sorted((mean / "runs/aa/predictions").iterdir(), key=lambda p: p.suffix, reverse=True)
    assert lines[-1] == f"2 rows in runs/aa/predictions/{table.name}"
    frame = pl.read_parquet(table)
    assert frame.columns == ["name", "value", "run_id", "prediction_id"]
    assert frame.rows() == [("año", 4.0, "aa", table.stem), ("東京", 4.0, "aa", table.stem)]
    told = json.loads(about.read_text(encoding="utf-8"))
    run_file = json.loads((mean / "runs/aa/run.json").read_text(encoding="utf-8"))
    assert told["run_digest"] == run_file["seal"]
    assert told["options"] == {"scale": 2.0, "names": ["año", "東京"]}
    assert (told["rows"], told["size"], told["notes"]) == (2, table.stat().st_size, ["a mean is no prophecy"])
    assert told["created"].endswith("Z")
    assert told["corrida"] == package.__version__
    assert corrida("verify", "--json").json[0]["problems"] == []
    assert corrida("show", "aa", "--json").json["predictions"][0]["id"] == table.stem
    assert "predictions/" not in str(corrida("show", "aa", "--json").json["artifacts"])
    shown = corrida("show", "aa").out
    assert f"{table.name}" in shown
    assert "names=año,東京" in shown
    assert "json" in shown.partition("Models")[2]


def test_production_predicts_before_the_latest(mean, corrida):
    corrida("run", "mean", "--run-id", "first")
    corrida("run", "mean", "--run-id", "second")
    corrida("promote", "first", "@production")
    said = corrida("predict", "--json").json
    assert (said["run"], said["why"], said["alias"]) == ("first", "it is @production", "production")
    corrida("promote", "second", "@production")
    assert corrida("predict", "@production", "--json").json["run"] == "second"
    assert "say the same" in corrida.refuses("promote", "second", "@stage", "--alias", "other")
    corrida("demote", "@production")
    assert corrida("predict", "--json").json["run"] == "first"
    corrida("demote", "@production")
    assert "no run is @production" in corrida.refuses("predict", "@production")
    said = corrida("predict", "--json").json
    assert (said["run"], said["alias"]) == ("second", None)
    assert "no run is @production" in said["why"]


def test_production_that_cannot_predict_is_passed_over_and_it_is_said(mean, corrida):
    corrida("run", "mean", "--run-id", "able")
    corrida("run", "plain", "--run-id", "unable")
    corrida("promote", "unable", "@production")
    said = corrida("predict", "--json").json
    assert said["run"] == "able"
    assert "@production, unable, is of plain, which cannot predict" in said["why"]
    said = corrida("predict", "--pipeline", "mean", "--json").json
    assert "@production, unable, is of plain" in said["why"]
    assert "plain cannot predict" in corrida.refuses("predict", "--pipeline", "plain")
    assert "is of plain, which cannot predict" in corrida.refuses("predict", "unable")


def test_the_latest_is_found_behind_many_runs_of_others(mean, corrida, monkeypatch):
    monkeypatch.setattr("corrida.execute.predictable._PAGE", 2)
    corrida("run", "mean", "--run-id", "able")
    for pipeline in ("it's", "b", "it's", "b", "it's", "plain"):
        with package.start_run(pipeline=pipeline):
            pass
    corrida("run", "plain")
    assert corrida("predict", "--json").json["run"] == "able"


def test_an_alias_that_points_nowhere(mean, corrida):
    corrida("run", "mean", "--run-id", "served")
    corrida("run", "mean", "--run-id", "other")
    corrida("promote", "served", "@production")
    shutil.rmtree(mean / "runs/served")
    for arguments in ((), ("@production",)):
        sentence = corrida.refuses("predict", *arguments)
        assert sentence == "@production is the run served, which is not in the store; promote another"
    assert not (mean / "runs/other/predictions").exists()


def test_runs_that_cannot_predict(mean, corrida):
    assert "no run of a pipeline that can predict has finished" in corrida.refuses("predict")
    assert "no run of mean has finished" in corrida.refuses("predict", "--pipeline", "mean")
    corrida("run", "mean", "--run-id", "failed", "--set", "fail=true", code=1)
    assert "the run failed is failed (no luck); only a finished run predicts" in corrida.refuses(
        "predict", "failed"
    )
    corrida("run", "mean", "--run-id", "able")
    corrida("run", "mean", "--run-id", "empty", "--set", "keep=false")
    assert "the run empty has no models to predict with" in corrida.refuses("predict", "empty")
    said = corrida("predict", "--json").json
    assert said["run"] == "able"
    assert "empty is newer, and has no models" in said["why"]
    corrida("exec", "--run-id", "script", "--", "true")
    assert "is no pipeline that is known here" in corrida.refuses("predict", "script")
    assert "there is no run 'nobody'" in corrida.refuses("predict", "nobody")
    assert "is of mean, not of forecasting" in corrida.refuses("predict", "able", "--pipeline", "forecasting")
    assert "there is no pipeline 'meen'" in corrida.refuses("predict", "--pipeline", "meen")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--set", "scal=2"],
            "the prediction of mean has no option 'scal'; it has names, scale, odd. Did you mean scale?",
        ),
        (["--cherry-pick"], "has no option 'cherry_pick'"),
        (["--horizon", "3"], "has no option 'horizon'"),
        (["--set", "scale=much"], "the option scale is 'much': it must be a number, not text"),
        (["--set", "scale=-1"], "a negative scale turns the sky to the ground"),
        (["--data", "nothing.csv"], "nothing.csv"),
        (["--data", "sqlite:///y.db"], "names no table"),
        (
            ["--set", "odd=nested", "--format", "csv"],
            "the column 'parts' has no place in a CSV; use --format parquet",
        ),
        (["--out", "y.csv"], "y.csv is there already, and nothing is overwritten"),
        (["--out", "no/where.csv"], "there is no folder 'no' for where.csv"),
        (["--out", "table.xlsx"], "ends in neither .parquet nor .csv"),
        (["--set", "model=a", "--model", "b"], "say the same; give one"),
        (["--series", "a", "--set", "series=a"], "say the same; give one"),
        (["--format", "json"], "'json' is not one of 'parquet', 'csv'"),
    ],
)
def test_wrong_use_leaves_nothing(mean, corrida, arguments, sentence):
    corrida("run", "mean", "--run-id", "a")
    before = sorted(p for p in mean.rglob("*") if "__pycache__" not in p.parts)
    assert sentence in corrida.refuses("predict", "a", *arguments)
    assert sorted(p for p in mean.rglob("*") if "__pycache__" not in p.parts) == before


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("scale=0", "the prediction of a failed in mean_pipeline.py:"),
        ("odd=taken", "mean gives its predictions a column run_id, which corrida writes itself"),
    ],
)
def test_a_pipeline_that_fails_leaves_nothing(mean, corrida, setting, sentence):
    corrida("run", "mean", "--run-id", "a")
    assert sentence in corrida.refuses("predict", "a", "--set", setting, code=1)
    assert not (mean / "runs/a/predictions").exists()
    assert corrida("verify").code == 0


def test_data_from_files_globs_and_tables_with_their_digests(mean, corrida):
    corrida("run", "mean", "--run-id", "a")
    (mean / "new").mkdir()
    for number in (7, 8):
        (mean / "new" / f"part{number}.csv").write_text(f"y\n{number}\n", encoding="utf-8")
    with sqlite3.connect(mean / "y.db") as database:
        database.execute("CREATE TABLE more (id INTEGER PRIMARY KEY, y INTEGER)")
        database.execute("INSERT INTO more VALUES (1, 9)")
    database.close()
    said = corrida(
        "predict", "a", "--data", "new/*.csv", "--data", "sqlite:///y.db?table=more", "--json"
    ).json
    assert [entry["path"] for entry in said["data"]] == [
        "new/part7.csv", "new/part8.csv", "sqlite:///y.db?table=more",
    ]  # fmt: skip
    assert [entry["rows"] for entry in said["data"]] == [1, 1, 1]
    assert all(entry["sha256"].startswith("sha256:") for entry in said["data"])
    assert pl.read_parquet(mean / said["path"])["name"].to_list() == ["7", "8", "9"]
    os.chdir(mean / "new")
    assert corrida("predict", "a", "--data", "part7.csv", "--json").json["data"][0]["path"] == "new/part7.csv"


def test_csv_and_copies(mean, corrida):
    corrida("run", "mean", "--run-id", "a")
    said = corrida("predict", "a", "--format", "csv", "--out", "copy.parquet", "--json").json
    table = mean / said["path"]
    assert table.suffix == ".csv"
    assert table.read_text(encoding="utf-8") == f"name,value,run_id,prediction_id\nall,2.0,a,{said['id']}\n"
    assert pl.read_parquet(mean / "copy.parquet").rows() == [("all", 2.0, "a", said["id"])]
    listed = corrida("predict", "a", "--set", "odd=listed", "--format", "csv", "--json").json
    assert "a,cash; night,a," in (mean / listed["path"]).read_text(encoding="utf-8")
    corrida("predict", "a", "--out", "bare")
    assert pl.read_parquet(mean / "bare").height == 1
    assert corrida("verify").code == 0


def test_what_was_altered_is_named(mean, corrida):
    corrida("run", "mean", "--run-id", "a")
    first, second, third, fourth = (corrida("predict", "a", "--json").json["id"] for _ in range(4))
    folder = mean / "runs/a/predictions"
    assert corrida("verify", "a", "--json").json[0]["files"] >= 4
    table = folder / f"{first}.parquet"
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    about = folder / f"{second}.json"
    about.write_text(about.read_text(encoding="utf-8").replace('"rows": 1', '"rows": 2'), encoding="utf-8")
    (folder / f"{third}.parquet").unlink()
    (folder / f"{fourth}.json").unlink()
    (folder / "mine.csv").write_text("a\n1\n", encoding="utf-8")
    found = {(p["file"], p["finding"]) for p in corrida("verify", "a", "--json", code=1).json[0]["problems"]}
    assert found == {
        (f"predictions/{first}.parquet", "altered"),
        (f"predictions/{second}.json", "altered"),
        (f"predictions/{third}.parquet", "missing"),
        (f"predictions/{fourth}.parquet", "left over"),
        ("predictions/mine.csv", "added"),
    }
    said = corrida("verify", "a", code=1).out
    assert f"altered: predictions/{first}.parquet (same size)" in said
    assert corrida("predict", "a").code == 0


def test_what_a_kill_left_is_named_and_no_damage(mean, corrida):
    corrida("run", "mean", "--run-id", "a")
    said = corrida("predict", "a", "--json").json
    (mean / "runs/a/predictions" / f"{said['id']}.json").unlink()
    told = corrida("verify").out
    assert f"left over: predictions/{said['id']}.parquet (a kill cut a prediction off; delete it)" in told
    assert "1 of 1 runs intact" in told
    assert corrida("show", "a", "--json").json["predictions"] == []


def test_a_prediction_of_another_run_is_noticed(mean, corrida):
    corrida("run", "mean", "--run-id", "a")
    corrida("run", "mean", "--run-id", "b")
    corrida("predict", "a")
    shutil.copytree(mean / "runs/a/predictions", mean / "runs/b/predictions")
    told = corrida("verify", "b", code=1).out
    assert "it is a prediction of the run a" in told


def test_predictions_go_where_the_run_goes(mean, corrida, tmp_path):
    corrida("run", "mean", "--run-id", "a")
    said = corrida("predict", "a", "--json").json
    corrida("rm", "a")
    corrida("undo")
    assert corrida("show", "a", "--json").json["predictions"][0]["id"] == said["id"]
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(mean / "runs/a", elsewhere / "a")
    assert corrida("verify", "--store", elsewhere).code == 0
    (mean / "y.csv").unlink()
    again = corrida("predict", elsewhere / "a", "--json").json
    assert again["run"] == "a"
    assert len(list((elsewhere / "a/predictions").iterdir())) == 4
    assert len(made(mean, "a")) == 2
    assert corrida("verify", "--store", elsewhere).code == 0


def test_a_run_with_predictions_is_still_reproduced(mean, corrida):
    corrida("run", "mean", "--run-id", "a")
    corrida("predict", "a")
    assert "identical" in corrida("rerun", "a").out


def test_a_pipeline_that_the_project_does_not_name(mean, corrida):
    corrida("run", "mean", "--run-id", "a")
    (mean / "corrida.toml").unlink()
    assert corrida("predict", "--json").json["run"] == "a"
    (mean / "mean_pipeline.py").unlink()
    done = corrida.process("predict", "a")
    assert done.returncode == 2
    assert done.stderr.startswith("corrida: there is no module 'mean_pipeline' for the pipeline")


@pytest.mark.parametrize("name", ["models/mean/mean", "models/mean/model.json", "run.json"])
def test_an_altered_model_is_not_loaded(mean, corrida, name):
    corrida("run", "mean", "--run-id", "a")
    file = mean / "runs/a" / name
    file.write_bytes(file.read_bytes().replace(b"2.0", b"3.0").replace(b'"json"', b'"jsox"'))
    sentence = corrida.refuses("predict", "a", code=1)
    assert f"{name} of the run a was altered since the run, and is not loaded" in sentence
    if name != "run.json":
        file.unlink()
        assert f"{name} of the run a is missing" in corrida.refuses("predict", "a", code=1)
    assert not (mean / "runs/a/predictions").exists()


def test_a_pickle_is_read_with_consent_only(mean, corrida):
    corrida("run", "mean", "--run-id", "a", "--set", "kind=pickle")
    sentence = corrida.refuses("predict", "a", code=1)
    assert "models/mean is a pickle, which can run any code when it is read; give --trust" in sentence
    assert corrida("predict", "a", "--trust", "--json").json["trust"] is True
    assert "run any code" in " ".join(corrida("predict", "--help").out.split())


def test_a_model_of_a_search_is_one_of_its_children(mean, corrida):
    corrida("run", "mean", "--run-id", "search", "--set", "children=[ridge, broken]")
    assert corrida("predict", "--json").json["run"] == "search"
    said = corrida("predict", "--model", "ridge", "--json").json
    assert said["run"] == "search-ridge"
    assert said["why"].startswith("it is ridge of search; it is the latest finished run of mean")
    assert pl.read_parquet(mean / said["path"])["value"].to_list() == [102.0]
    assert "search-broken is failed (it broke)" in corrida.refuses("predict", "search", "--model", "broken")
    assert "has no option 'model'" in corrida.refuses("predict", "search", "--model", "lasso")


def test_many_at_once(mean, corrida):
    corrida("run", "mean", "--run-id", "a")
    at_once = [corrida.start("predict", "a", "--json") for _ in range(6)]
    ids = []
    for process in at_once:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        ids.append(json.loads(out)["id"])
    assert len(set(ids)) == 6
    assert len(made(mean, "a")) == 12
    assert corrida("verify").code == 0
    for one in ids:
        frame = pl.read_parquet(mean / f"runs/a/predictions/{one}.parquet")
        assert frame["prediction_id"].to_list() == [one]


@pytest.fixture
def small(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a file system needs root")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_run_folder_that_cannot_be_written(mean, corrida, small):
    corrida("run", "mean", "--run-id", "a", "--store", small / "runs")
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    sentence = corrida.refuses("predict", "a", "--store", small / "runs", code=1)
    assert "keeping the prediction in the run a failed" in sentence
    assert "the file system is read-only; name a file of your own with --out FILE" in sentence
    said = corrida("predict", "a", "--store", small / "runs", "--out", "mine.csv", "--json").json
    assert said["id"] is None
    assert "read-only" in said["not_kept"]
    assert (mean / "mine.csv").read_text(encoding="utf-8") == "name,value,run_id,prediction_id\nall,2.0,a,\n"
    told = corrida("predict", "a", "--store", small / "runs", "--out", "other.csv").out
    assert "not kept in the run" in told


def test_a_link_in_the_place_of_the_folder_leads_nowhere(mean, corrida, tmp_path):
    corrida("run", "mean", "--run-id", "a")
    (tmp_path / "outside").mkdir()
    (mean / "runs/a/predictions").symlink_to(tmp_path / "outside")
    assert "a/predictions is no folder" in corrida.refuses("predict", "a", code=1)
    assert list((tmp_path / "outside").iterdir()) == []


def test_from_python(mean, corrida, monkeypatch):
    corrida("run", "mean", "--run-id", "a")
    done = package.predict("a", data="y.csv", scale=3, out="copy.csv")
    assert done.frame["value"].to_list() == [6.0] * 3
    assert done.path == mean / f"runs/a/predictions/{done.id}.parquet"
    assert done.run.id == "a"
    assert done.notes == ("a mean is no prophecy",)
    record = package.Store("runs").get("a")
    assert [one.id for one in record.predictions()] == [done.id]
    assert record.has() == ("models", "predictions")
    unsaved = package.predict(store=record.dir.parent, save=False)
    assert (unsaved.id, unsaved.path) == (None, None)
    assert unsaved.frame["prediction_id"].to_list() == [None]
    assert package.predict(store=package.Store("runs"), save=False).why.startswith("it is the latest")
    with pytest.raises(AlreadyExists, match=r"copy\.csv is there already"):
        package.predict("a", out="copy.csv")
    monkeypatch.setattr("corrida.runs.predictions.write_new", _full)
    with pytest.raises(StoreError, match="the disk is full"):
        package.predict("a")
    assert len(made(mean, "a")) == 2


def _full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_what_a_person_sees(mean, corrida):
    corrida("run", "mean", "--run-id", "a")
    shown = corrida.terminal(80, "predict", "a", "--set", "names=[東京, São Paulo, '\x1b[31mred']")
    assert "東京" in shown
    assert "\x1b[31m" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    many = ",".join(f"n{i}" for i in range(20))
    assert "… 12 more rows" in corrida("predict", "a", "--set", f"names=[{many}]").out

"""Runs of model search and forecasting, served by the same runner as every other: real training, a real worker."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pickle
import shutil
import urllib.parse

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient
from tests.integration.inference.conftest import World
from tests.integration.inference.test_models import Forged, resealed

from corrida.inference.models import check_models, resolve_model
from corrida.inference.problems import problem_of
from corrida.inference.scoring import load_scorer
from corrida.inference.server import build

pytestmark = pytest.mark.slow  # they share a server or models, which take long to make


def command(*arguments):
    from corrida.cli.main import run_cli

    assert run_cli([str(one) for one in arguments]) == 0


def days(rows, seed):
    """Days whose warmth a line tells well, and which of two kinds they are."""
    random = np.random.default_rng(seed)
    low = np.round(random.normal(8, 5, rows), 2)
    sky = random.choice(["sun", "rain"], rows)
    high = np.round(1.2 * low + np.where(sky == "sun", 3.0, 0.0) + random.normal(0, 0.5, rows), 2)
    kind = np.where(high > 11, "warm", "cold")
    return pl.DataFrame({"low": low, "sky": sky, "high": high, "kind": kind})


def sales(months, level=100.0):
    """Two series with a season of twelve months."""
    when = pl.date_range(pl.date(2018, 1, 1), pl.date(2030, 1, 1), "1mo", eager=True)[:months]
    steps = np.arange(months)
    return pl.concat(
        [
            pl.DataFrame(
                {
                    "unique_id": [name] * months,
                    "ds": when,
                    "y": np.round(
                        level + factor * np.sin(steps * np.pi / 6) + steps * 0.3 + (steps * 7919 % 13) / 5, 3
                    ),
                }
            )
            for name, factor in (("norte", 10.0), ("año", 25.0))
        ]
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A project with a regression, a classification and a forecasting run, and a worker."""
    root = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("CORRIDA_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        world = World(root, "", command)
        days(150, 1).write_csv(root / "days.csv")
        sales(48).write_csv(root / "sales.csv")
        few = ["n_iter=1", "cv=2", "report=false", "repeats=0"]
        for name, settings in (
            ("warm", ["target=high", "ignore=[kind]", "models=[ridge,xgboost]"]),
            ("kind", ["target=kind", "ignore=[high]", "models=[linear]"]),
        ):
            sets = [part for one in (*few, *settings) for part in ("--set", one)]
            command("run", "model_search", "--data", "days.csv", "--run-id", name, *sets)
        sets = [
            part for one in ("models=[SeasonalNaive]", "horizon=6", "report=false") for part in ("--set", one)
        ]
        command("run", "forecasting", "--data", "sales.csv", "--run-id", "plan", *sets)
        world.settings(slots=1)
        world.worker()
        yield world
        world.end()


@pytest.fixture
def api(served):
    with TestClient(build(served.service), base_url="http://127.0.0.1") as client:
        yield client


def scored(api, content, *, name="new.csv", **query):
    """Send a file, and return the analysis and its rows."""
    given = urllib.parse.urlencode({"filename": name, "wait": 60, **query})
    answer = api.post(f"/v1/analyses?{given}", content=content)
    assert answer.status_code == 200, answer.text
    job = answer.json()
    assert job["status"] == "processed", job
    table = api.get(f"{job['links']['results']}?format=parquet")
    return job, pl.read_parquet(io.BytesIO(table.content))


def csv_of(frame):
    return frame.write_csv().encode()


def metrics(api):
    found = {}
    for line in api.get("/metrics").text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def predicted(run, frame):
    import corrida

    frame.write_csv("asked.csv")
    return corrida.predict(run, data="asked.csv", save=False).frame


@pytest.mark.parametrize(("run", "target"), [("warm", "high"), ("kind", "kind")])
def test_a_search_scores_a_file_as_predict_does(served, api, run, target):
    command("promote", run)
    new = days(300, 2).drop("high", "kind")
    job, rows = scored(api, csv_of(new))
    assert (job["run"], job["pipeline"], job["rows"], job["scored"]) == (run, "model_search", 300, 300)
    said = predicted(run, new).drop("run_id", "prediction_id")
    assert rows.select(said.columns).equals(said)
    assert rows["row"].to_list() == list(range(1, 301))
    report = job["report"]
    assert set(report["drift"]) == {"low", "sky"}
    assert max(report["drift"].values()) < 0.3
    assert sum(report["classes"].values()) == (300 if run == "kind" else 0)
    measured = metrics(api)
    assert {name for name in measured if name.startswith("corrida_drift")} == {
        'corrida_drift_psi{feature="low"}',
        'corrida_drift_psi{feature="sky"}',
    }
    # The same rows as Parquet, and with the target there.
    buffer = io.BytesIO()
    days(300, 2).write_parquet(buffer)
    _, typed = scored(api, buffer.getvalue(), name="new.parquet")
    assert typed["prediction"].to_list() == rows["prediction"].to_list()
    assert typed["expected"].to_list() == days(300, 2)[target].to_list()


def test_a_file_as_people_send_it(served, api, capsys):
    command("promote", "kind")
    text = "estación;sky;low\r\nA;sun;20\r\nB;granizo;1,5\r\nC;granizo;\r\nD;sun\r\n"
    job, rows = scored(api, text.encode("latin-1"), id="odd")
    assert rows["problem"].to_list() == [None, "low is no number", None, "2 fields where there are 3 columns"]
    assert rows["prediction"].to_list() == ["warm", None, rows["prediction"][2], None]
    report = job["report"]
    assert (report["rows"], report["scored"]) == (4, 2)
    assert report["reading"] == {"encoding": "Latin-1", "delimiter": "semicolons"}
    assert report["alignment"]["unseen"]["sky"]["most"] == {"granizo": 1}
    assert report["alignment"]["filled"] == {"low": 1}
    assert report["alignment"]["ignored_columns"] == ["estación"]
    table = api.get("/v1/analyses/odd/results?format=csv").text.splitlines()
    assert table[0].startswith("row,item_id,prediction,confidence,p_cold,p_warm,model,problem")
    capsys.readouterr()
    command("jobs", "odd")
    said = capsys.readouterr().out
    assert "1 row not scored: low is no number" in said
    assert "1 row with a sky that training had not seen (granizo)" in said
    command("why", "odd")
    assert "made by the run kind (model_search" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"low,sky\n", "there are column names but no rows."),
        (b"low,clouds\n1,sun\n", "there is no column 'sky', from which linear learnt."),
        (b"low,sky,low\n1,sun,1\n", "the column 'low' occurs 2 times."),
        (b'low,sky\n1,"sun\n', "a quote is not closed."),
        (b"low,sky\n1,s\0un\n", "holds a NUL byte"),
        (b"PK\x03\x04zip", "this is no CSV file but a zip archive"),
    ],
)
def test_a_file_that_cannot_be_used_fails_at_once_in_one_sentence(served, api, content, sentence):
    command("promote", "kind")
    job = api.post("/v1/analyses?wait=60&filename=new.csv", content=content).json()
    assert (job["status"], job["error"]["code"]) == ("failed", "invalid_file")
    assert sentence in job["error"]["message"]
    assert job["error"]["message"].startswith("new.csv: ")


def test_drift_is_said_of_rows_that_are_others_than_those_of_training(served, api, capsys):
    command("promote", "warm")
    moved = days(400, 3).with_columns(pl.col("low") + 12, sky=pl.lit("snow"))
    job, _ = scored(api, csv_of(moved), id="moved")
    assert min(job["report"]["drift"].values()) > 1
    assert metrics(api)['corrida_drift_psi{feature="sky"}'] == job["report"]["drift"]["sky"]
    few, _ = scored(api, csv_of(moved.head(5)))
    assert set(few["report"]["drift"]) == {
        "low",
        "sky",
    }  # the result says it; a chart of it would show chance
    assert metrics(api)['corrida_drift_psi{feature="sky"}'] == job["report"]["drift"]["sky"]
    capsys.readouterr()
    command("jobs", "moved")
    assert "far from training (PSI above 0.25): sky" in capsys.readouterr().out


def test_forecasts_are_counted_as_what_they_are(served, api, capsys):
    command("promote", "plan")
    job, rows = scored(api, csv_of(sales(60)), id="plan1")
    assert (job["rows"], job["scored"], job["report"]["unit"]) == (12, 12, "forecasts")
    assert job["report"]["reading"]["rows"] == "120"
    said = predicted("plan", sales(60)).drop("run_id", "prediction_id")
    assert rows.select(said.columns).equals(said)
    assert rows["row"].to_list() == list(range(1, 13))
    capsys.readouterr()
    command("jobs", "plan1")
    assert "answers: 12 forecasts" in capsys.readouterr().out
    job, rows = scored(api, csv_of(sales(60)), options='{"horizon": 2, "series": ["año"]}')
    assert rows["unique_id"].to_list() == ["año", "año"]
    command("submit", "sales.csv", "--id", "three", "--option", "horizon=3", "--wait")
    assert served.service.jobs.get("three").rows == 6


def test_drift_of_series_is_how_far_their_level_moved(served, api, capsys):
    command("promote", "plan")
    job, _ = scored(api, csv_of(sales(48)))
    assert job["report"]["drift"] == {"norte": 0.0, "año": 0.0}
    whole = sales(60)
    jump = pl.when(pl.col("ds") >= pl.date(2022, 1, 1)).then(pl.col("y") + 50).otherwise("y")
    job, _ = scored(api, csv_of(whole.with_columns(jump.alias("y"))), id="jump")
    assert job["report"]["drift_measure"] == "level"
    assert min(job["report"]["drift"].values()) > 3
    measured = metrics(api)
    assert measured['corrida_drift_level{series="año"}'] == job["report"]["drift"]["año"]
    assert not any(name.startswith("corrida_drift_psi{") for name in measured)
    capsys.readouterr()
    command("jobs", "jump")
    assert "level moved by more than 3 usual changes" in capsys.readouterr().out


def test_series_come_as_people_send_them_and_a_record_that_cannot_be_read_is_no_hole_in_a_series(served, api):
    command("promote", "plan")
    text = sales(60).write_csv(separator=";").replace("unique_id", "\ufeffunique_id")
    _, rows = scored(api, text.encode())
    assert rows.height == 12
    _, latin = scored(api, text.removeprefix("\ufeff").encode("latin-1"))
    assert latin["forecast"].to_list() == rows["forecast"].to_list()
    job = api.post(
        "/v1/analyses?wait=60&filename=new.csv", content=(text + "norte;2023-01-01\n").encode()
    ).json()
    assert job["error"]["message"] == "new.csv: row 121: 2 fields where there are 3 columns."
    bad = text.replace("año;2019-02-01;", "año;2019-02-01;x", 1).encode("latin-1", "ignore")
    job = api.post("/v1/analyses?wait=60&filename=new.csv", content=bad).json()
    assert (job["status"], job["error"]["code"]) == ("failed", "invalid_file")
    assert "column 'y'" in job["error"]["message"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            '{"horizn": 3}',
            "has no option 'horizn' for a file that is sent; it has cherry_pick, model, series, horizon.",
        ),
        ('{"horizon": "soon"}', "the option horizon is 'soon': it must be a whole number"),
        ('{"history": "/etc/passwd"}', "has no option 'history'"),
        ("[3]", "the options are no JSON object"),
        ("{", "the options are no JSON object"),
    ],
)
def test_options_that_are_not_known_are_refused_before_there_is_a_job(served, api, options, sentence):
    command("promote", "plan")
    files = {"file": ("new.csv", csv_of(sales(60)))}
    before = served.service.jobs.counts()
    for answer in (
        api.post("/v1/analyses", files=files, data={"options": options}),
        api.post(f"/v1/analyses?options={urllib.parse.quote(options)}", content=csv_of(sales(60))),
    ):
        assert answer.status_code == 422, answer.text
        assert sentence in answer.json()["error"]["message"]
    assert served.service.jobs.counts() == before
    assert list(served.service.spool.incoming.iterdir()) == []


def test_options_are_part_of_what_an_analysis_is_and_are_looked_at_again_by_the_run_that_scores(served, api):
    command("promote", "plan")
    content = csv_of(sales(60))
    scored(api, content, id="same", options='{"horizon": 2}')
    scored(api, content, id="same", options='{ "horizon":2 }')
    answer = api.post("/v1/analyses?id=same&filename=new.csv", content=content)
    assert answer.status_code == 409
    assert "exists with other options" in answer.json()["error"]["message"]
    job = api.post(
        "/v1/analyses?wait=60&filename=new.csv&options=" + urllib.parse.quote('{"model": "Nope"}'),
        content=content,
    ).json()
    assert job["error"]["message"] == "the run has no model 'Nope'; it has SeasonalNaive."


@pytest.mark.parametrize("name", ["ridge", "xgboost"])
@pytest.mark.parametrize("form", ["as it was", "pickle", "joblib"])
def test_a_pickle_in_the_place_of_a_model_is_never_read_however_well_it_is_sealed(
    served, tmp_path, name, form
):
    """The run was forged before it is promoted, with every digest in order: what is left is that no pickle is read."""
    folder = tmp_path / "runs" / f"warm-{name}"
    shutil.copytree(served.root / "runs" / folder.name, folder)
    place = folder / "models" / name
    about = json.loads((place / "model.json").read_text(encoding="utf-8"))
    target = next(one for one in about["files"] if one != "fitted.json")
    forged = pickle.dumps(Forged(tmp_path / "forged"))
    (place / target).write_bytes(forged)
    if form != "as it was":
        (place / target).rename(place / "model.pickle")
        del about["files"][target]
        target, about["format"] = "model.pickle", form
    about["files"][target] = f"sha256:{hashlib.sha256(forged).hexdigest()}"
    (place / "model.json").write_text(json.dumps(about), encoding="utf-8")
    resealed(folder)
    model = resolve_model(tmp_path / "runs", folder.name)
    check_models(model)  # nothing is wrong with the digests
    with pytest.raises(Exception) as caught:
        load_scorer(model, tmp_path)
    problem = problem_of(caught.value)
    assert (problem.code, problem.may_pass) == ("model_damaged", False)
    assert str(tmp_path) not in problem.message
    assert "--trust" not in problem.message
    assert not (tmp_path / "forged").exists()
    with contextlib.suppress(FileExistsError):
        pickle.loads(forged)  # and it would have shown
    assert os.path.isdir(tmp_path / "forged")

"""``corrida why`` and ``corrida impact``: from a result to what made it, and from a run to all that it made."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest

from corrida.inference.billing import Ledger
from corrida.inference.results import csv_of
from corrida.runs.predictions import keep_prediction
from corrida.runs.run_file import read_run_file


@pytest.fixture
def scored(small):
    """A world in which two files were scored by ``one``, and one was not."""
    small.settings(attempts=1, unit_price="0.05")
    for name, row in (("a1", "5,"), ("a2", "6,"), ("bad", "1,raise")):
        small.submit(name, row)
    worker = small.worker()
    assert small.ended("a1", "a2", "bad") == ["processed", "processed", "failed"]
    small.until(lambda: small.charged() == ["a1", "a2"])
    worker.terminate()
    worker.wait()
    return small


def prediction(world):
    """Keep a prediction in the folder of the run, as ``corrida predict`` does."""
    folder = world.root / "runs" / "one"
    frame = pl.DataFrame({"x": [1, 2], "run_id": "one"})

    def table(name):
        return frame.with_columns(prediction_id=pl.lit(name)).write_csv().encode()

    data = [{"path": "new.csv", "size": 5, "sha256": "sha256:0", "rows": 2}]
    facts = {"run_digest": read_run_file(folder).seal, "pipeline": "distance", "rows": 2, "data": data}
    return keep_prediction(folder, table, "csv", facts)


@pytest.mark.slow
def test_every_form_of_a_result_leads_to_its_run(scored, corrida, tmp_path):
    folder = scored.root / "spool" / "processed"
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    table = folder / "a1.parquet"
    shutil.copy(table, copy / "renamed.parquet")
    (copy / "download.csv").write_bytes(b"".join(csv_of(table)))
    forms = ["a1", folder / "a1.json", table, copy / "renamed.parquet", copy / "download.csv"]
    for form in forms:
        said = corrida("why", form, "--json").json
        assert (said["kind"], said["id"], said["run"]) == ("analysis", "a1", "one")
        assert said["run_digest"] == read_run_file(scored.root / "runs" / "one").seal
        assert said["run_state"] == "intact"
        assert said["result"] == (None if str(form).endswith(".csv") else "intact")
        assert said["alias"] == "production"
        assert said["input"][0]["path"] == "a1.up.csv"
        assert [one["path"] for one in said["data"]] == ["train.csv"]
        assert said["data"][0]["rows"] == 2
    assert corrida("why", copy / "download.csv", "--row", 1, "--json").json["row"]["distance"] == "3.0"
    assert "no row 2" in corrida.refuses("why", table, "--row", 2)
    shown = corrida("why", "a1").out
    assert "made by the run one (distance, @production then" in shown
    assert "its rows are as they were published" in shown
    # A result says what made it even where nothing else is there.
    shutil.rmtree(scored.root / "spool")
    said = corrida("why", copy / "renamed.parquet", "--json").json
    assert (said["run"], said["job"], said["result"]) == ("one", None, None)
    assert not (scored.root / "spool").exists()  # asking makes nothing
    corrida("rm", "one", "--force")
    said = corrida("why", copy / "renamed.parquet")
    assert "the run one is not in this store" in said.out


@pytest.mark.slow
def test_what_was_altered_is_said(scored, corrida):
    table = scored.root / "spool" / "processed" / "a1.parquet"
    pl.read_parquet(table).with_columns(distance=pl.lit(0.0)).write_parquet(table)
    assert corrida("why", "a1", "--json").json["result"] == "altered"
    assert "its rows were altered since" in corrida("why", "a1").out
    other = json.loads((scored.root / "spool" / "processed" / "a2.json").read_text())
    other["run"]["digest"] = "sha256:" + "0" * 64
    (scored.root / "copy.json").write_text(json.dumps(other))
    assert "not the one that made it" in corrida("why", "copy.json").out


@pytest.mark.slow
def test_a_failed_analysis_says_why(scored, corrida):
    said = corrida("why", scored.root / "spool" / "failed" / "bad_error.json", "--json").json
    assert (said["id"], said["run"]) == ("bad", "one")
    assert said["job"]["error"]["code"] == "internal"
    assert "failed" in corrida("why", "bad").out


def test_predictions_lead_to_their_run_too(small, corrida):
    kept = prediction(small)
    folder = small.root / "runs" / "one" / "predictions"
    for form in (kept.id, folder / kept.file, folder / f"{kept.id}.json"):
        said = corrida("why", form, "--json").json
        assert (said["kind"], said["id"], said["run"], said["run_state"]) == (
            "prediction",
            kept.id,
            "one",
            "intact",
        )
        assert said["result"] == "intact"
        assert said["input"][0]["path"] == "new.csv"
    (folder / kept.file).write_text("x,run_id,prediction_id\n9,one," + kept.id + "\n")
    assert corrida("why", kept.id, "--json").json["result"] == "altered"
    both = small.root / "both.csv"
    both.write_text(f"x,run_id,prediction_id\n1,one,{kept.id}\n2,two,20200101_000000_abcdef\n")
    assert [one["run"] for one in corrida("why", both, "--json").json] == ["one", "two"]
    assert corrida("why", both, "--row", 2, "--json").json["run"] == "two"


def test_what_does_not_say_what_made_it_is_refused(small, corrida):
    (small.root / "x.json").write_text("{}")
    (small.root / "y.json").write_text("{")
    (small.root / "z.parquet").write_bytes(b"no parquet")
    assert "does not say which run made it" in corrida.refuses("why", "train.csv")
    assert "does not say which run made it" in corrida.refuses("why", "x.json")
    assert "not JSON" in corrida.refuses("why", "y.json")
    assert "cannot be read" in corrida.refuses("why", "z.parquet")
    assert "neither a file nor the id" in corrida.refuses("why", "nothing")
    assert "no table of results" in corrida.refuses("why", "distance.py")
    assert "there is no run" in corrida.refuses("impact", "nothing")
    assert "made no result" in corrida("impact", "one").err
    assert "--recall takes a --reason" in corrida.refuses("impact", "one", "--recall")


@pytest.mark.slow
def test_the_results_of_a_run_are_recalled_and_refunded_once(scored, corrida):
    kept = prediction(scored)
    made = corrida("impact", "one", "--json").json
    assert made["run"] == "one"
    assert {one["id"] for one in made["made"]} == {"a1", "a2", "bad", kept.id}
    assert {one["id"] for one in made["made"] if one["charged"]} == {"a1", "a2"}
    assert corrida("impact", "two", "--json").json["made"] == []
    done = corrida("impact", "one", "--recall", "--reason", "año equivocado", "--json").json
    assert sorted(done["refunded"]) == ["a1", "a2"]
    assert corrida("impact", "one", "--recall", "--reason", "again", "--json").json["refunded"] == []
    entries = Ledger(scored.service.database).entries()
    assert [(e.kind, e.units, e.amount) for e in entries if e.analysis == "a1"] == [
        ("charge", 1, "0.05"), ("refund", -1, "-0.05"),
    ]  # fmt: skip
    assert {e.reason for e in entries if e.kind == "refund"} == {"año equivocado"}
    shown = corrida("impact", "one").out
    assert "refunded" in shown
    # A run that was removed is still answered for.
    corrida("rm", "one", "--force")
    assert len(corrida("impact", "one", "--json").json["made"]) == 3


@pytest.mark.slow
def test_the_page_of_a_run_says_where_its_results_went(scored):
    from starlette.testclient import TestClient

    from corrida.project import find_project
    from corrida.web.guard import Guard
    from corrida.web.viewer import create_viewer

    made = prediction(scored)
    app = Guard(create_viewer(find_project(scored.root)), "127.0.0.1")
    with TestClient(app, base_url="http://127.0.0.1") as client:
        page = client.get("/runs/one?tab=results").text
    assert made.file in page
    assert "new.csv" in page
    assert "Served to others" in page
    assert all(f">{name}</a></th>" in page for name in ("a1", "a2"))
    assert "a1.up.csv" in page
    assert page.count("<td>yes</td>") == 2

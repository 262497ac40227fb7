"""The page of a run and its parts, on real runs."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import corrida

if TYPE_CHECKING:
    from starlette.testclient import TestClient

EVIL = "<script>alert(1)</script>"


def _train(name: str, accuracy: float, *, steps: int = 0, **options: object) -> Path:
    with corrida.start_run(
        pipeline="train", run_tag=name, primary_metric="accuracy", direction="max", **options
    ) as run:
        for step in range(steps):
            run.log({"loss": math.exp(-step / 50), "part/accuracy": step / steps}, step=step)
        run.log_metrics({"accuracy": accuracy})
        return Path(run.dir)


def test_overview_says_what_came_out_and_what_was_before(pages: TestClient) -> None:
    _train("first", 0.5)
    _train("second", 0.75, params={"lr": 0.1, EVIL: EVIL}, tags={"team": EVIL}, notes=EVIL, seed=7)
    page = pages.get("/runs/run_second")
    assert page.status_code == 200
    assert "0.75" in page.text
    assert "+0.25" in page.text
    assert "Is that more than chance?" in page.text
    assert "run=run_first&amp;run=run_second" in page.text
    assert "corrida rerun run_second" in page.text
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text
    assert "style=" not in page.text


def test_what_stands_for_a_run_leads_to_it(pages: TestClient) -> None:
    _train("one", 0.5)
    answer = pages.get("/runs/latest?tab=files")
    assert answer.status_code == 302
    assert answer.headers["location"] == "/runs/run_one?tab=files"
    corrida.Store("runs").promote("run_one")
    assert pages.get("/runs/@production").headers["location"] == "/runs/run_one"
    assert pages.get("/runs/nothing").status_code == 404


def test_a_failed_run_says_why(pages: TestClient) -> None:
    with (  # noqa: PT012 - a run is a block
        pytest.raises(ValueError, match="singular"),
        corrida.start_run(pipeline="train", run_tag="bad") as run,
    ):
        run.log({"loss": 1.0})
        raise ValueError(f"the matrix {EVIL} is singular")
    page = pages.get("/runs/run_bad").text
    assert "ValueError" in page
    assert "is singular" in page
    assert "<script>alert" not in page


def test_many_metrics_are_in_groups_and_can_be_filtered(pages: TestClient) -> None:
    with corrida.start_run(pipeline="train", run_tag="many") as run:
        run.log_metrics(
            {f"{g}/m{i}": i / 7 for g in ("train", "test") for i in range(30)} | {"nan": math.nan}
        )
    page = pages.get("/runs/run_many").text
    assert "<caption>train</caption>" in page
    assert "NaN" in page
    found = pages.get("/runs/run_many", params={"metric": "test/m29"}).text
    assert found.count('<td class="right">') == 1
    assert "No metric has that" in pages.get("/runs/run_many?metric=zzz").text


def test_parts_of_a_run_are_listed(pages: TestClient) -> None:
    _train("whole", 0.5)
    for fold in range(3):
        _train(f"fold{fold}", fold / 10, parent="run_whole", description=f"fold {fold}")
    page = pages.get("/runs/run_whole").text
    assert "Parts of this run" in page
    assert all(f"/runs/run_fold{fold}" in page for fold in range(3))
    assert "part of" in pages.get("/runs/run_fold1").text


def test_inputs_show_configurations_data_and_environment(pages: TestClient, project: Path) -> None:
    (project / "a.yaml").write_text(f"name: '{EVIL}'\n")
    (project / "d.csv").write_text("id,x\n1,2\n")
    folder = _train("fed", 0.5, configs=["a.yaml"], data=["d.csv"])
    page = pages.get("/runs/run_fed?tab=inputs").text
    assert "a.yaml" in page
    assert "d.csv" in page
    assert "&lt;script&gt;" in page
    assert "packages" in page
    (folder / "config" / "a.yaml").write_text("altered: 1\n")
    assert "was altered since the run" in pages.get("/runs/run_fed?tab=inputs").text


def test_results_of_a_run_without_any(pages: TestClient) -> None:
    _train("alone", 0.5)
    assert "None yet" in pages.get("/runs/run_alone?tab=results").text


def test_an_unreadable_run_has_a_page(pages: TestClient) -> None:
    folder = _train("torn", 0.5)
    (folder / "run.json").write_text("{")
    answer = pages.get("/runs/run_torn")
    assert "cannot be read" in answer.text
    assert answer.status_code == 200
    assert "unreadable" in answer.text
    assert "run.json" in pages.get("/runs/run_torn?tab=files").text
    assert pages.get("/runs/run_torn/files/run.json").text == "{"
    for tab in ("inputs", "results", "charts"):
        assert pages.get(f"/runs/run_torn?tab={tab}").status_code == 200


def test_charts_follow_the_address(pages: TestClient) -> None:
    _train("a", 0.5, steps=100)
    _train("b", 0.6, steps=50)
    page = pages.get("/runs/run_a?tab=charts&with=run_b&smooth=0.5&log=1&x=time").text
    assert page.count('<figure class="chart"') == 2
    assert 'value="0.5"' in page
    assert re.search(r'name="log" value="1" checked', page)
    assert re.search(r'value="time" checked', page)
    assert "series-1" in page
    answer = pages.get("/runs/run_a/history.json?with=run_b&name=loss&name=part/accuracy").json()
    assert answer["calls"] == 100
    loss, accuracy = answer["figures"]
    rows = loss["spec"]["data"]["values"]
    assert {row["run"] for row in rows} == {"run_a", "run_b"}
    assert [row["y"] for row in rows if row["run"] == "run_b"] == pytest.approx(
        [math.exp(-s / 50) for s in range(50)]
    )
    assert accuracy["metric"] == "part/accuracy"
    assert "run_a: 100 points from 1 to" in loss["alt"]
    log = pages.get("/runs/run_a/history.json?name=part/accuracy&log=1").json()["figures"][0]["spec"]
    assert "1 point left out" in log["title"]["subtitle"]  # the 0 at the first step
    assert "there is no run" in pages.get("/runs/run_a?tab=charts&with=run_zzz").text


@pytest.mark.parametrize(
    "query",
    ["smooth=nan", "smooth=x", "smooth=-4", "smooth=9", "page=-1", "page=9999999999999999999", "with=,,,"],
)
def test_nonsense_in_the_address_does_no_harm(pages: TestClient, query: str) -> None:
    _train("a", 0.5, steps=5)
    assert pages.get(f"/runs/run_a?tab=charts&{query}").status_code == 200
    assert pages.get(f"/runs/run_a/history.json?name=loss&{query}").status_code == 200


def test_long_histories_are_thinned(pages: TestClient) -> None:
    folder = _train("long", 0.5)
    lines = [
        json.dumps({"step": s, "time": 1e9 + s, "metrics": {"loss": 5.0 if s == 4321 else 1.0}})
        for s in range(20_000)
    ]
    (folder / "history.jsonl").write_text("\n".join(lines) + "\n")
    answer = pages.get("/runs/run_long/history.json?name=loss")
    rows = answer.json()["figures"][0]["spec"]["data"]["values"]
    assert len(rows) < 500
    assert max(row["y"] for row in rows) == 5.0  # no peak is lost
    assert "20,000 points" in answer.json()["figures"][0]["alt"]

"""The table of runs, on real runs."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import corrida

if TYPE_CHECKING:
    from starlette.testclient import TestClient
    from tests.conftest import CommandLine


@pytest.fixture
def runs(project: Path) -> None:
    del project
    for i in range(4):
        with corrida.start_run(
            pipeline="train" if i < 3 else "評価", run_tag=f"n{i}", params={"lr": 10.0**-i},
            tags={"team": "O'Neil & <b>co</b>" if i % 2 else "search"}, primary_metric="f1",
        ) as run:  # fmt: skip
            run.log_metrics({"f1": 0.5 + i / 10, "loss": float("nan") if i == 1 else i / 7})


def _ids(page: str) -> list[str]:
    return re.findall(r'<tr data-href="/runs/([^"]+)"', page)


def test_an_empty_store_says_the_next_command(pages: TestClient) -> None:
    assert "corrida demo matching" in pages.get("/").text


def test_every_column_sorts(pages: TestClient, runs: None) -> None:
    del runs
    page = pages.get("/", params={"columns": "id,status,created,duration,metrics.f1,params.lr,tags.team"})
    heads = re.findall(r'<th scope="col"[^>]*><a href="/(\?[^"]+)">', page.text)
    assert len(heads) == 7
    for head in heads:
        assert len(_ids(pages.get("/" + head.replace("&amp;", "&")).text)) == 4
    best = pages.get("/", params={"sort": "-metrics.f1"})
    assert _ids(best.text) == ["run_n3", "run_n2", "run_n1", "run_n0"]
    assert 'aria-sort="descending"' in best.text


def test_tags_lead_to_the_runs_that_have_them(pages: TestClient, runs: None) -> None:
    del runs
    page = pages.get("/?pipeline=train").text
    assert "<b>co" not in page
    link = re.search(r'<a class="tagged" href="/([^"]+)">team <b>O&#39;Neil', page)
    assert link is not None
    found = pages.get("/" + link[1].replace("&amp;", "&"))
    assert _ids(found.text) == ["run_n1"]


def test_columns_that_are_ticked_are_kept_in_the_address(pages: TestClient, runs: None) -> None:
    del runs
    answer = pages.get("/?column=id&column=metrics.loss&column=id&column=&filter=seed is null")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/?filter=seed+is+null&columns=id%2Cmetrics.loss"
    page = pages.get(answer.headers["location"]).text
    assert re.findall(r'<th scope="col"[^>]*><a[^>]*>([^<]+)', page) == ["id", "loss"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"filter": "metrics.f1 >"}, 400, "at its end: expected a value"),
        ({"filter": "f1 > 0.5"}, 400, "did you mean metrics.f1"),
        ({"columns": "id,nothing"}, 400, "is no field"),
        ({"filter": "metrics.f2 > 0.5"}, 200, "No run has metrics.f2, did you mean metrics.f1?"),
        ({"pipeline": "jobs"}, 200, "There are runs of train, 評価, none of jobs."),
    ],
)
def test_what_cannot_be_shown_is_explained(
    pages: TestClient, runs: None, query: dict[str, str], status: int, said: str
) -> None:
    del runs
    page = pages.get("/", params=query)
    assert page.status_code == status
    assert said in page.text.replace("&#39;", "'")
    assert not _ids(page.text)


def test_the_terminal_says_the_same(runs: None, corrida: CommandLine) -> None:
    del runs
    said = corrida("list", "--filter", "metrics.f2 > 0.5").err
    assert "no run fits (no run has metrics.f2, did you mean metrics.f1?)" in said
    assert "(there are runs of train, 評価, none of jobs)" in corrida("list", "--pipeline", "jobs").err


def test_each_pipeline_has_its_line(pages: TestClient, runs: None) -> None:
    del runs
    page = pages.get("/").text
    assert 'aria-label="f1 of the last 3 runs"' in page
    assert page.count('class="sparkline"') == 1  # one run makes no line
    trend = pages.get("/?pipeline=train").text.partition('<p class="trend">')[2].partition("</p>")[0]
    assert "<strong>0.7</strong>" in trend


def test_what_is_known_of_all_runs_follows_them(pages: TestClient, runs: None) -> None:
    del runs
    assert ">4 runs<" in pages.get("/").text
    with corrida.start_run(pipeline="new", run_tag="later") as run:
        run.log_metrics({"unheard_of": 1.0})
    corrida.Store("runs").refresh()
    page = pages.get("/").text
    assert ">5 runs<" in page
    assert "metrics.unheard_of" in page
    corrida.Store("runs").remove(["run_later"])
    corrida.Store("runs").refresh()
    page = pages.get("/").text
    assert ">4 runs<" in page
    assert "metrics.unheard_of" not in page


def test_the_table_as_csv(pages: TestClient, runs: None) -> None:
    del runs
    answer = pages.get("/runs.csv", params={"sort": "metrics.f1", "columns": "id,metrics.loss,tags"})
    assert answer.headers["content-disposition"] == 'attachment; filename="runs.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in rows] == ["run_n0", "run_n1", "run_n2", "run_n3"]
    assert rows[1] == {"id": "run_n1", "metrics.loss": "NaN", "tags.team": "O'Neil & <b>co</b>"}
    assert pages.get("/runs.csv?filter=nothing").status_code == 400


def test_the_table_as_json(pages: TestClient, runs: None) -> None:
    del runs
    rows = json.loads(pages.get("/runs.json?pipeline=train").text)
    assert [row["id"] for row in rows] == ["run_n2", "run_n1", "run_n0"]
    assert rows[1]["metrics.loss"] == "NaN"
    assert rows[0]["params.lr"] == 0.01
    assert json.loads(pages.get("/runs.json?filter=seed=7").text) == []


def test_large_tables_are_written_whole(
    pages: TestClient, runs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del runs
    monkeypatch.setattr("corrida.web.runs_export._AT_ONCE", 2)
    rows = json.loads(pages.get("/runs.json").text)
    assert [row["id"] for row in rows] == ["run_n3", "run_n2", "run_n1", "run_n0"]

"""Which columns the table of runs has without being asked, what stands in them, and the filter that it suggests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import corrida
from corrida.project import find_project
from corrida.web.viewer import create_viewer

if TYPE_CHECKING:
    from starlette.testclient import TestClient


def _run(tag: str, pipeline: str, metric: str, value: float, **more: object) -> None:
    with corrida.start_run(pipeline=pipeline, run_tag=tag, primary_metric=metric, **more) as run:  # type: ignore[arg-type]
        run.log_metrics({metric: value, "other": 1.0})


@pytest.fixture
def runs(project: Path) -> None:
    del project
    _run("a", "train", "accuracy", 0.25, params={"rate": 0.1, "same": 7, "long": "x" * 99})
    _run("b", "train", "accuracy", 0.5, params={"rate": 0.2, "same": 7, "long": "y" * 99})
    _run("c", "jobs", "test/loss", 3)


def _heads(page: str) -> list[str]:
    return [
        re.sub("<[^>]+>", "", head)
        for head in re.findall(r'<th scope="col"[^>]*>(.*?)</th>', page, re.DOTALL)
    ]


def test_several_pipelines_have_one_column_of_results(pages: TestClient, runs: None) -> None:
    del runs
    page = pages.get("/").text
    assert _heads(page) == ["id", "pipeline", "status", "created", "result"]
    results = re.findall(
        r'<span class="amount([^"]*)">([^<]+)</span> <span class="quiet" title="[^"]+">(.+?)</span>', page
    )
    assert results == [
        (" pad-2 no-point", "3", "test/loss"), (" pad-1", "0.5", "accuracy"), ("", "0.25", "accuracy")
    ]  # fmt: skip


def test_the_column_of_results_can_be_chosen_and_written(pages: TestClient, runs: None) -> None:
    del runs
    assert _heads(pages.get("/?pipeline=train&columns=id,result").text) == ["id", "result"]
    lines = pages.get("/runs.csv?columns=id,result").text.splitlines()
    assert lines[0].split(",")[0] == "id"
    assert set(lines[0].split(",")[1:]) == {"metrics.accuracy", "metrics.test/loss"}
    assert "run_c" in lines[1]
    assert "3" in lines[1]


def test_one_pipeline_has_the_parameters_that_differ(pages: TestClient, runs: None) -> None:
    del runs
    page = pages.get("/?pipeline=train").text
    assert _heads(page) == ["id", "status", "created", "rate", "accuracy"]
    sorted_by = re.search(r'href="/([^"]+)">rate</a>', page)
    assert sorted_by is not None
    found = pages.get("/" + sorted_by[1].replace("&amp;", "&")).text
    assert re.findall(r'<tr data-href="/runs/([^"]+)"', found) == ["run_b", "run_a"]


def test_the_filter_that_is_suggested_can_be_used(pages: TestClient, runs: None) -> None:
    del runs
    for pipeline in ("train", "jobs", ""):
        page = pages.get("/", params={"pipeline": pipeline}).text
        example = re.search(r'name="filter" value="" placeholder="([^"]+)"', page)
        assert example is not None
        condition = example[1].replace("&gt;", ">").replace("&#39;", "'")
        assert pages.get("/", params={"filter": condition}).status_code == 200, condition


def test_a_store_is_called_by_its_project_where_all_are_called_alike(project: Path) -> None:
    called = create_viewer(find_project(project), warm=False).state.pages.title
    assert called == project.name
    called = create_viewer(find_project(project, store=project / "archive"), warm=False).state.pages.title
    assert called == "archive"


def test_a_run_without_a_pipeline_stands_beside_others_whose_columns_are_no_metrics(
    pages: TestClient, project: Path
) -> None:
    for tag, metric in (("a", "accuracy"), ("b", "loss")):
        _run(tag, "train", metric, 0.25, params={"rate": 0.1})
        file = project / "runs" / f"run_{tag}" / "run.json"
        told = {
            **json.loads(file.read_text(encoding="utf-8")),
            "columns": [{"header": "rate", "field": "params.rate"}],
        }
        file.write_text(json.dumps(told), encoding="utf-8")
    (project / "runs" / "run_c").mkdir()
    (project / "runs" / "run_c" / "run.json").write_text("{", encoding="utf-8")
    answer = pages.get("/")
    assert answer.status_code == 200
    assert _heads(answer.text) == ["id", "status", "created", "rate", "result", "description"]

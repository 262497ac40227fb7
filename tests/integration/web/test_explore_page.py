"""Many runs at once, on real runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import corrida

if TYPE_CHECKING:
    from starlette.testclient import TestClient


@pytest.fixture
def runs(project: Path) -> None:
    config = project / "rules.yaml"
    for i in range(5):
        # The third is the second, written in another way.
        config.write_text(
            ["limit: 1\n", "limit: 2\n", "limit:   2\n", "limit: 2\n", "limit: 3\n"][i], encoding="utf-8"
        )
        with corrida.start_run(
            pipeline="train", run_tag=f"n{i}", configs=[config], primary_metric="f1",
            params={"lr": 10.0**-i, "kind": "<i>a" if i % 2 else "b", **({"depth": i} if i else {})},
        ) as run:  # fmt: skip
            run.log_metrics({"f1": 0.5 + i / 10})


@pytest.fixture
def plain(project: Path) -> None:
    del project
    with corrida.start_run(pipeline="plain", run_tag="one"):
        pass


def _ids(page: str) -> list[str]:
    return re.findall(r'<tr data-href="/runs/([^"]+)"><td class="pick"', page)


def test_runs_are_laid_along_what_varies(pages: TestClient, runs: None) -> None:
    del runs
    told = pages.get("/explore.json").json()
    assert [(axis["name"], axis["kind"]) for axis in told["axes"]] == [
        ("params.lr", "number"),
        ("params.kind", "name"),
        ("params.depth", "number"),
        ("metrics.f1", "number"),
    ]
    assert [axis["log"] for axis in told["axes"]] == [True, False, False, False]  # over powers of ten
    assert told["runs"][0]["id"] == "run_n4"
    assert told["values"]["params.depth"] == [4, 3, 2, 1, None]
    assert (told["x"], told["y"], told["colour"]) == ("params.lr", "metrics.f1", "metrics.f1")


def test_axes_and_scales_are_in_the_address(pages: TestClient, runs: None) -> None:
    del runs
    query = {"axis": ["metrics.f1", "params.lr"], "x": "params.kind", "log": ["params.lr", "params.depth"]}
    told = pages.get("/explore.json", params=query).json()
    assert [(axis["name"], axis["log"]) for axis in told["axes"]] == [
        ("metrics.f1", False),
        ("params.lr", True),
    ]
    assert told["charts"]["scatter"]["encoding"]["x"]["type"] == "nominal"
    page = pages.get("/explore", params=query).text
    assert 'value="params.lr" checked> log' in page
    assert "axis=metrics.f1&amp;axis=params.lr" in page


def test_changes_of_the_configuration_are_marked(pages: TestClient, runs: None) -> None:
    del runs
    points = pages.get("/explore.json").json()["charts"]["time"]["data"]["values"]
    said = {point["run"]: point["said"] for point in points if point["kind"] == "change"}
    assert "run_n0" not in said
    assert "limit 1 → 2" in said["run_n1"]
    assert "limit" not in said["run_n2"]  # the same, written otherwise
    assert "limit 2 → 3" in said["run_n4"]
    assert "kind" in said["run_n2"]
    page = pages.get("/explore").text
    assert "/compare?run=run_n3&amp;run=run_n4" in page
    assert "<i>a" not in page


def test_selected_runs_alone(pages: TestClient, runs: None) -> None:
    del runs
    page = pages.get("/explore?run=run_n1&run=run_n3&run=gone")
    assert _ids(page.text) == ["run_n3", "run_n1"]
    assert "there is no run &#39;gone&#39;" in page.text
    filtered = pages.get("/explore", params={"filter": "metrics.f1 > 0.75"})
    assert _ids(filtered.text) == ["run_n4", "run_n3"]


def test_more_runs_than_can_be_shown(pages: TestClient, runs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del runs
    monkeypatch.setattr("corrida.web.explore_page.MOST_RUNS", 3)
    page = pages.get("/explore").text
    assert "the newest 3 of the runs that fit" in page
    assert _ids(page) == ["run_n4", "run_n3", "run_n2"]


def test_a_filter_that_cannot_be_read(pages: TestClient, runs: None) -> None:
    del runs
    page = pages.get("/explore", params={"filter": "f1 >"})
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    assert pages.get("/explore.json", params={"filter": "f1 >"}).status_code == 400


def test_no_runs_and_runs_with_nothing_to_show(pages: TestClient) -> None:
    assert "corrida demo model-search" in pages.get("/explore").text
    assert pages.get("/explore.json").json()["runs"] == []


def test_the_scatter_may_stand_on_fields_without_an_axis(pages: TestClient, runs: None) -> None:
    del runs
    query = {"axis": "params.kind", "x": "params.lr", "y": "metrics.f1", "log": "params.lr"}
    told = pages.get("/explore.json", params=query).json()
    assert [axis["name"] for axis in told["axes"]] == ["params.kind"]
    assert told["beside"] == [
        {"name": "params.lr", "kind": "number", "domain": [], "log": True},
        {"name": "metrics.f1", "kind": "number", "domain": [], "log": False},
    ]
    assert set(told["values"]) == {"params.kind", "params.lr", "metrics.f1"}
    both = pages.get(
        "/explore.json", params={"axis": "params.kind", "x": "metrics.f1", "y": "metrics.f1"}
    ).json()
    assert [field["name"] for field in both["beside"]] == ["metrics.f1"]


def test_limits_of_an_address_are_no_matter_of_the_server(pages: TestClient, runs: None) -> None:
    del runs
    page = pages.get("/explore", params={"keep": ["params.lr~0.1~1", "nonsense", "~~~", "metrics.f1~x~"]})
    assert page.status_code == 200
    assert len(_ids(page.text)) == 5


def test_runs_that_did_not_finish_look_otherwise(pages: TestClient, runs: None) -> None:
    del runs
    with (  # noqa: PT012 - a run is a block
        pytest.raises(ValueError, match="singular"),
        corrida.start_run(pipeline="train", run_tag="bad", primary_metric="f1", params={"lr": 1.0}) as run,
    ):
        run.log_metrics({"f1": 0.1})
        raise ValueError("singular")
    charts = pages.get("/explore.json").json()["charts"]
    for name in ("scatter", "time"):
        assert "diamonds: 1 run that did not finish" in charts[name]["title"]["subtitle"], name
    points = charts["scatter"]["data"]["values"]
    assert [point["run"] for point in points if not point["ended"]] == ["run_bad"]


def test_one_run_is_a_table_without_figures(pages: TestClient, project: Path) -> None:
    del project
    with corrida.start_run(pipeline="train", run_tag="one", params={"lr": 0.1}) as run:
        run.log_metrics({"f1": 0.5})
    page = pages.get("/explore").text
    assert "One run alone is not much to explore" in page
    assert _ids(page) == ["run_one"]
    assert "data-explore" not in page
    assert "explore.js" not in page


def test_a_run_without_metrics(pages: TestClient, plain: None) -> None:
    del plain
    page = pages.get("/explore")
    assert page.status_code == 200
    assert "This run has no parameter and no metric" in page.text

"""From each page to the one that answers the next question, on real runs."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

import corrida
from corrida.project import find_project
from corrida.runs.predictions import keep_prediction
from corrida.runs.run_file import read_run_file
from corrida.web.guard import Guard
from corrida.web.viewer import create_viewer

if TYPE_CHECKING:
    from tests.conftest import Toy


@pytest.fixture
def runs(project: Path) -> corrida.Store:
    """Three runs of one pipeline, the first of them @production; items say what is right."""
    rules = project / "rules.yaml"
    for name, right in (("first", 9), ("second", 12), ("third", 10)):
        rules.write_text(f"threshold: 0.{right}\n", encoding="utf-8")
        with corrida.start_run(
            pipeline="code", run_tag=name, primary_metric="accuracy", direction="max", configs=[rules]
        ) as run:
            run.log_items(
                [
                    {
                        "item_id": f"T/{n}",
                        "output": "a" if n < right else "b",
                        "expected": "a",
                        "correct": n < right,
                    }
                    for n in range(20)
                ]
            )
            run.log_metrics({"accuracy": right / 20})
            (Path(run.dir) / "dead rules.csv").write_text("rule\nR1\n", encoding="utf-8")
            run.warn("1 rule held for no item. See dead rules.csv.")
    store = corrida.Store("runs")
    store.promote("run_first", reason="the only one")
    return store


def _links(page: str) -> dict[str, str]:
    """Return where the links of a page lead, by what they say."""
    found = re.findall(r'<a [^>]*?href="([^"]+)"[^>]*>(.*?)</a>', page, re.DOTALL)
    return {re.sub(r"<[^>]+>|\s+", " ", text).strip(): html.unescape(address) for address, text in found}


def test_a_run_leads_to_its_promotion_and_to_what_it_may_be_compared_with(
    pages: TestClient, runs: corrida.Store
) -> None:
    del runs
    assert _links(pages.get("/runs/run_first").text)["@production"] == "/aliases?alias=production#history"
    links = _links(pages.get("/runs/run_third").text)
    assert links["Compare the two"] == "/compare?run=run_second&run=run_third"
    assert links["@production"] == "/compare?run=run_first&run=run_third"
    second = _links(pages.get("/runs/run_second").text)
    assert "@production" not in second, "that is the run before, which is named already"
    history = pages.get(links["@production"].replace("run_third", "run_first"))
    assert history.status_code == 200


def test_a_difference_is_not_called_better_where_nothing_was_tested(
    pages: TestClient, runs: corrida.Store
) -> None:
    del runs
    page = pages.get("/runs/run_third").text
    assert "<strong>−0.1</strong> from 0.6 in" in page
    assert "Is that more than chance?" in page
    assert 'class="bad' not in page


def test_a_run_without_a_primary_metric_is_compared_too(pages: TestClient, project: Path) -> None:
    del project
    for name in ("one", "two"):
        with corrida.start_run(pipeline="plain", run_tag=name) as run:
            run.log_metrics({"a": 1.0})
    assert _links(pages.get("/runs/run_two").text)["the run before"] == "/compare?run=run_one&run=run_two"
    assert "Compare with" not in pages.get("/runs/run_one").text


def test_a_warning_leads_to_the_file_that_it_names(pages: TestClient, runs: corrida.Store) -> None:
    del runs
    address = _links(pages.get("/runs/run_first").text)["dead rules.csv"]
    assert "R1" in pages.get(address).text


def test_items_and_their_history_lead_to_each_other(pages: TestClient, runs: corrida.Store) -> None:
    del runs
    items = pages.get("/runs/run_third/items").text
    assert "only wrong ones" in items
    address = _links(items)["T/11"]
    assert address == "/items/T%2F11?pipeline=code"
    history = pages.get(address).text
    rows = re.findall(r'href="([^"]+)" aria-label="Whole row in (\w+)"', history)
    assert {run for _, run in rows} == {"run_first", "run_second", "run_third"}
    row = pages.get(html.unescape(rows[0][0]))
    assert row.status_code == 200
    assert "Its history over runs" in row.text
    assert _links(pages.get("/items/T%2F11").text)["Items whose answer changes without a reason"].endswith(
        "pipeline=code"
    )


def test_only_items_that_say_what_is_right_offer_the_wrong_ones(pages: TestClient, project: Path) -> None:
    del project
    with corrida.start_run(pipeline="plain", run_tag="one") as run:
        run.log_items([{"item_id": "a", "loss": 0.5}])
    assert "only wrong ones" not in pages.get("/runs/run_one/items").text


def test_a_comparison_leads_back_and_onwards(pages: TestClient, runs: corrida.Store) -> None:
    del runs
    links = _links(pages.get("/compare?run=run_first&run=run_third").text)
    assert links["What would going back to A change?"] == "/runs/run_first/restore"
    assert "corrida undo" in pages.get("/runs/run_first/restore").text
    assert links["Would B pass the gate?"] == "/runs/run_third/promote"


def test_an_opened_item_stands_in_the_address(pages: TestClient, runs: corrida.Store) -> None:
    del runs
    page = pages.get("/compare?run=run_first&run=run_third&open=T%2F9").text
    assert re.findall(r'<details data-item="([^"]+)" open>', page) == ["T/9"]
    assert "open=" not in _links(page)["Download as HTML"]
    assert "open=T%2F9" in next(address for said, address in _links(page).items() if "side by side" in said)


def test_a_wrong_question_about_a_comparison_can_be_asked_again(
    pages: TestClient, runs: corrida.Store
) -> None:
    del runs
    page = pages.get("/compare?run=run_first&run=run_third&slices=nosuch")
    assert page.status_code == 400
    assert 'name="slices" value="nosuch"' in page.text
    assert '<option value="accuracy" selected>' in page.text


def test_a_prediction_is_found_with_its_table(pages: TestClient, runs: corrida.Store) -> None:
    folder = runs.root / "run_first"
    facts = {"run_digest": read_run_file(folder).seal, "pipeline": "code", "rows": 1}
    made = keep_prediction(folder, lambda one: f"answer,prediction_id\nX,{one}\n".encode(), "csv", facts)
    links = _links(pages.get(f"/search?q={made.id}").text)
    assert links[made.id] == f"/runs/run_first/view/predictions/{made.file}"
    assert made.id in pages.get(links[made.id]).text
    assert links["run_first"] == "/runs/run_first"


def test_nothing_found_says_where_to_look(pages: TestClient, runs: corrida.Store) -> None:
    del runs
    page = pages.get("/search?q=zzzz").text
    assert _links(page)["items of run_third"] == "/runs/run_third/items"


def test_an_empty_store_names_the_pipelines_of_the_project(pages: TestClient) -> None:
    assert "corrida run PIPELINE" in pages.get("/").text
    assert _links(pages.get("/aliases").text)["how to make one"] == "/"


def test_a_project_without_runs_says_how_to_run_its_pipelines(toy: Toy) -> None:
    app = Guard(create_viewer(find_project(toy.root)), "127.0.0.1")
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        assert "<code>corrida run jobs</code>" in client.get("/").text


def test_parts_of_a_run_can_be_selected_and_explored(pages: TestClient, project: Path) -> None:
    del project
    with corrida.start_run(pipeline="search", run_tag="all"):
        pass
    for alpha in (0.1, 0.2):
        with corrida.start_run(
            pipeline="search", run_tag=f"a{alpha}", parent="run_all", params={"alpha": alpha}
        ) as part:
            part.log_metrics({"f1": alpha})
    links = _links(pages.get("/runs/run_all").text)
    for page in ("Select and compare them", "Explore them"):
        text = pages.get(links[page]).text
        assert set(re.findall(r'name="run" value="(run_[^"]+)"', text)) == {"run_a0.1", "run_a0.2"}

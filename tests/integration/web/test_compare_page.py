"""The comparison of runs as a page, on real runs."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import corrida

if TYPE_CHECKING:
    from starlette.testclient import TestClient
    from tests.conftest import CommandLine, Toy

EVIL = "<script>alert('職')</script>"


def _said(text: str) -> str:
    """Return a page as a person reads it."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def _items(wrong: set[int], count: int = 200, **columns: Any) -> pl.DataFrame:
    rows = [
        {"item_id": f"T{n:03d}", "text": f"text {n}", "output": "no" if n in wrong else "yes", "expected": "yes",
         "correct": n not in wrong, "sector": "food" if n < 60 else "metal"}
        for n in range(count)
    ]  # fmt: skip
    return pl.DataFrame(rows).with_columns(**columns)


def _run(name: str, wrong: set[int], *, pipeline: str = "code", **options: Any) -> str:
    frame = options.pop("frame", None)
    frame = _items(wrong) if frame is None else frame
    with corrida.start_run(
        pipeline=pipeline, run_tag=name, primary_metric="accuracy", direction="max", **options
    ) as run:
        run.log_items(frame)
        run.log_metrics({"accuracy": 1 - len(wrong) / frame.height, "other": len(wrong)})
    return f"run_{name}"


@pytest.fixture
def pair(project: Path) -> tuple[str, str]:
    del project
    return _run("a", set(range(40)), params={"threshold": 0.5}), _run(
        "b", {0, 199}, params={"threshold": 0.7}
    )


def test_the_verdict_is_that_of_the_command_line(
    pages: TestClient, pair: tuple[str, str], corrida: CommandLine
) -> None:
    a, b = pair
    page = pages.get(f"/compare?run={a}&run={b}")
    assert page.status_code == 200
    verdict = corrida("compare", a, b, "--json").json["verdict"]
    assert re.search(r"<h1>(.*?)</h1>", page.text).group(1) == verdict["outcome"] == "better"  # type: ignore[union-attr]
    said = _said(page.text)
    assert verdict["sentence"].removeprefix("better: ") in said
    assert "39 fixed, 1 broken of 200 shared items" in said
    assert "threshold: 0.5 → 0.7" in said
    assert "sector = food" in said  # segments of few items are looked at unasked
    assert "style=" not in page.text
    assert not re.search(r"<script(?! type=\"(?:module|application/json)\")", page.text)
    specs = re.findall(r'<script type="application/json">(.*?)</script>', page.text, re.DOTALL)
    assert len(specs) == 3
    assert all("vega-lite" in json.loads(spec)["$schema"] for spec in specs)


def test_items_are_chosen_by_kind_and_text_and_open_to_both_answers(
    pages: TestClient, pair: tuple[str, str]
) -> None:
    address = f"/compare?run={pair[0]}&run={pair[1]}"
    first = pages.get(address)
    assert first.text.count("<details data-item=") == 25
    assert "1–25 of 40" in first.text
    second = pages.get(f"{address}&page=2")
    assert second.text.count("<details data-item=") == 15
    assert 'rel="prev"' in second.text
    assert 'rel="next"' not in second.text
    broken = pages.get(f"{address}&items=broken")
    assert broken.text.count("<details data-item=") == 1
    (opened,) = re.findall(r'<table class="answers">.*?</table>', broken.text, re.DOTALL)
    assert "output yes no correct yes no" in _said(opened)
    assert "expected yes" in _said(broken.text)
    assert 'href="/items/T199?pipeline=code"' in broken.text
    found = pages.get(f"{address}&find=TEXT+17")
    assert found.text.count("<details data-item=") == 1
    assert "No item fits" in pages.get(f"{address}&find=nothing").text
    assert pages.get(f"{address}&items=nonsense&page=999").status_code == 200


def test_configurations_by_meaning_and_as_they_are_written(
    pages: TestClient, toy: Toy, corrida: CommandLine
) -> None:
    corrida("run", "jobs", "--run-id", "first")
    toy.rules("1.2", [{"id": "R1", "word": "a ", "answer": "B"}], description="the first rules")
    corrida("run", "jobs", "--run-id", "second")
    page = pages.get("/compare?run=first&run=second")
    said = _said(page.text)
    assert "rules: 1.1 → 1.2" in said
    assert '<table class="raw">' not in page.text
    link = re.search(r'class="toggle" href="([^"]+)"', page.text)
    assert link is not None
    opened = pages.get(html.unescape(link.group(1)).partition("#")[0])
    (raw,) = re.findall(r'<table class="raw">.*?</table>', opened.text, re.DOTALL)
    assert re.findall(r"<del>(.*?)</del>", raw) == ["1", "C"]
    assert re.findall(r"<ins>(.*?)</ins>", raw) == ["2", "B"]
    assert "hide side by side" in opened.text


def test_one_run_is_compared_with_the_one_before_and_none_the_last_two(
    pages: TestClient, pair: tuple[str, str]
) -> None:
    a, b = pair
    for address in ("/compare", f"/compare?run={b}", "/compare?run=latest"):
        page = pages.get(address)
        assert f"<title>{a} → {b} ·" in page.text
        assert "the run of its pipeline before it" in page.text
    first = pages.get(f"/compare?run={a}")
    assert first.status_code == 404
    assert f"no run of code finished before {a}" in first.text


def test_references_become_ids(pages: TestClient, pair: tuple[str, str]) -> None:
    corrida.Store("runs").promote(pair[1])
    page = pages.get("/compare?run=latest~1&run=@production")
    assert f"<title>{pair[0]} → {pair[1]} ·" in page.text
    assert f"/compare?run={pair[1]}&amp;run={pair[0]}" in page.text  # swapped
    assert '<span class="alias">@production</span>' in page.text
    assert pages.get("/compare?run=@nothing&run=latest").status_code == 404


def test_the_metric_can_be_chosen_and_an_unknown_one_is_explained(
    pages: TestClient, pair: tuple[str, str]
) -> None:
    address = f"/compare?run={pair[0]}&run={pair[1]}"
    other = pages.get(f"{address}&metric=other")
    assert "other 40 → 2" in _said(other.text)
    unknown = pages.get(f"{address}&metric=f2")
    assert unknown.status_code == 400
    assert "neither run has the metric &#39;f2&#39;" in unknown.text
    assert 'class="versus"' in unknown.text  # the runs stay in view
    assert pages.get(f"{address}&slices=nonsense").status_code == 400


def test_texts_of_people_are_no_markup(pages: TestClient, project: Path) -> None:
    del project
    frame = _items(set(), 30).with_columns(
        output=pl.lit(EVIL), text=pl.lit(EVIL), item_id=pl.Series([f"{EVIL}{n}" for n in range(30)])
    )
    _run("a", set(), frame=frame, description=EVIL, params={EVIL: EVIL})
    _run("b", set(), frame=frame.with_columns(output=pl.lit(f"x {EVIL}"), correct=False))
    page = pages.get("/compare?run=run_a&run=run_b")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text
    link = re.search(r'href="(/items/[^"]+)"', page.text)
    assert link is not None
    item = pages.get(html.unescape(link.group(1)))
    assert item.status_code == 200
    assert "<script>alert" not in item.text


def test_several_runs_stand_in_a_table_against_the_baseline(pages: TestClient, pair: tuple[str, str]) -> None:
    third = _run("c", set(range(80)))
    page = pages.get(f"/compare?run={pair[0]}&run={pair[1]}&run={third}&run={pair[1]}")
    assert page.status_code == 200
    said = _said(page.text)
    assert "2 runs against run_a" in said
    assert re.findall(r'<p class="word">(.*?)</p>', page.text) == ["better", "worse"]
    assert "+0.19 better" in said
    assert "−0.2 worse" in said
    assert f'href="/compare?run={pair[0]}&amp;run={third}"' in page.text
    assert f"/compare?run={third}&amp;run={pair[0]}&amp;run={pair[1]}" in page.text  # as the baseline
    many = "&".join(f"run=r{n}" for n in range(13))
    assert pages.get(f"/compare?{many}").status_code == 400


def test_runs_that_were_selected_are_put_in_their_order(pages: TestClient, pair: tuple[str, str]) -> None:
    answer = pages.get(f"/compare?run={pair[1]}&run={pair[0]}&order=age")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/compare?run={pair[0]}&run={pair[1]}"


def test_runs_that_cannot_be_compared_say_why(pages: TestClient, pair: tuple[str, str]) -> None:
    with corrida.start_run(pipeline="other", run_tag="bare") as run:
        run.log_metrics({"accuracy": 0.5})
    page = pages.get(f"/compare?run={pair[0]}&run=run_bare")
    said = _said(page.text)
    assert "no items in run_bare" in said
    assert "not the same work" in said
    with (  # noqa: PT012 - a run is a block
        pytest.raises(ValueError, match="singular"),
        corrida.start_run(pipeline="code", run_tag="bad", primary_metric="accuracy") as failed,
    ):
        failed.log_metrics({"accuracy": 0.1})
        raise ValueError("singular")
    assert "run_bad is failed: its metrics may be incomplete" in _said(
        pages.get(f"/compare?run={pair[0]}&run=run_bad").text
    )
    (Path("runs") / pair[1] / "run.json").write_text("{", encoding="utf-8")
    assert pages.get(f"/compare?run={pair[0]}&run={pair[1]}").status_code == 500
    matrix = pages.get(f"/compare?run={pair[0]}&run=run_bare&run=run_bad")
    assert matrix.status_code == 200


def test_what_was_not_tested_is_not_coloured_as_if_it_were(pages: TestClient, pair: tuple[str, str]) -> None:
    with corrida.start_run(
        pipeline="code", run_tag="bare", primary_metric="accuracy", direction="max"
    ) as run:
        run.log_metrics({"accuracy": 0.5, "other": 3})
    address = f"/compare?run={pair[0]}&run=run_bare"
    page = pages.get(address).text
    assert "<h1>not tested</h1>" in page
    assert "None of them was tested" in page
    (table,) = re.findall(r'<table class="findings">.*?</table>', page, re.DOTALL)
    assert "accuracy decides 0.8 0.5 −0.3 worse" in _said(table)
    assert not re.search(r'class="(?:right )?(?:good|bad)"', table)
    matrix = pages.get(f"{address}&run={pair[1]}").text
    assert "−0.3 the worse way" in _said(matrix)
    assert "+0.19 better" in _said(matrix)
    assert "None of them was tested" not in pages.get(f"/compare?run={pair[0]}&run={pair[1]}").text


def test_a_run_that_did_not_finish_is_told_beside_the_verdict(
    pages: TestClient, pair: tuple[str, str]
) -> None:
    with (  # noqa: PT012 - a run is a block
        pytest.raises(ValueError, match="singular"),
        corrida.start_run(pipeline="code", run_tag="bad", primary_metric="accuracy") as failed,
    ):
        failed.log_metrics({"accuracy": 0.1})
        raise ValueError("singular")
    page = pages.get(f"/compare?run={pair[0]}&run=run_bad").text
    (verdict,) = re.findall(r'<section class="verdict.*?</section>', page, re.DOTALL)
    assert "run_bad is failed: its metrics may be incomplete" in _said(verdict)
    many = pages.get(f"/compare?run={pair[0]}&run={pair[1]}&run=run_bad").text
    assert many.count("its metrics may be incomplete") == 1
    many = pages.get(f"/compare?run=run_bad&run={pair[0]}&run={pair[1]}").text
    assert many.count("its metrics may be incomplete") == 1  # of the baseline, above all of them


def test_runs_whose_items_are_all_the_same_or_none_of_them(
    pages: TestClient, pair: tuple[str, str], project: Path
) -> None:
    del project
    _run("same", set(range(40)), params={"names": ["a", "é"]})
    page = pages.get(f"/compare?run={pair[0]}&run=run_same").text
    assert "Every shared item is the same in both runs." in page
    assert 'name="find"' not in page
    assert "by segment" not in page  # a figure of nothing but zeros
    assert "items fixed, 0 broken" not in page
    assert 'names: – → ["a", "é"]' in _said(page)
    _run("others", set(), frame=_items(set(), 20).with_columns(item_id=pl.col("item_id") + "x"))
    page = pages.get(f"/compare?run={pair[0]}&run=run_others").text
    assert "The runs share no item." in page
    assert "of 0 shared" not in page
    assert "200 only in A, 20 only in B" in page


def test_a_figure_in_which_nothing_can_be_seen_is_left_out(pages: TestClient, project: Path) -> None:
    del project
    _run("a", set(), frame=_items(set(), 1200))
    _run("b", {0}, frame=_items({0, 1}, 1200))
    page = pages.get("/compare?run=run_a&run=run_b").text
    assert "0 fixed, 2 broken of 1,200 shared items" in _said(page)
    assert "a band is as wide as" not in page
    assert page.count("<details data-item=") == 2
    # 0.9992 was logged, where the items say 0.9983.
    assert "As the runs logged them; what was tested stands above." in page


def test_items_that_were_altered_are_seen_though_the_comparison_is_remembered(
    pages: TestClient, pair: tuple[str, str]
) -> None:
    address = f"/compare?run={pair[0]}&run={pair[1]}"
    assert pages.get(address).status_code == 200
    file = Path("runs") / pair[1] / "items.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    page = pages.get(address)
    assert page.status_code == 500
    assert "was altered since the run" in page.text


def test_downloads_are_the_report_and_the_comment(
    pages: TestClient, pair: tuple[str, str], corrida: CommandLine
) -> None:
    address = f"run={pair[0]}&run={pair[1]}&slices=no"
    text = pages.get(f"/compare.md?{address}")
    assert text.headers["content-disposition"] == 'attachment; filename="run_a_run_b.md"'
    assert text.text == corrida("compare", *pair, "--md", "--items", 20).out
    page = pages.get(f"/compare.html?{address}")
    assert page.headers["content-disposition"] == 'attachment; filename="run_a_run_b.html"'
    assert "<svg" in page.text
    assert "better" in page.text
    assert pages.get(f"/compare.md?{address}&run={pair[0]}").status_code == 400


def test_an_empty_store_says_the_next_command(pages: TestClient) -> None:
    page = pages.get("/compare")
    assert page.status_code == 404
    assert "no run has finished" in page.text
    assert "corrida demo matching" in page.text


def test_a_new_note_shows_though_the_comparison_is_remembered(
    pages: TestClient, pair: tuple[str, str]
) -> None:
    address = f"/compare?run={pair[0]}&run={pair[1]}"
    assert "@production" not in pages.get(address).text
    corrida.Store("runs").promote(pair[1])
    assert "@production" in pages.get(address).text

"""``corrida report``: a comparison as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_a_report_of_two_runs(toy: Any, corrida: Any) -> None:
    corrida("run", "jobs", "--run-id", "one", "--description", "先")
    toy.rules("1.2", [{"id": "R1", "word": "a ", "answer": "C"}, {"id": "R2", "word": "cook", "answer": "C"}])
    corrida("run", "jobs", "--run-id", "two")
    said = corrida("report").out
    assert "reports/one_two/report.html" in said.replace("\n", "")
    folder = toy.root / "reports" / "one_two"
    page = (folder / "report.html").read_text(encoding="utf-8")
    text = (folder / "report.md").read_text(encoding="utf-8")
    for shown in (page, text):
        assert "one → two" in shown
        assert "R2" in shown
        assert "先" in shown
    for picture in folder.glob("assets/*.png"):
        assert f"](assets/{picture.name})" in text
    assert (folder / "assets" / "flips.png").exists()


def test_a_report_of_runs_without_items(project: Path, corrida: Any) -> None:
    import corrida as package

    for value in (0.5, 0.6):
        with package.start_run(run_id=f"v{value}", pipeline="p") as run:
            run.log_metrics({"f1": value})
    corrida("report", "v0.5", "v0.6", "--to", "out")
    page = (project / "out" / "report.html").read_text(encoding="utf-8")
    assert "not tested" in page
    assert not list((project / "out" / "assets").iterdir())


def test_where_it_cannot_be_written(toy: Any, corrida: Any) -> None:
    corrida("run", "jobs", "--run-id", "one")
    corrida("run", "jobs", "--run-id", "two")
    (toy.root / "taken").write_text("a file")
    assert "taken is a file" in corrida.refuses("report", "one", "two", "--to", "taken")
    assert "there is no run" in corrida.refuses("report", "one", "three")

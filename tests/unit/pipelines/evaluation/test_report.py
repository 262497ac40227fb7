"""The report of an evaluation."""

from __future__ import annotations

import re

import msgspec
import pytest

from corrida.errors import MissingExtra
from corrida.pipelines.evaluation.generate import Shape, generate_classroom
from corrida.pipelines.evaluation.report import report_parts, write_report


@pytest.fixture
def seen(classroom):
    """An evaluation of a small synthetic classroom with everything in it."""
    made = generate_classroom(5, Shape(students=12))
    classroom.truth, classroom.taxonomy = made.truth, made.taxonomy
    classroom.detections = [{k: v or None for k, v in row.items()} for row in made.detections]
    classroom.run(sweep__over="threshold")
    return classroom.evaluation


def markdown(recorder, evaluation):
    write_report(evaluation, recorder)
    return recorder.texts["report.md"]


def test_the_report_answers_first_and_holds_every_part(seen, recorder):
    text = markdown(recorder, seen)
    first = text.split("### ")[0]
    assert seen.best.cell in first
    assert f"F1 {seen.best.f1.value:.3f}" in first
    headings = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert headings == [
        "Data",
        "Best cell, and what may be as good",
        "Grid",
        "Matchers, strategies and models",
        "Labels and topics",
        "Clean items",
        "Calibration",
        "Agreement of models",
        "Thresholds",
        "How to read this",
    ]
    pictures = set(re.findall(r"\((assets/\S+\.png)\)", text))
    assert pictures == set(recorder.files)
    assert {name.removeprefix("assets/").removesuffix(".png") for name in pictures} == {
        "matcher_ablation", "matcher_strategy_grid", "label_recall", "topic_heatmap", "calibration", "precision_recall",
    }  # fmt: skip
    assert all(data.startswith(b"\x89PNG") for data in recorder.files.values())
    assert "nan" not in text.lower().split()
    assert "None" not in text


def test_every_cell_of_the_grid_is_in_it_with_its_interval(seen, recorder):
    text = markdown(recorder, seen)
    for cell in seen.cells:
        f1 = cell.rates.f1
        assert f"{f1.value:.2f} ({f1.low:.2f}–{f1.high:.2f})" in text
    for name, threshold in seen.thresholds.items():
        assert f"| {name} | {threshold:g} |" in text


def test_the_page_stands_alone(seen, recorder):
    write_report(seen, recorder)
    page = recorder.texts["report.html"]
    assert page.count("<svg") >= 6
    body = page[: page.index("<script")]
    assert not re.search(r"(src|href)=\"(?!#|data:)", body)


def test_without_the_extra_the_text_is_kept_and_a_warning_says_what_to_install(seen, recorder, monkeypatch):
    def missing():
        raise MissingExtra("figures need vl-convert-python; pip install 'corrida[report]'")

    monkeypatch.setattr("corrida.analysis.charts.render._vl_convert", missing)
    text = markdown(recorder, seen)
    assert "### Grid" in text
    assert "assets/" not in text
    assert recorder.files == {}
    assert "report.html" not in recorder.texts
    assert "pip install 'corrida[report]'" in recorder.warnings[-1]


def test_nothing_to_find(classroom, recorder):
    classroom.truth = [{**row, "labels": []} for row in classroom.truth]
    classroom.run()
    text = markdown(recorder, classroom.evaluation)
    assert "**no F1**" in text
    assert "| fuzzy | s | m | 0 | 1 | 0 | 0.00" in text
    assert " – |" in text


def test_items_that_were_not_answered_are_told(seen):
    failed = msgspec.structs.replace(
        seen, cells=tuple(msgspec.structs.replace(c, failed=3) for c in seen.cells), clean_items=0
    )
    said = " ".join(getattr(part, "text", "") for part in report_parts(failed))
    assert "failed.csv says why" in said
    assert "false alarms on items without a label could not be seen" in said


def test_names_from_data_do_not_become_markup(classroom, recorder):
    classroom.taxonomy[0]["name"] = "<b>off</b> by | one"
    classroom.detections[0]["name"] = "<b>off</b> by | one"
    classroom.detections.append({**classroom.detections[0], "item": "b"})
    classroom.run()
    write_report(classroom.evaluation, recorder)
    assert "\\<b>off\\</b> by \\| one" in recorder.texts["report.md"]
    assert "&lt;b&gt;off&lt;/b&gt; by | one" in recorder.texts["report.html"]

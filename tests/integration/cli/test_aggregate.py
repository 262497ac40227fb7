"""``corrida aggregate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from corrida.pipelines.evaluation.generate import Shape, generate_classroom, write_classroom

CONFIG = """columns:
  truth: {topic: topic, cluster: student}
  taxonomy: {description: description, topic: topic}
  detections: {description: description, topic: topic, confidence: confidence}
matchers: {use: [fuzzy, semantic]}
bootstrap: {resamples: 200}
report: false
"""


@pytest.fixture
def seeds(project: Path, corrida: Any) -> Path:
    """Three runs, each of a classroom of its own."""
    (project / "evaluation.yaml").write_text(CONFIG)
    for seed in (1, 2, 3):
        folder = project / "data" / str(seed)
        names = write_classroom(generate_classroom(seed, Shape(students=20)), folder)
        files = [a for name in names if name != "dataset.json" for a in ("--data", folder / name)]
        corrida(
            "run", "evaluation", "--config", "evaluation.yaml", "--seed", seed, "--run-tag", f"seed{seed}",
            "--tag", "sweep=días 1", *files,
        )  # fmt: skip
    return project


def test_three_seeds_answer_the_three_questions(seeds: Path, corrida: Any) -> None:
    said = corrida("aggregate", "--tag", "sweep=días 1", "--resamples", "500").out
    assert "evaluation: 3 runs together" in said
    assert "semantic is better than fuzzy" in said or "That semantic is better than fuzzy" in said
    assert "best_f1 is" in said
    assert "The most robust strategy is" in said
    assert "it takes at least 6" in said
    found = corrida("aggregate", "run_seed1", "run_seed3", "run_seed2", "--resamples", "500", "--json").json
    assert found["runs"] == ["run_seed1", "run_seed2", "run_seed3"]
    assert found["seeds"] == [1, 2, 3]
    assert [axis["axis"] for axis in found["axes"]] == ["matcher", "strategy", "model"]
    for number, run in enumerate(found["runs"]):
        metrics = json.loads((seeds / "runs" / run / "metrics.json").read_text())
        for level in found["axes"][0]["levels"]:
            assert level["values"][number] == pytest.approx(metrics[f"{level['name']}.f1"])
    assert all(metric["sampling_error"] for metric in found["metrics"] if metric["name"].endswith("f1"))


@pytest.mark.slow
def test_a_page_is_written(seeds: Path, corrida: Any) -> None:
    said = corrida("aggregate", "--filter", "seed < 3", "--resamples", "300", "--to", "pages/seeds").out
    assert "written: pages/seeds/report.html and report.md with 7 pictures" in said
    assert len(list((seeds / "pages" / "seeds" / "assets").glob("*.png"))) == 7
    text = (seeds / "pages" / "seeds" / "report.md").read_text()
    assert "run_seed1 (seed 1), run_seed2 (seed 2)" in text
    assert "run\\_seed3" not in text
    assert "<svg" in (seeds / "pages" / "seeds" / "report.html").read_text()
    assert corrida("aggregate", "--filter", "seed < 3", "--resamples", "300", "--md").out.startswith(
        "### evaluation"
    )


def test_it_fits_a_narrow_terminal(seeds: Path, corrida: Any) -> None:
    shown = corrida.terminal(80, "aggregate", "--tag", "sweep=días 1", "--resamples", "300")
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "no room for" in shown


def test_any_pipeline(toy: Any, corrida: Any) -> None:
    for seed in (1, 2):
        corrida("run", "jobs", "--seed", seed, "--run-tag", f"s{seed}")
    found = corrida("aggregate", "run_s1", "run_s2", "--metric", "precision", "--json").json
    assert found["shared_items"] is True
    assert found["metrics"][0]["deviation"] == 0
    assert found["axes"] == []


def test_what_is_refused(toy: Any, corrida: Any) -> None:
    corrida("run", "jobs", "--run-id", "one")
    assert "name the runs" in corrida.refuses("aggregate")
    assert "name the runs" in corrida.refuses("aggregate", "one", "--tag", "a=b")
    assert "only one" in corrida.refuses("aggregate", "one", "one")
    assert "there is none" in corrida.refuses("aggregate", "--tag", "sweep=nothing")
    assert "not key=value" in corrida.refuses("aggregate", "--tag", "sweep")
    corrida("run", "jobs", "--run-id", "two")
    assert "no column 'ward'" in corrida.refuses(
        "aggregate", "one", "two", "--metric", "precision", "--cluster", "ward"
    )
    (toy.root / "file").write_text("mine")
    assert "is a file" in corrida.refuses("aggregate", "one", "two", "--to", "file")

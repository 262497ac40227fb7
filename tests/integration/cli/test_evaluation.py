"""``corrida run evaluation``: from files to runs that are listed, compared and looked into."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LABELS = {
    "L1": ("off by one", "the loop runs once too often"),
    "L2": ("assignment as comparison", "one equals sign where two are meant"),
    "L3": ("copied list", "b = a is believed to copy the list"),
}
CONFIG = """truth: data/truth.jsonl
taxonomy: data/taxonomy.csv
detections: data/detections.csv
facts: data/dataset.json
columns:
  truth: {topic: topic, cluster: student}
  taxonomy: {description: description}
  detections: {description: description, confidence: confidence}
bootstrap: {resamples: 500}
"""


@pytest.fixture
def classroom(project: Path) -> Path:
    """Two strategies and two models over twelve items of four students, a third of them clean."""
    data = project / "data"
    data.mkdir()
    truth, rows = [], ["item,model,strategy,name,description,confidence"]
    ids = list(LABELS)
    for i in range(12):
        label = ids[i % 3] if i % 3 else None
        truth.append(
            {"id": f"q{i}", "labels": [label] if label else [], "student": f"é{i // 3}", "topic": "语"}
        )
        for strategy in ("baseline", "rubric_only"):
            for model in ("gpt-5.1", "gemini-2.5-flash"):
                name, description = LABELS[label or "L1"]
                good = strategy == "rubric_only" or i % 2
                if label or model != "gpt-5.1":
                    said = name if good else "something else"
                    rows.append(
                        f"q{i},{model},{strategy},{said},{description if good else ''},{0.9 if good else 0.4}"
                    )
    (data / "truth.jsonl").write_text("".join(json.dumps(row) + "\n" for row in truth))
    (data / "detections.csv").write_text("\n".join(rows) + "\n")
    taxonomy = "".join(f'{label},{name},"{said}"\n' for label, (name, said) in LABELS.items())
    (data / "taxonomy.csv").write_text(f"id,name,description\n{taxonomy}")
    (data / "dataset.json").write_text('{"assignment": "A2", "generation_model": "gpt-5.1-2025-11-13"}')
    (project / "evaluation.yaml").write_text(CONFIG)
    return project


def run(corrida: Any, *arguments: object) -> dict[str, Any]:
    return corrida("run", "evaluation", "--config", "evaluation.yaml", "--json", *arguments).json


def test_a_run_keeps_everything(classroom: Path, corrida: Any) -> None:
    said = corrida("run", "evaluation", "--config", "evaluation.yaml", "--seed", "7", "--run-tag", "a").out
    assert "12 cells over 12 items: best is " in said
    assert "rubric_only+gpt-5.1 with F1 1.000" in said
    folder = classroom / "runs" / "run_a"
    manifest = json.loads((folder / "manifest.json").read_text())
    dataset = manifest["dataset"]
    assert (dataset["assignment"], dataset["generation_model"]) == ("A2", "gpt-5.1-2025-11-13")
    assert (dataset["items"], dataset["clean_items"], dataset["clusters"]) == (12, 4, 4)
    assert dataset["embedding"]["digest"].startswith("sha256:")
    assert {entry["role"] for entry in manifest["data"]} == {"truth", "taxonomy", "detections", "facts"}
    for name in ("grid.csv", "means.csv", "labels.csv", "calibration.csv", "agreement.csv", "contrasts.csv"):
        assert (folder / name).read_text().count("\n") > 1, name
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["best_f1"] == 1
    assert metrics["cell.fuzzy+baseline+gpt-5.1.fp"] == 4
    shown = corrida("show", "run_a").out
    assert "best is " in shown
    item = corrida("items", "run_a", "--json").json
    assert len(item["items"] if isinstance(item, dict) else item) > 0


def test_the_list_shows_the_columns_of_the_pipeline(classroom: Path, corrida: Any) -> None:
    run(
        corrida,
        "--seed",
        "7",
        "--run-tag",
        "all",
        "--notes",
        "a note that is long enough to have been cut before",
    )
    run(corrida, "--seed", "8", "--run-tag", "one", "--set", "matchers.use=[fuzzy]")
    wide = corrida.terminal(200, "list")
    header, *rows = [line for line in wide.splitlines() if line.strip()]
    for column in (
        "seed",
        "seeded %",
        "fuzzy F1",
        "semantic F1",
        "hybrid F1",
        "best F1",
        "best config",
        "notes",
    ):
        assert column in header
    one = next(row for row in rows if "run_one" in row)
    everything = next(row for row in rows if "run_all" in row)
    assert "a note that is long enough to have been cut before" in everything
    assert one.count("–") >= 2
    assert "fuzzy+rubric_only+gpt-5.1" in one
    assert "66.6" in one
    rows_json = corrida("list", "--json", "--filter", "findings.best_config ~ 'rubric_only'").json
    assert len(rows_json) == 2
    assert rows_json[0]["findings"]["best_config"] == "fuzzy+rubric_only+gpt-5.1"


def test_a_threshold_can_be_set_and_is_kept(classroom: Path, corrida: Any) -> None:
    run(corrida, "--run-tag", "low", "--set", "matchers.semantic.threshold=0.33")
    import yaml

    config = yaml.safe_load((classroom / "runs" / "run_low" / "config.yaml").read_text())
    assert {name: config["matchers"][name]["threshold"] for name in ("fuzzy", "semantic", "hybrid")} == {
        "fuzzy": 0.5, "semantic": 0.33, "hybrid": 0.5,
    }  # fmt: skip


def test_a_name_of_the_project(classroom: Path, corrida: Any) -> None:
    (classroom / "corrida.toml").write_text(
        '[pipelines.misconceptions]\nuses = "evaluation"\nconfigs = ["evaluation.yaml"]\nset = {"matchers.use" = ["fuzzy"]}\n'
    )
    corrida("run", "misconceptions", "--run-tag", "x")
    assert "misconceptions" in corrida("show", "run_x").out
    assert "evaluation" in corrida("pipelines").out


def test_files_may_be_given_as_data(classroom: Path, corrida: Any) -> None:
    (classroom / "evaluation.yaml").write_text("columns:\n  truth: {cluster: student}\n")
    files = [
        arg
        for name in ("truth.jsonl", "taxonomy.csv", "detections.csv")
        for arg in ("--data", f"data/{name}")
    ]
    got = corrida("run", "evaluation", "--config", "evaluation.yaml", "--json", *files).json
    assert got["metrics"]["best_f1"] == 1


def test_two_runs_are_compared_on_the_items_of_a_cell(classroom: Path, corrida: Any) -> None:
    run(corrida, "--run-tag", "a", "--set", "matchers.use=[fuzzy]")
    detections = classroom / "data" / "detections.csv"
    worse = detections.read_text().replace(",rubric_only,off by one", ",rubric_only,nothing like it")
    detections.write_text(worse.replace(",rubric_only,copied list", ",rubric_only,nothing like it"))
    run(corrida, "--run-tag", "b", "--set", "matchers.use=[fuzzy]")
    found = corrida("compare", "run_a", "run_b", "--json").json
    assert found["verdict"]["metric"] == "best_f1"
    cell = "cell.fuzzy+rubric_only+gpt-5.1.f1"
    told = corrida("compare", "run_a", "run_b", "--metric", cell, "--json").json["verdict"]
    assert told["tested"] == "counted_f1 where cell=fuzzy+rubric_only+gpt-5.1"
    assert told["difference"] < 0
    history = corrida("item", "q2|fuzzy+rubric_only+gpt-5.1").out
    assert "run_a" in history
    assert "run_b" in history


def test_only_some_items(classroom: Path, corrida: Any) -> None:
    (classroom / "some.txt").write_text("q1\nq2\n")
    got = run(corrida, "--items", "some.txt", "--set", "matchers.use=[fuzzy]")
    assert got["metrics"]["items"] == 2
    assert got["warnings"] == []


def test_bad_input_leaves_no_run(classroom: Path, corrida: Any) -> None:
    detections = classroom / "data" / "detections.csv"
    detections.write_text(detections.read_text() + "ghost,gpt-5.1,baseline,off by one,,0.5\n")
    said = corrida.refuses("run", "evaluation", "--config", "evaluation.yaml")
    assert "data/detections.csv: line " in said
    assert "data/truth.jsonl has no item 'ghost'" in said
    assert corrida("list", "--json").json == []
    said = corrida.refuses("run", "evaluation", "--config", "evaluation.yaml", "--set", "matcher.use=[fuzzy]")
    assert "Did you mean 'matchers'" in said


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from corrida.pipelines.registry import known_pipelines; "
        "assert any(p.name == 'evaluation' for p in known_pipelines()); "
        "print([m for m in ('numpy', 'polars', 'rapidfuzz', 'wordllama', 'torch', 'httpx2', 'requests') if m in sys.modules])"
    )
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert got.stdout.strip() == "[]"


def test_compare_takes_the_clusters_that_the_runs_declare(classroom: Path, corrida: Any) -> None:
    run(corrida, "--run-tag", "a", "--set", "matchers.use=[fuzzy]")
    run(corrida, "--run-tag", "b", "--set", "matchers.use=[fuzzy]", "--set", "matchers.fuzzy.threshold=0.9")
    assert json.loads((classroom / "runs" / "run_a" / "run.json").read_text())["cluster"] == "cluster"
    metric = ("--metric", "strategy.baseline.micro_f1", "--json")
    told = corrida("compare", "run_a", "run_b", *metric).json["verdict"]
    assert (told["items"], told["clusters"]) == (
        24,
        4,
    )  # twelve items in two cells of the strategy; four students
    alone = corrida("compare", "run_a", "run_b", "--cluster", "none", *metric).json["verdict"]
    assert (alone["items"], alone["clusters"]) == (24, None)
    other = corrida("compare", "run_a", "run_b", "--cluster", "item", *metric).json["verdict"]
    assert other["clusters"] == 12
    assert "no column 'pupil'" in corrida.refuses("compare", "run_a", "run_b", "--cluster", "pupil")
    # Other students for the same items: each stands alone, and that is said.
    truth = classroom / "data" / "truth.jsonl"
    truth.write_text(truth.read_text().replace("é3", "é0").replace("\\u00e93", "é0"))
    run(corrida, "--run-tag", "c", "--set", "matchers.use=[fuzzy]")
    found = corrida("compare", "run_a", "run_c", *metric).json
    assert found["verdict"]["clusters"] is None
    assert any("as if it stood alone" in one["text"] for one in found["circumstances"])


def test_lists_set_on_the_command_line_are_among_the_changes(classroom: Path, corrida: Any) -> None:
    run(corrida, "--run-tag", "a")
    run(corrida, "--run-tag", "b", "--set", "matchers.use=[fuzzy]")
    params = corrida("compare", "run_a", "run_b", "--json").json["configs"]["params"]
    assert {"name": "matchers.use", "a": None, "b": ["fuzzy"]} in params


def test_a_strategy_may_not_read_the_truth(classroom: Path, corrida: Any) -> None:
    detectors = "detectors=[{kind: retrieval, strategies: {all: [topic, labels]}}]"
    said = corrida.refuses("run", "evaluation", "--config", "evaluation.yaml", "--set", detectors)
    assert "reads the column 'labels', which holds the true labels" in said
    assert corrida("list", "--json").json == []


def test_a_seed_below_zero_is_refused(classroom: Path, corrida: Any) -> None:
    said = corrida.refuses("run", "evaluation", "--config", "evaluation.yaml", "--seed", "-5")
    assert "The seed is -5" in said
    assert corrida("list", "--json").json == []


def test_nothing_found_names_no_best_cell(classroom: Path, corrida: Any) -> None:
    (classroom / "data" / "detections.csv").write_text(
        "item,model,strategy,name,description,confidence\nq1,m,s,,,\n"
    )
    got = run(corrida, "--run-tag", "a", "--set", "matchers.use=[fuzzy]")
    assert got["metrics"]["best_f1"] == 0
    shown = corrida("show", "run_a").out
    assert "1 cell over 12 items: F1 is 0 everywhere, as no true label was found." in shown
    assert "findings" not in json.loads((classroom / "runs" / "run_a" / "run.json").read_text())


def test_the_best_cells_of_two_runs_are_compared_though_they_are_others(
    classroom: Path, corrida: Any
) -> None:
    run(corrida, "--run-tag", "a", "--set", "matchers.use=[fuzzy]")
    detections = classroom / "data" / "detections.csv"
    said = detections.read_text().replace("rubric_only", "socratic")
    detections.write_text(
        "".join(line for line in said.splitlines(keepends=True) if not line.startswith("q2,"))
    )
    run(corrida, "--run-tag", "b", "--set", "matchers.use=[fuzzy]")
    verdict = corrida("compare", "run_a", "run_b", "--json").json["verdict"]
    # Eight labels: all are found in A, and all but that of q2 in B.
    assert verdict["a"] == 1
    assert verdict["b"] == pytest.approx(2 * 7 / (2 * 7 + 0 + 1))
    assert (verdict["items"], verdict["clusters"], verdict["tested"]) == (12, 4, "counted_f1")
    assert any("cell=fuzzy+socratic+gpt-5.1 in B" in caution for caution in verdict["cautions"])
    sliced = corrida("compare", "run_a", "run_b", "--slices", "seeded", "--slice-min", "2", "--json").json
    assert [one["items"] for one in sliced["slices"]["found"]] == [8]  # without labels there is no F1


def test_thresholds_are_swept(classroom: Path, corrida: Any) -> None:
    run(corrida, "--run-tag", "a", "--sweep", "threshold", "--set", "matchers.use=[fuzzy]")
    (swept,) = json.loads((classroom / "runs" / "run_a" / "evaluation.json").read_text())["sweeps"]
    assert (swept["clusters_choosing"], swept["clusters_reporting"]) == (2, 2)
    said = corrida.refuses("run", "evaluation", "--config", "evaluation.yaml", "--sweep", "matcher")
    assert "sweep.over: invalid enum value 'matcher'" in said

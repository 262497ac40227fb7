"""A network on the command line: nothing is printed or left behind, and what the forecasts depend on is recorded."""

from __future__ import annotations

import json
import math

import pytest

pytestmark = pytest.mark.slow


def test_a_run_with_a_network_is_quiet_and_says_how_many_threads_it_took(project, corrida):
    rows = [
        f"{name},{2015 + i // 12}-{i % 12 + 1:02d}-01,{level + i + 9 * math.sin(i / 1.9)}"
        for name, level in (("a", 100), ("b", 500))
        for i in range(60)
    ]
    (project / "sales.csv").write_text("\n".join(["unique_id,ds,y", *rows]) + "\n")
    done = corrida.process(
        "train", "--data", "sales.csv", "--run-id", "n", "--set", "models=NBEATS", "--set", "max_steps=3",
        "--set", "n_windows=2", "--set", "horizon=6", timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert sorted(path.name for path in project.iterdir()) == ["runs", "sales.csv"]
    run = corrida("show", "n", "--json").json
    assert run["manifest"]["dataset"]["threads"] == 1
    assert json.loads((project / "runs/n/models/NBEATS/model.json").read_text())["facts"]["threads"] == 1
    assert run["metrics"]["models_trained"] == 2
    assert 0 <= run["metrics"]["NBEATS.coverage_80"] <= 1
    assert "torch" in run["environment"]["packages"]
    report = (project / "runs/n/report.md").read_text()
    assert "NBEATS" in report
    assert not list((project / "runs/n").rglob("*.ckpt"))

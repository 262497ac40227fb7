"""Ctrl-C while models are trained: the run says so, and what was done is kept."""

from __future__ import annotations

import json
import math
import signal
import time

import pytest

pytestmark = pytest.mark.slow


def test_ctrl_c_leaves_a_failed_run_with_what_was_done(project, corrida):
    rows = [
        f"s{one:03d},{2010 + i // 12}-{i % 12 + 1:02d}-01,{100 + one + i + 9 * math.sin(i * (1 + one / 50))}"
        for one in range(150)
        for i in range(84)
    ]
    (project / "sales.csv").write_text("\n".join(["unique_id,ds,y", *rows]) + "\n")
    training = corrida.start(
        "train",
        "--data",
        "sales.csv",
        "--run-id",
        "r",
        "--set",
        "models=[DynamicOptimizedTheta,AutoETS,AutoARIMA]",
    )
    done = project / "runs/r/models/DynamicOptimizedTheta/model.json"
    deadline = time.monotonic() + 120
    while not done.exists():
        assert training.poll() is None, training.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    training.send_signal(signal.SIGINT)
    out, err = training.communicate(timeout=30)
    assert training.returncode == 130, (out, err)
    assert "Traceback" not in out + err
    run = corrida("show", "r", "--json").json
    assert run["status"] == "failed"
    assert run["error"]["message"] == "interrupted"
    kept = {path.name for path in (project / "runs/r").iterdir()}
    assert {
        "cv_results_SeasonalNaive.csv",
        "cv_results_DynamicOptimizedTheta.csv",
        "config.yaml",
        "history.jsonl",
    } <= kept
    steps = [
        json.loads(line)["metrics"] for line in (project / "runs/r/history.jsonl").read_text().splitlines()
    ]
    assert sum("DynamicOptimizedTheta.mase" in one for one in steps) == 3
    assert "--resume r" in err
    assert "latest" in corrida.refuses("show", "latest")

"""What was configured differently from one run to the next, on real runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import corrida
from corrida.analysis import config_diff
from corrida.analysis.config_timeline import ConfigTimeline

if TYPE_CHECKING:
    from pathlib import Path

    from corrida.runs.record import RunRecord


@pytest.fixture
def runs(project: Path) -> list[RunRecord]:
    """Runs of two pipelines in turn, the oldest first."""
    config = project / "rules.yaml"
    for i, (pipeline, limit, rate) in enumerate(
        [("a", 1, 0.1), ("b", 9, 0.1), ("a", 1, 0.1), ("a", 2, 0.1), ("b", 9, 0.2), ("a", 1, 0.1)]
    ):
        config.write_text(f"limit: {limit}\n", encoding="utf-8")
        with corrida.start_run(pipeline=pipeline, run_tag=f"{i}", configs=[config], params={"rate": rate}):
            pass
    return corrida.Store("runs").runs()[::-1]


def test_each_run_is_compared_with_the_one_of_its_pipeline_before_it(runs: list[RunRecord]) -> None:
    steps = ConfigTimeline().steps(runs)
    assert [(step.before.id, step.run.id, step.in_files) for step in steps] == [
        ("run_2", "run_3", True),
        ("run_1", "run_4", False),
        ("run_3", "run_5", True),
    ]
    assert [step.lines for step in steps] == [
        ("rules: limit 1 → 2",),
        ("rate: 0.1 → 0.2",),
        ("rules: limit 2 → 1",),
    ]


def test_files_are_read_once(runs: list[RunRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    timeline = ConfigTimeline()
    first = timeline.steps(runs)
    monkeypatch.setattr(config_diff, "diff_configs", lambda *_a, **_k: pytest.fail("read again"))
    assert timeline.steps(runs) == first


def test_without_time_it_is_only_said_that_they_differ(runs: list[RunRecord]) -> None:
    timeline = ConfigTimeline()
    steps = timeline.steps(runs, seconds=-1.0)
    assert [step.lines[0] for step in steps] == [
        "the configuration files differ",
        "rate: 0.1 → 0.2",
        "the configuration files differ",
    ]
    assert timeline.steps(runs)[0].lines == ("rules: limit 1 → 2",)


def test_a_file_that_is_gone_is_said(runs: list[RunRecord]) -> None:
    (runs[3].dir / runs[3].configs[0].file).unlink()
    steps = ConfigTimeline().steps(runs)
    assert "lacks its configuration" in steps[0].lines[0]

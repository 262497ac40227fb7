"""What a comparison says to people."""

from __future__ import annotations

import subprocess

import pytest

import corrida
from corrida.analysis.blocks import to_text
from corrida.analysis.compare_report import comparison_blocks


@pytest.fixture
def pair(project):
    """Two equal runs, with or without data."""

    def make(data=None):
        for name in ("a", "b"):
            with corrida.start_run(pipeline="jobs", run_id=name, data=data or []) as run:
                run.log_metrics({"precision": 1})
        return str(corrida.compare("a", "b")).split("Data and environment\n")[1].strip()

    return make


def test_what_is_not_recorded_is_not_called_the_same(pair):
    expected = "the same packages and machine; no data is recorded; code is not recorded (no git)"
    assert pair() == expected


def test_only_what_is_known_is_called_the_same(pair, project):
    (project / "data.csv").write_text("id\n1\n", encoding="utf-8")
    assert pair(["data.csv"]) == "the same data, packages and machine; code is not recorded (no git)"


def test_a_repository_without_a_commit_tells_nothing_of_the_code(pair, project):
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    assert "code is not recorded (no commit)" in pair()


def test_all_is_known(pair, project):
    (project / "data.csv").write_text("id\n1\n", encoding="utf-8")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=n", "-c", "user.email=e@x", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", *command], cwd=project, check=True)
    assert pair(["data.csv"]) == "the same data, code, packages and machine"


def test_of_very_many_metrics_those_with_the_shortest_names_are_shown(project):
    for number in range(2):
        with corrida.start_run(run_id=f"r{number}", primary_metric="deep.down.f1") as run:
            cells = {f"cell.{n}.f1": n + number for n in range(60)}
            run.log_metrics({"best": 1 + number, "deep.down.f1": number, **cells})
    found = corrida.compare("r0", "r1")
    text = to_text(comparison_blocks(found))
    assert "\n  best " in text
    assert "\n  deep.down.f1 " in text
    assert "… 22 more; --details shows all" in text
    assert "cell.59.f1" not in text
    assert "cell.59.f1" in to_text(comparison_blocks(found, details=True))

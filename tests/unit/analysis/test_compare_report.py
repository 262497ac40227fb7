"""What a comparison says to people."""

from __future__ import annotations

import subprocess

import pytest

import corrida


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

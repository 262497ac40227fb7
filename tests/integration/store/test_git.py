"""A store in git: two clones add runs, and the merge has no conflict."""

from __future__ import annotations

import subprocess

import pytest

from corrida.runs.store import Store

from .conftest import read_index


def git(folder, *arguments):
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", "-c", "pull.rebase=false", *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("base", [0, 1, 3])
def test_two_clones_merge(project, start, base, tmp_path):
    def add(folder, *names):
        for name in names:
            run = start(folder / "runs", run_id=name)
            run.log_metrics({"f1": 0.5})
            run.finish()
        Store(folder / "runs").runs()
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", " ".join(names) or "nothing", "--allow-empty")

    git(project, "init", "-q")
    (project / "readme").touch()
    add(project, *(f"base{n}" for n in range(base)))
    assert ".corrida" not in git(project, "ls-files")
    sides = [tmp_path / "left", tmp_path / "right"]
    for side in sides:
        git(tmp_path, "clone", "-q", str(project), str(side))
    add(sides[0], "l1", "l2")
    if base:
        Store(sides[0] / "runs").promote("l1")
        git(sides[0], "add", "-A")
        git(sides[0], "commit", "-qm", "promote")
    add(sides[1], "r1", "r2", "r3")
    if base:
        Store(sides[1] / "runs").promote("r2")
        Store(sides[1] / "runs").promote("base0", "staging")
        git(sides[1], "add", "-A")
        git(sides[1], "commit", "-qm", "promote")
    git(sides[0], "pull", "-q", "--no-edit", str(sides[1]))
    expected = {f"base{n}" for n in range(base)} | {"l1", "l2", "r1", "r2", "r3"}
    assert read_index(sides[0] / "runs").keys() == expected  # as git left it
    store = Store(sides[0] / "runs")
    assert {r.id for r in store.runs()} == expected
    assert read_index(sides[0] / "runs").keys() == expected
    assert all(v.intact for v in store.verify())
    if base:
        assert {a: p.run for a, p in store.aliases().items()} == {"production": "r2", "staging": "base0"}
        assert store.demote().run == "l1"
    assert store.get("latest").id == "r3"
    other = Store(sides[1] / "runs")
    git(sides[1], "pull", "-q", "--no-edit", str(sides[0]))
    assert {r.id for r in other.runs()} == expected
    git(sides[1], "checkout", "-q", "HEAD~1")
    assert {r.id for r in other.runs()} == read_index(sides[1] / "runs").keys()

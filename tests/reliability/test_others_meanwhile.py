"""While one process lists in a loop, others harm the catalog or copy runs into the store: every answer is right."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .failpoints import Task, Warm

RUNS = 1_000


@pytest.mark.slow
@pytest.mark.parametrize("how", ["delete", "truncate", "garbage", "amid", "read-only", "folder"])
def test_the_catalog_is_harmed_while_it_is_used(
    project: Path, warm: Warm, prepared: Callable[[str], Callable[[], None]], how: str
) -> None:
    prepared("")
    expected = sorted(warm.tell("look")["runs"])
    tasks = [
        Task("list_until", ("stop", expected)),
        Task("list_until", ("stop", expected)),
        Task("harm_the_catalog", (how, 20, "stop")),
    ]
    outcomes = warm.together(tasks)
    assert [o.crash or o.error for o in outcomes] == [None] * 3
    assert all(o.result >= 1 for o in outcomes[:2])
    assert sorted(warm.tell("look")["runs"]) == expected


@pytest.mark.slow
def test_a_thousand_runs_arrive_while_the_store_is_listed(project: Path, warm: Warm) -> None:
    # No program such as rsync is needed: what it does to the folders is done here, and worse, since it renames.
    warm.tell("claim", "runs", "first")
    whole = json.loads((project / "runs/first/run.json").read_text())
    for number in range(RUNS):
        folder = project / "source" / f"r{number}"
        folder.mkdir(parents=True)
        shutil.copy(project / "runs/first/metrics.json", folder)
        content = whole | {
            "id": folder.name,
            "metrics": {"f1": 0.5, "n": number},
            "order": whole["order"] + number,
        }
        content["tags"] = {"last": "field"}
        (folder / "run.json").write_text(json.dumps(content, indent=2))
    shutil.rmtree(project / "runs/first")
    tasks = [Task("list_what_arrives", ("stop",)), Task("copy_runs", ("source", RUNS, "stop"))]
    listed, copied = warm.together(tasks)
    assert [o.crash or o.error for o in (listed, copied)] == [None] * 2
    times, statuses, counts = listed.result
    assert times > 4
    assert "finished" in statuses
    assert len(set(counts)) > 2, "nothing was seen on the way"
    assert counts[-1] == RUNS
    assert copied.result < 5
    ids = json.loads(warm.tell("say", "list", "--json", "--filter", "status = 'finished'", "--limit", "2000"))
    assert len(ids) == RUNS

"""Before a change returns, everything that it wrote was waited for, in the right order."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .failpoints import Call, Warm
from .power import Disk

RUN = "runs/fresh"


def below(project: Path) -> list[str]:
    """Return the names of all files and folders of the project."""
    return [
        os.path.relpath(os.path.join(d, n), project) for d, fs, ns in os.walk(project) for n in (*fs, *ns)
    ]


def test_nothing_of_a_finished_run_is_lost_in_a_power_cut(project: Path, warm: Warm) -> None:
    calls = warm.do("whole", watch=project).calls
    disk = Disk()
    last = max(n for n, call in enumerate(calls) if call.to == f"{RUN}/run.json")
    for number, call in enumerate(calls):
        if number == last:  # run.json says that the run has ended: nothing else may still be under way
            assert not {n for n in disk.data if n.startswith(f"{RUN}/")} - {call.to}
            assert not {n for n in disk.names if n.startswith(f"{RUN}/") and n.count("/") > 2}
        disk.follow(call)
    assert disk.early.count(f"{RUN}/run.json") < sum(call.to == f"{RUN}/run.json" for call in calls)
    assert f"{RUN}/items.parquet" in {call.to for call in calls}
    assert disk.unsafe(RUN) == set()
    assert "runs" not in disk.names


SAFE = {
    "restore": ["config", "runs/.corrida/journal"],
    "undo restore": ["config", "runs/.corrida/journal"],
    "promote": ["runs/aliases.jsonl"],
    "demote": ["runs/aliases.jsonl"],
    "note": ["runs/old"],
    "remove": ["runs/old", "runs/child", "runs/.corrida/trash", "runs/.corrida/journal/log.jsonl"],
    "undo rm": ["runs/old", "runs/child", "runs/.corrida/trash", "runs/.corrida/journal/log.jsonl"],
    "bring_back": ["runs/gone", "runs/gone-child", "runs/.corrida/trash"],
}


@pytest.mark.parametrize("what", SAFE)
def test_nothing_of_another_change_is_lost_in_a_power_cut(
    project: Path, warm: Warm, prepared: Callable[[str], Callable[[], None]], what: str
) -> None:
    operation, _, undoable = what.partition(" ")
    prepared(undoable)
    disk = Disk(below(project))
    calls = warm.do(operation, watch=project).calls
    for call in calls:
        disk.follow(call)
    for place in SAFE[what]:
        assert any(
            f"{place}/".startswith(f"{c.path}/") or f"{c.to or c.path}/".startswith(f"{place}/")
            for c in calls
        )
        assert {n for n in disk.unsafe(place) if not n.endswith((".moves", "/lock"))} == set(), place
    assert [name for name in disk.early if name != "runs/index.json"] == []


def test_a_promotion_is_the_first_of_its_store(project: Path, warm: Warm) -> None:
    warm.tell("first", None)
    disk = Disk(below(project))
    for call in warm.do("promote_fresh", watch=project).calls:
        disk.follow(call)
    assert "runs/aliases.jsonl" in disk._there
    assert disk.unsafe("runs/aliases.jsonl") == set()


def test_the_disk_forgets_what_nobody_waited_for() -> None:
    disk = Disk()
    steps = [
        (Call("mkdir", "a"), {"a"}),
        (Call("open", "a/t"), {"a", "a/t"}),
        (Call("write", "a/t"), {"a", "a/t"}),
        (Call("fsync", "a/t"), {"a", "a/t"}),
        (Call("fsync", "."), {"a/t"}),
        (Call("rename", "a/t", "a/f"), {"a/f"}),
        (Call("fsync", "a", done=False), {"a/f"}),
        (Call("fsync", "a"), set()),
    ]
    for call, unsafe in steps:
        disk.follow(call)
        assert disk.unsafe("a") == unsafe
    for call in (Call("write", "a/f"), Call("rename", "a/f", "a/g")):
        disk.follow(call)
    assert disk.early == ["a/g"]

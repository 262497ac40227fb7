"""SIGKILL at every call that changes files: the state is that of before or of after, and work goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .failpoints import Call, Kill, Warm

# What must be among the calls of an operation, so that nobody counts too few.
KNOWN = {
    "finish": [("fsync", "runs/fresh/items.parquet"), ("rename", "runs/fresh/run.json"), ("rename", "runs/index.json")],
    "restore": [("rename", "config/a.json"), ("unlink", "config/extra.json"), ("write", "runs/.corrida/journal/log.jsonl")],
    "undo restore": [("rename", "config/a.json"), ("unlink", "b.yaml"), ("fsync", "config")],
    "undo rm": [("rename", "runs/old"), ("rename", "runs/child"), ("write", "runs/.corrida/journal/log.jsonl")],
    "promote": [("rename", "runs/aliases.jsonl"), ("fsync", "runs")],
    "demote": [("rename", "runs/aliases.jsonl"), ("fsync", "runs")],
    "remove": [("rename", "runs/.corrida/trash/old"), ("rename", "runs/.corrida/trash/child"), ("fsync", "runs")],
    "bring_back": [("rename", "runs/gone"), ("rename", "runs/gone-child"), ("fsync", "runs")],
    "empty_trash": [("rename", "gone-child"), ("unlink", "run.json"), ("rmdir", "gone")],
    "note": [("rename", "runs/old/annotations.jsonl"), ("fsync", "runs/old")],
    "tag": [("rename", "runs/old/annotations.jsonl"), ("fsync", "runs/old")],
}  # fmt: skip


def has(calls: list[Call], name: str, path: str) -> bool:
    """Tell whether one of the calls is that of ``name`` on ``path``, or ended there."""
    return any(
        call.done and call.name == name and f"/{call.to or call.path}".endswith(f"/{path}") for call in calls
    )


def points(calls: list[Call]) -> list[Kill]:
    """Return every failpoint. After a call the files are what they are before the next: only the last has its own."""
    amid = [Kill(n, "amid") for n, call in enumerate(calls, 1) if call.name == "write"]
    return [*(Kill(n) for n in range(1, len(calls) + 1)), *amid, Kill(len(calls), "after")]


@pytest.mark.slow
@pytest.mark.parametrize("what", KNOWN)
def test_a_kill_at_every_point(
    project: Path, warm: Warm, prepared: Callable[[str], Callable[[], None]], what: str
) -> None:
    operation, _, undoable = what.partition(" ")
    reset = prepared(undoable)
    before: dict[str, Any] = warm.tell("look")
    reset()
    dry = warm.do(operation, watch=project)
    assert dry.error is None
    after = warm.tell("look")
    assert after != before
    assert len(dry.calls) >= 3
    for name, path in KNOWN[what]:
        assert has(dry.calls, name, path), (name, path, dry.calls)
    seen = []
    for point in points(dry.calls):
        reset()
        assert warm.do(operation, failpoint=point, watch=project).killed, point
        now, said = warm.tell("look_and_again", operation)
        if operation == "finish":
            assert "there already" in said
            check_ended(now, after)
        else:
            assert now in (before, after), (
                point, dry.calls[point.at - 1], difference(now, before), difference(now, after),
            )  # fmt: skip
            if now == before:
                assert said == ""
                assert warm.tell("look") == after, (point, dry.calls[point.at - 1])
        seen.append(now == after)
    assert {True, False} == set(seen)


def check_ended(now: dict[str, Any], after: dict[str, Any]) -> None:
    """A run whose end was killed has ended, or crashed with all that had been logged to it."""
    found = now["runs"]["fresh"]
    logged = {key for key in found if key != "status"}
    if found["status"] != "finished":
        assert found["status"] == "crashed"
        assert now["verify"]["fresh"] == [("run.json", "not ended")]
        logged -= {
            "log"
        }  # what is printed is no logging call: a line without an end waits for the end of the run
    assert {k: found[k] for k in logged} == {k: after["runs"]["fresh"][k] for k in logged}
    same = now | {"runs": after["runs"], "latest": after["latest"], "verify": after["verify"]}
    assert same == after


def difference(one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    """Name what differs."""
    return [key for key in one if one[key] != two[key]]


@pytest.mark.parametrize(("operation", "how"), [("begin", ""), ("first", "nothing")])
def test_a_kill_at_every_point_of_the_start(
    project: Path, warm: Warm, prepared: Callable[[str], Callable[[], None]], operation: str, how: str
) -> None:
    reset = prepared(how)
    reset()
    calls = warm.do(operation, watch=project).calls
    assert has(calls, "mkdir", "runs/fresh")
    assert has(calls, "rename", "runs/fresh/run.json")
    seen = set()
    for point in points(calls):
        reset()
        assert warm.do(operation, failpoint=point, watch=project).killed
        now, said = warm.tell("look_and_again", operation)
        status = now["runs"].get("fresh", {}).get("status")
        seen.add(status)
        assert status in {None, "crashed", "finished"}
        assert not any(p for p in now["verify"].values() if p != [("run.json", "not ended")])
        if status is None:
            assert said == ""
            assert warm.tell("look")["runs"]["fresh"]["status"] == (
                "finished" if operation == "first" else "crashed"
            )
        else:
            assert "is there already" in said
    assert {None, "crashed"} <= seen

"""The system refuses at each call in turn: one sentence, nothing that had returned is lost, and work goes on."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from .failpoints import Call, Fail, Warm

Prepared = Callable[[str], Callable[[], None]]
OPERATIONS = ["begin", "restore", "promote", "note", "remove"]  # undo and trash go the same ways


def refusals(calls: list[Call]) -> list[Fail]:
    """Return a full disk from each call on that needs room, and a broken one at each of the others and each sync."""
    full = [Fail(n, lasting=True) for n, call in enumerate(calls, 1) if call.needs_room]
    others = [n for n, call in enumerate(calls, 1) if not call.needs_room or "fsync" in call.name]
    return full + [Fail(n, errno.EIO) for n in others]


@pytest.mark.slow
@pytest.mark.parametrize("what", OPERATIONS)
def test_each_call_is_refused(project: Path, warm: Warm, prepared: Prepared, what: str) -> None:
    operation, _, undoable = what.partition(" ")
    reset = prepared(undoable)
    before = warm.tell("look")
    reset()
    dry = warm.do(operation, watch=project)
    after = warm.tell("look")
    refused = 0
    for point in refusals(dry.calls):
        reset()
        outcome = warm.do(operation, failpoint=point, watch=project)
        now = warm.tell("look")
        at = (point, dry.calls[point.at - 1], outcome.error)
        if outcome.error is None:  # it could do without: a cache, a file that was to be cleared away
            assert now == after, at
            assert point.code == errno.ENOSPC or at[1].name != "fsync", at
            continue
        refused += 1
        kind, code, sentence = outcome.error
        assert (kind, code) == ("StoreError", 1), at
        assert "\n" not in sentence
        assert str(project) not in sentence
        assert ("the disk is full" if point.code == errno.ENOSPC else "Input/output error") in sentence
        assert now in (before, after), (at, [k for k in now if now[k] != before[k]])
        if point.code == errno.ENOSPC and dry.calls[point.at - 1].name != "fsync":
            assert now == before, at
        if now == before:
            assert warm.do(operation, watch=project).error is None, at
            assert warm.tell("look") == after, at
    assert refused >= 3


@pytest.mark.slow
def test_the_end_of_a_run_is_refused_at_each_call_and_can_be_tried_again(
    project: Path, warm: Warm, prepared: Prepared
) -> None:
    reset = prepared("")
    reset()
    dry = warm.do("finish", watch=project)
    after = warm.tell("look")
    wanted = {k: v for k, v in after["runs"]["fresh"].items() if k not in {"status", "log"}}
    refused = 0
    for point in refusals(dry.calls):
        reset()
        outcome = warm.do("finish_again", failpoint=point, watch=project)
        at = (point, dry.calls[point.at - 1], outcome.error)
        assert outcome.error is None, at
        said, seen = outcome.result
        if said:
            refused += 1
            assert said.startswith(("1 finishing the run fresh failed", "1 writing items failed")), at
            assert {k: v for k, v in seen.items() if k not in {"status", "log"}} == wanted, at
        assert warm.tell("look") == after, at
    assert refused > 10


@pytest.mark.parametrize("operation", ["finish", "promote", "note", "remove", "begin"])
def test_a_quota_that_is_used_up(project: Path, warm: Warm, prepared: Prepared, operation: str) -> None:
    prepared("")
    outcome = warm.do(operation, failpoint=Fail(1, errno.EDQUOT, only="write"), watch=project)
    assert outcome.error
    assert outcome.error[:2] == ("StoreError", 1)
    assert "your disk quota is used up; free some space and try again" in outcome.error[2]
    assert all(run["status"] in {"finished", "crashed"} for run in warm.tell("look")["runs"].values())

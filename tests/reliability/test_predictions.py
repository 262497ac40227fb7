"""A prediction is kept whole or not at all: killed and refused at each call, and several at once."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path

from .failpoints import Fail, Kill, Warm
from .power import Disk
from .test_power import below

Prepared = Callable[[str], Callable[[], None]]


def test_a_kill_at_every_point(project: Path, warm: Warm, prepared: Prepared) -> None:
    reset = prepared("")
    reset()
    calls = warm.do("keep_prediction", watch=project).calls
    names = [f"{call.name} {call.to or call.path}" for call in calls]
    assert any(re.search(r"^link .*old/predictions/.*csv$", name) for name in names), names
    points = [Kill(n) for n in range(1, len(calls) + 1)]
    points += [Kill(n, "amid") for n, call in enumerate(calls, 1) if call.name == "write"]
    seen, left_over = [], 0
    for point in [*points, Kill(len(calls), "after")]:
        reset()
        assert warm.do("keep_prediction", failpoint=point, watch=project).killed, point
        whole, findings, files = warm.tell("look_at_predictions")
        assert not [name for name in files if name.endswith(".tmp")], (point, files)
        if whole:
            assert findings == []
            assert len(files) == 2
        else:
            # Between its two names a table has no file that speaks of it: no reader takes it for a prediction.
            assert findings == [(f"predictions/{name}", "left over") for name in files], point
            assert all(name.endswith(".csv") for name in files)
            left_over += len(files)
        seen.append(bool(whole))
        again = warm.do("keep_prediction", watch=project)
        assert again.error is None
        assert again.result in warm.tell("look_at_predictions")[0]
        warm.tell("say", "verify", "old")
    assert {True, False} == set(seen)
    assert left_over <= 3


def test_each_call_is_refused(project: Path, warm: Warm, prepared: Prepared) -> None:
    reset = prepared("")
    reset()
    calls = warm.do("keep_prediction", watch=project).calls
    refused = 0
    points = [Fail(n, lasting=True) for n, call in enumerate(calls, 1) if call.needs_room]
    points += [Fail(n, errno.EIO) for n, call in enumerate(calls, 1) if call.name == "fsync"]
    for point in points:
        reset()
        outcome = warm.do("keep_prediction", failpoint=point, watch=project)
        whole, findings, files = warm.tell("look_at_predictions")
        at = (point, calls[point.at - 1], outcome.error)
        if outcome.error is None:
            assert whole, at
            continue
        refused += 1
        assert outcome.error[:2] == ("StoreError", 1), at
        assert "\n" not in outcome.error[2]
        assert str(project) not in outcome.error[2]
        assert (whole, findings, files) == ([], [], []), at
        assert warm.do("keep_prediction", watch=project).error is None, at
    assert refused >= 5


def test_nothing_of_a_prediction_is_lost_in_a_power_cut(
    project: Path, warm: Warm, prepared: Prepared
) -> None:
    prepared("")()
    disk = Disk(below(project))
    calls = warm.do("keep_prediction", watch=project).calls
    for call in calls:
        if call.to.endswith(".json"):  # it speaks of the table, which is safe by then
            assert disk.unsafe("runs/old/predictions") == set()
        disk.follow(call)
    assert disk.unsafe("runs/old") == set()
    assert disk.early == []

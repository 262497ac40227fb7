"""Two processes do things to the same run at once: one wins or both do, and nobody sees a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .failpoints import Outcome, Task, Warm
from .operations import NEW, OLD

ROUNDS = 8
Reset = Callable[[], None]
Prepared = Callable[[str], Reset]


def rounds(warm: Warm, reset: Reset, *tasks: Task) -> Iterator[tuple[list[Outcome], dict[str, Any]]]:
    """Do the tasks at once, many times, and yield how they ended and what is seen then.

    No task may end but well, or with one sentence and a code that says what kind of mistake it was.
    """
    for _ in range(ROUNDS):
        reset()
        outcomes = warm.together(tasks)
        for outcome in outcomes:
            assert not outcome.crash, outcome.crash
            if outcome.error:
                kind, code, sentence = outcome.error
                assert (kind, code) in {
                    ("Refused", 1),
                    ("RunNotFound", 2),
                    ("AlreadyExists", 2),
                    ("RunSealed", 1),
                }
                assert "\n" not in sentence
                assert "[Errno" not in sentence
                assert sentence[0].islower() or sentence[0] == "@"
        now = warm.tell("look")
        assert not any(v for k, v in now["verify"].items() if k != "fresh"), now["verify"]
        assert not any(p.finding != "not ended" for found in now["trash"].values() for p in found), now[
            "trash"
        ]
        assert warm.tell("leftovers") == []
        yield outcomes, now


def won(outcomes: list[Outcome]) -> int:
    """Return how many came to their end."""
    return sum(outcome.error is None for outcome in outcomes)


def task(operation: str, *arguments: Any) -> Task:
    """Return a task without failpoints."""
    return Task(operation, (None, *arguments))


@pytest.mark.slow
def test_promoting(warm: Warm, prepared: Prepared) -> None:
    for outcomes, now in rounds(warm, prepared(""), task("promote_run", "old"), task("promote_run", "child")):
        assert won(outcomes) == 2
        assert now["aliases"]["production"] == now["promotions"][-1][1]
        assert {p[1] for p in now["promotions"][-2:]} == {"old", "child"}


def test_demoting(warm: Warm, prepared: Prepared) -> None:
    for outcomes, now in rounds(warm, prepared(""), task("demote"), task("demote")):
        assert won(outcomes) == 2
        assert [p[1] for p in now["promotions"][-3:]] == ["new", "child", None]


@pytest.mark.slow
def test_promoting_and_removing(warm: Warm, prepared: Prepared) -> None:
    ends = set()
    for outcomes, now in rounds(
        warm, prepared(""), task("promote_run", "lone"), task("remove_politely", "lone")
    ):
        ends.add(won(outcomes))
        assert won(outcomes) == 1, [o.error for o in outcomes]
        assert ("lone" in now["trash"]) != (now["aliases"].get("production") == "lone")
    assert ends == {1}


def test_removing(warm: Warm, prepared: Prepared) -> None:
    for outcomes, now in rounds(warm, prepared(""), task("remove"), task("remove")):
        assert won(outcomes) == 1
        assert {"old", "child"} <= now["trash"].keys()
        assert now["undoable"] == ("rm", ("old", "child"))
        assert now["undone"].count("rm") == 2


def test_removing_a_parent_and_its_child(warm: Warm, prepared: Prepared) -> None:
    for outcomes, now in rounds(warm, prepared(""), task("remove"), task("remove", "child")):
        assert won(outcomes) >= 1
        assert "child" in now["trash"]
        assert ("old" in now["trash"]) == (outcomes[0].error is None)


def test_undoing_a_removal(warm: Warm, prepared: Prepared) -> None:
    for outcomes, now in rounds(warm, prepared("rm"), task("undo"), task("undo")):
        # The second may come late enough to take back the removal before.
        assert won(outcomes) >= 1
        assert {"old", "child"} <= now["runs"].keys()
        assert ("gone" in now["runs"]) == (won(outcomes) == 2)


def test_bringing_back(warm: Warm, prepared: Prepared) -> None:
    for outcomes, now in rounds(warm, prepared(""), task("bring_back"), task("bring_back")):
        assert won(outcomes) == 1
        assert {"gone", "gone-child"} <= now["runs"].keys()


def test_bringing_back_and_emptying(warm: Warm, prepared: Prepared) -> None:
    for outcomes, now in rounds(warm, prepared(""), task("bring_back"), task("empty_trash")):
        back, emptied = outcomes
        assert now["trash"] == {}
        assert emptied.error is None
        family = {"gone", "gone-child"}
        assert family & now["runs"].keys() == (family if back.error is None else set())
        assert set(emptied.result) == (set() if back.error is None else family)


def test_emptying(warm: Warm, prepared: Prepared) -> None:
    for outcomes, now in rounds(warm, prepared(""), task("empty_trash"), task("empty_trash")):
        assert won(outcomes) == 2
        assert sorted(name for o in outcomes for name in o.result) == ["gone", "gone-child"]
        assert now["trash"] == {}


@pytest.mark.slow
def test_restoring(warm: Warm, prepared: Prepared, project: Path) -> None:
    for outcomes, now in rounds(warm, prepared(""), task("restore_run", "old"), task("restore_run", "third")):
        assert won(outcomes) >= 1
        configs = {name: data for name, data in now["project"].items() if name.startswith("config")}
        assert configs in (OLD, {"config/a.json": b"third"})
        assert configs != NEW


def test_undoing_a_restore(warm: Warm, prepared: Prepared) -> None:
    for outcomes, now in rounds(warm, prepared("restore"), task("undo"), task("undo")):
        assert won(outcomes) >= 1
        configs = {name: data for name, data in now["project"].items() if name.startswith("config")}
        assert configs == NEW
        assert ("gone" in now["runs"]) == (won(outcomes) == 2)


@pytest.mark.slow
def test_noting_and_tagging(warm: Warm, prepared: Prepared) -> None:
    tasks = [task("note", "one"), task("note", "two"), task("tag")]
    for outcomes, now in rounds(warm, prepared(""), *tasks):
        assert won(outcomes) == 3
        assert sorted(now["runs"]["old"]["notes"]) == ["first note", "one", "two"]
        assert now["runs"]["old"]["tags"] == {"new": "ñ"}


def test_noting_and_removing(warm: Warm, prepared: Prepared) -> None:
    for outcomes, now in rounds(warm, prepared(""), task("note", "one"), task("remove")):
        assert outcomes[1].error is None
        assert "old" in now["trash"]
        back = warm.tell("undo_and_look")
        assert outcomes[0].error or "one" in back["runs"]["old"]["notes"]


@pytest.mark.slow
def test_finishing_and_removing(warm: Warm, prepared: Prepared) -> None:
    ends = set()
    for outcomes, now in rounds(
        warm, prepared(""), task("finish_slowly"), task("remove_when_there", "fresh")
    ):
        finished, removed = outcomes
        assert removed.error is None
        assert finished.result is None
        assert "fresh" not in now["runs"]
        assert "fresh" not in warm.tell("index_ids")
        back = warm.tell("undo_and_look")["runs"]["fresh"]
        ends.add(back["status"])
        assert back["metrics"] == {"f1": 0.5}
        assert back["items"] == ["i1", "i2", "i3"]
    assert ends <= {"finished", "crashed"}

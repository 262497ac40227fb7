"""One store, reached through two paths of which one is a link."""

from __future__ import annotations

from pathlib import Path

import pytest

from corrida.errors import CorridaError
from corrida.runs.store import Store

from .failpoints import Task, Warm


@pytest.fixture
def two(project: Path, warm: Warm) -> tuple[Store, Store]:
    """A store with three runs, opened through its own path and through a link in another folder."""
    for name in ("a", "b", "c"):
        warm.tell("claim", "runs", name)
    (project / "elsewhere").mkdir()
    (project / "elsewhere" / "link").symlink_to("../runs")
    return Store("runs"), Store("elsewhere/link")


def test_what_one_does_the_other_sees(two: tuple[Store, Store]) -> None:
    here, there = two
    assert here.catalog.path == there.catalog.path
    assert [r.id for r in here.runs()] == [r.id for r in there.runs()] == ["c", "b", "a"]
    here.promote("a")
    assert there.get("@production").id == "a"
    there.promote("b")
    assert here.demote().run == "a"
    assert {k: p.run for k, p in there.aliases().items()} == {"production": "a"}
    there.note("b", "seen from there")
    assert [n.text for n in here.get("b").later_notes] == ["seen from there"]
    here.remove(["b", "c"])
    assert [r.id for r in there.runs()] == ["a"]
    assert there.trashed() == ["b", "c"]
    with pytest.raises(CorridaError, match="in the trash"):
        there.remove(["b"])
    assert there.undo()[1] == ["b", "c"]
    assert [r.id for r in here.runs()] == ["c", "b", "a"]
    assert all(v.intact for v in [*here.verify(), *there.verify()])
    assert there.resolve("elsewhere/link/a") == here.resolve("runs/a") == "a"


def test_a_restore_through_one_path_is_undone_through_the_other(two: tuple[Store, Store], warm: Warm) -> None:
    from . import operations

    here, there = two
    operations.lay(operations.OLD)
    warm.tell("full_run_from_files", "old")
    operations.lay(operations.NEW)
    for one, other in ((here, there), (there, here)):
        plan = one.plan_restore("old", Path.cwd(), exact=True)
        one.restore(plan, force=True)
        assert Path("config/a.json").read_bytes() == operations.OLD["config/a.json"]
        operation, _ = other.undo()
        assert operation.kind == "restore"
        assert Path("config/a.json").read_bytes() == operations.NEW["config/a.json"]
        with pytest.raises(CorridaError, match="nothing left to undo"):
            one.undo()


def test_one_of_two_gets_the_id(two: tuple[Store, Store], warm: Warm) -> None:
    for number in range(15):
        name = f"n{number}"
        outcomes = warm.together([Task("claim", (place, name)) for place in ("runs", "elsewhere/link")])
        assert [o.crash for o in outcomes] == ["", ""]
        (lost,) = [o.error for o in outcomes if o.error]
        assert lost[:2] == ("AlreadyExists", 2)
        assert "is there already" in lost[2]
    for store in two:
        assert len(store.runs()) == 18
        assert {r.status for r in store.runs()} == {"finished"}
    assert len(warm.tell("index_ids")) == 18

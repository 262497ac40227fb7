"""Orders that an index of their own makes quick give what they gave before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import corrida

if TYPE_CHECKING:
    from pathlib import Path

_FIELDS = ["params.rate", "params.it's", "tags.team", "description", "notes", "params.none"]


@pytest.fixture
def store(project: Path, monkeypatch: pytest.MonkeyPatch) -> corrida.Store:
    del project
    monkeypatch.setattr("corrida.runs.catalog._INDEXED_FROM", 1)
    for i in range(12):
        with corrida.start_run(
            pipeline="ab"[i % 2], run_tag=f"{i:02d}", tags={"team": "xyz"[i % 3]} if i % 4 else {},
            params={"it's": i % 5, **({"rate": [i % 4, "text", 0.5][i % 3]} if i != 7 else {})},
            description=f"about {-i}" if i % 3 else None, parent="run_00" if i == 5 else None,
        ):  # fmt: skip
            pass
    store = corrida.Store("runs")
    store.note("run_03", "noted")
    store.refresh()
    return store


def _all(store: corrida.Store) -> list[list[str]]:
    return [
        [run.id for run in store.runs(order_by=f"{sign}`{field}`", refresh=False, **more)]
        for field in _FIELDS
        for sign in ("", "-")
        for more in (
            {"limit": 5},
            {"limit": 4, "offset": 3, "children": False},
            {"limit": 9, "pipeline": "a", "children": False},
            {"limit": 9, "filter": "pipeline = 'b'"},
            {},
        )
    ]


def test_the_answers_stay_the_same(store: corrida.Store) -> None:
    before = _all(store)
    assert len({tuple(ids) for ids in before}) > 10
    store.catalog.index_orders([*_FIELDS, "metrics.f1", "status", 'params.a"b'])
    made = store.catalog._db.execute(
        "SELECT count(*) FROM sqlite_master WHERE name LIKE 'runs_by_%'"
    ).fetchone()[0]
    assert made == len(_FIELDS)
    assert _all(store) == before
    store.tag("run_00", {"team": "a"})
    assert store.runs(order_by="tags.team", limit=1)[0].id == "run_00"


def test_a_small_store_gets_none(store: corrida.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corrida.runs.catalog._INDEXED_FROM", 10_000)
    store.catalog.index_orders(_FIELDS)
    assert not store.catalog._db.execute("SELECT 1 FROM sqlite_master WHERE name LIKE 'runs_by_%'").fetchone()


def test_there_are_at_most_so_many(store: corrida.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corrida.runs.catalog._MOST_INDEXES", 2)
    store.catalog.index_orders(_FIELDS)
    rows = store.catalog._db.execute("SELECT name FROM sqlite_master WHERE name LIKE 'runs_by_%'").fetchall()
    assert len(rows) == 2

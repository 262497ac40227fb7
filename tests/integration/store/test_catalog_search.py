"""Search in the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import corrida
from corrida.runs import catalog_search
from corrida.runs.catalog_search import search_runs

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_older_runs_are_left_alone_when_time_is_up_and_ids_are_not(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del project
    for number in range(6):
        with corrida.start_run(pipeline="code", run_tag=f"{number}", description="the old wording"):
            pass
    store = corrida.Store("runs")
    store.refresh()
    monkeypatch.setattr(catalog_search, "_AT_ONCE", 2)
    quick = search_runs(store.catalog, "wording", seconds=0.0)
    assert [run.id for run, _ in quick.runs] == ["run_5", "run_4"]
    assert (quick.looked_at, quick.more) == (2, True)
    patient = search_runs(store.catalog, "wording", seconds=None)
    assert len(patient.runs) == 6
    assert (patient.looked_at, patient.more) == (6, False)
    assert [run.id for run, _ in search_runs(store.catalog, "run_0", seconds=0.0).runs] == ["run_0"]
    few = search_runs(store.catalog, "wording", limit=3, seconds=None)
    assert (len(few.runs), few.more) == (3, True)


def test_no_words_find_nothing(project: Path) -> None:
    del project
    assert search_runs(corrida.Store("runs").catalog, "   ").runs == []


def test_pipelines_are_named_by_their_newest_run(project: Path) -> None:
    del project
    assert corrida.Store("runs").catalog.newest_pipelines() == []
    for number, pipeline in enumerate(["b", "a", "c", "b", "職"]):
        with corrida.start_run(pipeline=pipeline, run_tag=f"{number}"):
            pass
    store = corrida.Store("runs")
    store.refresh()
    assert store.catalog.newest_pipelines() == ["職", "b", "c", "a"]
    assert set(store.catalog.newest_pipelines()) == set(store.catalog.pipelines())

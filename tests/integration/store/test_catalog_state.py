"""What the catalog knows beside the runs themselves: whether anything changed, and which names occur."""

from __future__ import annotations

from typing import TYPE_CHECKING

import corrida

if TYPE_CHECKING:
    from pathlib import Path


def _names_in_another_process() -> list[str]:
    """Return what a reader sees that has just opened the store."""
    return corrida.Store("runs").catalog.names()


def test_the_state_changes_with_the_runs_alone(project: Path) -> None:
    del project
    store = corrida.Store("runs")
    store.refresh()
    seen = [store.catalog.state()]
    run = corrida.start_run(pipeline="p", run_tag="a", params={"lr": 1}, capture=False)
    for act in (
        lambda: None,
        lambda: run.log_metrics({"f1": 0.5}),
        run.finish,
        lambda: corrida.Store("runs").tag("run_a", {"team": "x"}),
        lambda: corrida.Store("runs").note("run_a", "later"),
        lambda: store.remove(["run_a"]),
    ):
        act()
        store.refresh()
        state = store.catalog.state()
        seen.append(state)
        for _ in range(3):  # looking again, at a run that still runs too, changes nothing
            store.refresh()
            assert store.catalog.state() == state
    # A running run says its metrics in a file of their own, which the catalog does not hold.
    assert seen[1] == seen[2]
    assert len(set(seen)) == len(seen) - 1


def test_names_come_and_go_with_the_runs(project: Path) -> None:
    del project
    store = corrida.Store("runs")
    for tag, params in (("a", {"lr": 1, "model": {"kind": "x"}}), ("b", {"lr": 2})):
        with corrida.start_run(
            pipeline="p", run_tag=tag, params=params, tags={tag: "1"}, capture=False
        ) as run:
            run.log_metrics({"f1": 0.5})
    store.refresh()
    both = ["metrics.f1", "params.lr", "params.model.kind", "tags.a", "tags.b"]
    assert store.catalog.names() == both
    store.remove(["run_a"])
    store.refresh()
    left = ["metrics.f1", "params.lr", "tags.b"]
    assert _names_in_another_process() == left
    assert store.catalog.names() == left
    store.undo()
    store.refresh()
    assert store.catalog.names() == both

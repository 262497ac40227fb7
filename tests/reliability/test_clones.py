"""Stores that are copied, renamed, merged and pruned by hand, against a simple model: the same answers everywhere."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from corrida.runs.spec import RunSpec
from corrida.runs.store import Store

SIDES = st.sampled_from(["left", "right"])


class Clones(RuleBasedStateMachine):
    """Two clones of a store; the model holds the runs of each (a number and a list of notes) and the promotions."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        os.environ["CORRIDA_CACHE_DIR"] = str(self.place / "cache")
        self.roots = {side: self.place / side for side in ("left", "right")}
        self.runs: dict[str, dict[str, list[str]]] = {"left": {}, "right": {}}
        self.promoted: dict[str, list[str]] = {"left": [], "right": []}
        self.count = 0

    def teardown(self) -> None:
        shutil.rmtree(self.place)

    def store(self, side: str) -> Store:
        return Store(self.roots[side])

    def other(self, side: str) -> str:
        return {"left": "right", "right": "left"}[side]

    @rule(side=SIDES)
    def run(self, side: str) -> None:
        self.count += 1
        run_id = f"r{self.count}"
        run = self.store(side).start(RunSpec(pipeline="p", root=self.place, run_id=run_id, capture=False))
        run.log_metrics({"n": self.count})
        run.finish()
        self.runs[side][run_id] = []

    @precondition(lambda self: any(self.runs.values()))
    @rule(data=st.data(), side=SIDES)
    def note(self, data: st.DataObject, side: str) -> None:
        if self.runs[side]:
            run_id = data.draw(st.sampled_from(sorted(self.runs[side])))
            self.count += 1
            self.store(side).note(run_id, f"note {self.count}")
            self.runs[side][run_id].append(f"note {self.count}")

    @rule(data=st.data(), side=SIDES)
    def promote(self, data: st.DataObject, side: str) -> None:
        if self.runs[side]:
            run_id = data.draw(st.sampled_from(sorted(self.runs[side])))
            self.store(side).promote(run_id)
            self.promoted[side].append(run_id)

    @rule(data=st.data(), side=SIDES)
    def rm_rf(self, data: st.DataObject, side: str) -> None:
        if self.runs[side]:
            run_id = data.draw(st.sampled_from(sorted(self.runs[side])))
            shutil.rmtree(self.roots[side] / run_id)
            del self.runs[side][run_id]

    @rule(side=SIDES)
    def remove_and_undo(self, side: str) -> None:
        if self.runs[side]:
            run_id = max(self.runs[side])
            store = self.store(side)
            assert store.remove([run_id], force=True) == [run_id]
            assert store.undo()[1] == [run_id]

    @rule(side=SIDES)
    def rename(self, side: str) -> None:
        if self.roots[side].exists():
            self.count += 1
            self.roots[side] = self.roots[side].rename(self.place / f"{side}-{self.count}")

    @rule(side=SIDES)
    def clone(self, side: str) -> None:
        """Throw one away and copy the other, with all that is in it."""
        other = self.other(side)
        if self.roots[side].exists():
            shutil.rmtree(self.roots[other], ignore_errors=True)
            shutil.copytree(self.roots[side], self.roots[other])
            self.runs[other] = {run_id: [*notes] for run_id, notes in self.runs[side].items()}
            self.promoted[other] = [*self.promoted[side]]

    @rule(side=SIDES)
    def merge(self, side: str) -> None:
        """Copy the runs that only the other has, and promotions, which are lines of a file."""
        other = self.other(side)
        if not self.roots[other].exists():
            return
        self.roots[side].mkdir(exist_ok=True)
        for run_id, notes in self.runs[other].items():
            if run_id not in self.runs[side]:
                shutil.copytree(self.roots[other] / run_id, self.roots[side] / run_id)
                self.runs[side][run_id] = [*notes]
        mine, theirs = (self.roots[s] / "aliases.jsonl" for s in (side, other))
        if theirs.exists():
            lines = mine.read_text().splitlines() if mine.exists() else []
            new = [line for line in theirs.read_text().splitlines() if line not in lines]
            mine.write_text("".join(f"{line}\n" for line in [*lines, *new]))
            self.promoted[side] = self.by_time(side)
        index = self.roots[other] / "index.json"
        if index.exists():
            shutil.copy(index, self.roots[side])

    def by_time(self, side: str) -> list[str]:
        import json

        lines = map(json.loads, (self.roots[side] / "aliases.jsonl").read_text().splitlines())
        return [line["run"] for line in sorted(lines, key=lambda line: line["time"])]

    @rule()
    def delete_the_catalogs(self) -> None:
        shutil.rmtree(self.place / "cache", ignore_errors=True)

    @invariant()
    def answers_come_from_the_folders(self) -> None:
        for side, runs in self.runs.items():
            store = self.store(side)
            found = store.runs(order_by="id")
            assert {
                r.id: [n.text for n in r.later_notes] for r in map(store.get, (r.id for r in found))
            } == runs
            assert {r.metrics["n"] for r in found} == {int(run_id[1:]) for run_id in runs}
            assert [r.id for r in store.runs(order_by="-metrics.n", limit=1)] == sorted(
                runs, key=lambda run_id: -int(run_id[1:])
            )[:1]
            assert [p.run for p in store.alias_history()] == self.promoted[side]
            assert [p.run for p in store.aliases().values()] == self.promoted[side][-1:]
            assert all(v.intact for v in store.verify())
            carried = [r.id for r in found if r.aliases]
            assert carried == [run_id for run_id in self.promoted[side][-1:] if run_id in runs]
            store.catalog.close()


TestClones = pytest.mark.slow(Clones.TestCase)
TestClones.settings = settings(
    max_examples=10, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)

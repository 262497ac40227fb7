"""The catalog against a simple model: whatever happens to the folders, answers come from the folders."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from corrida.runs.catalog_query import names_of
from corrida.runs.query import GROUPS
from corrida.runs.spec import RunSpec
from corrida.runs.store import Store

from .conftest import read_index

NUMBERS = st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0, float("nan"), float("inf")])


class Folders(RuleBasedStateMachine):
    """The model holds, for each run folder, what a reader must see of it."""

    def __init__(self):
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        os.environ["CORRIDA_CACHE_DIR"] = str(self.place / "cache")
        self.roots = [self.place / "runs", self.place / "other"]
        self.model = [{}, {}]
        self.trash = [{}, {}]
        self.operations = [[], []]
        self.open = []
        self.number = 0

    @initialize()
    def opened(self):
        self.stores = [Store(root) for root in self.roots]

    def teardown(self):
        for writer, _, _ in self.open:
            writer.finish()
        for store in getattr(self, "stores", ()):
            store.catalog.close()
        shutil.rmtree(self.place)

    def pick(self, data, where):
        return data.draw(st.sampled_from(sorted(self.model[where])))

    def ended(self, where):
        return sorted(n for n, r in self.model[where].items() if r["status"] in {"finished", "failed"})

    @rule(
        where=st.sampled_from([0, 0, 0, 1]),
        f1=NUMBERS,
        source=st.sampled_from(["a", "b", None]),
        how=st.sampled_from(["finish", "fail", "open", "killed"]),
    )
    def start(self, where, f1, source, how):
        self.number += 1
        name = f"r{self.number}"
        writer = self.stores[where].start(
            RunSpec(pipeline="p", root=self.place, run_id=name, source=source, capture=False)
        )
        if f1 is not None:
            writer.log_metrics({"f1": f1})
        status = {"finish": "finished", "fail": "failed", "open": "running", "killed": "crashed"}[how]
        self.model[where][name] = {
            "f1": f1,
            "source": source,
            "status": status,
            "tags": {},
            "description": None,
            "n": self.number,
        }
        if how == "finish":
            writer.finish()
        elif how == "fail":
            writer.fail("no")
        elif how == "killed":
            path = writer.dir / "run.json"
            text = path.read_text().replace(f'"pid": {os.getpid()}', '"pid": 999999999')
            writer.finish()
            for left in ("manifest.json", "items.parquet"):
                (writer.dir / left).unlink(missing_ok=True)
            path.write_text(text)
        else:
            self.open.append((writer, where, name))

    @precondition(lambda self: self.open)
    @rule()
    def finish(self):
        writer, where, name = self.open.pop()
        if name in self.model[where]:
            writer.finish()
            self.model[where][name]["status"] = "finished"
        else:
            writer.discard()

    @precondition(lambda self: self.ended(0))
    @rule(data=st.data(), value=st.sampled_from(["x", "y", None]))
    def tag(self, data, value):
        name = data.draw(st.sampled_from(self.ended(0)))
        self.stores[0].tag(name, {"k": value})
        self.model[0][name]["tags"] = {} if value is None else {"k": value}

    @precondition(lambda self: self.ended(0))
    @rule(data=st.data())
    def note(self, data):
        self.stores[0].note(data.draw(st.sampled_from(self.ended(0))), "note")

    @precondition(lambda self: self.ended(0))
    @rule(data=st.data(), text=st.sampled_from(["by hand", "ñ"]))
    def edit_by_hand(self, data, text):
        name = data.draw(st.sampled_from(self.ended(0)))
        path = self.roots[0] / name / "run.json"
        content = json.loads(path.read_text())
        content["description"] = text
        path.write_text(json.dumps(content))
        self.model[0][name]["description"] = text

    @precondition(lambda self: self.ended(0))
    @rule(data=st.data(), force=st.booleans())
    def remove(self, data, force):
        name = data.draw(st.sampled_from(self.ended(0)))
        if name in self.trash[0]:
            return
        self.stores[0].remove([name], force=True)
        self.trash[0][name] = self.model[0].pop(name)
        self.operations[0].append(name)

    @precondition(lambda self: self.operations[0])
    @rule()
    def undo(self):
        name = self.operations[0][-1]
        if name in self.model[0]:
            return
        assert self.stores[0].undo()[1] == [name]
        self.operations[0].pop()
        self.model[0][name] = self.trash[0].pop(name)

    @precondition(lambda self: self.ended(0))
    @rule(data=st.data())
    def remove_behind_its_back(self, data):
        name = data.draw(st.sampled_from(self.ended(0)))
        shutil.rmtree(self.roots[0] / name)
        del self.model[0][name]

    @precondition(lambda self: self.ended(0))
    @rule(data=st.data())
    def truncate_run_json(self, data):
        name = data.draw(st.sampled_from(self.ended(0)))
        (self.roots[0] / name / "run.json").write_text("{")
        self.model[0][name] = {
            "f1": None,
            "source": None,
            "status": "unreadable",
            "tags": {},
            "description": None,
            "n": None,
        }

    @precondition(lambda self: self.ended(1))
    @rule(data=st.data(), keep_times=st.booleans())
    def copy_a_folder(self, data, keep_times):
        name = data.draw(st.sampled_from(self.ended(1)))
        if name not in self.model[0]:
            copy = shutil.copy2 if keep_times else shutil.copy
            shutil.copytree(self.roots[1] / name, self.roots[0] / name, copy_function=copy)
            self.model[0][name] = dict(self.model[1][name])

    @precondition(lambda self: not self.open and self.roots[1].exists())
    @rule()
    def merge(self):
        for name in self.ended(1):
            if name not in self.model[0]:
                shutil.copytree(self.roots[1] / name, self.roots[0] / name)
                self.model[0][name] = dict(self.model[1][name])
        if self.roots[0].exists():
            shutil.copy(self.roots[1] / "index.json", self.roots[0]) if (
                self.roots[1] / "index.json"
            ).exists() else None

    @precondition(lambda self: not self.open and self.roots[0].exists())
    @rule()
    def move_the_store(self):
        self.number += 1
        self.roots[0] = self.roots[0].rename(self.place / f"runs{self.number}")
        assert len(self.stores[0]) == 0
        self.stores[0].catalog.close()
        self.stores[0] = Store(self.roots[0])

    @rule(how=st.sampled_from(["delete", "garbage", "middle", "empty"]))
    def harm_the_catalog(self, how):
        for path in (self.place / "cache").glob("catalog*.sqlite"):
            if how == "delete":
                path.unlink()
            elif how == "garbage":
                path.write_bytes(b"garbage" * 1000)
            elif how == "empty":
                path.write_bytes(b"")
            elif path.stat().st_size > 8192:
                with path.open("r+b") as file:
                    file.seek(4096)
                    file.write(b"\xa5" * (path.stat().st_size - 4096))

    @rule(how=st.sampled_from(["delete", "garbage"]))
    def harm_the_index(self, how):
        path = self.roots[0] / "index.json"
        if path.exists():
            path.unlink() if how == "delete" else path.write_text("<<<<")

    @rule()
    def leave_strays(self):
        if self.roots[0].exists():
            (self.roots[0] / "notes.txt").write_text("x")
            (self.roots[0] / "stray" / "sub").mkdir(parents=True, exist_ok=True)
            (self.roots[0] / ".hidden").mkdir(exist_ok=True)

    @rule()
    def open_again(self):
        for store in self.stores:
            store.catalog.close()
        self.stores = [Store(root) for root in self.roots]

    @invariant()
    def answers_come_from_the_folders(self):
        if not hasattr(self, "stores"):
            return
        store, model = self.stores[0], self.model[0]
        runs = store.runs()
        seen = {
            r.id: {"source": r.source, "status": r.status, "tags": r.tags, "description": r.description}
            for r in runs
        }
        assert seen == {
            n: {k: r[k] for k in ("source", "status", "tags", "description")} for n, r in model.items()
        }
        for record in runs:
            f1 = model[record.id]["f1"]
            assert repr(record.metrics.get("f1")) == repr(f1)
        known = [r.id for r in runs if r.status != "unreadable"]
        assert known == sorted(known, key=lambda n: -model[n]["n"])
        if self.ended(0) or (self.roots[0] / "index.json").exists():
            assert read_index(self.roots[0]).keys() == set(self.ended(0))

        headers = store.catalog.query()
        assert store.catalog.names() == sorted(
            {name for header in headers for name in names_of(header)},
            key=lambda name: (GROUPS.index(name.partition(".")[0]), name),
        )

        def ids(**query):
            return [r.id for r in store.runs(**query)]

        assert set(ids(filter="source = 'a'")) == {n for n, r in model.items() if r["source"] == "a"}
        assert set(ids(filter="tags.k = 'x' or description ~ 'HAND'")) == {
            n for n, r in model.items() if r["tags"].get("k") == "x" or "hand" in (r["description"] or "")
        }
        written = {
            n: r["f1"]
            for n, r in model.items()
            if r["status"] in {"finished", "failed", "crashed", "running"}
        }
        logged = {n: written[n] for n in self.ended(0) if written[n] is not None and written[n] == written[n]}
        assert {n for n in ids(filter="metrics.f1 >= 0.5") if n in logged} == {
            n for n, v in logged.items() if v >= 0.5
        }
        for order in ("-metrics.f1", "metrics.f1", "created", "-source,metrics.f1"):
            whole = ids(order_by=order)
            assert sorted(whole) == sorted(model)
            paged = [
                i for offset in range(0, len(whole), 2) for i in ids(order_by=order, limit=2, offset=offset)
            ]
            assert paged == whole
        best = [n for n in ids(order_by="-metrics.f1") if n in logged]
        assert [logged[n] for n in best] == sorted(logged.values(), reverse=True)
        finished = [n for n in known if model[n]["status"] == "finished"]
        if finished:
            assert store.get("latest").id == finished[0]


TestFolders = pytest.mark.slow(Folders.TestCase)
TestFolders.settings = settings(
    max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_the_time_of_change_of_this_moment_is_not_trusted(project, finished, store):
    finished("a")
    path = Path("runs/a/run.json")
    for n in range(20):
        stat = path.stat()
        text = path.read_text()
        path.write_text(
            text.replace('"id"', '"id"')
            if n == 0
            else text.replace(f'"pipeline": "{chr(96 + n)}"', f'"pipeline": "{chr(97 + n)}"')
            if n > 1
            else text.replace('"pipeline": "p"', '"pipeline": "b"')
        )
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        expected = json.loads(path.read_text())["pipeline"]
        assert store.runs()[0].pipeline == expected
    assert time.time() - path.stat().st_mtime < 5

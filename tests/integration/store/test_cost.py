"""What a run, a list and a first look cost: counted in calls and modules, since times depend on the machine."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corrida.runs import catalog, claim
from corrida.runs.store import Store
from corrida.runs.watch import telling

COUNTED = (
    "stat",
    "lstat",
    "open",
    "mkdir",
    "fsync",
    "replace",
    "link",
    "unlink",
    "rmdir",
    "scandir",
    "listdir",
)


@pytest.fixture
def calls(monkeypatch):
    """Count calls to the system: ``calls(function)`` returns how often each was made."""
    counts: collections.Counter[str] = collections.Counter()

    def counting(name, real):
        def counted(*args, **kwargs):
            counts[name] += 1
            return real(*args, **kwargs)

        return counted

    for name in COUNTED:
        monkeypatch.setattr(os, name, counting(name, getattr(os, name)))

    def counter(work):
        counts.clear()
        work()
        return collections.Counter(counts)

    return counter


@pytest.fixture
def small_run(start, project):
    def run():
        with start(run_tag="t", params={f"p{i}": i / 2 for i in range(20)}) as opened:
            opened.log_metrics({f"m{i}": i / 7 for i in range(10)})
            for number in range(3):
                opened.save_bytes(f"a{number}.bin", bytes(10_000))

    return run


def crowd(count):
    """Fill the store with ``count`` more runs of the tag, and its index with as many lines."""
    lines = []
    for number in range(3, count + 3):
        os.mkdir(f"runs/run_t-{number}")
        lines.append(f'"run_t-{number}": ' + json.dumps({"pipeline": "p", "notes": "x" * 200}) + ",\n")
    index = Path("runs/index.json")
    index.write_text(index.read_text().replace('"format_version"', "".join(lines) + '"format_version"'))


def test_a_small_run_costs_few_calls_and_the_same_in_a_large_store(calls, small_run):
    small_run()
    alone = calls(small_run)  # run_t-2
    # Six files (run.json, config.yaml, metrics.json, three artifacts), the folder of the run, and the store.
    assert alone["fsync"] == 8
    assert sum(alone.values()) <= 95, alone
    crowd(3_000)
    crowded = calls(small_run)
    assert crowded["fsync"] == 8
    assert crowded["stat"] - alone["stat"] <= 2 * 12  # leaps of double length, then halves
    assert {k: v for k, v in (crowded - alone).items() if k not in {"stat", "mkdir"}} == {}


def test_a_free_suffix_is_found_where_many_are_taken(project, calls):
    root = project / "runs"
    claim.ensure_store(root)
    for number in (*range(2, 2_000), *range(2_100, 2_200)):
        (root / f"run_t-{number}").mkdir()
    (root / "run_t").mkdir()
    made = []
    looks = calls(lambda: made.append(claim.claim(root, run_id=None, run_tag="t", seed=None).id))
    assert made[0] not in {"run_t", *(f"run_t-{n}" for n in range(2, 2_000))}
    assert (root / made[0]).is_dir()
    assert looks["stat"] + looks["lstat"] <= 40


def test_finishing_writes_one_line_to_a_large_index(small_run, monkeypatch):
    small_run()
    small_run()
    crowd(400)
    before = Path("runs/index.json").read_bytes()
    assert len(before) > 64 * 1024
    inode = os.stat("runs/index.json").st_ino
    written = []
    real = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: written.append(bytes(data)) or real(fd, data))
        small_run()
    after = Path("runs/index.json").read_bytes()
    assert os.stat("runs/index.json").st_ino == inode
    tail = b'"format_version": 1\n}\n'
    assert after.removesuffix(tail).startswith(before.removesuffix(tail))
    (added,) = [data for data in written if data.endswith(tail)]
    assert len(added) < 1_000
    assert "run_t-403" in json.loads(after)


def test_a_small_index_is_replaced_as_a_whole(small_run):
    small_run()
    inode = os.stat("runs/index.json").st_ino
    with open("runs/index.json") as held:
        small_run()
        assert os.stat("runs/index.json").st_ino != inode
        json.load(held)


UNWANTED = {
    "corrida.runs.restore", "corrida.runs.snapshot.configs", "corrida.runs.verify", "corrida.runs.writer",
    "corrida.runs.trash", "getpass", "hashlib", "html", "logging", "polars", "rich", "socket", "sqlalchemy", "subprocess",
    "tempfile", "tomllib",
}  # fmt: skip


@pytest.mark.parametrize("command", [["list", "--sort", "-metrics.f1"], ["show", "a"], ["compare", "a", "b"]])
def test_who_looks_loads_nothing_that_writes(finished, command):
    finished("a", f1=0.5)
    finished("b", f1=0.6)
    code = (
        "import sys; from corrida.cli.main import run_cli; code = run_cli(sys.argv[1:]); "
        "print('|'.join(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    got = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}", *command],
                         capture_output=True, text=True, check=True)  # fmt: skip
    loaded = UNWANTED & set(got.stderr.strip().split("|"))
    allowed = (
        {"hashlib", "html"} if command[0] == "show" else {"hashlib"} if command[0] == "compare" else set()
    )
    assert loaded <= allowed


@pytest.fixture
def large(monkeypatch):
    """Have a handful of runs count as a large store."""
    monkeypatch.setattr(catalog, "CHECK_ALL_UP_TO", 4)
    monkeypatch.setattr(catalog, "NEWEST_CHECKED", 2)
    monkeypatch.setattr(catalog, "OTHERS_CHECKED", 1)


def note_by_hand(run_dir, text):
    """Add a note as another machine does: without telling the catalog of this one."""
    line = json.dumps({"time": "2026-01-01T00:00:00.000000Z", "author": "x", "note": text})
    (run_dir / "annotations.jsonl").write_text(line + "\n")


def age(*folders):
    """Move times of change to where they are trusted."""
    old = time.time() - 60
    for folder in folders:
        for path in (folder / "run.json", folder):
            os.utime(path, (old, old))


def test_what_a_large_store_shows_is_as_it_is_now(finished, large, monkeypatch):
    folders = [finished(f"r{n}", f1=n / 10) for n in range(10)]
    age(*folders)
    store = Store("runs")
    assert len(store.runs()) == 10
    for _ in range(3):  # every signature is settled
        store.runs(limit=1)
    note_by_hand(folders[7], "seen at once")
    monkeypatch.setattr(catalog.Catalog, "_sample", lambda self, start: {})  # whoever else is looked at
    best = store.runs(filter="metrics.f1 < 0.75", order_by="-metrics.f1", limit=2)
    assert [run.id for run in best] == ["r7", "r6"]
    assert store.catalog.query(filter="notes ~ 'at once'")[0].id == "r7"


def test_a_large_store_is_looked_at_in_parts(finished, large, calls):
    folders = [finished(f"r{n}", f1=n / 10) for n in range(10)]
    age(*folders)
    store = Store("runs")
    store.runs()
    looks = calls(store.catalog.refresh)
    assert looks["stat"] == 1 + 2 * (2 + 1)
    note_by_hand(folders[0], "noticed soon")
    for _ in range(12):
        store.catalog.refresh()
    assert store.catalog.query(filter="notes ~ 'soon'")[0].id == "r0"


def test_a_first_look_that_is_interrupted_forgets_no_run(finished, monkeypatch):
    for n in range(6):
        finished(f"r{n}")
    age(*(Path("runs") / f"r{n}" for n in range(6)))
    old = time.time() - 60
    os.utime("runs", (old, old))
    real, seen = catalog.read_folder, []

    def interrupted(root, run_id, *rest):
        seen.append(run_id)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return real(root, run_id, *rest)

    monkeypatch.setattr(catalog, "read_folder", interrupted)
    monkeypatch.setattr(catalog, "_WRITTEN_AT_ONCE", 2)
    with pytest.raises(KeyboardInterrupt):
        Store("runs").runs()
    seen.clear()
    monkeypatch.setattr(catalog, "read_folder", lambda *args: seen.append(args[1]) or real(*args))
    assert {run.id for run in Store("runs").runs()} == {f"r{n}" for n in range(6)}
    assert len(seen) == 4  # the two that were written before are not read again


def test_reading_many_runs_tells_how_far_it_is(finished, monkeypatch):
    age(*(finished(f"r{n}") for n in range(4)))
    told = []

    def watch(items, total, label):
        told.append((total, label))
        for item in items:
            told.append(item.header.id)
            yield item

    with telling(watch):
        assert len(Store("runs").runs()) == 4
        assert told == []  # too few to tell of
    monkeypatch.setattr(catalog, "_WATCHED_FROM", 3)
    monkeypatch.setenv("CORRIDA_CACHE_DIR", str(Path("cache2").absolute()))
    with telling(watch):
        assert len(Store("runs").runs()) == 4
    assert told == [(4, "reading runs"), "r0", "r1", "r2", "r3"]


def test_what_the_end_of_a_run_adds_to_the_index_is_what_a_reader_makes_of_it(start, finished):
    run = start(run_id="a", seed=7, tags={"k": "v"}, source="s", notes="ñ", params={"x": 1})
    run.log_metrics({"whole": 3, "nan": float("nan"), "f1": 0.5})
    run.finish()
    before = Path("runs/index.json").read_bytes()
    Store("runs").runs()
    assert Path("runs/index.json").read_bytes() == before

"""Full and read-only disks: one clear error, nothing half-written, what was logged stays readable."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess

import pytest

from corrida.errors import StoreError
from corrida.runs.journal import last_undoable
from corrida.runs.store import Store


@contextlib.contextmanager
def file_size_limit(size):
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def small(tmp_path):
    """A disk of 256 KB, where mounting is allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], capture_output=True, check=False
    ).returncode:
        pytest.skip("mounting is not allowed")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place, leave=0):
    with contextlib.suppress(OSError), (place / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    size = (place / "filler").stat().st_size
    os.truncate(place / "filler", max(0, size - leave))


def test_a_full_disk_at_the_start(small, start):
    start(small / "runs", run_id="first").finish()
    fill(small)
    for _ in range(2):
        with pytest.raises(StoreError, match="disk is full") as caught:
            start(small / "runs", run_id="second", params={"a": "x" * 5000})
        assert str(small) not in str(caught.value)
    assert sorted(p.name for p in (small / "runs").iterdir() if p.name[0] != ".") == ["first", "index.json"]
    (small / "filler").unlink()
    start(small / "runs", run_id="second").finish()


def test_a_full_disk_for_each_kind_of_logging(small, start, project):
    (project / "big.bin").write_bytes(b"x" * 100_000)
    (project / "folder" / "sub").mkdir(parents=True)
    (project / "folder" / "sub" / "big.bin").write_bytes(b"x" * 100_000)
    run = start(small / "runs", run_id="a", params={"p": 1})
    run.log({"x": 1})
    run.log_items([{"item_id": "a"}])
    run.log_metrics({"f1": 0.5})
    fill(small)
    calls = {
        "log": lambda: [run.log({f"metric{i}": i for i in range(200)}) for _ in range(3)],
        "log_items": lambda: run.log_items([{"item_id": f"b{i}", "v": "x" * 500} for i in range(50)]),
        "log_metrics": lambda: run.log_metrics({f"m{i}": i for i in range(500)}),
        "log_params": lambda: run.log_params({"q": "x" * 10_000}),
        "log_artifact": lambda: run.log_artifact("big.bin"),
        "folder": lambda: run.log_artifact("folder"),
        "save_bytes": lambda: run.save_bytes("c.bin", b"x" * 10_000),
    }
    for name, call in calls.items():
        with pytest.raises(StoreError, match="disk is full"):
            call()
        assert not any(p.name.endswith(".tmp") for p in run.dir.rglob("*")), name
    with pytest.raises(StoreError, match="disk is full"):
        run.finish()
    store = Store(small / "runs")
    record = store.get("a")
    assert record.metrics == {"f1": 0.5}
    assert record.history()["x"].drop_nulls().to_list() == [1]
    assert record.items()["item_id"].to_list() == ["a"]
    assert record.artifacts() == []
    assert [r.id for r in store.runs(filter="params.p = 1")] == ["a"]
    with pytest.raises(StoreError, match="disk is full"):  # noqa: PT012
        for _ in range(3):
            store.promote("a") if record.status == "finished" else fill_aliases(store)


def fill_aliases(store):
    from corrida.runs import alias

    alias.promote(store.root, "a", reason="x" * 5000)


def test_room_that_comes_back_while_the_run_goes_on(small, start):
    run = start(small / "runs", run_id="a")
    run.log({"x": 1})
    fill(small)
    with pytest.raises(StoreError):  # noqa: PT012
        for _ in range(300):
            run.log({f"m{i}": i for i in range(100)})
    (small / "filler").unlink()
    run.log({"x": 2})
    run.finish()
    assert Store(small / "runs").get("a").history()["x"].drop_nulls().to_list() == [1, 2]
    assert Store(small / "runs").verify()[0].intact


@pytest.mark.parametrize("limit", [0, 100, 1000, 2000])
def test_a_file_size_limit(start, project, limit):
    run = start(run_id="a")
    run.log_metrics({"f1": 0.5})
    with file_size_limit(limit):
        with pytest.raises(StoreError, match="larger than the system allows"):  # noqa: PT012
            for i in range(100):
                run.log({"x": i, "y": 1.0})
        with pytest.raises(StoreError):
            run.finish()
        with pytest.raises(StoreError):
            start(run_id="b", params={"x": "y" * 3000})
    store = Store("runs")
    steps = store.get("a").history()["step"].to_list()
    assert steps == list(range(len(steps)))
    assert store.get("a").metrics == {"f1": 0.5}
    assert [r.id for r in store.runs()] == ["a"]


def test_a_full_disk_during_restore_changes_nothing(small, start):
    root = small / "runs"
    big = b"x" * 30_000
    (small / "a.json").write_bytes(big)
    run = start(str(root), run_id="one", configs=[("a.json", big), ("b.json", b"1")])
    run.finish()
    (small / "a.json").write_bytes(b"new")
    for leave in range(0, 120_000, 8_000):
        fill(small, leave)
        store = Store(root)
        try:
            store.restore(store.plan_restore("one", small), force=True)
        except StoreError as error:
            assert "disk is full" in str(error)  # noqa: PT017
            (small / "filler").unlink()
            assert last_undoable(root) is None
            assert (small / "a.json").read_bytes() == b"new"
            assert sorted(p.name for p in small.iterdir()) == ["a.json", "runs"]
            continue
        (small / "filler").unlink()
        assert (small / "a.json").read_bytes() == big
        assert leave > 0
        Store(root).undo()
        assert (small / "a.json").read_bytes() == b"new"
        return
    pytest.fail("there was never room enough")


def test_a_read_only_store_can_be_read_and_says_why_it_cannot_be_written(small, start, project):
    root = small / "runs"
    run = start(root, run_id="a", configs=[("a.json", b"1")])
    run.log_metrics({"f1": 0.5})
    run.finish()
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    try:
        store = Store(root)
        assert [r.id for r in store.runs(filter="metrics.f1 > 0")] == ["a"]
        assert store.get("latest").metrics == {"f1": 0.5}
        assert store.verify()[0].intact
        assert store.write_index() is False
        for call in (
            lambda: start(root, run_id="b"), lambda: store.note("a", "x"), lambda: store.tag("a", {"k": "v"}), lambda: store.promote("a"),
            lambda: store.remove(["a"]), lambda: store.restore(store.plan_restore("a", project)),
        ):  # fmt: skip
            with pytest.raises(StoreError, match="read-only"):
                call()
        with pytest.raises(StoreError, match="read-only"):
            start(small / "other", run_id="b")
    finally:
        subprocess.run(["mount", "-o", "remount,rw", small], check=True)
    assert [r.id for r in Store(root).runs()] == ["a"]


def test_a_cache_that_cannot_be_written_costs_speed_only(finished, project, tmp_path, monkeypatch):
    finished("a", f1=0.5)
    for place in ("/proc/none", str(tmp_path / "file" / "x"), "/dev/full/x"):
        (tmp_path / "file").touch()
        monkeypatch.setenv("CORRIDA_CACHE_DIR", place)
        assert [r.id for r in Store("runs").runs(filter="metrics.f1 = 0.5")] == ["a"]


def test_a_full_disk_under_the_cache_costs_speed_only(small, finished, monkeypatch):
    monkeypatch.setenv("CORRIDA_CACHE_DIR", str(small))
    fill(small, 100_000)
    for n in range(30):
        finished(f"r{n}", params={"p": "x" * 5000}, f1=n)
        if n % 10 == 0:
            assert len(Store("runs").runs()) == n + 1
    store = Store("runs")
    assert store.runs(order_by="-metrics.f1", limit=1)[0].id == "r29"


def test_a_store_whose_place_is_a_file(project, start):
    (project / "f").touch()
    from corrida.errors import CorridaError

    for place in ("f", "f/runs", "/proc/runs"):
        with pytest.raises(CorridaError):
            start(place, run_id="a")


def test_sentences_name_the_reason():
    from corrida.runs.files import explained

    for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE, errno.EIO):
        with pytest.raises(StoreError, match=r"^doing x failed \(b\): .+"), explained("doing x"):
            raise OSError(code, os.strerror(code), "/a/b")

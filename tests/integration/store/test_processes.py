"""Real processes: killed, many at once, ended without a word."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import corrida
from corrida.runs import liveness
from corrida.runs.run_file import read_run_file

from .conftest import killed_at, read_index

LOGGING = """
import sys, time, corrida
run = corrida.start_run(run_id="a", params={"p": 1}, configs=["c.json"], data=["d.csv"])
n = 0
print("ready", flush=True)
while True:
    run.log({"loss": n}, step=n)
    run.log_items([{"item_id": n, "score": n}])
    run.log_metrics({"n": n})
    run.log_params({"last": n})
    run.describe(summary=f"sum {n}")
    run.save_bytes(f"files/{n}.bin", b"x" * 1000)
    sys.__stdout__.write(f"{n}\\n"); sys.__stdout__.flush()
    n += 1
"""


def test_what_logging_calls_had_written_survives_sigkill(project, python):
    (project / "c.json").write_text("{}")
    (project / "d.csv").write_text("a\n1\n")
    child = python(LOGGING, background=True)
    lines = [child.stdout.readline() for _ in range(40)]
    assert corrida.Store().get("a").status == "running"
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate()
    last = int((lines + rest.splitlines(keepends=True))[-1])
    assert last > 30
    store = corrida.Store()
    for record in (store.get("a"), store.runs()[0]):
        assert record.status == "crashed"
        assert record.history()["loss"].to_list()[: last + 1] == list(range(last + 1))
        assert record.items()["item_id"].to_list()[: last + 1] == [str(n) for n in range(last + 1)]
        assert record.metrics["n"] >= last
        assert record.params["last"] >= last
        assert int(record.summary.split()[1]) >= last
        assert record.config_files() == {"c.json": b"{}"}
        assert record.manifest()["data"][0]["path"] == "d.csv"
        files = [n for n in record.artifacts() if n.startswith("files/")]
        assert len(files) >= last + 1
        assert all((record.dir / n).stat().st_size == 1000 for n in files)
    assert store.verify(["a"])[0].problems[0].finding == "not ended"
    assert "a" not in read_index() if os.path.exists("runs/index.json") else True
    store.note("a", "died")
    assert store.get("a").later_notes[0].text == "died"
    store.remove(["a"])
    assert store.undo()[1] == ["a"]


MANY = """
import sys, corrida
for i in range(25):
    with corrida.start_run(run_tag="t" if i % 2 else None, seed=i % 3 or None, params={"w": sys.argv[1]}, capture=False) as run:
        run.log({"x": i})
        run.log_metrics({"i": i})
print("ok")
"""


@pytest.mark.slow
def test_eight_processes_start_in_a_store_that_is_not_there_yet(project, tmp_path):
    script = tmp_path / "many.py"
    script.write_text(MANY)
    children = [
        subprocess.Popen(
            [sys.executable, script, str(n)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for n in range(8)
    ]
    for child in children:
        out, err = child.communicate(timeout=100)
        assert (child.returncode, out) == (0, "ok\n"), err
    store = corrida.Store()
    runs = store.runs()
    assert len(runs) == len({r.id for r in runs}) == 200
    assert {r.status for r in runs} == {"finished"}
    assert {(r.params["w"], r.metrics["i"]) for r in runs} == {
        (str(w), i) for w in range(8) for i in range(25)
    }
    assert read_index().keys() == {r.id for r in runs}
    assert len({r.order for r in runs}) > 190


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("", "finished"),
        ("raise ValueError('boom')", "failed"),
        ("import sys; sys.exit(0)", "finished"),
        ("1/0", "failed"),
    ],
)
def test_runs_without_a_block_end_with_the_interpreter(project, python, ending, status):
    done = python(
        "import corrida, threading\n"
        "first = corrida.start_run(run_id='first')\n"
        "t = threading.Thread(target=lambda: corrida.start_run(run_id='inner').log({'x': 1})); t.start(); t.join()\n"
        "corrida.start_run(run_id='second').log_metrics({'a': 1})\n"
        "print('hello')\n" + ending
    )
    store = corrida.Store()
    assert {r.id: r.status for r in store.runs()} == dict.fromkeys(("first", "inner", "second"), status), (
        done.stderr
    )
    assert store.get("second").metrics == {"a": 1}
    assert (store.get("second").dir / "log.txt").read_text().startswith("hello\n")
    if status == "failed":
        assert store.get("first").error.type in {"ValueError", "ZeroDivisionError"}
    assert all(v.intact for v in store.verify())


def test_an_interrupted_script(project, python):
    child = python(
        "import corrida, time\nwith corrida.start_run(run_id='a'):\n    print('ready', flush=True)\n    time.sleep(60)",
        background=True, stderr=subprocess.PIPE,
    )  # fmt: skip
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    child.communicate()
    record = corrida.Store().get("a")
    assert (record.status, record.error.message) == ("failed", "interrupted")


def test_fork_and_exit_in_the_child_leave_the_run_to_the_parent(project, python):
    done = python(
        "import corrida, os, sys, multiprocessing\n"
        "run = corrida.start_run(run_id='a')\n"
        "if os.fork() == 0:\n    run.log({'x': 1}); sys.exit(0)\n"
        "os.wait()\n"
        "assert corrida.Store().get('a').status == 'running'\n"
        "p = multiprocessing.get_context('fork').Process(target=lambda: run.log({'x': 2})); p.start(); p.join()\n"
        "run.log({'x': 3})\n"
    )
    assert done.returncode == 0, done.stderr
    record = corrida.Store().get("a")
    assert record.status == "finished"
    assert record.history()["x"].to_list() == [1, 2, 3]


def test_a_zombie_and_a_reused_process_id_are_not_alive():
    me = liveness.this_process()
    assert liveness.is_alive(me, 0, time.time())
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    ticks = None
    while ticks is None:
        ticks = liveness._start_ticks(child.pid) or ticks
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    zombie = liveness.Process(me.host, child.pid, ticks, me.world)
    assert not liveness.is_alive(zombie, time.time(), time.time())
    child.wait()
    reused = liveness.Process(me.host, me.pid, me.started - 1, me.world)
    assert not liveness.is_alive(reused, time.time(), time.time())
    elsewhere = liveness.Process("other", 1, 1, "other-boot/1")
    assert liveness.is_alive(elsewhere, time.time() - 30, time.time())
    assert not liveness.is_alive(elsewhere, time.time() - 1000, time.time())


def test_a_shared_store_serves_users_who_do_not_own_its_files(start, monkeypatch, request):
    if os.geteuid() != 0:
        pytest.skip("needs two users")
    shared = Path(tempfile.mkdtemp())  # its parents may be entered by all, unlike those of tmp_path
    request.addfinalizer(lambda: shutil.rmtree(shared))
    monkeypatch.chdir(shared)
    start(run_id="roots").finish()
    for folder in (shared, shared / "runs", shared / "runs" / ".corrida"):
        folder.chmod(0o777)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            os.environ["CORRIDA_CACHE_DIR"] = "/nonexistent/cache"
            start(run_id="nobodys").finish()
            os.write(writer, repr([r.id for r in corrida.Store("runs").runs()]).encode())
        except BaseException as error:  # noqa: BLE001 - reported to the parent
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 10_000).decode() == "['nobodys', 'roots']"
    start(run_id="roots2").finish()
    assert corrida.Store().get("latest").id == "roots2"
    assert read_index().keys() == {"roots", "nobodys", "roots2"}


def test_a_kill_at_any_point_of_finish_leaves_a_readable_run(project, start):
    (project / "d.txt").write_text("1")
    for n in range(1, 200):
        root = project / f"runs{n}"

        def work(root=root):
            run = start(
                root, run_id="a", data=[project / "d.txt"]
            )  # no table: polars does not survive a fork
            run.log({"x": 1})
            run.save_bytes("a/b", b"1")
            run.log_metrics({"f1": 0.5})
            (project / "started").touch()
            run.finish()

        (project / "started").unlink(missing_ok=True)
        survived = killed_at(n, work)
        if not (project / "started").exists():
            continue
        store = corrida.Store(root)
        record = store.get("a")
        assert record.status in {"crashed", "finished"}
        assert record.metrics == {"f1": 0.5}
        assert record.history()["x"].to_list() == [1]
        assert record.path("a/b").read_bytes() == b"1"
        assert [r.id for r in store.runs(filter="metrics.f1 is null or metrics.f1 = 0.5")] == ["a"]
        if record.status == "finished":
            assert store.verify()[0].intact
            assert read_index(root).keys() == {"a"}
            assert read_run_file(root / "a").seal
        if survived:
            assert n > 30
            return
    pytest.fail("finish never came to its end")


def test_a_kill_at_any_point_of_the_start_leaves_nothing_or_a_crashed_run(project, start):
    for n in range(1, 100):
        root = project / f"runs{n}"
        survived = killed_at(n, lambda root=root: start(root, run_id="a", configs=[("c.json", b"{}")]))
        store = corrida.Store(root)
        assert [(r.id, r.status) for r in store.runs()] in ([], [("a", "crashed")])
        run = start(root, run_tag="next")
        run.finish()
        assert store.get("latest").id == "run_next"
        if "a" in [r.id for r in store.runs()]:
            assert store.get("a").status == "crashed"
            store.remove(["a"])
            assert [r.id for r in store.runs()] == ["run_next"]
        if survived:
            return
    pytest.fail("start never came to its end")

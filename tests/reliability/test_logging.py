"""What had returned is read back: after a SIGKILL amid 100,000 calls, and of 200 runs started at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import corrida

from .failpoints import Task, Warm

CALLS = 100_000
LOGGING = f"""
import os, sys
import corrida
told = int(sys.argv[1])
run = corrida.start_run(run_id="a", capture=False)
for n in range({CALLS}):
    run.log({{"loss": n, "half": n / 2}}, step=n)
    if n % 250 == 0:
        run.log_items([{{"item_id": n, "score": n}}])
        run.log_metrics({{"n": n}})
        run.log_params({{"last": n}})
        run.describe(summary=f"sum {{n}}")
        run.save_bytes(f"files/{{n}}.bin", b"%d" % n)
    os.write(told, b"%d\\n" % n)
print("all done", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("until", [700, 60_123])
def test_a_kill_amid_a_hundred_thousand_calls(project: Path, until: int) -> None:
    reader, writer = subprocess.os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", LOGGING, str(writer)], pass_fds=[writer], stdout=subprocess.PIPE
    )
    subprocess.os.close(writer)
    with open(reader, "rb") as returned:
        last = next(int(line) for line in returned if int(line) >= until)
        child.send_signal(signal.SIGKILL)
        rest = returned.read().split(b"\n")  # the last may be cut off
    said, _ = child.communicate()
    assert said == b""
    last = max([last, *(int(line) for line in rest[:-1])])
    assert until <= last < CALLS - 1
    store = corrida.Store()
    every = range(0, last + 1, 250)
    for record in (store.get("a"), store.runs()[0]):
        assert record.status == "crashed"
        history = record.history()
        assert history["step"].to_list()[: last + 1] == list(range(last + 1))
        assert history["loss"].to_list()[: last + 1] == list(range(last + 1))
        assert history["half"][last] == last / 2
        assert history.height <= last + 2
        assert record.items()["item_id"].to_list()[: len(every)] == [str(n) for n in every]
        assert record.metrics["n"] >= every[-1]
        assert record.params["last"] >= every[-1]
        assert int(record.summary.split()[1]) >= every[-1]
        assert all(record.path(f"files/{n}.bin").read_bytes() == b"%d" % n for n in every)
    assert store.verify()[0].intact
    store.note("a", "died")
    assert store.get("a").later_notes[0].text == "died"


@pytest.mark.slow
def test_eight_processes_make_two_hundred_runs_in_a_store_that_is_not_there_yet(
    project: Path, warm: Warm
) -> None:
    outcomes = warm.together([Task("many", (25,))] * 8)
    assert [o.crash or o.error for o in outcomes] == [None] * 8
    made = sorted(run_id for o in outcomes for run_id in o.result)
    assert len(set(made)) == 200
    assert warm.tell("index_ids") == made  # before any reader could mend it
    store = corrida.Store()
    runs = store.runs()
    assert sorted(r.id for r in runs) == made
    assert {r.status for r in runs} == {"finished"}
    assert sorted(r.metrics["n"] for r in runs) == sorted(n for n in range(25) for _ in range(8))
    assert [r.order for r in runs] == sorted((r.order for r in runs), reverse=True)
    by_time = {r.id.split("-")[0] for r in runs if "seed" not in r.id and "tag" not in r.id}
    assert len(by_time) < 20, "ids of the same second were not tried"
    assert all(v.intact for v in store.verify())
    assert sorted(p.name for p in Path("runs").iterdir() if p.is_dir() and p.name != ".corrida") == made

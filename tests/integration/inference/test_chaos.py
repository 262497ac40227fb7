"""Many submitters with repeated ids, workers that are killed at random: every analysis ends exactly once.

The short version runs by default; ``CORRIDA_CHAOS=full`` runs 8 submitters of 250 files for a minute.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time

import polars as pl
import pytest
from tests.integration.inference.conftest import kill

pytestmark = pytest.mark.slow
FULL = os.environ.get("CORRIDA_CHAOS") == "full"
SUBMITTERS, FILES, DISTINCT, WORKERS, SECONDS, EVERY = (
    (8, 250, 600, 3, 60.0, 1.0) if FULL else (4, 30, 60, 2, 16.0, 4.0)
)

SUBMIT = """
import random, sys
from pathlib import Path
from corrida.inference.service import Service
from corrida.inference.settings import runner_of
from corrida.project import find_project
seed, files, distinct = map(int, sys.argv[1:])
service = Service(runner_of(find_project()))
draw = random.Random(seed)
for _ in range(files):
    number = draw.randrange(distinct)
    path = Path(f"up-{seed}.csv")
    bad = number % 10 == 0
    path.write_text("wrong\\n1\\n" if bad else "x,do\\n" + "".join(f"{number + row},\\n" for row in range(20)))
    service.submit(path, analysis_id=f"job-{number}")
"""


def test_every_analysis_ends_exactly_once_however_often_workers_are_killed(small):
    small.settings(attempts=2)
    small.service  # noqa: B018 - lays out
    random.seed(7)
    submitters = [
        subprocess.Popen([sys.executable, "-c", SUBMIT, str(seed), str(FILES), str(DISTINCT)], cwd=small.root)
        for seed in range(SUBMITTERS)
    ]
    workers = [small.worker() for _ in range(WORKERS)]
    end = time.monotonic() + SECONDS
    kills = 0
    while time.monotonic() < end:
        time.sleep(EVERY)
        number = random.randrange(WORKERS)
        kill(workers[number])
        kills += 1
        workers[number] = small.worker()
    assert [s.wait(120) for s in submitters] == [0] * SUBMITTERS
    jobs = small.service.jobs
    small.until(lambda: not (jobs.counts()["queued"] + jobs.counts()["running"]), 240)
    every = jobs.list(limit=10_000)
    good = {job.id for job in every if job.status == "processed"}
    bad = {job.id for job in every if job.status == "failed"}
    assert good | bad == {job.id for job in every}
    assert bad == {job.id for job in every if int(job.id.removeprefix("job-")) % 10 == 0}
    small.until(lambda: len(small.charged()) == len(good))
    assert small.charged() == sorted(good)
    assert small.names("pending") == []
    assert small.names("processed") == sorted(
        f"{name}.{end}" for name in good for end in ("csv", "json", "parquet")
    )
    assert small.names("failed") == sorted(f"{name}{end}" for name in bad for end in (".csv", "_error.json"))
    for name in good:
        number = int(name.removeprefix("job-"))
        rows = pl.read_parquet(small.root / "spool" / "processed" / f"{name}.parquet")
        assert rows["x"].to_list() == list(range(number, number + 20))
        assert (
            json.loads((small.root / "spool" / "processed" / f"{name}.json").read_text())["analysis_id"]
            == name
        )
        endings = [e.event for e in jobs.events(name) if e.event in {"settled", "processed", "charged"}]
        assert endings == ["settled", "processed", "charged"]
    for worker in workers:
        worker.terminate()
    assert [worker.wait(60) for worker in workers] == [0] * WORKERS
    small.until(lambda: not small.children(), 20)
    assert kills >= 3

"""Many submitters with repeated ids, workers that are killed at random: every analysis ends exactly once.

The short version runs by default; ``CORRIDA_CHAOS=full`` runs 8 submitters of 250 files, 3 workers and a kill a second for a
minute.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
from tests.integration.inference.conftest import kill

pytestmark = pytest.mark.slow
FULL = os.environ.get("CORRIDA_CHAOS") == "full"
SUBMITTERS, FILES, DISTINCT, WORKERS, SECONDS, EVERY = (
    (8, 250, 600, 3, 60.0, 1.0) if FULL else (4, 25, 50, 2, 7.0, 2.0)
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
new = 0
for _ in range(files):
    number = draw.randrange(distinct)
    path = Path(f"up-{seed}.csv")
    bad = number % 10 == 0
    path.write_text("wrong\\n1\\n" if bad else "x,do\\n" + "".join(f"{number + row},\\n" for row in range(20)))
    new += service.submit(path, analysis_id=f"job-{number}")[1]
print(new)
"""


def test_every_analysis_ends_exactly_once_however_often_workers_are_killed(world):
    world.settings(attempts=2)
    world.service  # noqa: B018 - lays out
    chance = random.Random(7)
    submitters = [
        subprocess.Popen(
            [sys.executable, "-c", SUBMIT, str(seed), str(FILES), str(DISTINCT)],
            cwd=world.root, stdout=subprocess.PIPE, text=True,
        )
        for seed in range(SUBMITTERS)
    ]  # fmt: skip
    workers = [world.worker() for _ in range(WORKERS)]
    begun = time.monotonic()
    kills = 0
    while time.monotonic() - begun < SECONDS:
        time.sleep(EVERY)
        number = chance.randrange(WORKERS)
        kill(workers[number])
        kills += 1
        workers[number] = world.worker()
    said = [submitter.communicate(timeout=600)[0] for submitter in submitters]
    assert [submitter.returncode for submitter in submitters] == [0] * SUBMITTERS
    jobs = world.service.jobs
    world.until(lambda: not (jobs.counts()["queued"] + jobs.counts()["running"]), 1200 if FULL else 240)
    every = jobs.list(limit=10_000)
    good = {job.id for job in every if job.status == "processed"}
    bad = {job.id for job in every if job.status == "failed"}
    assert sum(map(int, said)) == len(every)  # each id was new to exactly one submitter
    assert good | bad == {job.id for job in every} == submitted()
    assert bad == {job.id for job in every if number_of(job.id) % 10 == 0}
    world.until(lambda: len(world.charged()) >= len(good))
    assert world.charged() == sorted(good)
    assert world.names("pending") == []
    assert world.names("processed") == sorted(
        f"{name}.{end}" for name in good for end in ("csv", "json", "parquet")
    )
    assert world.names("failed") == sorted(f"{name}{end}" for name in bad for end in (".csv", "_error.json"))
    processed = world.root / "spool" / "processed"
    for name in good:
        expected = list(range(number_of(name), number_of(name) + 20))
        rows = pl.read_parquet(processed / f"{name}.parquet")
        assert rows["x"].to_list() == expected
        assert rows["distance"].to_list() == [abs(x - 2.0) for x in expected]
        shown = json.loads((processed / f"{name}.json").read_text())
        assert shown["analysis_id"] == name
        assert [row["x"] for row in shown["rows"]] == expected
        endings = [e.event for e in jobs.events(name) if e.event in {"settled", "processed", "charged"}]
        assert endings == ["settled", "processed", "charged"]
    incoming = world.root / "spool" / ".corrida" / "incoming"
    assert list(incoming.iterdir()) == []
    ended_well(world, workers)
    world.until(lambda: not world.processes(), 20)
    claims = sum(job.claims for job in every)
    report(world, f"{len(every)} analyses, {len(good)} processed, {kills} kills, {claims} claims", begun)
    assert kills >= 3


def submitted():
    """The ids that the submitters drew."""
    ids = set()
    for seed in range(SUBMITTERS):
        draw = random.Random(seed)
        ids |= {f"job-{draw.randrange(DISTINCT)}" for _ in range(FILES)}
    return ids


def number_of(name):
    return int(name.removeprefix("job-"))


def ended_well(world, workers):
    """Every worker ends by itself when it is told to, but for one that had not begun to listen."""
    for worker in workers:
        worker.terminate()
    for worker in workers:
        code = worker.wait(60)
        began = any(line["event"] == "started" for line in world.log_of(worker))
        assert code == 0 or (code == -signal.SIGTERM and not began), (code, world.story())


def report(world, what, begun):
    print(f"{world.service.database.dialect}: {what}, {time.monotonic() - begun:.0f} s")

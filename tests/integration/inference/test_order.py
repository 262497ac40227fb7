"""What is done before what: results are durable before the file leaves ``pending``, and a try of yesterday decides nothing."""

from __future__ import annotations

import os

import pytest
from tests.integration.inference.conftest import on_sqlite

from corrida.inference import scoring, spool
from corrida.inference.billing import Entry, Ledger
from corrida.inference.children import Children
from corrida.inference.models import resolve_model
from corrida.inference.problems import Problem
from corrida.inference.protocol import Score
from corrida.inference.workflow import Steps
from corrida.runs import files


def steps_of(world, children, executor="me"):
    service = world.service
    return Steps(service.runner, service.jobs, service.spool, children, Ledger(service.database), executor)


@pytest.fixture
def children(world):
    made = Children(1, world.root, 60)
    yield made
    made.close()


def score_here(world, job, token):
    """Score a claimed job in this process, as its child would."""
    model = resolve_model(world.service.runner.store, "@production")
    predictor = scoring.load_scorer(model, world.root)
    request = Score(
        file=str(world.service.spool.input_path(job)), sha256=job.sha256,
        work=str(world.service.spool.work_folder(job.id, token)), stamp={"analysis_id": job.id, "run": {"pipeline": model.pipeline}}, options={},
        max_bytes=10**6, max_rows=100, inline_rows=10,
    )  # fmt: skip
    report, digest = scoring.score_file(predictor, request, lambda rows: None)
    return {"rows": report.rows, "scored": report.scored, "result_sha256": digest, "report": "{}"}


def test_results_are_durable_before_the_file_leaves_pending(world, monkeypatch):
    service = world.service
    world.submit("one", "3,")
    done = []

    def named(fd):
        return os.readlink(f"/proc/self/fd/{fd}").rpartition("spool/")[2]

    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(("sync", named(fd))), real_sync(fd))[1])
    monkeypatch.setattr(
        os,
        "replace",
        lambda a, b: (done.append(("move", str(b).rpartition("spool/")[2])), real_replace(a, b))[1],
    )
    job = service.jobs.claim("one", 1, "t1", "me")
    result = score_here(world, job, "t1")
    scored = len(done)
    assert service.jobs.settle(job, "processed", None, result)
    service.spool.publish(service.jobs.get("one"))
    synced = [name for what, name in done[:scored] if what == "sync"]
    assert any(name.endswith("rows.parquet") for name in synced)
    assert any(name.endswith("result.json") for name in synced)
    assert any(name.endswith("one.t1") for name in synced)  # the folder that holds their names
    assert [step for step in done[scored:] if step[0] == "move" or step[1] in {"processed", "pending"}] == [
        ("move", "processed/one.parquet"),
        ("move", "processed/one.json"),
        ("sync", "processed"),
        ("move", "processed/one.csv"),
        ("sync", "processed"),
        ("sync", "pending"),
    ]
    assert files.fsync_dir is spool.fsync_dir


def test_a_try_that_was_superseded_decides_nothing_and_moves_nothing(world):
    jobs = world.service.jobs
    world.submit("one", "3,")
    asleep = jobs.claim("one", 1, "t1", "asleep")
    awake = jobs.claim("one", 1, "t2", "awake")
    assert jobs.watch(asleep, None) == "superseded"
    assert jobs.set_model(asleep, "x", "y", "z") is None
    assert not jobs.settle(asleep, "failed", Problem(code="x", message="y"))
    assert not jobs.again(asleep, Problem(code="x", message="y"), 0)
    result = score_here(world, awake, "t2")
    assert jobs.settle(awake, "processed", None, result)
    assert jobs.settle(awake, "processed", None, result)  # told twice, after a connection that was lost
    assert not jobs.settle(asleep, "processed", None, result)
    assert jobs.claim("one", 1, "t3", "late") is None
    settled = jobs.get("one")
    assert (settled.outcome, settled.winner, settled.status) == ("processed", "t2", "running")
    for _ in range(2):
        world.service.spool.publish(settled)
    assert jobs.finish(settled)
    assert not jobs.finish(settled)
    assert world.names("processed") == ["one.csv", "one.json", "one.parquet"]
    assert [e.event for e in jobs.events("one")] == ["queued", "claimed", "claimed", "settled", "processed"]


def test_the_ledger_takes_each_analysis_once(world):
    ledger = Ledger(world.service.database)
    assert ledger.record(Entry(analysis="a", units=3, amount="0.15"))
    assert not ledger.record(Entry(analysis="a", units=3, amount="0.15"))
    assert ledger.record(Entry(analysis="a", kind="refund", units=3, reason="recalled"))
    assert [(e.kind, e.units, e.amount) for e in ledger.entries()] == [
        ("charge", 3, "0.15"),
        ("refund", 3, None),
    ]


@on_sqlite
def test_charging_is_repeated_until_the_gateway_answers_and_counts_once(world, children):
    class Gateway:
        def __init__(self):
            self.calls = []

        def record(self, entry):
            self.calls.append(entry.analysis)
            if len(self.calls) < 3:
                raise ConnectionError("the bank is closed")
            return True

    gateway = Gateway()
    world.submit("one", "3,")
    jobs = world.service.jobs
    job = jobs.claim("one", 1, "t1", "me")
    jobs.settle(job, "processed", None, score_here(world, job, "t1"))
    service = world.service
    steps = Steps(service.runner, jobs, service.spool, children, gateway, "me")
    assert steps.charge("one") == "nothing"  # not before it has ended
    steps.publish("one")
    assert steps.charge("one") == "charged"
    assert gateway.calls == ["one"] * 3
    assert steps.charge("one") == "nothing"


@pytest.mark.slow
@on_sqlite
def test_a_model_is_loaded_once_and_an_altered_one_is_not_used(world, children):
    steps = steps_of(world, children)
    for name in ("a", "b"):
        world.submit(name, "3,")
        assert steps.infer(name, 1) == "scored"
        assert steps.publish(name) == "processed"
    (child,) = children._all
    assert child.alive()
    children.close()
    again = Children(1, world.root, 60)
    model = world.root / "runs" / "one" / "models" / "mean" / "mean.json"
    model.write_text('{"mean": 99}')
    world.submit("c", "3,")
    assert steps_of(world, again).infer("c", 1) == "failed"
    steps.publish("c")
    job = world.service.jobs.get("c")
    assert (job.status, job.code, job.tries) == ("failed", "model_damaged", 1)
    assert "altered" in (job.message or "")
    assert str(world.root) not in (job.message or "")
    again.close()


@pytest.mark.slow
@on_sqlite
def test_a_file_that_was_altered_after_it_was_submitted_is_not_scored(world, children):
    steps = steps_of(world, children)
    world.submit("a", "3,")
    (world.root / "spool" / "pending" / "a.csv").write_text("x,do\n4,\n")
    assert steps.infer("a", 1) == "failed"
    assert world.service.jobs.get("a").code == "file_changed"
    world.submit("b", "3,")
    (world.root / "spool" / "pending" / "b.csv").unlink()
    assert steps.infer("b", 1) == "again"
    assert world.service.jobs.get("b").code == "file_lost"

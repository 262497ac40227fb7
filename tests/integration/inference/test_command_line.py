"""``corrida worker``, ``submit`` and ``jobs`` as a person meets them."""

from __future__ import annotations

import json
import os
import signal

import pytest

from corrida.inference.queue import Executor


def test_what_cannot_be_submitted_is_refused_in_one_sentence_and_leaves_nothing(small, corrida):
    small.file("new.csv", "5,")
    (small.root / "empty.csv").touch()
    assert "no file gone.csv" in corrida.refuses("submit", "gone.csv")
    assert "the file is empty" in corrida.refuses("submit", "empty.csv")
    assert "is not allowed" in corrida.refuses("submit", "new.csv", "--id", "../x")
    assert "one by one" in corrida.refuses("submit", "new.csv", "empty.csv", "--id", "x")
    assert "no database that corrida reads" in corrida.refuses(
        "submit", "new.csv", "--database", "mysql://x/y"
    )
    assert "cannot be used" in corrida.refuses(
        "submit", "new.csv", "--database", "postgresql://me@127.0.0.1:1/x", code=1
    )
    assert "there is no analysis 'nope'" in corrida.refuses("jobs", "nope")
    assert "exclude each other" in corrida.refuses("jobs", "x", "--retry", "--cancel")
    small.settings(max_bytes=4)
    assert "larger than 4 bytes" in corrida.refuses("submit", "new.csv")
    small.settings(slots=0)
    assert "slots is 0; it must be at least 1" in corrida.refuses("submit", "new.csv")
    small.settings(unit_price="cheap")
    assert "write a decimal number" in corrida.refuses("submit", "new.csv")
    small.settings()
    assert small.names("pending") == []
    assert list((small.root / "spool" / ".corrida" / "incoming").iterdir()) == []
    assert "there is no analysis" in corrida("jobs").err


def test_a_job_is_listed_shown_and_cancelled(small, corrida):
    small.file("año.csv", "5,")
    assert corrida("submit", "año.csv", "--id", "a1").out == "a1  queued  año.csv\n"
    assert corrida("submit", "año.csv", "--id", "a1").out == "a1  queued already  año.csv\n"
    small.file("año.csv", "6,")
    assert "exists with another file" in corrida.refuses("submit", "año.csv", "--id", "a1")
    assert "1 queued" in corrida("jobs").out
    assert corrida("jobs", "a1", "--cancel").out.startswith("a1\n")
    (job,) = corrida("jobs", "--json").json
    assert (job["id"], job["status"], job["error"]["code"]) == ("a1", "cancelled", "cancelled")
    assert [event["event"] for event in corrida("jobs", "a1", "--json").json["events"]][-1] == "cancelled"
    assert small.names("failed") == ["a1.csv", "a1_error.json"]
    assert "status: queued" in corrida("jobs", "a1", "--retry").out
    assert "nothing" not in corrida("jobs", "--status", "queued").out


def test_what_waits_says_so_where_no_worker_is_there_to_take_it(small, corrida):
    small.file("new.csv", "5,")
    missing = "no worker is running; start one with `corrida worker` or `corrida serve`"
    said = corrida("submit", "new.csv", "--id", "a1", "--wait", "--timeout", "0", code=1)
    assert said.err == f"a1  still queued; {missing}\n"
    assert f"waits: {missing}" in corrida("jobs", "a1").out
    assert corrida("jobs", "a1", "--json").json["note"] == missing
    worker = Executor(small.service.database, small.service.spool)
    assert missing not in corrida("jobs", "a1").out
    worker.leave()
    assert missing in corrida("jobs", "a1").out
    corrida("demote")
    small.file("later.csv", "6,")
    said = corrida("submit", "later.csv", "--id", "a2")
    assert said.out == "a2  queued  later.csv\n"
    assert said.err.startswith("warning: as things are it will fail: no run is @production")


def test_a_job_that_is_being_cancelled_says_so(small, corrida):
    small.submit("a1", "5,")
    service = small.service
    service.jobs.claim("a1", 1, "token", "somebody")
    assert "being cancelled" not in corrida("jobs", "a1").out
    assert "status: running, is being cancelled" in corrida("jobs", "a1", "--cancel").out
    shown = corrida("jobs", "a1", "--cancel", "--json").json
    assert shown["cancelling"] is True
    assert [event["event"] for event in shown["events"]].count("cancel_asked") == 1


def test_a_server_refuses_a_shadow_that_leads_nowhere(small, corrida):
    assert "nope" in corrida.refuses("serve", "--port", "0", "--shadow", "nope")


@pytest.mark.slow
def test_a_file_is_submitted_scored_and_charged_with_its_price(small, corrida):
    small.settings(unit_price="0.05", inline_rows=2)
    worker = small.worker()
    small.file("three.csv", "1,", "2,", "4,")
    said = corrida("submit", "three.csv", "--id", "t", "--wait").out
    assert said == "t  processed by one: 3 of 3 rows scored\n  spool/processed/t.json\n"
    result = small.result("t")
    assert "rows" not in result  # more than inline_rows: they stand in the table
    assert result["results"] == {"file": "t.parquet", "rows": 3, "sha256": result["results"]["sha256"]}
    import pyarrow.parquet as pq

    table = pq.read_table(small.root / "spool" / "processed" / "t.parquet")
    assert table.column("distance").to_pylist() == [1.0, 0.0, 2.0]
    assert json.loads(table.schema.metadata[b"corrida"])["run"] == result["run"]
    assert (
        result["run"]["digest"] == json.loads((small.root / "runs" / "one" / "run.json").read_text())["seal"]
    )
    from corrida.inference.billing import Ledger

    small.until(lambda: small.charged() == ["t"])
    (entry,) = Ledger(small.service.database).entries()
    assert (entry.units, entry.amount, entry.run_id) == (3, "0.15", "one")
    small.file("bad.csv", "1,raise")
    said = corrida("submit", "bad.csv", "--wait", code=1)
    assert "failed: the model raised an error that nobody foresaw" in said.err
    os.kill(worker.pid, signal.SIGINT)
    assert worker.wait(60) == 0
    assert [line["event"] for line in small.log_of(worker)][-1] == "stopped"

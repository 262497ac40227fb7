"""The queue, what ended and why, drift: analyses that go the way of a worker, without one."""

from __future__ import annotations

import html
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

import corrida
from corrida.inference.billing import Ledger, charge_of
from corrida.inference.models import Model
from corrida.inference.problems import Problem
from corrida.inference.service import Service
from corrida.inference.settings import runner_of
from corrida.inference.shadow import Shadows
from corrida.project import find_project

if TYPE_CHECKING:
    from starlette.testclient import TestClient

EVIL = "<script>alert(1)</script>"


class Files:
    """Hands files over and ends them, by the calls that a worker makes."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.service = Service(runner_of(find_project(project)))

    def queued(self, name: str, file: str = "a.csv", **more: Any) -> str:
        path = self.project / file
        path.write_text(f"x\n{name}\n", encoding="utf-8")
        self.service.submit(path, analysis_id=name, **more)
        return name

    def ended(
        self,
        name: str,
        problem: Problem | None = None,
        report: dict[str, Any] | None = None,
        file: str = "a.csv",
        **more: Any,
    ) -> str:
        jobs = self.service.jobs
        self.queued(name, file, **more)
        job = jobs.claim(name, 1, f"token-{name}", "host:1")
        assert job is not None
        job = jobs.set_model(job, "run_one", "seal", "train")
        assert job is not None
        result = {"rows": 20, "scored": 18, "report": json.dumps(report or {}), "result_sha256": "0" * 64}
        outcome = "processed" if problem is None else "failed"
        assert jobs.settle(job, outcome, problem, result if problem is None else None)
        assert jobs.finish(jobs.get(name))
        if problem is None:
            Ledger(self.service.database).record(charge_of(name, 18, "0.05", "run_one", None))
            jobs.set_charged(jobs.get(name))
        return name


@pytest.fixture
def files(project: Path) -> Iterator[Files]:
    with corrida.start_run(pipeline="train", run_tag="one") as run:
        run.log_metrics({"accuracy": 0.5})
    corrida.Store("runs").promote("run_one")
    found = Files(project)
    yield found
    found.service.close()


def _figures(page: str) -> list[dict[str, Any]]:
    found = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    return [json.loads(text) for text in found]


def test_where_nothing_was_handed_over_no_database_is_made(pages: TestClient, project: Path) -> None:
    page = pages.get("/serving")
    assert page.status_code == 200
    assert "corrida serve" in page.text
    assert pages.get("/serving/a1").status_code == 404
    assert not (project / "spool").exists()


def test_the_queue_and_what_ended(pages: TestClient, files: Files) -> None:
    files.ended("a1", report={"not_scored": {"no number": 2}, "classes": {"good": 10, "bad": 8}})
    files.ended("a2", Problem(code="bad_file", message=f"the file has no column x {EVIL}"))
    files.ended("a3", Problem(code="bad_file", message=f"the file has no column x {EVIL}"))
    files.queued("a4", file=f"ünï 商品 {EVIL.replace('/', '')}.csv")
    page = pages.get("/serving").text
    assert "<script>alert" not in page
    text = html.unescape(page)
    assert "the oldest for" in text
    assert "In the last hour: 1 processed, 2 failed; 20 rows scored." in text
    assert re.search(
        r"the file has no column x .*?</td><td class=\"right\" data-label=\"files\">2</td>", text
    )
    assert "商品" in text
    assert [figure["title"]["text"] for figure in _figures(page)] == [
        "Analyses that ended",
        "Seconds until the end",
    ]
    bars = _figures(page)[0]["data"]["values"]
    assert sum(bar["analyses"] for bar in bars if bar["end"] == "failed") == 2
    failed = pages.get("/serving?status=failed").text
    table = failed[failed.index('id="analyses"') :]
    assert "/serving/a2" in table
    assert "/serving/a1" not in table
    assert pages.get("/serving?status=nonsense&page=x&window=year").status_code == 200
    assert "No analysis fits" in pages.get("/serving?run=run_none").text
    assert "last day" in pages.get("/serving?window=day").text


def test_an_analysis_and_what_became_of_it(pages: TestClient, files: Files) -> None:
    secret = "https://user:pass@example.org:8443/hook?secret=1"
    files.ended("a1", report={"not_scored": {f"no number {EVIL}": 2}}, webhook=secret)
    page = pages.get("/serving/a1")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    text = html.unescape(page.text)
    for said in (
        "processed",
        "run_one",
        "18 of 20 scored",
        "18 rows, 0.90",
        "claimed",
        "settled",
        "no number",
        "waiting",
    ):
        assert said in text, said
    assert "https://example.org:8443/hook" in text
    assert "pass" not in text.replace("corrida", "")
    assert "secret=1" not in text
    files.ended("a2", Problem(code="bad_file", message="the file has no column x"))
    text = pages.get("/serving/a2").text
    assert "the file has no column x" in text
    assert "corrida jobs a2 --retry" in text
    files.queued("a3")
    files.queued("a4")
    text = pages.get("/serving/a4").text
    assert re.search(r"ahead of it</dt><dd>1<", text)
    missing = pages.get(f"/serving/{EVIL}")
    assert missing.status_code == 404
    assert "<script>alert" not in missing.text


def test_drift_of_the_last_files(pages: TestClient, files: Files) -> None:
    for number in range(4):
        drift = {f"feature_{n:02d}": 0.01 * n * number for n in range(12)} | {"odd": float("inf")}
        drift.pop("odd")
        files.ended(f"a{number}", report={"drift": drift})
    files.ended("other", report={})
    page = pages.get("/serving").text
    figure = _figures(page)[-1]
    assert figure["title"]["text"] == "How far files stood from training"
    shown = {row["feature"] for row in figure["data"]["values"]}
    assert shown == {f"feature_{n:02d}" for n in range(6, 12)}
    assert re.search(r"feature_<wbr>11</th><td class=\"right warning strong\">0.33 ", page)
    assert "Drift of the features over the last 4 files of train" in page


def test_what_a_second_run_answered(pages: TestClient, files: Files, project: Path) -> None:
    shadows = Shadows(files.service.database)
    model = Model("run_two", "seal", "train", "train", project / "runs" / "run_two")
    for name in ("a1", "a2", "a3"):
        files.ended(name)
    jobs = files.service.jobs
    shadows.plan(jobs.get("a1"), "@candidate", model)
    claimed = shadows.claim(jobs.get("a1").spool, "host:1", "token")
    assert claimed is not None
    assert shadows.settle(claimed, 20, 5, "{}")
    assert shadows.finish(structs.replace(claimed, status="settled", rows=20, differ=5))
    shadows.plan(jobs.get("a2"), "@candidate", Problem(code="no_model", message="no run is @candidate"))
    shadows.plan(jobs.get("a3"), "@candidate", model)
    text = pages.get("/serving").text
    assert re.search(r"@candidate</th><td>.*run_two.*</td><td class=\"right\">1</td>", text)
    assert "25.00 %" in text
    assert "5 of 20 rows were answered otherwise" in pages.get("/serving/a1").text
    assert "it was not compared: no run is @candidate" in pages.get("/serving/a2").text
    assert "still to be compared" in pages.get("/serving/a3").text


def test_a_reason_is_told_once_whatever_the_files_are_called(pages: TestClient, files: Files) -> None:
    for name in ("one", "two"):
        problem = Problem(code="invalid_file", message=f"{name}.csv: there are no rows.")
        files.ended(name, problem, file=f"{name}.csv")
    page = pages.get("/serving").text
    (reasons,) = re.findall(r'<table class="stacks">.*?</table>', page, re.DOTALL)
    assert re.search(r'>there are no rows\.</a></td><td class="right" data-label="files">2</td>', reasons)
    assert "one.csv: there are no rows." in page[page.index('id="analyses"') :]
    assert '<th scope="col">for</th>' not in page  # nobody is named
    files.ended("three", client="bank")
    assert '<th scope="col">for</th>' in pages.get("/serving").text


def test_the_file_of_an_analysis_that_failed_is_not_waited_for(
    pages: TestClient, files: Files, project: Path
) -> None:
    shadows = Shadows(files.service.database)
    model = Model("run_two", "seal", "train", "train", project / "runs" / "run_two")
    files.ended("good")
    files.ended("bad", Problem(code="invalid_file", message="there are no rows"))
    shadows.plan(files.service.jobs.get("good"), "@candidate", model)
    shadows.plan(files.service.jobs.get("bad"), "@candidate", model)
    text = pages.get("/serving").text
    (row,) = re.findall(r"<tr><th scope=\"row\">@candidate.*?</tr>", text)
    assert re.findall(r'<td class="right">([\d,]+)</td>', row)[-2:] == ["1", "0"]  # waiting, failed
    assert shadows.counts()["waiting"] == 1
    assert "nothing was compared, since the analysis itself failed" in pages.get("/serving/bad").text


def test_pages_of_analyses(pages: TestClient, files: Files) -> None:
    job = files.service.jobs.get(files.queued("b000"))
    for number in range(1, 60):
        copy = structs.replace(
            job, id=f"b{number:03d}", created=job.created + number / 1000, staged=f"s{number}"
        )
        files.service.jobs.add(copy)
    page = pages.get("/serving").text
    assert "1–50" in page
    assert "b059" in page
    rest = pages.get("/serving?page=2").text
    assert "51–60" in rest
    assert "/serving/b000" in rest


def test_a_database_that_is_away_or_busy_is_one_sentence(
    pages: TestClient, project: Path, files: Files
) -> None:
    files.ended("a1")
    files.service.close()
    file = project / "spool" / "jobs.db"
    kept = file.read_bytes()
    for rest in project.glob("spool/jobs.db-*"):
        rest.unlink()
    file.write_bytes(b"this is no database, and long enough to be looked at as one" * 40)
    answer = pages.get("/serving")
    assert answer.status_code == 503
    assert "cannot be read: file is not a database" in answer.text
    assert pages.get("/serving/a1").status_code == 500
    file.write_bytes(kept)
    held = sqlite3.connect(file, isolation_level=None)
    held.execute("PRAGMA journal_mode=DELETE")
    held.execute("PRAGMA locking_mode=EXCLUSIVE")
    held.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    answer = pages.get("/serving")
    assert answer.status_code == 503
    assert time.monotonic() - began < 4
    assert 'class="problem"' in answer.text
    held.close()
    assert pages.get("/serving").status_code == 200


def test_looking_changes_nothing(pages: TestClient, project: Path, files: Files) -> None:
    files.ended("a1")
    files.service.close()
    before = (project / "spool" / "jobs.db").read_bytes()
    pages.get("/serving")
    pages.get("/serving/a1")
    assert (project / "spool" / "jobs.db").read_bytes() == before


def test_a_server_that_does_not_answer_is_given_up_soon(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    from corrida.errors import DatabaseError
    from corrida.inference.job_reader import JobReader

    monkeypatch.setenv("JOBS_PASSWORD", "s3cret")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql://me:${{JOBS_PASSWORD}}@127.0.0.1:{silent.getsockname()[1]}/jobs"
        (project / "corrida.toml").write_text(f'[serve]\ndatabase = "{address}"\n', encoding="utf-8")
        reader = JobReader(lambda: runner_of(find_project(project)), patience=0.5)
        began = time.monotonic()
        with pytest.raises(DatabaseError, match=r"does not answer within 0\.5 seconds") as caught:
            reader.ask(lambda jobs: jobs.counts())
        assert time.monotonic() - began < 2
        assert "s3cret" not in str(caught.value)
        reader.close()

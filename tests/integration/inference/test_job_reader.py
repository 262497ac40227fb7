"""The jobs for those who only look, in PostgreSQL: nothing is changed, and nobody waits long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from tests.integration.inference.conftest import fresh_database

from corrida.errors import DatabaseError, InvalidData
from corrida.inference import overview
from corrida.inference.job_reader import JobReader
from corrida.inference.service import Service
from corrida.inference.settings import runner_of
from corrida.project import find_project

if TYPE_CHECKING:
    from tests.postgres_server import Server


@pytest.fixture
def reader(project: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobReader]:
    address = fresh_database(server, monkeypatch)
    (project / "corrida.toml").write_text(f'[serve]\ndatabase = "{address}"\n', encoding="utf-8")
    found = JobReader(lambda: runner_of(find_project(project)), patience=5.0)
    yield found
    found.close()


def test_what_a_worker_wrote_is_read(reader: JobReader, project: Path) -> None:
    with pytest.raises(DatabaseError, match="cannot be read") as caught:
        reader.ask(lambda jobs: jobs.counts())
    assert "s3cret" not in str(caught.value)
    service = Service(runner_of(find_project(project)))
    (project / "a.csv").write_text("x\n1\n", encoding="utf-8")
    service.submit(project / "a.csv", analysis_id="a1")
    job = service.jobs.claim("a1", 1, "token", "host:1")
    assert job is not None
    assert service.jobs.settle(
        job, "processed", None, {"rows": 3, "scored": 3, "report": '{"drift": {"x": 0.5}}'}
    )
    service.jobs.finish(service.jobs.get("a1"))
    assert reader.ask(lambda jobs: jobs.counts())["processed"] == 1
    found = reader.ask(lambda jobs: overview.pace(jobs.database, time.time(), 60.0, 60))
    assert found is not None
    assert found.whole.ended == {"processed": 1, "failed": 0, "cancelled": 0}
    assert found.whole.rows == 3
    drift = reader.ask(lambda jobs: overview.drift(jobs.database, 10))
    assert drift is not None
    assert drift.points[0][3] == {"x": 0.5}
    assert reader.ask(lambda jobs: overview.failures(jobs.database)) == []
    assert reader.ask(lambda jobs: overview.shadow_pairs(jobs.database)) == []
    assert reader.ask(lambda jobs: overview.postings_of(jobs.database, "a1")) == []
    service.close()


def test_nothing_can_be_changed_and_a_slow_answer_is_given_up(reader: JobReader, project: Path) -> None:
    Service(runner_of(find_project(project))).close()

    def change(jobs):
        with jobs.database.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM corrida_analyses"))

    with pytest.raises(DatabaseError, match="read-only transaction"):
        reader.ask(change)

    def sleep(jobs):
        with jobs.database.reading() as connection:
            connection.execute(sa.text("SELECT pg_sleep(60)"))

    quick = JobReader(lambda: runner_of(find_project(project)), patience=2.0)
    began = time.monotonic()
    with pytest.raises(DatabaseError, match=r"does not answer|statement timeout"):
        quick.ask(sleep)
    assert time.monotonic() - began < 4
    quick.close()


def test_an_address_that_cannot_be_used(
    reader: JobReader, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DB_PASSWORD")
    with pytest.raises(InvalidData, match="DB_PASSWORD"):
        reader.ask(lambda jobs: jobs.counts())

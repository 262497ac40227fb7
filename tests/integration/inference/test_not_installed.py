"""Without what serving needs its commands say so in a sentence, and a result still says what made it."""

from __future__ import annotations

import json
import subprocess
import sys

import polars as pl
import pytest

COMMANDS = (
    ("serve",), ("worker",), ("submit", "x.csv"), ("jobs",), ("shadow",), ("impact", "one"),
    ("keys", "add", "bank"), ("keys", "list"), ("keys", "revoke", "bank"), ("keys", "webhook-secret"),
)  # fmt: skip
SAID = "corrida: serving needs dbos, sqlalchemy, pyarrow and 6 more; pip install 'corrida[serve]'\n"
# In a process of its own: what was imported before is there, whether it can be found or not.
CALL = """
import contextlib, io, json, sys
names = "dbos sqlalchemy pyarrow psycopg fastapi uvicorn h11 python_multipart prometheus_client httpx2"
sys.modules.update(dict.fromkeys(names.split()))
from corrida.cli.main import run_cli
found = []
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = run_cli(command)
    found.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(found))
"""


@pytest.fixture
def bare(project):
    def call(*commands):
        done = subprocess.run(
            [sys.executable, "-c", CALL, json.dumps(commands)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def test_each_command_says_what_to_install(project, bare):
    (project / "x.csv").write_text("a\n1\n", encoding="utf-8")
    assert bare(*COMMANDS) == [[1, "", SAID]] * len(COMMANDS)
    assert not (project / "spool").exists()


def test_a_result_says_what_made_it(project, bare):
    stamp = '{"analysis_id": "may", "run": {"id": "one", "alias": "production", "pipeline": "risk"}}'
    rows = pl.DataFrame({"row": [1, 2], "class": ["limpio", "inusual"]})
    rows.write_parquet(project / "may.parquet", metadata={"corrida": stamp})
    (project / "spool").mkdir()
    (project / "spool" / "jobs.db").touch()
    of_file, of_row, of_id = bare(
        ("why", "may.parquet"), ("why", "may.parquet", "--row", "2", "--json"), ("why", "may")
    )
    assert of_file[0] == 0
    assert "made by the run one (risk, @production then)" in of_file[1]
    assert "the jobs' database was not asked" in of_file[2]
    assert json.loads(of_row[1])["row"] == {"row": 2, "class": "inusual"}
    # An id is looked up in the jobs' database, where there is one; else in the store.
    assert of_id == [1, "", SAID]
    (project / "spool" / "jobs.db").unlink()
    ((code, _, said),) = bare(("why", "may"))
    assert (code, said.count("\n")) == (2, 1)
    assert "neither a file nor the id" in said


def test_the_file_that_was_scored_leads_to_its_results(project, corrida):
    sent = project / "may.csv"
    sent.write_text("monto\n1\n", encoding="utf-8")
    assert "name the .json or .parquet of its analysis in the spool" in corrida.refuses("why", sent)
    pl.DataFrame({"row": [1]}).write_parquet(project / "may.parquet")
    assert "name its results: may.parquet" in corrida.refuses("why", sent, "--row", 1)

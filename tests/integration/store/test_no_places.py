"""What a run says of errors, secrets and its end."""

from __future__ import annotations

import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from corrida.runs.snapshot.environment import relative_text
from corrida.runs.store import Store


def test_errors_hold_no_absolute_paths(project, start, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    places = [
        str(project / "data" / "x.csv"),
        sysconfig.get_paths()["purelib"] + "/polars/frame.py",
        sys.prefix + "/bin/python",
        str(tmp_path / "home" / "secret.txt"),
        tempfile.gettempdir() + "/some.tmp",
        str(project),
    ]
    text = " and ".join(f"'{p}', {p}:3" for p in places)
    with pytest.raises(ValueError), start(run_id="a", root="runs"):
        raise ValueError(text)
    run = start(run_id="b")
    run.fail(text)
    for record in Store("runs").runs():
        assert "x.csv" in record.error.message
        assert "'data/x.csv', data/x.csv:3" in record.error.message
        assert "site-packages/polars/frame.py" in record.error.message
        log = record.dir / "log.txt"
        for said in [record.error.message, log.read_text() if log.exists() else ""]:
            for place in (str(project), sys.prefix, str(tmp_path), tempfile.gettempdir() + "/"):
                assert place not in said
    assert "ValueError" in (project / "runs" / "a" / "log.txt").read_text()


def test_relative_text_takes_whole_names_only(tmp_path):
    root = tmp_path / "my"
    assert relative_text(f"{root}/a.py {root}x {root}.", root).startswith("a.py ")
    assert relative_text("1/2 and /etc/passwd", Path("/")) == "1/2 and /etc/passwd"


def test_a_run_that_the_interpreter_ended_says_so(project, python):
    code = (
        "import sys, corrida\nrun = corrida.start_run(pipeline='p', run_id='a')\nrun.log({'x': 1})\n"
        "sys.exit(int(sys.argv[1]))\n"
    )
    assert python(code, "3").returncode == 3
    record = Store("runs").get("a")
    assert any("was not ended by its program" in w for w in record.warnings)


def test_secrets_in_parameters_and_the_command_line_are_told(project, start):
    secret = "hunter2hunter2"
    run = start(
        run_id="a",
        params={"db": {"password": secret}, "lr": 0.1},
        argv=["train", "--api-key", secret, "--auth-token=" + secret],
    )
    run.log_params({"key": "sk-" + "a" * 30})
    run.finish()
    warnings = Store("runs").get("a").warnings
    assert len(warnings) == 4
    assert not any(secret in w or "sk-a" in w for w in warnings)
    quiet = start(run_id="b", params={"lr": 0.1, "tokens": 12345678}, argv=["run", "--seed", "12345678"])
    quiet.finish()
    assert Store("runs").get("b").warnings == ()

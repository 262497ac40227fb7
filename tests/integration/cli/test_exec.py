"""Any command as a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

PYTHON = sys.executable


def _script(project, text, name="script.py"):
    (project / name).write_text(text, encoding="utf-8")
    return name


def test_what_a_command_writes_becomes_that_of_the_run(project, corrida):
    script = _script(
        project,
        "import json, os, pathlib\n"
        "d = pathlib.Path(os.environ['CORRIDA_RUN_DIR'])\n"
        "(d / 'metrics.json').write_text(json.dumps({'f1': 0.5, 'loss': 2}))\n"
        '(d / \'history.jsonl\').write_text(\'{"step": 1, "loss": 3.5}\\n{"step": 2, "loss": 2.0}\\n\')\n'
        "(d / 'items.csv').write_text('item_id,output,correct,score\\n007,a,true,0.5\\n008,b,false,1\\n')\n"
        "(d / 'model.bin').write_bytes(b'x')\n",
    )
    corrida("exec", "--run-id", "a", "--set", "lr=0.1", "--", PYTHON, script)
    run = corrida("show", "a", "--json").json
    assert run["pipeline"] == "script"
    assert run["metrics"] == {"f1": 0.5, "loss": 2}
    assert run["params"] == {"lr": 0.1}
    assert run["artifacts"] == ["model.bin"]
    assert run["item_counts"] == {"count": 2, "correct": 1, "wrong": 1}
    assert [r["item_id"] for r in corrida("items", "a", "--json").json] == ["007", "008"]
    from corrida import Store

    assert Store("runs").get("a").history()["loss"].to_list() == [3.5, 2.0]
    corrida("verify", "a")


def test_the_run_is_found_from_python(project, corrida):
    script = _script(
        project,
        "import corrida\nrun = corrida.current_run()\nrun.log({'loss': 1}, step=1)\n"
        "run.log_metrics({'f1': 0.5})\nrun.log_items([{'item_id': 'x', 'correct': True}])\n",
    )
    corrida("exec", "--run-id", "a", "--", PYTHON, script)
    run = corrida("show", "a", "--json").json
    assert run["metrics"] == {"f1": 0.5}
    assert run["item_counts"]["correct"] == 1


@pytest.mark.parametrize(
    ("command", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -15 $$", 143)]
)
def test_the_exit_code_is_that_of_the_command(project, corrida, command, code):
    said = corrida("exec", "--run-id", "a", "--", "sh", "-c", command, code=code)
    run = corrida("show", "a", "--json").json
    assert run["status"] == ("finished" if code == 0 else "failed")
    if code:
        assert run["error"]["message"] in said.err  # why is said at once
    corrida("verify", "a")


def test_standard_output_is_that_of_the_command_alone(project, corrida):
    done = corrida.process("exec", "--run-id", "a", "--", "sh", "-c", "echo out; echo err >&2")
    assert done.stdout == "out\n"
    assert done.stderr.startswith("err\n")
    assert "a  finished" in done.stderr
    assert sorted((project / "runs/a/log.txt").read_text(encoding="utf-8").split()) == ["err", "out"]


def test_standard_input_goes_to_the_command(project, corrida):
    assert corrida.process("exec", "--", "cat", input="hello\n").stdout == "hello\n"


def test_characters_across_two_reads_stay_whole(project, corrida):
    # 65,535 ASCII bytes and then characters of two and four bytes: any boundary at 64 KB falls inside one.
    script = _script(project, "import sys\nsys.stdout.write('x' * 65535 + 'ñ😀' * 40000 + '\\n')\n")
    done = corrida.process("exec", "--run-id", "a", "--", PYTHON, script)
    expected = "x" * 65535 + "ñ😀" * 40000 + "\n"
    assert done.stdout == expected
    assert (project / "runs/a/log.txt").read_text(encoding="utf-8") == expected


def test_bytes_that_are_no_text_pass_through(project, corrida):
    done = corrida.process("exec", "--run-id", "a", "--", "printf", r"\377\376ok\n", text=False)
    assert done.stdout == b"\xff\xfeok\n"
    assert "ok" in (project / "runs/a/log.txt").read_text(encoding="utf-8")


def test_a_reader_that_goes_away_ends_the_command(project, corrida):
    process = corrida.start("exec", "--run-id", "a", "--", "yes")
    assert process.stdout
    assert process.stdout.readline() == "y\n"
    process.stdout.close()
    assert process.wait(20) == 141
    process.communicate()
    assert corrida("show", "a", "--json").json["status"] == "failed"


def test_a_request_to_end_is_handed_on(project, corrida):
    process = corrida.start("exec", "--run-id", "a", "--", "sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert corrida("show", "a", "--json").json["status"] == "failed"


def test_nothing_is_kept_on_request(project, corrida):
    said = corrida(
        "exec", "--no-save", "--", "sh", "-c", "test -d $CORRIDA_RUN_DIR && touch $CORRIDA_RUN_DIR/x"
    )
    assert "nothing was kept" in said.err
    assert not (project / "runs").exists()


def test_a_program_that_is_not_there_leaves_no_run(project, corrida):
    assert "'nosuchprogram'" in corrida.refuses("exec", "--", "nosuchprogram")
    assert corrida("list", "--json").json == []


def test_metrics_that_cannot_be_read_are_kept_aside_and_said(project, corrida):
    said = corrida(
        "exec",
        "--run-id",
        "a",
        "--",
        "sh",
        "-c",
        'echo \'{"a": {}, "b": 2, "c": "NaN"}\' > $CORRIDA_RUN_DIR/metrics.json',
    )
    assert "a in metrics.json is no number" in said.err
    assert corrida("show", "a", "--json").json["metrics"] == {"b": 2.0, "c": "NaN"}
    assert '"a": {}' in (project / "runs/a/metrics-unread.json").read_text(encoding="utf-8")
    said = corrida("exec", "--run-id", "b", "--", "sh", "-c", "echo '{' > $CORRIDA_RUN_DIR/metrics.json")
    assert "metrics.json was not taken over" in said.err


def test_a_section_of_the_project_counts_for_commands_too(toy, corrida):
    script = _script(
        toy.root,
        "import corrida\ncorrida.current_run().log_metrics({'precision': 0.5})\n",
    )
    corrida("exec", "--pipeline", "jobs", "--run-id", "a", "--", PYTHON, script)
    run = corrida("show", "a", "--json").json
    assert run["source"] == "gold_set_4"
    assert run["primary_metric"] == {"name": "precision", "direction": "max"}
    assert [c["origin"] for c in run["configs"]] == ["config/rules.json"]


def test_a_run_inside_a_command_is_its_child(project, corrida):
    script = _script(project, "import corrida\nwith corrida.start_run(run_id='inner'):\n    pass\n")
    corrida("exec", "--run-id", "outer", "--", PYTHON, script)
    runs = {r["id"]: r for r in corrida("list", "--json").json}
    assert runs["inner"]["parent"] == "outer"
    assert "outer (+1)" in corrida("list").out
    assert "inner" in corrida("list", "--all").out
    corrida("rm", "outer")
    assert corrida("list", "--json").json == []
    corrida("undo")
    assert len(corrida("list", "--json").json) == 2


def test_lines_of_a_history_that_cannot_be_read_are_said(project, corrida):
    said = corrida(
        "exec",
        "--run-id",
        "a",
        "--",
        "sh",
        "-c",
        "printf '{\"loss\": 1}\\nnonsense\\n' > $CORRIDA_RUN_DIR/history.jsonl",
    )
    assert "1 of 2 lines" in said.err
    assert (project / "runs/a/history-unread.jsonl").exists()


def test_a_metric_called_time_is_a_metric(project, corrida):
    script = _script(
        project,
        "import os, pathlib\n"
        "d = pathlib.Path(os.environ['CORRIDA_RUN_DIR'])\n"
        '(d / \'history.jsonl\').write_text(\'{"step": 1, "time": 2.5}\\n{"step": 2, "time": 3.5}\\n\')\n',
    )
    corrida("exec", "--run-id", "a", "--", PYTHON, script)
    from corrida import Store

    assert Store("runs").get("a").history()["time"].to_list() == [2.5, 3.5]


def test_a_time_that_is_text_is_said_and_costs_no_other_metric(project, corrida):
    script = _script(
        project,
        "import os, pathlib\n"
        "d = pathlib.Path(os.environ['CORRIDA_RUN_DIR'])\n"
        '(d / \'history.jsonl\').write_text(\'{"step": 1, "time": "12:00", "loss": 3}\\n\')\n',
    )
    assert (
        "the column time of history.jsonl is text"
        in corrida("exec", "--run-id", "a", "--", PYTHON, script).err
    )
    from corrida import Store

    assert Store("runs").get("a").history()["loss"].to_list() == [3.0]


def test_a_process_left_behind_is_not_waited_for(project, corrida):
    began = time.monotonic()
    done = corrida.process("exec", "--run-id", "a", "--", "sh", "-c", "sleep 15 & echo $! > pid; echo done")
    try:
        assert time.monotonic() - began < 10
        assert done.returncode == 0
        assert done.stdout == "done\n"
        assert "left behind" in done.stderr
        assert (project / "runs/a/log.txt").read_text(encoding="utf-8") == "done\n"
    finally:
        os.kill(int((project / "pid").read_text()), signal.SIGKILL)


def test_what_is_in_the_pipe_when_the_command_has_ended_is_read(project, corrida):
    script = _script(project, "import sys\nsys.stdout.write('x' * 60_000 + 'end\\n')\n")
    done = corrida.process("exec", "--run-id", "a", "--", PYTHON, script)
    assert done.stdout == "x" * 60_000 + "end\n"


def test_a_request_to_end_while_the_command_starts_is_handed_on(project, corrida, monkeypatch):
    real = subprocess.Popen
    started = []

    def start(command, **options):
        process = real(command, **options)
        if list(command)[:1] == ["sleep"]:
            started.append(process)
            os.kill(os.getpid(), signal.SIGTERM)  # before anybody has got the process
        return process

    # Without the fix the signal ends whoever has no handler yet: here that would be the tests themselves.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    monkeypatch.setattr(subprocess, "Popen", start)
    try:
        corrida("exec", "--run-id", "a", "--", "sleep", 5, code=143)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [process.poll() for process in started] == [-signal.SIGTERM]

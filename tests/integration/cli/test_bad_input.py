"""Whatever is wrong is said in one sentence: what, where, and what to do next."""

from __future__ import annotations

import json
import signal
import time

import pytest


def _config(toy, content):
    data = content if isinstance(content, bytes) else content.encode()
    (toy.root / "config" / "rules.json").write_bytes(data)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ('{"version": "1.0",\n  "rules": [}', ["config/rules.json", "line 2", "column 13", "not valid JSON"]),
        ('{"a": 1,\n "b": 2,\n "a": 3}', ["config/rules.json", "'a'", "twice", "line 1, 3"]),
        ("", ["config/rules.json", "empty"]),
        (b'{"a": "\xe9"}', ["config/rules.json", "UTF-8"]),
        (b"[" * 100_000, ["config/rules.json", "nested"]),
        ("[1, 2]", ["config/rules.json", "object"]),
    ],
)
def test_a_configuration_that_cannot_be_read(toy, corrida, content, parts):
    _config(toy, content)
    sentence = corrida.refuses("run", "jobs")
    assert [part for part in parts if part not in sentence] == []
    assert corrida("list", "--json").json == []


def test_a_configuration_of_50_mb(toy, corrida):
    with (toy.root / "config" / "rules.json").open("wb") as file:
        file.write(b'{"a": "')
        file.truncate(50_000_000)
    sentence = corrida.refuses("run", "jobs")
    assert "50 MB" in sentence
    assert "--data" in sentence


def test_a_configuration_that_is_missing(toy, corrida):
    assert "'nope.json'" in corrida.refuses("run", "jobs", "--config", "nope.json")
    assert "'conf/*.json'" in corrida.refuses("run", "jobs", "--config", "conf/*.json")
    assert "folder" in corrida.refuses("run", "jobs", "--config", "config")


MATCHING = {
    "version": "1.0",
    "classification": "data/classification.csv",
    "index": "data/index.csv",
    "columns": {"id": "id", "text": "title", "expected": "gold"},
}


@pytest.fixture
def matching(project):
    (project / "config").mkdir()
    (project / "data").mkdir()
    (project / "config/matching.json").write_text(json.dumps(MATCHING), encoding="utf-8")
    (project / "data/classification.csv").write_text(
        "level,code,title\nunit,1,Cooks\nunit,2,Bakers\n", encoding="utf-8"
    )
    (project / "data/index.csv").write_text("title,code\ncook,1\nbaker,2\n", encoding="utf-8")
    (project / "data/titles.csv").write_text("id,title,gold\na,cook,1\nb,baker,2\n", encoding="utf-8")
    (project / "corrida.toml").write_text(
        '[pipelines.jobs]\nuses = "matching"\nconfigs = ["config/*.json"]\ndata = ["data/titles.csv"]\n',
        encoding="utf-8",
    )
    return project


def test_the_small_matching_project_works(matching, corrida):
    assert corrida("run", "jobs", "--json").json["metrics"]["accuracy"] == 1


def test_an_unknown_key_names_the_nearest(matching, corrida):
    (matching / "config/matching.json").write_text(json.dumps(MATCHING | {"treshold": 1}), encoding="utf-8")
    sentence = corrida.refuses("run", "jobs")
    assert "config/matching.json" in sentence
    assert "treshold" in sentence
    assert "threshold" in sentence


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["titles.csv", "empty"]),
        (b"id,title,gold\n", ["titles.csv", "no rows"]),
        (b"number,title,gold\na,cook,1\n", ["titles.csv", "no column 'id'"]),
        (b"id,title,gold\na,cook,1\na,baker,2\n", ["titles.csv", "'a' at line 2, 3"]),
        (b"id,title,gold\na,caf\xe9,1\n", ["titles.csv", "UTF-8"]),
    ],
)
def test_data_that_cannot_be_used(matching, corrida, content, parts):
    (matching / "data/titles.csv").write_bytes(content)
    sentence = corrida.refuses("run", "jobs")
    assert [part for part in parts if part not in sentence] == []
    assert corrida("list", "--json").json == []


def test_data_that_is_missing(matching, corrida):
    assert "'nope.csv'" in corrida.refuses("run", "jobs", "--data", "nope.csv")
    (matching / "data/index.csv").unlink()
    sentence = corrida.refuses("run", "jobs")
    assert "data/index.csv" in sentence
    assert "index" in sentence


@pytest.mark.parametrize(
    "name", ["../x", "", "x" * 200, "latest", "CON", "-x", "a b", "a/b", "ñandú", "index.json", ".hidden"]
)
def test_run_ids_that_are_not_allowed(toy, corrida, name):
    sentence = corrida.refuses("run", "jobs", f"--run-id={name}")
    assert "run id" in sentence
    assert corrida("list", "--json").json == []
    assert not (toy.root.parent / "x").exists()


def test_a_run_id_with_nul(toy, corrida):
    assert "run id" in corrida.refuses("run", "jobs", "--run-id", "a\0b")


@pytest.mark.parametrize("tag", ["../x", "", "¡!", "a/b"])
def test_run_tags_that_are_not_allowed(toy, corrida, tag):
    assert "run tag" in corrida.refuses("run", "jobs", "--run-tag", tag)


def test_references_that_fit_nothing(toy, corrida):
    assert "no run" in corrida.refuses("show")  # an empty store
    assert "empty" in corrida.refuses("show", "some")
    for name in ("run_a", "run_b"):
        corrida("run", "jobs", "--run-id", name)
    assert "run_a, run_b" in corrida.refuses("show", "run")
    assert "'other'" in corrida.refuses("show", "other")
    assert "latest~2" in corrida.refuses("show", "latest~2")
    assert "whole number" in corrida.refuses("show", "latest~x")
    assert "@nobody" in corrida.refuses("show", "@nobody")
    assert "reference is empty" in corrida.refuses("show", "")
    for command in ("compare", "restore", "items", "verify", "rm", "promote"):
        assert "'other'" in corrida.refuses(command, "other")
    assert "'other'" in corrida.refuses("note", "other", "text")
    assert "'other'" in corrida.refuses("tag", "other", "a=b")
    assert "'other'" in corrida.refuses("compare", "run_a", "other")


def test_wrong_use_is_said_in_one_line_too(corrida, project):
    assert "Did you mean list?" in corrida.refuses("lst")
    assert "corrida run --help" in corrida.refuses("run")
    assert "key=value" in corrida.refuses("run", "matching", "--set", "threshold")
    assert "--seed" in corrida.refuses("run", "matching", "--seed", "x")
    assert "--nope" in corrida.refuses("list", "--nope")
    assert "COMMAND" in corrida.refuses("exec")
    assert "not both" in corrida.refuses("compare", "a", "b", "--latest")
    assert "fish" in corrida.refuses("completion", "powershell")


def test_filters_and_columns_that_name_nothing(toy, corrida):
    corrida("run", "jobs")
    assert "nope" in corrida.refuses("list", "--sort", "nope")
    assert "nope" in corrida.refuses("list", "--columns", "id,nope")
    assert "no column nope" in corrida.refuses("items", "--columns", "nope")
    assert "has no item 9;" in corrida.refuses("items", "--id", "9")
    corrida.refuses("list", "--filter", "metrics.precision >")


def test_settings_that_cannot_be_read(toy, corrida):
    (toy.root / "corrida.toml").write_text("store = [\n", encoding="utf-8")
    assert "corrida.toml" in corrida.refuses("list")
    (toy.root / "corrida.toml").write_text('stor = "x"\n', encoding="utf-8")
    assert "did you mean store?" in corrida.refuses("list")
    (toy.root / "corrida.toml").write_text("[pipelines.jobs]\nseed = 'x'\n", encoding="utf-8")
    assert "seed" in corrida.refuses("run", "jobs")


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("def x(:\n", ["SyntaxError", "line 1"]),
        ("raise RuntimeError('first\\nsecond')\n", ["RuntimeError", "first second"]),
        ("import nonexistent_module\n", ["nonexistent_module"]),
        ("y = 1\n", ["no 'x'"]),
        ("x = 1\n", ["neither a pipeline nor a function"]),
    ],
)
def test_a_pipeline_that_cannot_be_loaded(project, corrida, code, parts):
    module = f"broken_{abs(hash(code))}"
    (project / f"{module}.py").write_text(code, encoding="utf-8")
    sentence = corrida.refuses("run", f"{module}:x")
    assert module in sentence
    assert [part for part in parts if part not in sentence] == []


def test_a_pipeline_that_nobody_knows(toy, corrida):
    sentence = corrida.refuses("run", "job")
    assert "'job'" in sentence
    assert "jobs" in sentence
    assert "matching" in sentence
    assert "no module 'gone'" in corrida.refuses("run", "gone:x")


# -- runs that are not what they were -----------------------------------------------------------------------


@pytest.fixture
def three(toy, corrida):
    for name in ("one", "two", "three"):
        corrida("run", "jobs", "--run-id", name)
    return toy.root / "runs"


def test_a_truncated_run_is_shown_and_stops_nothing(three, corrida):
    file = three / "two" / "run.json"
    file.write_bytes(file.read_bytes()[:200])
    listed = {r["id"]: r for r in corrida("list", "--json").json}
    assert listed["two"]["status"] == "unreadable"
    assert listed["two"]["metrics"] == {}
    line = next(line for line in corrida("list").out.splitlines() if line.split()[0] == "two")
    assert "unreadable" in line
    assert "run two: run.json cannot be read" in corrida.refuses("show", "two", code=1)
    assert "run two: run.json cannot be read" in corrida.refuses("compare", "two", "three", code=1)
    assert corrida("compare", "--json").json["a"] == "one"  # the last two that can be read
    said = corrida("verify", code=1)
    assert "two\n  unreadable: run.json" in said.out
    assert "2 of 3 runs intact" in said.out


def test_a_run_of_a_newer_format_is_shown_and_stops_nothing(three, corrida):
    file = three / "two" / "run.json"
    content = json.loads(file.read_bytes())
    content["format_version"] = 999
    file.write_text(json.dumps(content), encoding="utf-8")
    assert {r["id"]: r["status"] for r in corrida("list", "--json").json}["two"] == "unreadable"
    sentence = corrida.refuses("show", "two", code=1)
    assert "999" in sentence
    assert "later version" in sentence or "newer" in sentence
    corrida("verify", code=1)


def test_a_run_that_was_edited_by_hand_is_found(three, corrida):
    file = three / "two" / "run.json"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"pipeline": "jobs"', '"pipeline": "better"'), encoding="utf-8")
    assert {r["id"]: r["pipeline"] for r in corrida("list", "--json").json}["two"] == "better"
    said = corrida("verify", "two", code=1)
    assert "run.json" in said.out
    verified = {r["run"]: r["intact"] for r in corrida("verify", "--json", code=1).json}
    assert verified == {"one": True, "two": False, "three": True}


@pytest.mark.parametrize(
    "name", ["metrics.json", "items.parquet", "config/rules.json", "manifest.json", "config.yaml"]
)
def test_any_file_that_is_altered_or_gone_is_found(three, corrida, name):
    path = three / "one" / name
    path.write_bytes(path.read_bytes() + b" ")
    assert name in corrida("verify", code=1).out
    path.unlink()
    assert name in corrida("verify", "one", code=1).out
    assert "2 of 3 runs intact" in corrida("verify", code=1).out


def test_damaged_items_say_so(three, corrida):
    (three / "one" / "items.parquet").write_bytes(b"PAR1 nonsense")
    assert "the items of the run one cannot be read" in corrida.refuses("items", "one", code=1)
    assert "the items of the run one cannot be read" in corrida.refuses("compare", "one", "two", code=1)


def test_a_damaged_manifest_says_so(three, corrida):
    (three / "two" / "manifest.json").write_bytes(b"{")
    assert "run two: manifest.json cannot be read" in corrida.refuses("show", "two", code=1)


def test_a_configuration_that_was_altered_in_the_run_is_not_restored(three, toy, corrida):
    (three / "one" / "config" / "rules.json").write_bytes(b"{}")
    before = (toy.root / "config" / "rules.json").read_bytes()
    assert "altered" in corrida.refuses("restore", "one", "--yes", code=1)
    assert (toy.root / "config" / "rules.json").read_bytes() == before


# -- pipelines that fail --------------------------------------------------------------------------------------


def test_a_pipeline_that_raises_leaves_a_failed_run(toy, corrida):
    (toy.root / "raises.py").write_text(
        "def work(data, config):\n    print('half way')\n    raise ValueError('no gold\\nat all')\n",
        encoding="utf-8",
    )
    said = corrida("run", "raises:work", "--run-id", "bad", "--description", "mine", code=1)
    assert len(said.err.splitlines()) == 1
    assert "ValueError: no gold at all" in said.err
    assert "raises.py:3" in said.err
    assert "the run bad is kept as failed" in said.err
    run = corrida("show", "bad", "--json").json
    assert run["status"] == "failed"
    assert run["error"]["type"] == "ValueError"
    log = (toy.root / "runs/bad/log.txt").read_text(encoding="utf-8")
    assert log.startswith("half way\n")
    assert log.count("Traceback") == 1
    assert "1 of 1 runs intact" in corrida("verify", "bad").out  # failed, and sealed as it was
    line = corrida("list").out.splitlines()[1]
    assert "failed" in line
    assert "mine" in line
    assert "no gold at all" in line


@pytest.mark.parametrize("body", ["return 5", "return {'a': 'text'}", "return {'': 1}"])
def test_a_pipeline_that_returns_nonsense_is_a_run_that_failed(toy, corrida, body):
    module = f"nonsense_{abs(hash(body))}"
    (toy.root / f"{module}.py").write_text(f"def work():\n    {body}\n", encoding="utf-8")
    assert "the pipeline failed" in corrida.refuses("run", f"{module}:work", code=1)
    assert [r["status"] for r in corrida("list", "--json").json] == ["failed"]


def test_nan_and_infinity_are_kept_and_have_no_difference(toy, corrida):
    (toy.root / "odd.py").write_text(
        "def work(data, config): return {'f1': float(config['v']), 'g': float('-inf')}\n", encoding="utf-8"
    )
    for value in ("nan", "inf", "0.5"):
        corrida("run", "odd:work", "--run-id", f"v{value[:3]}".replace(".", ""), "--set", f"v={value}")
    assert corrida("show", "vnan", "--json").json["metrics"] == {"f1": "NaN", "g": "-Infinity"}
    seen = corrida("compare", "vnan", "v05", "--metric", "f1")
    assert "cannot be compared" in seen.out
    assert "+nan" not in seen.out
    metrics = {m["name"]: m for m in corrida("compare", "vnan", "vinf", "--json").json["metrics"]}
    assert metrics["f1"]["difference"] is None
    assert metrics["g"]["difference"] == 0


def _wait_for(path, seconds=20):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} did not come"
        time.sleep(0.02)


def test_ctrl_c_during_a_run(toy, corrida):
    (toy.root / "slow_one.py").write_text(
        "import pathlib, time\ndef work():\n    pathlib.Path('started').touch()\n    time.sleep(60)\n",
        encoding="utf-8",
    )
    process = corrida.start("run", "slow_one:work", "--run-id", "stopped")
    _wait_for(toy.root / "started")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == (
        "corrida: interrupted; stopped keeps what was done; go on with: corrida run --resume stopped\n"
    )
    run = corrida("show", "stopped", "--json").json
    assert run["status"] == "failed"
    assert run["error"]["message"] == "interrupted"
    corrida("verify")


def test_a_run_that_was_killed_is_crashed_and_readable(toy, corrida):
    (toy.root / "killed_one.py").write_text(
        "import os, pathlib, time\ndef work(data, config, recorder):\n    recorder.log({'loss': 0.5})\n"
        "    os.kill(os.getpid(), 9)\n",
        encoding="utf-8",
    )
    assert corrida.process("run", "killed_one:work", "--run-id", "gone").returncode == -9
    run = corrida("show", "gone", "--json").json
    assert run["status"] == "crashed"
    assert "crashed" in corrida("list").out
    corrida("run", "jobs")
    assert corrida("show", "--json").json["pipeline"] == "jobs"


@pytest.mark.parametrize("limit", [0, 2000, 20_000])
def test_a_disk_that_is_full(toy, corrida, limit):
    # The size limit of files stands in for a full disk; Python ignores SIGXFSZ, so writes fail with EFBIG.
    (toy.root / "large.py").write_text(
        "def work(data, config, recorder):\n    recorder.save_text('big.txt', 'x' * 100_000)\n",
        encoding="utf-8",
    )
    done = corrida.process("run", "large:work", preexec_fn=lambda: _limit_files(limit))
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("corrida: ")
    assert "Traceback" not in done.stderr
    assert all(r["status"] in {"failed", "crashed"} for r in corrida("list", "--json").json)
    corrida("run", "large:work")  # and afterwards all is well


def _limit_files(size):
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

"""Sealed runs: digests of everything, tampering found, exact copies, nothing absolute inside."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import corrida
from corrida.runs.snapshot.configs import looks_secret

from .conftest import everything_below


@pytest.fixture
def rich(project):
    """A run with a file of every kind; started with absolute paths everywhere."""
    outside = project.parent / "outside"
    outside.mkdir()
    (outside / "shared.json").write_text("{}")
    (project / "config").mkdir()
    (project / "config" / "a.json").write_text('{"v": 1}')
    (project / "a.json").write_text('{"v": 2}')
    (project / "data.csv").write_text("item_id\n1\n")
    with corrida.start_run(
        run_id="rich", configs=[project / "config" / "a.json", str(project / "*.json"), outside / "shared.json"],
        data=[project / "data.csv", outside / "shared.json"], store=str(project / "runs"), params={"k": 1}, seed=1,
    ) as run:  # fmt: skip
        print("hello")
        run.log({"x": 1})
        run.log_metrics({"f1": 0.5})
        run.log_items([{"item_id": 1, "correct": True}])
        run.save_bytes("plots/a.png", b"\x89")
        (run.dir / "link").symlink_to("plots")
    return run.dir


def test_every_file_has_its_digest(rich):
    content = json.loads((rich / "run.json").read_text())
    assert set(content["files"]) | {"run.json"} == set(everything_below(rich)) | {"link"}
    assert list(content)[-1] == "seal"
    assert {
        "items.parquet",
        "history.jsonl",
        "metrics.json",
        "manifest.json",
        "log.txt",
        "config.yaml",
    } < set(content["files"])
    assert corrida.Store().verify(["rich"])[0].intact


def test_each_kind_of_tampering_is_found_for_each_file(rich, tmp_path):
    store = corrida.Store()
    names = [n for n in json.loads((rich / "run.json").read_text())["files"] if n != "link"]
    whole = tmp_path / "whole"
    shutil.copytree(rich, whole, symlinks=True)

    def findings():
        found = [(p.file, p.finding) for p in store.verify(["rich"])[0].problems]
        shutil.rmtree(rich)
        shutil.copytree(whole, rich, symlinks=True)
        return found

    for name in names:
        data = (rich / name).read_bytes()
        (rich / name).write_bytes(bytes([data[0] ^ 1]) + data[1:])
        assert findings() == [(name, "altered")]
        (rich / name).write_bytes(data + b" ")
        assert findings() == [(name, "altered")]
        (rich / name).unlink()
        assert findings() == [(name, "missing")]
        (rich / name).unlink()
        (rich / name).mkdir()
        assert findings() == [(name, "missing")]
    (rich / "plots" / "b.png").write_bytes(b"")
    assert findings() == [("plots/b.png", "added")]
    (rich / "link").unlink()
    (rich / "link").symlink_to("config")
    assert findings() == [("link", "altered")]
    (rich / "run.json").write_text((rich / "run.json").read_text().replace('"f1": 0.5', '"f1": 0.9'))
    assert findings() == [("run.json", "altered")]
    (rich / "run.json").write_text((rich / "run.json").read_text() + "\n")
    assert findings() == [("run.json", "altered")]
    (rich / "run.json").write_text("{")
    assert findings() == [("run.json", "unreadable")]
    (rich / "run.json").unlink()
    assert corrida.runs.verify.verify_run(rich).problems[0].finding == "missing"


def test_a_listed_name_that_leaves_the_folder_is_a_finding_and_no_error(rich):
    path = rich / "run.json"
    path.write_text(path.read_text().replace('"log.txt"', '"../../log.txt"'))
    found = {(p.file, p.finding) for p in corrida.Store().verify()[0].problems}
    assert found == {("run.json", "altered"), ("../../log.txt", "missing"), ("log.txt", "added")}


def test_notes_tags_and_what_a_kill_leaves_of_them_do_not_break_the_seal(rich):
    store = corrida.Store()
    store.note("rich", "one")
    store.tag("rich", {"k": "v"})
    assert store.verify()[0].intact
    assert everything_below(rich.parent / ".corrida") == [".gitignore", "clock", "index.lock", "store.json"]


def test_no_absolute_path_in_any_json(rich, project, python):
    for path in [rich / "run.json", rich / "manifest.json", rich.parent / "index.json"]:
        text = path.read_text()
        assert str(project) not in text
        assert str(project.parent) not in text

    done = python(
        "import corrida, sys\n"
        "corrida.start_run(run_id='argv', configs=[sys.argv[1]], store=sys.argv[2])\n"
        "open(sys.argv[1] + '.none')",
        str(project / "a.json"), str(project / "runs"), f"--out={project}/x", f"key={project}/y", f"{project}/z",
    )  # fmt: skip
    assert done.returncode == 1
    content = json.loads((rich.parent / "argv" / "run.json").read_text())
    assert str(project) not in json.dumps(content)
    assert content["argv"][1:] == ["a.json", "runs", "--out=x", "key=y", "z"]


def test_configurations_are_kept_byte_for_byte_and_none_meets_another(project):
    outside = project.parent / "elsewhere"
    contents = {
        "config/crlf.json": b'{\r\n"a": 1\r\n}\r\n',
        "config/bom.json": b"\xef\xbb\xbf{}",
        "config/latin.yaml": "a: ñ".encode("latin-1"),
        "config/binary.toml": bytes(range(256)),
        "config/empty.json": b"",
        "a.json": b"1",
        "config/a.json": b"2",
        "config/A.json": b"3",
        "rules/a.json": b"4",
        "rules": None,
        "x": b"5",
        "config/x/y.json": b"6",
        str(outside / "a.json"): b"7",
    }
    for name, data in contents.items():
        if data is not None:
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    with corrida.start_run(
        run_id="r", configs=[n for n, d in contents.items() if d is not None], capture=False
    ):
        pass
    record = corrida.Store().get("r")
    kept = record.config_files()
    for name, data in contents.items():
        if data is not None:
            assert kept[os.path.relpath(project / name, project)] == data
    stored = [c.file for c in record.configs]
    assert len({s.casefold() for s in stored}) == len(stored)
    assert corrida.Store().verify()[0].intact


def test_a_secret_in_a_configuration_is_warned_of(project):
    (project / "c.json").write_text('{"my_api_key": "abcdef0123456789"}')
    with corrida.start_run(run_id="r", configs=["c.json"], capture=False):
        pass
    (warning,) = corrida.Store().get("r").warnings
    assert "c.json" in warning
    assert "my_api_key" in warning
    assert "abcdef" not in warning


@pytest.mark.parametrize(
    "text",
    [
        "password: hunter2222",
        "AWS_SECRET = 'abcdefghij'",
        "x: ghp_" + "a" * 36,
        "-----BEGIN RSA PRIVATE KEY-----",
        '"auth-token": "zzzzzzzzz"',
    ],
)
def test_secrets(text):
    assert looks_secret(text.encode())


@pytest.mark.parametrize(
    "text", ["password: null", "secret: ${ENV_NAME}", "top_k: 5", "tokens: 123456789", "api_key:"]
)
def test_no_secrets(text):
    assert looks_secret(text.encode()) is None


def test_a_long_word_is_searched_for_secrets_in_no_time():
    assert looks_secret(b"a" * 8_000_000) is None


def test_the_environment_is_recorded_by_allow_list_only(project, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "sekrit-value-12345")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with corrida.start_run(run_id="r", capture=False):
        pass
    record = corrida.Store().get("r")
    assert record.environment()["variables"]["OMP_NUM_THREADS"] == "3"
    assert record.environment()["packages"]["msgspec"]
    for path in Path("runs/r").rglob("*"):
        assert path.is_dir() or b"sekrit" not in path.read_bytes()

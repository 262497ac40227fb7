"""A tampered run folder, each file in turn and in every way: named by verify, and no command stumbles over it."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import corrida as package
from corrida.runs.run_file import encode_run_file, seal_is_intact

SEALED = [
    "code.diff",
    "config.yaml",
    "config/a.json",
    "config/deep/b.yaml",
    "history.jsonl",
    "items-duplicates.parquet",
    "items.parquet",
    "log.txt",
    "manifest.json",
    "metrics.json",
    "plots/a.png",
]
COMMANDS = [
    ("list",),
    ("list", "--json"),
    ("show", "whole"),
    ("show", "whole", "--json"),
    ("items", "whole"),
    ("compare", "other", "whole"),
    ("compare", "whole", "other", "--json"),
    ("restore", "whole", "--dry-run"),
    ("note", "whole", "seen"),
    ("promote", "whole"),
    ("rm", "whole", "--force"),
    ("trash", "--restore", "whole"),
    ("index",),
]


def one_byte(path, other):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncated(path, other):
    path.write_bytes(path.read_bytes()[:-7])


def emptied(path, other):
    path.write_bytes(b"")


def deleted(path, other):
    path.unlink()


def a_folder(path, other):
    path.unlink()
    path.mkdir()


def a_link(path, other):
    outside = Path.cwd() / "outside-of-the-store"
    path.rename(outside)
    path.symlink_to(outside)


def a_pipe(path, other):
    path.unlink()
    os.mkfifo(path)


def of_another_run(path, other):
    shutil.copy(other, path)


KINDS = [one_byte, truncated, emptied, deleted, a_folder, a_link, of_another_run]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory):
    """A project with two runs that have a file of every kind, one promoted, both with a note."""
    project = tmp_path_factory.mktemp("tampering")
    (project / "config" / "deep").mkdir(parents=True)
    git = ["git", "-C", str(project), "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git, "init", "-q"], check=True)
    (project / "code.py").write_text("1\n")
    (project / "data.csv").write_text("item_id\n1\n")
    subprocess.run([*git, "add", "code.py"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("CORRIDA_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        for number, name in enumerate(("whole", "other"), 1):
            (project / "code.py").write_text(f"changed {number}\n")
            (project / "data.csv").write_text(f"item_id\n{number}\n")
            (project / "config" / "a.json").write_text(json.dumps({"version": f"1.{number}", "rules": []}))
            (project / "config" / "deep" / "b.yaml").write_text(f"threshold: 0.{number}\n")
            with package.start_run(
                pipeline="p", run_id=name, configs=["config/a.json", "config/deep/b.yaml"], data=["data.csv"],
                params={"k": number, "nested": {"x": [1, 2]}}, primary_metric="f1",
            ) as run:  # fmt: skip
                print(f"hello from {name}")
                for step in range(20):
                    run.log({"loss": 1 / (step + number)})
                run.log_items([{"item_id": i, "output": "a", "expected": "b", "correct": (i + number) % 3 == 0}
                               for i in range(200)])  # fmt: skip
                run.save_bytes("plots/a.png", bytes(range(100, 200)) * number)
                run.log_metrics({"f1": 0.5 + number / 10, "recall": 0.5})
                # What a second logger of the same run leaves behind.
                parts = sorted((run.dir / ".items").iterdir())
                shutil.copy(parts[0], parts[0].with_name(f"999999-{number}.jsonl"))
        store = package.Store()
        for name in ("whole", "other"):
            store.note(name, f"{'a note ' * 30}on {name}: année, 注")
        store.promote("other")
    return project


@pytest.fixture
def runs(prepared, tmp_path, monkeypatch):
    """A copy of the prepared project, which is the working folder; its store."""
    project = tmp_path / "project"
    shutil.copytree(prepared, project, symlinks=True)
    monkeypatch.chdir(project)
    return project / "runs"


def findings(corrida, *, code=1):
    """What ``corrida verify`` finds: (run, file) to finding."""
    said = corrida("verify", "--json", code=code)
    return {(r["run"], p["file"]): p["finding"] for r in said.json for p in r["problems"]}


def no_command_stumbles(capsys):
    """Every command gives a result or one sentence."""
    from corrida.cli.main import run_cli

    codes = {}
    for command in COMMANDS:
        capsys.readouterr()
        code = run_cli(list(command))
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err, (command, err)
        assert code in {0, 1, 2}, command
        if code:
            assert err.count("\n") == 1, (command, err)
            assert err.startswith("corrida: "), (command, err)
            assert len(err) > 30, err
        codes[command[0]] = code
    return codes


def test_the_runs_are_complete(runs, corrida):
    content = json.loads((runs / "whole" / "run.json").read_text())
    assert sorted(content["files"]) == SEALED
    assert findings(corrida, code=0) == {}


def test_an_untouched_run_passes_every_command(runs, capsys):
    assert set(no_command_stumbles(capsys).values()) == {0}


@pytest.mark.parametrize("kind", [*KINDS, a_pipe], ids=lambda k: k.__name__)
@pytest.mark.parametrize("name", SEALED)
def test_every_sealed_file(runs, corrida, capsys, name, kind):
    kind(runs / "whole" / name, runs / "other" / name)
    gone = kind in {deleted, a_folder}
    expected = {("whole", name): "missing" if gone else "altered"}
    assert findings(corrida) == expected
    assert f"{name}" in corrida("verify", "whole", code=1).out
    if kind is a_pipe:  # a reader would wait for a writer
        return
    codes = no_command_stumbles(capsys)
    assert codes["list"] == codes["rm"] == codes["trash"] == codes["index"] == 0
    if name.startswith("config/") and kind is not a_link:
        assert codes["restore"] == 1
    assert findings(corrida) == expected


@pytest.mark.parametrize(
    ("kind", "finding"),
    [
        (one_byte, {"altered", "unreadable"}),
        (truncated, {"unreadable"}),
        (emptied, {"unreadable"}),
        (deleted, {"missing"}),
        (a_folder, {"unreadable"}),
        (a_link, {"altered"}),
        (of_another_run, {"unreadable"}),
    ],
    ids=lambda k: getattr(k, "__name__", ""),
)
def test_run_json(runs, corrida, capsys, kind, finding):
    kind(runs / "whole" / "run.json", runs / "other" / "run.json")
    (found,) = findings(corrida).items()
    assert found[0] == ("whole", "run.json")
    assert found[1] in finding
    assert "run.json" in corrida("verify", "whole", code=1).out
    codes = no_command_stumbles(capsys)
    assert codes["list"] == codes["index"] == 0
    if finding <= {"unreadable", "missing"}:
        assert codes["promote"] in {1, 2}
        assert codes["compare"] in {1, 2}
    assert findings(corrida) == dict([found])


# -- what only somebody who knows the format would do -------------------------------------------------------


def resealed(run, change):
    """Change a run.json and give it a seal that fits again."""
    path = run / "run.json"
    content = json.loads(path.read_text())
    del content["seal"]
    change(content)
    path.write_bytes(encode_run_file(content, seal=True))
    assert seal_is_intact(path.read_bytes())


def test_another_digest_under_a_seal_that_fits(runs, corrida):
    resealed(runs / "whole", lambda c: c["files"]["metrics.json"].update(sha256="sha256:" + "0" * 64))
    assert findings(corrida) == {("whole", "metrics.json"): "altered"}


def test_a_file_left_out_of_the_list_under_a_seal_that_fits(runs, corrida):
    resealed(runs / "whole", lambda c: c["files"].pop("log.txt"))
    assert findings(corrida) == {("whole", "log.txt"): "added"}


def test_an_altered_configuration_with_a_digest_and_a_seal_that_fit(runs, corrida):
    (runs / "whole" / "config" / "a.json").write_bytes(b"{}")
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    resealed(runs / "whole", lambda c: c["files"]["config/a.json"].update(size=2, sha256=digest))
    assert findings(corrida) == {("whole", "run.json"): "altered"}
    assert "contradicts itself on the digest of config/a.json" in corrida("verify", code=1).out
    assert "was altered since the run" in corrida.refuses("restore", "whole", code=1)


@pytest.mark.parametrize("also", [(), ("seal",), ("seal", "files", "finished")])
def test_an_ended_run_that_is_made_to_look_as_if_it_had_not(runs, corrida, also):
    path = runs / "whole" / "run.json"
    content = json.loads(path.read_text())
    content["status"] = "running"
    for key in also:
        del content[key]
    path.write_text(json.dumps(content))
    # index.json says when the run was started that has ended; every reader mends it, so verify must be the first.
    assert findings(corrida) == {("whole", "run.json"): "altered"}


def test_a_run_that_takes_the_name_of_one_that_ended_is_no_damage(runs, corrida):
    shutil.rmtree(runs / "whole")
    child = os.fork()
    if child == 0:
        package.start_run(run_id="whole", capture=False)
        os._exit(9)
    os.waitpid(child, 0)
    assert findings(corrida, code=0) == {("whole", "run.json"): "not ended"}


def test_a_run_of_which_little_is_left(runs, corrida, capsys):
    for name in [*SEALED, "run.json", "annotations.jsonl"]:
        if not name.startswith("config"):
            (runs / "whole" / name).unlink()
    (runs / "whole" / "plots").rmdir()
    assert findings(corrida) == {("whole", "run.json"): "missing"}


@pytest.mark.parametrize("name", ["added.txt", "config/c.json", "deep/er/x", ".hidden", "run.json.bak", "注"])
def test_added_files(runs, corrida, capsys, name):
    path = runs / "whole" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    assert findings(corrida) == {("whole", name): "added"}
    assert set(no_command_stumbles(capsys).values()) == {0}


def test_an_added_pipe_link_and_name_of_no_language(runs, corrida, capsys):
    os.mkfifo(runs / "whole" / "pipe")
    (runs / "whole" / "link").symlink_to("/")
    Path(os.fsdecode(os.fsencode(runs / "whole") + b"/\xff")).write_text("x")
    assert findings(corrida) == {("whole", n): "added" for n in ("pipe", "link", "\\xff")}
    assert set(no_command_stumbles(capsys).values()) == {0}


def test_a_folder_of_the_run_replaced_by_a_link_to_a_copy(runs, corrida):
    (runs / "whole" / "config").rename("copy")
    (runs / "whole" / "config").symlink_to(Path("copy").absolute())
    assert findings(corrida) == {
        ("whole", "config"): "added",
        ("whole", "config/a.json"): "missing",
        ("whole", "config/deep/b.yaml"): "missing",
    }


# -- what is added to after the end ------------------------------------------------------------------------


def test_notes_may_be_added_and_taken_away(runs, corrida):
    corrida("note", "whole", "one more")
    assert findings(corrida, code=0) == {}
    (runs / "whole" / "annotations.jsonl").unlink()
    assert findings(corrida, code=0) == {}


@pytest.mark.parametrize(
    ("kind", "finding"),
    [
        (one_byte, None),  # within the text of a note, which nothing seals
        (truncated, "broken line"),
        (emptied, None),
        (a_folder, "altered"),
        (a_link, "altered"),
        (of_another_run, None),
    ],
    ids=lambda k: getattr(k, "__name__", ""),
)
def test_annotations(runs, corrida, capsys, kind, finding):
    kind(runs / "whole" / "annotations.jsonl", runs / "other" / "annotations.jsonl")
    expected = {("whole", "annotations.jsonl"): finding} if finding else {}
    assert findings(corrida, code=1 if finding else 0) == expected
    codes = no_command_stumbles(capsys)
    assert codes["list"] == codes["show"] == codes["compare"] == 0
    assert codes["note"] == (1 if kind is a_folder else 0)


def test_conflict_markers_in_notes_and_promotions_are_named_by_their_line(runs, corrida):
    for path in (runs / "whole" / "annotations.jsonl", runs / "aliases.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([b"<<<<<<< HEAD\n", *lines, b"=======\n>>>>>>> other\n"]))
    said = corrida("verify", code=1).out
    for line in (1, 3, 4):
        assert f"broken line: annotations.jsonl (line {line} cannot be read" in said
        assert f"broken line: aliases.jsonl (line {line} cannot be read" in said
    assert "the store itself" in said
    assert corrida("show", "@production").out.startswith("other @production")


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_aliases(runs, corrida, capsys, kind):
    def in_its_place(path, other):
        path.rename(Path.cwd() / "moved")
        path.symlink_to(Path.cwd() / "moved")

    path = runs / "aliases.jsonl"
    (in_its_place if kind is a_link else kind)(path, runs / "whole" / "annotations.jsonl")
    harmless = kind in {deleted, emptied}  # nobody was ever promoted, as far as anybody can tell
    said = findings(corrida, code=0 if harmless else said_code(kind, path))
    assert all(key == (None, "aliases.jsonl") for key in said)
    codes = no_command_stumbles(capsys)
    if kind is a_folder:
        assert codes["list"] == 1
        assert "reading the aliases" in corrida.refuses("list", code=1)
    else:
        assert codes["list"] == 0


def said_code(kind, path) -> int:
    """One byte within a text leaves a line that can be read; everything else does not."""
    if kind is not one_byte:
        return 1
    try:
        json.loads(path.read_text())
    except ValueError:
        return 1
    return 0


@pytest.mark.parametrize("kind", [*KINDS, a_pipe], ids=lambda k: k.__name__)
def test_the_index_is_a_cache_and_mended_wherever_that_can_be_done(runs, corrida, capsys, kind):
    path = runs / "index.json"
    before = path.read_bytes()
    if kind is a_link:
        path.rename(Path.cwd() / "moved")
        path.symlink_to(Path.cwd() / "moved")
    elif kind is a_pipe:
        return  # a reader would wait for a writer
    else:
        kind(path, runs / "whole" / "run.json")
    assert findings(corrida, code=0) == {}
    corrida("index", code=1 if kind is a_folder else 0)
    if kind is not a_folder:
        assert path.read_bytes() == before
    assert corrida("list").code == 0


@pytest.mark.parametrize(
    "name", ["run.json", "annotations.jsonl", "history.jsonl", "manifest.json", "items.parquet"]
)
def test_bytes_and_values_changed_at_random(runs, capsys, name):
    """Bytes that are no Unicode, numbers beyond all limits, values of another type: none ends in a traceback."""
    chance = random.Random(name)
    path = runs / "whole" / name
    whole = path.read_bytes()
    values = [
        b"null",
        b"1e400",
        b"-1",
        b'"x"',
        b"[]",
        b"{}",
        b"true",
        b"9" * 23,
        b'"\\u0000"',
        b'"NaN"',
        b"[[" * 600,
    ]
    for _ in range(25):
        data = bytearray(whole)
        spots = list(re.finditer(rb'"[^"\n]*"|[\d.]+|\[\]|\{\}', whole))
        if chance.random() < 0.5 and name != "items.parquet":
            spot = chance.choice(spots)
            data[spot.start() : spot.end()] = chance.choice(values)
        else:
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        no_command_stumbles(capsys)
        path.write_bytes(whole)

"""``corrida doctor`` on stores and projects in which each thing to mend was really made."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import corrida as package
from corrida.doctor import mounts, place_checks

pytestmark = pytest.mark.disk  # what doctor says of memory is not asked here


@pytest.fixture(autouse=True)
def _whatever_this_machine_is(monkeypatch):
    """A test may run in memory, on a small disk, or beside another corrida; that is not what is tested here."""
    folders = os.environ["PATH"].split(os.pathsep)
    monkeypatch.setenv("PATH", os.pathsep.join(f for f in folders if not os.path.exists(f"{f}/corrida")))
    monkeypatch.setattr(mounts, "_IN_MEMORY", frozenset())
    monkeypatch.setattr(place_checks, "LITTLE_ROOM", 0)


@pytest.fixture
def doctor(corrida):
    """Examine the working folder: findings by (severity, where)."""

    def examine(*options, code=0):
        said = corrida("doctor", "--json", *options, code=code)
        found = {(f["severity"], f["where"]): f for f in said.json["findings"]}
        assert len(found) == len(said.json["findings"])
        assert all(f["what"] and f["next"] for f in found.values())
        return found

    return examine


@pytest.fixture
def finished(project):
    """Make a finished run of the store ``runs``."""

    def make(run_id="a", **options):
        with package.start_run(run_id=run_id, pipeline="p", capture=False, **options) as run:
            run.log_metrics({"f1": 0.5})
        return Path("runs", run_id)

    return make


def killed(code: str) -> None:
    """Run Python that kills itself."""
    script = "import os, signal, corrida\n" + code + "\nos.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def edited(run: Path, **changes) -> None:
    """Change fields of a run.json, as another machine, clock or version would have written it."""
    path = run / "run.json"
    content = json.loads(path.read_text())
    for key, value in changes.items():
        content[key] = value
    path.write_text(json.dumps(content, indent=2))


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)


# -- nothing to mend ----------------------------------------------------------------------------------------


def test_an_empty_folder_has_nothing_to_mend(project, corrida):
    said = corrida("doctor")
    assert said.out.startswith("nothing to mend: store runs: no store yet; no corrida.toml; corrida ")
    assert os.listdir(project) == []


def test_a_sound_store_has_nothing_to_mend_and_is_left_as_it_is(finished, corrida):
    finished()
    corrida("promote", "a")
    before = sorted((str(p), p.stat().st_mtime_ns) for p in Path("runs").rglob("*") if p.is_file())
    assert corrida("doctor").out.startswith("nothing to mend: store runs: 1 run;")
    assert corrida("doctor", "--json").json["findings"] == []
    assert sorted((str(p), p.stat().st_mtime_ns) for p in Path("runs").rglob("*") if p.is_file()) == before


@pytest.mark.slow
def test_ten_thousand_runs_take_seconds(finished, corrida):
    folder = finished("r0")
    content = json.loads((folder / "run.json").read_text())
    for number in range(1, 10_000):
        copy = Path("runs", f"r{number}")
        copy.mkdir()
        (copy / "run.json").write_text(json.dumps({**content, "id": copy.name}))
    corrida("index")
    start = time.monotonic()
    said = corrida("doctor")
    assert "10,000 runs" in said.out
    assert time.monotonic() - start < 15


# -- runs -----------------------------------------------------------------------------------------------


def test_runs_whose_process_was_killed(project, doctor, corrida):
    killed("corrida.start_run(run_id='a', capture=False).log({'x': 1})")
    finding = doctor()["warning", "run a"]
    assert "status crashed" in finding["what"]
    assert "`corrida rm a`" in finding["next"]
    corrida("rm", "a")
    assert doctor() == {}


def test_a_run_killed_before_it_had_written_anything(project, doctor):
    killed("from corrida.runs import writer\n"
           "writer.RunWriter._write_run_file = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
           "corrida.start_run(run_id='a', capture=False)")  # fmt: skip
    assert doctor() == {}  # it may be starting in this moment
    age(Path("runs/a"), 60)
    assert "at the very start" in doctor()["warning", "run a"]["what"]


def test_a_living_run_is_nothing_to_mend(project, doctor):
    run = package.start_run(run_id="a", capture=False)
    assert doctor() == {}
    run.finish()


@pytest.mark.parametrize(
    ("seconds", "what"),
    [(3 * 3600, "last sign of life 3 hours ago"), (-3 * 3600, "lies 3 hours in the future"), (10, None)],
)
def test_heartbeats_of_another_machine(project, doctor, seconds, what):
    killed("corrida.start_run(run_id='a', capture=False)")
    edited(Path("runs/a"), process={"host": "cluster-7", "pid": 4, "started": 1, "world": "elsewhere"})
    age(Path("runs/a/run.json"), seconds)
    found = doctor()
    if what is None:
        assert found == {}
    else:
        assert what in found["warning", "run a"]["what"]
        assert "on cluster-7" in found["warning", "run a"]["what"]


def test_runs_that_cannot_be_read(finished, doctor, corrida):
    for name in "abcd":
        finished(name)
    (Path("runs/a/run.json")).write_text("{")
    edited(Path("runs/b"), format_version=99)
    Path("runs/c/run.json").unlink()
    Path("runs/d").rename("runs/d (copy)")
    found = doctor(code=1)
    assert "cannot be read" in found["error", "run a"]["what"]
    assert "pip install -U corrida" in found["error", "run b"]["next"]
    assert "lost its run.json" in found["error", "run c"]["what"]
    assert "no run id" in found["warning", "folder d (copy)"]["what"]
    assert "run.json" in corrida("verify", "c", code=1).out


def test_runs_of_the_future(finished, doctor):
    later = datetime.now(UTC) + timedelta(hours=5)
    edited(finished(), created=later.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    age(Path("runs/.corrida/clock"), -5 * 3600)
    found = doctor()
    assert "5 hours in the future" in found["warning", "run a"]["what"]
    assert "5 hours from now" in found["note", ".corrida/clock"]["what"]


def test_children_without_their_parent(finished, doctor, corrida):
    finished("p1")
    finished("p2")
    finished("c1", parent="p1")
    finished("c2", parent="p2")
    shutil.rmtree("runs/p1")
    (Path("runs/.corrida/trash")).mkdir()
    Path("runs/p2").rename("runs/.corrida/trash/p2")
    corrida("index")
    found = doctor()
    assert "p1 is not in the store" in found["note", "run c1"]["what"]
    assert found["note", "run c2"]["next"] == "`corrida trash --restore p2` brings it back"
    corrida("trash", "--restore", "p2")
    assert set(doctor()) == {("note", "run c1")}


def test_broken_notes(finished, doctor, corrida):
    finished()
    corrida("note", "a", "année", "注")
    assert doctor() == {}
    with Path("runs/a/annotations.jsonl").open("ab") as file:
        file.write(b"<<<<<<< HEAD\n\xff\n")
    finding = doctor()["warning", "a/annotations.jsonl"]
    assert finding["what"] == "2 lines cannot be read and are left out (line 2, 3)"


# -- the files of the store ------------------------------------------------------------------------------


def test_an_index_with_conflict_markers_and_one_out_of_date(finished, doctor, corrida):
    finished()
    index = Path("runs/index.json")
    index.write_text("<<<<<<< HEAD\n" + index.read_text())
    assert "conflict markers" in doctor()["warning", "index.json"]["what"]
    corrida("index")
    assert doctor() == {}
    finished("b")
    shutil.rmtree("runs/a")
    assert doctor()["warning", "index.json"]["next"] == "`corrida index`"
    corrida("index")
    assert doctor() == {}


def test_runs_that_ended_in_another_order_than_they_started_are_no_fault_of_the_index(project, doctor):
    first = package.start_run(run_id="a", capture=False)
    package.start_run(run_id="b", capture=False).finish()
    first.finish()
    assert doctor() == {}


def test_aliases_that_point_to_nothing(finished, doctor, corrida):
    for name in "abc":
        finished(name)
    corrida("promote", "a", "--alias", "one")
    corrida("promote", "b", "--alias", "two")
    corrida("promote", "c", "--alias", "three")
    shutil.rmtree("runs/a")
    corrida("rm", "b", "--force")
    edited(Path("runs/c"), status="failed")
    with Path("runs/aliases.jsonl").open("a") as file:
        file.write("=======\n")
    found = doctor(code=1)
    assert "1 line cannot be read and counts for nothing" in found["warning", "aliases.jsonl"]["what"]
    assert "not in the store" in found["error", "@one"]["what"]
    assert "`corrida trash --restore b`" in found["error", "@two"]["next"]
    assert "which is failed" in found["error", "@three"]["what"]
    assert "(line 4); some are conflict markers" in found["warning", "aliases.jsonl"]["what"]
    Path("runs/aliases.jsonl").unlink()
    Path("runs/aliases.jsonl").mkdir()
    assert "nobody knows what is in production" in doctor(code=1)["error", "aliases.jsonl"]["what"]


def test_a_restore_that_was_cut_off_is_seen_and_completed_by_the_command_that_is_named(
    finished, doctor, corrida
):
    Path("c.json").write_text("1")
    finished(configs=["c.json"])
    Path("c.json").write_text("2")
    killed("from corrida.runs import journal\n"
           "journal._carry_out = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
           "s = corrida.Store(); s.restore(s.plan_restore('a', __import__('pathlib').Path('.').absolute()), force=True)")  # fmt: skip
    ((severity, where), finding) = next(iter(doctor().items()))
    assert severity == "warning"
    assert where.startswith(".corrida/journal/")
    assert "cut off half way" in finding["what"]
    assert Path("c.json").read_text() == "2"  # looking changes nothing
    corrida("list")
    assert Path("c.json").read_text() == "1"
    assert doctor() == {}


@pytest.mark.parametrize(
    ("step", "command", "where"),
    [("_settle", "s.remove(['a'])", ".moves"), ("sweep_emptied", "s.empty_trash()", ".corrida/emptied")],
)
def test_a_removal_that_was_cut_off(finished, doctor, corrida, step, command, where):
    finished()
    if step == "sweep_emptied":
        corrida("rm", "a")
    killed("from corrida.runs import moves\n"
           "s = corrida.Store()\n"
           f"moves.{step} = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
           f"{command}")  # fmt: skip
    ((_, found), finding) = next(iter(doctor().items()))
    assert found.endswith(where)
    assert "cut off" in finding["what"]
    corrida("list")
    assert doctor() == {}


def test_drafts_temporary_files_and_what_is_foreign(finished, doctor):
    finished()
    private = Path("runs/.corrida")
    names = {
        "runs/notes.txt": False,
        "runs/aliases (conflicted copy 2026-01-01).jsonl": False,
        "runs/.index.json.0123456789ab.tmp": True,
        "runs/.corrida/.index.json.0123456789ab.tmp": True,
        "runs/.corrida/what.db": False,
        "runs/models/m.bin": False,
    }
    for name, old in names.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("x")
        if old:
            age(Path(name), 7200)
    (private / "drafts" / "d1").mkdir(parents=True)
    age(private / "drafts" / "d1", 7200)
    found = doctor()
    assert set(found) == {
        ("note", "file notes.txt"),
        ("warning", "aliases (conflicted copy 2026-01-01).jsonl"),
        ("note", "file .index.json.0123456789ab.tmp, .corrida/.index.json.0123456789ab.tmp"),
        ("note", ".corrida/what.db"),
        ("warning", "folder models"),
        ("note", ".corrida/drafts"),
    }
    command = found["note", "file .index.json.0123456789ab.tmp, .corrida/.index.json.0123456789ab.tmp"][
        "next"
    ]
    subprocess.run(command.strip("`"), shell=True, check=True)
    subprocess.run(found["note", ".corrida/drafts"]["next"].split("`")[-2], shell=True, check=True)
    assert {w for _, w in doctor()} == {
        "file notes.txt", "aliases (conflicted copy 2026-01-01).jsonl", ".corrida/what.db", "folder models"
    }  # fmt: skip


def test_a_large_trash(finished, doctor, corrida):
    finished()
    with Path("runs/a/large.bin").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 120_000_000)
    corrida("rm", "a")
    finding = doctor()["note", "trash"]
    assert finding["what"].startswith("1 run in the trash take 120.0 MB;")
    corrida("trash", "--empty", "--yes")
    assert doctor() == {}


def test_a_journal_log_with_a_broken_line(finished, doctor, corrida):
    finished()
    corrida("rm", "a")
    with Path("runs/.corrida/journal/log.jsonl").open("a") as file:
        file.write("{\n")
    assert "undo does not know" in doctor()["warning", ".corrida/journal/log.jsonl"]["what"]


# -- the store in git ------------------------------------------------------------------------------------


def git(*arguments):
    options = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *options, *arguments], check=True, capture_output=True, text=True)


def test_a_store_that_is_committed(finished, doctor):
    git("init")
    run = finished()
    with (run / "model.bin").open("wb") as file:
        file.truncate(60_000_000)
    git("add", "-A")
    git("commit", "-qm", "all")
    assert set(doctor()) == {("warning", "a/model.bin")}
    git("add", "-f", "runs/.corrida/store.json")
    Path("runs/.gitattributes").write_text("* text=auto\n")
    found = doctor()
    assert set(found) == {
        ("warning", "a/model.bin"),
        ("warning", ".corrida"),
        ("warning", "index.json"),
        ("warning", ".gitattributes"),
    }
    for (_, where), finding in found.items():
        if where != "a/model.bin":
            subprocess.run(finding["next"].strip("`"), shell=True, check=True)
    assert set(doctor()) == {("warning", "a/model.bin")}


def test_line_ends_that_git_changes_by_its_settings(finished, doctor):
    git("init")
    finished()
    git("add", "-A")
    git("config", "core.autocrlf", "input")
    assert "line ends" in doctor()["warning", ".gitattributes"]["what"]


def test_the_state_of_the_repository(toy, doctor):
    assert "not in a git repository" in doctor()["note", "project"]["what"]
    git("init")
    assert "no commit yet" in doctor()["note", "project"]["what"]
    git("add", "-A")
    git("commit", "-qm", "first")
    assert doctor() == {}
    git("checkout", "-qb", "other")
    toy.rules("2", [])
    git("commit", "-qam", "other")
    git("checkout", "-q", "main")
    toy.rules("3", [])
    git("commit", "-qam", "main")
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, "merge", "other"], check=False, capture_output=True)
    assert "merge with conflicts" in doctor(code=1)["warning", "config/rules.json"]["what"]


# -- the project -----------------------------------------------------------------------------------------


@pytest.fixture
def in_git(toy):
    git("init")
    git("add", "-A")
    git("commit", "-qm", "first")
    return toy


def test_settings_that_cannot_be_read(in_git, doctor):
    (in_git.root / "corrida.toml").write_text("[pipelines.jobs]\nuse = 'x'\n")
    found = doctor(code=1)
    assert "did you mean uses?" in found["error", "corrida.toml"]["what"]


def test_a_variable_that_overrules_the_project(in_git, doctor, monkeypatch):
    (in_git.root / "corrida.toml").write_text('store = "kept"\n')
    monkeypatch.setenv("CORRIDA_DIR", "other")
    assert "wins over store = 'kept'" in doctor()["note", "environment"]["what"]


def test_patterns_that_match_nothing_and_configurations_that_do_not_parse(in_git, doctor):
    (in_git.root / "data" / "texts.csv").unlink()
    (in_git.root / "config" / "broken.json").write_text('{"a": 1,}')
    (in_git.root / "config" / "key.json").write_text('{"api_key": "abcdef0123456789"}')
    found = doctor(code=1)
    assert "data/texts.csv" in found["error", "pipeline jobs"]["what"]
    assert "config/broken.json" in found["error", "configuration"]["what"]
    assert "api_key" in found["warning", "config/key.json"]["what"]
    assert "abcdef" not in json.dumps(list(found.values()))


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("def other(): ...", "has no 'answer'"),
        ("import sys; sys.exit(3)", "ends the process"),
        ("print('noise'); import nowhere_to_be_found", "nowhere_to_be_found"),
    ],
)
def test_pipelines_that_cannot_be_loaded(in_git, doctor, monkeypatch, code, what):
    monkeypatch.delitem(sys.modules, "toy_pipeline", raising=False)
    (in_git.root / "broken_pipeline.py").write_text(code + "\n")
    settings = (in_git.root / "corrida.toml").read_text().replace("toy_pipeline", "broken_pipeline")
    (in_git.root / "corrida.toml").write_text(settings)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert what in doctor(code=1)["error", "pipeline jobs"]["what"]
    sys.modules.pop("broken_pipeline", None)


def test_metrics_that_decide_nothing(in_git, doctor, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    text = (in_git.root / "corrida.toml").read_text()
    (in_git.root / "corrida.toml").write_text(text.replace('primary_metric = "precision"\n', ""))
    assert "no primary metric" in doctor()["note", "pipeline jobs"]["what"]
    (in_git.root / "corrida.toml").write_text(text.replace('"precision"', '"wibble"'))
    assert "more or less of wibble" in doctor()["note", "pipeline jobs"]["what"]
    sys.modules.pop("toy_pipeline", None)


# -- what a person sees ------------------------------------------------------------------------------------


def test_what_a_person_sees(finished, corrida):
    for name in "abcdefg":
        finished(name)
        edited(Path("runs", name), format_version=99)
    Path("runs/notes 注.txt").write_text("x")
    wide = corrida.terminal(140, "doctor", code=1)
    assert wide.index("Errors") < wide.index("Notes") < wide.index("Looked at")
    assert "run a, b, c, d, e and 2 more: written by a later version of corrida" in wide
    assert "→ `pip install -U corrida`" in wide
    narrow = corrida.terminal(80, "doctor", code=1)
    assert all(len(line) <= 80 for line in narrow.splitlines())


def test_commands_name_the_store_that_was_named(project, doctor):
    with package.start_run(run_id="a", store="elsewhere here", capture=False):
        pass
    Path("elsewhere here/a/run.json").write_text("{")
    finding = doctor("--store", "elsewhere here", code=1)["error", "run a"]
    assert finding["next"] == "`corrida verify a --store 'elsewhere here'`"
    script = Path(sys.executable).with_name("corrida")
    command = finding["next"].strip("`").replace("corrida", str(script), 1)
    assert (
        "run.json" in subprocess.run(command, shell=True, check=False, capture_output=True, text=True).stdout
    )

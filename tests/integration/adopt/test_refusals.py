"""What adopt refuses or leaves out, each with a sentence, and what it does with names and files that are odd."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from corrida.adopt import plan as plans
from corrida.adopt import tree as trees
from corrida.adopt.carry_out import carry_out
from corrida.adopt.plan import allowed_id, plan_adoption
from corrida.errors import Refused
from corrida.runs.ids import validate_run_id
from corrida.runs.store import Store

from .conftest import backups, digests, forecast, run_ids, state, stored_run, tracked_run, write


@pytest.fixture
def refuses(corrida, project):
    """Call adopt, which must fail with one sentence and change nothing."""

    def check(*arguments, code=2):
        before = state(project)
        sentence = corrida.refuses("adopt", *arguments, code=code)
        assert state(project) == before
        assert str(project) not in sentence
        return sentence

    return check


def test_folders_that_are_none_or_hold_nothing(refuses, project):
    assert "there is no folder 'none'" in refuses("none")
    assert "FOLDER is an empty name" in refuses("")
    write(project / "file", "x")
    assert "is not a folder" in refuses("file")
    (project / "empty" / "deep").mkdir(parents=True)
    assert "holds no file; there is nothing to adopt" in refuses("empty")
    (project / "empty" / "link").symlink_to("../file")
    assert "only links" in refuses("empty")


def test_a_folder_of_another_shape_is_refused_with_the_known_ones(refuses, project):
    write(project / "other" / "thesis.pdf", b"%PDF")
    sentence = refuses("other")
    for word in ("forecasting (models/", "tracking (run_X.json", "storage (index.json", "--as generic"):
        assert word in sentence
    assert "not of the tracking layout" in refuses("other", "--as", "tracking")


def test_a_folder_of_two_layouts_needs_a_word(refuses, project, corrida):
    tracked_run(project / "both")
    stored_run(project / "both")
    assert "fits the layouts tracking and storage; say with --as" in refuses("both")
    corrida("adopt", "both", "--as", "storage")
    assert run_ids() == ["run_baseline_v1"]


def test_stores_are_not_adopted(refuses, project, toy, corrida):
    corrida("run", "jobs", "--run-id", "a")
    assert "is a corrida store already" in refuses("runs", "--to", "new")
    assert "lies inside the corrida store runs" in refuses("runs/a", "--to", "new")
    assert "is where the new runs would go" in refuses("runs")
    assert "the store runs lies inside" in refuses(".")
    assert "runs in project is a corrida store" in refuses(".", "--to", "../new")
    stored_run(project / "old")
    assert "is where the new runs would go" in refuses("old", "--to", "old")
    assert "the store new lies inside old" in refuses("old", "--to", "old/deep/new")
    (project / "link").symlink_to("runs")
    assert "is a corrida store already" in refuses("link", "--to", "new")


def test_adopted_before_as_far_as_it_can_be_read(project, refuses, corrida):
    stored_run(project / "old")
    write(project / "old" / "run_two" / "config.json", "{")
    write(project / "old" / "run_two" / "metrics.json", "{}")
    corrida("adopt", "old", code=1)
    sentence = refuses("old")
    assert "every run of old that can be read was adopted before: run_baseline_v1" in sentence
    assert "mend the others first: run_two (run_two/config.json is no JSON" in sentence


def test_a_folder_that_was_adopted_before(tracking, refuses, corrida, project):
    corrida("adopt", tracking)
    sentence = refuses(tracking)
    assert "every run of runs was adopted before: run_20260113_1550, run_20260113_1625" in sentence
    copy = shutil.copytree(tracking, project / "a copy under another name")
    assert "was adopted before" in refuses(copy)
    tracked_run(tracking, "run_20260114_0900")
    said = corrida("adopt", tracking, "--json").json
    assert {r["id"]: r["state"] for r in said["runs"]} == {
        "run_20260113_1550": "there already",
        "run_20260113_1625": "there already",
        "run_20260114_0900": "adopted",
    }
    assert len(run_ids()) == 3
    corrida("rm", "run_20260113_1550", "run_20260113_1625", "run_20260114_0900")
    assert "lies in the trash" in refuses(tracking)


def test_runs_that_changed_since_they_were_adopted_are_other_runs(tracking, corrida):
    corrida("adopt", tracking)
    tracked_run(tracking, precision=0.3)
    said = corrida("adopt", tracking)
    assert "the store has another run run_20260113_1550; this one became run_20260113_1550-2" in said.out
    assert Store("runs").get("run_20260113_1550").metrics["precision"] == 0.23
    assert Store("runs").get("run_20260113_1550-2").metrics["precision"] == 0.3
    assert Store("runs").get("run_20260113_1550-2").tags["adopted_id"] == "run_20260113_1550"


def test_an_id_that_was_asked_for(toy, flat, tracking, refuses, corrida):
    corrida("run", "jobs", "--run-id", "taken")
    assert "the run taken is there already" in refuses(flat, "--run-id", "taken")
    assert "is not allowed" in refuses(flat, "--run-id", "no/slash")
    assert "holds 2 runs, which keep their ids" in refuses(tracking, "--run-id", "x")
    assert "empty name" in refuses(flat, "--pipeline", " ")
    assert "--to and --store name two folders" in refuses(flat, "--to", "a", "--store", "b")
    assert "cannot lie in output itself" in refuses(flat, "--backup-to", flat / "models")
    assert "no folder" in refuses(flat, "--backup-to", "nowhere")


def test_more_files_than_anybody_means(project, refuses, corrida, monkeypatch):
    monkeypatch.setattr(trees, "FILE_LIMIT", 20)
    monkeypatch.setattr(plans, "FILE_LIMIT", 20)
    for number in range(20):
        write(project / "old" / "models" / f"{number}.bin", str(number))
    write(project / "old" / "metrics.csv", "model,mae\nA,1\n")
    assert "more than 20 files" in refuses("old", code=1)
    assert "--yes" in refuses("old", "--dry-run", code=1)
    corrida("adopt", "old", "--yes")
    assert len(Store("runs").runs()[0].artifacts()) == 21


def test_a_run_with_a_broken_file_is_named_and_the_others_are_adopted(tracking, storage, corrida, project):
    write(tracking / "run_20260113_1550_results.json", '{"metricas": {"precision": 0.6')
    tracked_run(tracking, "run_20260114_0900")
    write(tracking / "run_20260114_0900.json", b"\xff\xfe\x00broken")
    tracked_run(tracking, "run_20260115_0900")
    write(tracking / "run_20260115_0900.json", "[1, 2]")
    tracked_run(tracking, "run_20260116_0900")
    write(tracking / "run_20260116_0900.json", "[" * 100_000)
    said = corrida("adopt", tracking, "--json", code=1).json
    assert [b["old_id"] for b in said["broken"]] == [
        "run_20260113_1550", "run_20260114_0900", "run_20260115_0900", "run_20260116_0900",
    ]  # fmt: skip
    assert "run_20260113_1550_results.json is no JSON (" in said["broken"][0]["reason"]
    assert "is no JSON object but a list" in said["broken"][2]["reason"]
    assert run_ids() == ["run_20260113_1625"]
    write(storage / "run_seed9999" / "config.json", "{")
    text = corrida("adopt", storage, code=1).out
    assert "run_seed9999 was not adopted: run_seed9999/config.json is no JSON" in text
    assert run_ids() == ["run_20260113_1625", "run_baseline_v1"]
    (backup,) = backups(project)
    assert backup.exists()


def test_a_folder_of_which_no_run_can_be_read(project, refuses):
    stored_run(project / "old")
    write(project / "old" / "run_baseline_v1" / "metrics.json", "nonsense")
    assert "no run of old can be read: run_baseline_v1: run_baseline_v1/metrics.json" in refuses("old")


def test_odd_parts_that_cost_a_warning_only(project, corrida):
    forecast(project / "a" / "run_1", config="models: [1, 2\nhorizon")
    stored_run(project / "b")
    write(project / "b" / "run_baseline_v1" / "manifest.json", "[]")
    write(project / "b" / "index.json", "{")
    corrida("adopt", "a")
    said = corrida("adopt", "b", "--json").json
    assert "index.json is no JSON" in said["remarks"][0]
    assert "config.yaml" in Store("runs").get("run_1").warnings[0]
    assert Store("runs").get("run_1").config_files() == {"config.yaml": b"models: [1, 2\nhorizon"}
    assert "manifest.json is no JSON object" in " ".join(Store("runs").get("run_baseline_v1").warnings)


def test_times_that_are_not_believed(project, corrida):
    for number, time in enumerate(["2999-01-01T00:00:00Z", "yesterday", 5, True, "20260113"]):
        tracked_run(project / "old", f"run_2026010{number + 1}_0800", timestamp=time)
    stored_run(project / "old2", created_at=1_765_000_000)
    corrida("adopt", "old")
    corrida("adopt", "old2")
    store = Store("runs")
    assert "lies in the future" in " ".join(store.get("run_20260101_0800").warnings)
    assert "is no time (yesterday)" in " ".join(store.get("run_20260102_0800").warnings)
    told = [store.get(f"run_2026010{n}_0800").tags["adopted_created_from"] for n in range(1, 6)]
    assert told == ["the id"] * 4 + ["timestamp in run_20260105_0800.json"]
    assert store.get("run_baseline_v1").created == "2025-12-06T05:46:40.000000Z"
    assert max(r.order for r in store.runs()) < 2**61


def test_links_are_not_followed(flat, corrida, project):
    write(project / "secret" / "key.txt", "private")
    (flat / "models" / "out").symlink_to(project / "secret")
    (flat / "models" / "circle").symlink_to("..")
    (flat / "latest.csv").symlink_to("metrics.csv")
    os.mkfifo(flat / "pipe")
    said = corrida("adopt", flat, "--run-id", "a").out
    assert said.count("is a link and was not followed") == 3
    assert "pipe is no file but a pipe" in said
    run = Store("runs").get("a")
    assert not [
        p for p in run.dir.rglob("*") if p.is_symlink() or p.name in {"key.txt", "latest.csv", "pipe"}
    ]
    import tarfile

    with tarfile.open(backups(flat.parent)[0]) as archive:
        assert archive.getmember("output/latest.csv").linkname == "metrics.csv"
        assert "output/models/out/key.txt" not in archive.getnames()


NAMES = [
    "con espacios.bin",
    "añejo é.bin",
    "模型.bin",
    "back\\slash.bin",
    "new\nline.bin",
    "quo'te\".bin",
    "-n.bin",
]


def test_names_of_every_kind(project, corrida):
    old = project / "mis resultados ñ 模型"
    forecast(old)
    for name in NAMES:
        write(old / "models" / name, name)
    raw = os.fsencode(old / "models") + b"/latin-\xe9.bin"
    Path(os.fsdecode(raw)).write_bytes(b"raw")
    before = digests(old)
    said = corrida("adopt", old, "--run-id", "a")
    assert "\\slash" not in said.out
    run = Store("runs").get("a")
    assert not before - digests(run.dir)
    assert (run.dir / "models" / "latin-%E9.bin").read_bytes() == b"raw"
    assert (run.dir / "models" / "back%5Cslash.bin").exists()
    assert Store("runs").verify()[0].intact
    assert "was adopted before" in corrida.refuses("adopt", old)
    json.loads(corrida("show", "a", "--json").out)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("run_20241021_130601", "run_20241021_130601"),
        ("corrida más rápida", "corrida_mas_rapida"),
        ("_private!", "private"),
        ("latest", "run_latest"),
        ("CON", "run_CON"),
        ("実験 2", "2"),
        ("実験", "run_8d2062ae"),
        ("..", None),
        ("a" * 300, None),
        ("\udce9", None),
    ],
)
def test_ids_that_are_not_allowed_are_mapped(old, new):
    found = allowed_id(old)
    assert validate_run_id(found) == found
    assert new is None or found == new
    assert allowed_id(old) == found
    assert len({allowed_id("a" * 300), allowed_id("a" * 301)}) == 2


def test_old_ids_that_are_not_allowed(project, corrida):
    for name in ("run más rápida", "run mas rapida", "実験"):
        stored_run(project / "old", name)
    runs = {r["old_id"]: r["id"] for r in corrida("adopt", "old", "--json").json["runs"]}
    assert sorted(runs) == ["run mas rapida", "run más rápida", "実験"]
    assert sorted(runs.values())[:2] == ["run_8d2062ae", "run_mas_rapida"]
    assert "run_mas_rapida-2" in runs.values()
    store = Store("runs")
    assert {store.get(new).tags["adopted_id"] for new in runs.values()} == set(runs)


def test_a_file_that_nobody_may_read(corrida, request):
    if os.geteuid() != 0:
        pytest.skip("needs two users")
    place = Path(tempfile.mkdtemp())
    request.addfinalizer(lambda: shutil.rmtree(place))
    forecast(place / "old")
    place.chmod(0o777)
    (place / "old" / "models" / "NHITS_0.ckpt").chmod(0o600)
    before = state(place)
    answer, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            plan_adoption(place / "old", Store(place / "runs"))
        except BaseException as error:  # noqa: BLE001 - told to the parent
            os.write(write_end, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write_end)
    said = os.read(answer, 10_000).decode()
    assert said.startswith("InvalidData: models/NHITS_0.ckpt cannot be read (Permission denied)")
    assert "nothing was changed" in said
    assert state(place) == before


def test_a_file_that_changes_in_the_meantime(tracking, project):
    store = Store("runs")
    plan = plan_adoption(tracking, store)
    write(tracking / "run_20260113_1625_results.json", "{}")
    with pytest.raises(Refused, match="changed while it was being backed up"):
        carry_out(plan, store)
    assert not list(project.rglob("*backup*"))
    assert run_ids() == []


@pytest.mark.parametrize("name", ["_config/matching_config.json", "_results.json"])
def test_a_file_that_changes_after_the_backup(tracking, name):
    store = Store("runs")

    def progress(items, total, label):
        yield from items
        if label == "checking the backup":
            write(tracking / f"run_20260113_1550{name}", "{}")

    with pytest.raises(Refused, match="changed while it was being adopted"):
        carry_out(plan_adoption(tracking, store), store, progress=progress)
    assert run_ids() == []
    assert not [p for p in (store.root / ".corrida" / "drafts").iterdir() if p.is_dir()]

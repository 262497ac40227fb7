"""A live run: what it keeps, how it ends, and what it refuses."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

import corrida
from corrida.errors import (
    AlreadyExists,
    ArtifactNotFound,
    BadInput,
    CorridaError,
    InvalidConfig,
    InvalidData,
    InvalidMetric,
    InvalidName,
    Refused,
    RunSealed,
    StoreError,
)
from corrida.runs import claim


def test_the_interface_as_others_script_against_it(project):
    (project / "config").mkdir()
    (project / "config" / "rules.json").write_text('{"version": "1.2"}')
    (project / "offers.csv").write_text("item_id,text\n1,a\n2,b\n")
    (project / "plot.png").write_bytes(b"\x89PNG")
    with corrida.start_run(
        run_tag="baseline", pipeline="jobs", source="gold_set_100", description="added rule R53",
        configs=["config/*.json"], data=["offers.csv"], seed=7, notes="…", tags={"k": "v"}, params={"top_k": 5}, store="runs",
    ) as run:  # fmt: skip
        assert corrida.current_run() is run
        run.log({"loss": 0.3}, step=1)
        run.log_items(
            [{"item_id": 1, "output": "x", "expected": "y", "correct": False, "score": 0.5, "loss": 1.5}]
        )
        run.log_metrics({"precision": 0.64})
        assert run.log_artifact("plot.png") == run.dir / "plot.png"
        assert (run.dir, run.id) == (project / "runs" / "run_baseline", "run_baseline")
    assert corrida.current_run() is None
    store = corrida.Store("runs")
    found = store.runs(
        filter="metrics.precision > 0.6 and source = 'gold_set_100'", order_by="-metrics.precision", limit=20
    )
    assert [r.id for r in found] == ["run_baseline"]
    rec = store.get("latest")
    assert (rec.id, rec.status, rec.dir) == ("run_baseline", "finished", run.dir)
    assert (rec.metrics, rec.params, rec.tags, rec.seed) == ({"precision": 0.64}, {"top_k": 5}, {"k": "v"}, 7)
    assert rec.history()["loss"].to_list() == [0.3]
    assert rec.items().height == 1
    assert rec.manifest()["data"][0]["rows"] == 2
    assert rec.manifest()["data"][0]["columns"] == ["item_id", "text"]
    assert rec.artifacts() == ["plot.png"]
    with pytest.raises(AttributeError):
        rec.id = "other"
    assert "run_baseline" in repr(found)
    assert "<table>" in found._repr_html_()
    assert found.to_polars()["metrics.precision"].to_list() == [0.64]
    assert list(found.to_pandas()["id"]) == ["run_baseline"]
    assert "0.64" in str(rec)
    assert store.verify()[0].intact


def test_ids_with_suffixes_and_given_ones(start):
    for expected in ("run_t", "run_t-2", "run_t-3"):
        run = start(run_tag="t")
        assert run.id == expected
        run.finish()
    run = start(run_id="exact")
    run.finish()
    with pytest.raises(AlreadyExists, match="exact"):
        start(run_id="exact")


def test_three_hundred_suffixes_are_distinct_and_near_each_other(project):
    root = project / "runs"
    claim.ensure_store(root)
    ids = [claim.claim(root, run_id=None, run_tag="t", seed=None).id for _ in range(300)]
    assert len(set(ids)) == 300
    assert int(ids[-1].removeprefix("run_t-")) < 400


def test_an_id_in_the_trash_is_not_given_again(store, start, finished):
    finished("run_t")
    store.remove(["run_t"])
    with pytest.raises(AlreadyExists, match="trash"):
        start(run_id="run_t")
    run = start(run_tag="t")
    assert run.id == "run_t-2"
    run.finish()
    assert store.undo()[1] == ["run_t"]


@pytest.mark.parametrize("run_id", ["", "../x", "a" * 200, "latest", "a\0b", "ñ", "nul", "/abs"])
def test_an_invalid_id_leaves_nothing_behind(project, run_id):
    with pytest.raises(InvalidName):
        corrida.start_run(run_id=run_id, capture=False)
    assert not list(project.glob("runs/*"))


@pytest.mark.parametrize(
    "options",
    [
        {"seed": "x"}, {"seed": 1.5}, {"seed": 2**64}, {"description": 5}, {"source": Path("x")}, {"notes": ["a"]},
        {"parent": "../x"}, {"pipeline": 5}, {"run_tag": 5}, {"tags": {"": "x"}}, {"tags": {'a"b': "x"}},
        {"configs": ["none/*.json"]}, {"configs": ["."]}, {"data": ["none.csv"]}, {"store": ""}, {"store": "a\0b"},
    ],
)  # fmt: skip
def test_a_run_is_not_started_with_what_run_json_cannot_hold(project, options):
    with pytest.raises(BadInput):
        corrida.start_run(**{"capture": False} | options)
    assert not [p for p in project.rglob("*") if p.is_dir() and p.name.startswith("run_")]


def test_numbers_of_numpy_and_great_seeds_are_fine(project):
    with corrida.start_run(
        run_id="a",
        seed=np.int64(3),
        params={"lr": np.float64(0.1), "n": 2**70, "nan": math.nan, "s": {1}},
        capture=False,
    ):
        pass
    with corrida.start_run(run_id="b", seed=2**63 + 1, capture=False):
        pass
    store = corrida.Store()
    assert store.get("a").seed == 3
    assert store.get("a").params == {"lr": 0.1, "n": str(2**70), "nan": "NaN", "s": [1]}
    assert store.get("b").seed == 2**63 + 1
    assert [r.id for r in store.runs(order_by="-seed")] == ["b", "a"]


def test_texts_that_are_no_unicode_do_not_stop_a_run(project, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "caf\udce9.csv"])
    with corrida.start_run(
        run_id="a", description="caf\udce9", params={"p": "\udce9"}, tags={"t": "\udce9"}, capture=False
    ) as run:
        with pytest.raises(InvalidName):
            run.save_bytes("caf\udce9.txt", b"")
        (run.dir / "caf\udce9.bin").write_bytes(b"1")
    record = corrida.Store().get("a")
    assert record.argv == ("x", "caf\\udce9.csv")
    assert corrida.Store().verify()[0].intact


def test_an_exception_makes_the_run_failed_and_what_was_logged_stays(project):
    with pytest.raises(ZeroDivisionError), corrida.start_run(run_id="a") as run:  # noqa: PT012
        run.log({"loss": 1.0})
        run.log_metrics({"f1": 0.5})
        1 / 0  # noqa: B018
    record = corrida.Store().get("a")
    assert record.status == "failed"
    assert (record.error.type, record.error.message) == ("ZeroDivisionError", "division by zero")
    assert "test_writer.py" in record.error.where
    assert record.metrics == {"f1": 0.5}
    assert "ZeroDivisionError" in (record.dir / "log.txt").read_text()
    assert corrida.Store().verify()[0].intact


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), "failed"),
        (SystemExit(0), "finished"),
        (SystemExit(None), "finished"),
        (SystemExit(3), "failed"),
        (GeneratorExit(), "failed"),
    ],
)
def test_how_a_block_was_left_decides(project, error, status):
    with pytest.raises(type(error)), corrida.start_run(run_id="a", capture=False):
        raise error
    record = corrida.Store().get("a")
    assert record.status == status
    if isinstance(error, KeyboardInterrupt):
        assert record.error.message == "interrupted"


def test_an_exception_after_the_end_does_not_touch_the_sealed_run(project):
    with pytest.raises(ValueError, match="late"), corrida.start_run(run_id="a") as run:  # noqa: PT012
        print("hello")
        run.finish()
        raise ValueError("late")
    assert corrida.Store().get("a").status == "finished"
    assert corrida.Store().verify()[0].intact


def test_nothing_can_be_logged_after_the_end(start, project):
    run = start(run_id="a")
    run.finish()
    run.finish()
    (project / "f").write_text("x")
    for call in (
        lambda: run.log({"a": 1}), lambda: run.log_metrics({"a": 1}), lambda: run.log_items([{"item_id": 1}]),
        lambda: run.log_artifact("f"), lambda: run.save_bytes("x", b""), lambda: run.log_params({"a": 1}),
        lambda: run.describe(summary="x"),
    ):  # fmt: skip
        with pytest.raises(RunSealed, match="finished"):
            call()
    run.fail("late")
    assert corrida.Store().get("a").status == "finished"
    assert corrida.Store().verify()[0].intact


def test_threads_that_log_while_the_run_ends_leave_it_intact(start, project):
    for n in range(10):
        run = start(run_id=f"r{n}", capture=True)
        stop, counts, started = threading.Event(), [], threading.Barrier(5)

        def work(number, run=run, stop=stop, counts=counts, started=started):
            done = 0
            started.wait()
            while not stop.is_set():
                print("noise", number)
                try:
                    run.log({"x": 1.0})
                    run.save_bytes(f"files/{number}-{done}", b"x")
                    done += 1
                except RunSealed:
                    break
            counts.append(done)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        started.wait()
        run.finish()
        stop.set()
        for thread in threads:
            thread.join()
        record = corrida.Store().get(run.id)
        assert corrida.Store().verify([run.id])[0].problems == ()
        assert record.history().height >= sum(counts)


def test_threads_lose_nothing(start):
    run = start(run_id="a")

    def work(number):
        for i in range(50):
            run.log({f"m{number}": i})
            run.log_items([{"item_id": f"{number}-{i}"}])
            run.log_metrics({f"final{number}.{i}": i})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()
    record = corrida.Store().get("a")
    assert (record.history().height, record.items().height, len(record.metrics)) == (400, 400, 400)
    assert record.history()["step"].n_unique() == 400


def test_an_unsaved_run_leaves_nothing_anywhere(project, monkeypatch, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with corrida.start_run(save=False, run_tag="x") as run:
        run.log_metrics({"a": 1})
        assert run.dir.is_dir()
    with pytest.raises(ZeroDivisionError), corrida.start_run(save=False):
        1 / 0  # noqa: B018
    for wrong in (
        {"run_id": "../x"},
        {"run_tag": "日"},
        {"data": ["none"]},
        {"configs": ["none"]},
        {"seed": 1.5},
    ):
        with pytest.raises(CorridaError):
            corrida.start_run(save=False, **wrong)
    assert list(scratch.iterdir()) == []
    assert list(project.iterdir()) == []
    assert corrida.current_run() is None


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "/abs", "a/../../x", "a\\b", "a\0b", "run.json", "RUN.json", "metrics.json", "items.parquet", "config/x",
     ".items/x", ".hidden", "log.txt", "annotations.jsonl", "./run.json", "code.diff", "manifest.json"],
)  # fmt: skip
def test_artifacts_stay_in_their_place(start, project, name):
    run = start(run_id="a")
    (project / "f").write_text("x")
    with pytest.raises(InvalidName):
        run.log_artifact("f", name)
    with pytest.raises(InvalidName):
        run.save_bytes(name, b"x")
    run.finish()
    assert not (project / "x").exists()


def test_artifacts(start, project):
    run = start(run_id="a")
    (project / "f.txt").write_text("1")
    (project / "link.txt").symlink_to("f.txt")
    (project / "d" / "e").mkdir(parents=True)
    (project / "d" / "e" / "g").write_text("2")
    (project / "d" / "back").symlink_to("../f.txt")
    os.mkfifo(project / "d" / "pipe")
    run.log_artifact("f.txt")
    with pytest.raises(AlreadyExists, match="f.txt"):  # noqa: RUF043
        run.log_artifact("f.txt")
    with pytest.raises(AlreadyExists):
        run.save_bytes("f.txt", b"")
    run.log_artifact("link.txt")
    run.log_artifact("f.txt", "plots/one.txt")
    run.log_artifact("d")
    run.log_artifact(str(project / "d"), "again/d")
    for missing in ("none", "d/pipe", "x\0y"):
        with pytest.raises(ArtifactNotFound):
            run.log_artifact(missing)
    for around in (".", "runs", run.dir):
        with pytest.raises(InvalidName, match="holds the run"):
            run.log_artifact(around)
    run.finish()
    record = corrida.Store().get("a")
    assert record.artifacts() == [
        "again/d/back",
        "again/d/e/g",
        "d/back",
        "d/e/g",
        "f.txt",
        "link.txt",
        "plots/one.txt",
    ]
    assert not any(p.is_symlink() for p in record.dir.rglob("*"))
    assert record.path("f.txt").read_text() == "1"
    with pytest.raises(ArtifactNotFound):
        record.path("none")
    with pytest.raises(InvalidName):
        record.path("../a")


def test_a_folder_that_cannot_be_copied_leaves_no_part_and_one_error(start, project):
    run = start(run_id="a")
    (project / "d").mkdir()
    (project / "d" / "a").write_text("1")
    (project / "d" / "b").symlink_to("nowhere")
    with pytest.raises(StoreError, match="copying d"):
        run.log_artifact("d")
    assert run.save_bytes("d", b"the name is free").read_bytes() == b"the name is free"
    run.finish()
    assert corrida.Store().verify()[0].intact


def test_final_metrics(start):
    run = start(run_id="a")
    run.log_metrics({"nan": math.nan, "inf": math.inf, "minus": -math.inf, "np": np.float32(0.5), "n": 3})
    run.log_metrics({"n": 4})
    for wrong in (
        {"x": None},
        {"x": "1"},
        {"x": np.array([1.0])},
        {"": 1},
        {"a\n": 1},
        {5: 1},
        [("x", 1)],
        {"x": 10**400},
    ):
        with pytest.raises(InvalidMetric):
            run.log_metrics(wrong)
    run.finish()
    for metrics in (corrida.Store().get("a").metrics, corrida.Store().runs()[0].metrics):
        assert math.isnan(metrics.pop("nan"))
        assert metrics == {"inf": math.inf, "minus": -math.inf, "np": 0.5, "n": 4.0}
    json.loads((run.dir / "run.json").read_text(), parse_constant=pytest.fail)


def test_a_run_whose_folder_was_removed_says_so(start, store):
    import shutil

    run = start(run_id="a")
    shutil.rmtree(run.dir)
    with pytest.raises(StoreError):
        run.log_metrics({"a": 1})
    with pytest.raises(StoreError, match="removed"):
        run.finish()
    assert len(store.runs()) == 0


def test_data_that_changes_while_the_run_goes_on_is_noted(start, project):
    (project / "d.csv").write_text("a\n1\n")
    run = start(run_id="a", data=[project / "d.csv"])
    assert json.loads((run.dir / "manifest.json").read_text())["data"][0]["rows"] == 1
    (project / "d.csv").write_text("a\n1\n2\n")
    run.finish()
    assert any("d.csv" in w for w in corrida.Store().get("a").warnings)


def test_a_clock_that_was_set_back(start, monkeypatch):
    start(run_id="first").finish()
    real = claim.time.time_ns
    monkeypatch.setattr(claim.time, "time_ns", lambda: real() - 3600 * 10**9)
    run = start(run_id="second")
    run.finish()
    start(run_id="third").finish()
    store = corrida.Store()
    assert [r.id for r in store.runs()] == ["third", "second", "first"]
    assert store.get("latest").id == "third"
    assert "clock" in store.get("second").warnings[0]


def test_printed_text_goes_to_the_terminal_and_to_the_run(project, capsys):
    stdout, stderr = sys.stdout, sys.stderr
    handler = logging.StreamHandler(sys.stderr)
    logger = logging.getLogger("corrida-test")
    logger.addHandler(handler)
    try:
        with corrida.start_run(run_id="a") as run:
            print("plain ñ 日本 \U0001f600")
            print("\x1b[31mred\x1b[0m \x1b(B\x1b7x")
            print("to stderr", file=sys.stderr)
            logger.warning("logged")
            for i in range(4):
                sys.stdout.write(f"{i * 25}%\r")
            sys.stdout.write("10%\r20%\r")
            sys.stdout.write("30%\r")
            sys.stdout.write("done\n")
            sys.stdout.writelines(["a\n", "b\n"])
            sys.stdout.write("no end")
            with pytest.raises(TypeError):
                sys.stdout.write(5)
        print("after")
        logger.warning("after")
    finally:
        logger.removeHandler(handler)
    assert (sys.stdout, sys.stderr, handler.stream) == (stdout, stderr, stderr)
    text = (run.dir / "log.txt").read_text()
    assert text == "plain ñ 日本 \U0001f600\nred x\nto stderr\nlogged\ndone\na\nb\nno end\n"
    out, err = capsys.readouterr()
    assert "after" in out
    assert "logged" in err


def test_each_thread_prints_to_its_own_run(project):
    def work(name):
        with corrida.start_run(run_id=name):
            barrier.wait()
            print("from", name)
            assert corrida.current_run().id == name
            barrier.wait()

    barrier = threading.Barrier(2)
    stdout = sys.stdout
    threads = [threading.Thread(target=work, args=(n,)) for n in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is stdout
    for name in ("a", "b"):
        assert Path(f"runs/{name}/log.txt").read_text() == f"from {name}\n"


def test_a_forked_child_logs_steps_and_cannot_end_the_run_of_its_parent(project):
    with corrida.start_run(run_id="a") as run:
        run.log({"x": 1})
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with run:
                    run.log({"x": 2})
                    for call in (lambda: run.log_metrics({"a": 1}), lambda: run.log_items([{"item_id": 1}])):
                        with pytest.raises(Refused, match="forked"):
                            call()
                run.fail("no")
                assert corrida.Store().get("a").status == "running"
                corrida.start_run(run_id="own", capture=False).finish()
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        run.log({"x": 3})
    record = corrida.Store().get("a")
    assert record.status == "finished"
    assert record.history()["x"].to_list() == [1, 2, 3]
    assert corrida.Store().get("own").status == "finished"
    assert all(v.intact for v in corrida.Store().verify())


def test_bad_configuration_and_data_files(project):
    for wrong, error in (({"configs": "none.json"}, InvalidConfig), ({"data": "none.csv"}, InvalidData)):
        with pytest.raises(error, match="none"):
            corrida.start_run(**wrong)
    (project / "empty.csv").write_bytes(b"")
    (project / "latin.csv").write_bytes("id,ñ\n1,é\n".encode("latin-1"))
    (project / "torn.parquet").write_bytes(b"PAR1")
    with corrida.start_run(run_id="a", data=["*.csv", "torn.parquet"], capture=False):
        pass
    data = {d["path"]: d for d in corrida.Store().get("a").manifest()["data"]}
    assert data["latin.csv"]["rows"] == 1
    assert "rows" not in data["torn.parquet"]
    assert data["empty.csv"]["size"] == 0

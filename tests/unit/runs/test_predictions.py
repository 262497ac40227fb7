"""Predictions beside a run: ids, what is said of them, and what is no prediction."""

from __future__ import annotations

import json
import os
import threading

import pytest

from corrida.errors import DamagedRun, NewerFormat, RunNotFound
from corrida.runs.predictions import (
    is_cut_off,
    keep_prediction,
    prediction_files,
    prediction_problem,
    read_prediction,
    read_predictions,
)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "a"
    folder.mkdir(parents=True)
    return folder


def keep(run, kind="csv", **facts):
    return keep_prediction(run, lambda name: f"id\n{name}\n".encode(), kind, {"rows": 1, **facts})


def test_ids_are_made_of_the_time_and_never_taken_twice(run, monkeypatch):
    drawn = iter([b"abc", b"abc", b"abc", b"def", b"abc", b"def", b"ghi"])
    urandom = os.urandom
    monkeypatch.setattr(os, "urandom", lambda n: next(drawn, b"xyz") if n == 3 else urandom(n))
    kept = [keep(run, kind) for kind in ("csv", "parquet", "csv")]
    assert len({one.id for one in kept}) == 3
    assert [one.id for one in read_predictions(run)] == [one.id for one in kept]
    assert [one.file for one in kept] == [
        f"{o.id}.{k}" for o, k in zip(kept, ("csv", "parquet", "csv"), strict=True)
    ]
    assert (run / "predictions" / kept[0].file).read_text() == f"id\n{kept[0].id}\n"
    assert len(prediction_files(run)) == 6
    assert all(is_cut_off(one.file) for one in kept)


def test_threads_do_not_share_an_id(run):
    kept: list = []
    barrier = threading.Barrier(8)

    def work():
        barrier.wait()
        kept.append(keep(run))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.id for one in kept}) == 8
    for one in kept:
        assert (run / "predictions" / one.file).read_text() == f"id\n{one.id}\n"
        assert prediction_problem(run, one.id, None) is None
    assert len(list((run / "predictions").iterdir())) == 16


def test_any_text_is_kept_as_it_is(run):
    kept = keep(run, options={"series": ["東京", "café\n"]}, notes=("ñ",), why="it was named")
    assert read_prediction(run, kept.id) == kept
    assert kept.options == {"series": ["東京", "café\n"]}
    assert kept.notes == ("ñ",)


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ('"rows": 1', '"rows": 2', DamagedRun, "its seal does not fit"),
        ('"format_version": 1', '"format_version": 9', NewerFormat, "a later version"),
        ('"run"', "", DamagedRun, "cannot be read"),
        ('"file": "2', '"file": "../2', DamagedRun, "its seal does not fit"),
    ],
)
def test_what_cannot_be_believed(run, old, new, error, words):
    kept = keep(run)
    path = run / "predictions" / f"{kept.id}.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(error, match=words):
        read_prediction(run, kept.id)
    assert read_predictions(run) == []


def test_a_file_under_another_name_is_no_prediction(run):
    kept = keep(run)
    folder = run / "predictions"
    (folder / "other.json").write_bytes((folder / f"{kept.id}.json").read_bytes())
    with pytest.raises(DamagedRun, match="is of another prediction"):
        read_prediction(run, "other")
    (folder / "mine.json").write_text(json.dumps({"a": 1}))
    assert [one.id for one in read_predictions(run)] == [kept.id]
    assert not is_cut_off("mine.json")
    assert is_cut_off(".x.csv.0123456789ab.tmp")


def test_a_run_that_went_away(run):
    run.rmdir()
    with pytest.raises(RunNotFound, match="was removed in this moment"):
        keep(run)


def test_a_run_that_goes_away_meanwhile_leaves_no_ghost(run):
    def table(name):
        run.rename(run.with_name("moved"))
        return name.encode()

    with pytest.raises(RunNotFound, match="was removed in this moment"):
        keep_prediction(run, table, "csv", {})
    assert not run.exists()
    assert list(run.with_name("moved").iterdir()) == []

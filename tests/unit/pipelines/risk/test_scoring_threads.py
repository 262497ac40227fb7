"""Blocks of rows are scored a few at once; nobody sees it in the answers, and nothing stays behind."""

from __future__ import annotations

import subprocess
import sys
import threading

import polars as pl
import pytest

from corrida.errors import PipelineFailed
from corrida.pipelines.risk import scoring
from corrida.pipelines.risk.generate import Shape, generate_transactions, write_transactions


@pytest.fixture
def several_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "_PIECE", 600)
    monkeypatch.setattr(scoring, "_BLOCK", 151)
    file = tmp_path / "all.csv"
    write_transactions(generate_transactions(9, Shape(clients=40, days=120)), file, labels=False)
    return file


def _pool_threads():
    return [one for one in threading.enumerate() if one.name.startswith("corrida-models")]


def _with_threads(count, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(count)))


def test_the_number_of_threads_makes_no_difference(predictor, several_blocks, monkeypatch):
    seen, found, decide = set(), [], scoring.decide

    def watched(*arguments):
        seen.add(threading.current_thread().name)
        return decide(*arguments)

    monkeypatch.setattr(scoring, "decide", watched)
    for count in (1, 3):
        _with_threads(count, monkeypatch)
        seen.clear()
        stream = predictor.score(several_blocks)
        found.append((pl.concat(list(stream)), stream.report.classes, stream.report.rules))
        in_pool = {name for name in seen if name.startswith("corrida-models")}
        assert (len(in_pool) > 1) if count > 1 else not in_pool
    assert found[0][0].equals(found[1][0])
    assert found[0][1:] == found[1][1:]
    assert not _pool_threads()


def test_a_block_without_an_answer_fails_the_file_and_leaves_no_thread(
    predictor, several_blocks, monkeypatch
):
    decide, calls = scoring.decide, []

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise PipelineFailed("the model gives no number")
        return decide(*arguments)

    monkeypatch.setattr(scoring, "decide", failing)
    _with_threads(2, monkeypatch)
    with pytest.raises(PipelineFailed, match="no number"):
        list(predictor.score(several_blocks))
    assert not _pool_threads()


def test_libraries_keep_to_one_thread_in_the_pool_and_are_free_again_afterwards(
    predictor, several_blocks, monkeypatch
):
    from threadpoolctl import threadpool_info

    decide, inside = scoring.decide, set()

    def watched(*arguments):
        inside.update(one["num_threads"] for one in threadpool_info() if one["user_api"] == "openmp")
        return decide(*arguments)

    before = [one["num_threads"] for one in threadpool_info()]
    monkeypatch.setattr(scoring, "decide", watched)
    _with_threads(2, monkeypatch)
    list(predictor.score(several_blocks))
    assert inside == {1}
    assert [one["num_threads"] for one in threadpool_info()] == before


def test_models_are_read_without_the_array_libraries_that_happen_to_be_installed(tmp_path, trained):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("LOADED = True\n", encoding="utf-8")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from corrida.pipelines.skops_files import read_estimator\n"
        "read_estimator(Path(sys.argv[2]))\n"
        "assert 'torch' not in sys.modules\n"
        "import torch; assert torch.LOADED\n"
    )
    model = trained.models / "anomaly" / "clusters.skops"
    subprocess.run([sys.executable, "-c", program, str(tmp_path), str(model)], check=True)

"""track, current_run, and comparison by reference."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import polars as pl
import pytest

import corrida
from corrida.errors import CorridaError, RunNotFound


def test_a_tracked_function_is_recorded(project):
    @corrida.track(capture=False)
    def match(items, description="", source=None, top_k=5, seed=None):
        """Say something."""
        assert corrida.current_run().id.startswith("run_")
        return {
            "precision": 0.5,
            "count": np.int64(3),
            "f": np.float32(0.25),
            "name": "x",
            "flag": True,
            "frame": items,
        }

    result = match([1, 2], description="why", top_k=7, seed=3)
    record = corrida.Store().get("latest")
    assert result["run_id"] == record.id
    assert match.__doc__ == "Say something."
    assert (record.pipeline, record.description, record.seed) == ("match", "why", 3)
    assert record.params == {"top_k": 7}
    assert record.metrics == {"precision": 0.5, "count": 3.0, "f": 0.25}
    assert corrida.current_run() is None


def test_arguments_that_only_share_a_name_with_an_option(project):
    @corrida.track(capture=False)
    def work(source, notes, seed):
        return 5

    assert work(pl.DataFrame({"a": [1]}), ["a"], {"x": 1}) == 5
    record = corrida.Store().get("latest")
    assert (record.source, record.notes, record.seed) == (None, None, None)


def test_without_brackets_and_with_an_error(project):
    @corrida.track
    def broken(x):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        broken(1)
    assert corrida.Store().runs()[0].status == "failed"
    with pytest.raises(TypeError):
        broken()
    assert len(corrida.Store()) == 1


def test_a_coroutine_is_recorded_until_it_ends(project):
    @corrida.track(capture=False)
    async def work(x):
        await asyncio.sleep(0)
        assert corrida.current_run().status == "running"
        return {"x": x}

    assert asyncio.run(work(3))["run_id"]
    assert corrida.Store().get("latest").metrics == {"x": 3}


def test_the_current_run_nested_and_in_threads(project):
    seen = []
    with corrida.start_run(run_id="outer", capture=False) as outer:
        with corrida.start_run(run_id="inner", capture=False) as inner:
            assert corrida.current_run() is inner
        assert corrida.current_run() is outer
        thread = threading.Thread(target=lambda: seen.append(corrida.current_run()))
        thread.start()
        thread.join()
    assert seen == [outer]
    first = corrida.start_run(run_id="first", capture=False)
    second = corrida.start_run(run_id="second", capture=False)
    first.finish()
    assert corrida.current_run() is second
    second.finish()
    assert corrida.current_run() is None


def test_comparison_by_reference(project):
    for name, f1 in (("a", 0.5), ("b", 0.75)):
        with corrida.start_run(run_id=name, capture=False) as run:
            run.log_metrics({"f1": f1})
    store = corrida.Store()
    for a, b, where in (
        ("latest~1", "latest", None),
        ("a", "b", store),
        ("a", store.get("b"), "runs"),
        (store.get("a"), store.get("b"), None),
    ):
        comparison = corrida.compare(a, b, store=where)
        assert "f1" in str(comparison)
    with pytest.raises(RunNotFound):
        corrida.compare("a", "none")


def test_every_public_name_is_there():
    for name in corrida.__all__:
        assert getattr(corrida, name) is not None
    assert issubclass(corrida.errors.RunNotFound, CorridaError)
    with pytest.raises(AttributeError):
        corrida.nothing  # noqa: B018


def test_starting_a_run_touches_no_catalog(project, monkeypatch):
    cache = project / "cache"
    monkeypatch.setenv("CORRIDA_CACHE_DIR", str(cache))
    with corrida.start_run(run_id="a"):
        pass
    store = corrida.Store("runs")
    assert store  # an empty one would be true as well
    with corrida.start_run(store=store, run_id="b"):
        pass
    assert not cache.exists()
    assert len(store) == 2
    assert cache.exists()

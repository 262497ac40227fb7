"""The catalog under threads, locks and filters that ask too much."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from corrida.errors import InvalidFilter, StoreError
from corrida.runs import catalog_schema as module
from corrida.runs.query import compile_filter, compile_order
from corrida.runs.store import Store


def test_threads_share_one_store(project, finished):
    for n in range(8):
        finished(f"r{n}", f1=n / 10)
    store = Store("runs")
    failures = []
    barrier = threading.Barrier(4)

    def work(number):
        barrier.wait()
        try:
            for n in range(12):
                store.note(f"r{(number + n) % 8}", f"note {number} {n}")
                assert len(store.runs(filter="metrics.f1 >= 0")) == 8
                assert "metrics.f1" in store.catalog.names()
                store.tag(f"r{(number + n) % 8}", {"t": str(n)})
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(len(r.later_notes) for r in store.runs()) == 48


@pytest.mark.parametrize(
    "text",
    [
        " or ".join(["metrics.f1 > 0"] * 3000),
        "(" * 3000 + "metrics.f1 > 0" + ")" * 3000,
        "not " * 3000 + "metrics.f1 > 0",
        f"id in ({', '.join(['1'] * 20_000)})",
        "x" * 2_000_000,
    ],
    ids=["terms", "brackets", "not", "values", "length"],
)
def test_a_filter_that_is_too_large_is_refused_and_the_cache_stays(project, finished, text):
    finished("a", f1=1)
    store = Store("runs")
    store.runs()
    inode = store.catalog.path.stat().st_ino
    with pytest.raises(InvalidFilter, match=r"more than|characters") as caught:
        store.runs(filter=text)
    assert len(str(caught.value)) < 300
    assert store.catalog.path.stat().st_ino == inode


def test_the_largest_filter_that_is_allowed_works(project, finished):
    finished("a", f1=1)
    store = Store("runs")
    wide = " or ".join(["metrics.f1 > 0"] * 200)
    deep = "(" * 50 + wide + ")" * 50
    long = f"id in ({', '.join(['1'] * 9_998)}, 'a')"
    nots = "not " * 50 + "metrics.f1 > 0"
    mixed = right = left = both = "metrics.f1 > 0"
    for _ in range(50):
        right = f"id = 'a' and (id = 'b' or {right})"
        left = f"({left} or id = 'b') and id = 'a'"
    for _ in range(25):
        mixed = f"id = 'a' and not (id = 'b' and id = 'a' or {mixed} and id = 'c')"
    for _ in range(5):
        both = f"id = 'a' and ({both} and id = 'a' or {both} or id = 'b')"
    for text in (wide, deep, long, nots, right, left, mixed, both):
        assert [r.id for r in store.runs(filter=text)] == ["a"]
    assert compile_filter("id = 'a' \n ")
    with pytest.raises(InvalidFilter, match="at most"):
        compile_order(",".join(["created"] * 3000))


def test_a_refused_query_keeps_the_database(project, finished, monkeypatch):
    finished("a", f1=1)
    store = Store("runs")
    store.runs()
    inode = store.catalog.path.stat().st_ino

    def too_much():
        raise sqlite3.OperationalError("too many SQL variables")

    with pytest.raises(StoreError, match="too many SQL variables"):
        store.catalog._healing(too_much)
    assert store.catalog.path.stat().st_ino == inode


def test_a_locked_database_is_left_alone_and_the_answer_is_right(project, finished, monkeypatch):
    finished("a", f1=1)
    store = Store("runs")
    store.runs()
    path = store.catalog.path
    finished("b", f1=2)
    store.catalog._db.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert [r.id for r in store.runs()] == ["b", "a"]
        assert path.exists()
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert [r.id for r in Store("runs").runs()] == ["b", "a"]


def test_headers_of_another_shape_lie_in_another_file(project, finished, monkeypatch):
    finished("a")
    here = Store("runs").catalog.path
    monkeypatch.setattr(module, "header_shape", lambda: "other")
    assert Store("runs").catalog.path != here
    monkeypatch.undo()
    before = module.header_shape()
    module.header_shape.cache_clear()
    annotations = module.RunHeader.__annotations__
    monkeypatch.setitem(annotations, "seed", "str | None")
    assert module.header_shape() != before
    module.header_shape.cache_clear()

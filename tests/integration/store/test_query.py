"""Filters and orders over real runs."""

from __future__ import annotations

import math

import pytest

from corrida.errors import (
    AliasNotFound,
    AmbiguousReference,
    DamagedRun,
    InvalidFilter,
    InvalidReference,
    NewerFormat,
    Refused,
    RunNotFound,
)
from corrida.runs.store import Store


@pytest.fixture
def four(finished, start):
    finished(
        "r1",
        f1=0.9,
        loss=math.nan,
        tags={"team": "Ñandú", "a b": "x"},
        params={"k": 5, "deep": {"x": True}, "lr": 1e-3},
    )
    finished("r2", f1=0.5, loss=math.inf, params={"k": 10, "name": "it's"}, tags={"team": "red"})
    finished("r3", pipeline="q", f1=0.5)
    start(run_id="r4", description="100% of `it`", seed=7).finish()
    return Store("runs")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.f1 > 0.6", "r1"), ("metrics.f1 >= .5", "r1 r2 r3"), ("metrics.f1 = 5e-1", "r2 r3"), ("metrics.f1 != 0.5", "r1"),
        ("not metrics.f1 > 0.6", "r2 r3 r4"), ("metrics.f1 is null", "r4"), ("metrics.f1 is not null and pipeline = 'p'", "r1 r2"),
        ("metrics.f1 < 1e400", "r1 r2 r3"), ("metrics.loss > 1000", "r2"), ("metrics.loss is null", "r1 r3 r4"),
        ("params.k in (5, 10)", "r1 r2"), ("params.k not in (5)", "r2"), ("params.deep.x = true", "r1"), ("params.lr < 0.01", "r1"),
        ("params.name = 'it''s'", "r2"), ('params.name = "it\'s"', "r2"), ("params.name = 'it\\'s'", "r2"),
        ("tags.team ~ 'ñANDÚ'", "r1"), ("tags.team !~ 'ñ'", "r2"), ("tags.`a b` = 'x'", "r1"), ("`tags.a b` = 'x'", "r1"),
        ("id = 'r1' or id = 'r2' and pipeline = 'q'", "r1"), ("(id = 'r1' or id = 'r2') and pipeline = 'q'", ""),
        ("NOT (id = 'r1' OR id IN ('r2','r3'))", "r4"), ("not not id = 'r1'", "r1"), ("description ~ '100%'", "r4"),
        ("description ~ '_00'", ""), ("seed = 7", "r4"), ("seed > 99999999999999999999", ""), ("created > '2020'", "r1 r2 r3 r4"),
        ("status == 'finished' and id <> 'r1'", "r2 r3 r4"), ("id = 'x'' OR ''1''=''1'", ""), ("tags.none is null", "r1 r2 r3 r4"),
        ("metrics.f1=0.5and pipeline='q'", "error"), ("git.branch is null", "r1 r2 r3 r4"), ("duration >= 0", "r1 r2 r3 r4"),
    ],
)  # fmt: skip
def test_filters(four, text, expected):
    if expected == "error":
        with pytest.raises(InvalidFilter):
            four.runs(filter=text)
        return
    assert [r.id for r in four.runs(filter=text)] == sorted(expected.split(), reverse=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"), ("   ", "empty"), ("metrics.f1 >", "at its end"), ("metrics.f1 > > 1", "a value"), ("(id = 'a'", "'\\)'"), ("id = 'a", "quote"),
        ("f1 > 0.5", "metrics.f1"), ("pipelin = 'p'", "pipeline"), ("id = r1", "quotes, as 'r1'"), ("metrics.f1 > 'high'", "number"),
        ("duration < 'abc'", "number"), ("id = 'a' id = 'b'", "expected 'and'"), ("id in ()", "a value"), ("id is 5", "null"), ("and", "field"),
        ("id; DROP TABLE runs", "no field|meaning|comparison"), ("id = 'a' -- x", "expected"), ('params."x" = 1', "field|meaning|comparison"), ("1 = 1", "field"),
        ('params.`a"b` = 1', "no field"), ("metrics. > 1", "no field"), ("id not = 'a'", "'in'"), ("@", "no field|meaning|comparison"),
    ],
)  # fmt: skip
def test_filters_that_cannot_be_read(four, text, said):
    with pytest.raises(InvalidFilter, match=said):
        four.runs(filter=text)
    assert len(four) == 4


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("metrics.f1", "r3 r2 r1 r4"), ("-metrics.f1", "r1 r3 r2 r4"), ("metrics.loss", "r2 r4 r3 r1"), ("-metrics.loss", "r2 r4 r3 r1"),
        ("created", "r1 r2 r3 r4"), ("-created", "r4 r3 r2 r1"), ("pipeline,-metrics.f1", "r1 r2 r4 r3"), ("-params.k", "r2 r1 r4 r3"),
        ("seed", "r4 r3 r2 r1"), ("tags.`a b`,id", "r1 r2 r3 r4"), ("-metrics.`f1`", "r1 r3 r2 r4"),
    ],
)  # fmt: skip
def test_orders_put_the_missing_last_and_pages_fit(four, order, expected):
    whole = [r.id for r in four.runs(order_by=order)]
    assert whole == expected.split()
    for size in (1, 2, 3, 5):
        pages = [
            r.id for offset in range(0, 6, size) for r in four.runs(order_by=order, limit=size, offset=offset)
        ]
        assert pages == whole
    assert four.runs(order_by=order, limit=0) == []


def test_orders_and_limits_that_cannot_be(four):
    for order in ("f1", "", "-", "created,", "nothing"):
        if order:
            with pytest.raises(InvalidFilter):
                four.runs(order_by=order)
    with pytest.raises(InvalidFilter, match=r"metrics\.f1"):
        four.runs(order_by="-f1")
    for wrong in ({"limit": -1}, {"offset": -1}):
        with pytest.raises(InvalidFilter):
            four.runs(**wrong)


def test_references(four, finished, project):
    finished("abc-1")
    finished("abc-2")
    finished("abc-2x")
    four.promote("r1")
    assert [four.get(r).id for r in ("latest", "latest~1", "latest~6", "@production", "r4", "abc-1", "abc-2", "runs/r1", "runs/r1/")] == [
        "abc-2x", "abc-2", "r1", "r1", "r4", "abc-1", "abc-2", "r1", "r1"
    ]  # fmt: skip
    assert four.get("latest", pipeline="q").id == "r3"
    assert four.get(str(project / "runs" / "r2")).id == "r2"
    with pytest.raises(AmbiguousReference, match="abc-1, abc-2, abc-2x"):
        four.get("abc")
    for wrong in ("none", "latest~7", "R1"):
        with pytest.raises(RunNotFound):
            four.get(wrong)
    with pytest.raises(AliasNotFound, match="@production"):
        four.get("@staging")
    for wrong in ("", "../x", "a/b", "a\0b"):
        with pytest.raises(InvalidReference):
            four.get(wrong)
    with pytest.raises(RunNotFound, match="empty"):
        Store("nowhere").get("x")
    with pytest.raises(RunNotFound, match="no run has finished"):
        Store("nowhere").get("latest")
    assert not (project / "nowhere").exists()


def test_aliases_go_back_the_way_they_came(four, monkeypatch):
    assert four.promote("r1").run == "r1"
    four.promote("r2", reason="better")
    assert four.demote().run == "r1"
    assert four.demote().run is None
    with pytest.raises(AliasNotFound):
        four.demote()
    four.promote("r1")
    four.promote("r2")
    four.promote("r1")
    assert four.demote().run == "r2"
    assert four.demote().run == "r1"
    four.promote("r3")
    four.promote("r2")
    four.remove(["r3"], force=True)
    assert four.demote().run == "r1"
    monkeypatch.setattr("corrida.runs.alias.utc_now", lambda: "2001-01-01T00:00:00.000000Z")
    four.promote("r2")
    assert four.get("@production").id == "r2"
    assert four.get("r2").aliases == ("production",)
    with (four.root / "aliases.jsonl").open("a") as file:
        file.write('<<<<<<< HEAD\n{"alias":"production","run":"../r1","time":"2999","author":"a"}\n{"torn')
    with pytest.raises(RunNotFound):
        four.get("@production")
    four.promote("r4", "staging")
    assert four.get("@staging").id == "r4"


def test_unfinished_runs_are_not_promoted(four, start):
    run = start(run_id="open")
    with pytest.raises(Refused):
        four.promote("open")
    run.fail("x")
    with pytest.raises(Refused):
        four.promote("open")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", DamagedRun), ("{", DamagedRun), ("[]", DamagedRun), ('{"format_version": 99, "new": 1}', NewerFormat), ('{"format_version": 1}', DamagedRun),
        (None, DamagedRun), ("\xff", DamagedRun), ("metric", DamagedRun), ("id", DamagedRun), ("newer", NewerFormat), ("seed", None), ("order", DamagedRun),
    ],
)  # fmt: skip
def test_a_run_json_that_cannot_be_read_is_listed_and_can_be_removed(four, content, error):
    path = four.root / "r1" / "run.json"
    text = path.read_text()
    four.runs()
    changes = {
        "metric": text.replace('"f1": 0.9', '"f1": "high"'), "id": text.replace('"id": "r1"', '"id": "other"'),
        "newer": text.replace('"format_version": 1', '"format_version": 2'), "seed": text.replace('"pipeline"', '"seed": 18446744073709551615, "pipeline"'),
        "order": text.replace('"order": ', '"order": 99'),
    }  # fmt: skip
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(changes.get(content, content).encode("latin-1" if content == "\xff" else "utf-8"))
    listed = {r.id: r.status for r in four.runs()}
    assert set(listed) == {"r1", "r2", "r3", "r4"}
    if error is None:
        assert listed["r1"] == "finished"
        return
    assert listed["r1"] == "unreadable"
    with pytest.raises(error) as caught:
        four.get("r1")
    assert type(caught.value) is error
    assert not four.verify(["r1"])[0].intact
    assert four.remove(["r1"]) == ["r1"]
    assert [r.id for r in four.runs()] == ["r4", "r3", "r2"]


def test_a_copy_that_arrives_file_by_file_and_other_strays(four, project):
    copy = four.root / "late"
    copy.mkdir()
    (copy / "metrics.json").write_text("{}")
    (four.root / "latest").mkdir()
    (four.root / "file").write_text("x")
    assert len(four.runs()) == 4
    for name in ("history.jsonl", "run.json"):
        if name == "run.json":
            text = (four.root / "r1" / name).read_text()
            (copy / name).write_text(text.replace('"id": "r1"', '"id": "late"'))
    assert len(four.runs()) == 5
    (copy / "run.json").unlink()
    assert len(four.runs()) == 4
    assert "late" not in (four.root / "index.json").read_text()


def test_a_store_through_a_link_that_is_pointed_elsewhere(four, project, finished):
    finished("x", root="other")
    (project / "link").symlink_to("runs")
    store = Store("link")
    assert len(store.runs()) == 4
    assert store.get("r1").dir == project / "link" / "r1"
    (project / "link").unlink()
    (project / "link").symlink_to("other")
    assert [r.id for r in store.runs()] == ["x"]

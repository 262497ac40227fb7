"""The per-item table from rows and frames of every kind."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from corrida.errors import InvalidData
from corrida.runs.items import ItemsWriter, read_items


@pytest.fixture
def items(tmp_path):
    writer = ItemsWriter(tmp_path)
    yield writer
    writer._close_rows()


KINDS = {
    "int": 1, "float": 1.5, "text": "a", "bool": True, "list": [1], "texts": ["a"], "struct": {"a": 1}, "other": {"b": "x"},
    "empty": {}, "time": dt.datetime(2026, 1, 1), "bytes": b"x", "null": None, "great": 2**70, "decimal": Decimal("1.5"),  # noqa: DTZ001
}  # fmt: skip


@pytest.mark.parametrize(("a", "b"), list(itertools.combinations_with_replacement(KINDS, 2)))
def test_a_column_of_any_two_types_is_kept_whichever_way_it_comes(tmp_path, a, b):
    rows = [{"item_id": "1", "v": KINDS[a]}, {"item_id": "2", "v": KINDS[b]}]
    ways = {
        "one call": [rows],
        "two calls": [rows[:1], rows[1:]],
    }
    if "great" not in (a, b):
        ways["frames"] = [pl.DataFrame({"item_id": [r["item_id"]], "v": [r["v"]]}) for r in rows]
        ways["row and frame"] = [rows[:1], ways["frames"][1]]
    for way, calls in ways.items():
        folder = tmp_path / way
        folder.mkdir()
        writer = ItemsWriter(folder)
        for call in calls:
            writer.log(call)
        before = read_items(folder)
        assert writer.close() == {"count": 2}, way
        after = read_items(folder)
        assert after["item_id"].to_list() == ["1", "2"]
        assert before.equals(after) or "empty" in (a, b)  # Parquet has no structure without a field
        for kind, value in zip((a, b), after["v"].to_list(), strict=True):
            assert (value is None) == (kind == "null"), (way, kind, value)


def test_numpy_values_in_rows(items, tmp_path):
    items.log(
        [{"item_id": np.int64(7), "score": np.float64(0.5), "f": np.float32(0.25), "output": np.str_("x"),
          "correct": np.bool_(True), "vector": np.array([1, 2])}]
    )  # fmt: skip
    assert items.close() == {"count": 1, "correct": 1, "wrong": 0}
    row = read_items(tmp_path).row(0, named=True)
    assert row == {"item_id": "7", "score": 0.5, "f": 0.25, "output": "x", "correct": True, "vector": [1, 2]}


def test_ints_and_floats_stay_numbers_and_nan_in_rows_is_missing(items, tmp_path):
    items.log(
        [{"item_id": "a", "score": 1}, {"item_id": "b", "score": 0.5}, {"item_id": "c", "score": math.nan}]
    )
    assert read_items(tmp_path)["score"].to_list() == [1.0, 0.5, None]


def test_pandas_with_a_named_index_and_missing_values(items, tmp_path):
    frame = pd.DataFrame(
        {
            "score": [0.5, math.nan],
            "label": ["x", None],
            "when": pd.to_datetime(["2026-01-01", None]),
            "n": pd.array([1, None], dtype="Int64"),
        },
        index=pd.Index([1, 2], name="item_id"),
    )
    items.log(frame)
    items.close()
    got = read_items(tmp_path)
    assert got["item_id"].to_list() == ["1", "2"]
    assert got["score"].to_list() == [0.5, None]
    assert got["label"].to_list() == ["x", None]
    assert got["when"][1] is None
    assert got["n"].to_list() == [1, None]


def test_pandas_with_objects(items, tmp_path):
    items.log(pd.DataFrame({"item_id": ["a", "b"], "thing": [{"x": 1}, [1, 2]]}))
    items.close()
    assert read_items(tmp_path).height == 2


def test_lazy_frames_and_an_empty_one(items, tmp_path):
    items.log(pl.LazyFrame({"item_id": [1, 2], "correct": [1, 0]}))
    items.log(pl.DataFrame({"item_id": []}, schema={"item_id": pl.Int64}))
    items.log([])
    assert items.close() == {"count": 2, "correct": 1, "wrong": 1}


@pytest.mark.parametrize(
    "rows",
    [
        [{"output": 1}], [{}], [{"item_id": None}], [{"item_id": ""}], [{"item_id": 1.5}], [{"item_id": math.nan}],
        [{"item_id": [1]}], ["a"], "text", 5, b"x", None,
        [{"item_id": "a"}, {"item_id": "a"}],
        [{"item_id": 1}, {"item_id": "1"}],
        pl.DataFrame({"x": [1]}), pl.DataFrame({"item_id": [1.0]}), pl.DataFrame({"item_id": ["a", None]}),
        pl.DataFrame({"item_id": ["a", "a"]}), pl.DataFrame({"item_id": [[1]]}),
        pl.DataFrame({"item_id": [{"a": 1}]}), pd.DataFrame({"item_id": [1.0, math.nan]}),
    ],
)  # fmt: skip
def test_rows_without_usable_ids_are_refused_and_nothing_of_them_is_kept(items, tmp_path, rows):
    items.log([{"item_id": "first"}])
    with pytest.raises(InvalidData):
        items.log(rows)
    items.log([{"item_id": "a"}])
    assert read_items(tmp_path)["item_id"].to_list() == ["first", "a"]


def test_an_id_logged_before_is_refused_and_named(items):
    items.log([{"item_id": "a"}])
    items.log(pl.DataFrame({"item_id": ["b"]}))
    for again in ([{"item_id": "b"}], pl.DataFrame({"item_id": ["a", "c"]})):
        with pytest.raises(InvalidData, match="logged before"):
            items.log(again)


def test_ids_of_a_call_that_could_not_be_written_may_come_again(items, tmp_path):
    (tmp_path / ".items").write_text("in the way")
    for rows in ([{"item_id": "a"}], pl.DataFrame({"item_id": ["a"]})):
        with pytest.raises(OSError, match="writing items"):
            items.log(rows)
    (tmp_path / ".items").unlink()
    items.log([{"item_id": "a"}])
    assert items.close() == {"count": 1}


def test_a_line_that_a_kill_cut_off_is_left_out(items, tmp_path):
    items.log([{"item_id": "a"}, {"item_id": "b", "v": "x" * 50}])
    part = next((tmp_path / ".items").iterdir())
    part.write_bytes(part.read_bytes()[:-20])
    (tmp_path / ".items" / ".x.parquet.abc.tmp").write_bytes(b"half")
    assert read_items(tmp_path)["item_id"].to_list() == ["a"]


def test_the_order_of_a_great_many_parts(items, tmp_path):
    items._number = 999_998
    for n in range(4):
        items.log(pl.DataFrame({"item_id": [n]}))
    assert read_items(tmp_path)["item_id"].to_list() == ["0", "1", "2", "3"]


def test_text_that_is_no_unicode_is_kept_with_escapes(items, tmp_path):
    items.log([{"item_id": "a", "output": "x\udc80"}])
    assert read_items(tmp_path)["output"].to_list() == ["x\\udc80"]


def test_rows_on_disk_are_json_lines(items, tmp_path):
    items.log({"item_id": "a", "correct": 1})
    part = next((tmp_path / ".items").iterdir())
    assert json.loads(part.read_text()) == {"item_id": "a", "correct": True}

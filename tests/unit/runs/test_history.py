"""Step metrics: what is a number, what is kept, what a kill or a full disk leaves."""

from __future__ import annotations

import math
import os
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from corrida.errors import InvalidMetric, StoreError
from corrida.runs.history import HistoryWriter, read_history
from corrida.runs.numbers import format_number


@pytest.fixture
def history(tmp_path):
    writer = HistoryWriter(tmp_path / "history.jsonl")
    yield writer
    writer.close()


def read(tmp_path):
    return read_history(tmp_path / "history.jsonl")


@pytest.mark.parametrize(
    "value",
    [1, 1.5, True, np.float64(1.5), np.float32(1.5), np.int64(3), np.bool_(True), np.array(2.5), Decimal("1.5"),
     Fraction(3, 2), 2**70, -(2**64), 10**300],
)  # fmt: skip
def test_numbers_of_every_kind_come_back_as_floats(history, tmp_path, value):
    history.log({"x": value}, None)
    assert read(tmp_path)["x"].to_list() == [float(value)]


@pytest.mark.parametrize(
    "value",
    [
        None,
        "1.5",
        b"1",
        [1.0],
        np.array([1.0]),
        np.array([[1]]),
        np.array([1, 2]),
        {},
        1j,
        np.array("5"),
        object(),
        10**400,
    ],
)
def test_what_is_no_number_is_refused_and_nothing_of_the_call_is_kept(history, tmp_path, value):
    history.log({"x": 1}, None)
    with pytest.raises(InvalidMetric, match="'y'"):
        history.log({"x": 2, "y": value}, None)
    history.log({"x": 3}, None)
    frame = read(tmp_path)
    assert frame["x"].to_list() == [1, 3]
    assert frame["step"].to_list() == [0, 1]
    assert "y" not in frame.columns


def test_not_a_number_and_infinities_are_kept(history, tmp_path):
    history.log({"x": math.nan, "y": math.inf, "z": -math.inf}, 1)
    history.log({"x": 1.0}, 2)
    frame = read(tmp_path)
    assert math.isnan(frame["x"][0])
    assert frame["y"].to_list() == [math.inf, None]
    assert frame["z"][0] == -math.inf


@pytest.mark.parametrize(
    "name", ["", "  ", "a\nb", "a\0b", "x" * 251, 5, None, "step", "logged_at", "\udc80"]
)
def test_names_that_cannot_be_metrics(history, name):
    with pytest.raises(InvalidMetric):
        history.log({name: 1.0}, None)


@pytest.mark.parametrize("metrics", [[("x", 1)], "x", 5, None])
def test_what_is_no_mapping_is_refused(history, metrics):
    with pytest.raises(InvalidMetric):
        history.log(metrics, None)


def test_steps(history, tmp_path):
    history.log({"x": 1}, None)
    history.log({"x": 1}, 10)
    history.log({"x": 1}, None)
    history.log({"x": 1}, np.int64(4))
    history.log({"x": 1}, 5.0)
    history.log({"x": 1}, -1)
    assert read(tmp_path)["step"].to_list() == [0, 10, 11, 4, 5, -1]
    for step in (1.5, "3", [1], 2**70, math.nan):
        with pytest.raises(InvalidMetric):
            history.log({"x": 1}, step)


def test_a_line_that_a_kill_cut_off_is_left_out_and_harms_no_other(history, tmp_path):
    history.log({"x": 1}, 1)
    history.log({"x": 2}, 2)
    path = tmp_path / "history.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert read(tmp_path)["x"].to_list() == [1]


@pytest.mark.parametrize(
    "line", [b"garbage\n", b'{"step":1}\n', b'{"step":1,"time":1,"metrics":{"x":"high"}}\n', b"\xff\xfe\n"]
)
def test_a_line_that_was_edited_badly_is_left_out(history, tmp_path, line):
    history.log({"x": 1}, 1)
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(line)
    history.log({"x": 2}, 2)
    assert read(tmp_path)["x"].to_list() == [1, 2]


def test_a_short_write_that_then_fails_leaves_no_part_of_a_line(history, tmp_path, monkeypatch):
    history.log({"x": 1}, 1)
    real, calls = os.write, []

    def nearly_full(fd, data):
        calls.append(1)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        return real(fd, data[:5])

    monkeypatch.setattr(os, "write", nearly_full)
    with pytest.raises(StoreError, match="disk is full"):
        history.log({"x": 2}, 2)
    monkeypatch.undo()
    history.log({"x": 3}, 3)
    assert read(tmp_path)["x"].to_list() == [1, 3]


def test_a_metric_that_comes_late_is_missing_before(history, tmp_path):
    history.log({"a": 1}, None)
    history.log({"b": 2}, None)
    history.log({}, None)
    frame = read(tmp_path)
    assert frame["a"].to_list() == [1, None, None]
    assert frame["b"].to_list() == [None, 2, None]


def test_no_file_is_an_empty_table(tmp_path):
    assert read_history(tmp_path / "none").columns == ["step", "logged_at"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.64, "0.64"),
        (1.0, "1"),
        (0.12345, "0.1235"),
        (1e9 + 0.5, "1e+09"),
        (1e-7, "1e-07"),
        (math.nan, "nan"),
        (7, "7"),
        (1234.567, "1234.57"),
    ],
)
def test_numbers_for_people(value, text):
    assert format_number(value) == text

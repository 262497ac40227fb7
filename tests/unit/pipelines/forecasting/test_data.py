from __future__ import annotations

import random
from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from corrida.errors import InvalidData


def test_ids_stay_text_and_rows_may_stand_in_any_order(bench):
    rows = bench.series("007") + bench.series("1e3") + bench.series("北京")
    random.Random(0).shuffle(rows)
    panel = bench.read(bench.write(rows)).panel
    assert sorted(panel.by_id) == ["007", "1e3", "北京"]
    assert panel.by_id["007"].y.tolist() == bench.wave(72)
    assert (str(panel.frequency), panel.season_length) == ("1mo", 12)


def test_parquet_with_dates_and_whole_numbers_as_ids(bench):
    path = bench.root / "series.parquet"
    days = [date.fromisoformat(day) for day in bench.months(72)]
    pl.DataFrame({"unique_id": [7] * 72, "ds": days, "y": range(72)}).write_parquet(path)
    panel = bench.read(path).panel
    assert panel.series[0].id == "7"
    assert panel.series[0].start == datetime.fromisoformat("2015-01-01")


def test_counted_time(bench):
    found = bench.read(bench.write([["a", i, i % 5] for i in range(60)]), season_length=5)
    assert (str(found.panel.frequency), found.panel.season_length) == ("1", 5)


def test_named_columns(bench):
    rows = [["shop", day, 1, value] for _, day, value in bench.series()]
    path = bench.write(rows, ("store", "month", "note", "sales"))
    columns = {"id": "store", "time": "month", "target": "sales", "exogenous": []}
    assert bench.read(path, columns=columns).panel.exogenous == ()


def gap(bench):
    rows = bench.series("a") + bench.series("b")
    return bench.write([row for row in rows if row[:2] != ["b", "2016-03-01"]])


@pytest.mark.parametrize("gaps", ["previous", "interpolate", "zero"])
def test_gaps_are_filled_as_said(bench, gaps):
    y = bench.wave(72)
    found = bench.read(gap(bench), gaps=gaps)
    expected = {"previous": y[13], "interpolate": (y[13] + y[15]) / 2, "zero": 0.0}[gaps]
    assert found.panel.by_id["b"].y[14] == pytest.approx(expected)
    assert found.filled == {"b": 1}
    assert found.warnings == [f"1 missing value filled ({gaps}) in 1 series (b)"]


def test_a_gap_is_refused_with_the_series_and_the_time(bench):
    with pytest.raises(InvalidData, match="'b' has no value for 2016-03-01, counted by 1mo"):
        bench.read(gap(bench))


@pytest.mark.parametrize("missing", ["", "NaN", "n/a"])
def test_a_missing_value_is_a_gap(bench, missing):
    rows = bench.series()
    rows[20][2] = missing
    with pytest.raises(InvalidData, match="'a' has no value for 2016-09-01"):
        bench.read(bench.write(rows))


def test_values_missing_before_the_first_are_left_out_and_after_the_last_are_the_future(bench):
    rows = bench.series()
    rows[0][2] = rows[70][2] = rows[71][2] = ""
    found = bench.read(bench.write(rows))
    one = found.panel.series[0]
    assert (one.start, len(one.y)) == (datetime.fromisoformat("2015-02-01"), 69)
    assert found.warnings == ["rows without a value before the first one are left out in 1 series (a)"]


def test_a_constant_series_is_kept_and_said(bench):
    found = bench.read(bench.write(bench.series() + bench.series("flat", [5.0] * 72)))
    assert found.warnings == ["constant, and so without a MASE: 1 series (flat)"]


def test_exogenous_columns_and_their_future(bench):
    rows = [[*row, i % 3] for i, row in enumerate(bench.series())]
    rows += [["a", day, "", 2] for day in bench.months(4, 2021)]
    one = bench.read(bench.write(rows, ("unique_id", "ds", "y", "promo"))).panel.series[0]
    assert (len(one.y), one.exogenous.shape, one.known_ahead) == (72, (76, 1), 4)


def row(at, column, value):
    def change(rows):
        rows[at][column] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (row(5, 1, "2015-01-01"), "'a' has more than one row for 2015-01-01"),
        (row(5, 2, "a lot"), r"'y' is 'a lot' at line 7 \(series 'a'\), which is no number"),
        (row(5, 2, "1,5"), "is no number. Write numbers with a point"),
        (row(5, 2, "inf"), r"'y' is infinite at line 7 \(series 'a'\)"),
        (row(5, 1, ""), "'ds' is empty at line 7"),
        (row(5, 1, "soon"), "'ds' is 'soon' at line 7"),
        (row(5, 1, "2015-06-02"), "'a' does not go by 1d|'a' has no value for"),
        (row(5, 0, ""), "'unique_id' is empty at line 7. Give every row its series"),
        (lambda rows: rows.__delitem__(slice(10, None)), r"too short for .*: 'a' \(10 of 13 values\)"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(bench, change, sentence):
    rows = bench.series()
    change(rows)
    with pytest.raises(InvalidData, match=sentence):
        bench.read(bench.write(rows))


def test_a_series_off_the_frequency_of_the_others_is_named(bench):
    rows = (
        bench.series("a")
        + bench.series("b")
        + bench.series("odd", dates=[d[:-1] + "5" for d in bench.months(72)])
    )
    rows[-1][1] = "2020-12-17"
    with pytest.raises(InvalidData, match="'odd' does not go by 1mo: 2020-12-17"):
        bench.read(bench.write(rows))


def test_a_frequency_that_was_given_is_checked(bench):
    with pytest.raises(InvalidData, match="'a' has no value for 2015-01-02"):
        bench.read(bench.write(bench.series()), freq="1d")
    with pytest.raises(InvalidData, match="freq is 3, but the column 'ds' holds dates"):
        bench.read(bench.write(bench.series()), freq=3)


def test_short_series_are_refused_or_skipped(bench):
    path = bench.write(bench.series("a") + bench.series("short", bench.wave(20)))
    with pytest.raises(InvalidData, match=r"1 series is too short .* 'short' \(20 of 42 values\)"):
        bench.run(path, horizon=6)
    outcome = bench.run(path, horizon=6, short_series="skip")
    assert outcome.metrics["series"] == 1
    assert outcome.dataset["series_left_out"] == 1
    assert "too short and left out: 1 series (short)" in bench.recorder.warnings


def test_a_horizon_longer_than_the_series_is_refused(bench):
    with pytest.raises(InvalidData, match="too short for a horizon of 80 steps in 3 windows"):
        bench.run(bench.write(bench.series()), horizon=80)


def test_values_are_not_touched(bench):
    y = np.array([0.1 + 0.2, 1e-300, -5e15, *bench.wave(69)])
    panel = bench.read(bench.write(bench.series(values=[repr(float(v)) for v in y]))).panel
    assert panel.series[0].y.tolist() == y.tolist()

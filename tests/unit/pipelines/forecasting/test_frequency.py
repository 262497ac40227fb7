from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from corrida.errors import InvalidConfig
from corrida.pipelines.forecasting.frequency import Frequency, infer_frequency, parse_frequency


def days(*texts):
    return pl.Series([datetime.fromisoformat(text) for text in texts], dtype=pl.Datetime("us"))


START = datetime.fromisoformat("2024-01-01")


def every(step, count=40, start=START):
    return pl.Series([start + step * i for i in range(count)], dtype=pl.Datetime("us"))


@pytest.mark.parametrize(
    ("times", "text", "season"),
    [
        (days("2024-01-01", "2024-02-01", "2024-03-01"), "1mo", 12),
        (days("2024-01-31", "2024-02-29", "2024-03-31"), "1mo", 12),
        (days("2024-01-15", "2024-04-15", "2024-07-15"), "1q", 4),
        (days("2020-04-01", "2021-04-01", "2022-04-01"), "1y", 1),
        (days("2024-01-01", "2024-02-01", "2024-05-01"), "1mo", 12),  # a gap does not hide the month
        (every(timedelta(days=7)), "1w", 52),
        (every(timedelta(days=1)), "1d", 7),
        (every(timedelta(hours=1)), "1h", 24),
        (every(timedelta(minutes=15)), "15m", 96),
        (every(timedelta(days=14)), "2w", 1),
        (pl.Series([1, 2, 3]), "1", 1),
        (pl.Series([1990, 1995, 2005]), "5", 1),
    ],
)
def test_frequency_is_read_off_the_times(times, text, season):
    found = infer_frequency([times])
    assert (str(found), found.season_length) == (text, season)
    positions = found.positions(times)
    again = [found.times(times[0], int(position), 1)[0] for position in positions]
    assert again == times.to_list()


def test_business_days():
    times = pl.Series(
        [
            d
            for i in range(30)
            if (d := datetime.fromisoformat("2024-01-01") + timedelta(days=i)).weekday() < 5
        ],
        dtype=pl.Datetime("us"),
    )
    found = infer_frequency([times])
    assert (str(found), found.season_length) == ("1b", 5)
    assert found.positions(times).tolist() == list(range(len(times)))
    assert found.times(datetime.fromisoformat("2024-01-05"), 1, 1)[0] == datetime.fromisoformat("2024-01-08")


def test_month_ends_stay_month_ends():
    found = infer_frequency([days("2023-11-30", "2023-12-31", "2024-01-31")])
    assert found.times(datetime.fromisoformat("2023-11-30"), 3, 2).dt.date().to_list() == [
        date(2024, 2, 29),
        date(2024, 3, 31),
    ]


def test_the_frequency_of_most_values_wins():
    found = infer_frequency([every(timedelta(days=1)), every(timedelta(days=7), 5)])
    assert str(found) == "1d"


def test_one_value_has_no_frequency():
    assert infer_frequency([days("2024-01-01")]) is None


@pytest.mark.parametrize(
    ("text", "unit", "count"),
    [
        ("MS", "month", 1),
        ("M", "month", 1),
        ("m", "second", 60),
        ("15m", "second", 900),
        ("W-MON", "second", 7 * 86400),
        ("2h", "second", 7200),
        ("B", "business day", 1),
        ("QS", "month", 3),
        ("Yearly", "month", 12),
        (1, "step", 1),
        ("3", "step", 3),
    ],
)
def test_frequency_is_read(text, unit, count):
    assert parse_frequency(text) == Frequency(unit, count)


@pytest.mark.parametrize("text", ["", "0", "0d", "fortnight", "-1", "1.5d"])
def test_no_frequency_is_refused(text):
    with pytest.raises(InvalidConfig, match="is no frequency"):
        parse_frequency(text)


def test_a_time_between_two_steps_has_no_position():
    assert Frequency("month", 1).positions(days("2024-01-01", "2024-02-02")) is None
    assert Frequency("second", 86400).positions(days("2024-01-01", "2024-01-02T12:00")) is None
    assert Frequency("business day", 1).positions(days("2024-01-05", "2024-01-06")) is None

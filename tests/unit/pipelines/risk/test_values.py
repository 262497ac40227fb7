"""Amounts and dates as people write them."""

from __future__ import annotations

import polars as pl
import pytest

from corrida.pipelines.risk.values import decimal_mark, read_amounts, read_times


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [
        ("1234.56", 123456, None),
        ("1,234.56", 123456, None),
        ("1.234,56", None, 123456),
        ("12,5", None, 1250),
        ("1.000", 100, 100_000),
        ("$ 1500 MXN", 150_000, 150_000),
        (" 1\u00a0234 ", 123_400, 123_400),
        ("-3", -300, -300),
        ("1e5", 10_000_000, 10_000_000),
        ("nan", None, None),
        ("inf", None, None),
        ("1e300", None, None),
        ("1,2,3", None, None),
        ("twelve", None, None),
        (".", None, None),
        ("", None, None),
    ],
)
def test_amounts(text, point, comma):
    given = pl.Series([text])
    assert read_amounts(given, ".").to_list() == [point]
    assert read_amounts(given, ",").to_list() == [comma]


def test_amounts_that_are_numbers_already():
    assert read_amounts(pl.Series([1.005, None, float("nan"), 3]), ".").to_list() == [100, None, None, 300]
    assert read_amounts(pl.Series([7]), ",").to_list() == [700]


@pytest.mark.parametrize(
    ("sample", "semicolons", "mark"),
    [
        (["1.234,56", "2.000"], False, ","),
        (["1,234.56"], True, "."),
        (["1.234"], True, ","),
        (["1.234"], False, "."),
        (["12.5", "3,000"], True, "."),
        ([], False, "."),
    ],
)
def test_the_mark_is_what_the_first_amounts_prove(sample, semicolons, mark):
    assert decimal_mark(pl.Series(sample, dtype=pl.String), semicolons=semicolons)[0] == mark


@pytest.mark.parametrize(
    ("text", "day_first", "moment", "timed"),
    [
        ("2025-01-15", True, "2025-01-15 00:00:00", False),
        ("2025-1-5", True, "2025-01-05 00:00:00", False),
        ("20250115", True, "2025-01-15 00:00:00", False),
        ("03/04/2025", True, "2025-04-03 00:00:00", False),
        ("03/04/2025", False, "2025-03-04 00:00:00", False),
        ("15.01.2025 03:04", True, "2025-01-15 03:04:00", True),
        ("2025-01-15T00:00:00", True, "2025-01-15 00:00:00", True),
        ("2025-01-15T14:30:05.123Z", True, "2025-01-15 14:30:05", True),
        ("2025-01-15 14:30:05-06:00", True, "2025-01-15 14:30:05", True),
        ("31/02/2025", True, None, False),
        ("13/13/2025", True, None, False),
        ("2025-01-15 25:00", True, None, None),
        ("1850-01-01", True, None, False),
        ("tomorrow", True, None, False),
        ("", True, None, False),
    ],
)
def test_dates(text, day_first, moment, timed):
    seconds, known = read_times(pl.Series([text]), day_first=day_first)
    assert pl.from_epoch(seconds).dt.strftime("%Y-%m-%d %H:%M:%S").to_list() == [moment]
    assert timed is None or known.to_list() == [timed]


def test_a_date_is_read_the_same_alone_and_among_others():
    texts = ["2025-01-15", "15/01/2025", "2025-01-15 10:00:00", "15.01.2025 10:00", "x", None]
    together = [series.to_list() for series in read_times(pl.Series(texts), day_first=True)]
    alone = [read_times(pl.Series([one], dtype=pl.String), day_first=True) for one in texts]
    assert together == [[one[i][0] for one in alone] for i in (0, 1)]

"""Data that forecasting cannot use: one sentence that names the place and the mend, exit code 2, and no run."""

from __future__ import annotations

import datetime as dt
import math

import polars as pl
import pytest


def months(count, year=2015):
    return [f"{year + i // 12}-{i % 12 + 1:02d}-01" for i in range(count)]


def rows(count=72, ids=("a", "007")):
    return [
        [one, day, f"{100 + i + 9 * math.sin(i):.2f}"] for one in ids for i, day in enumerate(months(count))
    ]


def table(lines, head="unique_id,ds,y"):
    return "\n".join([head, *(",".join(map(str, line)) for line in lines)]) + "\n"


def changed(place, column, value):
    lines = rows()
    lines[place][column] = value
    return table(lines)


DAILY = [["hens", f"2015-01-{day:02d}", day] for day in range(1, 32)]
BAD = {
    "a gap": (table(rows()[:20] + rows()[21:]), ["'a' has no value for 2016-09-01", "set gaps to"]),
    "the same time twice": (table([*rows(), rows()[77]]), ["'007' has more than one row for 2015-06-01"]),
    "no number": (changed(30, 2, "NaN"), ["'a' has no value for 2017-07-01"]),
    "text": (changed(30, 2, "twelve"), ["'y' is 'twelve' at line 32 (series 'a')", "which is no number"]),
    "infinite": (changed(80, 2, "inf"), ["infinite at line 82 (series '007')"]),
    "two frequencies": (table(rows(72, ("a",)) + DAILY), ["'hens' does not go by 1mo", "2015-01-02"]),
    "too short": (table(rows(20)), ["2 series are too short", "'007' (20 of 60 values)", "smaller horizon"]),
    "a series of nothing": (
        table(rows() + [["z", day, ""] for day in months(72)]),
        ["'z' (0 of 60 values)", "short_series"],
    ),
    "a misspelt column": (table(rows(), "uniqe_id,ds,y"), ["no column 'unique_id'", "Did you mean 'uniqe_id'?"]),
    "other columns": (table(rows(), "id,date,sales"), ["columns.id, columns.time, columns.target", "id, date, sales"]),
    "an empty file": ("", ["the file is empty"]),
    "no rows": ("unique_id,ds,y\n", ["column names but no rows"]),
    "one row": (table(rows()[:1]), ["set freq"]),
    "a row without series": (table([*rows(), ["", "2015-01-01", 3]]), ["'unique_id' is empty at line 146"]),
    "a row without time": (table([*rows(), ["a", "", 3]]), ["'ds' is empty at line 146"]),
    "day and month in an order that can be mistaken": (
        table([[one, f"{day[5:7]}/{day[8:]}/{day[:4]}", y] for one, day, y in rows()]),
        ["'ds' is '01/01/2015'", "2024-01-31"],
    ),
    "dates as numbers": (
        table([[one, day.replace("-", ""), y] for one, day, y in rows()]),
        ["dates written as numbers (20150101)", "Write 20150101 as 2015-01-01"],
    ),
    "months as numbers": (
        table([[one, day.replace("-", "")[:6], y] for one, day, y in rows()]),
        ["dates written as numbers (201501)", "Write 201501 as 2015-01"],
    ),
    "an unknown exogenous value": (
        table([[*line, "" if i == 10 else i % 3] for i, line in enumerate(rows())], "unique_id,ds,y,promo"),
        ["'a' has no value in 'promo' for 2015-11-01"],
    ),
    "an exogenous text": (
        table([[*line, "red"] for line in rows()], "unique_id,ds,y,colour"),
        ["'colour' is 'red'", "columns.exogenous"],
    ),
    "semicolons": (table(rows()).replace(",", ";"), ["separated by semicolons"]),
}  # fmt: skip


def nothing_is_left(project, corrida):
    assert corrida("list", "--json").json == []
    return not [path for path in (project / "runs").glob("*") if path.is_dir() and path.name[0] != "."]


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_and_no_run_is_left(project, corrida, case):
    text, expected = BAD[case]
    (project / "sales.csv").write_text(text, encoding="utf-8")
    sentence = corrida.refuses("train", "--data", "sales.csv", "--set", "models=SeasonalNaive")
    for part in expected:
        assert part in sentence
    assert nothing_is_left(project, corrida)


def test_months_without_a_day_and_numbers_that_are_no_dates(project, corrida):
    named = table([[one, day[:7], y] for one, day, y in rows()])
    counted = table([[one, 20150101 + i % 72, y] for i, (one, _, y) in enumerate(rows())])
    for text, frequency in ((named, "1mo"), (counted, "1")):
        (project / "sales.csv").write_text(text, encoding="utf-8")
        run = corrida(
            "train", "--data", "sales.csv", "--set", "models=SeasonalNaive", "--set", "report=false"
        )
        assert run.code == 0
        assert corrida("show", "latest", "--json").json["manifest"]["dataset"]["frequency"] == frequency


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (("horizon=70",), ["too short for a horizon of 70 steps in 3 windows", "'007' (72 of 234 values)"]),
        (("models=NBEETS",), ["no model 'NBEETS'", "did you mean NBEATS"]),
        (("models=[AutoETS,SeasonalNaif]",), ["no model 'SeasonalNaif'", "SeasonalNaive"]),
        (("models=[autoets,AutoETS]",), ["AutoETS is named twice"]),
        (("horizon=0",), ["horizon"]),
        (("levels=100",), ["levels"]),
        (("horizn=3",), ["horizn: there is no such setting", "horizon"]),
        (("freq=fortnightly",), ["freq: 'fortnightly' is no frequency"]),
    ],
)
def test_settings_that_cannot_be_used(project, corrida, settings, expected):
    (project / "sales.csv").write_text(table(rows()), encoding="utf-8")
    options = [part for one in settings for part in ("--set", one)]
    sentence = corrida.refuses("train", "--data", "sales.csv", *options)
    for part in expected:
        assert part in sentence
    assert nothing_is_left(project, corrida)


QUICK = ("--set", "models=SeasonalNaive", "--set", "report=false", "--set", "horizon=6", "--run-id", "r")


def trained(project, corrida, file):
    corrida("train", "--data", file, *QUICK)
    return corrida("show", "r", "--json").json["manifest"]["dataset"]


@pytest.mark.parametrize("ids", [pl.Categorical, pl.Enum(["a", "007"]), pl.String])
@pytest.mark.parametrize(
    "times", [pl.Date, pl.Datetime("ms"), pl.Datetime("ns"), pl.Datetime("us", "Europe/Berlin")]
)
def test_parquet_of_any_type(project, corrida, ids, times):
    lines = rows()
    days = pl.Series([dt.date.fromisoformat(day) for _, day, _ in lines]).cast(pl.Datetime("us"))
    zone = getattr(times, "time_zone", None)
    pl.DataFrame(
        {
            "unique_id": pl.Series([one for one, _, _ in lines]).cast(ids),
            "ds": days.dt.replace_time_zone(zone) if zone else days.cast(times),
            "y": pl.Series([float(y) for _, _, y in lines]).cast(pl.Decimal(12, 2)),
        }
    ).write_parquet(project / "sales.parquet")
    dataset = trained(project, corrida, "sales.parquet")
    assert (dataset["series"], dataset["frequency"]) == (2, "1mo")
    assert (dataset["first"], dataset["last"]) == ("2015-01-01", "2020-12-01")
    assert {item["unique_id"] for item in corrida("items", "r", "--json").json} == {"a", "007"}


@pytest.mark.parametrize("between", [" ", "T"])
def test_midnights_of_a_zone_with_summer_time_stay_days(project, corrida, between):
    lines = [
        [one, f"{day}{between}00:00:00+0{2 if 4 <= int(day[5:7]) <= 10 else 1}:00", y]
        for one, day, y in rows()
    ]
    (project / "sales.csv").write_text(table(lines))
    dataset = trained(project, corrida, "sales.csv")
    assert (dataset["frequency"], dataset["first"], dataset["last"]) == ("1mo", "2015-01-01", "2020-12-01")


def test_hours_over_the_change_to_summer_time_have_no_gap(project, corrida):
    start = dt.datetime(2020, 3, 28, tzinfo=dt.UTC)
    lines = []
    for i in range(100):
        zone = dt.timezone(dt.timedelta(hours=1 if i < 25 else 2))
        lines.append(["a", (start + dt.timedelta(hours=i)).astimezone(zone).isoformat(), i * 7 % 31])
    (project / "sales.csv").write_text(table(lines))
    dataset = trained(project, corrida, "sales.csv")
    assert (dataset["frequency"], dataset["first"]) == ("1h", "2020-03-28")
    assert dataset["last"] == "2020-04-01T03:00"


@pytest.mark.slow
def test_thousands_of_short_series(project, corrida):
    lines = [
        [f"s{i:05d}", day, (i * 31 + t * 17) % 50] for i in range(1000) for t, day in enumerate(months(33))
    ]
    (project / "sales.csv").write_text(table(lines))
    said = corrida(
        "train", "--data", "sales.csv", "--run-id", "r", "--set", "models=SeasonalNaive", "--set", "horizon=3"
    )
    assert "1 model trained on 1,000 series" in said.out
    assert (project / "runs/r/report.html").stat().st_size < 3_000_000

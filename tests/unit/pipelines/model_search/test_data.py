"""From files to rows: what is learnt from, how rows are parted, and what is refused."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from corrida.errors import BadInput, InvalidConfig, InvalidData
from corrida.pipelines.model_search.configure import configure
from corrida.pipelines.model_search.data import prepare

from . import tables


@pytest.fixture
def write(tmp_path):
    def write(frame, name="data.csv"):
        path = tmp_path / name
        frame.write_parquet(path) if name.endswith(".parquet") else frame.write_csv(path)
        return path

    return write


def prepared(path, **settings):
    paths = path if isinstance(path, list) else [path]
    return prepare(paths, configure([], settings), seed=1)


def test_dated_rows_are_split_by_time_without_being_asked(write):
    shuffled = tables.weather().sample(fraction=1, shuffle=True, seed=2)
    got = prepared(write(shuffled), target="high")
    dates = shuffled["date"].to_list()
    train = [dates[i] for i in got.split.train]
    test = [dates[i] for i in got.split.test]
    assert got.task == "regression"
    assert max(train) < min(test)
    assert train == sorted(train)
    assert len(test) == 24
    assert got.facts["split"] == {
        "by": "time", "train_rows": 96, "test_rows": 24, "column": "date", "train_from": "2024-01-01",
        "train_until": "2024-04-05", "test_from": "2024-04-06", "test_until": "2024-04-29",
    }  # fmt: skip
    for learnt, held in got.folds:
        assert max(train[i] for i in learnt) < min(train[i] for i in held)
    assert got.cluster == "block"
    assert not got.warnings


def test_rows_of_one_time_stay_together_and_a_gap_is_on_neither_side(write):
    frame = pl.concat([tables.weather(seed=s) for s in range(3)])
    got = prepared(write(frame), target="high", gap=4)
    dates = np.array(frame["date"].to_list())
    train, test = set(dates[got.split.train]), set(dates[got.split.test])
    assert not train & test
    assert len(set(dates[got.split.left_out])) == 4
    assert len(got.split.left_out) == 12
    times = dates[got.split.train]
    for learnt, held in got.folds:
        between = sorted(set(times) - set(times[learnt]) - {t for t in times if t >= min(times[held])})
        assert len(between) == 4


def test_the_first_tested_day_can_be_named(write):
    got = prepared(write(tables.weather()), target="high", test_from="2024-04-20")
    assert got.facts["split"]["test_from"] == "2024-04-20"
    assert got.facts["split"]["test_rows"] == 10


def test_shuffling_dated_rows_needs_to_be_asked_for_and_is_said(write):
    got = prepared(write(tables.weather()), target="high", split="random")
    assert got.split.way == "random"
    assert "scores are likely too good" in got.warnings[0]


def test_groups_stay_on_one_side(write):
    frame = tables.patients()
    got = prepared(write(frame), target="state", group="site", id="code")
    site = np.array(frame["site"].to_list())
    assert not set(site[got.split.train]) & set(site[got.split.test])
    for learnt, held in got.folds:
        own = site[got.split.train]
        assert not set(own[learnt]) & set(own[held])
    assert got.cluster == "site"
    assert "site" not in got.x_train.columns
    assert set(got.facts["split"]["test_groups"]) == set(site[got.split.test])


def test_columns_that_items_have_anyway_get_another_name_beside_them(write):
    frame = tables.patients().rename({"site": "score", "smoker": "model"})
    got = prepared(write(frame), target="state", group="score", id="code", slices=["model"])
    assert set(got.test_columns.columns) == {"score_", "model_"}
    assert got.cluster == "score_"


def test_classes_are_stratified_and_ids_stay_text(write):
    frame = tables.patients()
    got = prepared(write(frame), target="state", id="code")
    assert (got.task, got.split.way) == ("classification", "stratified")
    assert got.test_ids[0].startswith("0")
    counts = frame["state"].value_counts()
    for state, rows in counts.iter_rows():
        assert abs((got.y_test == state).sum() - 0.2 * rows) <= 1
    assert got.x_train["smoker"].dtype == pl.Float64
    assert "code" not in got.x_train.columns


def test_the_same_seed_parts_rows_alike_and_another_does_not(write):
    path = write(tables.patients())
    config = configure([], {"target": "state"})
    first, again, other = prepare([path], config, 1), prepare([path], config, 1), prepare([path], config, 2)
    assert first.test_ids == again.test_ids != other.test_ids


def test_what_cannot_be_learnt_from_is_left_out_and_said(write):
    frame = tables.weather().with_columns(
        empty=pl.lit(None, dtype=pl.Float64),
        same=pl.lit(3),
        note=pl.Series([f"day {i} was fine" for i in range(120)]),
        twice=pl.col("high") * 1.8 + 32,
    )
    got = prepared(write(frame), target="high")
    assert [c.name for c in got.columns] == ["date", "low", "kind"]
    said = got.warnings[0]
    assert "empty: empty in every row" in said
    assert "same: the same in every training row" in said
    assert "note: 120 different texts" not in said  # counted in the training rows
    assert "note: 96 different texts" in said
    assert "twice: equal to high" in said
    assert set(got.facts["not_learnt_from"]) == {"empty", "same", "note", "twice"}


def test_a_column_that_is_asked_for_is_kept_and_warned_of(write):
    frame = tables.weather().with_columns(twice=pl.col("high") * 2)
    got = prepared(write(frame), target="high", date="date", features=["twice", "low"])
    assert [c.name for c in got.columns] == ["twice", "low"]
    assert "it gives the answer away" in got.warnings[0]


def test_levels_and_constants_are_of_the_training_rows_alone(write):
    frame = tables.weather().with_columns(
        pl.when(pl.int_range(pl.len()) >= 110).then(pl.lit("hail")).otherwise("kind").alias("kind"),
        late=(pl.int_range(pl.len()) >= 110).cast(pl.Int64),
    )
    got = prepared(write(frame), target="high")
    assert next(c for c in got.columns if c.name == "kind").levels == ("fog", "rain", "sun")
    assert got.facts["not_learnt_from"] == {"late": "the same in every training row"}


def test_rows_without_a_target_are_left_out_and_counted(write):
    frame = tables.weather().with_columns(
        pl.when(pl.int_range(pl.len()) % 40 == 0).then(None).otherwise("high").alias("high")
    )
    got = prepared(write(frame), target="high")
    assert got.facts["rows"] == 117
    assert got.facts["rows_without_target"] == 3
    assert got.warnings == ["3 rows have no high and are left out"]


def test_dates_give_what_they_hold_and_no_more(write):
    day = prepared(write(tables.weather()), target="high")
    assert [n for n in day.x_train.columns if n.startswith("date.")] == [
        "date.month", "date.season_sin", "date.season_cos", "date.weekday",
    ]  # fmt: skip
    hours = tables.weather().with_columns(
        pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 1, 19, 50), "10m", eager=True).alias(
            "date"
        )
    )
    hour = prepared(write(hours, "h.parquet"), target="high")
    assert [n for n in hour.x_train.columns if n.startswith("date.")] == [
        "date.hour", "date.hour_sin", "date.hour_cos", "date.minute",
    ]  # fmt: skip
    asked = prepared(write(tables.weather()), target="high", calendar=["year", "month"])
    assert "date.year" in asked.x_train.columns
    assert "date.weekday" not in asked.x_train.columns


def test_parquet_and_csv_give_the_same(write):
    frame = tables.weather().with_columns(pl.col("date").str.to_date())
    one, two = prepared(write(frame, "d.parquet"), target="high"), prepared(write(frame), target="high")
    assert one.x_train.equals(two.x_train)
    assert one.test_ids == two.test_ids
    assert one.facts == two.facts


def test_files_are_put_below_each_other(write):
    frame = tables.weather()
    got = prepared([write(frame[:60], "a.csv"), write(frame[60:], "b.csv")], target="high")
    assert got.x_train.equals(prepared(write(frame), target="high").x_train)
    with pytest.raises(InvalidData, match=r"b\.csv: there is no column 'low', which another data file has"):
        prepared([write(frame[:60], "a.csv"), write(frame[60:].drop("low"), "b.csv")], target="high")


def test_codes_with_leading_zeros_and_named_categories_are_no_numbers(write):
    frame = tables.weather().with_columns(
        zip=pl.Series([f"0{i % 7}00" for i in range(120)]), floor=pl.Series([i % 3 for i in range(120)])
    )
    got = prepared(write(frame), target="high", categories=["floor"])
    kinds = {c.name: c.kind for c in got.columns}
    assert kinds["zip"] == "category"
    assert kinds["floor"] == "category"
    assert next(c for c in got.columns if c.name == "floor").levels == ("0", "1", "2")


def test_the_task_is_inferred_and_can_be_said(write):
    frame = tables.weather().with_columns(frost=(pl.col("low") < 4).cast(pl.Int64))
    assert prepared(write(frame), target="frost").task == "classification"
    assert prepared(write(frame), target="frost", task="regression").task == "regression"
    assert prepared(write(frame), target="kind").task == "classification"
    assert prepared(write(frame), target="high").task == "regression"


@pytest.mark.parametrize("mark", ["?", "-", "None", "NA", " "])
def test_marks_of_missing_among_numbers_are_rows_without_a_target(write, mark):
    given = (
        pl.when(pl.int_range(pl.len()) % 10 == 3).then(pl.lit(mark)).otherwise(pl.col("high").cast(pl.String))
    )
    got = prepared(write(tables.weather().with_columns(high=given)), target="high")
    assert got.task == "regression"
    assert got.warnings[0].startswith("12 rows have no high")


def test_a_class_may_be_called_none(write):
    frame = tables.patients().with_columns(state=pl.col("state").replace("well", "none"))
    assert "none" in prepared(write(frame), target="state", id="code").y_train.tolist()


def test_few_whole_numbers_are_learnt_as_numbers_and_it_is_said(write):
    frame = tables.patients().with_columns(stars=pl.int_range(pl.len()) % 5)
    got = prepared(write(frame), target="stars", id="code")
    assert got.task == "regression"
    assert "stars holds 5 different whole numbers and is learnt as a number" in got.warnings[0]
    assert not prepared(write(frame), target="stars", id="code", task="regression").warnings


@pytest.mark.parametrize("notation", ["%d/%m/%Y", "%m/%d/%y", "%Y%m%d", "%d-%m-%Y 10:00"])
def test_dates_that_are_not_read_are_said_before_rows_are_shuffled(write, notation):
    days = [dt.date.fromisoformat(day).strftime(notation) for day in tables.weather()["date"]]
    got = prepared(write(tables.weather().with_columns(date=pl.Series(days))), target="high")
    assert got.split.way == "random"
    assert f"date looks like dates, such as {days[0]}" in got.warnings[0]


def test_twins_on_both_sides_of_a_random_split_are_said(write):
    alone = tables.weather().drop("date")
    got = prepared(write(pl.concat([alone.head(40)] * 3)), target="high")
    assert "test rows have a twin among the training rows" in got.warnings[0]
    assert not prepared(write(alone), target="high").warnings


def test_two_groups_are_tested_at_least(write):
    frame = tables.patients().with_columns(site=pl.Series([f"s{i % 5}" for i in range(90)]))
    got = prepared(write(frame), target="state", group="site", id="code", cv=3)
    assert len(got.facts["split"]["test_groups"]) == 2


def test_huge_numbers_say_nothing_on_the_way(write):
    prepared(
        write(tables.weather().with_columns(low=pl.col("low") * 1e300)), target="high"
    )  # no warning of numpy


@pytest.mark.parametrize(
    ("change", "settings", "sentence"),
    [
        ({}, {"target": "hihg"}, "there is no column 'hihg'. The columns are: date, low, kind, high. Did you mean 'high'?"),
        ({}, {"target": "high", "date": "day"}, "there is no column 'day'"),
        ({}, {"target": "high", "features": ["lwo"]}, "features: there is no column 'lwo'"),
        ({}, {"target": "high", "ignore": ["lwo"]}, "Did you mean 'low'?"),
        ({}, {"target": "high", "test_from": "2031-01-01"}, "leaves nothing to test on; the data go from 2024-01-01 to 2024-04-29"),
        ({}, {"target": "high", "test_from": "soon"}, "'soon' is no date"),
        ({}, {"target": "high", "cv": 99}, "96 different times, too few for 99 folds"),
        ({}, {"target": "high", "gap": 99}, "gap: 99 times leave nothing to learn from"),
        ({}, {"target": "high", "split": "stratified"}, "only classes can be stratified"),
        ({}, {"target": "date"}, "the target 'date' holds dates"),
        ({"high": pl.lit(None)}, {"target": "high"}, "the target 'high' is empty in every row"),
        ({"high": pl.lit(7)}, {"target": "high"}, "is '7' in every row; there is nothing to learn"),
        ({"kind": pl.lit("sun")}, {"target": "kind"}, "is 'sun' in every row"),
        ({"low": pl.when(pl.int_range(pl.len()) == 5).then(pl.lit("warm")).otherwise(pl.col("low").cast(pl.String))},
         {"target": "high"}, "column 'low' is 'warm' at line 7, which is no number, and 99.2 % of the others are"),
        ({"high": pl.when(pl.int_range(pl.len()) == 5).then(pl.lit("warm")).otherwise(pl.col("high").cast(pl.String))},
         {"target": "high"}, "column 'high' is 'warm' at line 7"),
        ({"high": pl.when(pl.int_range(pl.len()) == 5).then(pl.lit("inf")).otherwise(pl.col("high").cast(pl.String))},
         {"target": "high"}, "column 'high' is infinite at line 7"),
        ({"low": pl.col("low").cast(pl.String).str.replace(r"\.", ",")}, {"target": "high"}, "numbers with a decimal comma"),
        ({"date": pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise("date")},
         {"target": "high", "date": "date"}, "column 'date' is empty at line 7"),
        ({"date": pl.when(pl.int_range(pl.len()) == 5).then(pl.lit("31/31/24")).otherwise("date")},
         {"target": "high", "date": "date"}, "column 'date' is '31/31/24' at line 7, which is no date"),
        ({"more": pl.col("date")}, {"target": "high"}, "the columns date, more hold dates; say which orders the rows"),
        ({"kind": pl.when(pl.int_range(pl.len()) == 9).then(pl.lit("snow")).otherwise("kind")},
         {"target": "kind"}, "the class 'snow' of 'kind' has one row (line 11); two are needed"),
        ({"kind": pl.int_range(pl.len()).cast(pl.String) + "x"}, {"target": "kind"}, "too many for classes"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_a_sentence(write, change, settings, sentence):
    with pytest.raises(BadInput) as caught:
        prepared(write(tables.weather().with_columns(**change)), **settings)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_of_one_row_can_be_left_out(write):
    frame = tables.weather().with_columns(
        pl.when(pl.int_range(pl.len()) == 9).then(pl.lit("snow")).otherwise("kind").alias("kind")
    )
    got = prepared(write(frame), target="kind", rare_classes="leave_out")
    assert got.facts["rows"] == 119
    assert "classes of one row are left out: 'snow'" in got.warnings[0]


def test_too_few_rows_and_nothing_to_learn_from(write):
    with pytest.raises(InvalidData, match="6 rows have a high; 10 are needed"):
        prepared(write(tables.weather(6)), target="high")
    with pytest.raises(InvalidData, match="no column is left to learn from"):
        prepared(write(tables.weather()), target="high", date="date", ignore=["low", "kind", "date"])
    with pytest.raises(InvalidData, match="3 groups, too few to hold some out"):
        prepared(write(tables.weather()), target="high", group="kind")
    with pytest.raises(InvalidData, match="no data file was given"):
        prepare([], configure([], {"target": "high"}), 1)


def test_a_fold_of_one_class_is_refused_with_the_mend(write):
    frame = tables.weather().with_columns(
        kind=pl.when(pl.int_range(pl.len()) < 40).then(pl.lit("a")).otherwise("kind")
    )
    with pytest.raises(InvalidConfig, match="fold 1 of 5 learns from rows of the class 'a' alone"):
        prepared(write(frame), target="kind")

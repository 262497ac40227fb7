"""Bad data is refused in a sentence, before anything is done; odd data is read as it is meant."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

from corrida.errors import InvalidConfig, InvalidData
from corrida.pipelines.model_search.search_data import SearchData, check_folds, prepare
from corrida.pipelines.model_search.table import learn_features

ROWS = 60
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(ROWS, 2))
Y = RNG.normal(size=ROWS)


def refused(x=NUMBERS, y=Y, *, cv=5, **more):
    with pytest.raises(InvalidData) as caught:
        prepare(SearchData(x, y, **more), cv=cv, random_state=0)
    return str(caught.value)


def column(values, name="wind"):
    return pl.DataFrame({"a": NUMBERS[: len(values), 0], name: values}, strict=False)


def test_a_target_with_gaps_text_or_infinity():
    with_gaps = [None, *Y[1:-1].tolist(), float("nan")]
    assert "is missing in row 1 of y_train, and 1 more are" in refused(y=with_gaps, target="temp_max")
    assert "'warm' in row 2 of y_train, and a regression needs numbers" in refused(
        y=[1.0, "warm", *Y[2:].tolist()]
    )
    assert "infinite in row 3" in refused(y=[1.0, 2.0, np.inf, *Y[3:].tolist()])
    assert "same target" in refused(y=np.ones(ROWS))
    assert "59 values and X_train 60 rows" in refused(y=Y[1:])
    assert "several columns" in refused(y=np.column_stack([Y, Y]))


def test_classes_that_cannot_be_learnt():
    once = ["a", "b"] * 29 + ["b", "rare"]
    assert "the class 'rare' of 'target' has 1 training row, fewer than the 5 folds" in refused(
        y=once, task="classification"
    )
    thrice = ["a", "b"] * 28 + ["b", "rare", "rare", "rare"]
    assert "set cv=3" in refused(y=thrice, task="classification")
    assert "every training row has the class 'a'" in refused(y=["a"] * ROWS, task="classification")
    assert "mixes text and numbers" in refused(y=["a", 1] * 30, task="classification")
    big = pl.DataFrame({"a": RNG.normal(size=400)})
    assert "make the task regression" in refused(x=big, y=[str(n) for n in range(400)], task="classification")


def test_features_that_are_neither_numbers_nor_categories():
    numbers = [str(n / 7) for n in range(ROWS - 1)]
    assert "59 of its 60 values are numbers; 'n/a' in row 60 is none" in refused(column([*numbers, "n/a"]))
    assert "numbers as text; convert" in refused(column([*numbers, "1.5"]))
    assert "different values in 60 rows" in refused(column([f"id {n}" for n in range(ROWS)]))
    assert "'wind' holds times" in refused(column([dt.date(2024, 1, 1)] * ROWS))
    assert "'wind' is infinite in row 2" in refused(column([1.0, np.inf] * 30))
    assert "neither numbers nor text" in refused(column([[1, 2]] * ROWS))
    assert "no table" in refused(x=Y)
    assert "no rows" in refused(x=NUMBERS[:0], y=[])
    assert "there twice" in refused(x=pd.DataFrame(NUMBERS, columns=["a", "a"]))


def test_a_column_without_a_value_is_left_out_and_said():
    prepared = prepare(SearchData(column([None] * ROWS), Y), cv=3, random_state=0)
    assert prepared.features.names == ["a"]
    assert "'wind' has no value in any training row" in prepared.said[0]
    assert "an array without names" in refused(x=np.column_stack([NUMBERS, np.full(ROWS, np.nan)]))


def test_splits_are_checked():
    assert "validates on rows that it learns from" in refused(splits=[([0, 1, 2], [2, 3])])
    assert "no rows on one side" in refused(splits=[([0, 1], [])])
    assert "not among the 60" in refused(splits=[([0, 1], [60])])
    assert "at least one" in refused(splits=[])
    assert "100 folds need at least 100" in refused(cv=100)


def test_test_rows_are_checked():
    test = {"X_test": NUMBERS[:5], "y_test": Y[:5]}
    assert "one is missing" in refused(X_test=NUMBERS)
    assert "3 test_ids for 5" in refused(**test, test_ids=["a", "b", "c"])
    assert "there twice" in refused(**test, test_ids=["a", "b", "c", "a", "d"])
    assert "test_columns has 1 rows" in refused(**test, test_columns=pl.DataFrame({"m": [1]}))


@pytest.mark.parametrize("kind", ["polars", "pandas", "numpy"])
def test_the_same_table_of_any_kind_gives_the_same_matrix(kind):
    frame = pl.DataFrame(
        {
            "n": [1, 2, None, 4],
            "f": [0.5, None, 1.5, 2.5],
            "b": [True, False, True, None],
            "t": ["x", "y", None, "é"],
        }
    )
    given = {"polars": frame, "pandas": frame.to_pandas(), "numpy": frame.to_pandas().to_numpy()}[kind]
    features, matrix, _ = learn_features(given)
    assert [one.kind for one in features.columns] == ["number", "number", "number", "category"]
    assert features.columns[3].categories == ("x", "y", "é")
    nan = np.nan
    np.testing.assert_array_equal(
        matrix, [[1, 0.5, 1, 0], [2, nan, 0, 1], [nan, 1.5, 1, nan], [4, 2.5, nan, 2]]
    )


def test_a_later_table_is_aligned_by_what_training_recorded():
    features, _, _ = learn_features(pl.DataFrame({"n": [1.0, 2.0, 4.0], "t": ["x", "y", "x"]}))
    later = pl.DataFrame({"more": [1, 2], "t": ["z", None], "n": [None, 3.0]})
    matrix, found = features.aligned(later)
    np.testing.assert_array_equal(matrix, [[np.nan, 2.0], [3.0, np.nan]])
    assert found.missing == {"n": 1, "t": 1}
    assert found.unseen == {"t": {"z": 1}}
    assert found.ignored == ("more",)
    with pytest.raises(InvalidData, match=r"no column 'n'"):
        features.matrix(later.drop("n"))
    with pytest.raises(InvalidData, match="must hold numbers, as in training; row 2 has the text 'b'"):
        features.matrix(pl.DataFrame({"n": [None, "b"], "t": ["x", "x"]}))


def test_codes_as_categories_stay_text():
    frame = pl.DataFrame({"code": pl.Series([str(n) for n in range(30)] * 2, dtype=pl.Categorical)})
    features, _, _ = learn_features(frame)
    assert features.columns[0].kind == "category"
    assert len(features.columns[0].categories) == 30
    pandas = pd.DataFrame({"code": pd.Categorical([n % 30 for n in range(60)])})
    assert learn_features(pandas)[0].columns[0].kind == "category"


def test_test_rows_that_do_not_fit_are_refused_before_the_search():
    frame = pl.DataFrame({"a": NUMBERS[:, 0], "wind": NUMBERS[:, 1]})
    test = {"y_test": Y, "task": "regression"}
    assert refused(x=frame, X_test=frame.drop("wind"), **test).startswith(
        "X_test: the table has no column 'wind'"
    )
    odd = frame.with_columns(wind=pl.lit("strong"))
    assert "X_test: the column 'wind' must hold numbers" in refused(x=frame, X_test=odd, **test)


def test_folds_on_which_the_score_has_no_value():
    def said(y, cv, scoring, **more):
        found = prepare(SearchData(NUMBERS, y, **more), cv=cv, random_state=0)
        with pytest.raises(InvalidConfig) as caught:
            check_folds(found, scoring)
        return str(caught.value)

    assert "fold 1 of 60 is one row, of which there is no r2; take fewer folds" in said(Y, 60, "r2")
    flat = np.where(np.arange(ROWS) < 30, 0.0, Y)
    splits = [(np.arange(30, 60), np.arange(30))]
    assert "has the same target in all its rows" in said(flat, 5, "r2", splits=splits)
    names = np.where(np.arange(ROWS) < 30, "a", np.where(np.arange(ROWS) % 2, "a", "b"))
    assert "no row of the class 'b'" in said(names, 5, "roc_auc", splits=splits, task="classification")
    check_folds(prepare(SearchData(NUMBERS, Y), cv=60, random_state=0), "rmse")

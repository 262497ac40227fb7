"""Prediction of new rows: aligned as training was, whatever stands beside them."""

from __future__ import annotations

import polars as pl
import pytest

from corrida.errors import DamagedRun, InvalidConfig, InvalidData
from corrida.pipelines.contract import Data
from corrida.pipelines.model_search import pipeline

from . import tables


def trained(recorder, folder, frame, **settings):
    """Train and write the models to a folder, as a run has them."""
    path = folder / "train.csv"
    frame.write_csv(path)
    config = pipeline.configure([], {"n_iter": 2, "cv": 3, "report": False, "repeats": 0, **settings})
    outcome = pipeline.run(Data([path], seed=1), config, recorder)
    for name, files in recorder.models.items():
        for file, content in files.items():
            place = folder / "models" / name / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    return outcome


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    from tests.unit.pipelines.conftest import MemoryRecorder

    folder = tmp_path_factory.mktemp("regression")
    outcome = trained(MemoryRecorder(), folder, tables.weather(), target="high", models=["ridge"])
    return folder / "models", outcome


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    from tests.unit.pipelines.conftest import MemoryRecorder

    folder = tmp_path_factory.mktemp("classes")
    frame = tables.patients()
    outcome = trained(
        MemoryRecorder(), folder, frame, target="state", id="code", ignore=["site"], models=["linear"]
    )
    return folder / "models", outcome


@pytest.fixture
def predict(tmp_path):
    def predict(models, frame, **options):
        path = tmp_path / "new.csv"
        frame.write_csv(path)
        return pipeline.load(models).predict(Data([path]), **options)

    return predict


def test_test_rows_are_predicted_as_in_the_run(regression, predict):
    models, outcome = regression
    said = predict(models, tables.weather())
    assert said.frame.columns == ["item_id", "date", "expected", "prediction", "model"]
    assert said.frame["item_id"].to_list() == [str(i) for i in range(1, 121)]
    there = said.frame.filter(pl.col("item_id").is_in(outcome.items["item_id"].to_list()))
    outputs = outcome.items["output"].cast(pl.Float64).to_list()
    assert there["prediction"].to_list() == pytest.approx(outputs, abs=1e-5)  # items have six digits
    assert list(said.notes) == []


def test_columns_are_found_by_name_and_one_row_is_as_among_others(regression, predict):
    models, _ = regression
    new = tables.weather(seed=9).drop("high")
    whole = predict(models, new).frame
    turned = predict(models, new.select("kind", "low", "date").reverse()).frame
    assert turned["prediction"].to_list() == whole["prediction"].to_list()[::-1]
    alone = predict(models, new[17:18]).frame
    assert alone["prediction"].to_list() == [whole["prediction"][17]]


def test_what_is_odd_in_new_rows_is_said(regression, predict):
    models, _ = regression
    new = (
        tables.weather(10)
        .drop("high")
        .with_columns(
            pl.when(pl.int_range(pl.len()) < 2).then(pl.lit("hail")).otherwise("kind").alias("kind"),
            pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise("low").alias("low"),
            station=pl.lit("north"),
        )
    )
    said = predict(models, new)
    assert said.frame.height == 10
    assert said.frame["prediction"].null_count() == 0
    assert list(said.notes) == [
        "not used, as the model did not learn from them: station",
        "kind: 2 rows have names that training never saw (hail); they count as none of the known ones",
        "low: missing in 1 row; filled as in training",
    ]


def test_classes_have_probabilities_and_ids_stay_text(classes, predict):
    models, outcome = classes
    said = predict(models, tables.patients().drop("state"))
    assert said.frame["item_id"][0] == "0000"
    shares = said.frame.select("p_ill", "p_risk", "p_well")
    assert shares.sum_horizontal().to_list() == pytest.approx([1.0] * 90)
    assert said.frame["confidence"].to_list() == shares.max_horizontal().to_list()
    there = said.frame.filter(pl.col("item_id").is_in(outcome.items["item_id"].to_list()))
    assert there["prediction"].to_list() == outcome.items["output"].to_list()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: f.drop("low", "kind"), "there are no columns 'low', 'kind', from which ridge learnt"),
        (lambda f: f.rename({"low": "Low"}), "Did you mean 'Low'?"),
        (lambda f: f.with_columns(low=pl.lit("cold")), "column 'low' is 'cold' at line 2, 3, 4, 5, 6 and 115 more, which is no number"),
        (lambda f: f.with_columns(date=pl.lit("soon")), "column 'date' is 'soon' at line 2, 3, 4, 5, 6 and 115 more, which is no date"),
        (lambda f: f.with_columns(low=pl.lit("inf")), "column 'low' is infinite at line"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_are_refused_with_their_names(regression, predict, change, sentence):
    with pytest.raises(InvalidData) as caught:
        predict(regression[0], change(tables.weather()))
    assert sentence in str(caught.value)


def test_other_models_no_data_and_altered_files(regression, predict, tmp_path):
    import shutil

    models, _ = regression
    with pytest.raises(InvalidConfig, match="here is the model ridge, not 'lasso'"):
        predict(models, tables.weather(), model="lasso")
    with pytest.raises(InvalidData, match="there is nothing to predict; name the new rows with --data"):
        pipeline.load(models).predict(None)
    copy = tmp_path / "models"
    shutil.copytree(models, copy)
    about = copy / "predictor" / "predictor.json"
    about.write_text(about.read_text().replace('"high"', '"low"'))
    with pytest.raises(DamagedRun, match="was altered since the run"):
        pipeline.load(copy)

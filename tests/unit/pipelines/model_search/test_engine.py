"""The search over several models: what it gives back, and what failures do to it."""

from __future__ import annotations

import contextlib

import numpy as np
import polars as pl
import pytest
from engine_data import Double, Failing, Infinite, Killed, NotCloned, Shift, table, target
from sklearn.model_selection import GridSearchCV

from corrida.errors import InvalidConfig
from corrida.pipelines.executors import open_executor
from corrida.pipelines.model_search.catalogue import available_specs
from corrida.pipelines.model_search.distributions import Choice, LogUniform
from corrida.pipelines.model_search.engine import NoModelFitted
from corrida.pipelines.model_search.item_rows import readable
from corrida.pipelines.model_search.search_data import SearchData
from corrida.pipelines.model_search.specs import ModelSpec


@pytest.fixture(scope="module")
def two_workers():
    with open_executor("local", 2) as executor:
        yield executor


@pytest.fixture
def parallel(recorder, two_workers):
    """A recorder whose tasks run in two processes, which take long to start and are shared by the tests."""

    class Parallel(type(recorder)):
        @contextlib.contextmanager
        def executor(self, jobs=1):
            yield two_workers

    return Parallel


def scores(results):
    return {
        name: [(t.round, t.number, t.params, t.scores) for t in one.trials] for name, one in results.items()
    }


def test_a_search_is_what_scikit_learn_finds_with_the_same_candidates_and_folds(searched):
    frame = table(150, gaps=True, text=True)
    y = target(frame)
    folds = [(np.arange(0, 80), np.arange(80, 110)), (np.arange(0, 110), np.arange(110, 150))]
    results, _ = searched(["ridge"], data=SearchData(frame, y, splits=folds), n_iter=5)
    mine = results["ridge"]
    pipe = mine.estimator.estimator
    matrix = mine.estimator.features.matrix(frame)
    grid = [{"model__alpha": [trial.params["alpha"]]} for trial in mine.trials]
    theirs = GridSearchCV(pipe, grid, scoring="r2", cv=folds).fit(matrix, y)
    assert [t.scores["r2"] for t in mine.trials] == pytest.approx(list(theirs.cv_results_["mean_test_score"]))
    assert mine.best_params["alpha"] == theirs.best_params_["model__alpha"]
    assert mine.estimator.predict(frame) == pytest.approx(theirs.predict(matrix))


def test_each_model_is_a_child_with_tables_model_and_items(searched):
    results, recorder = searched(["linear", "lasso"])
    linear, lasso = recorder.children
    assert set(linear.tables) == {"linear_cv_scores.csv", "linear_search_params.csv"}
    assert set(lasso.tables) == {"lasso_cv_results.csv"}
    assert set(recorder.tables) == {"training_report.csv"}
    assert set(lasso.models) == {"lasso"}
    assert lasso.params["best_alpha"] == results["lasso"].best_params["alpha"]
    cv = lasso.tables["lasso_cv_results.csv"]
    assert {"param_alpha", "params", "split2_test_r2", "mean_test_mae", "std_test_r2", "mean_fit_time"} <= {
        *cv.columns
    }
    best = cv.filter(pl.col("rank_test_r2") == 1).row(0, named=True)
    metrics = lasso.outcome.metrics
    assert best["mean_test_r2"] == metrics["val_r2"]
    assert {"val_mse", "test_r2", "test_mse", "test_rmse", "test_mae", "test_loss"} <= set(metrics)
    assert {"train_duration_sec", "refit_sec", "predict_sec"} <= set(metrics)
    items = lasso.outcome.items
    assert items.columns == ["item_id", "output", "expected", "loss"]
    assert items["loss"].mean() == pytest.approx(metrics["test_mse"])
    assert [step for step, _ in lasso.steps] == [0, 1, 2]
    assert lasso.steps[-1][1]["best_val_r2"] == metrics["val_r2"]
    assert len(lasso.lines["trials.jsonl"]) == 4


def test_the_refit_stands_outside_of_the_time_of_the_search(searched, monkeypatch):
    from corrida.pipelines.model_search.model_run import ModelRun

    fit = ModelRun.refit

    def slow(self):
        import time

        before = self.result.train_duration_sec
        time.sleep(0.3)
        found = fit(self)
        assert self.result.train_duration_sec == before
        return found

    monkeypatch.setattr(ModelRun, "refit", slow)
    results, _ = searched(["linear"])
    assert results["linear"].train_duration_sec < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("method", ["random", "tpe", "halving"])
def test_the_result_does_not_depend_on_the_executor_or_the_number_of_jobs(searched, parallel, method):
    specs = ["ridge", "gradient_boosting"]
    space = {"n_estimators": Choice((5, 10, 20)), "learning_rate": LogUniform(0.05, 0.5)}
    base = available_specs()["gradient_boosting"]
    specs[1] = ModelSpec("gradient_boosting", base.build, space=space)
    asked = {"method": method, "n_iter": 7, "min_rows": 30}
    one, _ = searched(specs, jobs=1, **asked)
    two, _ = searched(specs, keep_in=parallel(), **asked)
    assert scores(one) == scores(two)
    for name in one:
        assert one[name].best_params == two[name].best_params
        assert (one[name].test_output == two[name].test_output).all()
    again, _ = searched(specs, jobs=1, **asked, random_state=6)
    assert scores(again) != scores(one)


def test_halving_gives_few_rows_to_many_and_all_rows_to_the_winner(searched):
    results, _ = searched(["ridge"], method="halving", n_iter=9, min_rows=30, cv=2)
    trials = results["ridge"].trials
    assert [(t.round, t.rows) for t in trials] == [(0, 30)] * 9 + [(1, None)] * 3
    numbers = {t.number for t in trials if t.round == 1}
    kept = sorted((t for t in trials if t.round == 0), key=lambda t: -t.scores["r2"])[:3]
    assert numbers == {t.number for t in kept}
    assert results["ridge"].best_params in [t.params for t in trials if t.round == 1]


def test_the_first_round_of_halving_has_a_sane_number_of_rows():
    from corrida.pipelines.model_search.search import Problem
    from corrida.pipelines.model_search.search.halving import first_rows

    def rows(**more):
        return first_rows(Problem({}, {}, 20, 0, **more))

    assert rows(rows=90_000, features=5) == 10_000
    assert rows(rows=1000, features=5) == 200
    assert rows(rows=1000, features=5, classes=8) == 400
    assert rows(rows=5000, features=90) == 900
    assert rows(rows=150, features=5) == 150


def test_a_candidate_that_fails_is_kept_and_the_search_goes_on(searched):
    spec = ModelSpec("moody", Failing, space={"level": [0, 1, 2, 3, 4]})
    results, recorder = searched([spec], n_iter=20, pickle=True)
    trials = results["moody"].trials
    assert [t.error for t in trials] == [
        None,
        None,
        None,
        "ValueError: level 3 is too much",
        "ValueError: level 4 is too much",
    ]
    assert results["moody"].best_params == {"level": 0}
    assert any("2 of 5 candidates failed" in said for said in recorder.children[0].warnings)


def test_a_model_that_fails_leaves_the_others_alone(searched):
    specs = [
        ModelSpec("lost", Failing, space={"level": [3, 4]}),
        ModelSpec("endless", Infinite, space={"level": [0, 1]}),
        ModelSpec("odd", NotCloned),
        ModelSpec("wrong", Failing, space={"lvl": [1]}),
        ModelSpec("broken", lambda: 1 / 0),
        ModelSpec("number", lambda: 3),
        "linear",
    ]
    results, recorder = searched(specs, pickle=True)
    assert [one.name for one in results.failed] == ["lost", "endless", "odd", "wrong", "broken", "number"]
    assert results.best.name == "linear"
    errors = {one.name: one.error for one in results.failed}
    assert "every candidate failed" in errors["lost"]
    assert "not a finite number" in errors["endless"]
    assert "cannot be cloned" in errors["odd"]
    assert "Did you mean" in errors["wrong"] or "level" in errors["wrong"]
    assert "ZeroDivisionError" in errors["broken"]
    assert "no method fit()" in errors["number"]
    assert [child.error is None for child in recorder.children] == [False] * 6 + [True]
    report = recorder.tables["training_report.csv"]
    assert report["model"].to_list()[0] == "linear"
    assert report["error"].null_count() == 1


def test_answers_of_another_shape_are_named(searched):
    results, _ = searched([ModelSpec("double", Double), "ridge"], pickle=True)
    assert "predict gave answers of shape (40, 2) for 40 rows" in results["double"].error


def test_outputs_are_readable_and_losses_are_exact():
    assert readable(np.array([21.751345729475204, -0.0012345678912, 0.0]), 7.0) == [
        "21.75135",
        "-0.00123457",
        "0.0",
    ]
    assert readable(np.array([1.7e9 + 0.123456]), 0.01) == ["1700000000.123456"]
    assert readable(np.array([1234567.89, np.inf, 1e300]), 1e5) == ["1234568.0", "inf", "1e+300"]


def test_when_all_fail_the_report_still_comes(searched, recorder):
    with pytest.raises(NoModelFitted, match="no model could be fitted; lost: ValueError: every candidate"):
        searched([ModelSpec("lost", Failing, space={"level": [3]})], pickle=True, keep_in=recorder)
    assert recorder.tables["training_report.csv"]["status"].to_list() == ["failed"]


@pytest.mark.slow
def test_a_killed_worker_does_not_lose_the_search(searched, parallel, tmp_path):
    flag = str(tmp_path / "died")
    spec = ModelSpec("killed", lambda: Killed(flag=flag), space={"alpha": [0.5, 1.0, 2.0]})
    results, recorder = searched([spec], keep_in=parallel(), pickle=True)
    trials = results["killed"].trials
    assert [t.error for t in trials] == [None] * 3
    assert max(t.attempts for t in trials) == 2
    assert any("died" in said for said in recorder.children[0].warnings)


def test_a_search_goes_on_from_the_candidates_that_had_finished(searched, recorder, tmp_path):
    import json

    first, kept = searched(["ridge"], n_iter=4, method="tpe")
    lines = kept.children[0].lines["trials.jsonl"]
    (tmp_path / "trials.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines[:3]) + '{"number": 2, "par', encoding="utf-8"
    )

    class Resumed(type(recorder)):
        def earlier(self, name):
            return tmp_path / name if self.run_id.endswith("-ridge") and name == "trials.jsonl" else None

    again, _ = searched(["ridge"], n_iter=4, method="tpe", keep_in=Resumed())
    assert [t.resumed for t in again["ridge"].trials] == [True, True, False, False]
    assert scores(again) == scores(first)
    other = Resumed()
    changed, _ = searched(["ridge"], n_iter=4, method="tpe", keep_in=other, random_state=6)
    assert not any(t.resumed for t in changed["ridge"].trials)
    assert "other data or settings" in other.children[0].warnings[0]


@pytest.mark.slow
def test_a_search_without_improvement_ends_early_and_alike_on_any_executor(searched, parallel):
    spec = ModelSpec("flat", Shift, space={"by": [float(n) for n in range(12)]})
    asked = {"n_iter": 12, "patience": 3, "pickle": True}
    one, _ = searched([spec], **asked)
    two, _ = searched([spec], keep_in=parallel(), **asked)
    assert [t.number for t in one["flat"].trials] == [0, 1, 2, 3]
    assert scores(one) == scores(two)
    assert one["flat"].stopped == "after 3 candidates without a better one"


def test_a_search_ends_when_its_time_is_over_and_keeps_what_it_has(searched):
    results, _ = searched(["ridge"], n_iter=500, max_seconds=0.2)
    assert 1 <= len(results["ridge"].trials) < 500
    assert results["ridge"].stopped == "after 0.2 s"
    assert results["ridge"].status == "fitted"
    halved, _ = searched(["ridge"], n_iter=50, max_seconds=1e-6, method="halving", min_rows=30)
    assert [t.rows for t in halved["ridge"].trials] == [30, None]
    assert halved["ridge"].status == "fitted"


def test_a_search_that_is_complete_is_not_said_to_have_been_stopped(searched):
    results, _ = searched(["ridge", "linear"], n_iter=1, max_seconds=1e-6)
    assert [one.stopped for one in results.values()] == ["", ""]


def test_labels_of_any_kind_come_back_as_they_were(searched):
    frame = table(150, text=True)
    y = target(frame, "classification")
    names = ["linear", "xgboost", "lightgbm", "hist_gradient_boosting"]
    for labels in (y, np.where(y == "high", 7, 3), [label == "high" for label in y]):
        data = SearchData(frame[:110], labels[:110], frame[110:], labels[110:], task="classification")
        results, _ = searched(names, task="classification", data=data, method="none")
        for one in results.values():
            assert one.status == "fitted"
            assert set(one.estimator.predict(frame).tolist()) <= set(
                labels.tolist() if hasattr(labels, "tolist") else labels
            )
            assert one.items["correct"].mean() == pytest.approx(one.metrics["test_accuracy"])


def test_models_of_the_catalogue_warn_of_nothing_and_have_their_seed(searched):
    names = ["linear", "linear_predictive", "naive_bayes", "knn"]
    results, recorder = searched(names, task="classification", method="none")
    assert [child.warnings for child in recorder.children] == [[]] * 4
    assert results["linear"].estimator.estimator.random_state == 5
    boosted, _ = searched(["lightgbm"], method="none")
    assert boosted["lightgbm"].estimator.estimator.n_jobs == 1


def test_a_class_that_a_fold_lacks_does_not_shift_the_others(searched):
    frame = table(120)
    y = np.array(["c"] * 6 + ["a", "b"] * 57)
    folds = [(np.arange(6, 80), np.arange(80, 120)), (np.arange(0, 80), np.arange(80, 120))]
    data = SearchData(frame, y, task="classification", splits=folds)
    results, _ = searched(
        ["linear", "xgboost", "naive_bayes"], task="classification", data=data, method="none"
    )
    assert [one.status for one in results.values()] == ["fitted"] * 3


def test_a_users_own_pipeline_gets_the_table_as_it_is(searched):
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    def build():
        prepare = make_column_transformer((OneHotEncoder(), ["where"]), remainder="passthrough")
        return make_pipeline(prepare, LogisticRegression(class_weight={"high": 2, "low": 1, "middle": 1}))

    frame = table(150, text=True).to_pandas()
    y = target(table(150, text=True), "classification")
    spec = ModelSpec("own", build, "classification", {"logisticregression__C": [0.1, 1.0]}, "none")
    data = SearchData(frame[:110], y[:110], frame[110:], y[110:], task="classification")
    results, _ = searched([spec], task="classification", data=data)
    assert results["own"].status == "fitted"
    assert results["own"].estimator.predict(frame).tolist()[0] in {"high", "low", "middle"}


def test_a_space_that_is_smaller_than_what_is_asked_for_is_tried_once(searched):
    spec = ModelSpec("knn", available_specs()["knn"].build, space={"n_neighbors": [3, 5, 7]})
    for method in ("random", "tpe"):
        results, _ = searched([spec], n_iter=50, method=method)
        assert [t.params["n_neighbors"] for t in results["knn"].trials] == [5, 3, 7]


def test_specs_are_checked_before_anything_is_done(searched, recorder):
    cat = available_specs()
    for specs, said in [
        ([], "no model to search"),
        ([cat["ridge"], cat["ridge"]], "two models are called ridge"),
        ([available_specs(task="classification")["knn"]], "is for classification"),
        ([3], "is no ModelSpec"),
    ]:
        with pytest.raises(InvalidConfig, match=said):
            searched(specs, keep_in=recorder)
    assert not recorder.children
    with pytest.raises(InvalidConfig, match=r"no metric 'r3' for regression.*r2, mse"):
        searched(["ridge"], scoring="r3")


def test_warnings_of_a_library_are_said_once(searched):
    from sklearn.linear_model import Lasso

    spec = ModelSpec("hasty", lambda: Lasso(max_iter=1, tol=1e-12), space={"alpha": [1e-6, 1e-5]})
    _, recorder = searched([spec])
    said = recorder.children[0].warnings
    assert len([one for one in said if "ConvergenceWarning" in one]) == 1
    assert "2 of 2 candidates" in said[0]

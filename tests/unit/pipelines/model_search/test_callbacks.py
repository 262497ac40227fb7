"""Who is told of a search, when, and what becomes of what they raise."""

from __future__ import annotations

import time

import pytest

from corrida.errors import BadInput
from corrida.pipelines.model_search.callbacks import SearchCallback
from corrida.pipelines.model_search.specs import ModelSpec
from corrida.pipelines.model_search.system_metrics import SystemMetricsCallback


class Telling(SearchCallback):
    def __init__(self, recorder):
        self.said, self.recorder = [], recorder

    def on_search_start(self, search):
        self.said.append(
            ("start", [spec.name for spec in search.specs], search.scoring, search.settings.n_iter)
        )

    def on_trial(self, spec, trial):
        self.said.append(("trial", spec.name, trial.number, trial.best_so_far))

    def on_model_fitted(self, spec, estimator, metrics, extras):
        saved = {name for child in self.recorder.children for name in child.models}
        self.said.append(("fitted", spec.name, spec.name in saved, metrics, extras, estimator))

    def on_model_failed(self, spec, error, extras):
        self.said.append(("failed", spec.name, str(error), extras))

    def on_search_end(self, results):
        self.said.append(("end", list(results)))


def test_a_callback_is_told_of_everything_in_order_and_after_the_model_is_saved(searched, recorder):
    told = Telling(recorder)
    specs = ["ridge", ModelSpec("broken", lambda: 1 / 0), "linear"]
    searched(specs, callbacks=[told], keep_in=recorder, n_iter=2)
    kinds = [one[0] for one in told.said]
    assert kinds == ["start", "trial", "trial", "fitted", "failed", "trial", "fitted", "end"]
    assert told.said[0] == ("start", ["ridge", "broken", "linear"], "r2", 2)
    _, name, saved, metrics, extras, estimator = told.said[3]
    assert (name, saved) == ("ridge", True)
    assert {"val_r2", "test_r2", "train_duration_sec"} <= set(metrics)
    assert extras["best_params"].keys() == {"alpha"}
    assert extras["cv_results"].height == 2
    assert set(extras["tables"]) == {"ridge_cv_results.csv"}
    assert extras["fold_scores"].height == 3
    assert estimator.feature_names == ["a", "b", "c"]
    assert "ZeroDivisionError" in told.said[4][2]
    assert told.said[-2][4]["cv_results"] is None
    assert told.said[-1] == ("end", ["ridge", "broken", "linear"])


def test_a_function_is_called_for_each_fitted_model(searched):
    calls = []
    searched(["linear"], callbacks=[lambda *args: calls.append(args)])
    ((spec, _, metrics, extras),) = calls
    assert (spec.name, "test_r2" in metrics, "refit_sec" in extras) == ("linear", True, True)


def test_what_a_callback_raises_is_kept_and_said_and_ends_nothing(searched, recorder):
    class Broken(SearchCallback):
        def on_trial(self, spec, trial):
            raise RuntimeError("the tracker is away")

        def on_search_end(self, results):
            raise KeyError("x")

    after = Telling(recorder)
    results, _ = searched(["ridge"], callbacks=[Broken(), after], keep_in=recorder, n_iter=4)
    assert results.best.name == "ridge"
    assert [one[0] for one in after.said][-2:] == ["fitted", "end"]
    first, second = results.callback_errors
    assert (first.callback, first.hook, first.count) == ("Broken", "on_trial", 4)
    assert "the tracker is away" in recorder.texts[first.file]
    assert "Traceback" in recorder.texts[first.file]
    assert second.hook == "on_search_end"
    assert any("failed in on_trial 4 times" in said and first.file in said for said in recorder.warnings)


def test_an_interrupt_goes_through_and_the_end_is_told(searched, recorder):
    class Interrupting(Telling):
        def on_trial(self, spec, trial):
            raise KeyboardInterrupt

    told = Interrupting(recorder)
    with pytest.raises(KeyboardInterrupt):
        searched(["ridge", "linear"], callbacks=[told], keep_in=recorder)
    assert [one[0] for one in told.said] == ["start", "end"]
    assert isinstance(recorder.children[0].error, KeyboardInterrupt)


@pytest.mark.parametrize(
    ("given", "said"), [([SearchCallback], "is a class"), ([3], "is no callback"), ("text", "must be a list")]
)
def test_what_is_no_callback_is_refused(searched, given, said):
    with pytest.raises(BadInput, match=said):
        searched(["linear"], callbacks=given)


def test_system_metrics_are_logged_while_it_runs(searched, recorder):
    measure = SystemMetricsCallback(interval=0.05)

    def slow(*_):
        time.sleep(0.3)

    results, _ = searched(["linear"], callbacks=[measure, slow], keep_in=recorder)
    assert len(recorder.steps) >= 3
    assert all(found["system.memory_mb"] > 10 for _, found in recorder.steps)
    assert results.metrics["system.memory_mb_peak"] >= recorder.steps[0][1]["system.memory_mb"]
    assert not results.callback_errors
    count = len(recorder.steps)
    time.sleep(0.15)
    assert len(recorder.steps) == count


def test_an_error_while_it_measures_does_not_vanish(searched, recorder):
    def broken(metrics, step=None):
        raise OSError("no space")

    recorder.log = broken
    results, _ = searched(
        ["linear"], callbacks=[SystemMetricsCallback(0.05), lambda *_: time.sleep(0.2)], keep_in=recorder
    )
    assert results.callback_errors[0].error == "OSError: no space"


def test_an_interval_that_measures_itself_is_refused():
    with pytest.raises(BadInput, match=r"0\.05"):
        SystemMetricsCallback(interval=0)

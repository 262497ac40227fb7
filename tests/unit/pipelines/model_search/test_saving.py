"""Every model of the catalogue goes to files and comes back the same, and no file runs code."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from engine_data import Shift, table, target

from corrida.errors import DamagedRun, Refused
from corrida.pipelines.model_search.catalogue import available_specs
from corrida.pipelines.model_search.fitted import FittedModel
from corrida.pipelines.model_search.saving import file_format, load_fitted, save_fitted, write_fitted
from corrida.pipelines.model_search.search_data import SearchData
from corrida.pipelines.model_search.specs import ModelSpec


def written(recorder, name, folder):
    place = folder / name
    for file, content in recorder.models[name].items():
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_bytes(content)
    return place


def quick(spec):
    """The same model with few trees."""
    few = {"n_estimators": 8, "max_iter": 8}

    def build():
        model = spec.build()
        wanted = {k: v for k, v in few.items() if k in model.get_params() and k in spec.space}
        return model.set_params(**wanted)

    return ModelSpec(spec.name, build, spec.task, {}, spec.preprocessing, spec.packages)


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_every_model_comes_back_the_same(task, searched, tmp_path):
    frame = table(130, gaps=True, text=True)
    y = target(frame, task)
    data = SearchData(frame[:100], y[:100], frame[100:], y[100:], task=task, target="wärme")
    specs = [quick(spec) for spec in available_specs(task=task).values()]
    results, recorder = searched(specs, task=task, data=data, cv=2)
    assert not results.failed, results.failed
    formats = {}
    for child in recorder.children:
        name = child.params["model"]
        folder = written(child, name, tmp_path)
        before, after = results[name].estimator, load_fitted(folder)
        assert (before.predict(frame) == after.predict(frame)).all()
        assert (after.target, after.task, after.feature_names) == ("wärme", task, ["a", "b", "c", "where"])
        if task == "classification":
            assert before.predict_proba(frame) == pytest.approx(after.predict_proba(frame), abs=1e-12)
            assert after.classes_.tolist() == ["high", "low", "middle"]
        one = frame[3:4]
        alone, among = after.predict(one)[0], before.predict(frame)[3]
        assert alone == (pytest.approx(among) if task == "regression" else among)
        formats[name] = __import__("json").loads((folder / "model.json").read_bytes())["format"]
    assert {name for name, form in formats.items() if form != "skops"} == {"xgboost", "lightgbm"}
    assert (formats["xgboost"], formats["lightgbm"]) == ("xgboost-ubj", "lightgbm-text")


def test_a_booster_without_preparation_comes_back_too(searched, tmp_path):
    specs = [quick(available_specs()[name]) for name in ("xgboost", "lightgbm", "hist_gradient_boosting")]
    results, recorder = searched(specs)
    for child in recorder.children:
        name = child.params["model"]
        after = load_fitted(written(child, name, tmp_path))
        frame = table(40, seed=8)
        assert (after.predict(frame) == results[name].estimator.predict(frame)).all()


def test_what_no_safe_format_holds_is_refused_before_the_search(searched):
    calls = []

    class Counted(Shift):
        def fit(self, X, y):  # noqa: N803
            calls.append(1)
            return super().fit(X, y)

    spec = ModelSpec("own", Counted, space={"by": [1.0, 2.0]})
    results, _ = searched([spec, "linear"])
    assert not calls
    assert results["own"].status == "failed"
    assert "pickle=true" in results["own"].error
    assert results.best.name == "linear"


def test_a_pickle_needs_consent_to_be_written_and_to_be_read(searched, tmp_path):
    results, recorder = searched([ModelSpec("own", Shift)], pickle=True)
    folder = written(recorder.children[0], "own", tmp_path)
    with pytest.raises(Refused, match="--trust"):
        load_fitted(folder)
    frame = table(10)
    assert (load_fitted(folder, trust=True).predict(frame) == results["own"].estimator.predict(frame)).all()


def test_a_file_has_no_say_in_what_is_trusted(recorder, tmp_path):
    import skops.io

    model = FittedModel(Shift().fit([[1]], [1.0]), task="regression")

    def write(folder):
        (folder / "fitted.json").write_text('{"task": "regression", "target": "y"}')
        (folder / "model.skops").write_bytes(skops.io.dumps(model.estimator))

    recorder.save_model("own", write, format="skops", libraries=["skops"])
    with pytest.raises(DamagedRun, match="types that corrida does not write"):
        load_fitted(written(recorder, "own", tmp_path))


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("model.skops", b"garbage", "cannot be read as skops"),
        ("fitted.json", b"{}", "missing required field"),
        (
            "fitted.json",
            b'{"task": "regression", "target": "y", "booster": "../../x"}',
            "cannot be read as skops",
        ),
        ("model.skops", None, "holds a dict, which does not predict"),
    ],
)
def test_files_that_were_forged_with_their_digests_are_damaged(recorder, tmp_path, file, content, said):
    import skops.io
    from sklearn.linear_model import Ridge

    content = skops.io.dumps({"a": 1}) if content is None else content

    def write(folder):
        write_fitted(folder, FittedModel(Ridge().fit(np.eye(3), [1.0, 2.0, 3.0]), task="regression"), "skops")
        (folder / file).write_bytes(content)

    recorder.save_model("ridge", write, format="skops", libraries=["skops"])
    with pytest.raises(DamagedRun, match=said):
        load_fitted(written(recorder, "ridge", tmp_path))


def test_an_altered_file_is_not_read(recorder, tmp_path):
    from sklearn.linear_model import Ridge

    fitted = FittedModel(Ridge().fit(np.eye(3), [1.0, 2.0, 3.0]), task="regression")
    assert save_fitted(recorder, "ridge", fitted) == "skops"
    folder = written(recorder, "ridge", tmp_path)
    content = (folder / "model.skops").read_bytes()
    assert zipfile.is_zipfile(io.BytesIO(content))
    (folder / "model.skops").write_bytes(content[:-1] + b"x")
    with pytest.raises(DamagedRun, match="was altered"):
        load_fitted(folder)


def test_the_format_is_known_before_the_fit():
    formats = {name: file_format(spec.build(), name) for name, spec in available_specs().items()}
    assert set(formats.values()) == {"skops", "xgboost-ubj", "lightgbm-text"}

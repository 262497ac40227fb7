"""The model search from Python: runs in a store, copies in a folder, and a killed search that goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import polars as pl
import pytest

import corrida
from corrida.errors import BadInput, InvalidConfig, InvalidData
from corrida.model_search import ModelSpec, available_specs, load_fitted, run_model_search
from corrida.pipelines.model_search.engine import NoModelFitted

RNG = np.random.default_rng(0)
X = pl.DataFrame(
    {"a": RNG.normal(size=140), "b": RNG.normal(size=140), "where": RNG.choice(["costa", "山"], 140)}
)
Y = X["a"].to_numpy() * 2 + (X["where"] == "山").to_numpy() + RNG.normal(size=140) * 0.2
PARTS = (X[:100], Y[:100], X[100:], Y[100:])


@pytest.fixture
def store(tmp_path):
    return corrida.Store(tmp_path / "runs")


def test_a_search_is_a_run_with_a_child_a_model(store):
    catalog = corrida.available_specs(include_optional=False)
    results = corrida.run_model_search(
        specs=[catalog[name] for name in ("linear_predictive", "lasso")],
        X_train=PARTS[0],
        y_train=PARTS[1],
        X_test=PARTS[2],
        y_test=PARTS[3],
        n_iter=3,
        cv=3,
        random_state=77,
        store=store,
        run_id="search",
        target="°C",
    )
    run = store.get("search")
    assert (run.status, run.pipeline, run.seed) == ("finished", "model_search", 77)
    assert run.metrics["test_r2"] == results.best.metrics["test_r2"]
    assert run.metrics["models_trained"] == 2
    assert results.run_id == "search"
    assert results.path == run.dir
    children = {child.id: child for child in store.runs(filter="parent = 'search'")}
    assert set(children) == {"search-linear_predictive", "search-lasso"}
    lasso = children["search-lasso"]
    assert lasso.params["best_alpha"] == results["lasso"].best_params["alpha"]
    assert {"val_r2", "test_mae", "train_duration_sec", "refit_sec"} <= set(lasso.metrics)
    assert (lasso.dir / "lasso_cv_results.csv").is_file()
    assert (children["search-linear_predictive"].dir / "linear_predictive_cv_scores.csv").is_file()
    assert (children["search-linear_predictive"].dir / "linear_predictive_search_params.csv").is_file()
    assert (run.dir / "training_report.csv").is_file()
    again = load_fitted(lasso.dir / "models" / "lasso")
    assert again.predict(PARTS[2]) == pytest.approx(results["lasso"].test_output)
    assert results["lasso"].model_path == lasso.dir / "models" / "lasso"
    assert load_fitted(run.dir / "models" / results.best.name).target == "°C"
    compared = corrida.compare("search-linear_predictive", "search-lasso", store=store)
    assert compared


@pytest.mark.parametrize("kind", ["pandas", "numpy"])
def test_any_kind_of_table_gives_the_same_results(kind, store):
    numbers = X.select("a", "b")
    given = {"pandas": numbers.to_pandas(), "numpy": numbers.to_numpy()}[kind]
    y = pd.Series(Y) if kind == "pandas" else Y.tolist()
    here = run_model_search(["ridge"], given[:100], y[:100], given[100:], y[100:], 3, 3, 1, store=store)
    there = run_model_search(["ridge"], numbers[:100], Y[:100], numbers[100:], Y[100:], 3, 3, 1, store=store)
    assert here["ridge"].metrics["test_r2"] == there["ridge"].metrics["test_r2"]
    assert here["ridge"].best_params == there["ridge"].best_params


def test_without_a_store_the_folder_gets_everything_and_nothing_is_overwritten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = {"n_iter": 2, "cv": 2, "random_state": 1, "save": False, "output_dir": "salida"}
    first = run_model_search(["ridge", "linear"], *PARTS, **asked)
    second = run_model_search(["ridge"], *PARTS, **asked)
    assert not (tmp_path / "runs").exists()
    assert first.output_path != second.output_path
    there = {path.relative_to(first.output_path).as_posix() for path in first.output_path.rglob("*.csv")}
    assert there == {
        "training_report.csv",
        "ridge_cv_results.csv",
        "linear_cv_scores.csv",
        "linear_search_params.csv",
    }
    assert load_fitted(first["ridge"].model_path).predict(X[:3]) == pytest.approx(
        first["ridge"].estimator.predict(X[:3])
    )


def test_wrong_use_leaves_no_run(store):
    for specs, parts, said in [
        (["rigde"], PARTS, "no model 'rigde'"),
        ("ridge", PARTS, "must be a list"),
        (["ridge"], (X[:100], ["warm", *Y[1:100]], None, None), "a regression needs numbers"),
    ]:
        with pytest.raises((InvalidConfig, InvalidData), match=said):
            run_model_search(specs, *parts, store=store)
    with pytest.raises(InvalidConfig, match="n_iter"):
        run_model_search(["ridge"], *PARTS, n_iter=0, store=store)
    with pytest.raises(InvalidConfig, match="n_jobs is -2; give a number of tasks"):
        run_model_search(["ridge"], *PARTS, n_jobs=-2, store=store)
    with pytest.raises(BadInput, match="no executor 'rya'"):
        run_model_search(["ridge"], *PARTS, executor="rya", store=store)
    assert len(store.runs()) == 0


def test_what_went_wrong_is_shown_at_the_end_of_a_script(store, caplog):
    def tell(spec, estimator, metrics, extras):
        raise KeyError(spec.name)

    broken = ModelSpec("broken", lambda: 1 / 0)
    run_model_search(
        [available_specs()["ridge"], broken], *PARTS, n_iter=2, cv=3, callbacks=[tell], store=store
    )
    said = "\n".join(
        record.getMessage() for record in caplog.records if record.name == "corrida.model_search"
    )
    assert "broken failed and is left out" in said
    assert "the callback tell failed in on_model_fitted with KeyError: 'ridge'" in said


def test_a_search_whose_models_all_fail_is_kept_as_failed(store):
    with pytest.raises(NoModelFitted):
        run_model_search([ModelSpec("broken", lambda: 1 / 0)], *PARTS, store=store, run_id="bad")
    run = store.get("bad")
    assert run.status == "failed"
    assert "ZeroDivisionError" in (run.dir / "training_report.csv").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_killed_search_goes_on_from_its_finished_candidates(store, tmp_path):
    script = tmp_path / "search.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import os, signal, sys
            import numpy as np
            from corrida.model_search import SearchCallback, run_model_search

            class Kill(SearchCallback):
                def on_trial(self, spec, trial):
                    if spec.name == "lasso" and trial.number == 2:
                        os.kill(os.getpid(), signal.SIGKILL)

            rng = np.random.default_rng(0)
            X = rng.normal(size=(90, 3)); y = X[:, 0] + rng.normal(size=90) * .1
            run_model_search(["ridge", "lasso"], X, y, n_iter=5, cv=3, random_state=4, store={str(store.root)!r},
                             run_id=sys.argv[1], resume=sys.argv[2] or None, callbacks=[Kill()] if not sys.argv[2] else [])
            """
        ),
        encoding="utf-8",
    )

    def search(run_id, resume=""):
        environment = {**os.environ, "COLUMNS": "120"}
        return subprocess.run(
            [sys.executable, str(script), run_id, resume],
            check=False, env=environment, cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip

    assert search("killed").returncode == -signal.SIGKILL
    assert store.get("killed").status == "crashed"
    done = search("again", "killed")
    assert done.returncode == 0, done.stderr
    whole = search("whole")  # is killed too: what it had is compared
    assert whole.returncode == -signal.SIGKILL

    def trials(run_id):
        lines = (store.root / run_id / "trials.jsonl").read_text(encoding="utf-8").splitlines()[1:]
        return [json.loads(line) for line in lines]

    assert [t["resumed"] for t in trials("again-ridge")] == [True] * 5
    assert [t["resumed"] for t in trials("again-lasso")] == [True] * 3 + [False] * 2
    assert store.get("again").resumed_from == "killed"
    for one, other in zip(trials("again-lasso"), trials("whole-lasso"), strict=False):
        assert one["params"] == other["params"]
        assert [f["metrics"] for f in one["folds"]] == [f["metrics"] for f in other["folds"]]
    assert store.get("again").status == "finished"


def test_names_are_loaded_when_they_are_used():
    code = "import corrida, sys; assert 'sklearn' not in sys.modules; corrida.run_model_search; print('ok')"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout == b"ok\n"
    assert set(available_specs()) == set(corrida.available_specs())

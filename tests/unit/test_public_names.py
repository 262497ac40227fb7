"""What others script against, and what starting costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import corrida

HEAVY = {"polars", "numpy", "yaml", "rich", "sqlite3", "click", "msgspec", "pandas", "rapidfuzz", "bm25s",
         "sqlalchemy", "psycopg"}  # fmt: skip


def test_the_public_names_are_exactly_these():
    assert set(corrida.__all__) == {
        "Comparison", "GateResult", "MLflowCallback", "Outcome", "Pipeline", "Predicted", "Recorder", "RunRecord", "RunWriter", "Runs", "Store", "__version__",
        "available_specs", "compare", "current_run", "errors", "gate", "item_history", "predict", "promote", "run_model_search", "run_model_search_with_mlflow", "stamp", "start_run", "track",
    }  # fmt: skip
    assert all(getattr(corrida, name) is not None for name in corrida.__all__)
    assert dir(corrida) == sorted(corrida.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = corrida.nope


def _loaded(code):
    code = f"{code}\nimport json, sys\nprint(); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1])) & HEAVY


def _cli(*arguments):
    return f"from corrida.cli.main import run_cli\nassert run_cli({list(arguments)!r}) == 0"


def test_importing_corrida_imports_nothing_heavy():
    assert _loaded("import corrida") == set()


def test_help_needs_click_alone():
    assert _loaded(_cli("--help")) == {"click"}


def test_listing_needs_no_tables_or_numbers(toy, corrida):
    corrida("run", "jobs")
    light = {"click", "msgspec", "sqlite3"}
    assert _loaded(_cli("list", "--json")) == light
    assert _loaded(_cli("show", "--json")) <= light
    (toy.root / "corrida.toml").write_text('[pipelines.jobs]\nuses = "matching"\n', encoding="utf-8")
    assert _loaded(_cli("list")) == light

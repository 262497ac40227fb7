"""corrida keeps every run of a machine-learning pipeline as a plain folder.

import corrida

with corrida.start_run(run_tag="baseline", configs=["config/*.json"]) as run:
run.log_metrics({"precision": 0.64})

corrida.compare("latest~1", "latest")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from corrida import errors
    from corrida.analysis.compare import Comparison
    from corrida.analysis.gate import GateResult
    from corrida.bridges.database import stamp
    from corrida.bridges.mlflow.search_callback import MLflowCallback
    from corrida.bridges.mlflow.tracked_search import run_model_search_with_mlflow
    from corrida.execute.predict import Predicted, predict
    from corrida.model_search import available_specs, run_model_search
    from corrida.pipelines.contract import Outcome, Pipeline, Recorder
    from corrida.runs.record import RunRecord, Runs
    from corrida.runs.store import Store
    from corrida.runs.writer import RunWriter
    from corrida.session import compare, current_run, gate, item_history, promote, start_run, track

# Loaded when first used: `import corrida` costs a few milliseconds.
_HOME = {
    "Comparison": "corrida.analysis.compare",
    "GateResult": "corrida.analysis.gate",
    "MLflowCallback": "corrida.bridges.mlflow.search_callback",
    "Outcome": "corrida.pipelines.contract",
    "Pipeline": "corrida.pipelines.contract",
    "Predicted": "corrida.execute.predict",
    "Recorder": "corrida.pipelines.contract",
    "RunRecord": "corrida.runs.record",
    "RunWriter": "corrida.runs.writer",
    "Runs": "corrida.runs.record",
    "Store": "corrida.runs.store",
    "available_specs": "corrida.model_search",
    "compare": "corrida.session",
    "current_run": "corrida.session",
    "errors": "corrida.errors",
    "gate": "corrida.session",
    "item_history": "corrida.session",
    "predict": "corrida.execute.predict",
    "promote": "corrida.session",
    "run_model_search": "corrida.model_search",
    "run_model_search_with_mlflow": "corrida.bridges.mlflow.tracked_search",
    "stamp": "corrida.bridges.database",
    "start_run": "corrida.session",
    "track": "corrida.session",
}

__all__ = [
    "Comparison",
    "GateResult",
    "MLflowCallback",
    "Outcome",
    "Pipeline",
    "Predicted",
    "Recorder",
    "RunRecord",
    "RunWriter",
    "Runs",
    "Store",
    "__version__",
    "available_specs",
    "compare",
    "current_run",
    "errors",
    "gate",
    "item_history",
    "predict",
    "promote",
    "run_model_search",
    "run_model_search_with_mlflow",
    "stamp",
    "start_run",
    "track",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'corrida' has no attribute {name!r}")
    module = importlib.import_module(_HOME[name])
    value = module if name == "errors" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

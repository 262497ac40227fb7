"""Models that a run which is resumed had finished: validated, fitted on all the data, and saved."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from corrida.pipelines.forecasting.panel import Forecast
from corrida.pipelines.forecasting.tasks import forecast_ahead
from corrida.pipelines.forecasting.validation import Trial, Validated, trial_of, windows
from corrida.pipelines.model_files import FACTS, read_facts

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.forecasting.models import ForecastModel
    from corrida.pipelines.forecasting.panel import Panel
    from corrida.pipelines.forecasting.settings import ForecastingConfig

CV_DIGEST = "cv_results"
"""The fact of a saved model that says which table of its validation belongs to it."""


def digest_of(frame: pl.DataFrame) -> str:
    """Return the digest of a table as it is saved."""
    return f"sha256:{hashlib.sha256(frame.write_csv().encode()).hexdigest()}"


def take_over(
    model: ForecastModel, panel: Panel, config: ForecastingConfig, recorder: Recorder
) -> tuple[Validated, dict[str, bytes]] | None:
    """Return what the resumed run found of a model, and the files that it saved; None when it had not finished.

    Inputs are those of that run, so what it gave is what would come out again.
    """
    folder = recorder.earlier(f"models/{model.name}")
    table = recorder.earlier(f"cv_results_{model.name}.csv")
    if folder is None or table is None:
        return None
    content = table.read_bytes()
    if read_facts(folder).facts.get(CV_DIGEST) != f"sha256:{hashlib.sha256(content).hexdigest()}":
        return None
    found = Validated(model, _trials(model, content, panel, config))
    found.ahead = forecast_ahead(model, model.load(folder), panel, config)
    return found, _files(folder)


def _files(folder: Path) -> dict[str, bytes]:
    """Return the files of a model, ``model.json`` the last, as when it was written."""
    paths = sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda p: (p.name == FACTS, p))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _trials(model: ForecastModel, content: bytes, panel: Panel, config: ForecastingConfig) -> list[Trial]:
    import polars as pl

    texts = {"unique_id": pl.String, "ds": pl.String, "cutoff": pl.String}
    frame = pl.read_csv(content, schema_overrides=texts)
    parts: dict[tuple[Any, ...], pl.DataFrame] = frame.partition_by("unique_id", "window", as_dict=True)
    levels = config.levels if model.own_intervals else []
    trials = []
    for window in windows(panel, config):
        for one in window.known.series:
            part = parts[one.id, window.number]
            bounds = {
                level: (_floats(part, f"lower_{level}"), _floats(part, f"upper_{level}")) for level in levels
            }
            forecast = Forecast(_floats(part, "forecast"), bounds)
            trials.append(trial_of(model, panel, window, one, forecast, config))
    return trials


def _floats(part: pl.DataFrame, name: str) -> Any:
    return part[name].cast(float).to_numpy().astype(np.float64)

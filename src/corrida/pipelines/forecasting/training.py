"""Training: each model is validated, refitted on all the data, and saved; one that fails leaves the others alone."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidData
from corrida.pipelines.forecasting.models import MODELS, NAIVE
from corrida.pipelines.forecasting.tables import ERRORS, cv_table
from corrida.pipelines.forecasting.validation import Validated, try_model, windows, with_intervals

if TYPE_CHECKING:
    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.forecasting.models import ForecastModel
    from corrida.pipelines.forecasting.panel import Panel
    from corrida.pipelines.forecasting.settings import ForecastingConfig
    from corrida.pipelines.forecasting.validation import Window


@dataclass
class Trained:
    """What came of all models.

    Attributes:
        validated: by name, those that were trained.
        failed: by name, why.
        rows: one a model, for ``models.csv``.
        times: one a model, for ``timings.csv``; apart, so that all other tables of two equal runs are equal.
    """

    validated: dict[str, Validated] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    times: list[dict[str, Any]] = field(default_factory=list)


def asked_models(config: ForecastingConfig) -> list[ForecastModel]:
    """Return the models of a configuration, SeasonalNaive among them, the simplest first."""
    return sorted({MODELS[name] for name in (NAIVE, *config.models)}, key=lambda model: model.complexity)


def train(panel: Panel, config: ForecastingConfig, seed: int, recorder: Recorder) -> Trained:
    """Validate, refit and save each model.

    What a model gave is saved as soon as there is all of it: ``cv_results_<model>.csv`` and ``models/<model>``.

    Raises:
        RuntimeError: no model could be trained.
    """
    models = asked_models(config)
    origins = windows(panel, config)
    steps: list[tuple[ForecastModel, Window | None]] = [
        (model, origin) for model in models for origin in (*origins, None)
    ]
    found = Trained()
    open_: dict[str, _Work] = {model.name: _Work(model) for model in models}
    label = f"{len(models)} models, {len(origins)} windows each"
    for model, origin in recorder.progress(steps, total=len(steps), label=label):
        work = open_[model.name]
        if work.failed:
            continue
        try:
            if origin is not None:
                work.validate(panel, origin, config, seed, recorder)
            else:
                work.refit(panel, config, seed, recorder)
        except (InvalidData, OSError):
            raise  # of the recorder or the data, not of the model
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the other models go on
            place = f"window {origin.number}" if origin else "the fit on all data"
            work.failed = f"{place}: {_first_line(error)}"
            recorder.warn(f"{model.name} failed and is left out: {work.failed}")
            recorder.save_text(f"failures/{model.name}.txt", "".join(traceback.format_exception(error)))
    for work in open_.values():
        found.rows.append(work.row(panel, config))
        found.times.append(work.times())
        if work.failed:
            found.failed[work.model.name] = work.failed
        else:
            found.validated[work.model.name] = work.found
    if not found.validated:
        name, why = next(iter(found.failed.items()))
        raise RuntimeError(f"no model could be trained; {name}: {why}")
    return found


class _Work:
    """One model on its way."""

    def __init__(self, model: ForecastModel) -> None:
        self.model, self.found = model, Validated(model)
        self.failed = ""
        self.validation_seconds = 0.0
        self.fit_seconds: float | None = None

    def validate(
        self, panel: Panel, origin: Window, config: ForecastingConfig, seed: int, recorder: Recorder
    ) -> None:
        started = time.perf_counter()
        trials = try_model(self.model, panel, origin, config, seed)
        self.validation_seconds += time.perf_counter() - started
        self.found.trials += trials
        known = [trial.mase for trial in trials if trial.mase is not None]
        if known:
            recorder.log({f"{self.model.name}.mase": sum(known) / len(known)}, step=origin.number)

    def refit(self, panel: Panel, config: ForecastingConfig, seed: int, recorder: Recorder) -> None:
        started = time.perf_counter()
        fitted = self.model.fit(panel, config, seed)
        self.fit_seconds = time.perf_counter() - started
        with_intervals(self.found, config.levels)
        recorder.save_model(
            self.model.name,
            fitted.save,
            format=self.model.file_format,
            libraries=self.model.packages,
            facts={"fitted_on": "all data", "series": len(panel), "seed": seed, "threads": config.threads},
        )
        recorder.save_table(
            f"cv_results_{self.model.name}.csv", cv_table(self.found.trials, panel, config.levels)
        )

    def row(self, panel: Panel, config: ForecastingConfig) -> dict[str, Any]:
        """Return what ``models.csv`` says of the model: what was validated, and what was saved."""
        trained = not self.failed
        names = (*ERRORS, *(f"coverage_{level}" for level in config.levels))
        means = self.found.means(names, config.levels) if trained else {}
        return {
            "model": self.model.name,
            "status": "trained" if trained else "failed",
            "reason": self.failed or None,
            "windows_validated": len({trial.window for trial in self.found.trials}),
            "validation_fits_end": min(
                (panel.frequency.text(t.cutoff) for t in self.found.trials), default=None
            ),
            "saved_fit_ends": max(panel.frequency.text(panel.cutoff(one)) for one in panel.series)
            if trained
            else None,
            **{name: means.get(name) for name in names},
            "intervals": "own" if self.model.own_intervals else "conformal",
        }

    def times(self) -> dict[str, Any]:
        """Return how long the model took, for ``timings.csv``."""
        return {
            "model": self.model.name,
            "validation_seconds": round(self.validation_seconds, 3),
            "fit_seconds": None if self.fit_seconds is None else round(self.fit_seconds, 3),
        }


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

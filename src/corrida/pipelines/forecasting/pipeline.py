"""The forecasting pipeline: many series by many models, and the model that proves best for each series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidData
from corrida.pipelines.contract import Column, Data, Direction, Outcome, Recorder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from corrida.pipelines.contract import ConfigFile
    from corrida.pipelines.forecasting.cherry_pick import Choice, Trials
    from corrida.pipelines.forecasting.data import Found
    from corrida.pipelines.forecasting.old_models import OldPredictor
    from corrida.pipelines.forecasting.predictor import ForecastPredictor
    from corrida.pipelines.forecasting.settings import ForecastingConfig
    from corrida.pipelines.forecasting.training import Trained

_NOT_USED = {
    "output_dir": "the store is where runs go (--store)",
    "run_id": "--run-id names a run",
    "log_file": "a run keeps what it said in its log.txt",
}

_ENOUGH_SERIES = 6  # 2/2⁵ is above 5 %


class ForecastingPipeline:
    """Forecasts many series by many models, validated by rolling origin."""

    name: str = "forecasting"
    description: str = (
        "many series by many models, validated by rolling origin; the best model for each series"
    )
    columns: Sequence[Column] = (
        Column("models", "metrics.models_trained"),
        Column("horizon", "params.horizon"),
        Column("steps", "params.max_steps"),
        Column("best error", "metrics.best_mase"),
        Column("has", "has"),
        Column("cherry-pick", "metrics.cherry_pick.mase"),
    )
    primary_metric: str = "cherry_pick.mase"
    # A coverage is right when it is near its level: it has no better side.
    directions: Mapping[str, Direction] = {
        "best_mase": "min",
        "*.mase": "min",
        "*.mae": "min",
        "*.rmse": "min",
        "*.smape": "min",
        "models_failed": "min",
    }

    def configure(self, files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> ForecastingConfig:
        """Build the configuration.

        Raises:
            InvalidConfig: naming the place and the mend.
            MissingExtra: a model needs a library that is not installed.
        """
        from corrida.pipelines.forecasting.configure import configure

        return configure(files, overrides)

    def data_files(self, config: ForecastingConfig) -> Mapping[str, str]:
        """Return the data file that the configuration names, if it does."""
        return {} if config.data_file is None else {"series": config.data_file}

    def run(self, data: Data, config: ForecastingConfig, recorder: Recorder) -> Outcome:
        """Validate, refit and save each model, and choose one for each series.

        Raises:
            InvalidData: naming the file, the row or the series, and the mend.
        """
        from corrida.pipelines.forecasting.cherry_pick import Trials, choose, nested_choices
        from corrida.pipelines.forecasting.data import read_panel
        from corrida.pipelines.forecasting.predictor import save_predictor
        from corrida.pipelines.forecasting.report import write_report
        from corrida.pipelines.forecasting.results import Results
        from corrida.pipelines.forecasting.tables import (
            choices_table,
            items_table,
            metrics_table,
            models_table,
        )
        from corrida.pipelines.forecasting.training import train

        found = read_panel(_files(data, config), config, validated=True)
        panel = found.panel
        expected = _item_ids(found, config, data.item_ids)
        for message in (*found.warnings, *_said_of_config(config, found)):
            recorder.warn(message)
        trained = train(panel, config, config.seed if data.seed is None else data.seed, recorder)
        everything = [trial for one in trained.validated.values() for trial in one.trials]
        trials = Trials(everything)
        final = choose(trials, trials.windows, config.cherry_pick)
        nested = nested_choices(trials, config.cherry_pick)
        recorder.save_table("metrics.csv", metrics_table(everything, config.levels))
        recorder.save_table("models.csv", models_table(trained.rows))
        recorder.save_table("timings.csv", models_table(trained.times))
        recorder.save_table("cherry_pick.csv", choices_table(final))
        save_predictor(recorder, panel, config, trained, final)
        items = items_table(trials, nested, panel, config.levels)
        if expected is not None:
            items = items.filter(items["item_id"].is_in(list(expected)))
        kept = frozenset(zip(items["unique_id"], items["window"], strict=True))
        metrics = _metrics(trained, trials, nested, final, config, items, kept)
        if config.report:
            results = Results(panel, config, trained, trials, final, nested, kept, metrics)
            write_report(results, recorder)
        measures = {"cherry_pick.mase": "mean(loss)"}
        measures |= {f"{name}.mase": f"mean(mase.{name})" for name in trials.models}
        return Outcome(
            metrics,
            items,
            _dataset(found, trained, config),
            _summary(metrics, trained, found),
            measures=measures,
            # The errors of one series go together over its windows. Of fewer series no test could say anything.
            cluster="unique_id" if len(panel) >= _ENOUGH_SERIES else None,
        )

    def load(self, models: Path, *, trust: bool = False) -> ForecastPredictor | OldPredictor:
        """Return what forecasts with the models of a run.

        Args:
            models: the folder ``models`` of the run, which is all that is needed.
            trust: consent to model files that can run code; this pipeline writes none, but an adopted run may have some.

        Raises:
            NotFound, DamagedRun, Refused, MissingExtra: a model cannot be loaded.
        """
        from corrida.pipelines.forecasting.predictor import load_predictor

        return load_predictor(models, trust=trust)

    def predictor_type(self) -> type[ForecastPredictor]:
        """Return what :meth:`load` gives, whose options can be looked at without a model."""
        from corrida.pipelines.forecasting.predictor import ForecastPredictor

        return ForecastPredictor


def _files(data: Data, config: ForecastingConfig) -> Sequence[Path]:
    named = data.named.get("series")
    if named is None and not data.files:
        raise InvalidData("there is no data; name a file with --data, or as data_file in the configuration")
    if named is not None and data.files:
        raise InvalidData(
            f"both --data and data_file ({config.data_file}) name data; leave one out, as with --set data_file=null"
        )
    return [named] if named is not None else data.files


def _item_ids(found: Found, config: ForecastingConfig, asked: frozenset[str] | None) -> frozenset[str] | None:
    """Refuse items that are not there. All series are learnt from all the same: they have a say in each other."""
    if asked is None:
        return None
    from corrida.pipelines.forecasting.validation import windows

    panel = found.panel
    known = {
        f"{one.id}@{panel.frequency.text(window.known.cutoff(one))}"
        for window in windows(panel, config)
        for one in window.known.series
    }
    if lacking := sorted(asked - known):
        raise InvalidData(
            f"there is no item {lacking[0]!r}; an item is a series and a cutoff, as in {min(known)!r}"
        )
    return asked


def _said_of_config(config: ForecastingConfig, found: Found) -> list[str]:
    from corrida.pipelines.forecasting.training import asked_models

    said = [
        f"{key} is not used here: {why}" for key, why in _NOT_USED.items() if getattr(config, key) is not None
    ]
    if found.panel.exogenous:
        blind = [model.name for model in asked_models(config) if not model.uses_exogenous]
        if blind:
            said.append(f"{', '.join(found.panel.exogenous)} have no say in {', '.join(blind)}")
    return said


def _metrics(
    trained: Trained,
    trials: Trials,
    nested: Mapping[int, Mapping[str, Choice]],
    final: Mapping[str, Choice],
    config: ForecastingConfig,
    items: pl.DataFrame,
    kept: frozenset[tuple[str, int]],
) -> dict[str, float]:
    """Return the metrics of the items that were asked for."""
    from corrida.pipelines.forecasting.cherry_pick import scores
    from corrida.pipelines.forecasting.tables import ERRORS

    counts: dict[str, float] = {
        "models_trained": len(trained.validated),
        "models_failed": len(trained.failed),
        "series": items["unique_id"].n_unique(),
        "horizon": config.horizon,
        "windows": config.n_windows,
    }
    metrics: dict[str, float] = {}
    best = []
    names = (*ERRORS, *(f"coverage_{level}" for level in config.levels))
    for model in trials.models:
        means = trained.validated[model].means(names, config.levels, kept)
        metrics |= {f"{model}.{name}": value for name, value in means.items()}
        best += [means["mase"]] if "mase" in means else []
    first = scores(trials, nested, final, kept)
    if best:
        first["best_mase"] = min(best)
    return counts | first | metrics


def _dataset(found: Found, trained: Trained, config: ForecastingConfig) -> dict[str, Any]:
    panel = found.panel
    ends = [panel.frequency.text(panel.cutoff(one)) for one in panel.series]
    starts = [panel.frequency.text(one.start) for one in panel.series]
    facts: dict[str, Any] = {
        "series": len(panel),
        "values": sum(len(one.y) for one in panel.series),
        "frequency": str(panel.frequency),
        "season_length": panel.season_length,
        "first": min(starts),
        "last": max(ends),
        "exogenous": list(panel.exogenous),
    }
    if found.skipped:
        facts["series_left_out"] = len(found.skipped)
    if found.filled:
        facts["values_filled"] = sum(found.filled.values())
    if any("torch" in one.model.packages for one in trained.validated.values()):
        facts["threads"] = config.threads  # another number gives other forecasts
    if trained.failed:
        facts["models_failed"] = dict(trained.failed)
    return facts


def _summary(metrics: Mapping[str, float], trained: Trained, found: Found) -> str:
    """Say in one sentence what was trained and how good it is."""
    count = f"{len(trained.validated)} model{'s' if len(trained.validated) > 1 else ''}"
    over = (
        f" ({len(trained.taken_over)} of them taken over from the run before)" if trained.taken_over else ""
    )
    said = f"{count} trained on {len(found.panel):,} series{over}"
    if "cherry_pick.mase" in metrics:
        other = f"best single model {metrics['best_single.mase']:.3f}"
        if "naive.mase" in metrics:
            other += f", SeasonalNaive {metrics['naive.mase']:.3f}"
        said += (
            f": cherry-pick MASE {metrics['cherry_pick.mase']:.3f} on windows that it did not see ({other})"
        )
    elif "best_mase" in metrics:
        said += (
            f": best MASE {metrics['best_mase']:.3f}; a score of the cherry-pick needs two windows or more"
        )
    return f"{said}. Each model was refitted on all the data after validation."


pipeline = ForecastingPipeline()

"""Forecasts from the models of a run, with nothing but its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import polars as pl

from corrida.errors import CorridaError, DamagedRun, InvalidConfig, InvalidData
from corrida.pipelines.contract import Prediction
from corrida.pipelines.forecasting.data import read_panel, some
from corrida.pipelines.forecasting.intervals import widened
from corrida.pipelines.forecasting.models import MODELS
from corrida.pipelines.forecasting.newer import is_newer, read_newer
from corrida.pipelines.forecasting.settings import Columns, ForecastingConfig
from corrida.pipelines.forecasting.tables import (
    dated,
    forecast_columns,
    history_table,
    metrics_table,
    scored_table,
)
from corrida.pipelines.inputs import read_table, suggest
from corrida.pipelines.model_files import FACTS, check_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from corrida.pipelines.contract import Data, Recorder
    from corrida.pipelines.forecasting.cherry_pick import Choice
    from corrida.pipelines.forecasting.models import Fitted
    from corrida.pipelines.forecasting.old_models import OldPredictor
    from corrida.pipelines.forecasting.panel import Forecast, Panel
    from corrida.pipelines.forecasting.serving import ForecastScores
    from corrida.pipelines.forecasting.training import Trained

PREDICTOR = "predictor"
_MOST_STEPS = 100_000  # more is a slip of the hand, and would fill the memory
_HISTORY, _ABOUT = "history.parquet", "predictor.json"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What forecasting needs besides the models.

    Attributes:
        config: that of the run.
        frequency: of the series.
        season_length: in steps.
        exogenous: columns.
        models: that were trained, the simplest first.
        single: the best single model.
        choices: by series, the model that cherry-pick takes.
        widths: by model, how wide its intervals are by level and step, where it has none of its own.
    """

    config: ForecastingConfig
    frequency: str
    season_length: int
    exogenous: tuple[str, ...]
    models: tuple[str, ...]
    single: str
    choices: dict[str, str]
    widths: dict[str, dict[int, list[float]]]


def save_predictor(
    recorder: Recorder,
    panel: Panel,
    config: ForecastingConfig,
    trained: Trained,
    choices: Mapping[str, Choice],
) -> None:
    """Save the history and the choices as ``models/predictor``, so that the folder of models is enough to forecast."""
    about = About(
        config=config,
        frequency=str(panel.frequency),
        season_length=panel.season_length,
        exogenous=panel.exogenous,
        models=tuple(trained.validated),
        single=next(iter(choices.values())).single,
        choices={series: choice.model for series, choice in choices.items()},
        widths={name: one.widths for name, one in trained.validated.items() if one.widths},
    )

    def write(folder: Path) -> None:
        history_table(panel).write_parquet(folder / _HISTORY)
        (folder / _ABOUT).write_bytes(msgspec.json.format(msgspec.json.encode(about)))

    recorder.save_model(PREDICTOR, write, format="parquet+json", libraries=["polars"])


def load_predictor(models: Path, *, trust: bool = False) -> ForecastPredictor | OldPredictor:
    """Return what forecasts with the models of a run; a model is read when it is first needed.

    Raises:
        NotFound: the folder holds no models of this pipeline.
        DamagedRun: a file was altered.
        Refused: another program wrote the models, they can run code when they are read, and nobody consented.
    """
    folder = models / PREDICTOR
    if not any(models.glob(f"*/{FACTS}")):
        from corrida.pipelines.forecasting.old_models import load_old_models

        return load_old_models(models, trust=trust)
    check_model(folder, trust=trust)
    try:
        about = msgspec.json.decode((folder / _ABOUT).read_bytes(), type=About)
    except msgspec.DecodeError as error:
        raise DamagedRun(f"models/{PREDICTOR}/{_ABOUT} cannot be read ({error})") from None
    plain = history_config(about)
    history = read_panel([folder / _HISTORY], plain).panel
    return ForecastPredictor(models, about, history, trust=trust)


def history_config(about: About) -> ForecastingConfig:
    """Return the configuration under which the saved history is read: its columns are named as we name them."""
    frequency: str | int = int(about.frequency) if about.frequency.isdigit() else about.frequency
    columns = Columns(exogenous=list(about.exogenous))
    return msgspec.structs.replace(
        about.config, freq=frequency, season_length=about.season_length, columns=columns
    )


class ForecastPredictor:
    """Forecasts with the fitted models of a run; a :class:`corrida.pipelines.streaming.StreamingPredictor`.

    Attributes:
        about: what was trained and chosen.
        history: the series that the models were fitted on.
    """

    def __init__(self, models: Path, about: About, history: Panel, *, trust: bool = False) -> None:
        self._models, self._trust = models, trust
        self.about, self.history = about, history
        self._fitted: dict[str, Fitted] = {}

    def predict(
        self,
        data: Data | None = None,
        *,
        cherry_pick: bool = False,
        model: str | None = None,
        series: Sequence[str] = (),
        horizon: int | None = None,
        score: bool = False,
    ) -> Prediction:
        """Forecast what comes after the history, or after newer data.

        Args:
            data: newer values, in the columns of the training data; a series that starts after its history continues
                it. Without data, the history itself.
            cherry_pick: take for each series the model that validation proved best.
            model: take this model for all series. Without either, the best single model.
            series: only these; all when empty.
            horizon: steps; that of the training when not given.
            score: forecast from the end of the training instead, what ``data`` say that happened since, in windows of the
                horizon; and measure the errors of all models.

        Returns:
            One row a series and step: ``unique_id``, ``ds``, ``forecast``, ``lower_<level>`` and ``upper_<level>``,
            ``model`` and ``cutoff``, the time of the last value that was known. With ``score`` also ``y`` and ``window``,
            and the errors in the columns of ``metrics.csv``.

        Raises:
            InvalidConfig: no such model, or not for that horizon.
            InvalidData: no such series, a gap after the history, exogenous values of the future are missing, or there is
                nothing to score by.
            DamagedRun: a model file was altered.
            MissingExtra: a model needs a library that is not installed.
        """
        self.check_model(model, cherry_pick=cherry_pick)
        if score and (data is None or not data.files):
            raise InvalidData("forecasts are scored by newer values; give them with --data")
        steps = self.steps(horizon)
        notes: list[str] = []
        panel, newer = self._panel(data, notes)
        panel = only_series(panel, series)
        if score:
            known = panel.only(frozenset(self.history.by_id))
            taken = self._chosen(known, notes, cherry_pick=cherry_pick, model=model)
            return self._scored(panel, taken, steps, notes)
        frame = self.forecasts(panel, steps, newer, notes, cherry_pick=cherry_pick, model=model)
        return Prediction(frame, notes)

    def score(
        self,
        path: Path,
        *,
        history: Path | None = None,
        work: Path | None = None,  # noqa: ARG002 - series are held in memory
        max_bytes: int | None = None,
        max_rows: int | None = None,
        cherry_pick: bool = False,
        model: str | None = None,
        series: Sequence[str] = (),
        horizon: int | None = None,
    ) -> ForecastScores:
        """Forecast what comes after a file of newer values; the answers are forecasts and no rows of the file.

        The file is read as others are that somebody sent; see :mod:`corrida.pipelines.table_stream`. The options are those of
        :meth:`predict`.

        Raises:
            InvalidConfig, InvalidData: an option or the file cannot be used.
        """
        from corrida.pipelines.forecasting.serving import Asked, ForecastScores

        if history is not None:
            raise InvalidConfig("a forecast continues the history of its run; leave the history out")
        self.check_model(model, cherry_pick=cherry_pick)
        asked = Asked(self.steps(horizon), tuple(series), model, cherry_pick)
        return ForecastScores(self, path, asked, max_bytes=max_bytes, max_rows=max_rows)

    def check_model(self, model: str | None, *, cherry_pick: bool) -> None:
        """Refuse a model that the run does not have.

        Raises:
            InvalidConfig: naming those that it has.
        """
        if cherry_pick and model is not None:
            raise InvalidConfig("give either cherry-pick or a model, not both")
        if model is not None and model not in self.about.models:
            trained = ", ".join(self.about.models)
            raise InvalidConfig(
                f"the run has no model {model!r}; it has {trained}.{suggest(model, self.about.models)}"
            )

    def steps(self, horizon: int | None) -> int:
        """Return how many steps are forecast.

        Raises:
            InvalidConfig: none, or more than can be meant.
        """
        steps = self.about.config.horizon if horizon is None else horizon
        if not 1 <= steps <= _MOST_STEPS:
            raise InvalidConfig(f"a horizon of {steps:,} steps is none; give 1 to {_MOST_STEPS:,}")
        return steps

    def forecasts(
        self,
        panel: Panel,
        steps: int,
        newer: frozenset[str],
        notes: list[str],
        *,
        cherry_pick: bool,
        model: str | None,
    ) -> pl.DataFrame:
        """Return the forecasts of series; see :meth:`predict`."""
        chosen = self._chosen(panel, notes, cherry_pick=cherry_pick, model=model)
        forecasts: dict[str, tuple[str, Forecast]] = {}
        for name in dict.fromkeys(chosen.values()):
            part = panel.only(frozenset(one for one, taken in chosen.items() if taken == name))
            for one, forecast in self._forecast(name, part, steps, newer, notes).items():
                forecasts[one] = (name, forecast)
        return self._table(panel, forecasts, steps)

    def _scored(self, panel: Panel, chosen: Mapping[str, str], horizon: int, notes: list[str]) -> Prediction:
        from corrida.pipelines.forecasting.scoring import score

        def forecast(name: str, part: Panel, steps: int) -> Mapping[str, Forecast]:
            newer = frozenset(one.id for one in part.series if is_newer(self.history, one))
            return self._forecast(name, part, steps, newer, [])

        models = {name: name in chosen.values() for name in self.about.models}
        trials = score(self.history, panel, models, horizon, forecast, notes)
        levels = self.about.config.levels
        said = sorted(
            (trial for trial in trials if chosen[trial.series] == trial.model),
            key=lambda trial: (trial.series, trial.window),
        )
        return Prediction(scored_table(said, panel, levels), notes, metrics_table(trials, levels))

    def _panel(self, data: Data | None, notes: list[str]) -> tuple[Panel, frozenset[str]]:
        if data is None or not data.files:
            return self.history, frozenset()
        return self.newer(data.files, notes, read_table)

    def newer(
        self, files: Sequence[Path], notes: list[str], read: Callable[[Path], pl.DataFrame]
    ) -> tuple[Panel, frozenset[str]]:
        """Return the series of newer files, and the ids of those whose values are not the ones that were learnt from."""
        config = msgspec.structs.replace(
            history_config(self.about), columns=self.about.config.columns, short_series="refuse"
        )
        whole = read_newer(files, config, self.history, notes, read)
        return whole, frozenset(one.id for one in whole.series if is_newer(self.history, one))

    def _chosen(
        self, panel: Panel, notes: list[str], *, cherry_pick: bool, model: str | None
    ) -> dict[str, str]:
        """Return the model of each series; one that was not trained on needs a model that learns across series."""
        single = model or self.about.single
        chosen, unseen = {}, []
        for one in panel.series:
            if one.id in self.history.by_id:
                chosen[one.id] = self.about.choices[one.id] if cherry_pick else single
            else:
                unseen.append(one.id)
        if unseen:
            wide = [name for name in self.about.models if MODELS[name].learns_across]
            taken = single if single in wide else next(iter(wide), None)
            if taken is None or (model is not None and model not in wide):
                can = f"; {', '.join(wide)} could forecast them" if wide else ""
                raise InvalidData(f"the run was not trained on {some(unseen)}{can}. Train a run with them")
            notes.append(f"{taken} forecasts series that the run was not trained on: {some(unseen)}")
            chosen |= dict.fromkeys(unseen, taken)
        return chosen

    def _forecast(
        self, name: str, panel: Panel, horizon: int, newer: frozenset[str], notes: list[str]
    ) -> Mapping[str, Forecast]:
        model = MODELS[name]
        fitted = self._load(name)
        longest = fitted.longest()
        if longest is not None and horizon > longest:
            raise InvalidConfig(
                f"{name} was trained for {longest} steps, not {horizon}; train with that horizon"
            )
        short = [one for one in panel.series if len(one.y) < fitted.needs()]
        if short:
            raise InvalidData(
                f"the series {short[0].id!r} has {len(short[0].y)} values, too few for {name}, which needs "
                f"{fitted.needs()}; give more of it, or another model"
            )
        if model.uses_exogenous and panel.exogenous:
            _refuse_unknown_future(panel, horizon)
        levels = tuple(self.about.config.levels)
        own = levels if model.own_intervals else ()
        found = _tried(name, panel, lambda part: fitted.predict(part, horizon, own, newer=newer))
        widths = self.about.widths.get(name, {})
        if widths and horizon > self.about.config.horizon:
            notes.append(
                f"the intervals of {name} beyond step {self.about.config.horizon} are as wide as at that step: "
                "validation went no further"
            )
        from corrida.pipelines.forecasting.accuracy import seasonal_scale

        for one in panel.series:
            if widths and (scale := seasonal_scale(one.y, panel.season_length)) > 0:
                found[one.id] = widened(found[one.id], scale, widths)
        return found

    def _load(self, name: str) -> Fitted:
        if name not in self._fitted:
            folder = self._models / name
            MODELS[name].require()
            check_model(folder, trust=self._trust)
            self._fitted[name] = MODELS[name].load(folder)
        return self._fitted[name]

    def _table(
        self, panel: Panel, forecasts: Mapping[str, tuple[str, Forecast]], horizon: int
    ) -> pl.DataFrame:
        parts = [
            pl.DataFrame(
                {
                    "unique_id": [one.id] * horizon,
                    "ds": panel.ahead(one, horizon),
                    **forecast_columns(forecasts[one.id][1], self.about.config.levels),
                    "model": [forecasts[one.id][0]] * horizon,
                    "cutoff": [panel.cutoff(one)] * horizon,
                }
            )
            for one in panel.series
        ]
        return dated(pl.concat(parts))


def _tried(
    name: str, panel: Panel, forecast: Callable[[Panel], Mapping[str, Forecast]]
) -> dict[str, Forecast]:
    """Return the forecasts of a model; where it fails, the first series on which it does is named."""
    try:
        return dict(forecast(panel))
    except CorridaError:
        raise
    except Exception as error:
        if len(panel) > 1:
            for one in panel.series:
                _tried(name, panel.only(frozenset({one.id})), forecast)
        series = panel.series[0].id
        reason = str(error).removeprefix(f"series {series!r}: ")
        raise InvalidData(
            f"{name} cannot forecast the series {series!r} of {len(panel.series[0].y)} values: {reason}"
        ) from error


def only_series(panel: Panel, series: Sequence[str]) -> Panel:
    """Return some series of a panel; all when none is named.

    Raises:
        InvalidData: one is not there.
    """
    lacking = [name for name in series if name not in panel.by_id]
    if lacking:
        hint = suggest(lacking[0], panel.by_id) or f" The series are: {some(list(panel.by_id))}."
        raise InvalidData(f"there is no series {lacking[0]!r}.{hint}")
    return panel.only(frozenset(series)) if series else panel


def _refuse_unknown_future(panel: Panel, horizon: int) -> None:
    for one in panel.series:
        if one.known_ahead < horizon:
            when = panel.frequency.text(panel.ahead(one, one.known_ahead + 1)[one.known_ahead])
            raise InvalidData(
                f"the series {one.id!r} has no values of {', '.join(panel.exogenous)} for {when}; "
                "give rows of the future with those columns and an empty value, with --data"
            )

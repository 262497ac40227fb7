"""Models of forecasting libraries that another program saved, as they lie in a run that was adopted.

They are what ``StatsForecast``, ``MLForecast`` and ``NeuralForecast`` make of themselves: a pickle or joblib file, or a
folder of NeuralForecast. Pickles can run any code when they are read, so they are read with consent only.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidConfig, InvalidData, MissingExtra, NotFound, Refused
from corrida.pipelines.contract import Prediction
from corrida.pipelines.forecasting.data import some
from corrida.pipelines.forecasting.tables import dated
from corrida.pipelines.inputs import suggest

if TYPE_CHECKING:
    import polars as pl

    from corrida.pipelines.contract import Data

_PICKLES = (".pkl", ".pickle", ".joblib")
_NETWORK = ("configuration.json", "configuration.pkl")
_LIBRARIES = ("statsforecast", "mlforecast", "neuralforecast")
_INTERVAL = ("-lo", "-hi")
_KEYS = ("unique_id", "ds")
_STEPS = 12


def load_old_models(models: Path, *, trust: bool = False) -> OldPredictor:
    """Return what forecasts with the models that another program saved in a folder.

    Raises:
        NotFound: there are none.
        Refused: they can run code when they are read, and nobody consented.
        InvalidData: a file is no forecaster, or cannot be read by what is installed here.
        MissingExtra: it needs a package that is not installed.
    """
    files = sorted(p for p in models.rglob("*") if p.suffix.lower() in _PICKLES and p.is_file())
    networks = sorted({p.parent for name in _NETWORK for p in models.rglob(name)})
    pickles = [p for p in files if p.parent not in networks]
    if not pickles and not networks:
        raise NotFound(
            "the folder models of the run holds no models of this pipeline, and no pickle, joblib file or folder of "
            "NeuralForecast either; train a run with `corrida run forecasting`"
        )
    if files and not trust:
        name = files[0].relative_to(models).as_posix()
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        raise Refused(
            f"models/{name}{more} can run any code when it is read (pickle or joblib); give --trust if you know who "
            "wrote it"
        )
    forecasters: dict[str, Any] = {}
    for path in pickles:
        forecasters |= dict(_forecasters(path.stem, _unpickled(path, models)))
    for folder in networks:
        forecasters[folder.name] = _network(folder, models)
    return OldPredictor(forecasters)


class OldPredictor:
    """Forecasts with models of another program.

    Attributes:
        forecasters: objects of the libraries, by the name of the file.
    """

    def __init__(self, forecasters: Mapping[str, Any]) -> None:
        """Forecast with these."""
        self.forecasters = forecasters

    def predict(
        self,
        data: Data | None = None,
        *,
        model: str | None = None,
        series: Sequence[str] = (),
        horizon: int | None = None,
        cherry_pick: bool = False,
    ) -> Prediction:
        """Forecast what comes after the values that the models were fitted on.

        Args:
            data: must not be given: how these models were to continue with newer values is not recorded.
            model: this model; all when not given.
            series: only these; all when empty.
            horizon: steps; 12 when not given. That of networks is fixed.
            cherry_pick: must not be asked for: what the models were tried on is not recorded.

        Raises:
            InvalidData: data was given, or there is no such series.
            InvalidConfig: no such model, it cannot forecast that far, or a model for each series was asked for.
        """
        if cherry_pick:
            raise InvalidConfig(
                "models of another program hold no validation to pick by; give --model NAME, or train a run"
            )
        if data is not None and data.files:
            raise InvalidData(
                "models of another program forecast from their own history only; train a run with the newer data"
            )
        if horizon is not None and horizon < 1:
            raise InvalidConfig(f"a horizon of {horizon} steps is none; give 1 or more")
        import polars as pl

        names = [name for forecaster in self.forecasters.values() for name in _model_names(forecaster)]
        if model is not None and model not in names:
            raise InvalidConfig(
                f"the run has no model {model!r}; it has {', '.join(names)}.{suggest(model, names)}"
            )
        asked = [one for one in self.forecasters.values() if model is None or model in _model_names(one)]
        frame = pl.concat([part for forecaster in asked for part in _forecasts(forecaster, horizon)])
        if model is not None:
            frame = frame.filter(pl.col("model") == model)
        known = frame["unique_id"].unique(maintain_order=True).to_list()
        lacking = [one for one in series if one not in known]
        if lacking:
            hint = suggest(lacking[0], known) or f" The series are: {some(known)}."
            raise InvalidData(f"there is no series {lacking[0]!r}.{hint}")
        if series:
            frame = frame.filter(pl.col("unique_id").is_in(list(series)))
        note = "the models are of another program: their validation, intervals and cutoffs are not known here"
        return Prediction(dated(frame), (note,))


def _model_names(forecaster: Any) -> list[str]:
    return [str(model) for model in forecaster.models]


def _forecasts(forecaster: Any, horizon: int | None) -> Iterator[pl.DataFrame]:
    names = ", ".join(_model_names(forecaster))
    networks = _library(forecaster) == "neuralforecast"
    fixed = forecaster.h if networks else None
    if fixed is not None and horizon is not None and horizon > fixed:
        raise InvalidConfig(f"{names} was trained for {fixed} steps, not {horizon}; train with that horizon")
    steps = horizon or fixed or _STEPS
    try:
        with _quiet():
            found = _network_forecast(forecaster) if networks else forecaster.predict(h=steps)
    except Exception as error:
        raise InvalidData(f"{names} cannot forecast here: {type(error).__name__}: {error}") from error
    yield from _long(found, steps)


def _network_forecast(forecaster: Any) -> Any:
    from corrida.pipelines.forecasting.models.neural import _quietly

    with _quietly(1):
        return forecaster.predict()


def _long(found: Any, steps: int) -> Iterator[pl.DataFrame]:
    """Yield one frame a model of what a library forecast for several."""
    import polars as pl

    from corrida.runs.tables import to_polars

    frame = to_polars(found)
    models = [c for c in frame.columns if c not in _KEYS and not any(sign in c for sign in _INTERVAL)]
    for model in models:
        yield (
            frame.select(
                pl.col("unique_id").cast(pl.String),
                pl.col("ds") if frame.schema["ds"].is_integer() else pl.col("ds").cast(pl.Datetime("us")),
                pl.col(model).cast(pl.Float64).alias("forecast"),
                pl.lit(model).alias("model"),
            )
            .group_by("unique_id", maintain_order=True)
            .head(steps)
        )


def _unpickled(path: Path, models: Path) -> Any:
    name = f"models/{path.relative_to(models).as_posix()}"
    try:
        import joblib
    except ImportError:
        raise MissingExtra(f"reading {name} needs joblib: pip install 'corrida[forecasting]'") from None
    try:
        with _quiet():
            return joblib.load(path)
    except ImportError as error:
        raise MissingExtra(
            f"{name} needs the package {error.name or error}, which is not installed here"
        ) from None
    except Exception as error:  # whatever the code inside does
        raise InvalidData(f"{name} cannot be read here: {type(error).__name__}: {error}") from error


def _network(folder: Path, models: Path) -> Any:
    name = f"models/{folder.relative_to(models).as_posix()}"
    try:
        from corrida.pipelines.forecasting.models.neural import _quietly

        with _quietly(1):
            import neuralforecast

            return neuralforecast.NeuralForecast.load(str(folder), verbose=False)
    except ImportError:
        raise MissingExtra(f"{name} needs neuralforecast: pip install 'corrida[neural]'") from None
    except Exception as error:
        raise InvalidData(f"{name} cannot be read here: {type(error).__name__}: {error}") from error


def _forecasters(name: str, found: Any) -> Iterator[tuple[str, Any]]:
    """Yield the forecasters in what a file held: one, or several by name."""
    if isinstance(found, Mapping):
        for key, value in found.items():
            yield from _forecasters(str(key), value)
        return
    if _library(found) not in _LIBRARIES or not callable(getattr(found, "predict", None)):
        kind = f"{type(found).__module__}.{type(found).__qualname__}"
        raise InvalidData(
            f"{name} holds a {kind}, which cannot forecast by itself; {', '.join(_LIBRARIES)} can be used"
        )
    yield name, found


def _library(found: Any) -> str:
    return type(found).__module__.partition(".")[0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the warnings of libraries off the terminal, as of a version that is not the one that wrote the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

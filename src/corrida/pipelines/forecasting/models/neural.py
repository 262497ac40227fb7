"""Neural networks of neuralforecast: one network of all series.

Quiet: no bars, no logger folders, no checkpoints in the working folder. One thread unless the configuration says
otherwise: for networks of this size it is the quickest, and another number of threads gives other forecasts.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from corrida.pipelines.forecasting.models.base import Fitted, ForecastModel
from corrida.pipelines.forecasting.panel import Forecast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from corrida.pipelines.forecasting.panel import Panel
    from corrida.pipelines.forecasting.settings import ForecastingConfig

NETWORKS = (
    "DLinear",
    "NLinear",
    "MLP",
    "NHITS",
    "NBEATS",
    "RNN",
    "GRU",
    "LSTM",
    "TCN",
    "TiDE",
    "PatchTST",
    "TFT",
)


@dataclass(frozen=True)
class Network(ForecastModel):
    """A network of neuralforecast, by its class name."""

    extra: ClassVar[str] = "neural"
    packages: ClassVar[tuple[str, ...]] = ("torch", "neuralforecast")
    file_format: ClassVar[str] = "neuralforecast"
    learns_across: ClassVar[bool] = True

    def fit(self, panel: Panel, config: ForecastingConfig, seed: int) -> FittedNetwork:
        """Learn all series together."""
        with _quietly(config.threads):
            import neuralforecast
            import neuralforecast.models

            from corrida.pipelines.forecasting.frames import history_frame

            network = getattr(neuralforecast.models, self.name)(
                h=config.horizon,
                input_size=config.input_size or max(2 * panel.season_length, config.horizon),
                max_steps=config.max_steps,
                random_seed=seed,
                scaler_type="standard",
                start_padding_enabled=True,
                accelerator="cpu",
                devices=1,
                enable_progress_bar=False,
                logger=False,
                enable_checkpointing=False,
                enable_model_summary=False,
            )
            forecaster = neuralforecast.NeuralForecast(models=[network], freq=1)
            forecaster.fit(history_frame(panel).select("unique_id", "ds", "y"), val_size=0)
        return FittedNetwork(self.name, forecaster, config.horizon, config.threads)

    def load(self, folder: Path) -> FittedNetwork:
        """Read the weights; the format is safetensors and JSON, and holds no code."""
        import msgspec

        with _quietly(1):
            import neuralforecast

            about = msgspec.json.decode((folder / "corrida.json").read_bytes())
            forecaster = neuralforecast.NeuralForecast.load(str(folder / "network"), verbose=False)
        return FittedNetwork(self.name, forecaster, about["horizon"], about["threads"])


class FittedNetwork(Fitted):
    """The weights of a network."""

    def __init__(self, name: str, forecaster: Any, horizon: int, threads: int) -> None:
        self._name, self._forecaster, self._horizon, self._threads = name, forecaster, horizon, threads

    def longest(self) -> int | None:
        """Return the horizon that the network was built for."""
        return self._horizon

    def predict(
        self, panel: Panel, horizon: int, levels: tuple[int, ...], *, newer: frozenset[str] = frozenset()
    ) -> Mapping[str, Forecast]:
        """Forecast each series, also one that was not learnt from."""
        del levels, newer
        from corrida.pipelines.forecasting.frames import history_frame

        with _quietly(self._threads):
            found = self._forecaster.predict(df=history_frame(panel).select("unique_id", "ds", "y"))
        means = {
            str(key[0]): part[self._name].to_numpy().astype(np.float64)[:horizon]
            for key, part in found.sort("unique_id", "ds").group_by("unique_id", maintain_order=True)
        }
        if any(not np.isfinite(mean).all() for mean in means.values()):
            raise ValueError("the forecast is not finite")
        return {name: Forecast(mean) for name, mean in means.items()}

    def save(self, folder: Path) -> None:
        """Write weights and settings, without the data."""
        import msgspec

        with _quietly(self._threads):
            self._forecaster.save(str(folder / "network"), save_dataset=False, overwrite=True)
        about = {"horizon": self._horizon, "threads": self._threads}
        (folder / "corrida.json").write_bytes(msgspec.json.encode(about))


@contextlib.contextmanager
def _quietly(threads: int) -> Iterator[None]:
    """Keep the libraries' notes off the terminal, and set the number of threads for the while."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns as it is imported
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import neuralforecast  # noqa: F401 - before the levels are set: its import sets them anew
        import torch

    before = torch.get_num_threads()
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    torch.set_num_threads(threads)
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads(before)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

"""The fitted layers as one thing: made by training, saved with the run, loaded to score."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from corrida.errors import DamagedRun
from corrida.pipelines import threads
from corrida.pipelines.model_files import check_model
from corrida.pipelines.risk.alignment import Alignment  # noqa: TC001 - read at run time by msgspec
from corrida.pipelines.risk.anomaly import AnomalyLayer, Quantiles
from corrida.pipelines.risk.decisions import Policy  # noqa: TC001
from corrida.pipelines.risk.guardrails import Guardrails, Law
from corrida.pipelines.risk.settings import CLASSES, Columns, Reading
from corrida.pipelines.risk.supervised import Calibration, Ensemble
from corrida.pipelines.skops_files import FORMAT, LIBRARIES, read_estimator, write_estimator

if TYPE_CHECKING:
    from pathlib import Path

    from corrida.pipelines.contract import Recorder

PREDICTOR: Final = "predictor"
SUPERVISED: Final = "supervised"
ANOMALY: Final = "anomaly"
_ABOUT = "predictor.json"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What scoring needs besides the models.

    Attributes:
        columns, reading, guardrails: of the configuration of the run.
        alignment: of the training rows.
        policy: the thresholds.
        calibrations: by level.
        quantiles: of the measures of the second layer.
    """

    columns: Columns
    reading: Reading
    guardrails: Guardrails
    alignment: Alignment
    policy: Policy
    calibrations: dict[int, Calibration]
    quantiles: Quantiles


@dataclass(frozen=True)
class Layers:
    """All that turns a transaction into a class.

    Attributes:
        alignment: what training recorded of the features.
        ensemble: the first layer.
        anomaly: the second.
        policy: the third.
        law: the limits.
    """

    alignment: Alignment
    ensemble: Ensemble
    anomaly: AnomalyLayer
    policy: Policy
    law: Law

    def empty_decision(self) -> pl.DataFrame:
        """Return a frame of decisions without rows."""
        risks = {f"risk_{CLASSES[level]}": pl.Float64 for level in self.policy.levels}
        texts = dict.fromkeys(("class", "decided_by", "reasons"), pl.String)
        schema: dict[str, Any] = {**texts, **risks, "isolation": pl.Float64, "distance": pl.Float64}
        return pl.DataFrame(schema=schema)


def save_layers(recorder: Recorder, layers: Layers, columns: Columns, reading: Reading) -> None:
    """Save the layers as ``models/supervised``, ``models/anomaly`` and ``models/predictor``."""
    about = About(
        columns=columns,
        reading=reading,
        guardrails=layers.law.law,
        alignment=layers.alignment,
        policy=layers.policy,
        calibrations=dict(layers.ensemble.calibrations),
        quantiles=layers.anomaly.quantiles,
    )
    recorder.save_model(
        SUPERVISED,
        lambda folder: write_estimator(layers.ensemble.stack, folder / "stack.skops"),
        format=FORMAT,
        libraries=LIBRARIES,
    )

    def write_anomaly(folder: Path) -> None:
        write_estimator(layers.anomaly.forest, folder / "forest.skops")
        write_estimator(layers.anomaly.clusters, folder / "clusters.skops")

    recorder.save_model(ANOMALY, write_anomaly, format=FORMAT, libraries=LIBRARIES)

    def write_about(folder: Path) -> None:
        (folder / _ABOUT).write_bytes(msgspec.json.format(msgspec.json.encode(about)))

    recorder.save_model(PREDICTOR, write_about, format="json")


def load_layers(models: Path, *, trust: bool = False) -> tuple[Layers, Columns, Reading]:
    """Return the layers of a run, after every file was found as it was written.

    Args:
        models: the folder ``models`` of the run.
        trust: consent to formats that can run code; this pipeline writes none.

    Raises:
        NotFound: the folder holds no models of this pipeline.
        DamagedRun: a file is missing, altered or not readable.
    """
    for name in (PREDICTOR, SUPERVISED, ANOMALY):
        check_model(models / name, trust=trust)
    try:
        about = msgspec.json.decode((models / PREDICTOR / _ABOUT).read_bytes(), type=About)
    except msgspec.DecodeError as error:
        raise DamagedRun(f"models/{PREDICTOR}/{_ABOUT} cannot be read ({error})") from None
    ensemble = Ensemble(read_estimator(models / SUPERVISED / "stack.skops"), about.calibrations)
    anomaly = AnomalyLayer(
        read_estimator(models / ANOMALY / "forest.skops"),
        read_estimator(models / ANOMALY / "clusters.skops"),
        about.quantiles,
    )
    layers = Layers(about.alignment, ensemble, anomaly, about.policy, Law(about.guardrails))
    return layers, about.columns, about.reading


def one_thread() -> AbstractContextManager[Any]:
    """Keep the libraries to one thread: reproducible to the last bit, and quicker where others work on the same cores."""
    import sklearn.cluster
    import sklearn.ensemble  # noqa: F401 - what is not loaded yet cannot be limited

    return threads.one_thread()

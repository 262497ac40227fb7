"""The transactions of the risk workloads, the models that score them, and the matrices that the bare models are given.

The models are those of a run of corrida; the floor gets the same estimators by joblib, and features that are made already.
"""

import json
import os
from pathlib import Path

SEED, OF_TRAINING, OF_SMALL = 11, 1, 5
_ROWS_A_CLIENT = 70  # a little fewer than the generator makes
_CLIENTS = 260
_SMALL = 100
_TINY = {
    "supervised.boosting_rounds": 3,
    "supervised.forest_trees": 3,
    "anomaly.trees": 3,
    "thresholds.episodes": 20,
}


def prepare(folder: str, rows: str, wide_rows: str, tiny: str = "") -> dict[str, int]:
    """Train, and make the files that are scored; what is there already stays.

    Args:
        folder: where all of it goes.
        rows: of ``transactions.csv``; 0 leaves it out.
        wide_rows: of ``wide.csv``, which has the columns of a bank's export; 0 leaves it out.
        tiny: few clients and small models.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "models.joblib").exists():
        _train(place, tiny=bool(tiny))
    if not (place / "small").exists():
        _small(place)
    for name, wanted in (("transactions", int(rows)), ("wide", int(wide_rows))):
        if wanted and not (place / f"{name}.npy").exists():
            _large(place, name, wanted)
    return {}


def run(place):
    """Return the folder of the trained run."""
    return place / "runs" / "bench"


def _train(place, *, tiny):
    import subprocess

    from corrida.pipelines.risk.generate import Shape, generate_transactions, write_transactions

    shape = Shape(clients=60 if tiny else _CLIENTS)
    write_transactions(generate_transactions(OF_TRAINING, shape), place / "training.csv")
    settings = {"report": "false", **(_TINY if tiny else {})}
    command = ["corrida", "run", "risk", "--data", "training.csv", "--run-id", "bench"]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    for one in (command, ["corrida", "promote", "bench"]):
        subprocess.run(one, cwd=place, check=True, stdout=subprocess.DEVNULL)
    _save_bare_models(place)


def _save_bare_models(place):
    import joblib

    layers = _predictor(place).layers
    kept = {
        "stack": layers.ensemble.stack,
        "forest": layers.anomaly.forest,
        "clusters": layers.anomaly.clusters,
        "calibrations": {
            level: (one.kind, one.x, one.y) for level, one in layers.ensemble.calibrations.items()
        },
        "thresholds": {level: layers.policy.threshold(level) for level in layers.policy.levels},
        "anomaly": layers.policy.anomaly,
        "quantiles": (layers.anomaly.quantiles.isolation, layers.anomaly.quantiles.distance),
    }
    joblib.dump(kept, place / "models.joblib")


def _predictor(place):
    from corrida.pipelines.risk.predictor import load_predictor

    return load_predictor(run(place) / "models")


def _small(place):
    """Write files of 100 rows, and their features as the floor takes them."""
    import numpy as np

    from corrida.pipelines.risk.generate import Shape, generate_transactions, write_transactions

    temporary = place / f"small.{os.getpid()}"
    frame = generate_transactions(OF_SMALL, Shape(clients=40))
    predictor = _predictor(place)
    for number in range(10):
        file = temporary / f"{number}.csv"
        write_transactions(frame.slice(number * _SMALL, _SMALL), file, labels=False)
        np.savetxt(temporary / f"{number}.features.csv", _matrix(predictor, file), delimiter=",")
    os.rename(temporary, place / "small")


def _large(place, name, rows):
    import numpy as np
    import polars as pl

    from corrida.pipelines.risk.generate import Shape, generate_transactions, write_transactions

    shape = Shape(clients=max(rows // _ROWS_A_CLIENT, 10))
    frame = generate_transactions(SEED, shape).head(rows)
    if name == "wide":
        number = pl.int_range(pl.len(), dtype=pl.Int64)
        frame = frame.with_columns(
            pl.format("{}", 10**15 + number * 7919).alias("cuenta_origen"),
            pl.format("{}", 10**15 + number * 104_729 % 10**14).alias("cuenta_destino"),
            pl.format("SUCURSAL {} CENTRO", number % 977).alias("sucursal"),
            pl.format("PAGO DE SERVICIOS {} REFERENCIA {}", number % 8_111, number).alias("concepto"),
            pl.format("{}", number * 2_654_435_761 % 2**32).alias("autorizacion"),
        )
    file = place / f"{name}.csv"
    write_transactions(frame, file, labels=False)
    del frame
    matrix = _matrix(_predictor(place), file)
    temporary = place / f"{name}.{os.getpid()}.npy"
    np.save(temporary, matrix)
    os.rename(temporary, place / f"{name}.npy")
    facts = {"rows": len(matrix), "bytes": file.stat().st_size}
    (place / f"{name}.json").write_text(json.dumps(facts), encoding="utf-8")


def _matrix(predictor, file):
    """Return the features of a file as the models see them, each client's in the order of time."""
    import polars as pl

    from corrida.pipelines.risk.alignment import Aligner
    from corrida.pipelines.risk.features import feature_table, ordered
    from corrida.pipelines.risk.transactions import open_transactions

    layers = predictor.layers
    frame = pl.concat(list(open_transactions(file, predictor.columns, predictor.reading).chunks()))
    data = ordered(frame, layers.law, layers.alignment.categories)
    return Aligner(layers.alignment).matrix(feature_table(data, layers.alignment.categories))

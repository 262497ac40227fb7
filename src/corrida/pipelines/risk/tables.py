"""The tables of a risk run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from corrida.pipelines.risk.features import FEATURES
from corrida.pipelines.risk.metrics import confusion, reliability
from corrida.pipelines.risk.settings import CLASSES

if TYPE_CHECKING:
    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.risk.training import Trained


def write_tables(trained: Trained, items: pl.DataFrame, recorder: Recorder) -> None:
    """Save features.csv, thresholds.csv, q_learning.csv, confusion.csv and calibration.csv."""
    recorder.save_table("features.csv", features_table(trained))
    if trained.learned:
        recorder.save_table("thresholds.csv", thresholds_table(trained))
        recorder.save_table("q_learning.csv", learning_table(trained))
    names = CLASSES[trained.lowest :]
    counts = confusion(items, trained.lowest)
    rows = {"expected": list(names), **{name: [row[i] for row in counts] for i, name in enumerate(names)}}
    recorder.save_table("confusion.csv", pl.DataFrame(rows))
    recorder.save_table("calibration.csv", calibration_table(trained))


def features_table(trained: Trained) -> pl.DataFrame:
    """Return what each feature is, what training recorded of it, and how much it matters."""
    about = trained.layers.alignment
    return pl.DataFrame(
        {
            "feature": [one.name for one in FEATURES],
            "meaning": [one.meaning for one in FEATURES],
            "median": about.median,
            "missing": about.missing,
            "importance": [trained.importances.get(one.name) for one in FEATURES],
        },
        schema_overrides={"importance": pl.Float64},
    )


def thresholds_table(trained: Trained) -> pl.DataFrame:
    """Return what each threshold of the grid costs on the calibration transactions, and which was learned and used."""
    frames = [
        pl.DataFrame(
            {
                "alarm": [one.alarm] * len(one.grid),
                "threshold": one.grid,
                "cost": one.costs,
                "used": one.grid == one.threshold,
                "learned": one.grid == one.by_learning,
                "cheapest": one.costs <= one.costs.min() + 1e-12,
            }
        )
        for one in trained.learned.values()
    ]
    return pl.concat(frames)


def learning_table(trained: Trained) -> pl.DataFrame:
    """Return how learning converged."""
    rows = [
        {
            "alarm": one.alarm,
            "episode": s.episode,
            "change": s.change,
            "threshold": s.threshold,
            "cost": s.cost,
        }
        for one in trained.learned.values()
        for s in one.history
    ]
    return pl.DataFrame(rows)


def calibration_table(trained: Trained) -> pl.DataFrame:
    """Return, before and after calibration, what was said and what was so."""
    rows = []
    for level, risk in sorted(trained.decided.risks.items()):
        truth = trained.expected >= level
        for stage, values in (("before", trained.raw[level]), ("after", risk)):
            rows += [
                {"at_least": CLASSES[level], "calibration": stage, "said": b.said, "so": b.so, "rows": b.rows}
                for b in reliability(np.asarray(values), truth)
            ]
    return pl.DataFrame(rows)

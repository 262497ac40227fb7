"""The second layer: how unlike the training transactions one is, without labels.

Two measures, each given as the share of the training rows that are less unusual. The shares come from quantiles that training
recorded, so the most unusual row of a quiet batch stays quiet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from corrida.errors import PipelineFailed

if TYPE_CHECKING:
    from sklearn.cluster import KMeans
    from sklearn.ensemble import IsolationForest

    from corrida.pipelines.risk.alignment import Floats, Matrix
    from corrida.pipelines.risk.settings import Anomaly

_POINTS: Final = 2001
_MOST_ROWS: Final = 100_000  # from which clusters are found
_BLOCK = 8192


class Quantiles(msgspec.Struct, frozen=True, kw_only=True):
    """Quantiles of both measures over the training rows, ascending, at equal steps from 0 to 1."""

    isolation: list[float]
    distance: list[float]


@dataclass(frozen=True)
class AnomalyLayer:
    """The fitted models and the quantiles of their measures.

    Attributes:
        forest: isolates rows by random cuts; few cuts are enough for an unusual one (Liu, Ting and Zhou 2008).
        clusters: of ordinary behaviour.
        quantiles: of the training rows.
    """

    forest: IsolationForest
    clusters: KMeans
    quantiles: Quantiles

    def shares(self, matrix: Matrix) -> tuple[Floats, Floats]:
        """Return the shares of the training rows that are less isolated, and that are nearer to a cluster.

        Raises:
            PipelineFailed: a measure is no number.
        """
        isolation, distance = _isolation(self.forest, matrix), _distance(self.clusters, matrix)
        if not (np.isfinite(isolation).all() and np.isfinite(distance).all()):
            raise PipelineFailed("the anomaly models give no number for some rows; they were not classified")
        return _share(isolation, self.quantiles.isolation), _share(distance, self.quantiles.distance)


def fit_anomaly(matrix: Matrix, config: Anomaly, seed: int) -> AnomalyLayer:
    """Fit both models on the training rows, and record the quantiles of their measures there."""
    from sklearn.cluster import KMeans
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=config.trees, n_jobs=1, random_state=seed).fit(matrix)
    rows = matrix
    if len(rows) > _MOST_ROWS:
        rows = matrix[np.sort(np.random.default_rng(seed).choice(len(matrix), _MOST_ROWS, replace=False))]
    clusters = KMeans(min(config.clusters, len(rows)), n_init=4, random_state=seed).fit(rows)
    steps = np.linspace(0, 1, _POINTS)
    quantiles = Quantiles(
        isolation=np.quantile(_isolation(forest, matrix), steps).tolist(),
        distance=np.quantile(_distance(clusters, matrix), steps).tolist(),
    )
    return AnomalyLayer(forest, clusters, quantiles)


def _isolation(forest: IsolationForest, matrix: Matrix) -> Floats:
    found: Floats = -forest.score_samples(matrix)
    return found


def _distance(clusters: KMeans, matrix: Matrix) -> Floats:
    """Return the distance to the nearest centre, added one column after the other (see ``stacked_probabilities``)."""
    centres = np.asarray(clusters.cluster_centers_, dtype=np.float64)
    nearest = np.empty(len(matrix))
    for start in range(0, len(matrix), _BLOCK):
        block = np.ascontiguousarray(matrix[start : start + _BLOCK].T, dtype=np.float64)
        least = np.full(block.shape[1], np.inf)
        for centre in centres:
            total = np.zeros(block.shape[1])
            for column, value in zip(block, centre, strict=True):
                total += (column - value) ** 2
            np.minimum(least, total, out=least)
        nearest[start : start + _BLOCK] = np.sqrt(least)
    return nearest


def _share(values: Floats, quantiles: list[float]) -> Floats:
    """Return the share of the training rows below each value, to the step of the quantiles below it."""
    found = np.searchsorted(np.array(quantiles), values, side="left") - 1
    return np.clip(found, 0, len(quantiles) - 1) / (len(quantiles) - 1)

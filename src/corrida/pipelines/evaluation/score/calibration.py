"""Calibration: is a cell right as often as it is confident?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from corrida.pipelines.evaluation.results import Calibration, ReliabilityBin

if TYPE_CHECKING:
    from corrida.pipelines.evaluation.score.counting import Booleans, Floats


def calibrate(cell: str, confidence: Floats, right: Booleans, bins: int) -> Calibration | None:
    """Return the calibration of a cell's decisions; None when none has a confidence.

    ECE = Σ n_b / n · |precision_b - confidence_b| over bins of equal width; Brier = mean of (confidence - right)².

    Sources: Naeini, M. P., Cooper, G. F. and Hauskrecht, M. (2015), Obtaining well calibrated probabilities using Bayesian
    binning, AAAI; Brier, G. W. (1950), Verification of forecasts expressed in terms of probability, Monthly Weather
    Review 78.

    Args:
        cell: its name.
        confidence: of each decision, in [0, 1]; NaN where there is none.
        right: whether the decision is.
        bins: how many.
    """
    known = np.isfinite(confidence)
    if not known.any():
        return None
    sure, hit = confidence[known], right[known].astype(np.float64)
    place = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    summed = np.bincount(place, weights=sure, minlength=bins)
    hits = np.bincount(place, weights=hit, minlength=bins)
    return Calibration(
        cell=cell,
        decisions=sure.size,
        without=int((~known).sum()),
        ece=float(np.abs(hits - summed).sum() / sure.size),
        brier=float(((sure - hit) ** 2).mean()),
        bins=tuple(
            ReliabilityBin(
                low=b / bins,
                high=(b + 1) / bins,
                count=int(counts[b]),
                confidence=float(summed[b] / counts[b]),
                precision=float(hits[b] / counts[b]),
            )
            for b in np.flatnonzero(counts).tolist()
        ),
    )

"""Thresholds, chosen on one half of the clusters and reported on the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from corrida.pipelines.evaluation.results import Counts, Sweep, SweepPoint
from corrida.pipelines.evaluation.score.counting import among

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corrida.pipelines.evaluation.match import Matched
    from corrida.pipelines.evaluation.score.counting import Booleans, Floats, Integers, Said


def sweep_thresholds(
    said: Said, matched: Mapping[str, Matched], thresholds: Mapping[str, float], steps: int, seed: int
) -> tuple[Sweep, ...]:
    """Try thresholds for every matcher, over all of its cells together.

    The threshold with the greatest F1 on one half of the clusters is reported on the other half, which had no part in
    choosing it; what it scores where it was chosen would be too good. Of several with the greatest, the one nearest to
    the threshold of the run is chosen.

    Args:
        said: the detections and the truth.
        matched: by matcher.
        thresholds: those that the run uses.
        steps: thresholds tried, i / steps for i from 1.
        seed: of the halves.

    Returns:
        Nothing with fewer than two clusters.
    """
    if said.clusters < 2:
        return ()
    order = np.random.default_rng(seed).permutation(said.clusters)
    choosing = np.zeros(said.clusters, dtype=bool)
    choosing[order[: (said.clusters + 1) // 2]] = True
    first = choosing[said.cluster]
    tried = np.arange(1, steps + 1) / steps
    found = []
    for matcher, result in matched.items():
        units = _units(said, result)
        here = _count(said, units, first, tried)
        points = tuple(SweepPoint(threshold=float(t), counts=c) for t, c in zip(tried, here, strict=True))
        # Of equally good ones that nearest to the configured: what gains nothing is no reason to move.
        least_move = sorted(points, key=lambda point: abs(point.threshold - thresholds[matcher]))
        chosen = max(least_move, key=lambda point: point.counts.f1 or 0.0).threshold
        there = _count(said, units, ~first, np.array([chosen, thresholds[matcher]]))
        found.append(
            Sweep(
                matcher=matcher,
                points=points,
                chosen=chosen,
                configured=thresholds[matcher],
                at_chosen=there[0],
                at_configured=there[1],
                clusters_choosing=int(choosing.sum()),
                clusters_reporting=int((~choosing).sum()),
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class _Units:
    """Labels given to items from which threshold downwards, and names without a label from which upwards."""

    label_item: Integers
    label_score: Floats  # the greatest of its detections: given at thresholds up to it
    label_right: Booleans
    name_item: Integers
    name_score: Floats  # the least of its detections: without a label at thresholds above it


def _units(said: Said, matched: Matched) -> _Units:
    kept = said.kept
    place = (said.pair * said.items + said.item)[kept]
    score = matched.score[kept].astype(np.float64)
    keys, back = np.unique(place * said.labels + matched.label[kept], return_inverse=True)
    greatest = np.full(keys.size, -np.inf)
    np.maximum.at(greatest, back, score)
    item, label = (keys // said.labels) % said.items, keys % said.labels
    names, back = np.unique(place * said.names + said.name[kept], return_inverse=True)
    least = np.full(names.size, np.inf)
    np.minimum.at(least, back, score)
    right = among(said.true_keys, item * said.labels + label)
    return _Units(item, greatest, right, (names // said.names) % said.items, least)


def _count(said: Said, units: _Units, inside: Booleans, thresholds: Floats) -> list[Counts]:
    """Return the counts over some items at each threshold."""
    given, named = inside[units.label_item], inside[units.name_item]
    right = np.sort(units.label_score[given & units.label_right])
    wrong = np.sort(units.label_score[given & ~units.label_right])
    names = np.sort(units.name_score[named])
    expected = int((said.included * (said.true_counts * inside)[None, :]).sum())
    # Scores are compared as in counting: in single precision.
    at = thresholds.astype(np.float32).astype(np.float64)
    tp = right.size - np.searchsorted(right, at, "left")
    fp = wrong.size - np.searchsorted(wrong, at, "left") + np.searchsorted(names, at, "left")
    return [Counts(int(t), int(f), expected - int(t)) for t, f in zip(tp, fp, strict=True)]

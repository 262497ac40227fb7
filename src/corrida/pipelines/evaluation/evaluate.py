"""All results of an evaluation from its counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from corrida.pipelines.evaluation.results import Calibration, Evaluation, LabelInfo, cell_name
from corrida.pipelines.evaluation.score.agreement import agree
from corrida.pipelines.evaluation.score.calibration import calibrate
from corrida.pipelines.evaluation.score.contrasts import compare_matchers, find_best
from corrida.pipelines.evaluation.score.counting import cluster_sums
from corrida.pipelines.evaluation.score.grid import count_labels, count_topics, make_grid
from corrida.pipelines.evaluation.score.sweep import sweep_thresholds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corrida.pipelines.evaluation.match import Matched
    from corrida.pipelines.evaluation.score.counting import Floats, Said
    from corrida.pipelines.evaluation.score.grid import Column
    from corrida.pipelines.evaluation.settings import EvaluationConfig
    from corrida.pipelines.evaluation.taxonomy import Taxonomy
    from corrida.pipelines.evaluation.truth import Truth


def evaluate(
    said: Said,
    columns: Sequence[Column],
    matched: Mapping[str, Matched],
    truth: Truth,
    taxonomy: Taxonomy,
    config: EvaluationConfig,
    thresholds: Mapping[str, float],
    seed: int,
    dataset: Mapping[str, Any],
) -> Evaluation:
    """Return everything that follows from the counts; all random numbers come from ``seed``."""
    cells, means = make_grid(said, columns, config.bootstrap, seed)
    label_counts = count_labels(said, columns, taxonomy)
    expected = np.bincount(said.true_label, minlength=said.labels)
    swept = config.sweep.over == "threshold"
    return Evaluation(
        matchers=tuple(column.matcher for column in columns),
        strategies=tuple(dict.fromkeys(strategy for strategy, _ in said.pairs)),
        models=tuple(sorted({model for _, model in said.pairs})),
        thresholds=dict(thresholds),
        items=len(truth),
        clean_items=int((said.true_counts == 0).sum()),
        clusters=said.clusters,
        labels=tuple(
            LabelInfo(label=label.id, name=label.name, topic=label.topic, expected=int(expected[place]))
            for place, label in enumerate(taxonomy.labels)
        ),
        cells=cells,
        means=means,
        label_counts=label_counts,
        topic_counts=count_topics(label_counts, taxonomy),
        calibration=_calibrations(said, columns, config.bins),
        agreement=agree(said, columns),
        matcher_contrasts=compare_matchers(
            {column.matcher: column.sums for column in columns}, config.bootstrap, seed
        ),
        best=find_best(cells, _Shared(said, columns), config.bootstrap, seed),
        sweeps=sweep_thresholds(said, matched, thresholds, config.sweep.steps, seed) if swept else (),
        confidence=config.bootstrap.confidence,
        resamples=config.bootstrap.resamples,
        seed=seed,
        dataset=dict(dataset),
    )


def _calibrations(said: Said, columns: Sequence[Column], bins: int) -> tuple[Calibration, ...]:
    found = []
    for column in columns:
        decisions = column.decisions
        for pair, (strategy, model) in enumerate(said.pairs):
            here = decisions.pair == pair
            cell = cell_name(column.matcher, strategy, model)
            found.append(calibrate(cell, decisions.confidence[here], decisions.right[here], bins))
    return tuple(one for one in found if one is not None)


class _Shared:
    """The sums of two cells over the items that both count."""

    def __init__(self, said: Said, columns: Sequence[Column]) -> None:
        self._said = said
        self._places = {
            cell_name(column.matcher, *said.pairs[pair]): (column, pair)
            for column in columns
            for pair in range(len(said.pairs))
        }

    def __call__(self, a: str, b: str) -> tuple[Floats, Floats]:
        (in_a, of_a), (in_b, of_b) = self._places[a], self._places[b]
        both = self._said.included[of_a] & self._said.included[of_b]
        if both.all():
            return in_a.sums[of_a], in_b.sums[of_b]
        return (
            cluster_sums(self._said, in_a.counts, of_a, both),
            cluster_sums(self._said, in_b.counts, of_b, both),
        )

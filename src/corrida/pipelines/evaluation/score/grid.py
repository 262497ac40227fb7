"""The grid: every cell, the means over its axes, and what became of labels and topics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from corrida.analysis.statistics.resampling import EXACT_PATTERNS
from corrida.pipelines.evaluation.results import (
    AXES,
    RATES,
    Axis,
    Cell,
    Counts,
    LabelCount,
    Mean,
    Rates,
    TopicCount,
    cell_name,
)
from corrida.pipelines.evaluation.score.counting import cluster_sums, decide, tally
from corrida.pipelines.evaluation.score.resampling import intervals, macro, micro, patterns

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from corrida.pipelines.evaluation.match import Matched
    from corrida.pipelines.evaluation.score.counting import Decisions, Floats, Integers, Said, Tally
    from corrida.pipelines.evaluation.score.resampling import Statistic
    from corrida.pipelines.evaluation.settings import Bootstrap
    from corrida.pipelines.evaluation.taxonomy import Taxonomy

_FEW_PATTERNS = 100  # up to here drawing by itself is quick


@dataclass(frozen=True)
class Column:
    """What one matcher makes of all pairs of strategy and model.

    Attributes:
        decisions: each once.
        counts: per pair and item.
        sums: pairs × clusters × (tp, fp, fn).
    """

    matcher: str
    decisions: Decisions
    counts: Tally
    sums: Floats


def count_columns(
    said: Said, matched: Mapping[str, Matched], thresholds: Mapping[str, float]
) -> list[Column]:
    """Decide and count for every matcher at its threshold."""
    found = []
    for matcher, result in matched.items():
        decisions = decide(said, result, thresholds[matcher])
        counts = tally(said, decisions, result, thresholds[matcher])
        sums = np.stack([cluster_sums(said, counts, pair) for pair in range(len(said.pairs))])
        found.append(Column(matcher, decisions, counts, sums))
    return found


def make_grid(
    said: Said, columns: Sequence[Column], settings: Bootstrap, seed: int
) -> tuple[tuple[Cell, ...], tuple[Mean, ...]]:
    """Return the cells (matchers, then the pairs in their order), and the means of every matcher, strategy and model.

    All rates come from the same resamples of clusters. Where there are too many clusters to draw one by one, a cell with
    few distinct patterns of counts is drawn by itself, which is exact.
    """
    places = [(column, pair) for column in columns for pair in range(len(said.pairs))]
    if not places:
        return (), ()
    groups: dict[tuple[Axis, str], list[int]] = {}
    for number, axis in enumerate(AXES):
        for place, (column, pair) in enumerate(places):
            groups.setdefault((axis, (column.matcher, *said.pairs[pair])[number]), []).append(place)
    sums = np.concatenate(
        [column.sums for column in columns]
    )  # cells × clusters × 3, in the order of the places
    apart = {place: found for place in range(len(places)) if (found := _drawn_apart(sums[place])) is not None}
    statistics: dict[Hashable, Statistic] = {}
    for name in RATES:
        for place in range(len(places)):
            if place not in apart:
                statistics[place, name] = _of(micro(name), [place])
        for group, inside in groups.items():
            statistics[group, "macro", name] = _of(macro(name), inside)
            statistics[group, "micro", name] = _of(micro(name), inside)
    rows = np.ascontiguousarray(sums.transpose(1, 0, 2).reshape(sums.shape[1], -1))
    estimates = intervals(rows, np.ones(len(rows), dtype=np.int64), statistics, settings, seed)
    for place, (distinct, counts) in apart.items():
        alone = intervals(distinct, counts, {name: micro(name) for name in RATES}, settings, seed)
        estimates |= {(place, name): estimate for name, estimate in alone.items()}
    cells = tuple(
        _cell(said, column, pair, Rates(**{name: estimates[place, name] for name in RATES}))
        for place, (column, pair) in enumerate(places)
    )
    means = tuple(
        Mean(
            axis=group[0],
            name=group[1],
            cells=len(inside),
            counts=_counts(sums[inside].sum(axis=(0, 1))),
            micro=Rates(**{name: estimates[group, "micro", name] for name in RATES}),
            macro=Rates(**{name: estimates[group, "macro", name] for name in RATES}),
        )
        for group, inside in groups.items()
    )
    return cells, means


def _drawn_apart(clusters: Floats) -> tuple[Floats, Integers] | None:
    """Return the patterns of a cell that is drawn by itself; None when it is drawn with the others."""
    if len(clusters) <= EXACT_PATTERNS:
        return None
    found = patterns(clusters)
    return found if len(found[1]) <= _FEW_PATTERNS else None


def _cell(said: Said, column: Column, pair: int, rates: Rates) -> Cell:
    strategy, model = said.pairs[pair]
    included, counts = said.included[pair], column.counts
    in_clean = counts.fp[pair][(said.true_counts == 0) & included]
    return Cell(
        matcher=column.matcher,
        strategy=strategy,
        model=model,
        counts=_counts(column.sums[pair].sum(axis=0)),
        rates=rates,
        items=int(included.sum()),
        failed=int((~included).sum()),
        detections=int(counts.detections[pair]),
        unmatched=int(counts.unmatched[pair]),
        clean_items=in_clean.size,
        clean_fp=int(in_clean.sum()),
        clean_flagged=int((in_clean > 0).sum()),
    )


def count_labels(said: Said, columns: Sequence[Column], taxonomy: Taxonomy) -> tuple[LabelCount, ...]:
    """Return how every label fared in every cell; those that neither occur nor were given are left out."""
    found = []
    for column in columns:
        decisions = column.decisions
        for pair, (strategy, model) in enumerate(said.pairs):
            here = (decisions.pair == pair) & (decisions.label >= 0)
            labels, right = decisions.label[here], decisions.right[here]
            hits = np.bincount(labels[right], minlength=said.labels)
            wrong = np.bincount(labels[~right], minlength=said.labels)
            counted = said.included[pair][said.true_item]
            expected = np.bincount(said.true_label[counted], minlength=said.labels)
            name = cell_name(column.matcher, strategy, model)
            found += [
                LabelCount(
                    cell=name,
                    label=taxonomy.labels[label].id,
                    expected=int(expected[label]),
                    found=int(hits[label]),
                    wrong=int(wrong[label]),
                )
                for label in np.flatnonzero(expected + wrong)
            ]
    return tuple(found)


def count_topics(counts: Sequence[LabelCount], taxonomy: Taxonomy) -> tuple[TopicCount, ...]:
    """Return the counts of labels added up by topic, in the order of the taxonomy."""
    added: dict[str, dict[str, list[int]]] = {}
    for one in counts:
        topic = taxonomy.labels[taxonomy.index[one.label]].topic or ""
        place = added.setdefault(one.cell, {}).setdefault(topic, [0, 0, 0])
        for at, value in enumerate((one.expected, one.found, one.wrong)):
            place[at] += value
    return tuple(
        TopicCount(cell=cell, topic=topic, expected=by[topic][0], found=by[topic][1], wrong=by[topic][2])
        for cell, by in added.items()
        for topic in taxonomy.topics
        if topic in by
    )


def _of(statistic: Statistic, places: Sequence[int]) -> Statistic:
    """Return a statistic of some cells as one of the sums of all."""
    columns = np.concatenate([np.arange(3 * place, 3 * place + 3) for place in places])
    return lambda sums: statistic(sums[..., columns])


def _counts(sums: Floats) -> Counts:
    tp, fp, fn = (int(value) for value in sums)
    return Counts(tp, fp, fn)

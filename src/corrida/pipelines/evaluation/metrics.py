"""The flat metrics of an evaluation, how they come about from the items, and its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corrida.pipelines.evaluation.results import RATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import polars as pl

    from corrida.pipelines.evaluation.results import Estimate, Evaluation, Mean, Rates


def flat_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Return the metrics by name; what is not defined is left out.

    ``fuzzy.f1``, ``fuzzy.precision``, ``fuzzy.recall``: macro means over the cells of a matcher, ``fuzzy.micro_f1`` of
    their counts together; ``strategy.X.f1``, ``model.X.f1`` and their ``micro_f1`` likewise; ``cell.C.f1`` and the other
    rates and counts of each cell; ``best_f1`` of the best cell, and its false positives for a clean item.
    """
    found: dict[str, float | None] = {"best_f1": evaluation.best.f1.value if evaluation.best else None}
    for mean in evaluation.means:
        prefix = _prefix(mean)
        rates = RATES if mean.axis == "matcher" else ("f1",)
        found |= {f"{prefix}.{rate}": _value(getattr(mean.macro, rate)) for rate in rates}
        found[f"{prefix}.micro_f1"] = _value(mean.micro.f1)
    best = next((c for c in evaluation.cells if evaluation.best and c.name == evaluation.best.cell), None)
    found["clean_fp_rate"] = best.clean_fp_rate if best else None
    found["items"] = evaluation.items
    found["clean_items"] = evaluation.clean_items
    if evaluation.items:
        found["seeded_pct"] = round(100 * (1 - evaluation.clean_items / evaluation.items), 2)
    for cell in evaluation.cells:
        prefix = f"cell.{cell.name}"
        found |= {f"{prefix}.{rate}": _value(getattr(cell.rates, rate)) for rate in RATES}
        found |= {
            f"{prefix}.tp": cell.counts.tp,
            f"{prefix}.fp": cell.counts.fp,
            f"{prefix}.fn": cell.counts.fn,
        }
    return {name: value for name, value in found.items() if value is not None}


def flat_measures(evaluation: Evaluation, metrics: Iterable[str]) -> dict[str, str]:
    """Return how metrics come about from the items, for those that do and are there."""
    found: dict[str, str] = {}
    if evaluation.best:
        found["best_f1"] = f"counted_f1 where cell={evaluation.best.cell}"
    for mean in evaluation.means:
        found[f"{_prefix(mean)}.micro_f1"] = f"counted_f1 where {mean.axis}={mean.name}"
        if mean.cells == 1:  # the mean of one cell is that cell's own
            for rate in RATES:
                found[f"{_prefix(mean)}.{rate}"] = f"counted_{rate} where {mean.axis}={mean.name}"
    for cell in evaluation.cells:
        for rate in RATES:
            found[f"cell.{cell.name}.{rate}"] = f"counted_{rate} where cell={cell.name}"
    there = set(metrics)
    return {name: measure for name, measure in found.items() if name in there}


def tables(evaluation: Evaluation) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the tables as (file name, table); one without rows is left out."""
    grid = [
        {
            "cell": cell.name,
            "matcher": cell.matcher,
            "strategy": cell.strategy,
            "model": cell.model,
            "tp": cell.counts.tp,
            "fp": cell.counts.fp,
            "fn": cell.counts.fn,
            **_rates(cell.rates),
            "items": cell.items,
            "failed": cell.failed,
            "detections": cell.detections,
            "unmatched": cell.unmatched,
            "clean_items": cell.clean_items,
            "clean_fp": cell.clean_fp,
            "clean_flagged": cell.clean_flagged,
        }
        for cell in evaluation.cells
    ]
    means = [
        {"axis": mean.axis, "name": mean.name, "cells": mean.cells, "mean": kind, **_rates(rates)}
        for mean in evaluation.means
        for kind, rates in (("macro", mean.macro), ("micro", mean.micro))
    ]
    about = {label.label: label for label in evaluation.labels}
    labels = [
        {
            "cell": one.cell,
            "label": one.label,
            "name": about[one.label].name,
            "topic": about[one.label].topic,
            "expected": one.expected,
            "found": one.found,
            "wrong": one.wrong,
            "recall": one.recall,
        }
        for one in evaluation.label_counts
    ]
    topics = [
        {
            "cell": one.cell,
            "topic": one.topic or None,
            "expected": one.expected,
            "found": one.found,
            "wrong": one.wrong,
            "recall": one.recall,
        }
        for one in evaluation.topic_counts
    ]
    yield from _frames({"grid.csv": grid, "means.csv": means, "labels.csv": labels, "topics.csv": topics})
    yield from _frames(_further(evaluation))


def _further(evaluation: Evaluation) -> dict[str, list[dict[str, Any]]]:
    calibration = [
        {
            "cell": one.cell,
            "ece": one.ece,
            "brier": one.brier,
            "low": b.low,
            "high": b.high,
            "count": b.count,
            "confidence": b.confidence,
            "precision": b.precision,
        }
        for one in evaluation.calibration
        for b in one.bins
    ]
    agreement = [
        {
            "matcher": one.matcher,
            "strategy": one.strategy,
            "statistic": kind,
            "models": models,
            "kappa": kappa,
        }
        for one in evaluation.agreement
        for kind, models, kappa in [
            *(("cohen", f"{pair.a}, {pair.b}", pair.kappa) for pair in one.cohen),
            ("fleiss", ", ".join(one.models), one.fleiss),
        ]
    ]
    contrasts = [
        {
            "of": of,
            "a": one.a,
            "b": one.b,
            "f1_a": one.f1_a,
            "f1_b": one.f1_b,
            "difference": one.difference,
            "low": one.low,
            "high": one.high,
            "p_value": one.p_value,
            "p_adjusted": one.p_adjusted,
            "judgement": one.judgement,
        }
        for of, group in (
            ("matchers", evaluation.matcher_contrasts),
            ("best cell", evaluation.best.contrasts if evaluation.best else ()),
        )
        for one in group
    ]
    sweep = [
        {
            "matcher": one.matcher,
            "half": half,
            "threshold": threshold,
            "tp": counts.tp,
            "fp": counts.fp,
            "fn": counts.fn,
            "precision": counts.precision,
            "recall": counts.recall,
            "f1": counts.f1,
        }
        for one in evaluation.sweeps
        for half, threshold, counts in [
            *(("choosing", point.threshold, point.counts) for point in one.points),
            ("reporting, chosen", one.chosen, one.at_chosen),
            ("reporting, configured", one.configured, one.at_configured),
        ]
    ]
    return {
        "calibration.csv": calibration,
        "agreement.csv": agreement,
        "contrasts.csv": contrasts,
        "sweep.csv": sweep,
    }


def _frames(rows: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[str, pl.DataFrame]]:
    import polars as pl

    for name, listed in rows.items():
        if listed:
            yield name, pl.DataFrame(listed, infer_schema_length=None)


def _rates(rates: Rates) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for rate in RATES:
        estimate: Estimate | None = getattr(rates, rate)
        found[rate] = _value(estimate)
        found[f"{rate}_low"] = estimate.low if estimate else None
        found[f"{rate}_high"] = estimate.high if estimate else None
    return found


def _prefix(mean: Mean) -> str:
    return mean.name if mean.axis == "matcher" else f"{mean.axis}.{mean.name}"


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value

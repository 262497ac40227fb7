"""What the classes of the test transactions are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from corrida.pipelines.risk.settings import ALARMS, CLASSES
from corrida.pipelines.risk.windows import DAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corrida.pipelines.risk.alignment import Floats
    from corrida.pipelines.risk.data import Labelled
    from corrida.pipelines.risk.decisions import Decided
    from corrida.pipelines.risk.guardrails import Booleans, Integers
    from corrida.pipelines.risk.settings import Thresholds
    from corrida.pipelines.risk.training import Trained

BINS: Final = 10


@dataclass(frozen=True)
class Reliability:
    """A bin of equal width: what was said, what was so, and how often."""

    said: float
    so: float
    rows: int


def item_costs(level: Integers, expected: Integers, config: Thresholds) -> Floats:
    """Return what each decision costs: for each alarm, missed or false."""
    found = np.zeros(len(level))
    for alarm in ALARMS:
        costs, least = getattr(config, alarm), CLASSES.index(alarm)
        found += costs.missed * ((expected >= least) & (level < least))
        found += costs.false_alarm * ((expected < least) & (level >= least))
    return found


def items_table(trained: Trained, data: Labelled, config: Thresholds) -> pl.DataFrame:
    """Return one row a test transaction."""
    test, decided = trained.test, trained.decided
    frame = data.frame[test.rows]
    level = np.maximum(decided.level, trained.lowest)
    activities = [*trained.layers.law.names, None]
    names = np.array(CLASSES)
    highest = max(decided.risks)
    return pl.DataFrame(
        {
            "item_id": frame["id"],
            "client": frame["client"],
            "date": pl.Series(np.floor_divide(test.seconds, DAY).astype(np.int32))
            .cast(pl.Date)
            .cast(pl.String),
            "amount": test.cents / 100,
            "operation": frame["operation"],
            "sector": frame["sector"],
            "activity": pl.Series([activities[a] for a in test.activity], dtype=pl.String),
            "output": names[level],
            "expected": names[trained.expected],
            "correct": level == trained.expected,
            "score": decided.risks[min(highest, 2) if 2 in decided.risks else highest],
            "loss": item_costs(decided.level, trained.expected, config),
            "class": names[decided.level],
            "decided_by": np.array(["none", "unsupervised", "supervised", "guardrail"])[decided.layer],
            "model": names[np.maximum(decided.by_model, trained.lowest)],
            **{f"risk_{CLASSES[one]}": risk for one, risk in sorted(decided.risks.items())},
            "isolation": decided.isolation,
            "distance": decided.distance,
            "earlier_rows": trained.earlier,
        }
    )


def class_metrics(
    items: pl.DataFrame, risks: Mapping[int, str], lowest: int
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the metrics of the test transactions, and how they come about from the items.

    Args:
        items: of :func:`items_table`.
        risks: the column of the risk, by level.
        lowest: the lowest level that the labels know.
    """
    metrics: dict[str, float] = {
        "cost": float(items["loss"].mean()),  # type: ignore[arg-type]
        "accuracy": float(items["correct"].mean()),  # type: ignore[arg-type]
        "items": items.height,
    }
    measures = {"cost": "mean(loss)", "accuracy": "accuracy"}
    output, expected = items["output"].to_numpy(), items["expected"].to_numpy()
    scores = []
    for name in CLASSES[lowest:]:
        said, so = output == name, expected == name
        rates = rates_of(said, so)
        for rate, value in rates.items():
            if value is not None:
                metrics[f"{rate}.{name}"] = value
                measures[f"{rate}.{name}"] = f"{rate}({name})"
        if so.any() or said.any():
            scores.append(rates["f1"] or 0.0)
    metrics["f1_macro"] = float(np.mean(scores))
    measures["f1_macro"] = "f1_macro"
    for level, column in risks.items():
        if level < CLASSES.index(ALARMS[0]):
            continue
        truth = np.isin(expected, CLASSES[level:])
        name = CLASSES[level]
        risk = items[column].to_numpy()
        metrics[f"ece.{name}"] = calibration_error(reliability(risk, truth), len(risk))
        metrics[f"brier.{name}"] = float(np.mean((risk - truth) ** 2))
        if truth.any() and not truth.all():
            from sklearn.metrics import average_precision_score

            metrics[f"auc_pr.{name}"] = float(average_precision_score(truth, risk))
        alarmed = np.isin(output, CLASSES[level:])
        metrics[f"missed.{name}"] = int((truth & ~alarmed).sum())
        metrics[f"false_alarms.{name}"] = int((~truth & alarmed).sum())
    return metrics, measures


def rates_of(said: Booleans, so: Booleans) -> dict[str, float | None]:
    """Return precision, recall and F1; None where one is not defined."""
    hits = int((said & so).sum())
    return {
        "precision": hits / int(said.sum()) if said.any() else None,
        "recall": hits / int(so.sum()) if so.any() else None,
        "f1": 2 * hits / int(said.sum() + so.sum()) if said.any() or so.any() else None,
    }


def reliability(risk: Floats, truth: Booleans) -> list[Reliability]:
    """Return the bins of equal width that have rows."""
    place = np.clip((risk * BINS).astype(int), 0, BINS - 1)
    return [
        Reliability(float(risk[place == b].mean()), float(truth[place == b].mean()), int((place == b).sum()))
        for b in np.unique(place).tolist()
    ]


def calibration_error(bins: list[Reliability], rows: int) -> float:
    """Return the expected calibration error: Σ n_b / n · |so - said|.

    Source: Naeini, M. P., Cooper, G. F. and Hauskrecht, M. (2015), Obtaining well calibrated probabilities using Bayesian binning, AAAI.
    """
    return float(sum(one.rows * abs(one.so - one.said) for one in bins) / max(rows, 1))


def confusion(items: pl.DataFrame, lowest: int) -> list[list[int]]:
    """Return the counts of true (rows) and given classes (columns), from the lowest to the gravest."""
    counts = {(e, o): n for e, o, n in items.group_by("expected", "output").len().iter_rows()}
    names = CLASSES[lowest:]
    return [[counts.get((e, o), 0) for o in names] for e in names]


def outvoted(decided: Decided) -> dict[str, int]:
    """Return how many test transactions each layer decided."""
    names = ("none", "unsupervised", "supervised", "guardrail")
    return {name: int((decided.layer == at).sum()) for at, name in enumerate(names)}

"""The typed configuration of the risk pipeline."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from corrida.pipelines.contract import Config
from corrida.pipelines.risk.guardrails import Guardrails, default_guardrails

CLASSES = ("limpio", "relevante", "inusual", "preocupante")  # from the least grave to the gravest
Class = Literal["limpio", "relevante", "inusual", "preocupante"]
ALARMS = ("inusual", "preocupante")  # the classes somebody has to act on
Name = Annotated[str, msgspec.Meta(min_length=1)]
Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Cost = Annotated[float, msgspec.Meta(ge=0)]


class Columns(Config, frozen=True, kw_only=True):
    """The columns of the data; None for the names that are understood (see ``columns.py``).

    Attributes:
        client: whose transaction it is.
        amount: in pesos.
        date: when, with or without a time of day.
        operation: the type of the operation.
        sector: of the business.
        section: of the law, such as ``V_inmuebles``; it says the activity where the file has it.
        label: the true class.
        id: of a transaction; without one the number of the row is its id.
    """

    client: Name | None = None
    amount: Name | None = None
    date: Name | None = None
    operation: Name | None = None
    sector: Name | None = None
    section: Name | None = None
    label: Name | None = None
    id: Name | None = None


class Reading(Config, frozen=True, kw_only=True):
    """How values are written.

    Attributes:
        decimal: the mark before the decimals; ``auto`` takes what the first rows of a file prove.
        day_first: whether 03/04/2025 is the 3rd of April.
        labels: other words for the classes, such as ``{"1": "preocupante", "0": "limpio"}``.
    """

    decimal: Literal["auto", ".", ","] = "auto"
    day_first: bool = True
    labels: dict[str, Class] = msgspec.field(default_factory=dict)


class Split(Config, frozen=True, kw_only=True):
    """Which rows train, which calibrate and choose thresholds, and which only measure.

    Attributes:
        by: ``client``: a client is in one part only. ``time``: what comes later measures what came earlier. ``both``: clients
            of the last part, and of them only the later rows.
        calibration: share of the clients, or of the rows in time, for probabilities and thresholds.
        test: share that only measures.
    """

    by: Literal["client", "time", "both"] = "client"
    calibration: Share = 0.2
    test: Share = 0.25


class Costs(Config, frozen=True, kw_only=True):
    """What a mistake about an alarm costs.

    Attributes:
        missed: the transaction is at least of the class, and was not said to be.
        false_alarm: it was said to be, and is not.
    """

    missed: Cost
    false_alarm: Cost


class Thresholds(Config, frozen=True, kw_only=True):
    """The third layer: from which risk on a transaction is of a class, learned by Q-learning.

    Attributes:
        low, high, points: the grid.
        preocupante, inusual: the costs.
        episodes: of learning, at most.
        learning_rate, discount, exploration: of Q-learning; exploration falls to 0 over the episodes.
        relevante: the risk from which on a transaction is ``relevante``; no cost is set on it, so it is not learned.
    """

    low: Share = 0.45
    high: Share = 0.65
    points: Annotated[int, msgspec.Meta(ge=2, le=1001)] = 21
    preocupante: Costs = Costs(missed=10_000, false_alarm=100)
    inusual: Costs = Costs(missed=1_500, false_alarm=20)
    episodes: Count = 2000
    learning_rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.2
    discount: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.9
    exploration: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    relevante: Share = 0.5


class Supervised(Config, frozen=True, kw_only=True):
    """The first layer: boosted trees, a forest and a linear model, stacked by a linear one.

    Attributes:
        boosting_rounds, leaves: of the boosted trees.
        forest_trees, forest_depth: of the forest.
        folds: of clients, whose predictions the last model learns from.
        calibration: of the probabilities; ``auto`` is isotonic from 50 rows of each side on, else sigmoid.
    """

    boosting_rounds: Count = 60
    leaves: Annotated[int, msgspec.Meta(ge=2)] = 15
    forest_trees: Count = 60
    forest_depth: Count = 10
    folds: Annotated[int, msgspec.Meta(ge=2, le=20)] = 3
    calibration: Literal["auto", "isotonic", "sigmoid"] = "auto"


class Anomaly(Config, frozen=True, kw_only=True):
    """The second layer: how unlike the training transactions one is.

    Attributes:
        trees: of the isolation forest.
        clusters: of k-means.
        alarm: the share of the training rows that must be less unusual, by both measures, for ``inusual``; 1 raises no alarm.
    """

    trees: Count = 100
    clusters: Count = 8
    alarm: Annotated[float, msgspec.Meta(gt=0.5, le=1)] = 0.998


class RiskConfig(Config, frozen=True, kw_only=True):
    """The configuration that runs.

    Attributes:
        guardrails: limits of the law, dated; a configuration file that holds ``uma`` and ``activities`` is taken for them.
        seed: of what draws random numbers, where ``--seed`` gives none.
        report: write report.md and report.html.
    """

    columns: Columns = Columns()
    reading: Reading = Reading()
    split: Split = Split()
    supervised: Supervised = Supervised()
    anomaly: Anomaly = Anomaly()
    thresholds: Thresholds = Thresholds()
    guardrails: Guardrails = msgspec.field(default_factory=default_guardrails)
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 1
    report: bool = True

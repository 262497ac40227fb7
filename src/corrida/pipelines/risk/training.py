"""Training: features, three layers, and what they give on transactions that none of them has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from corrida.errors import InvalidData
from corrida.pipelines.risk.alignment import Aligner, learn_alignment
from corrida.pipelines.risk.anomaly import fit_anomaly
from corrida.pipelines.risk.decisions import Decided, Policy, decide
from corrida.pipelines.risk.features import Ordered, feature_table, learn_categories, numbered, ordered
from corrida.pipelines.risk.guardrails import Law
from corrida.pipelines.risk.layers import Layers, one_thread
from corrida.pipelines.risk.settings import ALARMS, CLASSES
from corrida.pipelines.risk.split import split
from corrida.pipelines.risk.supervised import Ensemble, calibrate, fit_ensemble, told_apart
from corrida.pipelines.risk.thresholds import learn_threshold
from corrida.pipelines.risk.windows import LONGEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.risk.alignment import Floats, Matrix
    from corrida.pipelines.risk.data import Labelled
    from corrida.pipelines.risk.guardrails import Integers
    from corrida.pipelines.risk.settings import RiskConfig
    from corrida.pipelines.risk.thresholds import Learned

_MOST_IMPORTANCE_ROWS = 2000


@dataclass(frozen=True)
class Trained:
    """What came of training; arrays are of the test rows, in the order of clients and time.

    Attributes:
        layers: the fitted layers.
        learned: the thresholds, by alarm.
        test: the test rows.
        expected: their levels.
        decided: what the layers say of them.
        raw: shares before calibration, by level.
        importances: of the features: what the average precision of the alarms loses when one is shuffled.
        counts: rows of each part.
        lowest: the lowest level that the labels know; what is below it counts as it.
        earlier: rows of the client in the 180 days before each.
    """

    layers: Layers
    learned: Mapping[str, Learned]
    test: Ordered
    expected: Integers
    decided: Decided
    raw: Mapping[int, Floats]
    importances: Mapping[str, float]
    counts: Mapping[str, int]
    lowest: int
    earlier: Integers


def train(data: Labelled, config: RiskConfig, seed: int, recorder: Recorder) -> Trained:
    """Fit the layers one after the other.

    Raises:
        InvalidData: a part of the split is empty, or has only one class.
    """
    law = Law(config.guardrails)
    parts = split(data.frame, data.level >= 0, config.split, seed)
    for name in ("train", "calibration", "test"):
        if not getattr(parts, name).any():
            raise InvalidData(
                f"the split by {config.split.by} leaves no transaction for {name}; give more clients or other shares (split)"
            )
    steps = iter(
        recorder.progress(range(5), total=5, label="features, ensemble, anomalies, thresholds, test")
    )
    next(steps)
    categories = learn_categories(data.frame.filter(parts.train))
    everything = ordered(data.frame, law, categories)
    table = feature_table(everything, categories)
    level = data.level[everything.rows]
    client = _numbers(data, everything)
    rows = {
        name: np.flatnonzero(getattr(parts, name)[everything.rows])
        for name in ("train", "calibration", "test")
    }
    alignment = learn_alignment({name: values[rows["train"]] for name, values in table.items()}, categories)
    aligner = Aligner(alignment)
    matrix = {name: aligner.matrix(table, at) for name, at in rows.items()}
    levels = told_apart(level[rows["train"]])
    next(steps)
    with one_thread():
        stack = fit_ensemble(
            matrix["train"], level[rows["train"]], client[rows["train"]], config.supervised, seed
        )
        plain = Ensemble(
            stack, {one: calibrate(np.zeros(1), np.zeros(1, dtype=bool), "auto") for one in levels}
        )
        shares = plain.shares(matrix["calibration"])
        truth = level[rows["calibration"]]
        kind = config.supervised.calibration
        ensemble = Ensemble(stack, {one: calibrate(shares[one], truth >= one, kind) for one in levels})
        next(steps)
        anomaly = fit_anomaly(matrix["train"], config.anomaly, seed)
        next(steps)
        learned = _thresholds(ensemble.risks(matrix["calibration"]), truth, levels, config, seed, recorder)
        policy = Policy(
            preocupante=_threshold(learned, "preocupante", config),
            inusual=_threshold(learned, "inusual", config),
            relevante=config.thresholds.relevante,
            anomaly=config.anomaly.alarm,
            levels=levels,
        )
        next(steps)
        test = everything.at(rows["test"])
        decided = decide(
            ensemble.risks(matrix["test"]), *anomaly.shares(matrix["test"]), test.checked, policy
        )
        importances = _importances(ensemble, matrix["calibration"], truth, levels, seed)
    for _ in steps:
        pass
    lowest = int(data.level[data.level >= 0].min())
    return Trained(
        layers=Layers(alignment, ensemble, anomaly, policy, law),
        learned=learned,
        test=test,
        expected=level[rows["test"]],
        decided=decided,
        raw=plain.shares(matrix["test"]),
        importances=importances,
        counts={name: len(at) for name, at in rows.items()},
        lowest=lowest,
        earlier=everything.windows.count(LONGEST)[rows["test"]],
    )


def _numbers(data: Labelled, everything: Ordered) -> Integers:
    return numbered(data.frame["client"])[everything.rows]


def _thresholds(
    risks: Mapping[int, Floats],
    truth: Integers,
    levels: list[int],
    config: RiskConfig,
    seed: int,
    recorder: Recorder,
) -> dict[str, Learned]:
    found = {}
    for alarm in ALARMS:
        level = CLASSES.index(alarm)
        if level not in levels:
            recorder.warn(
                f"no label tells {alarm} from what is less grave, so no threshold is learned for it; only the law can say {alarm}"
            )
            continue
        one = learn_threshold(alarm, risks[level], truth >= level, config.thresholds, seed)
        for step in one.history:
            recorder.log(
                {
                    f"q.{alarm}.change": step.change,
                    f"q.{alarm}.threshold": step.threshold,
                    f"q.{alarm}.cost": step.cost,
                },
                step=step.episode,
            )
        _tell(one, config, recorder)
        found[alarm] = one
    return found


def _tell(one: Learned, config: RiskConfig, recorder: Recorder) -> None:
    if not one.positives or one.positives == one.rows:
        recorder.warn(
            f"the calibration transactions are all on one side of {one.alarm}; its threshold means little. Give more of them"
        )
    if not one.agrees:
        recorder.warn(
            f"learning ended at {one.by_learning:g} for {one.alarm}, where a transaction costs more than at {one.cheapest:g}, "
            "which is used; raise thresholds.episodes"
        )
    if one.end is not None and one.positives:
        costs = getattr(config.thresholds, one.alarm)
        whole = costs.missed + costs.false_alarm
        best = (
            f"; honest probabilities and these costs ask for {costs.false_alarm / whole:.3g}" if whole else ""
        )
        recorder.warn(
            f"no threshold of the grid costs less for {one.alarm} than its end, {one.end:g}: a wider grid "
            f"(thresholds.low, thresholds.high) may be cheaper{best}"
        )


def _threshold(learned: Mapping[str, Learned], alarm: str, config: RiskConfig) -> float:
    return learned[alarm].threshold if alarm in learned else config.thresholds.high


def _importances(
    ensemble: Ensemble, matrix: Matrix, truth: Integers, levels: list[int], seed: int
) -> dict[str, float]:
    """Return for each feature what the average precision of the gravest alarms loses when its values are shuffled.

    Source: Breiman, L. (2001), Random forests, Machine Learning 45.
    """
    from sklearn.metrics import average_precision_score

    from corrida.pipelines.risk.features import NAMES

    level = max((one for one in levels if one <= 2), default=max(levels))
    draw = np.random.default_rng(seed)
    if len(matrix) > _MOST_IMPORTANCE_ROWS:
        at = np.sort(draw.choice(len(matrix), _MOST_IMPORTANCE_ROWS, replace=False))
        matrix, truth = matrix[at], truth[at]
    wanted = truth >= level
    if not wanted.any():
        return {}

    def quality(rows: Matrix) -> float:
        return float(average_precision_score(wanted, ensemble.shares(rows)[level]))

    whole, found = quality(matrix), {}
    for place, name in enumerate(NAMES):
        shuffled = matrix.copy()
        shuffled[:, place] = shuffled[draw.permutation(len(shuffled)), place]
        found[name] = whole - quality(shuffled)
    return found

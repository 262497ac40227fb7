"""The models side by side on the test rows: how good each is, and which of them are as good as the one that is chosen.

The model is chosen by cross-validation in the training rows, before the test rows are looked at. Each other model is then
compared with it on the same test rows: a paired test of the loss, Holm's correction over all models, and an interval of the
difference. A model *may be as good* when the test does not tell the two apart; it is not called better for a smaller number
alone. Neighbours in time, or rows of one group, are swapped and drawn together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from corrida.analysis.statistics.bootstrap import bootstrap_interval
from corrida.analysis.statistics.difference import Difference, paired_difference
from corrida.analysis.statistics.estimators import Ratio
from corrida.analysis.statistics.multiplicity import holm
from corrida.analysis.statistics.pairs import Pairs

if TYPE_CHECKING:
    import polars as pl

Loss = Literal["squared", "absolute", "wrong"]
State = Literal["chosen", "as good", "may be as good", "worse", "better", "not tested", "failed"]
Floats = NDArray[np.float64]

RESAMPLES = 5_000
# What the mean of a loss is called, and how it is shown: the root of squares has the unit of the target.
NAMES: Mapping[Loss, str] = {"squared": "rmse", "absolute": "mae", "wrong": "accuracy"}


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A model among the others.

    Attributes:
        model: its name.
        state: against the chosen model on the test rows. ``as good``: the interval lies inside the margin, 1 % of the mean
            loss; ``may be as good``: the test does not tell them apart; ``not tested``: there is nothing to test with.
        reason: why it failed.
        val: score of the search, and ``val_std`` over folds.
        metrics: of the test rows, by name.
        value: the metric of the loss (RMSE, MAE or accuracy), ``value_low`` to ``value_high`` its interval.
        difference: mean loss minus that of the chosen model; ``low`` to ``high`` its interval.
        p_value, p_adjusted: of the paired test, by itself and after Holm's correction.
        seconds: of the search, and ``refit_seconds`` of the fit with the best settings.
        params: the best settings.
    """

    model: str
    state: State
    reason: str | None = None
    val: float | None = None
    val_std: float | None = None
    metrics: dict[str, float] = {}
    value: float | None = None
    value_low: float | None = None
    value_high: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    seconds: float | None = None
    refit_seconds: float | None = None
    params: dict[str, Any] = {}


class Leaderboard(msgspec.Struct, frozen=True, kw_only=True):
    """All models, the chosen one first, then by their score in validation; those that failed last.

    Attributes:
        standings: of the models.
        scoring: the metric of the search.
        higher: whether more of it is better.
        loss: what is lost in a test row.
        rows: of the test set.
        units: what was swapped and drawn as a whole: rows, blocks or groups.
        clustered: what these are called; empty for rows.
        confidence: of the intervals.
        test: how differences were tested.
    """

    standings: tuple[Standing, ...]
    scoring: str
    higher: bool
    loss: Loss
    rows: int
    units: int
    clustered: str
    confidence: float
    test: str

    @property
    def chosen(self) -> Standing:
        """The model that validation chose."""
        return self.standings[0]

    @property
    def as_good(self) -> list[str]:
        """The models that the test rows do not tell from the chosen one."""
        return [one.model for one in self.standings if one.state in {"as good", "may be as good"}]

    @property
    def metric(self) -> str:
        """What the loss is shown as."""
        return NAMES[self.loss]


def rank(
    entries: Sequence[Standing],
    losses: Mapping[str, Floats],
    *,
    scoring: str,
    higher: bool,
    loss: Loss,
    clusters: Sequence[str] | None,
    clustered: str,
    confidence: float,
    seed: int,
) -> Leaderboard:
    """Order models by validation and test each against the first.

    Args:
        entries: what is known of each model; ``state`` is "failed" where it failed.
        losses: by model, of each test row.
        scoring: the metric of the search.
        higher: whether more of it is better.
        loss: what is lost in a row.
        clusters: of each test row; None where rows stand alone.
        clustered: what a cluster is called.
        confidence: of tests and intervals.
        seed: of the resamples.
    """
    alive = [one for one in entries if one.state != "failed"]
    alive.sort(key=lambda one: (one.val is None, -(one.val or 0) if higher else one.val or 0))
    failed = [one for one in entries if one.state == "failed"]
    units = _Units(clusters, len(next(iter(losses.values()), np.zeros(0))))
    found: list[Standing] = []
    tested: list[Difference | None] = []
    for one in alive:
        own = _shown(units, losses.get(one.model), loss, confidence, seed)
        found.append(msgspec.structs.replace(one, **own))
        tested.append(
            None
            if one is alive[0]
            else units.difference(losses.get(alive[0].model), losses.get(one.model), confidence, seed)
        )
    adjusted = iter(holm([one.p_value for one in tested if one is not None]))
    standings = [
        _placed(one, difference, next(adjusted) if difference is not None else None, first=number == 0)
        for number, (one, difference) in enumerate(zip(found, tested, strict=True))
    ]
    test = next((one.test for one in tested if one is not None), "")
    return Leaderboard(
        standings=(*standings, *failed),
        scoring=scoring,
        higher=higher,
        loss=loss,
        rows=units.rows,
        units=units.count,
        clustered=clustered if clusters is not None else "",
        confidence=confidence,
        test=test,
    )


class _Units:
    """Test rows, or clusters of them, as what tests draw and swap."""

    def __init__(self, clusters: Sequence[str] | None, rows: int) -> None:
        self.rows = rows
        self.of_row: NDArray[np.int64] | None = None
        self.count = rows
        if clusters is not None and rows:
            names, self.of_row = np.unique(
                np.asarray(clusters, dtype=object).astype(str), return_inverse=True
            )
            self.count = len(names)

    def sums(self, losses: Floats) -> Floats:
        """Return the sum of losses and the number of rows of each unit."""
        if self.of_row is None:
            return np.column_stack([losses, np.ones(self.rows)])
        return np.column_stack(
            [np.bincount(self.of_row, weights=losses), np.bincount(self.of_row).astype(np.float64)]
        )

    def pairs(self, a: Floats, b: Floats) -> Pairs:
        """Return two models on the same units."""
        return Pairs.of(self.sums(a), self.sums(b), items=self.rows, clustered=self.of_row is not None)

    def difference(
        self, a: Floats | None, b: Floats | None, confidence: float, seed: int
    ) -> Difference | None:
        """Test the mean loss of ``b`` against that of ``a``; None without two units."""
        if a is None or b is None or self.count < 2:
            return None
        return paired_difference(
            self.pairs(a, b), Ratio((None, None)), confidence=confidence, resamples=RESAMPLES, seed=seed
        )

    def interval(self, losses: Floats, confidence: float, seed: int) -> tuple[float, float]:
        """Return the interval of the mean loss."""
        found = bootstrap_interval(
            self.pairs(np.zeros(self.rows), losses),
            Ratio((None, None)),
            confidence=confidence,
            resamples=RESAMPLES,
            seed=seed,
        )
        return found.low, found.high


def shown_loss(mean: float, loss: Loss) -> float:
    """Return a mean loss as it is shown: RMSE, MAE or accuracy."""
    if loss == "squared":
        return float(np.sqrt(max(mean, 0.0)))
    return 1.0 - mean if loss == "wrong" else mean


def _shown(
    units: _Units, losses: Floats | None, loss: Loss, confidence: float, seed: int
) -> dict[str, float]:
    if losses is None or not units.rows:
        return {}
    found = {"value": shown_loss(float(losses.mean()), loss)}
    if units.count > 1:
        ends = sorted(shown_loss(end, loss) for end in units.interval(losses, confidence, seed))
        found |= {"value_low": ends[0], "value_high": ends[1]}
    return found


def _placed(one: Standing, difference: Difference | None, adjusted: float | None, *, first: bool) -> Standing:
    if first:
        return msgspec.structs.replace(one, state="chosen")
    if difference is None:
        return msgspec.structs.replace(one, state="not tested")
    states: dict[str, State] = {
        "higher": "worse",
        "lower": "better",
        "tied": "as good",
        "underpowered": "may be as good",
    }
    return msgspec.structs.replace(
        one,
        state=states[difference.judge(adjusted)],
        difference=difference.difference,
        low=difference.low,
        high=difference.high,
        p_value=difference.p_value,
        p_adjusted=adjusted,
    )


def leaderboard_table(board: Leaderboard) -> pl.DataFrame:
    """Return ``leaderboard.csv``: one row a model."""
    import polars as pl

    rows = []
    for place, one in enumerate(board.standings, 1):
        rows.append(
            {
                "rank": place if one.state != "failed" else None,
                "model": one.model,
                "state": one.state,
                f"val_{board.scoring}": one.val,
                f"val_{board.scoring}_std": one.val_std,
                f"test_{board.metric}": one.value,
                f"test_{board.metric}_low": one.value_low,
                f"test_{board.metric}_high": one.value_high,
                "loss_difference": one.difference,
                "loss_difference_low": one.low,
                "loss_difference_high": one.high,
                "p_value": one.p_value,
                "p_adjusted": one.p_adjusted,
                "reason": one.reason,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)

"""How a search goes about it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from corrida.pipelines.contract import Config

Method = Literal["random", "tpe", "halving", "none"]
METHODS: tuple[Method, ...] = ("random", "tpe", "halving", "none")
Count = Annotated[int, msgspec.Meta(ge=1)]


class SearchSettings(Config, frozen=True):
    """How the hyper-parameters of each model are searched.

    Attributes:
        method: ``random`` draws candidates; ``tpe`` draws where Optuna expects improvement; ``halving`` tries many on
            few rows and the better ones on more; ``none`` only cross-validates what ``build`` returns.
        n_iter: candidates a model, the defaults of the estimator among them as the first.
        cv: folds, where the data do not bring their own.
        scoring: the metric that decides; None for r2 or accuracy.
        random_state: of candidates, folds and estimators; the same gives the same result on any executor.
        jobs: tasks at once on this machine; 1 runs them in this process, 0 is the number of cores.
        max_seconds: a model's search starts no further candidate after this long; what had ended counts.
        patience: a model's search ends after this many candidates, by their number, without a better one.
        batch: candidates that TPE is asked for at a time. It learns from the ones before; more run at once, fewer
            learn quicker. It does not depend on ``jobs``, so that the result does not either.
        min_rows: training rows of the first round of halving; None for what it takes to tell candidates apart.
        pickle: consent to save a model as a pickle where no safer format holds it.
    """

    method: Method = "random"
    n_iter: Count = 20
    cv: Annotated[int, msgspec.Meta(ge=2)] = 5
    scoring: str | None = None
    random_state: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)] = 0
    jobs: Annotated[int, msgspec.Meta(ge=0)] = 1
    max_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    patience: Count | None = None
    batch: Count = 4
    min_rows: Annotated[int, msgspec.Meta(ge=2)] | None = None
    pickle: bool = False

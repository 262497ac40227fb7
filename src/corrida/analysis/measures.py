"""What a metric measures, as a function of the items of a run.

A *measure* says how the value of a metric comes about from the per-item table. The grammar::

    measure  = name [ "(" argument ")" ] [ "where" column "=" value ]

==============================  ============================================================================
``accuracy``, ``error_rate``    share of the items with a known truth that are right; that are wrong
``coverage``                    share of the items with an output
``precision``, ``recall``,      micro averages: over all labels together; an item without an output has
``f1``                          no prediction. Items with lists are multi-label
``precision(L)``, …             of the label L alone
``precision_macro``, …          the average over labels; ``_weighted``: by how often a label is expected
``balanced_accuracy``           recall, averaged over the labels that are expected
``counted_precision``, …        from the columns ``tp``, ``fp`` and ``fn`` of each item
``mean(C)``                     mean of a column; ``root_mean(C)`` its square root; ``rms(C)`` root of the mean square
``ratio(C/D)``                  the sum of one column over the sum of another
``mae``, ``mse``, ``rmse``,     of the numbers in ``output`` against those in ``expected``
``r2``
==============================  ============================================================================
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import msgspec

from corrida.errors import InvalidMetric

if TYPE_CHECKING:
    from corrida.analysis.statistics.estimators import Estimator

_GRAMMAR = re.compile(r"([a-z][a-z0-9_]*)(?:\((.*)\))?(?:\s+where\s+(\S+?)\s*=\s*(.+))?", re.DOTALL)
_RATES = ("precision", "recall", "f1")
_AVERAGES = frozenset(
    {f"{rate}_{way}" for rate in _RATES for way in ("macro", "weighted")} | {"balanced_accuracy"}
)
_PLAIN = frozenset({"accuracy", "error_rate", "coverage", "mae", "mse", "rmse", "r2", *_RATES, *_AVERAGES})
_COUNTED = frozenset(f"counted_{rate}" for rate in _RATES)
_OF_COLUMN = frozenset({"mean", "root_mean", "rms", "ratio"})
# Words of a metric's name that say nothing about what it measures.
_FILLERS = frozenset(
    {"test", "val", "valid", "validation", "eval", "evaluation", "dev", "train", "score", "mean", "avg", "average",
     "overall", "total", "micro", "final"}
)  # fmt: skip
_SYNONYMS = {
    "acc": "accuracy",
    "prec": "precision",
    "rec": "recall",
    "fscore": "f1",
    "fmeasure": "f1",
}
# What people log the mean of, each item's share of it in the column ``loss``.
_LOSSES = frozenset(
    {
        "loss",
        "logloss",
        "nll",
        "crossentropy",
        "brier",
        "mae",
        "mse",
        "mape",
        "smape",
        "mase",
        "perplexity",
        "hinge",
    }
)


class Measure(msgspec.Struct, frozen=True):
    """How the value of a metric comes about from items.

    Attributes:
        kind: the name in the grammar.
        argument: a label or columns.
        where: count only items whose column holds a value, as (column, value).
    """

    kind: str
    argument: str | None = None
    where: tuple[str, str] | None = None

    def __str__(self) -> str:
        """Return the measure as it is written."""
        text = self.kind if self.argument is None else f"{self.kind}({self.argument})"
        return text if self.where is None else f"{text} where {self.where[0]}={self.where[1]}"

    @property
    def averages_labels(self) -> bool:
        """Tell whether it is an average over labels."""
        return self.kind in _AVERAGES

    @property
    def rate(self) -> str | None:
        """Which of precision, recall and f1 it is, if any."""
        kind = self.kind.removeprefix("counted_")
        return next((rate for rate in _RATES if kind.startswith(rate)), None)

    @property
    def whole(self) -> float | None:
        """What an item adds to the denominator of a share of right or answered items; None for any other measure."""
        if self.where is not None or self.argument is not None:
            return None
        if self.kind == "f1":
            return 2.0
        return 1.0 if self.kind in {"accuracy", "error_rate", "coverage", "precision", "recall"} else None

    def estimator(self) -> Estimator:
        """Return the function of sums."""
        from corrida.analysis.statistics.estimators import Determination, LabelAverage, Ratio, RootRatio

        if self.kind == "balanced_accuracy":
            return LabelAverage("recall", expected_only=True)
        if self.averages_labels:
            return LabelAverage(self.rate or "f1", weighted=self.kind.endswith("weighted"))  # type: ignore[arg-type]
        if self.kind in {"rmse", "root_mean", "rms"}:
            return RootRatio()
        if self.kind == "r2":
            return Determination()
        open_ended = self.kind in {"mean", "ratio", "mae", "mse"}
        return Ratio((None, None)) if open_ended else Ratio()


def parse_measure(text: str) -> Measure:
    """Read a measure.

    Raises:
        InvalidMetric: it is outside of the grammar.
    """
    found = _GRAMMAR.fullmatch(text.strip())
    if found:
        kind, argument, column, value = found.groups()
        argument = argument.strip() if argument else None
        fits = (
            (kind in _OF_COLUMN and argument and ("/" in argument) == (kind == "ratio"))
            or (kind in _RATES)
            or (kind in _PLAIN | _COUNTED and argument is None)
        )
        if fits:
            return Measure(kind, argument, (column, value.strip()) if column else None)
    known = ", ".join(
        [*sorted(_PLAIN | _COUNTED), "precision(LABEL)", "mean(COLUMN)", "ratio(COLUMN/COLUMN)"]
    )
    raise InvalidMetric(f"{text!r} is no measure; there are {known}, each with where COLUMN=VALUE if needed")


def candidates(
    metric: str, columns: Collection[str], labels: Collection[str]
) -> Iterator[tuple[Measure, bool]]:
    """Yield what a metric may measure by its name, the likeliest first.

    Args:
        metric: its name.
        columns: of both item tables.
        labels: that are expected, when they are few.

    Yields:
        A measure, and whether the name alone vouches for it; else only a value that agrees does.
    """
    words = [w for w in re.split(r"[^\w]+|_", metric.lower()) if w]
    words = ["f1" if w in {"f", "fmeasure", "fscore"} and "1" in words else w for w in words]
    telling = [
        _SYNONYMS.get(w, w) for w in words if w not in _FILLERS and (w != "rate" or "error" not in words)
    ]
    if telling == ["balanced", "accuracy"]:
        yield Measure("balanced_accuracy"), True
    elif telling in (["accuracy"], ["coverage"], ["r2"]):
        yield Measure(telling[0]), True
    elif telling == ["error"]:  # of a classifier, or of numbers
        yield Measure("error_rate"), "rate" in words
        yield from ((Measure(kind), False) for kind in ("mae", "mse", "rmse"))
    elif any(rate in telling for rate in _RATES):
        yield from _rates(metric, telling, "micro" in words, columns, labels)
    elif "".join(telling) in _LOSSES | {"rmse"}:
        yield from _losses("".join(telling), columns)
    elif not telling and "score" in words:
        yield Measure("mean", "score"), "score" in columns
    joined = "_".join(words)
    for column in columns:
        name = "_".join(w for w in re.split(r"[^\w]+|_", column.lower()) if w)
        if name and joined in {name, f"mean_{name}", f"avg_{name}", f"{name}_mean", f"{name}_avg"}:
            yield Measure("mean", column), False


def _losses(name: str, columns: Collection[str]) -> Iterator[tuple[Measure, bool]]:
    logged = "loss" in columns
    if name == "rmse":
        yield Measure("rmse"), not logged
        yield Measure("root_mean", "loss"), False
        yield Measure("rms", "loss"), False
        return
    yield Measure("mean", "loss"), logged
    if name in {"mae", "mse"}:
        yield Measure(name), not logged
    yield Measure("error_rate"), False


def _rates(
    metric: str, telling: list[str], micro: bool, columns: Collection[str], labels: Collection[str]
) -> Iterator[tuple[Measure, bool]]:
    rate = next(rate for rate in _RATES if rate in telling)
    rest = [word for word in telling if word != rate]
    if rest in (["macro"], ["weighted"]):
        yield Measure(f"{rate}_{rest[0]}"), True
        return
    if rest:  # of one label: f1.cook; anything else the items do not know
        named = re.sub(rf"(?i)(?:^|(?<=[^\w])){rate}[^\w]+|[^\w]+{rate}$", "", metric)
        if named in labels:
            yield Measure(rate, named), True
        return
    if {"tp", "fp", "fn"} <= set(columns):
        yield Measure(f"counted_{rate}"), True
    yield Measure(rate), True
    if micro:
        return
    yield Measure(f"{rate}_macro"), False
    yield Measure(f"{rate}_weighted"), False
    if len(labels) <= 2:  # two classes: the rate of one of them
        for label in sorted(
            labels, key=lambda one: one.lower() in {"0", "false", "no", "n", "negative", "neg"}
        ):
            yield Measure(rate, label), False

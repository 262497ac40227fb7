"""Which way a metric is better: as declared, else as its name says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corrida.runs.run_file import Direction

_LESS = re.compile(
    r"(?:^|[._/ -])(?:loss|error|errors|mae|mse|rmse|mape|smape|mase|wer|cer|perplexity|latency|duration|seconds|"
    r"time|cost|brier|ece|logloss|wrong|failures?|missing)(?:$|[._/ -])"
)
_MORE = re.compile(
    r"(?:^|[._/ -])(?:accuracy|acc|precision|recall|f1|f2|fbeta|auc|auroc|r2|score|map|ndcg|mrr|bleu|rouge|iou|dice|"
    r"kappa|coverage|correct|hits?|success)(?:$|[._/ -]|@)"
)


def direction_of(name: str, declared: Mapping[str, Direction]) -> Direction | None:
    """Return whether more (``max``) or less (``min``) of a metric is better, or None when nobody can say.

    Args:
        name: the metric.
        declared: by name or pattern with ``*``; the exact name wins, then the longest pattern.
    """
    if name in declared:
        return declared[name]
    for pattern in sorted(declared, key=len, reverse=True):
        if fnmatchcase(name, pattern):
            return declared[pattern]
    lowered = name.lower()
    if _LESS.search(lowered):
        return "min"
    return "max" if _MORE.search(lowered) else None

"""Small data and estimators for the engine; a module, so that workers can import it."""
# ruff: noqa: N803 - X is what scikit-learn calls it

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge


def table(rows=120, *, gaps=False, text=False, seed=0):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows), "c": rng.normal(size=rows)})
    if gaps:
        frame = frame.with_columns(pl.when(pl.col("b") > 1).then(None).otherwise(pl.col("b")).alias("b"))
    if text:
        frame = frame.with_columns(pl.Series("where", rng.choice(["coast", "peña", "山"], rows)))
    return frame


def target(frame, task="regression", seed=1):
    noise = np.random.default_rng(seed).normal(size=frame.height) * 0.2
    y = frame["a"].to_numpy() * 2 - frame["c"].to_numpy() + noise
    if "where" in frame.columns:
        y = y + (frame["where"] == "coast").to_numpy()
    if task == "regression":
        return y
    return np.where(y > 1, "high", np.where(y < -1, "low", "middle"))


class Failing(RegressorMixin, BaseEstimator):
    """Fails for some of its parameters."""

    def __init__(self, level=0):
        self.level = level

    def fit(self, X, y):
        if self.level > 2:
            raise ValueError(f"level {self.level} is too much")
        self.mean_ = float(np.mean(y)) + self.level
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


class Infinite(Failing):
    """Predicts infinity."""

    def predict(self, X):
        return np.full(len(X), np.inf)


class Double(Failing):
    """Predicts two numbers a row."""

    def predict(self, X):
        return np.zeros((len(X), 2))


class NotCloned(RegressorMixin, BaseEstimator):
    """Changes what it is given, which scikit-learn cannot clone."""

    def __init__(self, values=None):
        self.values = list(values or [1])

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X))


class Killed(Ridge):
    """Ends its worker at its first fit; a file says whether there was one."""

    def __init__(self, alpha=1.0, flag=""):
        super().__init__(alpha=alpha)
        self.flag = flag

    def fit(self, X, y):
        try:
            Path(self.flag).touch(exist_ok=False)
        except FileExistsError:
            return super().fit(X, y)
        return os.kill(os.getpid(), signal.SIGKILL)


class Shift(RegressorMixin, BaseEstimator):
    """A user's own, which no safe format knows."""

    def __init__(self, by=0.0):
        self.by = by

    def fit(self, X, y):
        self.mean_ = float(np.mean(y)) + self.by
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)

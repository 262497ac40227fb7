"""What became of candidates, and the journal by which a search that was killed goes on."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from corrida.pipelines.model_search.evaluation import FoldScore  # noqa: TC001 - msgspec reads it

if TYPE_CHECKING:
    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.model_search.search_data import PreparedData

JOURNAL = "trials.jsonl"


class Trial(msgspec.Struct, kw_only=True):
    """A candidate that was tried.

    Attributes:
        number: of the candidate, from 0; the defaults of the estimator are 0.
        params: of the candidate.
        round: in which it was tried; halving has several.
        rows: training rows of each fold that it got; None for all.
        folds: what it reached on each fold, in their order; empty when it failed.
        error: why it failed, or None.
        attempts: how often it was begun; more than one a part when workers died.
        best_so_far: the best score of the model when this one had ended.
        resumed: taken over from the run that was resumed.
    """

    number: int
    params: dict[str, Any]
    round: int = 0
    rows: int | None = None
    folds: list[FoldScore] = []
    error: str | None = None
    attempts: int = 1
    best_so_far: float | None = None
    resumed: bool = False

    @property
    def scores(self) -> dict[str, float]:
        """The mean over the folds of each metric that every fold has."""
        if not self.folds:
            return {}
        names = [name for name in self.folds[0].metrics if all(name in one.metrics for one in self.folds)]
        return {name: _mean([one.metrics[name] for one in self.folds]) for name in names}

    @property
    def spreads(self) -> dict[str, float]:
        """The standard deviation over the folds of each metric that every fold has."""
        return {name: float(np.std([one.metrics[name] for one in self.folds])) for name in self.scores}

    @property
    def duration_sec(self) -> float:
        """How long its fits and scores took together."""
        return sum(one.fit_sec + one.score_sec for one in self.folds)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


class Journal:
    """Appends each trial to ``trials.jsonl`` of the child run as it ends, and reads those of the run before.

    Trials of before count only when data, folds, model and settings are the same: their digest stands in the first line.
    """

    def __init__(self, recorder: Recorder, key: str) -> None:
        """Read what the resumed run had, and begin a journal of this run."""
        self._recorder = recorder
        self._earlier: dict[tuple[int, int], Trial] = {}
        path = recorder.earlier(JOURNAL)
        if path is not None:
            self._read(path.read_bytes(), key)
        recorder.append(JOURNAL, {"key": key})

    def _read(self, content: bytes, key: str) -> None:
        first, *lines = content.split(b"\n")
        try:
            if msgspec.json.decode(first) != {"key": key}:
                self._recorder.warn(
                    "the finished candidates of the resumed run are of other data or settings; they are tried again"
                )
                return
        except msgspec.DecodeError:
            return
        for line in lines:
            try:
                trial = msgspec.json.decode(line, type=Trial)
            except msgspec.DecodeError:
                continue  # a write that a kill cut off
            self._earlier[trial.round, trial.number] = trial

    def earlier(
        self, number: int, params: dict[str, Any], round_number: int, rows: int | None
    ) -> Trial | None:
        """Return the trial of an earlier run of the same candidate, if it ended without an error."""
        trial = self._earlier.get((round_number, number))
        if trial is None or trial.error is not None or trial.rows != rows:
            return None
        if plain_params(params) != trial.params:
            return None
        trial.params, trial.resumed = params, True
        return trial

    def append(self, trial: Trial) -> None:
        """Keep a trial; when the call has returned, a kill does not lose it."""
        content = msgspec.to_builtins(trial)
        content["params"] = plain_params(trial.params)
        self._recorder.append(JOURNAL, content)


def plain_params(params: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON can hold them; an object by its representation."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(params, enc_hook=_plain))
    return found


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else repr(value)


def search_key(prepared: PreparedData, *parts: Any) -> str:
    """Return a digest of what the scores of candidates depend on."""
    digest = hashlib.sha256()
    digest.update(np.ascontiguousarray(prepared.matrix).tobytes())
    digest.update(np.ascontiguousarray(prepared.y).tobytes())
    for train, valid in prepared.folds:
        digest.update(train.tobytes())
        digest.update(valid.tobytes())
    features = "" if prepared.features is None else msgspec.json.encode(prepared.features).decode()
    digest.update("\n".join([features, repr(prepared.labels), *map(repr, parts)]).encode())
    return digest.hexdigest()

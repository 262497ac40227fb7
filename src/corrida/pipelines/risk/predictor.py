"""Classes for new transactions, with nothing but the models of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from corrida.errors import InvalidData
from corrida.pipelines.contract import Prediction
from corrida.pipelines.inputs import shown
from corrida.pipelines.risk.layers import Layers, load_layers
from corrida.pipelines.risk.scoring import FileScores, score_file
from corrida.pipelines.streaming import DRIFTED

if TYPE_CHECKING:
    from corrida.pipelines.contract import Data
    from corrida.pipelines.risk.settings import Columns, Reading
    from corrida.pipelines.streaming import ScoreReport


class RiskPredictor:
    """Scores files of transactions; a :class:`corrida.pipelines.streaming.StreamingPredictor`.

    Attributes:
        layers: of the run.
        columns, reading: of its configuration.
    """

    def __init__(self, layers: Layers, columns: Columns, reading: Reading) -> None:
        self.layers, self.columns, self.reading = layers, columns, reading

    def predict(self, data: Data | None = None, *, history: str | None = None) -> Prediction:
        """Give every transaction its class and the reasons.

        Args:
            data: files of transactions.
            history: a file of earlier transactions of the same clients, which are not scored.

        Returns:
            One row a row of the files, in their order: ``row``, ``client``, ``amount``, ``date``, ``class``, ``decided_by``,
            ``reasons``, ``problem`` (why a row was not scored), ``risk_<class>``, ``isolation``, ``distance``; ``file`` where
            there are several.

        Raises:
            InvalidData: there is no file, or one cannot be used.
            PipelineFailed: a model gives no number.
        """
        if data is None or not data.files:
            raise InvalidData("there is nothing to score; name a file of transactions with --data")
        known = Path(history) if history is not None else None
        frames, notes = [], []
        for path in data.files:
            scores = self.score(path, history=known)
            frame = pl.concat(list(scores))
            several = len(data.files) > 1
            frames.append(frame.with_columns(pl.lit(path.name).alias("file")) if several else frame)
            notes += [f"{shown(path)}: {note}" if several else note for note in notes_of(scores.report)]
        return Prediction(pl.concat(frames), notes)

    def score(
        self,
        path: Path,
        *,
        history: Path | None = None,
        work: Path | None = None,
        max_bytes: int | None = None,
        max_rows: int | None = None,
    ) -> FileScores:
        """Score a file of any size; see :class:`corrida.pipelines.streaming.StreamingPredictor`."""
        return score_file(
            self.layers,
            self.columns,
            self.reading,
            path,
            history=history,
            work=work,
            max_bytes=max_bytes,
            max_rows=max_rows,
        )


def load_predictor(models: Path, *, trust: bool = False) -> RiskPredictor:
    """Return what scores with the models of a run.

    Raises:
        NotFound: the folder holds no models of this pipeline.
        DamagedRun: a file is missing, altered or not readable.
    """
    return RiskPredictor(*load_layers(models, trust=trust))


def notes_of(report: ScoreReport) -> list[str]:
    """Return what a person should know of a scored file, in sentences."""
    classes = ", ".join(
        f"{count:,} {name}" for name, count in sorted(report.classes.items(), key=lambda c: -c[1])
    )
    notes = [f"{report.scored:,} of {report.rows:,} rows scored{f': {classes}' if classes else ''}"]
    notes += [f"{count:,} not scored: {reason}" for reason, count in report.not_scored.items()]
    notes += [
        f"{one['rows']:,} rows have a {column} that training had not seen ({', '.join(list(one['most'])[:5])})"
        for column, one in report.alignment.get("unseen", {}).items()
    ]
    filled = report.alignment.get("filled", {})
    if filled:
        listed = ", ".join(f"{name} {count:,}" for name, count in filled.items())
        notes.append(f"missing features filled with the median of training: {listed}")
    if ignored := report.alignment.get("ignored_columns"):
        notes.append(
            f"columns that were not used: {', '.join(ignored[:10])}{' …' if len(ignored) > 10 else ''}"
        )
    if report.rules.get("unknown_limits"):
        notes.append(
            f"{report.rules['unknown_limits']:,} rows lie on days for which no limits of the law are known"
        )
    first = report.history.get("scored_without_any", 0)
    if first:
        notes.append(f"of {first:,} scored rows nothing earlier of the client is known")
    far = [name for name, psi in report.drift.items() if psi > DRIFTED]
    if far and report.scored >= 100:
        notes.append(f"far from training (PSI above {DRIFTED}): {', '.join(far)}")
    return notes

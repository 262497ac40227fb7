"""Predict new rows with a fitted model of a run, aligned as training was."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import polars as pl

from corrida.errors import DamagedRun, InvalidConfig, InvalidData, NotFound
from corrida.pipelines.contract import Prediction
from corrida.pipelines.inputs import id_column, read_table, shown, suggest
from corrida.pipelines.model_files import FACTS, check_model
from corrida.pipelines.model_search.columns import Column, Source, encoded, texts_of, values_of
from corrida.pipelines.model_search.dates import as_times, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from corrida.pipelines.contract import Data, Recorder
    from corrida.pipelines.model_search.data import Prepared
    from corrida.pipelines.model_search.fitted import FittedModel
    from corrida.pipelines.model_search.settings import ModelSearchConfig

PREDICTOR = "predictor"
_ABOUT = "predictor.json"
_NAMED = 5
_MOST_CLASSES = 20


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What prediction needs besides the fitted model.

    Attributes:
        model: its name, which is that of its folder.
        task: regression or classification.
        target: what is predicted.
        columns: that were learnt from, in order.
        id: the column that names a row, or None.
        date: the column that orders rows in time, or None.
        train_until: the last time of the training rows, where they have times.
    """

    model: str
    task: Literal["regression", "classification"]
    target: str
    columns: tuple[Column, ...]
    id: str | None = None
    date: str | None = None
    train_until: str | None = None


def save_predictor(recorder: Recorder, model: str, prepared: Prepared, config: ModelSearchConfig) -> None:
    """Save how rows are aligned as ``models/predictor``, beside the fitted model."""
    split = prepared.facts["split"]
    about = About(
        model=model,
        task=prepared.task,
        target=config.target,
        columns=tuple(prepared.columns),
        id=config.id,
        date=split.get("column") if split["by"] == "time" else None,
        train_until=split.get("train_until"),
    )

    def write(folder: Path) -> None:
        (folder / _ABOUT).write_bytes(msgspec.json.format(msgspec.json.encode(about)) + b"\n")

    recorder.save_model(PREDICTOR, write, format="json", libraries=["polars"])


def load_predictor(models: Path, *, trust: bool = False) -> ModelPredictor:
    """Return what predicts with the model of a run.

    Args:
        models: the folder ``models`` of the run of a search or of one of its models, which is all that is needed.
        trust: consent to a pickle.

    Raises:
        NotFound: the folder holds no model of this pipeline.
        DamagedRun: a file was altered.
        Refused: the model is a pickle and nobody consented.
        MissingExtra: a library is not installed.
    """
    from corrida.pipelines.model_search.saving import load_fitted

    if not (models / PREDICTOR).is_dir():
        return _without_table(models, trust=trust)
    check_model(models / PREDICTOR, trust=trust)
    try:
        about = msgspec.json.decode((models / PREDICTOR / _ABOUT).read_bytes(), type=About)
    except msgspec.DecodeError as error:
        raise DamagedRun(f"models/{PREDICTOR}/{_ABOUT} cannot be read ({error})") from None
    return ModelPredictor(about, load_fitted(models / about.model, trust=trust))


def _without_table(models: Path, *, trust: bool) -> ModelPredictor:
    """Return a predictor of a search that was given features and not a table: its columns are those of the model."""
    from corrida.pipelines.model_search.saving import load_fitted

    folders = (
        [folder for folder in sorted(models.iterdir()) if (folder / FACTS).is_file()]
        if models.is_dir()
        else []
    )
    if len(folders) != 1:
        raise NotFound(
            f"the run has no models/{PREDICTOR}, which says how new rows are brought into the shape of training"
        )
    fitted = load_fitted(folders[0], trust=trust)
    if fitted.features is None or not fitted.features.named:
        raise InvalidData(
            f"{folders[0].name} learnt from features without names, so a table cannot be brought into their order; "
            "predict in Python, with the fitted model of the run"
        )
    columns = tuple(
        Column(name=one.name, kind=one.kind, levels=one.categories) for one in fitted.features.columns
    )
    about = About(model=folders[0].name, task=fitted.task, target=fitted.target, columns=columns)
    return ModelPredictor(about, fitted)


class ModelPredictor:
    """Predicts rows with one fitted model.

    Attributes:
        about: what was trained.
        fitted: the model.
    """

    def __init__(self, about: About, fitted: FittedModel) -> None:
        """Put together what was trained."""
        self.about, self.fitted = about, fitted

    def predict(self, data: Data | None = None, *, model: str | None = None) -> Prediction:
        """Predict each row of new data.

        Args:
            data: tables with the columns of training, in any order; further ones are not used.
            model: its name; it must be the one that is here.

        Returns:
            One row a row of the data, in its order: ``item_id`` (the column of ids, or the number of the row), the date where
            there is one, ``expected`` where the data hold the target, ``prediction``, ``confidence`` and ``p_<class>`` of
            a classifier, and ``model``.

        Raises:
            InvalidConfig: another model is asked for.
            InvalidData: no data, a column is missing, or a value cannot be read.
        """
        about = self.about
        if model is not None and model != about.model:
            raise InvalidConfig(
                f"here is the model {about.model}, not {model!r}; the other models of a search are runs of their own, "
                "beside that of the search"
            )
        if data is None or not data.files:
            raise InvalidData("there is nothing to predict; name the new rows with --data FILE")
        source = Source([(path, read_table(path)) for path in data.files])
        notes: list[str] = []
        features = encoded(self._values(source, notes), about.columns)
        self._note_of_alignment(features, notes)
        frame = self._frame(source, features, notes)
        if data.item_ids is not None:
            frame = frame.filter(pl.col("item_id").is_in(list(data.item_ids)))
        return Prediction(frame, notes)

    def _values(self, source: Source, notes: list[str]) -> pl.DataFrame:
        """Return the columns of training as what they hold, found by their names."""
        names = [column.name for column in self.about.columns]
        missing = [name for name in names if name not in source.frame.columns]
        if missing:
            many = len(missing) > 1
            raise InvalidData(
                f"{shown(source.path)}: there {'are no columns' if many else 'is no column'} "
                f"{', '.join(map(repr, missing))}, from which {self.about.model} learnt. The columns are: "
                f"{', '.join(source.frame.columns)}.{suggest(missing[0], source.frame.columns)}"
            )
        known = {*names, self.about.target, self.about.id, self.about.date}
        if extra := [name for name in source.frame.columns if name not in known]:
            notes.append(f"not used, as the model did not learn from them: {_some(extra)}")
        return pl.DataFrame(
            [values_of(source, column.name, column.kind).alias(column.name) for column in self.about.columns]
        )

    def _note_of_alignment(self, features: pl.DataFrame, notes: list[str]) -> None:
        alignment = self.fitted.alignment(features)
        if alignment is None:
            return
        for name, texts in alignment.unseen.items():
            rows = sum(texts.values())
            notes.append(
                f"{name}: {rows:,} {'row has' if rows == 1 else 'rows have'} names that training never saw "
                f"({_some(sorted(texts))}); they count as none of the known ones"
            )
        for column in self.about.columns:
            own = [n for n in alignment.missing if n == column.name or (column.kind == "date" and n.startswith(f"{column.name}."))]  # fmt: skip
            if own:
                rows = max(alignment.missing[n] for n in own)
                notes.append(
                    f"{column.name}: missing in {rows:,} row{'' if rows == 1 else 's'}; filled as in training"
                )

    def _frame(self, source: Source, features: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
        about, rows = self.about, source.frame.height
        columns: list[pl.Series] = [pl.Series("item_id", self._ids(source, notes))]
        taken = about.date in {"item_id", "expected", "prediction", "confidence", "model"}
        if about.date is not None and about.date in source.frame.columns and not taken:
            times = as_times(source.frame[about.date])
            if times is not None and not times.null_count():
                columns.append(pl.Series(about.date, time_text(times)))
        if about.target in source.frame.columns:
            columns.append(self._expected(source).alias("expected"))
        output = self.fitted.predict(features)
        if about.task == "regression":
            columns.append(pl.Series("prediction", output.astype(np.float64)))
        else:
            columns.append(pl.Series("prediction", [str(one) for one in output]))
            columns += self._probabilities(features)
        columns.append(pl.Series("model", [about.model] * rows))
        return pl.DataFrame(columns)

    def _ids(self, source: Source, notes: list[str]) -> list[str]:
        name = self.about.id
        if name is not None and name in source.frame.columns:
            return [str(one) for one in id_column(source.frame, source.path, name).to_list()]
        if name is not None:
            notes.append(f"there is no column {name!r}; rows are named by their number")
        return [str(number) for number in range(1, source.frame.height + 1)]

    def _expected(self, source: Source) -> pl.Series:
        """Return what the data say of the target; where that cannot be read it is shown as it stands."""
        if self.about.task == "regression":
            with contextlib.suppress(InvalidData):
                return values_of(source, self.about.target, "number")
        return texts_of(source.frame[self.about.target])

    def _probabilities(self, features: pl.DataFrame) -> list[pl.Series]:
        try:
            shares: np.ndarray[Any, Any] = self.fitted.predict_proba(features)
        except AttributeError:
            return []  # a classifier that gives none
        classes: Sequence[str] = [str(one) for one in self.fitted.classes_]
        found = [pl.Series("confidence", shares.max(axis=1))]
        if len(classes) <= _MOST_CLASSES:
            found += [pl.Series(f"p_{one}", shares[:, place]) for place, one in enumerate(classes)]
        return found


def _some(names: Sequence[str]) -> str:
    few = ", ".join(names[:_NAMED])
    return few if len(names) <= _NAMED else f"{few} and {len(names) - _NAMED:,} more"

"""Predict new rows with a fitted model of a run, aligned as training was."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec
import numpy as np
import polars as pl

from corrida.errors import DamagedRun, InvalidConfig, InvalidData, NotFound
from corrida.pipelines.contract import Prediction
from corrida.pipelines.feature_profile import Profile, learn_profile
from corrida.pipelines.inputs import id_column, read_table, shown, suggest
from corrida.pipelines.model_files import FACTS, check_model
from corrida.pipelines.model_search.columns import Column, Source, encoded, texts_of, values_of
from corrida.pipelines.model_search.dates import have_hours, times_by_row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from corrida.pipelines.contract import Data, Recorder
    from corrida.pipelines.model_search.data import Prepared
    from corrida.pipelines.model_search.fitted import FittedModel
    from corrida.pipelines.model_search.scoring import FileScores
    from corrida.pipelines.model_search.settings import ModelSearchConfig
    from corrida.pipelines.model_search.table import Alignment

PREDICTOR = "predictor"
_ABOUT, _PROFILE = "predictor.json", "profile.json"
_NAMED = 5
_MOST_CLASSES = 20
_TAKEN = frozenset({"row", "item_id", "expected", "prediction", "confidence", "model", "problem"})
_T = TypeVar("_T")


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
        hours: whether times are shown with the time of day; None of models that do not say it.
    """

    model: str
    task: Literal["regression", "classification"]
    target: str
    columns: tuple[Column, ...]
    id: str | None = None
    date: str | None = None
    train_until: str | None = None
    hours: bool | None = None


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
        hours=_have_hours(split, prepared.times),
    )
    # The date itself moves on by nature; how far the others moved is what is measured of later files.
    measured = [column.name for column in prepared.columns if column.kind != "date"]
    profile = learn_profile(prepared.x_train.select(measured))

    def write(folder: Path) -> None:
        for name, content in ((_ABOUT, about), (_PROFILE, profile)):
            (folder / name).write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")

    recorder.save_model(PREDICTOR, write, format="json", libraries=["polars"])


def _have_hours(split: dict[str, Any], times: pl.Series | None) -> bool | None:
    if times is None:
        return None
    ends = [split.get(f"{side}_{end}") or "" for side in ("train", "test") for end in ("from", "until")]
    return have_hours(times) or any(len(text) > len("2024-01-31") for text in ends)


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
    about = _read(models / PREDICTOR / _ABOUT, About)
    if Path(about.model).name != about.model:  # it names a folder
        raise DamagedRun(f"models/{PREDICTOR}/{_ABOUT} names no model of the run")
    place = models / PREDICTOR / _PROFILE
    profile = _read(place, Profile) if place.exists() else None
    return ModelPredictor(about, load_fitted(models / about.model, trust=trust), profile)


def _read(path: Path, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.DecodeError as error:
        raise DamagedRun(f"models/{PREDICTOR}/{path.name} cannot be read ({error})") from None


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
    """Predicts rows with one fitted model; a :class:`corrida.pipelines.streaming.StreamingPredictor`.

    Attributes:
        about: what was trained.
        fitted: the model.
        profile: how the columns of the training rows are spread; None of models that do not say it.
    """

    def __init__(self, about: About, fitted: FittedModel, profile: Profile | None = None) -> None:
        """Put together what was trained."""
        self.about, self.fitted, self.profile = about, fitted, profile

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
        answers, alignment = self.answers(features)
        self._note_of_alignment(alignment, notes)
        frame = self._frame(source, answers, notes)
        if data.item_ids is not None:
            frame = frame.filter(pl.col("item_id").is_in(list(data.item_ids)))
        return Prediction(frame, notes)

    def score(
        self,
        path: Path,
        *,
        history: Path | None = None,
        work: Path | None = None,  # noqa: ARG002 - nothing has to wait on disk
        max_bytes: int | None = None,
        max_rows: int | None = None,
    ) -> FileScores:
        """Predict a file of any size; see :class:`corrida.pipelines.streaming.StreamingPredictor`.

        Rows that :meth:`predict` would refuse come back with the reason in ``problem``; the others are predicted alike.
        """
        from corrida.pipelines.model_search.scoring import FileScores
        from corrida.pipelines.table_stream import open_table

        if history is not None:
            raise InvalidConfig("a model of a search knows of no earlier rows; leave the history out")
        return FileScores(self, open_table(path, max_bytes=max_bytes, max_rows=max_rows))

    def answers(self, features: pl.DataFrame) -> tuple[list[pl.Series], Alignment | None]:
        """Return what the model says of rows, in columns, and how they fit the training.

        Args:
            features: as :func:`corrida.pipelines.model_search.columns.encoded` gives them.
        """
        if not features.height:  # estimators refuse to be asked for nothing
            shared = self.about.task == "classification" and self.fitted.gives_shares
            shares = np.empty((0, len(self.fitted.classes_))) if shared else None
            return self._answer_columns(np.empty(0), shares), None
        output, shares, alignment = self.fitted.answers(features)
        return self._answer_columns(output, shares), alignment

    def _answer_columns(
        self, output: np.ndarray[Any, Any], shares: np.ndarray[Any, Any] | None
    ) -> list[pl.Series]:
        if self.about.task == "regression":
            return [pl.Series("prediction", output.astype(np.float64))]
        columns = [pl.Series("prediction", [str(one) for one in output], dtype=pl.String)]
        if shares is not None:
            columns.append(pl.Series("confidence", shares.max(axis=1, initial=0.0)))
            classes = [str(one) for one in self.fitted.classes_]
            if len(classes) <= _MOST_CLASSES:
                columns += [pl.Series(f"p_{one}", shares[:, place]) for place, one in enumerate(classes)]
        return columns

    def require_columns(self, path: Path, header: Sequence[str]) -> None:
        """Refuse a table that lacks a column of the training.

        Raises:
            InvalidData: naming the columns, those there are, and the nearest name.
        """
        missing = [column.name for column in self.about.columns if column.name not in header]
        if missing:
            many = len(missing) > 1
            raise InvalidData(
                f"{shown(path)}: there {'are no columns' if many else 'is no column'} "
                f"{some(list(map(repr, missing)))}, from which {self.about.model} learnt. The columns are: "
                f"{some(header, 20)}.{suggest(missing[0], header)}"
            )

    def not_used(self, header: Sequence[str]) -> list[str]:
        """Return the columns of a table that have no say."""
        about = self.about
        known = {*(column.name for column in about.columns), about.target, about.id, about.date}
        return [name for name in header if name not in known]

    def shown_date(self, header: Sequence[str]) -> str | None:
        """Return the column of dates that predictions carry along, where a table has it."""
        date = self.about.date
        return date if date in header and date not in _TAKEN else None

    def date_text(self, times: pl.Series) -> pl.Series:
        """Return times as they are shown: by what the training rows had, each by itself."""
        if self.about.hours:
            return times.dt.strftime("%Y-%m-%d %H:%M:%S")
        day = times.dt.truncate("1d") == times
        return times.dt.strftime("%Y-%m-%d").zip_with(
            day.fill_null(value=True), times.dt.strftime("%Y-%m-%d %H:%M:%S")
        )

    def _values(self, source: Source, notes: list[str]) -> pl.DataFrame:
        """Return the columns of training as what they hold, found by their names."""
        self.require_columns(source.path, source.frame.columns)
        if extra := self.not_used(source.frame.columns):
            notes.append(f"not used, as the model did not learn from them: {some(extra)}")
        return pl.DataFrame(
            [
                values_of(source, column.name, column.kind, by_row=True).alias(column.name)
                for column in self.about.columns
            ]
        )

    def _note_of_alignment(self, alignment: Alignment | None, notes: list[str]) -> None:
        if alignment is None:
            return
        for name, texts in alignment.unseen.items():
            rows = sum(texts.values())
            notes.append(
                f"{name}: {rows:,} {'row has' if rows == 1 else 'rows have'} names that training never saw "
                f"({some(sorted(texts))}); they count as none of the known ones"
            )
        for name, rows in self.filled(alignment).items():
            notes.append(f"{name}: missing in {rows:,} row{'' if rows == 1 else 's'}; filled as in training")

    def filled(self, alignment: Alignment) -> dict[str, int]:
        """Return how many rows lack a value, by column of the table."""
        found = {}
        for column in self.about.columns:
            dated = f"{column.name}." if column.kind == "date" else None
            own = [n for n in alignment.missing if n == column.name or (dated and n.startswith(dated))]
            if own:
                found[column.name] = max(alignment.missing[name] for name in own)
        return found

    def _frame(self, source: Source, answers: list[pl.Series], notes: list[str]) -> pl.DataFrame:
        about, rows = self.about, source.frame.height
        columns: list[pl.Series] = [pl.Series("item_id", self._ids(source, notes))]
        if (date := self.shown_date(source.frame.columns)) is not None:
            times = times_by_row(source.frame[date])
            if times is not None:
                columns.append(self.date_text(times).alias(date))
        if about.target in source.frame.columns:
            columns.append(self._expected(source).alias("expected"))
        columns += answers
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


def some(names: Sequence[str], most: int = _NAMED) -> str:
    """Name a few, and how many more there are."""
    few = ", ".join(names[:most])
    return few if len(names) <= most else f"{few} and {len(names) - most:,} more"

"""Predictions with the models of a run, kept in its folder and stamped on each row."""

from __future__ import annotations

import io
import os
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from corrida import __version__
from corrida.errors import (
    AlreadyExists,
    BadInput,
    CorridaError,
    InvalidConfig,
    InvalidData,
    PipelineFailed,
    StoreError,
)
from corrida.execute.predictable import (
    Chosen,
    can_predict,
    check_models,
    checked,
    child_called,
    choose_run,
    pipeline_of,
)
from corrida.execute.predictor_options import checked_options
from corrida.launch import data_sources
from corrida.pipelines.contract import Data, Prediction
from corrida.pipelines.model_files import library_changes
from corrida.project import Project, find_project
from corrida.runs import layout
from corrida.runs.files import create_file, explained
from corrida.runs.predictions import FORMATS, DataUsed, Format, PredictionFile, keep_prediction
from corrida.runs.snapshot.data import describe_data, keep_sources, only_files
from corrida.runs.store import Store

if TYPE_CHECKING:
    import polars as pl

    from corrida.runs.record import RunRecord

RUN_COLUMN, PREDICTION_COLUMN = "run_id", "prediction_id"


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """What ``corrida predict`` was asked for.

    Attributes:
        reference: the run; None for ``@production``, else the latest that can predict.
        pipeline: only a run of this pipeline.
        data: paths, globs or addresses of tables, relative to the project.
        options: of the predictor, by name.
        trust: consent to model files that can run code.
        kind: of the table, ``parquet`` or ``csv``.
        out: a file that gets a copy; its suffix says of which kind.
        save: keep the prediction in the run folder.
    """

    reference: str | None = None
    pipeline: str | None = None
    data: Sequence[str | os.PathLike[str]] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    trust: bool = False
    kind: str = "parquet"
    out: Path | None = None
    save: bool = True


@dataclass(frozen=True)
class Predicted:
    """What came of a prediction.

    Attributes:
        run: whose models predicted.
        why: why this run, in a few words.
        frame: one row a predicted value, with the columns of the pipeline, ``run_id`` and ``prediction_id``.
        notes: what a person should know of it.
        errors: of the predictions where the truth is in the data; None where nobody asked.
        prediction: what is recorded of it in the run folder; None when it was not kept.
        path: the table in the run folder; None when it was not kept.
        out: the copy that was asked for.
        not_kept: why the run folder could not take it, where a copy was asked for and has it.
    """

    run: RunRecord
    why: str
    frame: pl.DataFrame
    notes: tuple[str, ...] = ()
    errors: pl.DataFrame | None = None
    prediction: PredictionFile | None = None
    path: Path | None = None
    out: Path | None = None
    not_kept: str | None = None

    @property
    def id(self) -> str | None:
        """The id of the prediction; None when it was not kept."""
        return self.prediction.id if self.prediction else None


def predict(
    run: str | None = None,
    *,
    data: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    pipeline: str | None = None,
    trust: bool = False,
    store: str | os.PathLike[str] | Store | None = None,
    save: bool = True,
    format: str = "parquet",  # noqa: A002 - the word for it
    out: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Predicted:
    """Predict with the models of a run, and keep the prediction in its folder.

    The prediction is ``predictions/<id>.parquet`` (or ``.csv``) of the run folder, with the ids of run and prediction on
    each row; ``predictions/<id>.json`` beside it says how it came about. It is durable when the call returns.

    Args:
        run: a reference such as an id, ``latest`` or ``@production``, or the path of a run folder. Without one
            ``@production`` where its pipeline can predict, else the latest finished run that can.
        data: files, globs, or addresses of tables of databases, relative to the project.
        pipeline: only a run of this pipeline.
        trust: consent to model files that can run any code when they are read, such as pickles.
        store: folder or Store; that of the project when not given.
        save: False keeps nothing.
        format: of the table, ``parquet`` or ``csv``.
        out: a new file that gets a copy; its suffix (``.parquet`` or ``.csv``) says of which kind.
        **options: those of the pipeline, such as ``cherry_pick=True, horizon=6`` of forecasting.

    Returns:
        What was predicted, by which run and why this one.

    Raises:
        RunNotFound, AliasNotFound, PipelineNotFound: there is no such run, or nobody knows its pipeline.
        BadInput: the run did not finish or has no models; data or an option cannot be used.
        AlreadyExists: ``out`` is there already.
        DamagedRun: a model file was altered since the run.
        Refused: a model file could run code, and ``trust`` was not given.
        MissingExtra: the models need a package that is not installed.
        StoreError: the run folder cannot be written.

    Example:
        >>> import corrida
        >>> corrida.predict("experiment_baseline", cherry_pick=True, horizon=6).frame
    """
    named = None if isinstance(store, Store) else store
    project = find_project(store=named)
    if isinstance(store, Store):
        project = msgspec.structs.replace(project, store_folder=store.root)
    asked = PredictOptions(
        reference=run,
        pipeline=pipeline,
        data=[data] if isinstance(data, str | os.PathLike) else list(data),
        options=options,
        trust=trust,
        kind=format,
        out=None if out is None else Path(out),
        save=save,
    )
    return predict_run(project, asked)


def predict_run(project: Project, asked: PredictOptions) -> Predicted:
    """Predict with the models of a run; see :func:`predict`."""
    if asked.kind not in FORMATS:
        raise InvalidConfig(f"{asked.kind!r} is no format of predictions; there are {' and '.join(FORMATS)}")
    out_kind = _kind_of_copy(asked)
    project = _holding(project, asked.reference)
    store = project.store()
    chosen = choose_run(project, store, asked.reference, asked.pipeline)
    chosen, options = _or_child(project, store, chosen, dict(asked.options))
    record = chosen.record
    try:
        check_models(record)
        with tempfile.TemporaryDirectory(prefix="corrida-predict-") as scratch:
            said, used, options = _predicted(project, chosen, asked, options, Path(scratch))
    except CorridaError as error:
        if asked.reference is None:  # which run it is was not said by the person
            error.args = (f"{record.id} was to predict ({chosen.why}): {error}",)
        raise
    notes = (*_notes_on_libraries(record), *map(str, said.notes))
    facts = {
        "run_digest": record.run_file().seal,
        "pipeline": record.pipeline,
        "alias": chosen.alias,
        "why": chosen.why,
        "options": options,
        "trust": asked.trust,
        "data": [msgspec.to_builtins(entry) for entry in used],
        "rows": said.frame.height,
        "columns": [*said.frame.columns, RUN_COLUMN, PREDICTION_COLUMN],
        "notes": notes,
        "corrida": __version__,
    }
    done = Predicted(record, chosen.why, _stamped(said.frame, record.id, None), notes, said.errors)
    return _kept(done, asked, said.frame, facts, out_kind)


def _kept(
    done: Predicted, asked: PredictOptions, frame: pl.DataFrame, facts: Mapping[str, Any], out_kind: Format
) -> Predicted:
    """Keep a prediction as it was asked for: in the run folder, then as a copy."""
    kind = cast("Format", asked.kind)
    run, errors, prediction, path, not_kept = done.run, done.errors, None, None, None
    if asked.save:
        try:
            prediction = keep_prediction(
                run.dir,
                lambda name: table_bytes(_stamped(frame, run.id, name), kind),
                kind,
                facts,
                None if errors is None else (table_bytes(errors, "csv"), errors.height),
            )
            path = run.dir / layout.PREDICTIONS_DIR / prediction.file
        except StoreError as error:
            if asked.out is None:
                raise
            not_kept = str(error).partition("; name a file")[0]
    whole = _stamped(frame, run.id, prediction.id if prediction else None)
    if asked.out is not None:
        kept = f"; it is kept in {run.id}/{layout.PREDICTIONS_DIR}/{prediction.file}" if prediction else ""
        try:
            with explained(f"writing {asked.out.name}", "name another file with --out FILE"):
                create_file(asked.out, table_bytes(whole, out_kind), durable=True)
        except FileExistsError:
            raise AlreadyExists(f"{asked.out.name} was made in this moment by somebody else{kept}") from None
        except StoreError as error:
            raise StoreError(f"{error}{kept}") from error
    return Predicted(run, done.why, whole, done.notes, errors, prediction, path, asked.out, not_kept)


def _kind_of_copy(asked: PredictOptions) -> Format:
    """Return the kind of the copy, and refuse a place that cannot take it, before any work."""
    if asked.out is None:
        return cast("Format", asked.kind)
    if os.path.lexists(asked.out):
        raise AlreadyExists(
            f"{asked.out.name} is there already, and nothing is overwritten; name another file"
        )
    if not asked.out.absolute().parent.is_dir():
        raise BadInput(f"there is no folder {asked.out.parent.name!r} for {asked.out.name}; make it first")
    suffix = asked.out.suffix.lower().removeprefix(".")
    if suffix and suffix not in FORMATS:
        raise BadInput(f"{asked.out.name} ends in neither .parquet nor .csv; name the file so")
    return cast("Format", suffix or asked.kind)


def _holding(project: Project, reference: str | None) -> Project:
    """Return the project with the store in which the run lies that was named by its path."""
    if reference is None or "/" not in reference:
        return project
    folder = Path(os.path.abspath(reference))  # noqa: PTH100 - keeps the user's symlinks
    if (folder / layout.RUN).is_file() and folder.parent != project.store_folder:
        return msgspec.structs.replace(project, store_folder=folder.parent)
    return project


def _or_child(
    project: Project, store: Store, chosen: Chosen, options: dict[str, Any]
) -> tuple[Chosen, dict[str, Any]]:
    """Return the part of a run that the option ``model`` names, where the run has parts; then without that option."""
    model = options.get("model")
    if not isinstance(model, str):
        return chosen, options
    child = child_called(store, chosen.record, model)
    if child is None:
        return chosen, options
    pipeline = pipeline_of(project, child)
    if not can_predict(pipeline):
        raise BadInput(f"the run {child.id} is of {child.pipeline}, which cannot predict")
    why = f"it is {model} of {chosen.record.id}; {chosen.why}"
    return Chosen(checked(child), pipeline, why, chosen.alias), {
        k: v for k, v in options.items() if k != "model"
    }


def _predicted(
    project: Project, chosen: Chosen, asked: PredictOptions, options: dict[str, Any], scratch: Path
) -> tuple[Prediction, list[DataUsed], dict[str, Any]]:
    """Return the prediction, the data that it was made from, and the options as the predictor took them."""
    record = chosen.record
    sources = data_sources(project, asked.data)
    try:
        predictor = chosen.pipeline.load(record.dir / layout.MODELS_DIR, trust=asked.trust)  # type: ignore[attr-defined]
        options = checked_options(predictor, record.pipeline, options)
        described = describe_data(only_files(sources), project.root)
        states = {path: _state(path) for path in only_files(sources)}
        files, entries = keep_sources(scratch, sources, described)
        said = predictor.predict(Data(files) if files else None, **options)
        frame = said.frame
    except CorridaError:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise PipelineFailed(
            f"the prediction of {record.id} failed in {Path(where.filename).name}:{where.lineno} in {where.name}: "
            f"{type(error).__name__}: {error}"
        ) from error
    changed = [path.name for path, state in states.items() if _state(path) != state]
    if changed:
        raise InvalidData(f"{changed[0]} changed while the prediction was made; predict again")
    for name in (RUN_COLUMN, PREDICTION_COLUMN):
        if name in frame.columns:
            raise PipelineFailed(
                f"{record.pipeline} gives its predictions a column {name}, which corrida writes itself"
            )
    fields = DataUsed.__struct_fields__
    return said, [msgspec.convert({k: e[k] for k in fields if k in e}, DataUsed) for e in entries], options


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _notes_on_libraries(record: RunRecord) -> list[str]:
    return [
        f"the models were written with {name} {then}, and {now} is installed here: predictions may differ"
        if now != "none"
        else f"the models were written with {name} {then}, which is not installed here"
        for name, (then, now) in library_changes(record.dir / layout.MODELS_DIR).items()
    ]


def _stamped(frame: pl.DataFrame, run_id: str, prediction_id: str | None) -> pl.DataFrame:
    import polars as pl

    return frame.with_columns(
        pl.lit(run_id, pl.String).alias(RUN_COLUMN), pl.lit(prediction_id, pl.String).alias(PREDICTION_COLUMN)
    )


def table_bytes(frame: pl.DataFrame, kind: Format) -> bytes:
    """Return a table as the bytes of a file; in a CSV a list of texts is one text, with ``; `` between.

    Raises:
        InvalidConfig: a column is of a type that CSV cannot hold.
    """
    import polars as pl

    buffer = io.BytesIO()
    if kind == "parquet":
        frame.write_parquet(buffer, compression="zstd")
        return buffer.getvalue()
    listed = [name for name, dtype in frame.schema.items() if dtype == pl.List(pl.String)]
    try:
        frame.with_columns(pl.col(name).list.join("; ") for name in listed).write_csv(buffer)
    except pl.exceptions.PolarsError:
        odd = next(c for c in frame.columns if frame[c].dtype.is_nested() or frame[c].dtype == pl.Binary)
        raise InvalidConfig(f"the column {odd!r} has no place in a CSV; use --format parquet") from None
    return buffer.getvalue()

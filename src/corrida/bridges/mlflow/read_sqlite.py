"""The SQLite database of an MLflow, of any version of its schema; MLflow itself is not needed, and nothing is migrated.

The file is copied by SQLite's own backup before it is read, so that a server may go on writing to it, and neither it nor
a journal beside it changes.
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from corrida.bridges.mlflow.artifact_places import local_artifacts
from corrida.bridges.mlflow.foreign import ForeignExperiment, ForeignModel, ForeignRun, Head, Source
from corrida.bridges.mlflow.mapping import (
    COMMIT_TAG,
    EXPORT_DIGEST_TAG,
    EXPORT_RUN_TAG,
    NAME_TAG,
    PARENT_TAG,
    SOURCE_NAME_TAG,
    USER_TAG,
    Point,
    exported_as,
    finite_or_infinite,
)
from corrida.errors import InvalidData
from corrida.runs.plain import text

_MAGIC = b"SQLite format 3\0"
_MODEL_STATUS = {1: "PENDING", 2: "READY", 3: "FAILED"}
_EXPORTED = (
    f"SELECT key, value FROM tags WHERE run_uuid = ? AND key IN ('{EXPORT_RUN_TAG}', '{EXPORT_DIGEST_TAG}')"  # noqa: S608
)
_STAYS = {
    "trace_info": "trace",
    "registered_models": "registered model",
    "assessments": "assessment",
    "evaluation_datasets": "evaluation dataset",
    "scorers": "scorer",
}


def is_sqlite(path: Path) -> bool:
    """Tell whether a file is a SQLite database."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


class SqliteSource(Source):
    """The SQLite database of an MLflow; use it as a context manager, since it reads a copy."""

    def __init__(self, path: Path, artifacts: Path | None = None) -> None:
        """Copy the database at ``path``; ``artifacts`` is where moved artifacts are looked for.

        Raises:
            InvalidData: it is no database of MLflow, or damaged.
        """
        self._base, self._elsewhere = path.resolve().parent, artifacts
        self.label = text(path.name)
        self.remarks: list[str] = []
        self._folder = tempfile.TemporaryDirectory(prefix="corrida-mlflow-")
        try:
            self._database = self._copy(path)
            self._columns = self._look(path)
        except BaseException:
            self._folder.cleanup()
            raise
        self._model_uris: dict[str, str] = {}

    def _copy(self, path: Path) -> sqlite3.Connection:
        copy = sqlite3.connect(Path(self._folder.name) / "copy.db")
        copy.row_factory = sqlite3.Row
        try:
            with contextlib.closing(
                sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)
            ) as there:
                there.execute("PRAGMA query_only = 1")
                there.backup(copy)
        except sqlite3.Error as error:
            copy.close()
            raise InvalidData(
                f"{self.label} cannot be read as a SQLite database: {error}; nothing was changed"
            ) from None
        return copy

    def _look(self, path: Path) -> dict[str, set[str]]:
        try:
            tables = [
                row[0]
                for row in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            columns = {
                table: {row[1] for row in self._database.execute(f'PRAGMA table_info("{table}")')}
                for table in tables
                if '"' not in table
            }
        except sqlite3.Error as error:
            self._database.close()
            raise InvalidData(f"{self.label} is damaged: {error}; nothing was changed") from None
        if not {"experiments", "runs", "metrics", "params", "tags"} <= columns.keys():
            self._database.close()
            raise InvalidData(
                f"{text(path.name)} is a SQLite database, but not one of MLflow's tracking: it lacks its tables"
            )
        return columns

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._folder.cleanup()

    def _rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self._database.execute(sql, values).fetchall()

    def _pairs(self, sql: str, *values: Any) -> dict[str, str]:
        return {row[0]: str(row[1] or "") for row in self._rows(sql, *values)}

    def _has(self, table: str, *columns: str) -> bool:
        return set(columns) <= self._columns.get(table, set()) if table in self._columns else False

    def experiments(self) -> Sequence[ForeignExperiment]:
        """Return every experiment, deleted ones too."""
        for table, noun in _STAYS.items():
            if table in self._columns and (count := self._rows(f"SELECT count(*) FROM {table}")[0][0]):  # noqa: S608
                self.remarks.append(f"{count} {noun}{'s' * (count > 1)} stayed there: a run has none")
        tags: dict[str, dict[str, str]] = {}
        if self._has("experiment_tags"):
            for row in self._rows("SELECT experiment_id, key, value FROM experiment_tags"):
                tags.setdefault(str(row[0]), {})[row[1]] = str(row[2] or "")
        return [
            ForeignExperiment(
                str(row["experiment_id"]), str(row["name"]), row["lifecycle_stage"] == "deleted",
                tags.get(str(row["experiment_id"]), {}),
            )
            for row in self._rows("SELECT experiment_id, name, lifecycle_stage FROM experiments ORDER BY experiment_id")
        ]  # fmt: skip

    def heads(self, experiment: ForeignExperiment) -> Iterator[Head]:
        """Yield the runs of an experiment, deleted ones too."""
        sql = f"""SELECT runs.*, name_tag.value AS tag_name, parent.value AS parent FROM runs
            LEFT JOIN tags AS name_tag ON name_tag.run_uuid = runs.run_uuid AND name_tag.key = '{NAME_TAG}'
            LEFT JOIN tags AS parent ON parent.run_uuid = runs.run_uuid AND parent.key = '{PARENT_TAG}'
            WHERE experiment_id = ? ORDER BY start_time, runs.run_uuid"""  # noqa: S608
        for row in self._rows(sql, int(experiment.id)):
            told = self._rows(_EXPORTED, row["run_uuid"])
            yield Head(
                run_id=str(row["run_uuid"]),
                experiment=experiment,
                name=str(row["tag_name"] or row["name"] or ""),
                parent=row["parent"] or None,
                status=str(row["status"] or "RUNNING"),
                started=row["start_time"],
                ended=row["end_time"],
                deleted=experiment.deleted or row["lifecycle_stage"] == "deleted",
                artifact_uri=str(row["artifact_uri"] or ""),
                exported=exported_as({tag[0]: str(tag[1]) for tag in told}),
            )

    def load(self, head: Head, *, histories: bool = True) -> ForeignRun:
        """Read all of a run but its artifacts; histories cost nothing here."""
        del histories
        run = ForeignRun(head=head)
        run.params = self._pairs("SELECT key, value FROM params WHERE run_uuid = ?", head.run_id)
        run.tags = self._pairs("SELECT key, value FROM tags WHERE run_uuid = ?", head.run_id)
        row = self._rows("SELECT * FROM runs WHERE run_uuid = ?", head.run_id)[0]
        for tag, column in (
            (USER_TAG, "user_id"),
            (SOURCE_NAME_TAG, "source_name"),
            (COMMIT_TAG, "source_version"),
        ):
            value = row[column] if self._has("runs", column) else None
            if value and value != "unknown":
                run.tags.setdefault(tag, str(value))
        if head.name:
            run.tags.setdefault(NAME_TAG, head.name)
        step = "step" if self._has("metrics", "step") else "0"
        nan = "is_nan" if self._has("metrics", "is_nan") else "0"
        sql = f"""SELECT key, timestamp, {step}, value, {nan} FROM metrics
            WHERE run_uuid = ? ORDER BY timestamp, step, rowid"""  # noqa: S608
        for name, when, at, value, is_nan in self._rows(sql, head.run_id):
            point = Point(int(at or 0), int(when or 0), _number(value, is_nan=bool(is_nan)))
            run.metrics.setdefault(name, []).append(point)
        run.datasets = self._datasets(head.run_id)
        run.models = self._models(head.run_id)
        return run

    def _datasets(self, run_id: str) -> list[dict[str, Any]]:
        if not (self._has("inputs") and self._has("datasets")):
            return []
        found = []
        sql = """SELECT inputs.input_uuid, datasets.* FROM inputs JOIN datasets ON datasets.dataset_uuid = inputs.source_id
            WHERE destination_type = 'RUN' AND source_type = 'DATASET' AND destination_id = ? ORDER BY datasets.name"""
        for row in self._rows(sql, run_id):
            tags = self._rows("SELECT name, value FROM input_tags WHERE input_uuid = ?", row["input_uuid"])
            found.append(
                {
                    "name": row["name"],
                    "digest": row["digest"],
                    "source_type": row["dataset_source_type"],
                    "source": row["dataset_source"],
                    "schema": row["dataset_schema"],
                    "profile": row["dataset_profile"],
                    "tags": {tag[0]: str(tag[1]) for tag in tags},
                }
            )
        return found

    def _models(self, run_id: str) -> list[ForeignModel]:
        if not self._has("logged_models", "source_run_id"):
            return []
        found = []
        for row in self._rows(
            "SELECT * FROM logged_models WHERE source_run_id = ? ORDER BY model_id", run_id
        ):
            facts = {key: row[key] for key in row.keys() if key not in {"artifact_location", "source_run_id"}}  # noqa: SIM118
            facts["status"] = _MODEL_STATUS.get(facts.get("status", 0), str(facts.get("status")))
            for table, column in (("logged_model_params", "params"), ("logged_model_tags", "tags")):
                if self._has(table):
                    pairs = self._rows(
                        f"SELECT {column[:-1]}_key, {column[:-1]}_value FROM {table} WHERE model_id = ?",  # noqa: S608
                        row["model_id"],
                    )
                    facts[column] = {pair[0]: pair[1] for pair in pairs}
            if self._has("logged_model_metrics"):
                facts["metrics"] = [
                    {key: one[key] for key in one.keys() if key not in {"model_id", "experiment_id"}}  # noqa: SIM118
                    for one in self._rows(
                        "SELECT * FROM logged_model_metrics WHERE model_id = ?", row["model_id"]
                    )
                ]
            found.append(
                ForeignModel(
                    model_id=row["model_id"],
                    facts=json.loads(json.dumps(facts, default=str)),
                    artifact_uri=str(row["artifact_location"] or ""),
                )
            )
        return found

    def folder(self, owner: str, uri: str) -> AbstractContextManager[Path | None]:
        """Give the artifacts at ``uri``."""
        del owner
        return local_artifacts(uri, self._base, self._elsewhere)


def _number(value: Any, *, is_nan: bool) -> float:
    """Return the value of a metric: the database keeps NaN beside it, and the greatest number for infinity."""
    if is_nan or value is None:
        return math.nan
    return finite_or_infinite(float(value))

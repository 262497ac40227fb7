"""The frozen record that readers get of a run, and the list of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import ArtifactNotFound, DamagedRun
from corrida.runs import layout
from corrida.runs.annotations import Note  # noqa: TC001 - msgspec reads the annotations
from corrida.runs.files import digest_bytes, digest_entry, explained, read_plain, safe_join
from corrida.runs.numbers import format_number, json_number
from corrida.runs.plain import JSON_ERRORS, printable, text
from corrida.runs.run_file import SEALED, RunFile, RunHeader, StoredFile, read_run_file

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from corrida.runs.predictions import PredictionFile


class _DataFile(msgspec.Struct):
    path: str
    size: int
    sha256: str
    role: str | None = None
    rows: int | None = None
    columns: list[str] | None = None


class _Manifest(msgspec.Struct):
    """The shape that manifest.json must have at least."""

    data: list[_DataFile] = []
    items: int | None = None
    dataset: dict[str, Any] = {}


class RunRecord(RunHeader, frozen=True, kw_only=True, eq=False):
    """A run as it is on disk; immutable.

    Everything in :class:`RunHeader`, with tags that were appended since the start, and:

    Attributes:
        dir: the run folder.
        status: ``running``, ``finished``, ``failed``; ``crashed`` when its process ended without a word, and
            ``unreadable`` when its run.json is damaged or of a later format.
        metrics: final metrics; one that was not logged is absent. NaN and infinities are floats.
        later_notes: notes that were appended, oldest first.
        aliases: aliases that point to the run now.
    """

    dir: Path
    metrics: dict[str, float] = {}  # type: ignore[assignment]  # noqa: RUF012 - msgspec copies it
    later_notes: tuple[Note, ...] = ()
    aliases: tuple[str, ...] = ()

    def history(self) -> pl.DataFrame:
        """Return the step metrics: one row a logging call, with ``step``, ``logged_at`` and a column a metric."""
        from corrida.runs.history import read_history

        return read_history(self.dir / layout.HISTORY)

    def items(self) -> pl.DataFrame:
        """Return the per-item table, in the order logged; without columns when no item was logged.

        Raises:
            DamagedRun: the table of an ended run was altered, or cannot be read. What it says then is not what the
                run gave, and a reader of Parquet may end the whole process over such a file.
        """
        from corrida.runs.items import read_items

        stored = self._stored_items()
        if stored is not None:
            path = self.dir / layout.ITEMS
            with explained(f"reading the items of the run {self.id}"):
                same = path.is_file() and path.stat().st_size == stored.size
                if not same or digest_entry(path) != (stored.size, stored.sha256):
                    state = "was altered since the run" if path.exists() else "is no longer there"
                    raise DamagedRun(
                        f"the items of the run {self.id} cannot be read ({layout.ITEMS} {state}); "
                        f"`corrida verify {self.id}` says more"
                    )
        return read_items(self.dir)

    def _stored_items(self) -> StoredFile | None:
        """Return what run.json says of the table of an ended run, if it had one."""
        return self.run_file().files.get(layout.ITEMS) if self.status in SEALED else None

    def environment(self) -> dict[str, Any]:
        """Return Python, platform, processors, recorded variables and packages."""
        return self.run_file().environment

    def run_file(self) -> RunFile:
        """Return the whole content of run.json.

        Raises:
            DamagedRun: it cannot be read.
        """
        return read_run_file(self.dir)

    def has_items(self) -> bool:
        """Tell whether the run logged items, without reading them; a table that was deleted since counts."""
        there = (self.dir / layout.ITEMS).exists() or (self.dir / layout.ITEM_PARTS).exists()
        return there or self._stored_items() is not None

    def config_files(self) -> dict[str, bytes]:
        """Return the configuration files by their place in the project, byte for byte.

        Raises:
            DamagedRun: a copy is missing or was altered since, or run.json names one outside of config/.
        """
        found: dict[str, bytes] = {}
        for copy in self.configs:
            parts = PurePosixPath(copy.file).parts
            if len(parts) < 2 or parts[0] != layout.CONFIG_DIR or {"..", ""} & {*parts} or "\0" in copy.file:
                raise DamagedRun(
                    f"run {self.id}: {layout.RUN} names the configuration {copy.file!r}, which is not in "
                    f"{layout.CONFIG_DIR}/; `corrida verify {self.id}` says more"
                )
            try:
                data, _ = read_plain(safe_join(self.dir, copy.file))
            except OSError:
                raise DamagedRun(
                    f"run {self.id} lacks its configuration {copy.file}; `corrida verify {self.id}` says more"
                ) from None
            if digest_bytes(data).sha256 != copy.sha256:
                raise DamagedRun(
                    f"run {self.id}: {copy.file} was altered since the run; `corrida verify {self.id}` says more"
                )
            found[copy.origin] = data
        return found

    def manifest(self) -> dict[str, Any]:
        """Return the snapshot of the data: files with size, digest, rows and columns, and facts of the dataset.

        Raises:
            DamagedRun: it cannot be read, or is not what corrida writes.
        """
        try:
            data, _ = read_plain(self.dir / layout.MANIFEST)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise DamagedRun(f"run {self.id}: {layout.MANIFEST} cannot be read: {error.strerror}") from None
        try:
            msgspec.json.decode(data, type=_Manifest)
            return msgspec.json.decode(data, type=dict[str, Any])
        except JSON_ERRORS as error:
            raise DamagedRun(f"run {self.id}: {layout.MANIFEST} cannot be read: {error}") from None

    def path(self, name: str) -> Path:
        """Return the path of the file ``name`` of the run folder.

        Raises:
            ArtifactNotFound: the run has no such file.
            InvalidName: the name leaves the folder.
        """
        path = safe_join(self.dir, name)
        if not path.exists():
            raise ArtifactNotFound(
                f"run {self.id} has no file {name!r}; `corrida show {self.id}` lists its files"
            )
        return path

    def artifacts(self) -> list[str]:
        """Return the names of the files that the run saved besides corrida's own, sorted; no later predictions."""
        from corrida.runs.predictions import prediction_files

        names = (p.relative_to(self.dir) for p in self.dir.rglob("*") if p.is_file())
        later = prediction_files(self.dir)
        return sorted(
            text(n.as_posix())
            for n in names
            if n.as_posix() not in layout.OWN_FILES | later
            and n.parts[0] not in layout.OWN_FOLDERS
            and n.name[0] != "."
        )

    def predictions(self) -> list[PredictionFile]:
        """Return what was predicted with the models of the run since its end, the oldest first.

        The table of one is ``path(f"predictions/{prediction.file}")``.
        """
        from corrida.runs.predictions import read_predictions

        return read_predictions(self.dir)

    def has(self) -> tuple[str, ...]:
        """Return which of ``config``, ``models`` and ``predictions`` are in the folder at this moment."""
        found = ["config"] if (self.dir / layout.CONFIG).exists() else []
        for name in (layout.CONFIG_DIR, layout.MODELS_DIR, layout.PREDICTIONS_DIR):
            try:
                with os.scandir(self.dir / name) as entries:
                    found += [name] if name not in found and any(e.name[0] != "." for e in entries) else []
            except OSError:
                continue
        return tuple(found)

    def as_row(self) -> dict[str, Any]:
        """Return the run as one flat row: its own fields, ``metrics.*``, ``params.*``, ``tags.*``, ``findings.*``."""
        row: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                "id",
                "pipeline",
                "status",
                "created",
                "finished",
                "duration",
                "source",
                "description",
            )
        }
        row |= {"notes": self.notes, "seed": self.seed, "parent": self.parent}
        row["resumed_from"] = self.resumed_from
        row |= {
            "git.commit": self.git.commit if self.git else None,
            "git.branch": self.git.branch if self.git else None,
        }
        row |= {f"tags.{k}": v for k, v in self.tags.items()}
        row |= {f"params.{k}": v for k, v in flatten(self.params).items()}
        row |= {f"metrics.{k}": v for k, v in self.metrics.items()}
        row |= {f"findings.{k}": v for k, v in self.findings.items()}
        return row

    def to_polars(self) -> pl.DataFrame:
        """Return the run as a frame of one row; see :meth:`as_row` for the columns."""
        return Runs([self]).to_polars()

    def to_pandas(self) -> pd.DataFrame:
        """Return :meth:`to_polars` as a pandas frame (extra ``pandas``).

        Raises:
            MissingExtra: pandas is not installed.
        """
        return Runs([self]).to_pandas()

    def as_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints of the run: plain values only."""
        data: dict[str, Any] = msgspec.to_builtins(
            msgspec.structs.asdict(self), enc_hook=lambda p: p.as_posix() if isinstance(p, Path) else str(p)
        )
        data["dir"] = self.dir.name
        data["has"] = list(self.has())
        data["metrics"] = {k: json_number(v) for k, v in self.metrics.items()}
        return data

    def __repr__(self) -> str:
        """Return a short form, as a terminal shows it."""
        return str(self)

    def __str__(self) -> str:
        """Return a short form for a terminal."""
        lines = [f"run {self.id} ({self.pipeline}), {self.status}, {self.created}"]
        lines += [
            f"  {name}: {value}"
            for name, value in (("source", self.source), ("about", self.description))
            if value
        ]
        lines += [f"  {name} = {format_number(value)}" for name, value in self.metrics.items()]
        return "\n".join(map(_one_line, lines))

    def _repr_html_(self) -> str:
        return Runs([self])._repr_html_()


class Runs(list[RunRecord]):
    """A list of runs that prints well and turns into a table."""

    def to_polars(self) -> pl.DataFrame:
        """Return one row a run; see :meth:`RunRecord.as_row` for the columns."""
        import polars as pl

        rows = [r.as_row() for r in self]
        names = list(dict.fromkeys(name for row in rows for name in row))
        columns = {}
        for name in names:
            values = [row.get(name) for row in rows]
            try:
                columns[name] = pl.Series(name, values, strict=True)
            except (TypeError, pl.exceptions.PolarsError):  # params of several types under one name
                columns[name] = pl.Series(name, [v if v is None else str(v) for v in values])
        return pl.DataFrame(columns)

    def to_pandas(self) -> pd.DataFrame:
        """Return :meth:`to_polars` as a pandas frame (extra ``pandas``).

        Raises:
            MissingExtra: pandas is not installed.
        """
        from corrida.runs.tables import require_pandas

        pandas = require_pandas()
        frame = self.to_polars()
        return pandas.DataFrame({c: frame[c].to_list() for c in frame.columns})  # type: ignore[no-any-return]

    def _columns(self) -> list[str]:
        metrics = list(dict.fromkeys(m for r in self for m in r.metrics))
        return ["id", "pipeline", "status", "created", *(f"metrics.{m}" for m in metrics[:8])]

    def _repr_html_(self) -> str:
        import html

        columns = self._columns()
        head = "".join(
            f"<th style='text-align:left'>{html.escape(c.removeprefix('metrics.'))}</th>" for c in columns
        )
        body = "".join(
            "<tr>"
            + "".join(f"<td style='text-align:left'>{html.escape(_cell(row.get(c)))}</td>" for c in columns)
            + "</tr>"
            for row in (r.as_row() for r in self)
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __repr__(self) -> str:
        """Return a plain table."""
        if not self:
            return "no runs"
        columns = self._columns()
        rows = [[_one_line(c.removeprefix("metrics.")) for c in columns]]
        rows += [[_cell(row.get(c)) for c in columns] for row in (r.as_row() for r in self)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
        return "\n".join(
            "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
        )


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return format_number(value) if isinstance(value, float) else _one_line(str(value))


def _one_line(text: str) -> str:
    """Return ``text`` so that it can neither steer the terminal nor pass for a line of its own."""
    return " ".join(printable(text).splitlines()).expandtabs(1)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one level with dotted names; lists stay as they are."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, name + ".")
        else:
            flat[name] = value
    return flat

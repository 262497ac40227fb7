"""The one contract that every pipeline keeps, the built-in ones and a user's own.

A pipeline takes data and a typed configuration, reports through a :class:`Recorder`, and returns an
:class:`Outcome`. It never sees a store or a run folder, so that it can be tested in memory and executed,
recorded, listed and compared by the same code as every other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from corrida.runs.run_file import Column, Direction

if TYPE_CHECKING:
    import polars as pl

    from corrida.pipelines.executors.contract import Executor


__all__ = [
    "ChildRecorder",
    "Column",
    "Config",
    "ConfigFile",
    "Data",
    "Direction",
    "Outcome",
    "Pipeline",
    "Prediction",
    "Predictor",
    "Recorder",
]

T = TypeVar("T")
ConfigT = TypeVar("ConfigT")


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of a typed configuration: immutable, and unknown keys are refused."""


class ConfigFile(msgspec.Struct, frozen=True):
    """One configuration file as it was read.

    Attributes:
        path: relative to the project, with forward slashes; shown in error messages.
        content: the parsed document (JSON, YAML or TOML).
    """

    path: str
    content: Any


@dataclass(frozen=True)
class Data:
    """What a run reads.

    Attributes:
        files: the data files that were given, absolute, in order.
        named: files that the configuration names, by role (see :meth:`Pipeline.data_files`), absolute.
        item_ids: the only items to process, or None for all.
        seed: the seed of the run, or None. A pipeline that draws random numbers seeds its generators with it;
            nobody else does.
    """

    files: Sequence[Path]
    named: Mapping[str, Path] = field(default_factory=dict)
    item_ids: frozenset[str] | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What a run gives back.

    Attributes:
        metrics: final metrics, flat names to numbers. A metric that cannot be computed is left out, never 0.
        items: one row an item with ``item_id`` (string, unique) and, where they make sense, ``output``,
            ``expected`` (strings), ``correct`` (boolean), ``score``, ``loss`` (floats), and the pipeline's own.
        dataset: facts of the dataset for ``manifest.json``.
        summary: one sentence for a person.
        measures: how metrics come about from the items, by the name of the metric, where the name alone does not
            say it: ``{"f1": "f1_macro", "precision.rules": "precision where decided_by=rule"}``. The verdict of a
            comparison tests them; the grammar stands in docs/verdicts.md.
        findings: results that are words, by name, such as ``{"best_config": "semantic+rubric+gpt"}``; a column of
            ``corrida list`` shows one as ``findings.best_config``.
        cluster: the column of the items that says which of them belong together, such as the student who gave the
            answers; comparisons draw and swap them as wholes. None when every item stands alone.
    """

    metrics: Mapping[str, float]
    items: pl.DataFrame | None = None
    dataset: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    measures: Mapping[str, str] = field(default_factory=dict)
    findings: Mapping[str, str] = field(default_factory=dict)
    cluster: str | None = None


@dataclass(frozen=True)
class Prediction:
    """What the models of a run say of data.

    Attributes:
        frame: one row a predicted value.
        notes: what a person should know of it.
        errors: of the predictions where the truth is in the data, in the columns that training writes of its own errors;
            None where nobody asked.
    """

    frame: pl.DataFrame
    notes: Sequence[str] = ()
    errors: pl.DataFrame | None = None


class Predictor(Protocol):
    """What a pipeline's optional method ``load(models: Path, *, trust: bool = False)`` returns.

    ``models`` is the folder ``models`` of a run, and all that is needed: it may have been copied to another machine.
    """

    def predict(self, data: Data | None = None, **options: Any) -> Prediction:
        """Predict; the options are the pipeline's own.

        Raises:
            BadInput: the data or an option cannot be used.
            DamagedRun: a model file was altered.
        """
        ...


class Recorder(Protocol):
    """All that a pipeline may touch of the outside while it runs."""

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log step metrics; when the call has returned, a kill of the process does not lose them."""
        ...

    def save_text(self, name: str, text: str) -> None:
        """Save a text file under ``name``, a path relative to the run folder."""
        ...

    def save_bytes(self, name: str, data: bytes) -> None:
        """Save a file such as a picture under ``name``, a path relative to the run folder."""
        ...

    def append(self, name: str, record: Mapping[str, Any]) -> None:
        """Append one line of JSON to a file under ``name``; when the call has returned, a kill does not lose it."""
        ...

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Add parameters that the work itself found, such as the best ones of a search."""
        ...

    def saved(self, name: str) -> Path | None:
        """Return where a file or folder lies that was saved under ``name`` (``.`` is the run folder itself), or None."""
        ...

    def save_table(self, name: str, frame: pl.DataFrame) -> None:
        """Save a table; the suffix of ``name`` (``.csv`` or ``.parquet``) chooses the format."""
        ...

    def save_model(
        self,
        name: str,
        write: Callable[[Path], None],
        *,
        format: str,  # noqa: A002 - the word for it
        libraries: Sequence[str] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Save a fitted model as ``models/<name>``, with a ``model.json`` that says what it is.

        Args:
            name: of the model.
            write: called with an empty folder, into which it puts the files of the model.
            format: how they are written, such as ``skops`` or ``lightgbm-text``; a format that can run code when it
                is read says so by its name (``pickle``), and is read only with consent.
            libraries: names of the installed packages that wrote it; their versions are recorded.
            facts: what else is to be said of it.
        """
        ...

    def child(
        self, name: str, *, params: Mapping[str, Any] | None = None, description: str | None = None
    ) -> AbstractContextManager[ChildRecorder]:
        """Open a child run, such as a model of a search; it is listed under this run.

        An exception that leaves the block marks the child as failed and goes on to the caller, who may catch it: a
        child that failed does not end its parent.

        Args:
            name: of the child; its id is made of the id of this run and the name.
            params: its parameters.
            description: what it is.
        """
        ...

    def executor(self, jobs: int = 1) -> AbstractContextManager[Executor]:
        """Open what runs tasks: ``jobs`` processes of this machine, or the cluster that the person asked for.

        Args:
            jobs: tasks at once on this machine; 1 runs them in this process, 0 is the number of cores.
        """
        ...

    def earlier(self, name: str) -> Path | None:
        """Return a file or folder that the run which this one resumes had saved, or None.

        Args:
            name: path relative to the run folder, such as ``models/NBEATS``. Its content was checked against the
                digests of its ``model.json``, or of the run where it has ended.
        """
        ...

    def progress(
        self, items: Iterable[T], *, total: int | None = None, label: str | Callable[[], str] = ""
    ) -> Iterator[T]:
        """Pass ``items`` through and show how far the work is, with a rate and the time left.

        Args:
            items: what is worked on.
            total: how many there are, when it is known.
            label: what is being done; a function is asked anew after each item.
        """
        ...

    def warn(self, message: str) -> None:
        """Tell the person something that does not stop the run; it is recorded with the run."""
        ...


class ChildRecorder(Recorder, Protocol):
    """The recorder of a child run.

    Attributes:
        run_id: of the child.
    """

    run_id: str

    def finish(self, outcome: Outcome) -> None:
        """Record what the child gives back; without a call it ends without results."""
        ...


class Pipeline(Protocol[ConfigT]):
    """Something that ``corrida run`` can run.

    Attributes:
        name: how it is called, such as ``matching``.
        description: one line for ``corrida pipelines``.
        columns: what ``corrida list`` shows for its runs besides id, status and time.
        primary_metric: the metric that decides which of two runs is better.
        directions: for each metric name, or pattern with ``*``, whether more (``max``) or less (``min``) is
            better. Metrics that match none have no better side.
    """

    name: str
    description: str
    columns: Sequence[Column]
    primary_metric: str
    directions: Mapping[str, Direction]

    def configure(self, files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> ConfigT:
        """Build the typed configuration.

        Args:
            files: the configuration files in the order given.
            overrides: ``--set`` values by dotted key (``threshold``, ``retrieval.top_k``); they win.

        Returns:
            The configuration that will run; ``msgspec.to_builtins`` of it becomes ``config.yaml``.

        Raises:
            InvalidConfig: naming the file, the place in it and the mend.
        """
        ...

    def data_files(self, config: ConfigT) -> Mapping[str, str]:
        """Return the data files that the configuration names: role to path, relative to the project."""
        ...

    def run(self, data: Data, config: ConfigT, recorder: Recorder) -> Outcome:
        """Do the work.

        Raises:
            InvalidData: naming the file, the row or column and the mend.
        """
        ...

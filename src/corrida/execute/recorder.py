"""The Recorder that writes to a run, and those of its child runs."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from corrida.analysis.measures import parse_measure
from corrida.errors import CorridaError, InvalidData
from corrida.launch import begin
from corrida.pipelines.executors import choose_executor, open_executor
from corrida.pipelines.model_files import FACTS, check_model, written_model
from corrida.runs import layout
from corrida.runs.files import digest_file, safe_join
from corrida.runs.ids import child_id
from corrida.runs.run_file import SEALED
from corrida.runs.spec import RunSpec

if TYPE_CHECKING:
    import polars as pl

    from corrida.pipelines.contract import Outcome
    from corrida.pipelines.executors import Executor
    from corrida.runs.record import RunRecord
    from corrida.runs.store import Store
    from corrida.runs.writer import RunWriter

T = TypeVar("T")
CHILD_TAG = "child"
"""The tag of a child run: the name that its pipeline gave it."""

Label = str | Callable[[], str]
Progress = Callable[[Iterable[Any], "int | None", Label], Iterator[Any]]


def no_progress(items: Iterable[T], total: int | None, label: Label) -> Iterator[T]:
    """Pass items through without showing anything."""
    del total, label
    return iter(items)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a recorder works with besides its run.

    Attributes:
        store: where child runs are kept; None keeps them as little as the run itself.
        progress: shows how far the work is.
        executor: where tasks run, when the person said so.
        jobs: how many of them at once, likewise.
        resumed: the run that is gone on with.
    """

    store: Store | None = None
    progress: Progress = no_progress
    executor: str | None = None
    jobs: int | None = None
    resumed: RunRecord | None = None


class RunRecorder:
    """The Recorder that writes to a run; see :class:`~corrida.pipelines.contract.Recorder` for what each call does."""

    def __init__(self, writer: RunWriter, around: Surroundings) -> None:
        self._writer = writer
        self._around = around

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log step metrics."""
        self._writer.log(metrics, step)

    def save_text(self, name: str, text: str) -> None:
        """Save a text file."""
        self._writer.save_bytes(name, text.encode())

    def save_bytes(self, name: str, data: bytes) -> None:
        """Save a file."""
        self._writer.save_bytes(name, data)

    def append(self, name: str, record: Mapping[str, Any]) -> None:
        """Append a line of JSON to a file."""
        self._writer.append(name, record)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Add parameters that the work itself found."""
        self._writer.log_params(params)

    def saved(self, name: str) -> Path | None:
        """Return where a file or folder lies that was saved."""
        path = self._writer.dir if name == "." else safe_join(self._writer.dir, name)
        return path if path.exists() else None

    def save_table(self, name: str, frame: pl.DataFrame) -> None:
        """Save a table as CSV or Parquet, by the suffix of its name."""
        buffer = io.BytesIO()
        if name.endswith(".parquet"):
            frame.write_parquet(buffer)
        elif name.endswith(".csv"):
            frame.write_csv(buffer)
        else:
            raise InvalidData(f"the table {name!r} needs the suffix .csv or .parquet")
        self._writer.save_bytes(name, buffer.getvalue())

    def save_model(
        self,
        name: str,
        write: Callable[[Path], None],
        *,
        format: str,  # noqa: A002 - the word for it
        libraries: Sequence[str] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Save a fitted model as ``models/<name>``; its ``model.json`` comes last, so that half a model is none."""
        for file, content in written_model(write, format=format, libraries=libraries, facts=facts or {}):
            self._writer.save_bytes(f"{layout.MODELS_DIR}/{name}/{file}", content)

    @contextlib.contextmanager
    def child(
        self, name: str, *, params: Mapping[str, Any] | None = None, description: str | None = None
    ) -> Iterator[RunChildRecorder]:
        """Open a child run, ``<id of this run>-<name>``; an exception that leaves the block marks it as failed."""
        own = self._writer.spec
        spec = RunSpec(
            pipeline=own.pipeline,
            root=own.root,
            id_base=child_id(self._writer.id, name),
            source=own.source,
            description=description,
            tags={CHILD_TAG: name},
            seed=own.seed,
            parent=self._writer.id,
            params=params or {},
            primary_metric=own.primary_metric,
            directions=own.directions,
            columns=own.columns,
            argv=own.argv,
        )
        with begin(self._around.store, spec) as writer:
            yield RunChildRecorder(writer, replace(self._around, resumed=self._earlier_child(name)))

    @contextlib.contextmanager
    def executor(self, jobs: int = 1) -> Iterator[Executor]:
        """Open what runs tasks: what the person asked for, else ``jobs`` processes of this machine."""
        with open_executor(*choose_executor(self._around.executor, self._around.jobs, jobs)) as executor:
            yield executor

    def earlier(self, name: str) -> Path | None:
        """Return what the resumed run had saved under ``name``, if it is what was written."""
        for run in self._resumed():
            if (path := safe_join(run.dir, name)).exists():
                try:
                    intact = _is_intact(run, name.rstrip("/"), path)
                except (CorridaError, OSError):
                    intact = False
                if intact:
                    return path
                if intact is False:
                    self.warn(f"{name} of {run.id} was altered since, and is not taken over")
        return None

    def _resumed(self) -> Iterator[RunRecord]:
        """Yield the run that is resumed, the one that it resumed itself, and so on."""
        run, seen = self._around.resumed, {self._writer.id}
        while run is not None and run.id not in seen:
            yield run
            seen.add(run.id)
            store, before = self._around.store, run.resumed_from
            run = store.get(before) if store and before and (store.root / before).is_dir() else None

    def progress(self, items: Iterable[T], *, total: int | None = None, label: Label = "") -> Iterator[T]:
        """Pass items through and show how far the work is."""
        return self._around.progress(items, total, label)

    def warn(self, message: str) -> None:
        """Record a warning."""
        self._writer.warn(message)

    def _earlier_child(self, name: str) -> RunRecord | None:
        """Return the newest child of that name of the run that is resumed."""
        store, run = self._around.store, self._around.resumed
        if store is None or run is None:
            return None
        children = store.runs(filter=f"parent = '{run.id}'")
        return next((child for child in children if child.tags.get(CHILD_TAG) == name), None)


class RunChildRecorder(RunRecorder):
    """The recorder of a child run.

    Attributes:
        run_id: of the child.
    """

    def __init__(self, writer: RunWriter, around: Surroundings) -> None:
        super().__init__(writer, around)
        self.run_id = writer.id

    def finish(self, outcome: Outcome) -> None:
        """Record what the child gives back."""
        record_outcome(self._writer, outcome)


def record_outcome(writer: RunWriter, outcome: Outcome) -> None:
    """Write down what a run gives back.

    Raises:
        InvalidData, InvalidMetric: it cannot be used.
        StoreError: the disk is full or refuses.
    """
    writer.log_metrics(outcome.metrics)
    if outcome.items is not None:
        writer.log_items(outcome.items)
    measures = {name: str(parse_measure(text)) for name, text in outcome.measures.items()}
    if outcome.cluster is not None and (
        outcome.items is None or outcome.cluster not in outcome.items.columns
    ):
        raise InvalidData(
            f"the items have no column {outcome.cluster!r}, which the pipeline gives as clusters"
        )
    writer.describe(
        summary=outcome.summary,
        dataset=outcome.dataset,
        measures=measures,
        findings=outcome.findings,
        cluster=outcome.cluster,
    )


def _is_intact(run: RunRecord, name: str, path: Path) -> bool | None:
    """Tell whether a file or folder of a run is what it wrote; None where it did not get to the end of it.

    A run that has ended has digests of all. Of one that was killed, models have digests of their own, and a file is
    there as a whole or not at all.
    """
    if run.status in SEALED:
        files = run.run_file().files
        wanted = {
            file: stored for file, stored in files.items() if file == name or file.startswith(f"{name}/")
        }
        there = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        names = {p.relative_to(run.dir).as_posix() for p in there}
        if names != {*wanted}:
            return False
        return all(digest_file(run.dir / file).sha256 == stored.sha256 for file, stored in wanted.items())
    if path.is_file():
        return True
    if not (path / FACTS).is_file():
        return None
    check_model(path, trust=True)  # nothing is loaded here: only the digests count
    return True

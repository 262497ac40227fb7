"""What a script under ``corrida exec`` says of its run: written down there, taken over where the run ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from corrida.runs import layout
from corrida.runs.attached import AttachedRun, remember
from corrida.runs.files import append_line, digest_bytes, explained, read_lines
from corrida.runs.plain import plain, text
from corrida.runs.run_file import ConfigCopy, Direction, PrimaryMetric, read_run_file
from corrida.runs.snapshot.configs import copy_configs
from corrida.runs.snapshot.data import describe_data, keep_sources, only_files
from corrida.runs.spec import RunSpec, checked


class Handover(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the handover: what was said in one call; empty where nothing was."""

    pipeline: str | None = None
    source: str | None = None
    description: str | None = None
    notes: str | None = None
    seed: int | None = None
    summary: str = ""
    tags: dict[str, str] = {}
    params: dict[str, Any] = {}
    dataset: dict[str, Any] = {}
    primary_metric: PrimaryMetric | None = None
    directions: dict[str, Direction] = {}
    measures: dict[str, str] = {}
    configs: tuple[ConfigCopy, ...] = ()
    config_patterns: tuple[str, ...] = ()
    data: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


class ScriptRun(AttachedRun):
    """The run of ``corrida exec`` as the script sees it that calls ``start_run``.

    It has the logging calls of a run. Leaving its block ends nothing: the run ends with the command.
    """

    def __init__(self, run_dir: Path, spec: RunSpec) -> None:
        """Tell the run at ``run_dir`` what ``spec`` says; see :class:`RunSpec`.

        Raises:
            BadInput: a value cannot be recorded.
            InvalidData: a data file cannot be read.
            RunSealed, StoreError: the run has ended; the folder cannot be written.
        """
        spec = checked(spec)
        super().__init__(run_dir)
        there = read_run_file(run_dir).configs
        known = {(copy.origin, copy.sha256) for copy in there}
        fresh = [
            (origin, data)
            for origin, data in spec.configs
            if (origin, digest_bytes(data).sha256) not in known
        ]
        described = describe_data(only_files(spec.data), spec.root, spec.roles)
        with explained(f"copying data into the run {self.id}"):
            files, described = keep_sources(run_dir, spec.data, described)
        self.data_files: tuple[Path, ...] = tuple(files)
        self._hand_over(
            pipeline=spec.pipeline or None,
            source=spec.source,
            description=spec.description,
            notes=spec.notes,
            seed=spec.seed,
            tags=dict(spec.tags),
            params=dict(spec.params),
            primary_metric=spec.primary_metric,
            directions=dict(spec.directions),
            measures=dict(spec.measures),
            configs=tuple(copy_configs(run_dir, fresh, there)),
            config_patterns=tuple(spec.config_patterns),
            data=tuple(described),
        )

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Add parameters; see :meth:`RunWriter.log_params`."""
        self._hand_over(params=plain(dict(params)))

    def warn(self, message: str) -> None:
        """Record a warning; see :meth:`RunWriter.warn`."""
        self._hand_over(warnings=(text(message),))

    def describe(self, *, summary: str = "", dataset: Mapping[str, Any] | None = None) -> None:
        """Set the sentence that sums the run up; see :meth:`RunWriter.describe`."""
        self._hand_over(summary=text(summary), dataset=plain(dict(dataset or {})))

    def finish(self) -> None:
        """Do nothing: the run ends with the command."""

    def fail(self, error: BaseException | str) -> None:
        """Record why the script's part failed; whether the run did is the exit code of the command."""
        self.warn(f"the script ended its block with {error if isinstance(error, str) else repr(error)}")

    def _hand_over(self, **said: Any) -> None:
        self._refuse_sealed()
        with self._lock, explained(f"writing to the run {self.id}"):
            append_line(self.dir / layout.HANDOVER, msgspec.to_builtins(Handover(**said)), durable=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if error is not None and not (isinstance(error, SystemExit) and error.code in {None, 0}):
            self.fail(error)


def script_run(variable: str, store: Path, spec: RunSpec) -> ScriptRun | None:
    """Return the run of the enclosing ``corrida exec`` as a script's own; None outside of one, or for a second time.

    Args:
        variable: the environment variable with the run folder.
        store: the store that the script means; a run of another store encloses nothing.
        spec: what the script says of the run.
    """
    folder = os.environ.get(variable)
    if not folder or not (Path(folder) / layout.RUN).is_file():
        return None
    if os.path.realpath(Path(folder).parent) != os.path.realpath(store):
        return None
    try:
        os.mkdir(Path(folder) / layout.CLAIMED)  # noqa: PTH102 - of several scripts one is the run; the others make children
    except OSError:
        return None
    run = ScriptRun(Path(folder), spec)
    remember(folder, run)
    return run


def take_handover(run_dir: Path) -> list[Handover]:
    """Return what scripts said of the run, in their order, and remove the file: it is not part of the run."""
    path = run_dir / layout.HANDOVER
    found = []
    for row in read_lines(path):
        try:
            found.append(msgspec.convert(row, Handover))
        except msgspec.ValidationError:
            continue  # written by hand: nothing of corrida's
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (run_dir / layout.CLAIMED).rmdir()
    return found

"""A run as something that can be executed again, as it was or with other inputs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida import __version__
from corrida.errors import BadInput, InvalidData, PipelineNotFound
from corrida.execute import (
    CommandWork,
    PipelineWork,
    Progress,
    execute_command,
    execute_pipeline,
    no_progress,
    read_item_ids,
    source_of,
)
from corrida.launch import code_digests
from corrida.pipelines.registry import load_pipeline
from corrida.project import STORE_VARIABLE
from corrida.replay.drift import Drift, find_drift, set_threads, wanted_variables
from corrida.replay.inputs import Inputs, inputs_of
from corrida.replay.located import Located, locate_data
from corrida.replay.stage import staged
from corrida.runs.plain import plain
from corrida.runs.run_file import Invocation
from corrida.runs.snapshot.data import data_origin
from corrida.runs.writer import RunSpec, RunWriter

if TYPE_CHECKING:
    from corrida.pipelines.contract import Pipeline
    from corrida.project import Project
    from corrida.runs.record import RunRecord

REPLAY_TAG = "replay"
"""The tag of runs that were made by executing another again: ``rerun`` or ``bisect``."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What is recorded of a run that executes another again.

    Attributes:
        parent: the run that it belongs to.
        run_tag: its id is made of it.
        tags: added to it.
        description: what is different.
        argv: the command line.
    """

    parent: str
    run_tag: str
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    argv: Sequence[str] = ()


class Replay:
    """A finished run that can be executed again.

    Attributes:
        run: the run.
        inputs: what it was given.
        item_ids: the items to which it was limited, or None.
        drift: what is not as it was when it was made.
        takes_items: whether it can be limited to some items.
        data: where its data files are now, by their recorded place.
        pipeline: what is executed; None of a command.
    """

    def __init__(
        self,
        project: Project,
        run: RunRecord,
        *,
        data: Sequence[str] = (),
        others: Sequence[RunRecord] = (),
        unfinished: bool = False,
    ) -> None:
        """Find everything that the run needs.

        Args:
            project: where its code is, and its data if they are still there.
            run: which.
            data: where else data files may be, as paths or globs relative to the project.
            others: runs whose configurations will be mixed in, and which may name data files of their own.
            unfinished: take a run that did not come to its end.

        Raises:
            BadInput: the run has not finished, or does not say how it was started.
            InvalidData: its data are gone.
            PipelineNotFound: its pipeline is no longer there.
            DamagedRun: it cannot be read.
        """
        if run.status != "finished" and not unfinished:
            raise BadInput(
                f"the run {run.id} is {run.status}; only a run that has finished can be executed again"
            )
        self.project, self.run = project, run
        self.file = run.run_file()
        self.asked = _invocation(run)
        self.inputs = inputs_of(run)
        self.data: dict[str, Located] = {}
        for other in reversed([run, *others]):  # of the same place, that of the run itself counts
            self.data |= locate_data(other, project, data)
        if lacking := [place for place in self.asked.data if place not in self.data]:
            raise InvalidData(
                f"{run.id} was given {lacking[0]}, of which its manifest holds no digest, so it cannot be found again"
            )
        self.pipeline: Pipeline[Any] | None = None
        source = None
        if self.asked.kind == "pipeline":
            uses = self.asked.uses or run.pipeline
            try:
                self.pipeline = load_pipeline(uses, project.root)
            except PipelineNotFound as error:
                raise PipelineNotFound(f"the pipeline of {run.id} is no longer there: {error}") from None
            source = source_of(uses)
        elif self.asked.kind == "python":
            self.inputs = _script_inputs(run, self.asked, self.inputs, project)
        self.drift: list[Drift] = find_drift(run, project, source)

    @property
    def takes_items(self) -> bool:
        """Whether the run can be limited to some items: a command cannot."""
        return self.pipeline is not None

    @property
    def item_ids(self) -> frozenset[str] | None:
        """The items to which the run was limited, or None."""
        return read_item_ids(self.run.path(self.asked.items)) if self.asked.items else None

    @property
    def named(self) -> dict[str, Path]:
        """Where its data files are, by their recorded place."""
        return {place: found.path for place, found in self.data.items()}

    @property
    def given(self) -> list[Path]:
        """The data files that it was given, in order; not those that its configuration names."""
        return [self.data[place].path for place in self.asked.data if place in self.data]

    @property
    def code(self) -> dict[str, str]:
        """Digests of the source files as they are now."""
        return code_digests(self.asked.code, self.project.root)

    def outcome(self, run_id: str) -> RunRecord | None:
        """Return the child in which a script keeps what it gives; None when that is in the run ``run_id`` itself.

        A script that asks for an id, a tag or a parent of its own makes a run of its own below that of its command.
        Of several, the one with the parameters and the seed of the original counts.
        """
        store = self.project.store()
        children = store.runs(filter=f"parent = '{run_id}'", pipeline=self.run.pipeline, status="finished")
        alike = (c for c in children if c.params == self.run.params and c.seed == self.run.seed)
        return next(alike, children[0] if children else None)

    def execute(
        self,
        inputs: Inputs,
        labels: Labels,
        *,
        item_ids: frozenset[str] | None = None,
        progress: Progress = no_progress,
        at_end: Callable[[RunWriter], None] | None = None,
        quiet: bool = False,
    ) -> RunRecord:
        """Execute the run with ``inputs`` and keep that as a run of its own.

        Args:
            inputs: what it is given.
            labels: what is recorded of it.
            item_ids: the only items to process; all when None.
            progress: shows how far the work is.
            at_end: called with the run when all is logged and nothing sealed yet.
            quiet: what it prints goes to its log only.

        Returns:
            The run, finished or failed.

        Raises:
            InvalidConfig, InvalidData: the inputs cannot be used; no run is left behind.
            PipelineFailed: the pipeline raised; the run is kept as failed.
            KeyboardInterrupt: a command was interrupted.
        """
        spec = self._spec(inputs, labels)
        with _silent() if quiet else contextlib.nullcontext():
            if self.pipeline is None:
                return self._execute_command(spec, inputs, at_end)
            set_threads(self.file)
            work = PipelineWork(
                asked=spec,
                uses=self.asked.uses or self.run.pipeline,
                overrides=inputs.overrides,
                item_ids=item_ids,
                named=self.named,
                at_end=at_end,
            )
            with self.working_folder():
                done = execute_pipeline(self.project, self.pipeline, work, progress=progress)
        return done.record or self.project.store().get(done.run_id)

    def _spec(self, inputs: Inputs, labels: Labels) -> RunSpec:
        run = self.run
        return RunSpec(
            pipeline=run.pipeline,
            root=self.project.root,
            run_tag=labels.run_tag,
            source=run.source,
            description=labels.description,
            tags=labels.tags,
            seed=inputs.seed,
            parent=labels.parent,
            configs=inputs.configs,
            config_patterns=run.config_patterns,
            data=self.given,
            primary_metric=run.primary_metric,
            measures=run.measures,
            directions=run.directions,
            argv=labels.argv,
        )

    @contextlib.contextmanager
    def working_folder(self) -> Iterator[None]:
        """Work in the folder in which the run was started, as far as it is there."""
        folder = self.project.root / self.asked.folder
        if not folder.is_dir() or folder.resolve() == Path.cwd():
            yield
            return
        with contextlib.chdir(folder):
            yield

    def _execute_command(
        self, spec: RunSpec, inputs: Inputs, at_end: Callable[[RunWriter], None] | None
    ) -> RunRecord:
        elsewhere = {
            place: found.path for place, found in self.data.items() if found.moved or place.startswith("../")
        }
        with staged(self.project, inputs.configs, self.run.config_patterns, elsewhere) as stage:
            folder = Path(os.path.normpath(stage.root / self.asked.folder))
            if not folder.is_relative_to(stage.root) or not folder.is_dir():
                raise BadInput(
                    f"{self.run.id} was started in the folder {self.asked.folder}, which is not in the project now"
                )
            command = stage.command(inputs.command, folder)
            invocation = Invocation(
                kind="command",
                overrides=plain(dict(inputs.overrides)),
                data=tuple(data_origin(entry, self.project.root) for entry in spec.data),
                command=inputs.command,
                folder=self.asked.folder,
                code=self.code,
                corrida=__version__,
            )
            params = dict(inputs.overrides)
            spec = replace(spec, params=params, invocation=invocation, capture=False)
            variables = wanted_variables(self.file, own_threads=False)
            if self.asked.kind == "python":  # the script must find the store in which its run is to be
                variables[STORE_VARIABLE] = str(self.project.store_folder)
            work = CommandWork(
                spec=spec, command=command, folder=folder, variables=variables, stops=True, at_end=at_end
            )
            _, done = execute_command(self.project, work)
        return done.record or self.project.store().get(done.run_id)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep what is printed off the terminal; the log of the run gets it."""
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def _invocation(run: RunRecord) -> Invocation:
    asked = run.run_file().invocation
    if asked is None:
        raise BadInput(
            f"{run.id} does not say how it was started, so it cannot be executed again; "
            f"its configurations can be put back: corrida restore {run.id}"
        )
    return asked


def _script_inputs(run: RunRecord, asked: Invocation, inputs: Inputs, project: Project) -> Inputs:
    """Return the inputs of a run from Python as those of the command that starts its script.

    Raises:
        BadInput: it did not come from a script of the project.
    """
    script = run.argv[0] if run.argv else ""
    places = (project.root / asked.folder / script, project.root / script)
    if not script.endswith(".py") or not asked.code or not any(place.is_file() for place in places):
        raise BadInput(
            f"{run.id} was started from Python, not from a script that is in the project, so corrida cannot start it "
            f"again; call it yourself after `corrida restore {run.id}`, and compare"
        )
    command = (Path(sys.executable).name, *run.argv)
    return Inputs(configs=inputs.configs, overrides={}, seed=run.seed, command=command)

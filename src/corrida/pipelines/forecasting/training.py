"""Training: each model is validated, refitted on all the data, and saved; one that fails leaves the others alone."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import InvalidData
from corrida.pipelines.forecasting.models import MODELS, NAIVE
from corrida.pipelines.forecasting.tables import ERRORS, cv_table
from corrida.pipelines.forecasting.taking_over import CV_DIGEST, digest_of, take_over
from corrida.pipelines.forecasting.tasks import Task, Trainer
from corrida.pipelines.forecasting.validation import Validated, windows, with_intervals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.executors import Executor, Finished
    from corrida.pipelines.forecasting.models import ForecastModel
    from corrida.pipelines.forecasting.panel import Panel
    from corrida.pipelines.forecasting.settings import ForecastingConfig
    from corrida.pipelines.forecasting.tasks import Done
    from corrida.pipelines.forecasting.validation import Trial


@dataclass
class Trained:
    """What came of all models.

    Attributes:
        validated: by name, those that were trained.
        failed: by name, why.
        rows: one a model, for ``models.csv``.
        times: one a model, for ``timings.csv``; apart, so that all other tables of two equal runs are equal.
        taken_over: names of those that the resumed run had finished.
    """

    validated: dict[str, Validated] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    times: list[dict[str, Any]] = field(default_factory=list)
    taken_over: list[str] = field(default_factory=list)


def asked_models(config: ForecastingConfig) -> list[ForecastModel]:
    """Return the models of a configuration, SeasonalNaive among them, the simplest first."""
    return sorted({MODELS[name] for name in (NAIVE, *config.models)}, key=lambda model: model.complexity)


def train(panel: Panel, config: ForecastingConfig, seed: int, recorder: Recorder) -> Trained:
    """Validate, refit and save each model, and take over those that a resumed run had finished.

    Each model in each window is a task of its own, and so is its fit on all the data. What a model gave is saved as
    soon as there is all of it: ``cv_results_<model>.csv`` and ``models/<model>``.

    Raises:
        RuntimeError: no model could be trained.
    """
    models = asked_models(config)
    works = {model.name: _Work(model) for model in models}
    found = Trained()
    for work in works.values():
        if work.take_over(panel, config, recorder):
            found.taken_over.append(work.model.name)
    numbers = [origin.number for origin in windows(panel, config)]
    tasks = [
        Task(name, number) for name, work in works.items() if not work.saved for number in (*numbers, None)
    ]
    if tasks:
        with recorder.executor(config.n_jobs) as executor:
            _carry_out(
                tasks, works, Trainer(panel, _inside(config, executor, len(tasks)), seed), executor, recorder
            )
    for work in works.values():
        found.rows.append(work.row(panel, config))
        found.times.append(work.times())
        if work.failed:
            found.failed[work.model.name] = work.failed
        else:
            found.validated[work.model.name] = work.found
    if not found.validated:
        name, why = next(iter(found.failed.items()))
        raise RuntimeError(f"no model could be trained; {name}: {why}")
    return found


def _inside(config: ForecastingConfig, executor: Executor, tasks: int) -> ForecastingConfig:
    """Return the configuration of a task: jobs over series inside it, where there are more slots than tasks."""
    if executor.slots == 1:
        return config
    jobs = max(1, executor.slots // tasks) if executor.name == "local" else 1
    return msgspec.structs.replace(config, n_jobs=jobs)


def _carry_out(
    tasks: Sequence[Task],
    works: Mapping[str, _Work],
    trainer: Trainer,
    executor: Executor,
    recorder: Recorder,
) -> None:
    """Run the tasks; those of a model that has failed meanwhile are left out, and count as done."""
    given: list[Task] = []
    ended = f"{len({task.model for task in tasks})} models"

    def wanted() -> Iterator[Task]:
        for task in tasks:
            given.append(task)
            if works[task.model].start(task):
                yield task
            else:
                given.pop()
                works[task.model].left_out += 1

    def steps() -> Iterator[None]:
        nonlocal ended
        counted = 0
        for done in executor.run(trainer, wanted()):
            task = given[done.index]
            ended = str(task)
            works[task.model].end(task, done, trainer, recorder)
            left_out = sum(work.left_out for work in works.values())
            for _ in range(1 + left_out - counted):
                yield
            counted = left_out

    for _ in recorder.progress(steps(), total=len(tasks), label=lambda: ended):
        pass


class _Work:
    """One model on its way."""

    def __init__(self, model: ForecastModel) -> None:
        self.model, self.found = model, Validated(model)
        self.failed = ""
        self.saved = False
        self.left_out = 0
        self.validation_seconds = 0.0
        self.fit_seconds: float | None = None
        self._order: list[
            int | None
        ] = []  # windows in the order in which they were started; None is the refit
        self._done: dict[int | None, Done] = {}
        self._errors: dict[int | None, Exception] = {}

    def take_over(self, panel: Panel, config: ForecastingConfig, recorder: Recorder) -> bool:
        """Take over what the resumed run had finished of the model; tell whether there was that."""
        there = take_over(self.model, panel, config, recorder)
        if there is None:
            return False
        self.found, files = there
        with_intervals(self.found, config)
        for number in sorted({trial.window for trial in self.found.trials}):
            self._log(number, [t for t in self.found.trials if t.window == number], recorder)
        recorder.save_table(
            f"cv_results_{self.model.name}.csv", cv_table(self.found.trials, panel, config.levels)
        )
        for name, content in files.items():
            recorder.save_bytes(f"models/{self.model.name}/{name}", content)
        self.saved = True
        return True

    def start(self, task: Task) -> bool:
        """Note that a task is given out; tell whether it still makes sense."""
        if self._errors:
            return False
        self._order.append(task.window)
        return True

    def end(self, task: Task, done: Finished[Done], trainer: Trainer, recorder: Recorder) -> None:
        """Take what came of a task, and save the model once there is all of it."""
        if done.attempts > 1 and done.error is None:
            recorder.warn(f"{task}: the worker died, and another one did it again")
        if done.error is not None:
            if isinstance(done.error, InvalidData | OSError):
                raise done.error  # of the recorder or the data, not of the model
            self._errors[task.window] = done.error
        elif done.result is not None:
            self._done[task.window] = done.result
            if task.window is not None:
                self.validation_seconds += done.result.seconds
                self._log(task.window, done.result.trials, recorder)
        if len(self._done) + len(self._errors) < len(self._order):
            return
        if self._errors:
            self._fail(recorder)
        elif None in self._done:
            self._save(trainer, recorder)

    def _fail(self, recorder: Recorder) -> None:
        """Leave the model out, for the first reason in the order of the tasks, whichever came first."""
        if self.failed:
            return
        first = next(number for number in self._order if number in self._errors)
        before = self._order[: self._order.index(first)]
        self.found.trials = [
            t for number in before if number in self._done for t in self._done[number].trials
        ]
        error = self._errors[first]
        place = "the fit on all data" if first is None else f"window {first}"
        self.failed = f"{place}: {_first_line(error)}"
        recorder.warn(f"{self.model.name} failed and is left out: {self.failed}")
        recorder.save_text(f"failures/{self.model.name}.txt", "".join(traceback.format_exception(error)))

    def _save(self, trainer: Trainer, recorder: Recorder) -> None:
        panel, config, fitted = trainer.panel, trainer.config, self._done[None]
        numbers = sorted(number for number in self._done if number is not None)
        self.found.trials = [trial for number in numbers for trial in self._done[number].trials]
        self.found.ahead = fitted.ahead
        self.fit_seconds = fitted.seconds
        with_intervals(self.found, config)
        table = cv_table(self.found.trials, panel, config.levels)
        recorder.save_table(f"cv_results_{self.model.name}.csv", table)
        facts = {
            "fitted_on": "all data",
            "series": len(panel),
            "seed": trainer.seed,
            "threads": config.threads,
        }
        recorder.save_model(
            self.model.name,
            lambda folder: _write(folder, fitted.files),
            format=self.model.file_format,
            libraries=self.model.packages,
            facts={**facts, CV_DIGEST: digest_of(table)},
        )
        self.saved = True
        self._done.clear()  # a model may be large

    def _log(self, number: int, trials: Sequence[Trial], recorder: Recorder) -> None:
        known = [trial.mase for trial in trials if trial.mase is not None]
        if known:
            recorder.log({f"{self.model.name}.mase": sum(known) / len(known)}, step=number)

    def row(self, panel: Panel, config: ForecastingConfig) -> dict[str, Any]:
        """Return what ``models.csv`` says of the model: what was validated, and what was saved."""
        trained = not self.failed
        names = (*ERRORS, *(f"coverage_{level}" for level in config.levels))
        means = self.found.means(names, config.levels) if trained else {}
        return {
            "model": self.model.name,
            "status": "trained" if trained else "failed",
            "reason": self.failed or None,
            "windows_validated": len({trial.window for trial in self.found.trials}),
            "validation_fits_end": min(
                (panel.frequency.text(t.cutoff) for t in self.found.trials), default=None
            ),
            "saved_fit_ends": max(panel.frequency.text(panel.cutoff(one)) for one in panel.series)
            if trained
            else None,
            **{name: means.get(name) for name in names},
            "intervals": "own" if self.model.own_intervals and config.intervals == "own" else "conformal",
        }

    def times(self) -> dict[str, Any]:
        """Return how long the model took, for ``timings.csv``; nothing of one that was taken over."""
        return {
            "model": self.model.name,
            "validation_seconds": round(self.validation_seconds, 3)
            if self.fit_seconds is not None or self.failed
            else None,
            "fit_seconds": None if self.fit_seconds is None else round(self.fit_seconds, 3),
        }


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

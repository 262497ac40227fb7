"""Runs from Python: start_run, track, current_run, and comparison by reference."""

from __future__ import annotations

import functools
import numbers
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

from corrida import __version__
from corrida.errors import BadInput, InvalidMetric
from corrida.launch import begin, code_digests, data_sources, enclosing_run
from corrida.project import RUN_VARIABLE, find_project
from corrida.runs.attached import attached_run
from corrida.runs.handover import ScriptRun, script_run
from corrida.runs.run_file import Invocation, PrimaryMetric
from corrida.runs.snapshot.configs import expand_patterns, read_configs, relative_name
from corrida.runs.snapshot.data import data_origin
from corrida.runs.store import Store, check_tags
from corrida.runs.writer import RunSpec, RunWriter, current_writer

if TYPE_CHECKING:
    from corrida.analysis.compare import Comparison
    from corrida.analysis.gate import GateResult
    from corrida.analysis.item_history import ItemHistory
    from corrida.runs.alias import Promotion
    from corrida.runs.record import RunRecord
    from corrida.runs.run_log import RunLog

P = ParamSpec("P")
R = TypeVar("R")
Paths = Sequence[str | os.PathLike[str]] | str | os.PathLike[str]


def start_run(
    *,
    run_id: str | None = None,
    run_tag: str | None = None,
    pipeline: str | None = None,
    source: str | None = None,
    description: str | None = None,
    notes: str | None = None,
    tags: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    seed: int | None = None,
    configs: Paths = (),
    data: Paths = (),
    parent: str | None = None,
    primary_metric: str | None = None,
    direction: Literal["max", "min"] = "max",
    directions: Mapping[str, Literal["max", "min"]] | None = None,
    measures: Mapping[str, str] | None = None,
    store: str | os.PathLike[str] | Store | None = None,
    save: bool = True,
    capture: bool = True,
) -> RunWriter | ScriptRun:
    """Start a run; use it as a context manager, or call ``finish()`` at the end.

    Args:
        run_id: exactly this id; one that is taken is an error.
        run_tag: else ``run_<tag>``, with a number when that is taken. Without either the id is made of the date
            and the seed, or of the time.
        pipeline: name under which runs are listed and compared; the name of the script when not given.
        source: what was processed, such as ``gold_set_100``.
        description: what is different this time.
        notes: anything else.
        tags: short texts by name.
        params: parameters by name; nested mappings are fine.
        seed: the random seed, recorded (nothing is seeded).
        configs: configuration files or globs, relative to the project; copied byte for byte.
        data: data files or globs; recorded by digest, size, rows and columns, not copied. A table of a database
            (``sqlite:///jobs.db?table=offers``) is copied into the run; ``run.data_files`` has the copy.
        parent: id of the run that this one belongs to; the open run of an enclosing ``corrida exec``, if any,
            when not given.
        primary_metric: the metric that decides which of two runs is better.
        direction: whether more (``max``) or less (``min``) of it is better.
        directions: the same for other metrics, by name or pattern with ``*``; where nobody says, names such as
            ``loss`` or ``f1`` tell.
        measures: how metrics come about from the items, by name, where the name alone does not say it, such as
            ``{"f1": "f1_macro"}``; the verdict of a comparison tests them. See docs/verdicts.md.
        store: folder or Store; that of the project when not given.
        save: False writes to a temporary folder that is gone at the end of the run.
        capture: copy what is printed to the run's log.txt.

    In a script under ``corrida exec`` the run is that of the command, unless ``run_id``, ``run_tag`` or ``parent`` is
    given: then it is a child of it.

    Returns:
        The open run, with ``id``, ``dir``, ``log``, ``log_items``, ``log_metrics``, ``log_artifact``.

    Raises:
        InvalidName, AlreadyExists: the id cannot be used.
        InvalidConfig, InvalidData: a file is missing or cannot be read.
        StoreError: the store cannot be written.

    Example:
        >>> import corrida
        >>> with corrida.start_run(run_tag="baseline", params={"top_k": 5}) as run:
        ...     run.log_metrics({"precision": 0.64})
    """
    opened = store if isinstance(store, Store) else None
    project = find_project(store=None if opened is not None else store)  # type: ignore[arg-type]
    if opened is None:
        opened = project.store() if save else None
    patterns = _listed(configs)
    given_data = data_sources(project, _listed(data))
    spec = RunSpec(
        pipeline=pipeline or _script_name(),
        root=project.root,
        run_id=run_id,
        run_tag=run_tag,
        source=source,
        description=description,
        notes=notes,
        tags=check_tags(_mapping("tags", tags)),
        seed=seed,
        parent=parent or (enclosing_run(opened.root) if opened is not None else None),
        params=_mapping("params", params),
        configs=read_configs(expand_patterns(patterns, project.root, "configuration"), project.root),
        config_patterns=[os.fspath(p) for p in patterns if not os.path.isabs(p)],  # noqa: PTH117
        data=given_data,
        primary_metric=PrimaryMetric(primary_metric, direction) if primary_metric else None,
        directions=_mapping("directions", directions),
        measures=_measures(measures),
        invocation=Invocation(
            kind="python",
            data=tuple(data_origin(entry, project.root) for entry in given_data),
            folder=relative_name(Path.cwd(), project.root),
            code=code_digests([_script()], project.root),
            corrida=__version__,
        ),
        argv=sys.argv,
        capture=capture,
    )
    named = run_id is not None or run_tag is not None or parent is not None
    if opened is not None and save and (not named or _executed_again(opened, run_id)):
        asked = replace(spec, run_id=None, pipeline=pipeline or "", parent=None)
        enclosing = script_run(RUN_VARIABLE, opened.root, asked)
        if enclosing is not None:
            return enclosing
    return begin(opened if save else None, spec)


def _executed_again(store: Store, run_id: str | None) -> bool:
    """Tell whether a script asks for the id of the run that the enclosing ``corrida rerun`` executes again."""
    enclosing = None if run_id is None else enclosing_run(store.root)
    return enclosing is not None and store.get(enclosing).parent == run_id


def _listed(paths: Paths) -> list[str | os.PathLike[str]]:
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadInput(f"{name} must be a mapping of names to values, not {type(value).__name__}")
    return {str(key): entry for key, entry in value.items()}


def _measures(measures: Any) -> dict[str, str]:
    from corrida.analysis.measures import parse_measure

    return {name: str(parse_measure(str(text))) for name, text in _mapping("measures", measures).items()}


def _script() -> Path | None:
    """Return the script that runs; None in a notebook or at a prompt."""
    return Path.cwd() / sys.argv[0] if sys.argv and sys.argv[0] not in {"", "-c", "-m"} else None


def _script_name() -> str:
    script = _script()
    return (script.stem if script else "") or "default"


def current_run() -> RunLog | None:
    """Return the run that is open here, or None outside of any.

    Inside a function that :func:`track` records, inside a ``with start_run(…)`` block and in what those call,
    this is the run to log to. In a script under ``corrida exec`` it is the run of that command.
    """
    return current_writer() or attached_run(RUN_VARIABLE)


@overload
def track(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def track(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def track(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Record each call of a function as a run.

    The arguments of the call that are numbers, texts or booleans become parameters. A mapping that the function
    returns gets ``run_id`` added, and the numbers in it become final metrics.

    Args:
        function: the function, when used without brackets.
        **options: as of :func:`start_run`; ``pipeline`` is the name of the function when not given. An argument
            of the call that is named ``source``, ``description``, ``notes`` or ``seed`` fills in that option.

    Returns:
        The function, recorded.

    Example:
        >>> import corrida
        >>> @corrida.track(configs=["config/*.json"])
        ... def match(offer_ids, description=""):
        ...     return {"precision": 0.64}
    """
    if function is None:
        return lambda wrapped: _tracked(wrapped, options)
    return _tracked(function, options)


def _tracked(function: Callable[..., Any], options: Mapping[str, Any]) -> Callable[..., Any]:
    import inspect

    signature = inspect.signature(function)

    def settings_of(args: Any, kwargs: Any) -> dict[str, Any]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        settings = {"pipeline": function.__name__, **options}
        for name, kind in (("source", str), ("description", str), ("notes", str), ("seed", numbers.Integral)):
            value = bound.arguments.get(name)
            if isinstance(value, kind) and value != "" and name not in options:
                settings[name] = value
        given = {
            name: value
            for name, value in bound.arguments.items()
            if isinstance(value, str | int | float | bool) and name not in settings
        }
        settings["params"] = {**given, **(options.get("params") or {})}
        return settings

    @functools.wraps(function)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        with start_run(**settings_of(args, kwargs)) as run:
            return _with_run_id(run, function(*args, **kwargs))

    @functools.wraps(function)
    async def recorded_coroutine(*args: Any, **kwargs: Any) -> Any:
        with start_run(**settings_of(args, kwargs)) as run:
            return _with_run_id(run, await function(*args, **kwargs))

    return recorded_coroutine if inspect.iscoroutinefunction(function) else recorded


def _with_run_id(run: RunWriter | ScriptRun, result: Any) -> Any:
    if not isinstance(result, Mapping):
        return result
    found = _numbers(result)
    try:
        run.log_metrics(found)
    except InvalidMetric:  # one of them: the function has done its work, and what it returned stays whole
        for name, value in found.items():
            try:
                run.log_metrics({name: value})
            except InvalidMetric as error:
                run.warn(str(error))
    return {**result, "run_id": run.id}


def _numbers(result: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        str(name): value
        for name, value in result.items()
        if _is_number(value) and name not in {"step", "logged_at"}
    }


def _is_number(value: object) -> bool:
    return issubclass(type(value), numbers.Real) and not isinstance(value, bool)


def open_store(store: str | os.PathLike[str] | Store | None = None) -> Store:
    """Return ``store`` opened; that of the project when it is None."""
    return store if isinstance(store, Store) else find_project(store=store).store()


def compare(
    a: str | RunRecord,
    b: str | RunRecord,
    *,
    store: str | os.PathLike[str] | Store | None = None,
    metric: str | Sequence[str] | None = None,
    cluster: str | None = None,
    confidence: float = 0.95,
    margin: float | None = None,
    resamples: int = 10_000,
    slices: str | Sequence[str] = (),
    list_keys: Iterable[str] = (),
) -> Comparison:
    """Compare two runs: configurations by meaning, metrics, items, data and environment.

    Args:
        a: the run before, as a reference or record.
        b: the run after.
        store: where the references are looked up; the store of the project when not given.
        metric: the metric that decides, or several (their p-values are adjusted by Holm's correction); that of the
            runs when not given.
        cluster: a column of the items that says which of them belong together, such as the author of texts:
            clusters are resampled as wholes. When not given, the one that both runs declare; ``"none"`` takes each
            item alone.
        confidence: of the intervals; a difference is called real at the level 1 - confidence.
        margin: absolute; differences inside ±margin do not matter. When not given, 0.01 for a metric that has a
            least and a greatest value, else 1 % of its value in A.
        resamples: of the bootstrap and the randomization test.
        slices: a column of the items, or several, by whose values to test segments of the items too; several in one
            text, with commas, for their combinations; ``auto`` for all that have few values or numbers.
        list_keys: names of the field that tells entries of a list in a configuration apart; those of the project
            when not given.

    Raises:
        RunNotFound, AmbiguousReference: a reference fits no run, or several.
        DamagedRun: a run cannot be read.
        InvalidData: the items have no column ``cluster``.
        InvalidMetric: neither run has the metric.
        BadInput: an option is outside of its range; the items have no column to slice by.
    """
    from corrida.analysis.compare import compare_runs
    from corrida.analysis.metric_tests import VerdictOptions

    a, b = _two_runs(a, b, store)
    keys = tuple(list_keys) or find_project().settings.list_keys
    options = VerdictOptions(confidence=confidence, margin=margin, resamples=resamples, cluster=cluster)
    specs = (slices,) if isinstance(slices, str) else slices
    return compare_runs(a, b, metric=metric, list_keys=keys, options=options, slices=specs)


def _two_runs(
    a: str | RunRecord, b: str | RunRecord, store: str | os.PathLike[str] | Store | None
) -> tuple[RunRecord, RunRecord]:
    if isinstance(a, str) or isinstance(b, str):
        opened = open_store(store)
        a = opened.get(a) if isinstance(a, str) else a
        b = opened.get(b) if isinstance(b, str) else b
    return a, b


def gate(
    base: str | RunRecord,
    new: str | RunRecord,
    *,
    store: str | os.PathLike[str] | Store | None = None,
    metric: str | Sequence[str] | None = None,
    max_drop: float | str | None = None,
    confidence: float = 0.95,
    on_doubt: Literal["pass", "fail"] = "fail",
    cluster: str | None = None,
    shared_items: bool = False,
    slices: str | Sequence[str] = (),
    slices_max_drop: float | str | None = None,
) -> GateResult:
    """Judge a new run by how far its metrics may drop below those of another; see docs/gate.md.

    Args:
        base: the run that is compared with, as a reference or record.
        new: the run that is judged.
        store: where the references are looked up; the store of the project when not given.
        metric: one metric, or several with the same rule; the rules of corrida.toml when not given, and then none
            of what follows may be.
        max_drop: how far it may drop, in units of the metric or in percent of the base's value (``"1%"``). Of a
            loss, how far it may rise.
        confidence: of the interval by which a drop must be excluded.
        on_doubt: what a rule that cannot be decided counts as.
        cluster: a column of the items that says which of them belong together.
        shared_items: judge by the shared items alone; otherwise items that only one run has are a doubt.
        slices: as of :func:`compare`; no segment may be proven to drop further than ``slices_max_drop``.
        slices_max_drop: how far a segment may drop; ``max_drop`` when not given.

    Returns:
        The result; true when the new run is let through.

    Raises:
        BadInput: there are no rules, or one cannot be used; the items have no column to slice by.
        RunNotFound, AmbiguousReference, DamagedRun, InvalidData, InvalidMetric: as of :func:`compare`.
    """
    from corrida.analysis.gate import check_rules, rules_of

    base, new = _two_runs(base, new, store)
    settings = find_project().settings
    if metric is None and max_drop is None:
        rules = settings.gate_rules(new.pipeline)
    else:
        rules = rules_of(
            base,
            new,
            (metric,) if isinstance(metric, str) else metric or (),
            max_drop,
            confidence=confidence,
            on_doubt=on_doubt,
            cluster=cluster,
            shared_items=shared_items,
            slices=slices,
            slices_max_drop=slices_max_drop,
        )
    return check_rules(base, new, rules, list_keys=settings.list_keys)


def promote(
    reference: str,
    alias: str = "production",
    *,
    reason: str | None = None,
    force: bool = False,
    store: str | os.PathLike[str] | Store | None = None,
) -> Promotion:
    """Point ``@alias`` to a finished run when the rules in corrida.toml let it; see docs/gate.md.

    Args:
        reference: the run.
        alias: without ``@``.
        reason: why; kept with the alias.
        force: also against the rules; then the reason is needed, and what the rules said is kept with it.
        store: the store of the project when not given.

    Raises:
        BadInput: ``force`` without a reason.
        Refused: the rules do not let the run pass, or it has not finished.
        InvalidName, RunNotFound, StoreError: the alias or the run cannot be used; the store cannot be written.
    """
    from corrida.gating import promote as promote_by_rules

    settings = find_project().settings
    return promote_by_rules(open_store(store), settings, reference, alias, reason, force=force).promotion


def item_history(
    item_id: str,
    *,
    store: str | os.PathLike[str] | Store | None = None,
    pipeline: str | None = None,
    filter: str | None = None,  # noqa: A002 - the name that users type
) -> list[ItemHistory]:
    """Return what became of one item over all runs, one history a pipeline that has it.

    Args:
        item_id: which item.
        store: the store of the project when not given.
        pipeline: only runs of this pipeline.
        filter: only runs that fit; see docs/filters.md.

    Returns:
        The histories; empty when no run has the item.
    """
    from corrida.analysis.item_history import item_history as history_of

    runs = open_store(store).runs(filter=filter, pipeline=pipeline)
    return history_of(runs, item_id, list_keys=find_project().settings.list_keys).histories

"""From a result back to what made it.

A result says itself which run made it; where the jobs' database and the store are at hand, they are asked whether that is
true and what else they know.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from corrida.errors import CorridaError, NotFound
from corrida.inference.installed import need_serving
from corrida.inference.makers import Kind, Maker, maker_of_prediction, makers_of_file, row_of
from corrida.inference.settings import DATABASE_FILE, database_beside
from corrida.runs import layout
from corrida.runs.files import digest_file
from corrida.runs.ids import is_run_id
from corrida.runs.predictions import PredictionFile, prediction_ids, read_prediction
from corrida.runs.store import Store

if TYPE_CHECKING:
    from corrida.inference.jobs import Job, Jobs
    from corrida.inference.settings import Runner
    from corrida.runs.record import RunRecord

_MOST_RUNS = 20


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a result comes from.

    Attributes:
        kind, id: of the result.
        run: id of the run that made it, or None where none came to it.
        run_digest: the seal of that run at the time.
        run_state: ``intact``, ``altered`` (the run in the store has another seal) or ``missing``.
        pipeline, alias: of the run at the time.
        result: ``intact`` or ``altered`` by the digest of its rows, where that is known.
        job: what the jobs' database knows of it.
        input: the file or files that were scored.
        configs: the configurations of the run, by their place in the project, with digests.
        data: what the run was trained on.
        git, environment: of the run.
        created: when the run was started.
        row: the row that was asked for.
    """

    kind: Kind
    id: str
    run: str | None
    run_digest: str | None = None
    run_state: Literal["intact", "altered", "missing"] | None = None
    pipeline: str | None = None
    alias: str | None = None
    result: Literal["intact", "altered"] | None = None
    job: dict[str, Any] | None = None
    input: list[dict[str, Any]] = []
    configs: list[dict[str, Any]] = []
    data: list[dict[str, Any]] = []
    git: dict[str, Any] | None = None
    python: str | None = None
    created: str | None = None
    row: dict[str, Any] | None = None


def jobs_of(runner: Runner) -> Jobs | None:
    """Return the jobs of a project for reading; None where no file was ever scored.

    Raises:
        DatabaseError: the database that is named cannot be reached.
        MissingExtra: what serving needs, or its driver, is not installed.
    """
    if runner.database == database_beside(runner.spool) and not (runner.spool / DATABASE_FILE).exists():
        return None
    need_serving()
    from corrida.bridges.database.address import parse_address
    from corrida.inference.database import open_database
    from corrida.inference.jobs import Jobs

    file = parse_address(runner.database, runner.root).file
    if file is not None and not file.exists():
        return None
    return Jobs(open_database(runner.database, runner.root), _no_queue)


@contextlib.contextmanager
def opened_jobs(runner: Runner) -> Iterator[Jobs | None]:
    """Open what :func:`jobs_of` returns for a block."""
    jobs = jobs_of(runner)
    try:
        yield jobs
    finally:
        if jobs is not None:
            jobs.database.close()


def _no_queue(*_: Any) -> None:
    raise RuntimeError("nothing is put on a queue here")


def origins_of(runner: Runner, jobs: Jobs | None, result: str, row: int | None = None) -> list[Origin]:
    """Return where a result comes from; more than one where a table holds rows of several.

    Args:
        runner: store and spool.
        jobs: of the project, or None.
        result: a file of results or predictions, wherever it was copied, or the id of an analysis or a prediction.
        row: number of a row of the table, from 1; it says which of the origins is meant, and comes along.

    Raises:
        NotFound: there is neither such a file nor such an id, or the table has no such row.
        BadInput: the file does not say what made it.
    """
    path = Path(result)
    store = Store(runner.store)
    if path.is_file():
        table, makers = makers_of_file(path)
    else:
        table, makers = _by_id(runner, store, jobs, result)
    shown: dict[str, Any] | None = None
    if row is not None:
        shown = row_of(table, row)
        if len(makers) > 1:
            own = {shown.get("analysis_id"), shown.get("prediction_id")}
            makers = [maker for maker in makers if maker.id in own]
    return [_origin(store, jobs, maker, table, shown) for maker in makers[:_MOST_RUNS]]


def _by_id(runner: Runner, store: Store, jobs: Jobs | None, text: str) -> tuple[Path | None, list[Maker]]:
    job = None
    if jobs is not None:
        try:
            job = jobs.get(text)
        except NotFound:
            job = None
    if job is not None:
        table = runner.spool / "processed" / f"{job.id}.parquet"
        said = {"alias": job.alias, "pipeline": job.pipeline}
        maker = Maker("analysis", job.id, job.run_id, job.run_digest, said)
        return (table if table.is_file() else None), [maker]
    for folder in _run_folders(store):
        if text in prediction_ids(folder):
            found = read_prediction(folder, text)
            return folder / layout.PREDICTIONS_DIR / found.file, [maker_of_prediction(found)]
    raise NotFound(
        f"{text[:120]!r} is neither a file nor the id of an analysis or a prediction; `corrida jobs` lists analyses"
    )


def _run_folders(store: Store) -> Iterator[Path]:
    if store.root.is_dir():
        yield from (p for p in sorted(store.root.iterdir()) if is_run_id(p.name) and p.is_dir())


def _origin(
    store: Store, jobs: Jobs | None, maker: Maker, table: Path | None, row: dict[str, Any] | None
) -> Origin:
    job = _job(jobs, maker)
    run = maker.run or (job.run_id if job else None)
    digest = maker.digest or (job.run_digest if job else None)
    record = _record(store, run)
    facts: dict[str, Any] = {}
    about = None
    if record is not None:
        content = record.run_file()
        if maker.kind == "prediction":
            about = _prediction(record.dir, maker.id)
            digest = digest or (about.run_digest if about else None)
        facts = {
            "run_state": "intact" if digest in {None, content.seal} else "altered",
            "configs": [{"origin": c.origin, "sha256": c.sha256} for c in record.configs],
            "data": _data(record),
            "git": msgspec.to_builtins(record.git) if record.git else None,
            "python": content.environment.get("python"),
            "created": record.created,
        }
    elif run is not None:
        facts = {"run_state": "missing"}
    said = maker_of_prediction(about).said if about else maker.said
    pipeline = (
        said.get("pipeline") or (job.pipeline if job else None) or (record.pipeline if record else None)
    )
    return Origin(
        kind=maker.kind,
        id=maker.id,
        run=run,
        run_digest=digest,
        pipeline=pipeline,
        alias=said.get("alias") or (job.alias if job else None),
        result=_state(table, job, about),
        job=_shown(job) if job else None,
        input=_input(said, job),
        row=row,
        **facts,
    )


def _shown(job: Job) -> dict[str, Any]:
    from corrida.inference.views import shown_job  # needs the extra, which who has a job has

    return shown_job(job)


def _job(jobs: Jobs | None, maker: Maker) -> Job | None:
    if jobs is None or maker.kind != "analysis":
        return None
    try:
        return jobs.get(maker.id)
    except NotFound:
        return None


def _record(store: Store, run: str | None) -> RunRecord | None:
    """Return a run by its whole id: a prefix would be another one."""
    if run is None or not is_run_id(run) or not (store.root / run).is_dir():
        return None
    try:
        return store.get(run)
    except CorridaError:
        return None


def _prediction(folder: Path, prediction: str) -> PredictionFile | None:
    try:
        return read_prediction(folder, prediction)
    except CorridaError:
        return None


def _data(record: RunRecord) -> list[dict[str, Any]]:
    try:
        files = record.manifest().get("data", [])
    except CorridaError:
        return []
    kept = ("path", "size", "sha256", "rows")
    return [{key: one[key] for key in kept if key in one} for one in files if isinstance(one, dict)]


def _input(said: dict[str, Any], job: Job | None) -> list[dict[str, Any]]:
    if job is not None:
        return [{"path": job.file, "size": job.size, "sha256": job.sha256}]
    if isinstance(found := said.get("input"), dict):
        return [{"path": found.get("file"), "size": found.get("size"), "sha256": found.get("sha256")}]
    return [dict(one) for one in said.get("data") or []]


def _state(
    table: Path | None, job: Job | None, about: PredictionFile | None
) -> Literal["intact", "altered"] | None:
    """Compare a table with its digest, where the table is the original and not a copy in another format."""
    if table is None or (job is not None and table.suffix.lower() != ".parquet"):
        return None
    known = job.result_sha256 if job else about.sha256 if about and table.name == about.file else None
    if known is None:
        return None
    return "intact" if digest_file(table).sha256 == known else "altered"

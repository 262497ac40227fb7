"""``corrida worker``, ``submit`` and ``jobs``: files that are scored by the run in production."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from corrida.cli.charges import charge_again, charge_line, charges_of, refused_jobs
from corrida.cli.common import (
    json_option,
    open_project,
    parse_pairs,
    print_json,
    say,
    store_option,
)
from corrida.cli.jobs_text import show_list, show_one, webhook_line

if TYPE_CHECKING:
    from corrida.inference.jobs import Job
    from corrida.inference.service import Service
    from corrida.inference.settings import Runner

F = TypeVar("F", bound=Callable[..., Any])
SHADOW_HELP = "A run that scores processed files as well, for `corrida shadow` [default: corrida.toml, none]."


def needs_serving(function: F) -> F:
    """Say in a sentence what is not installed, before the command imports it."""

    @functools.wraps(function)
    def command(**arguments: Any) -> Any:
        from corrida.inference.installed import need_serving

        need_serving()
        return function(**arguments)

    return cast("F", command)


def runner_options(function: F) -> F:
    """Add ``--spool``, ``--database`` and ``--store``."""
    for option in (
        store_option,
        click.option(
            "--database",
            metavar="URL",
            help="The jobs' database [default: corrida.toml, jobs.db in the spool].",
        ),
        click.option(
            "--spool", metavar="DIR", help="The folder of the files [default: corrida.toml, spool]."
        ),
    ):
        function = option(function)
    return function


def open_runner(store: str | None, spool: str | None, database: str | None, **flags: Any) -> Runner:
    """Put corrida.toml and the flags together."""
    from corrida.inference.settings import runner_of

    return runner_of(open_project(store), spool=spool, database=database, **flags)


@click.command()
@click.option("--slots", type=click.IntRange(min=1), help="Files at once [default: corrida.toml, 2].")
@click.option(
    "--time-limit", type=float, metavar="SECONDS", help="For one file [default: corrida.toml, 300]."
)
@click.option("--alias", metavar="NAME", help="Whose run scores [default: corrida.toml, production].")
@click.option("--shadow", metavar="RUN", help=SHADOW_HELP)
@runner_options
@needs_serving
def worker(
    *,
    slots: int | None,
    time_limit: float | None,
    alias: str | None,
    shadow: str | None,
    spool: str | None,
    database: str | None,
    store: str | None,
) -> int:
    """Score files as they come, until it is stopped.

    Any number of workers may share a spool and a database. Ctrl-C waits for the files that are being scored; a second
    one gives them back to the others. Events go to standard error, one JSON line each.
    """
    _end_while_starting()
    runner = open_runner(
        store,
        spool,
        database,
        slots=slots,
        shadow=shadow,
        time_limit=time_limit,
        alias=alias.removeprefix("@") if alias else None,
    )
    from corrida.inference.worker import work

    return work(runner)


def _end_while_starting() -> None:
    """Let SIGTERM end the process in peace until the worker takes it over: nothing was begun."""
    import os
    import signal

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--id", "analysis_id", metavar="ID", help="The id of the analysis; of one file only.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the prediction.")
@click.option("--wait", is_flag=True, help="Wait until the files are scored.")
@click.option("--timeout", type=float, default=600.0, show_default=True, help="Seconds to wait at most.")
@json_option
@runner_options
@needs_serving
def submit(
    files: tuple[str, ...],
    *,
    analysis_id: str | None,
    options: tuple[str, ...],
    wait: bool,
    timeout: float,
    as_json: bool,
    spool: str | None,
    database: str | None,
    store: str | None,
) -> int:
    """Hand files over to be scored by the run in production.

    The same id with the same file is the same analysis, however often it is submitted; with another file it is refused.
    """
    from corrida.errors import BadInput
    from corrida.inference.service import opened
    from corrida.inference.workflow import describe
    from corrida.runs.documents import parse_value

    if analysis_id is not None and len(files) > 1:
        raise BadInput("--id names one analysis; submit the files one by one, or leave it out")
    asked = {key: parse_value(text) for key, text in parse_pairs(options, "--option").items()}
    with opened(open_runner(store, spool, database)) as service:
        jobs = []
        for file in files:
            job, new = service.submit(Path(file), analysis_id=analysis_id, options=asked)
            jobs.append(job)
            if not as_json and not (wait and len(files) == 1):
                say(f"{job.id}  {'queued' if new else job.status + ' already'}  {job.file}")
        if any(job.status == "queued" for job in jobs):
            _warn_without_run(service.runner)
        if wait:
            jobs = [service.wait(job.id, timeout) for job in jobs]
            if not as_json:
                for job in jobs:
                    _say_end(job, service.spool.processed, _waits_for(service, job))
        if as_json:
            shown = [describe(job) for job in jobs]
            print_json(shown[0] if len(shown) == 1 else shown)
    return 0 if not wait or all(job.status == "processed" for job in jobs) else 1


def _waits_for(service: Service, job: Job) -> str | None:
    """Return why a job that waits is not taken, where that is known."""
    from corrida.inference.readiness import no_worker

    return no_worker(service.database, job.spool) if job.status == "queued" else None


def _warn_without_run(runner: Runner) -> None:
    """Say that nothing can score what was handed over; it is taken all the same, and fails once a worker takes it."""
    from corrida.errors import CorridaError
    from corrida.inference.models import resolve_model

    try:
        resolve_model(runner.store, f"@{runner.limits.alias}")
    except CorridaError as error:
        say(f"warning: as things are it will fail: {error}", err=True)


def _say_end(job: Job, processed: Path, waits_for: str | None) -> None:
    from corrida.inference.report_text import counted, unit_of

    if job.status == "processed":
        said = counted(job.scored, job.rows, unit_of(job.report))
        say(f"{job.id}  processed by {job.run_id}: {said}")
        say(f"  {_relative(processed / f'{job.id}.json')}")
    elif job.status in {"failed", "cancelled"}:
        say(f"{job.id}  {job.status}: {job.message}", err=True)
    else:
        why = waits_for or f"`corrida jobs {job.id}` says more"
        say(f"{job.id}  still {job.status}; {why}", err=True)


def _relative(path: Path) -> str:
    import os

    return os.path.relpath(path)


@click.command()
@click.argument("analysis", required=False, metavar="[ID]")
@click.option(
    "--status",
    type=click.Choice(["queued", "running", "processed", "failed", "cancelled"]),
    help="Only these.",
)
@click.option("--limit", type=click.IntRange(min=1), default=30, show_default=True, help="At most so many.")
@click.option("--retry", is_flag=True, help="Try the analysis ID again, which failed.")
@click.option("--cancel", is_flag=True, help="Stop the analysis ID.")
@click.option("--refused", is_flag=True, help="Only those whose charge or refund the gateway refused.")
@click.option(
    "--retry-charge",
    is_flag=True,
    help="Tell the gateway again what it refused, of the analysis ID or of all.",
)
@json_option
@runner_options
@needs_serving
def jobs(
    analysis: str | None,
    *,
    status: str | None,
    limit: int,
    retry: bool,
    cancel: bool,
    refused: bool,
    retry_charge: bool,
    as_json: bool,
    spool: str | None,
    database: str | None,
    store: str | None,
) -> int:
    """List analyses, the newest first, or show one."""
    from corrida.errors import BadInput
    from corrida.inference.outbox import Outbox
    from corrida.inference.service import opened
    from corrida.inference.workflow import describe

    if (retry or cancel) and (analysis is None or retry + cancel + retry_charge > 1):
        raise BadInput("--retry and --cancel take the id of one analysis, and exclude each other")
    with opened(open_runner(store, spool, database)) as service:
        if retry_charge:
            again = charge_again(service.jobs, analysis)
            if analysis is None:
                print_json(again) if as_json else say(f"to be told to the gateway again: {len(again):,}")
                return 0
        if analysis is None:
            wanted: Any = (status,) if status else ()
            found = (
                refused_jobs(service.jobs, limit)
                if refused
                else service.jobs.list(status=wanted, limit=limit)
            )
            show_list(found, service.jobs.counts()) if not as_json else print_json(list(map(describe, found)))
            return 0
        if retry:
            job = service.jobs.retry(analysis)
        elif cancel:
            job = service.cancel(analysis)
        else:
            job = service.jobs.get(analysis)
        events = service.jobs.events(job.id)
        charges = charges_of(service.database, job.id)
        webhooks = Outbox(service.database).shown(job.id)
        waits_for = _waits_for(service, job)
        if as_json:
            more = {"charges": charges, "events": events, "webhooks": webhooks}
            print_json(describe(job) | more | ({"note": waits_for} if waits_for else {}))
        else:
            more_facts = [*map(charge_line, charges), *map(webhook_line, webhooks)]
            show_one(job, waits_for, more_facts, [(e.time, e.event, e.detail) for e in events])
    return 0

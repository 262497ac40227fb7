"""From a run to all that it made, and refunds for it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from corrida.errors import RunNotFound
from corrida.inference.makers import Kind  # noqa: TC001 - msgspec reads the annotations
from corrida.inference.views import utc
from corrida.runs import layout
from corrida.runs.predictions import read_predictions
from corrida.runs.store import Store

if TYPE_CHECKING:
    from corrida.inference.billing import BillingGateway
    from corrida.inference.jobs import Job, Jobs
    from corrida.inference.settings import Runner

_PAGE = 500


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a run made.

    Attributes:
        kind, id: of it.
        status: how the analysis stands; ``processed`` of a prediction.
        file: that was scored.
        rows: of the result.
        created: UTC.
        client: name of the API key.
        charged: whether it was charged.
        refunded: whether that was taken back.
        where: the file of the result, relative to the spool or to the run folder.
    """

    kind: Kind
    id: str
    status: str
    file: str | None = None
    rows: int | None = None
    created: str
    client: str | None = None
    charged: bool = False
    refunded: bool = False
    where: str | None = None


def effects_of(runner: Runner, jobs: Jobs | None, reference: str) -> tuple[str, list[Effect]]:
    """Return all that a run made: analyses of the runner and predictions in its folder, oldest first.

    Args:
        runner: store and spool.
        jobs: of the project, or None.
        reference: a run, as everywhere; or the whole id of one that is no longer in the store.

    Returns:
        The id of the run, and what it made.

    Raises:
        RunNotFound: there is no such run, and it made nothing.
        AliasNotFound, InvalidReference, AmbiguousReference: the reference stands for no run.
    """
    store = Store(runner.store)
    try:
        run_id = store.resolve(reference)
    except RunNotFound:
        run_id = reference.removeprefix("@")
        if reference.startswith("@") or jobs is None or not jobs.list(run_id=run_id, limit=1):
            raise
    made = [] if jobs is None else [_effect(one, refunded) for one, refunded in _analyses(jobs, run_id)]
    folder = store.root / run_id
    predictions = read_predictions(folder) if folder.is_dir() else []
    made += [
        Effect(
            kind="prediction",
            id=one.id,
            status="processed",
            file=", ".join(data.path for data in one.data) or None,
            rows=one.rows,
            created=one.created,
            where=f"{layout.PREDICTIONS_DIR}/{one.file}",
        )
        for one in predictions
    ]
    return run_id, sorted(made, key=lambda effect: effect.created)


def analyses_of(jobs: Jobs, run_id: str, limit: int) -> list[Effect]:
    """Return the last analyses that a run made, the newest first.

    Args:
        jobs: of the project.
        run_id: the whole id.
        limit: at most so many.
    """
    from corrida.inference.billing import Ledger

    page = jobs.list(run_id=run_id, limit=limit)
    entries = Ledger(jobs.database).entries([job.id for job in page]) if page else []
    refunded = {entry.analysis for entry in entries if entry.kind == "refund"}
    return [_effect(job, job.id in refunded) for job in page]


def _analyses(jobs: Jobs, run_id: str) -> Iterator[tuple[Job, bool]]:
    from corrida.inference.billing import Ledger

    ledger = Ledger(jobs.database)
    offset = 0
    while page := jobs.list(run_id=run_id, limit=_PAGE, offset=offset):
        refunded = {
            entry.analysis for entry in ledger.entries([j.id for j in page]) if entry.kind == "refund"
        }
        yield from ((job, job.id in refunded) for job in page)
        offset += len(page)


def _effect(job: Job, refunded: bool) -> Effect:
    return Effect(
        kind="analysis",
        id=job.id,
        status=job.status,
        file=job.file,
        rows=job.rows,
        created=utc(job.created),
        client=job.client,
        charged=job.charged is not None,
        refunded=refunded,
        where=f"processed/{job.id}.json" if job.status == "processed" else None,
    )


def recall(jobs: Jobs, gateway: BillingGateway, run_id: str, reason: str) -> list[str]:
    """Refund every analysis of a run that was charged and not refunded, and return the ids.

    It may be called again after an interruption: what is refunded already stays as it is. What a gateway outside charged, it is
    told to refund by workers, or by :meth:`corrida.inference.collector.Collector.send_due`.

    Args:
        jobs: of the project.
        gateway: what refunds; the built-in ledger, which also plans what a gateway outside is told.
        run_id: whose results are recalled.
        reason: why; stands in the ledger.
    """
    from corrida.inference.billing import Entry, Ledger

    done = []
    charges = Ledger(jobs.database)
    for job, refunded in list(_analyses(jobs, run_id)):
        if refunded:
            continue
        # The ledger says what was charged: our note on the job may be missing after a kill.
        charge = next((one for one in charges.entries([job.id]) if one.kind == "charge"), None)
        if charge is None:
            continue
        refund = Entry(
            analysis=job.id,
            kind="refund",
            units=-charge.units,
            amount=None if charge.amount is None else str(-Decimal(charge.amount)),
            run_id=run_id,
            client=job.client,
            reason=reason,
        )
        if gateway.record(refund):
            done.append(job.id)
    return done


def tell_refunds(jobs: Jobs, gateway: BillingGateway | None, analyses: list[str]) -> dict[str, list[str]]:
    """Tell a gateway outside now of the refunds of some analyses, as far as it takes them; workers tell it of the rest.

    Returns:
        The ids of those that the gateway is told of, by how far that is: ``taken``, ``waiting``, ``refused`` or ``void``.
    """
    from corrida.inference.collector import Collector
    from corrida.inference.postings import Postings

    told: dict[str, list[str]] = {}
    for start in range(0, len(analyses), _PAGE):
        part = analyses[start : start + _PAGE]
        if gateway is not None:
            Collector(jobs.database, gateway, _silent).send_due(part)
        for one in Postings(jobs.database).of(part):
            if one.kind == "refund":
                told.setdefault(one.status, []).append(one.analysis)
    return told


def _silent(event: str, **fields: object) -> None:
    """Say nothing: what came of it is told from the database."""

"""What ``corrida jobs`` says of charges, and of the gateway that is told of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corrida.inference.database import Database
    from corrida.inference.job import Job
    from corrida.inference.jobs import Jobs

_TOLD = {
    "waiting": "the gateway is still to be told",
    "taken": "taken by the gateway",
    "refused": "refused by the gateway",
    "void": "void, since the gateway had refused the charge",
}


def charges_of(database: Database, analysis: str) -> list[dict[str, Any]]:
    """Return the lines of the ledger of an analysis, each with how far the gateway is that is told of it."""
    from corrida.inference.billing import Ledger
    from corrida.inference.postings import Postings

    told = {one.kind: one for one in Postings(database).of([analysis])}
    shown = []
    for entry in Ledger(database).entries([analysis]):
        line = {
            "kind": entry.kind, "units": entry.units, "amount": entry.amount, "reason": entry.reason, "time": entry.time,
        }  # fmt: skip
        if (posting := told.get(entry.kind)) is not None:
            line |= {"gateway": posting.status, "tries": posting.tries, "said": posting.said}
        shown.append({key: value for key, value in line.items() if value is not None})
    return shown


def charge_line(charge: dict[str, Any]) -> tuple[str, str]:
    """Return the name and the text under which a person sees a line of the ledger."""
    parts = [f"{charge['units']:,} row{'s' * (abs(charge['units']) != 1)}".replace("-", "−")]
    if "amount" in charge:
        parts.append(charge["amount"].replace("-", "−"))
    if "reason" in charge:
        parts.append(charge["reason"])
    if "gateway" in charge:
        said = (
            f" ({charge['said']})" if charge["gateway"] in {"waiting", "refused"} and "said" in charge else ""
        )
        parts.append(_TOLD[charge["gateway"]] + said)
    return charge["kind"], ", ".join(parts)


def refused_jobs(jobs: Jobs, limit: int) -> list[Job]:
    """Return the analyses of which the gateway refused something, the oldest refusal first."""
    from corrida.inference.postings import Postings

    ids = dict.fromkeys(one.analysis for one in Postings(jobs.database).refused(limit))
    return [jobs.get(name) for name in ids]


def charge_again(jobs: Jobs, analysis: str | None) -> list[str]:
    """Put on again what the gateway refused, of one analysis or of all, and return the ids.

    Raises:
        NotFound: there is no such analysis, or the gateway was never told of it.
        Refused: it refused nothing of it, or the charge was recalled since.
    """
    from corrida.errors import Refused
    from corrida.inference.postings import Postings

    postings = Postings(jobs.database)
    if analysis is not None:
        jobs.get(analysis)
        postings.again(analysis)
        return [analysis]
    done = []
    for name in dict.fromkeys(one.analysis for one in postings.refused(limit=None)):
        with contextlib.suppress(Refused):  # recalled, or put on again by somebody else meanwhile
            postings.again(name)
            done.append(name)
    return done

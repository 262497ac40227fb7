"""Tells a gateway outside what the ledger holds, until it takes or refuses each row: a thread of the worker.

What is to be told stands in the database, and is told by whoever is alive. A kill between the gateway's answer and our note of it
repeats the call with the same key, which the gateway knows.
"""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from corrida.inference.billing import BillingGateway, ChargeRefused, GatewayBusy, Ledger
from corrida.inference.postings import Posting, Postings
from corrida.inference.problems import Problem
from corrida.inference.retry import Retries, wait_before_next
from corrida.inference.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from corrida.inference.database import Database

_AT_ONCE = 4
_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_LONGEST_ASKED = 3600.0
# Money is not given up for a gateway that is away: only the gateway itself ends this, by taking or refusing.
POLICY = Retries(attempts=2**31, first=2.0, most=600.0)


class Collector:
    """Sends the postings of a database to a gateway."""

    def __init__(
        self, database: Database, gateway: BillingGateway, report: Callable[..., None] = log
    ) -> None:
        """Prepare to send; see :meth:`start` and :meth:`send_due`.

        Args:
            database: of the jobs.
            gateway: called from several threads at once.
            report: gets what happens, as :func:`corrida.inference.telemetry.log` does.
        """
        self._report = report
        self._stop = threading.Event()
        self._ledger, self._postings = Ledger(database), Postings(database, self._stop)
        self._gateway = gateway
        self._thread = threading.Thread(target=self._run, name="corrida-collector", daemon=True)

    def start(self) -> None:
        """Send what is due from now on, in a thread of its own."""
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Send no more, and return whether what was under way came to its end within ``seconds``.

        Of the rest nothing is lost: it is sent again, by whoever is there.
        """
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        done = not self._thread.is_alive()
        if not done:
            self._report("billing unfinished", waited=seconds)
        return done

    def send_due(self, analyses: Sequence[str] | None = None) -> bool:
        """Send what is due once, of some analyses or of all; stop at the first that the gateway does not take now.

        Returns:
            Whether the gateway answered all that it was asked.
        """
        with ThreadPoolExecutor(_AT_ONCE, "corrida-billing") as pool:
            return self._send_all(pool, analyses)

    def _send_all(self, pool: ThreadPoolExecutor, analyses: Sequence[str] | None = None) -> bool:
        while not self._stop.is_set() and (due := self._postings.due(_AT_ONCE, analyses)):
            if not all(list(pool.map(self._send, due))):
                return False
        return True

    def _run(self) -> None:
        pause = _PAUSE
        with ThreadPoolExecutor(_AT_ONCE, "corrida-billing") as pool:
            while not self._stop.is_set():
                try:
                    fine = self._send_all(pool)
                except DBAPIError as error:
                    self._report("waiting", step="billing", error=str(error).partition("\n")[0])
                    fine = False
                # A gateway that is away is not asked for each row in turn.
                pause = _PAUSE if fine else min(2 * pause, _LONGEST_PAUSE)
                self._stop.wait(pause)

    def _send(self, posting: Posting) -> bool:
        """Make one try, and write down what came of it; return whether the gateway answered."""
        mine = self._postings.take(posting)
        if mine is None:
            return True  # another process has it
        entry = next(e for e in self._ledger.entries([mine.analysis]) if e.kind == mine.kind)
        answered, result = True, "taken"
        try:
            said = "taken" if self._gateway.record(entry) else "taken before"
        except ChargeRefused as error:
            said, result = str(error), "refused"
            self._postings.refuse(mine, said)
        except Exception as error:  # noqa: BLE001 - whatever a gateway raises, it is asked again
            said, result, answered = _words(error), "later", False
            self._postings.later(mine, _wait(error, mine.tries), said)
        else:
            self._postings.taken(mine, said)
        self._report(
            "billing", analysis=mine.analysis, kind=mine.kind, tries=mine.tries, result=result, said=said
        )
        return answered


def _words(error: Exception) -> str:
    # Of an unknown error only its kind: its text may hold what the gateway is asked with.
    return str(error) if isinstance(error, GatewayBusy) else type(error).__name__


def _wait(error: Exception, tries: int) -> float:
    problem = Problem(code="billing", message="", may_pass=True)
    wait = wait_before_next(problem, tries, POLICY, random.random()) or 0.0  # noqa: S311 - jitter
    asked = error.wait if isinstance(error, GatewayBusy) else None
    return max(wait, min(asked or 0.0, _LONGEST_ASKED))

"""Webhooks: whoever handed a file over is told when its analysis has ended, signed and until somebody takes it.

The form is that of the Standard Webhooks specification (standardwebhooks.com): the headers ``webhook-id``,
``webhook-timestamp`` and ``webhook-signature``, which is ``v1,`` and the base64 of HMAC-SHA-256 over
``<id>.<timestamp>.<body>``.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import hmac
import os
import random
import secrets
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from corrida import __version__
from corrida.errors import BadInput, InvalidConfig, NotFound
from corrida.inference.database import Database, about
from corrida.inference.outbox import Delivery, Outbox
from corrida.inference.problems import Problem
from corrida.inference.retry import Retries, wait_before_next
from corrida.inference.settings import check_networks
from corrida.inference.telemetry import log
from corrida.inference.views import shown_job
from corrida.inference.webhook_target import addresses_of, parse_target

if TYPE_CHECKING:
    import httpx2

    from corrida.inference.service import Service

SECRET_VARIABLE = "CORRIDA_WEBHOOK_SECRET"  # noqa: S105 - the name of the variable
_PREFIX = "whsec_"
_FIRST_WAIT = 5.0
_LONGEST_WAIT = 3600.0
IDLE_SECONDS, TRY_SECONDS = 10.0, 20.0
_AT_ONCE, _AT_ONE_HOST, _LOOK_AT = 32, 8, 256
GRACE_SECONDS = 5.0
_GONE = 410


def sign(secret: str, delivery_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a webhook.

    Args:
        secret: ``whsec_`` and base64.
        delivery_id: the header ``webhook-id``.
        timestamp: the header ``webhook-timestamp``, in seconds since the epoch.
        body: as it is sent.
    """
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def webhook_secret(database: Database) -> str:
    """Return the secret that signs: that of ``CORRIDA_WEBHOOK_SECRET``, else one that the database has for all of its users.

    Raises:
        InvalidConfig: the variable does not hold ``whsec_`` and at least 24 bytes in base64.
    """
    given = os.environ.get(SECRET_VARIABLE)
    if given:
        try:
            usable = given.startswith(_PREFIX) and len(base64.b64decode(given[6:], validate=True)) >= 24
        except ValueError:
            usable = False
        if not usable:
            raise InvalidConfig(f"{SECRET_VARIABLE} must be {_PREFIX} and at least 24 bytes in base64")
        return given
    made = _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    insert = database.insert(about).values(name="webhook_secret", value=made).on_conflict_do_nothing()
    with database.transaction() as connection:
        connection.execute(insert)
        query = sa.select(about.c.value).where(about.c.name == "webhook_secret")
        return str(connection.execute(query).scalar_one())


class Webhooks:
    """Sends the webhooks of a database."""

    def __init__(self, service: Service) -> None:
        """Prepare to send; see :meth:`run`.

        Raises:
            InvalidConfig: the secret or a network that is allowed cannot be used.
        """
        limits = service.runner.limits
        self._jobs = service.jobs
        self._outbox = Outbox(service.database)
        self._secret = webhook_secret(service.database)
        self._allow = check_networks(limits.webhook_allow)
        # Names that nobody answers for keep these threads waiting, and no others.
        self._resolvers = ThreadPoolExecutor(_AT_ONCE, "corrida-webhooks")
        self._policy = Retries(limits.webhook_attempts, _FIRST_WAIT, _LONGEST_WAIT)

    def check(self, url: str) -> str:
        """Return the address of a webhook when one may be sent there.

        A name that cannot be resolved now is allowed: it is resolved again before each try.

        Raises:
            BadInput: it is no address, or leads to one that is not public.
        """
        target = parse_target(url)
        try:
            addresses_of(target, self._allow)
        except OSError:
            log("unresolved", webhook=target.host)
        return url

    async def run(self, pause: float = 0.5) -> None:
        """Send what is due, until cancelled: then what is under way gets a few seconds, and what came of it is written down."""
        import httpx2

        async with httpx2.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=IDLE_SECONDS,
            headers={"user-agent": f"corrida/{__version__}"},
        ) as client:
            flying: dict[asyncio.Task[None], Delivery] = {}
            try:
                while True:
                    await self._launch(client, flying)
                    if flying:
                        done, _ = await asyncio.wait(
                            flying, timeout=pause, return_when=asyncio.FIRST_COMPLETED
                        )
                        _land(flying, done)
                    else:
                        await asyncio.sleep(pause)
            finally:
                if flying:
                    done, _ = await asyncio.wait(flying, timeout=GRACE_SECONDS)
                    _land(flying, done)
                for task in flying:
                    task.cancel()  # it goes on later, here or elsewhere
                await asyncio.gather(*flying, return_exceptions=True)

    async def _launch(self, client: httpx2.AsyncClient, flying: dict[asyncio.Task[None], Delivery]) -> None:
        """Begin to send what is due, as far as there is room: receivers that are slow keep no others waiting."""
        if len(flying) >= _AT_ONCE:
            return
        try:
            due = await asyncio.to_thread(self._outbox.due, _LOOK_AT)
        except DBAPIError as error:
            log("waiting", step="webhooks", error=str(error).partition("\n")[0])
            return
        begun = {one.id for one in flying.values()}
        hosts = Counter(_host(one) for one in flying.values())
        for delivery in due:
            if len(flying) >= _AT_ONCE:
                return
            host = _host(delivery)
            if delivery.id not in begun and hosts[host] < _AT_ONE_HOST:
                hosts[host] += 1
                flying[asyncio.create_task(self.deliver(client, delivery))] = delivery

    async def deliver(self, client: httpx2.AsyncClient, delivery: Delivery) -> None:
        """Send one webhook and write down what came of it."""
        if not await asyncio.to_thread(self._outbox.take, delivery):
            return
        tries = delivery.tries + 1
        try:
            said, taken, final = await self._send(client, delivery)
        except BadInput as error:  # the name now leads somewhere else
            said, taken, final = str(error), False, True
        except NotFound:
            said, taken, final = "the analysis is gone", False, True
        except asyncio.CancelledError:
            # The server stops: rather this moment without others than a minute in which nobody sends it.
            self._outbox.later(delivery, self._wait(tries, "") or 0.0, "the server stopped before the answer")
            raise
        if taken:
            await asyncio.to_thread(self._outbox.delivered, delivery, said)
        elif final or (wait := self._wait(tries, said)) is None:
            await asyncio.to_thread(self._outbox.give_up, delivery, said)
        else:
            await asyncio.to_thread(self._outbox.later, delivery, wait, said)
        log("webhook", analysis=delivery.analysis, delivery=delivery.id, tries=tries, taken=taken, said=said)

    def _wait(self, tries: int, said: str) -> float | None:
        problem = Problem(code="webhook", message=said, may_pass=True)
        return wait_before_next(problem, tries, self._policy, random.random())  # noqa: S311 - jitter

    async def _send(self, client: httpx2.AsyncClient, delivery: Delivery) -> tuple[str, bool, bool]:
        """Return what came of a try, whether it was taken, and whether there is no use in another."""
        import httpx2

        target = parse_target(delivery.url)
        job = await asyncio.to_thread(self._jobs.get, delivery.analysis)
        now = int(time.time())
        content: dict[str, Any] = {
            "type": f"analysis.{job.status}",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            "data": shown_job(job),
        }
        body = msgspec.json.encode(content, enc_hook=str)
        headers = {
            "host": target.authority,
            "content-type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(now),
            "webhook-signature": sign(self._secret, delivery.id, now, body),
        }
        try:
            async with asyncio.timeout(TRY_SECONDS):
                resolve = functools.partial(addresses_of, target, self._allow)
                addresses = await asyncio.get_running_loop().run_in_executor(self._resolvers, resolve)
                address = addresses[delivery.tries % len(addresses)]  # each in its turn
                # To the address that was checked, while the certificate must be that of the name.
                async with client.stream(
                    "POST", target.at(address), content=body, headers=headers,
                    extensions={"sni_hostname": target.host},
                ) as response:  # fmt: skip
                    status = response.status_code  # what else it says is of no interest
        except TimeoutError:
            return f"no answer within {TRY_SECONDS:g} s", False, False
        except httpx2.HTTPError as error:
            return f"no connection ({type(error).__name__})", False, False
        except OSError:
            return "the name cannot be resolved", False, False
        return f"status {status}", 200 <= status < 300, status == _GONE


def _host(delivery: Delivery) -> str:
    return parse_target(delivery.url).host


def _land(flying: dict[asyncio.Task[None], Delivery], done: set[asyncio.Task[None]]) -> None:
    """Forget what has come to its end; what the database did not take of it is sent again after its lease."""
    for task in done:
        delivery = flying.pop(task)
        if (error := task.exception()) is not None:
            log("waiting", step="webhooks", delivery=delivery.id, error=str(error).partition("\n")[0])

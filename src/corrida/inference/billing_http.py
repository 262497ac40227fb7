"""A gateway that charges over HTTP: a POST for each charge and each refund, with the header ``Idempotency-Key``.

2xx says that it was taken, and 409 that it was taken before. 408, 425, 429, 5xx, 401 and redirections, 409 with Retry-After, and
no answer at all mean later; every other 4xx means never. Redirections are not followed: the secret goes to the host that was named.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from http.client import responses
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from corrida import __version__
from corrida.errors import InvalidConfig, MissingExtra
from corrida.inference.billing import BillingGateway, ChargeRefused, Entry, GatewayBusy

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

    from corrida.project import ServeSettings

TRY_SECONDS = 20.0
_CONNECT_SECONDS = 10.0
# What speaks of the moment or of the settings, and not of the charge.
_LATER = {401, 407, 408, 425, 429}
_TAKEN_BEFORE = 409


def gateway_of(limits: ServeSettings) -> BillingGateway | None:
    """Return the gateway that the settings name; None where the ledger alone charges.

    Raises:
        InvalidConfig: its address cannot be used, or the variable with its secret is not set.
        MissingExtra: the HTTP client is not installed.
    """
    if limits.billing_url is None:
        return None
    return HttpGateway(limits.billing_url, secret_of(limits.billing_secret))


@contextlib.contextmanager
def opened_gateway(limits: ServeSettings) -> Iterator[BillingGateway | None]:
    """Open the gateway that the settings name for a block; see :func:`gateway_of`."""
    gateway = gateway_of(limits)
    try:
        yield gateway
    finally:
        if isinstance(gateway, HttpGateway):
            gateway.close()


def secret_of(text: str | None) -> str | None:
    """Return the secret that ``${NAME}`` stands for; None when none is named.

    Raises:
        InvalidConfig: the variable is not set, or holds what cannot be sent.
    """
    if text is None:
        return None
    name = text.removeprefix("${").removesuffix("}")
    secret = os.environ.get(name, "").strip()
    if not secret:
        raise InvalidConfig(f"[serve] billing_secret: the environment variable {name} is not set")
    if not secret.isascii() or not secret.isprintable():
        raise InvalidConfig(
            f"[serve] billing_secret: the environment variable {name} holds a character that no secret has"
        )
    return secret


def check_address(url: str) -> str:
    """Return the address of a gateway when it can be used: https, or http on this machine.

    Raises:
        InvalidConfig: it cannot.
    """
    usable = url.isascii() and url.isprintable() and " " not in url
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        usable = usable and parts.port != 0
    except ValueError:
        usable, host = False, ""
    if not usable or not host or parts.scheme not in {"http", "https"} or parts.fragment:
        raise InvalidConfig("[serve] billing_url is no address; write https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise InvalidConfig(
            "[serve] billing_url holds a user or password; billing_secret names the variable that holds a secret"
        )
    if parts.scheme == "http" and not _is_here(host):
        raise InvalidConfig("[serve] billing_url must be https; http is for gateways on this machine only")
    return url


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class HttpGateway:
    """A gateway behind an address. Any thread may call it; requests run in one event loop, so that a whole try has a limit."""

    def __init__(self, url: str, secret: str | None = None) -> None:
        """Prepare to connect; nothing is connected to yet.

        Args:
            url: where entries are posted to.
            secret: sent as ``Authorization: Bearer``, and shown nowhere.

        Raises:
            InvalidConfig: the address cannot be used.
            MissingExtra: the HTTP client is not installed.
        """
        try:
            import httpx2  # noqa: F401
        except ImportError:
            raise MissingExtra("a gateway needs httpx2; pip install 'corrida[serve]'") from None
        self._url = check_address(url)
        self._secret = secret
        self._client: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def record(self, entry: Entry) -> bool:
        """Tell the gateway of an entry, and return whether it had not been told before as far as it says.

        Raises:
            ChargeRefused: it will never take it.
            GatewayBusy: it does not take it now, or did not answer.
        """
        future = asyncio.run_coroutine_threadsafe(self._post(entry), self._running())
        return future.result()

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None:
            return
        if self._client is not None:
            asyncio.run_coroutine_threadsafe(self._client.aclose(), loop).result(_CONNECT_SECONDS)
            self._client = None
        loop.call_soon_threadsafe(loop.stop)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="corrida-billing", daemon=True).start()
            return self._loop

    async def _post(self, entry: Entry) -> bool:
        import httpx2

        if self._client is None:
            headers = {"user-agent": f"corrida/{__version__}", "content-type": "application/json"}
            if self._secret is not None:
                headers["authorization"] = f"Bearer {self._secret}"
            self._client = httpx2.AsyncClient(
                headers=headers, timeout=_CONNECT_SECONDS, follow_redirects=False
            )
        body = msgspec.json.encode(body_of(entry))
        try:
            async with (
                asyncio.timeout(TRY_SECONDS),
                self._client.stream(
                    "POST", self._url, content=body, headers={"idempotency-key": entry.key}
                ) as response,
            ):
                status, asked = response.status_code, response.headers.get("retry-after")
        except (TimeoutError, httpx2.TimeoutException):
            raise GatewayBusy(f"no answer within {TRY_SECONDS:g} s") from None
        except httpx2.HTTPError as error:
            raise GatewayBusy(f"no connection ({type(error).__name__})") from None
        return _judge(status, asked)


def body_of(entry: Entry) -> dict[str, Any]:
    """Return what a gateway is told of an entry."""
    return {"key": entry.key, **{k: v for k, v in msgspec.to_builtins(entry).items() if v is not None}}


def _judge(status: int, asked: str | None) -> bool:
    """Return whether an answer says that the entry was new to the gateway, or raise what it says instead."""
    from corrida.pipelines.evaluation.transport import retry_after

    if 200 <= status < 300:
        return True
    wait = retry_after(asked)
    if status == _TAKEN_BEFORE and wait is None:
        return False
    said = f"status {status} {responses.get(status, '')}".strip()
    if 300 <= status < 400:
        raise GatewayBusy(f"{said}; redirections are not followed")
    if status in _LATER or status == _TAKEN_BEFORE or not 400 <= status < 500:
        raise GatewayBusy(said, wait)
    raise ChargeRefused(said)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()

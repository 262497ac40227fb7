"""What stands before every call of the API: the names it may be called by, keys, rates, and the last word on errors."""

from __future__ import annotations

import time
import traceback
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders

from corrida.inference.access import Names, RateLimit
from corrida.inference.public_errors import Rejected, Said, body_of, said_of
from corrida.inference.telemetry import log

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from corrida.inference.keys import Key, Keys
    from corrida.inference.metrics import Metrics

OPEN = frozenset({"/health", "/ready", "/openapi.json"})
"""What needs no key: it tells nothing of anybody's data."""


class Guard:
    """Lets calls through that may be made, and answers for what goes wrong inside."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Keys,
        names: Names,
        keys_required: bool,
        per_minute: int,
        metrics: Metrics,
    ) -> None:
        """Stand before ``app``.

        Args:
            app: the API.
            keys: that open it.
            names: under which it may be called.
            keys_required: whether a call without a key is turned away.
            per_minute: calls of one key, unless the key says otherwise.
            metrics: where calls are counted.
        """
        self._app, self._keys, self._names, self._metrics = app, keys, names, metrics
        self._required, self._per_minute = keys_required, per_minute
        self._rates = RateLimit(time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        call = _Call(scope, send)
        try:
            call.key = scope["state"]["key"] = await self._admit(scope)
            await self._app(scope, receive, call.send)
        except Exception as error:  # noqa: BLE001 - whatever it is, no caller sees more than a sentence
            await call.fail(error)
        self._metrics.requests.labels(scope["method"][:10], str(call.status)).inc()
        log(
            "request", request=call.id, method=scope["method"], path=scope["path"][:200], status=call.status,
            client=call.key.name if call.key else None, seconds=round(time.monotonic() - call.began, 3),
        )  # fmt: skip

    async def _admit(self, scope: Scope) -> Key | None:
        """Return the key of a call that may be made.

        Raises:
            Rejected: it may not.
        """
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._names.allows(host):
            raise Rejected(
                421,
                "wrong_host",
                "this server does not answer under that name; [serve] hosts of corrida.toml adds names",
            )
        if "transfer-encoding" in headers and "content-length" in headers:
            # Two ends of one body: what a proxy takes for the rest could be a call that it never saw.
            raise Rejected(400, "bad_request", "the request says twice how long it is; send it again")
        if not all(self._names.allows_origin(origin) for origin in headers.getlist("origin")):
            raise Rejected(403, "wrong_origin", "pages of other sites may not call this server")
        if scope["path"] in OPEN:
            return None
        shown = _key_of(headers)
        key = None if shown is None else await to_thread.run_sync(self._keys.find, shown)
        if key is None:
            if self._required or shown is not None:
                self._count(f"?{(scope.get('client') or ('',))[0]}", self._per_minute)
                if shown is not None:
                    said = "this key is not known or was revoked; `corrida keys list` names those that open"
                else:
                    said = (
                        "a key is needed; send it as Authorization: Bearer KEY. `corrida keys add` makes one"
                    )
                raise Rejected(401, "no_key", said)
            return None
        self._count(key.name, key.per_minute or self._per_minute)
        return key

    def _count(self, caller: str, per_minute: int) -> None:
        wait = self._rates.take(caller, per_minute)
        if wait > 0:
            raise Rejected(
                429,
                "too_many_calls",
                f"more than {per_minute} calls a minute; wait a moment",
                retry_after=wait,
            )


class _Call:
    """One call: its id, and what was answered so far."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.id = uuid.uuid4().hex
        self.began = time.monotonic()
        self.status = 0
        self.key: Key | None = None
        self._send = send
        scope.setdefault("state", {})["request_id"] = self.id

    async def send(self, message: Message) -> None:
        """Pass an answer on, with the headers that all have."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self.id
            headers["x-content-type-options"] = "nosniff"
            headers.setdefault("cache-control", "no-store")
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Answer for an error; one that nobody foresaw goes to the log with all there is to know."""
        said = said_of(error)
        if said.status >= 500:
            log_error(self.id, said, error)
        if self.status:
            return  # the answer had begun; it is cut off, and the caller sees that
        body = encode(body_of(said, self.id))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(name.encode(), text.encode()) for name, text in headers_of(said).items()]
        await self.send({"type": "http.response.start", "status": said.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def log_error(request_id: str, said: Said, error: Exception) -> None:
    """Write down all there is to know of an error, under the id that the caller is told."""
    log("error", request=request_id, code=said.code, detail="".join(traceback.format_exception(error)))


def headers_of(said: Said) -> dict[str, str]:
    """Return the headers that an error brings along."""
    headers = {}
    if said.retry_after is not None:
        headers["retry-after"] = str(max(1, round(said.retry_after)))
    if said.status == 401:
        headers["www-authenticate"] = "Bearer"
    if said.code == "bad_request":
        headers["connection"] = "close"  # nobody can say where the next request begins
    return headers


def encode(value: Any) -> bytes:
    """Return JSON; what it has no form for becomes text, and what is no number becomes null."""
    return msgspec.json.encode(value, enc_hook=str)


def _key_of(headers: Headers) -> str | None:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        return text.strip()
    return headers.get("x-api-key")

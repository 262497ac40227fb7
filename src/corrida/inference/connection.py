"""A connection to a server: what uvicorn leaves open is bounded here, so that nobody holds the server's places for nothing.

A request must begin to make sense within seconds, what comes after an answer that was given early is not awaited for long,
and only so many connections are open at once. The body of a file has limits of its own; see :mod:`corrida.inference.intake`.
"""

from __future__ import annotations

import asyncio
import resource
import uuid
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""How long the head of a request may take to come in."""
LINGER_SECONDS = 5.0
"""How long the rest of a body is taken after an answer that did not wait for it: its sender is to see the answer."""
_MOST = 1000
_DESCRIPTORS = 8192


class Connection(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with an end to waiting."""

    _head: asyncio.TimerHandle | None = None
    _linger: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; one too many is closed at once."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            self.transport.abort()
            return
        self._head = self.loop.call_later(HEAD_SECONDS, self._end_slow_head)

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            _stop(self._head)
            self._head = None
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(
                HEAD_SECONDS, self._end_slow_head
            )  # a further request has begun

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        _stop(self._head)
        _stop(self._linger)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Go on to the next request; where the body of this one has not come in whole, not for long."""
        cycle = self.cycle
        super().on_response_complete()
        if cycle is self.cycle and self.conn.their_state is h11.SEND_BODY:
            _stop(self._linger)
            self._linger = self.loop.call_later(LINGER_SECONDS, self._end_lingering, cycle)

    def send_400_response(self, msg: str) -> None:
        """Answer to what is no HTTP."""
        del msg
        self._refuse(400, "bad_request", "the request cannot be read")

    def refusal(self, status: int, code: str, sentence: str) -> tuple[dict[str, str], bytes]:
        """Return headers and body of an answer to what never became a request: as the API answers to all errors.

        Args:
            status: of HTTP.
            code: for programs.
            sentence: for people.
        """
        from corrida.inference.guard import encode
        from corrida.inference.public_errors import Said, body_of
        from corrida.inference.telemetry import log

        request = uuid.uuid4().hex
        log("request", request=request, status=status, message=sentence)
        headers = {"content-type": "application/json", "x-request-id": request}
        return headers, encode(body_of(Said(status, code, sentence), request))

    def _refuse(self, status: int, code: str, sentence: str) -> None:
        own, body = self.refusal(status, code, sentence)
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            headers = {
                **own,
                "content-length": str(len(body)),
                "x-content-type-options": "nosniff",
                "cache-control": "no-store",
                "connection": "close",
            }
            reason = HTTPStatus(status).phrase
            events: list[Any] = [
                h11.Response(status_code=status, headers=list(headers.items()), reason=reason)
            ]
            events += [h11.Data(data=body), h11.EndOfMessage()]
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        self.transport.close()  # an answer that has begun is cut off

    def _end_slow_head(self) -> None:
        self._head = None
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        answered = cycle is None or cycle.response_complete
        if self.conn.their_state is h11.IDLE and answered and not self.transport.is_closing():
            said = f"the head of the request took longer than {HEAD_SECONDS:g} s; send it again"
            self._refuse(408, "too_slow", said)

    def _end_lingering(self, cycle: object) -> None:
        self._linger = None
        if cycle is self.cycle and self.conn.their_state is h11.SEND_BODY:
            self.transport.abort()


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def make_room() -> None:
    """Allow this process as many descriptors as it may have, so that a crowd at the door takes none from the work."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """Return how many connections are open at once, so that descriptors are left for the work itself."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else min(_MOST, max(10, soft // 2))

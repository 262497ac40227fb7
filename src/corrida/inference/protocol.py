"""What a worker and its child say to each other: messages in MessagePack, each after its length in four bytes."""

from __future__ import annotations

import os
import select
import struct
import time
from typing import Any

import msgspec

from corrida.inference.problems import Problem  # noqa: TC001 - msgspec reads the annotations

_HEAD = struct.Struct(">I")
_CHUNK = 65_536


class Load(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Load the models of a run, once for all files that follow."""

    run_id: str
    digest: str
    pipeline: str
    uses: str
    folder: str
    root: str


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that another run answered to the same file, and the digest that they must have."""

    rows: str
    sha256: str


class Score(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Score a file and make the results durable.

    Attributes:
        file: to be scored.
        sha256: what it must hold.
        work: an empty folder for the results.
        stamp: what is written into them besides: ids of analysis and run.
        options: of the predictor.
        max_bytes, max_rows, inline_rows: limits.
        against: compare the rows with these, too; the reply then says how they differ.
    """

    file: str
    sha256: str
    work: str
    stamp: dict[str, Any]
    options: dict[str, Any]
    max_bytes: int
    max_rows: int
    inline_rows: int
    against: Against | None = None


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """The models are loaded."""

    seconds: float


class Progress(msgspec.Struct, frozen=True, tag=True):
    """So many rows are scored."""

    rows: int


class Scored(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The results are durable.

    Attributes:
        rows, scored: of the file, and of them with a score.
        report: what is to be said of the file as a whole; of a comparison, how the rows differ.
        sha256: digest of the table of results.
        seconds: from the request on.
    """

    rows: int
    scored: int
    report: dict[str, Any]
    sha256: str
    seconds: float


class Trouble(msgspec.Struct, frozen=True, tag=True):
    """It did not succeed."""

    problem: Problem


Request = Load | Score
Reply = Loaded | Progress | Scored | Trouble
_encoder = msgspec.msgpack.Encoder(enc_hook=str)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Loaded | Progress | Scored | Trouble)
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Load | Score)


def send(fd: int, message: Request | Reply) -> None:
    """Write a message.

    Raises:
        BrokenPipeError: the other side is gone.
    """
    body = _encoder.encode(message)
    data = memoryview(_HEAD.pack(len(body)) + body)
    while data:
        data = data[os.write(fd, data) :]


def read_request(fd: int) -> Request | None:
    """Wait for a request; None when the worker is gone."""
    head = _exactly(fd, _HEAD.size)
    body = _exactly(fd, _HEAD.unpack(head)[0]) if head else None
    return None if body is None else _requests.decode(body)


def _exactly(fd: int, count: int) -> bytes | None:
    parts = []
    while count:
        part = os.read(fd, min(count, _CHUNK))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class Replies:
    """The worker's end: replies as they come, without ever blocking longer than asked."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = bytearray()
        self._poll = select.poll()  # a descriptor above 1023 is too much for select()
        self._poll.register(fd, select.POLLIN)

    def next(self, seconds: float) -> Reply | None:
        """Return the next reply, or None when none came in time.

        Raises:
            EOFError: the child is gone.
        """
        end = time.monotonic() + seconds
        while (reply := self._taken()) is None:
            left = end - time.monotonic()
            if not self._poll.poll(max(0, int(left * 1000))):
                if left <= 0:
                    return None
                continue
            data = os.read(self._fd, _CHUNK)
            if not data:
                raise EOFError
            self._buffer += data
        return reply

    def _taken(self) -> Reply | None:
        if len(self._buffer) < _HEAD.size:
            return None
        end = _HEAD.size + _HEAD.unpack_from(self._buffer)[0]
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_HEAD.size : end])
        del self._buffer[:end]
        return _replies.decode(body)

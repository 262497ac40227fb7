"""A file that comes in over HTTP: written, counted and digested while it streams, never held in memory."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import msgspec
from anyio import to_thread

from corrida.inference.public_errors import Rejected
from corrida.runs.files import explained, write_all

_BUFFER = 1 << 20
_SLOWEST = 1000  # bytes a second, after the first `idle` seconds
_EMPTY_LINE = re.compile(rb"\n\r?(?=\n)")
_PARQUET = b"PAR1"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken.

    Attributes:
        max_bytes: of the file.
        max_rows: of a text file, as far as line ends tell.
        idle: seconds without a byte.
    """

    max_bytes: int
    max_rows: int
    idle: float


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A file that came in whole.

    Attributes:
        name: under which it was sent, or ``""``.
        size, sha256: of it.
        parquet: whether it begins as Parquet does.
        fields: of the form in which it came.
    """

    name: str
    size: int
    sha256: str
    parquet: bool = False
    fields: dict[str, str] = {}


class RowCounter:
    """Counts the rows of a CSV file as it comes: ends of lines outside quotes, without those of empty lines.

    Never more than there are; who scores the file counts records.

    Attributes:
        ends: of lines so far, the one of the header included.
    """

    def __init__(self) -> None:
        self.ends = 0
        self._quoted = False
        self._tail = b"\n"  # what came last outside quotes, as far as it tells an empty line

    def count(self, data: bytes) -> int:
        """Count further bytes and return the ends of lines so far."""
        if self._quoted or b'"' in data:
            parts = data.split(b'"')
            data = b'"'.join(parts[1 if self._quoted else 0 :: 2])
            self._quoted ^= len(parts) % 2 == 0
        tail = self._tail
        text = tail + data
        empty = sum(found.end() >= len(tail) for found in _EMPTY_LINE.finditer(text))
        self.ends += data.count(b"\n") - empty
        self._tail = b'"' if self._quoted else text[-2:]
        return self.ends


class FileSink:
    """Writes a file while it counts and digests."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Create the file."""
        with explained("receiving the file"):
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._path, self._limits = path, limits
        self._digest = hashlib.sha256()
        self._rows: RowCounter | None = RowCounter()
        self.size = 0
        self._head = b""

    def write(self, data: bytes) -> None:
        """Take further bytes.

        Raises:
            Rejected: a limit is passed.
            StoreError: the disk is full.
        """
        if len(self._head) < len(_PARQUET):
            self._head += data[: len(_PARQUET) - len(self._head)]
            if self.parquet:
                self._rows = None
        self.size += len(data)
        if self.size > self._limits.max_bytes:
            raise too_large(self._limits)
        if self._rows is not None and self._rows.count(data) - 1 > self._limits.max_rows:
            raise Rejected(
                413,
                "too_many_rows",
                f"the file has more than {self._limits.max_rows:,} rows; send it in parts",
            )
        self._digest.update(data)
        with explained("receiving the file"):
            write_all(self._fd, data)

    @property
    def parquet(self) -> bool:
        """Whether it begins as Parquet does."""
        return self._head == _PARQUET

    @property
    def sha256(self) -> str:
        """The digest of what was written."""
        return f"sha256:{self._digest.hexdigest()}"

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def drop(self) -> None:
        """Close the file and remove it."""
        self.close()
        with contextlib.suppress(OSError):
            self._path.unlink()


class Parts(Protocol):
    """Takes the body of a request apart."""

    def feed(self, data: bytes) -> None:
        """Take further bytes of the body."""
        ...

    def finish(self) -> tuple[str, dict[str, str]]:
        """Return the name of the file and the fields of the form, once the body has ended."""
        ...


class Raw:
    """A body that is the file."""

    def __init__(self, sink: FileSink) -> None:
        self._sink = sink

    def feed(self, data: bytes) -> None:
        """Take further bytes of the body."""
        self._sink.write(data)

    def finish(self) -> tuple[str, dict[str, str]]:
        """Return no name and no fields."""
        return "", {}


async def receive(chunks: AsyncIterator[bytes], content_type: str, place: Path, limits: Limits) -> Received:
    """Write the file of a request body to ``place``; nothing stays there when it does not arrive whole.

    Args:
        chunks: of the body, as they come.
        content_type: header of the request: a form, or any other type for the file itself.
        place: a new file.
        limits: what is taken.

    Raises:
        Rejected: it is too large, comes too slowly, or is no form.
        StoreError: the disk is full.
    """
    from corrida.inference.form import Form, boundary_of

    sink = FileSink(place, limits)
    try:
        boundary = boundary_of(content_type)
        parts: Parts = Raw(sink) if boundary is None else Form(boundary, sink)
        await _pour(chunks, parts, limits)
        name, fields = parts.finish()
        received = Received(
            name=name, size=sink.size, sha256=sink.sha256, parquet=sink.parquet, fields=fields
        )
    except BaseException:
        sink.drop()
        raise
    sink.close()
    return received


async def _pour(chunks: AsyncIterator[bytes], parts: Parts, limits: Limits) -> None:
    """Feed a body in pieces large enough to be worth a thread: the disk and the digest must not stop other calls."""
    buffer = bytearray()
    began, received = time.monotonic(), 0
    while True:
        # Whoever sends a byte now and then would keep a place from others without end.
        now = time.monotonic()
        left = began + limits.idle + received / _SLOWEST - now
        try:
            async with asyncio.timeout(min(limits.idle, max(left, 0.0))):
                chunk = await anext(chunks, None)
        except TimeoutError:
            if left < limits.idle:
                said = (
                    f"the file comes more slowly than {_SLOWEST:,} bytes a second; send it over another line"
                )
            else:
                said = f"no byte came for {limits.idle:g} s; send the file again"
            raise Rejected(408, "too_slow", said) from None
        received += len(chunk or b"")
        if chunk is not None:
            buffer += chunk
        if len(buffer) >= _BUFFER or (chunk is None and buffer):
            await to_thread.run_sync(parts.feed, bytes(buffer))
            buffer.clear()
        if chunk is None:
            return


def check_length(text: str | None, limits: Limits) -> None:
    """Turn a body away that says itself that it is too large.

    Raises:
        Rejected: it is.
    """
    if text is not None and text.isdigit() and int(text) > limits.max_bytes + _BUFFER:
        raise too_large(limits)


def too_large(limits: Limits) -> Rejected:
    """Return the error of a file that is too large."""
    return Rejected(413, "too_large", f"the file is larger than {limits.max_bytes:,} bytes; send it in parts")

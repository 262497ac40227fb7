"""A file of a run, byte for byte: as harmless as a browser can take it."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from corrida.web.run_files import kind_of, open_file
from corrida.web.run_head import find_run

if TYPE_CHECKING:
    from starlette.requests import Request

    from corrida.web.viewer import Site

SANDBOX = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; "
    "base-uri 'none'; form-action 'none'"
)
"""What a file may do that a browser takes for a page: show its text, styles and pictures of its own. No script runs,
and its origin is none, so that it reads nothing of ours."""
_IMAGES = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    "svg": "image/svg+xml", "avif": "image/avif",
}  # fmt: skip
_AS_TEXT = frozenset({"text", "tree", "markdown"})
_CHUNK = 1 << 18
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def show(site: Site, request: Request) -> Response:
    """Answer ``/runs/ID/files/PATH``."""
    run = find_run(site, request.path_params["id"])
    name = str(request.path_params["path"])
    fd = open_file(run.dir, name)
    try:
        status = os.fstat(fd)
        kind, inline = _type(name, framed=request.query_params.get("frame") == "1")
        etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        headers = {
            "content-security-policy": SANDBOX,
            "x-content-type-options": "nosniff",
            "cache-control": "no-cache",
            "accept-ranges": "bytes",
            "etag": etag,
            "last-modified": formatdate(status.st_mtime, usegmt=True),
            "content-disposition": _disposition(
                name, inline=inline and "download" not in request.query_params
            ),
        }
        if request.headers.get("if-none-match") == etag:
            os.close(fd)
            return Response(status_code=304, headers=headers)
        size = status.st_size
        asked = request.headers.get("range")
        if asked is not None and request.headers.get("if-range", etag) == etag:
            part = _part(asked, size)
            if part is None:
                os.close(fd)
                return Response(status_code=416, headers={**headers, "content-range": f"bytes */{size}"})
            if part != (0, size):
                start, end = part
                headers |= {
                    "content-range": f"bytes {start}-{end - 1}/{size}",
                    "content-length": str(end - start),
                }
                return _FileResponse(fd, start, end, 206, headers, kind)
        headers["content-length"] = str(size)
        return _FileResponse(fd, 0, size, 200, headers, kind)
    except BaseException:
        os.close(fd)
        raise


class _FileResponse(StreamingResponse):
    """Sends a part of an open file, and closes it whatever happens."""

    def __init__(
        self, fd: int, start: int, end: int, status: int, headers: dict[str, str], kind: str
    ) -> None:
        self._fd = fd
        super().__init__(_chunks(fd, start, end), status, headers, kind)

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        try:
            if scope["method"] == "HEAD":
                await Response(None, self.status_code, dict(self.headers))(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        finally:
            os.close(self._fd)


async def _chunks(fd: int, start: int, end: int) -> AsyncIterator[bytes]:
    place = start
    while place < end:
        chunk = await run_in_threadpool(os.pread, fd, min(_CHUNK, end - place), place)
        if not chunk:  # it was cut meanwhile
            return
        yield chunk
        place += len(chunk)


def _type(name: str, *, framed: bool) -> tuple[str, bool]:
    """Return the type that a file is served as, and whether a browser may show it itself."""
    ending = name.rpartition(".")[2].lower()
    if ending in _IMAGES:
        return _IMAGES[ending], True
    kind = kind_of(name)
    if kind == "html" and framed:
        return "text/html; charset=utf-8", True
    return ("text/plain; charset=utf-8", True) if kind in _AS_TEXT else ("application/octet-stream", False)


def _disposition(name: str, *, inline: bool) -> str:
    last = name.rpartition("/")[2]
    coded = quote(last, safe="", errors="surrogateescape")
    return f"{'inline' if inline else 'attachment'}; filename*=UTF-8''{coded}"


def _part(asked: str, size: int) -> tuple[int, int] | None:
    """Return the bytes of a Range header as start and end; all where it asks for several, None where there are none."""
    if "," in asked:
        return 0, size
    found = _RANGE.fullmatch(asked.strip())
    if found is None or found.groups() == ("", ""):
        return 0, size
    first, last = found.groups()
    if not first:
        count = min(int(last), size)
        return (size - count, size) if count else None
    start, end = int(first), min(int(last) + 1, size) if last else size
    return (start, end) if start < end else None

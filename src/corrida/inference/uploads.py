"""From the body of a request to a job: the file goes to the spool while it streams, and is committed with the job."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
from functools import partial
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.requests import ClientDisconnect

from corrida.errors import AlreadyExists, CorridaError
from corrida.inference.api_models import PARQUET
from corrida.inference.intake import Limits, Received, check_length, receive
from corrida.inference.options import read_options
from corrida.inference.public_errors import Rejected
from corrida.inference.submission import submit_staged

if TYPE_CHECKING:
    from starlette.requests import Request

    from corrida.inference.jobs import Job
    from corrida.inference.service import Service
    from corrida.inference.webhooks import Webhooks

_FILE_NAME = re.compile(r"""filename="?([^";]+)"?""")


class Uploads:
    """Takes files in, so many at once."""

    def __init__(self, service: Service, webhooks: Webhooks) -> None:
        """Take files for a service; ``webhooks`` checks where these may go."""
        limits = service.runner.limits
        self._service, self._webhooks = service, webhooks
        self._limits = Limits(max_bytes=limits.max_bytes, max_rows=limits.max_rows, idle=limits.upload_idle)
        self._places = asyncio.Semaphore(limits.uploads)

    async def take(
        self, request: Request, client: str | None, id_: str | None, webhook: str | None, name: str | None,
        idempotency_key: str | None, options: str | None = None,
    ) -> Job:  # fmt: skip
        """Receive the file of a request and make a job of it.

        Args:
            request: whose body holds it.
            client: name of the key that was shown.
            id_: of the analysis, as the address of the request says it; a form may say it as well.
            webhook: whom to tell; a form may say it as well.
            name: of the file.
            idempotency_key: header of the request.
            options: of the prediction, a JSON object; a form may say them as well.

        Raises:
            Rejected: it does not come in whole, or there is no room.
            InvalidData, InvalidName, AlreadyExists, BadInput: no job can be made of it.
        """
        if self._places.locked():
            raise Rejected(503, "busy", "too many files are coming in at once; try again", retry_after=1)
        async with self._places:
            return await self._take(request, client, id_, webhook, name, idempotency_key, options)

    async def _take(
        self,
        request: Request,
        client: str | None,
        id_: str | None,
        webhook: str | None,
        name: str | None,
        idempotency_key: str | None,
        options: str | None,
    ) -> Job:
        spool = self._service.spool
        encodings = ",".join(request.headers.getlist("content-encoding")) or "identity"
        if {one.strip().lower() for one in encodings.split(",")} != {"identity"}:
            raise Rejected(415, "unsupported_media_type", "send the file as it is, without Content-Encoding")
        check_length(request.headers.get("content-length"), self._limits)
        staged = spool.stage_path()
        kind = request.headers.get("content-type", "")
        try:
            received = await receive(request.stream(), kind, staged, self._limits)
        except ClientDisconnect:
            raise Rejected(400, "cut_off", "the upload was cut off; send the file again") from None
        try:
            id_ = _once("id", id_, received)
            given = _once("webhook", webhook, received)
            asked = read_options(_once("options", options, received))
            name = _name_of(request, name, received)
            if given is not None and given != webhook:
                await to_thread.run_sync(self._webhooks.check, given)
        except CorridaError:
            with contextlib.suppress(OSError):
                os.unlink(staged)  # noqa: PTH108
            raise
        submit = partial(
            submit_staged,
            self._service.runner,
            self._service.jobs,
            spool,
            staged,
            name,
            analysis_id=id_ or _id_of_key(client, idempotency_key),
            client=client,
            webhook=given,
            options=asked,
            digest=(received.size, received.sha256),
        )
        try:
            job, _ = await to_thread.run_sync(submit)  # the file is its own from here on
        except AlreadyExists:
            if id_ is not None:
                raise
            raise Rejected(
                409,
                "id_taken",
                "this Idempotency-Key was used with another file or other options; use a new one",
            ) from None
        return job


def _once(name: str, asked: str | None, received: Received) -> str | None:
    """Return what the address or the form says of a field; where both do, they must agree."""
    told = received.fields.get(name) or None
    if asked is not None and told is not None and asked != told:
        raise Rejected(422, "field_twice", f"the address and the form say two things of {name}; send it once")
    return asked or told


def _id_of_key(client: str | None, key: str | None) -> str | None:
    """Return the id of an analysis that is known by an Idempotency-Key only; each caller has keys of its own."""
    if not key:
        return None
    return "key-" + hashlib.sha256(f"{client or ''}\0{key}".encode()).hexdigest()[:32]


def _name_of(request: Request, given: str | None, received: Received) -> str:
    """Return the name of a file as its sender has it; its suffix says of what kind it is where it is CSV or Parquet.

    One without a name is what its type says, or what it begins as.
    """
    name = given or received.name
    if not name:
        found = _FILE_NAME.search(request.headers.get("content-disposition", ""))
        name = found[1] if found else ""
    name = "".join(c for c in name.replace("\\", "/").rpartition("/")[2] if c.isprintable())[-200:]
    if not name or name in {".", ".."}:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if received.parquet and kind == "text/csv":
            raise Rejected(
                415,
                "unsupported_media_type",
                f"the file is said to be CSV and is Parquet; send the header Content-Type: {PARQUET}",
            )
        name = "upload.parquet" if kind == PARQUET or received.parquet else "upload.csv"
    return name

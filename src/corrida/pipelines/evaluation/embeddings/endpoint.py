"""Embeddings from any OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from contextlib import closing
from typing import TYPE_CHECKING, Any

from corrida.errors import EndpointFailed
from corrida.pipelines.evaluation.address import address
from corrida.pipelines.evaluation.transport import (
    Endpoint,
    Rejected,
    Unavailable,
    apart,
    read_key,
    require_client,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import tenacity

    from corrida.pipelines.evaluation.embeddings import Vectors
    from corrida.pipelines.evaluation.settings import EndpointEmbedding


class EndpointProvider:
    """One model of an endpoint.

    What is behind an endpoint cannot be seen, so ``digest`` is of what names it: address, model and parameters. Vectors are
    kept under that name; when the model behind it changes, set another ``version``.
    """

    keep = True

    def __init__(self, settings: EndpointEmbedding) -> None:
        """Get ready; nothing is asked yet.

        Raises:
            MissingExtra: the HTTP client is not installed.
            InvalidConfig: the variable with the key is not set.
        """
        require_client()
        import msgspec

        self._settings = settings
        self._key = read_key(settings.key_variable)
        self.name = f"endpoint:{settings.model}"
        self.version = settings.version
        named = msgspec.json.encode([settings.url, settings.model, settings.parameters], order="sorted")
        self.digest = f"sha256:{hashlib.sha256(named).hexdigest()}"
        self.batch = settings.batch * settings.concurrency

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector a text; several requests go out at once.

        Raises:
            EndpointFailed: the endpoint does not answer, or not with vectors.
        """
        import numpy as np

        size = self._settings.batch
        # Many endpoints refuse an empty text; its vector is zero.
        told = [text for text in texts if text.strip()]
        parts = [told[start : start + size] for start in range(0, len(told), size)]

        async def ask_all(emit: Callable[[tuple[int, Vectors]], None]) -> None:
            async with (
                Endpoint(
                    address(self._settings.url, "embeddings"),
                    self._key,
                    self._settings.timeout,
                    self._settings.concurrency,
                ) as endpoint,
                asyncio.TaskGroup() as group,
            ):
                for number, part in enumerate(parts):
                    group.create_task(self._ask(endpoint, number, part, emit))

        with closing(apart(ask_all)) as coming:
            found = dict(coming)
        vectors = [vector for number in range(len(parts)) for vector in found[number]]
        width = {len(vector) for vector in vectors} or {1}
        if len(width) > 1:
            raise EndpointFailed(
                f"the embedding endpoint {self._settings.url} gave vectors of {len(width)} different lengths; "
                "one model gives one. Check what it serves."
            )
        table = np.zeros((len(texts), width.pop()), dtype=np.float32)
        table[[bool(text.strip()) for text in texts]] = vectors or 0
        return table

    async def _ask(
        self, endpoint: Endpoint, number: int, texts: list[str], emit: Callable[[tuple[int, Vectors]], None]
    ) -> None:
        """Ask for the vectors of some texts, several times where it helps."""
        import tenacity

        settings = self._settings
        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(settings.attempts),
            wait=waiting(settings.first_wait, settings.longest_wait),
            retry=tenacity.retry_if_exception_type(Unavailable),
            before_sleep=self._check_wait,
            reraise=True,
        )
        body = {**settings.parameters, "model": settings.model, "input": texts, "encoding_format": "float"}
        try:
            async for attempt in attempts:
                with attempt:
                    emit((number, _vectors(await endpoint.post(body), len(texts))))
        except (Unavailable, Rejected) as error:
            raise EndpointFailed(
                f"the embedding endpoint {settings.url} does not answer ({error}). Vectors that it has given are kept: "
                "run the same again when it is there, or choose 'provider: static', which needs no network."
            ) from None

    def _check_wait(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Unavailable) and (error.wait or 0) > self._settings.longest_wait:
            raise EndpointFailed(
                f"the embedding endpoint {self._settings.url} asks to wait {error.wait:,.0f} s ({error}). Vectors that it "
                "has given are kept: run the same again then."
            )


def _vectors(reply: Any, count: int) -> Vectors:
    """Return the vectors of a reply in the order of the texts.

    Raises:
        Unavailable: it has others, or fewer.
    """
    import numpy as np

    try:
        rows: dict[int, Any] = {
            int(entry.get("index", place)): entry["embedding"] for place, entry in enumerate(reply["data"])
        }
        table = np.array([_numbers(rows[place]) for place in range(count)], dtype=np.float32)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise Unavailable(f"the reply does not hold the vectors of {count} texts") from None
    if len(rows) != count or table.ndim != 2 or table.shape[1] == 0 or not np.isfinite(table).all():
        raise Unavailable(f"the reply does not hold {count} vectors of numbers")
    return table


def _numbers(vector: Any) -> Any:
    """Return a vector that is a list of numbers, or base64 of them as some endpoints send whatever they are asked for."""
    import numpy as np

    if not isinstance(vector, str):
        return vector
    try:
        return np.frombuffer(base64.b64decode(vector, validate=True), dtype="<f4")
    except binascii.Error:
        raise ValueError("not base64") from None

"""Talking to OpenAI-compatible endpoints: what chat completions and embeddings share.

Connections, keys, what an error means and how long to wait are here; what is asked is not. Requests run in an event loop in
a thread of its own, so that a notebook with a loop of its own can use them, and an interrupt ends them at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import os
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

import msgspec

from corrida.errors import EndpointFailed, InvalidConfig, MissingExtra

if TYPE_CHECKING:
    import httpx2
    import tenacity

T = TypeVar("T")

# One answer; what is larger is no answer to these questions.
LARGEST_BODY = 16 * 1024 * 1024
_FOR_ALL = {401: "does not accept the key", 403: "refuses access", 404: "is not there", 405: "is not there"}
_LATER = {408, 409, 425, 429}
_SHOWN = 200
_LOOK_UP = 0.2  # seconds


class Unavailable(Exception):
    """No answer now, perhaps later: no connection, a timeout, an error of the server, or too many requests.

    Attributes:
        wait: seconds that the endpoint asks to wait; None when it does not say.
    """

    wait: float | None = None


class Rejected(Exception):
    """The endpoint does not answer this request, however often it is asked."""


def require_client() -> None:
    """Make sure that the packages are installed.

    Raises:
        MissingExtra: naming the extra.
    """
    try:
        import httpx2  # noqa: F401
        import tenacity  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            "endpoints need an HTTP client, which is an extra: pip install 'corrida[endpoint]'"
        ) from error


def read_key(variable: str | None) -> str | None:
    """Return the key in an environment variable; None when none is named.

    Raises:
        InvalidConfig: the variable is not set, or holds what cannot be sent.
    """
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InvalidConfig(
            f"the endpoint needs a key, and the environment variable {variable} is not set. Set it to the key; corrida "
            "does not record it."
        )
    if not key.isascii() or not key.isprintable():
        raise InvalidConfig(
            f"the environment variable {variable} holds a character that no key has; set it again."
        )
    return key


@dataclass
class Endpoint:
    """One address of an endpoint with its open connections.

    Attributes:
        address: where requests are posted to.
        key: sent with each, and shown nowhere; None for none.
        timeout: seconds that a whole request may take.
        connections: at once, at most.
    """

    address: str
    key: str | None = field(repr=False)
    timeout: float
    connections: int
    _client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Open it."""
        import httpx2

        headers = {"Accept": "application/json", "User-Agent": "corrida"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=self.timeout,
            limits=httpx2.Limits(
                max_connections=self.connections, max_keepalive_connections=self.connections
            ),
            follow_redirects=False,  # a key goes to nobody but the host that was named
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def post(self, body: Any) -> Any:
        """Send a request and return the JSON of its answer.

        Raises:
            Unavailable: try again.
            Rejected: this request is not answered.
            EndpointFailed: no request is.
        """
        import httpx2

        if self._client is None:
            raise RuntimeError("the endpoint is not open")
        try:
            async with (
                asyncio.timeout(self.timeout),
                self._client.stream("POST", self.address, json=body) as response,
            ):
                content = bytearray()
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > LARGEST_BODY:
                        raise Rejected(f"the answer is larger than {LARGEST_BODY // 1024 // 1024} MB")
        except (TimeoutError, httpx2.TimeoutException):
            raise Unavailable(f"no answer within {self.timeout:g} s") from None
        except httpx2.ConnectError as error:
            raise Unavailable(f"no connection ({self._clean(str(error))})") from None
        except httpx2.RequestError as error:
            raise Unavailable(self._clean(str(error)) or type(error).__name__) from None
        return self._read(response, bytes(content))

    def _read(self, response: httpx2.Response, content: bytes) -> Any:
        if response.is_success:
            try:
                return msgspec.json.decode(content)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                kind = response.headers.get("content-type", "").partition(";")[0] or "something"
                raise Unavailable(f"the answer is {self._clean(kind)} and not JSON") from None
        status = response.status_code
        said = f"{status} {self._clean(_reason(content) or response.reason_phrase)}".strip()
        if status in _FOR_ALL:
            raise EndpointFailed(f"the endpoint {self.address} {_FOR_ALL[status]} ({said}).")
        if response.is_redirect:
            raise EndpointFailed(
                f"the endpoint {self.address} has moved ({said}); write where to in the configuration."
            )
        if status in _LATER or status >= 500:
            problem = Unavailable(said)
            problem.wait = retry_after(response.headers.get("retry-after"))
            raise problem
        raise Rejected(said)

    def _clean(self, text: str) -> str:
        """Return a text of the endpoint on one line, short and without the key."""
        if self.key:
            text = text.replace(self.key, "…")
        text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _reason(content: bytes) -> str:
    """Return what an error says: ``{"error": {"message": …}}``, or its first words."""
    try:
        said = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return content[: 4 * _SHOWN].decode("utf-8", "replace")
    for key in ("error", "message", "detail"):
        if isinstance(said, dict) and key in said:
            said = said[key]
    return str(said)


def retry_after(value: str | None) -> float | None:
    """Return how many seconds a Retry-After header asks to wait; None when there is none, or none that can be read.

    Source: RFC 9110, 10.2.3: seconds, or a date.
    """
    if value is None:
        return None
    try:
        return max(float(value), 0.0) if float(value) < float("inf") else None
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError, OverflowError):
        return None


class Pace:
    """Keeps to a rate: each turn begins when those before it have used up their share of time.

    Turns are spread evenly and none are saved up, so that no span of a minute holds more than a minute's share.

    Source: the virtual scheduling algorithm with no burst (ITU-T I.371).
    """

    def __init__(self, a_minute: float | None) -> None:
        """Allow ``a_minute`` units a minute; None for any number."""
        self._seconds = 60 / a_minute if a_minute else 0.0
        self._next = self._held = 0.0

    async def turn(self, units: float = 1.0) -> None:
        """Wait for a turn that uses ``units``."""
        while True:
            start = max(time.monotonic(), self._next)
            self._next = start + units * self._seconds
            await asyncio.sleep(start - time.monotonic())
            if start >= self._held:
                return  # else all were told to wait meanwhile, and this turn is over

    def correct(self, units: float) -> None:
        """Count units that turned out to be used as well, or, when negative, not to be."""
        self._next += units * self._seconds

    def hold(self, seconds: float) -> None:
        """Let no turn begin for some time."""
        self._held = max(self._held, time.monotonic() + seconds)
        self._next = max(self._next, self._held)


def waiting(first: float, longest: float) -> Callable[[tenacity.RetryCallState], float]:
    """Return how long to wait between attempts: what the endpoint asks for, else exponential with full jitter.

    Args:
        first: seconds, the upper bound after the first attempt; it doubles with each.
        longest: seconds, the upper bound of all.

    Source: Brooker (2015), "Exponential backoff and jitter", AWS Architecture Blog.
    """
    import tenacity

    jitter = tenacity.wait_random_exponential(multiplier=first, max=longest)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, Unavailable) else None
        return jitter(state) if asked is None else asked + jitter(state) / 10

    return wait


class _End:
    """Nothing more comes; ``error`` is what ended it."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def apart(produce: Callable[[Callable[[T], None]], Awaitable[None]]) -> Generator[T, None, None]:
    """Run a coroutine in an event loop of its own thread, and yield what it emits as it comes.

    When the iterator is closed or interrupted, the coroutine is cancelled, and its end awaited.

    Args:
        produce: called in that thread with the function that emits.

    Raises:
        BaseException: what the coroutine raised; of a group, the first that is no cancellation.
    """
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()
    started = threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def main() -> None:
        task = asyncio.current_task()
        if task is not None:
            running.append((asyncio.get_running_loop(), task))
        started.set()
        await produce(results.put)

    def work() -> None:
        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            results.put(_End(None))
        except BaseException as error:  # noqa: BLE001 - raised again where the results are read
            results.put(_End(error))
        else:
            results.put(_End(None))
        finally:
            started.set()

    thread = threading.Thread(target=work, name="corrida-endpoint", daemon=True)
    thread.start()
    try:
        while not isinstance(got := _next(results), _End):
            yield got
        if got.error is not None:
            _raise_first(got.error)
    finally:
        started.wait()
        for loop, task in running:
            with contextlib.suppress(RuntimeError):  # its loop has just ended
                loop.call_soon_threadsafe(task.cancel)
        thread.join()


def _next(results: queue.SimpleQueue[Any]) -> Any:
    """Wait for a result, and look up now and then: where polars handles signals, none ends a wait."""
    while True:
        with contextlib.suppress(queue.Empty):
            return results.get(timeout=_LOOK_UP)


def _raise_first(error: BaseException) -> NoReturn:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    raise error

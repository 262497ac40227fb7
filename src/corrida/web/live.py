"""Server-sent events of runs that run: one look a second at each run, however many pages listen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from corrida.errors import CorridaError
from corrida.runs import layout
from corrida.runs.numbers import json_number

if TYPE_CHECKING:
    from starlette.requests import Request

    from corrida.runs.step_metrics import KeptStepMetrics
    from corrida.runs.store import Store
    from corrida.web.viewer import Site

INTERVAL = 1.0
_STILL_THERE = 15.0
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def events(site: Site, request: Request) -> Response:
    """Answer ``/runs/ID/events``: the state of a run whenever it changes, until it ended."""
    run_id = site.store.resolve(request.path_params["id"])
    return StreamingResponse(site.live.events(run_id), media_type="text/event-stream", headers=_HEADERS)


class _Watch:
    """One run that is looked at, and those who wait for news of it."""

    def __init__(self) -> None:
        self.message: bytes | None = None
        self.ended = False
        self.changed = asyncio.Event()
        self.listeners = 0
        self.task: asyncio.Task[None] | None = None

    def tell(self, message: bytes, *, ended: bool) -> None:
        if message != self.message:
            self.message, self.ended = message, ended
            self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Live:
    """Looks at runs while somebody listens."""

    def __init__(self, store: Store, steps: KeptStepMetrics) -> None:
        """Look at nothing yet."""
        self._store, self._steps = store, steps
        self._watches: dict[str, _Watch] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def close(self) -> None:
        """End all that is sent; called from any thread, also while a signal is handled."""
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for watch in self._watches.values():
            watch.wake()

    @property
    def watched(self) -> int:
        """How many runs are looked at."""
        return len(self._watches)

    async def events(self, run_id: str) -> AsyncIterator[bytes]:
        """Yield what a browser reads as events: ``state`` whenever the run changed, ``end`` once it ended."""
        self._loop = asyncio.get_running_loop()
        watch = self._watches.setdefault(run_id, _Watch())
        watch.listeners += 1
        if watch.task is None:
            watch.task = asyncio.create_task(self._look_on(run_id, watch))
        told: bytes | None = None
        try:
            yield b"retry: 2000\n\n"
            while not self._closed:
                changed = watch.changed
                if watch.message is not None and watch.message != told:
                    told = watch.message
                    yield b"event: state\ndata: " + told + b"\n\n"
                    continue
                if watch.ended:
                    yield b"event: end\ndata: {}\n\n"
                    return
                try:
                    await asyncio.wait_for(changed.wait(), _STILL_THERE)
                except TimeoutError:
                    yield b": still there\n\n"  # a browser that went away is noticed by this
        finally:
            watch.listeners -= 1
            if not watch.listeners:
                self._watches.pop(run_id, None)
                if watch.task is not None:
                    watch.task.cancel()

    async def _look_on(self, run_id: str, watch: _Watch) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while not watch.ended and not self._closed:
                message, ended = await run_in_threadpool(self._look, run_id)
                watch.tell(message, ended=ended)
                await asyncio.sleep(INTERVAL)

    def _look(self, run_id: str) -> tuple[bytes, bool]:
        try:
            run = self._store.get(run_id)
        except CorridaError as error:  # it was removed
            return msgspec.json.encode({"status": "unreadable", "error": str(error)}), True
        steps = self._steps.of(run.dir)
        state: dict[str, Any] = {
            "id": run.id,
            "status": run.status,
            "metrics": {name: json_number(value) for name, value in run.metrics.items()},
            "calls": steps.calls,
            "last": {name: (step, json_number(value)) for name, (step, value) in steps.last().items()},
            "files": _changed(run.dir),
        }
        return msgspec.json.encode(state), run.status != "running"


def _changed(run_dir: Any) -> str:
    """Return what tells one state of the files of a run from another: its log, its items, what lies in the folder."""
    times = []
    for name in ("", layout.LOG, layout.ITEM_PARTS):
        try:
            status = (run_dir / name).stat()
        except OSError:
            continue
        times.append(f"{status.st_mtime_ns:x}.{status.st_size:x}" if name else f"{status.st_mtime_ns:x}")
    return "-".join(times)

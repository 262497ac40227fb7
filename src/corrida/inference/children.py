"""The children of a worker: one a slot, started when needed, with the model loaded before the first file comes."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from corrida.inference.child_process import NOT_WANTED, Child, Watch
from corrida.inference.problems import Failed
from corrida.inference.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from corrida.inference.models import Model
    from corrida.inference.protocol import Score, Scored


class Children:
    """The children of a worker, at most one a slot."""

    def __init__(self, slots: int, root: Path, limit: float, memory_bytes: int = 0, nice: int = 0) -> None:
        """Prepare to start children.

        Args:
            slots: how many at most.
            root: the project folder.
            limit: seconds for one file, and for loading a run.
            memory_bytes: of address space for each; 0 for no limit.
            nice: how far they stand back behind others, 0 to 19.
        """
        self._slots, self._root, self._limit = slots, root, limit
        self._memory, self._nice = memory_bytes, nice
        self._idle: list[Child] = []
        self._all: set[Child] = set()
        self._wanted: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(slots)
        # One thread starts them all and lives as long as the worker: see Child.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="corrida-children")
        self.closing = threading.Event()

    def score(self, model: Model, request: Score, watch: Watch) -> Scored:
        """Score a file in a child that has the run loaded, or loads it.

        Raises:
            Failed: it did not succeed.
        """
        with self._waiting_for(model.digest):
            self._free.acquire()
        try:
            return self._score(model, request, watch)
        finally:
            self._free.release()

    def preload(self, model: Model) -> bool:
        """Load a run in a child that has nothing to do, or start one; no file ever waits for that longer than without.

        A file for the same run waits for the loading that has begun. One for another run, when there is no free
        slot, ends it.

        Returns:
            Whether there may be another child to load it in.

        Raises:
            Failed: it cannot be loaded.
        """
        if not self._free.acquire(blocking=False):
            return False
        try:
            child = self._to_preload(model.digest)
            if child is None:
                return False
            try:
                self._load(child, model, lambda _: self._unwanted(model.digest), preload=True)
            finally:
                self._put_back(child)
        except Failed as failure:
            if self.closing.is_set() or failure.problem.code == NOT_WANTED:
                return False
            raise
        finally:
            self._free.release()
        return True

    def idle(self) -> bool:
        """Tell whether a slot is free now."""
        if not self._free.acquire(blocking=False):
            return False
        self._free.release()
        return True

    def loaded(self, run_digest: str) -> int:
        """Return how many children have a run loaded."""
        with self._lock:
            return sum(child.run == run_digest and child.alive() for child in self._all)

    @contextlib.contextmanager
    def _waiting_for(self, run_digest: str) -> Iterator[None]:
        with self._lock:
            self._wanted[run_digest] += 1
        try:
            yield
        finally:
            with self._lock:
                self._wanted[run_digest] -= 1

    def _unwanted(self, run_digest: str) -> str | None:
        """Tell why a loading is to end: a file of another run waits for the slot."""
        with self._lock:
            return NOT_WANTED if any(n for run, n in self._wanted.items() if run != run_digest) else None

    def _to_preload(self, run_digest: str) -> Child | None:
        """Take an idle child that has another run loaded, or a new one; None when there is none to load it in."""
        self._bury()
        with self._lock:
            for number, child in enumerate(self._idle):
                if child.run != run_digest and child.alive():
                    return self._idle.pop(number)
            if len(self._all) >= self._slots or self.closing.is_set():
                return None
        return self._start()

    def _bury(self) -> None:
        """Let go of children that died while they had nothing to do."""
        with self._lock:
            dead = [child for child in self._idle if not child.alive()]
            self._idle = [child for child in self._idle if child not in dead]
            self._all.difference_update(dead)
        for child in dead:
            child.close()

    def _start(self) -> Child:
        child = self._starter.submit(Child, self._memory, self._nice).result()
        with self._lock:
            self._all.add(child)
        return child

    def _load(self, child: Child, model: Model, watch: Watch, *, preload: bool = False) -> None:
        seconds = child.load(model, self._root, self._limit, watch)
        log(
            "loaded", run=model.run_id, child=child.pid, seconds=round(seconds, 3),
            preload=preload or None, nice=self._nice or None,
        )  # fmt: skip

    def _score(self, model: Model, request: Score, watch: Watch) -> Scored:
        child = self._take(model.digest)
        try:
            if child.run != model.digest:
                self._load(child, model, watch)
            return child.score(request, self._limit, watch)
        except Failed:
            if self.closing.is_set():
                # The worker is about to end; what it did not finish, others take over. Nothing is written down.
                threading.Event().wait()
            raise
        finally:
            self._put_back(child)

    def _take(self, run: str) -> Child:
        with self._lock:
            for number, child in enumerate(self._idle):
                if child.run == run and child.alive():
                    return self._idle.pop(number)
            if self._idle and len(self._all) >= self._slots:
                spare = self._idle.pop(0)
                if spare.alive():
                    return spare
                self._all.discard(spare)
                spare.close()
        if self.closing.is_set():
            threading.Event().wait()
        return self._start()

    def _put_back(self, child: Child) -> None:
        with self._lock:
            if child.alive() and not self.closing.is_set():
                self._idle.append(child)
                return
            self._all.discard(child)
        child.close()

    def kill_all(self) -> None:
        """Kill every child; whoever waits for one waits until the process ends."""
        self.closing.set()
        with self._lock:
            children = list(self._all)
        for child in children:
            child.kill()

    def close_idle(self) -> None:
        """End the children that have nothing to do, for their memory."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._all.difference_update(idle)
        for child in idle:
            child.close()

    def close(self) -> None:
        """Kill the idle children."""
        self.kill_all()
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.close()
        self._starter.shutdown(wait=False)

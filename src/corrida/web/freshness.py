"""A catalog that is fresh enough: it is looked at once a moment, and no page waits long for that."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from corrida.runs.store import Store

_MOMENT = 0.5
_PATIENCE = 0.02


class Freshness:
    """Keeps the catalog of a store up to date while pages are asked for."""

    def __init__(self, store: Store) -> None:
        """Look after a store, by a connection of its own: pages are answered meanwhile."""
        from corrida.runs.store import Store

        own = Store(store.root)
        self._catalog = own.catalog if own.catalog.path is not None else store.catalog
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="corrida-catalog")
        self._lock = threading.Lock()
        self._looking: Future[None] | None = None
        self._looked = float("-inf")
        self._prepared: set[str] = set()

    def look(self, *, patience: float = _PATIENCE) -> bool:
        """Have the folders looked at, unless that was done a moment ago.

        Args:
            patience: seconds to wait for it; it goes on behind the page.

        Returns:
            Whether what is known is up to date.

        Raises:
            StoreError: the store cannot be read.
        """
        with self._lock:
            if self._looking is None:
                if time.monotonic() - self._looked < _MOMENT:
                    return True
                self._looking = self._thread.submit(self._catalog.refresh)
            looking = self._looking
        # The first look at a store has nothing to show before it is done.
        wait = None if self._looked == float("-inf") else patience
        try:
            looking.result(wait)
        except TooSlow:
            return False
        finally:
            if looking.done():
                with self._lock:
                    self._looking, self._looked = None, time.monotonic()
        return True

    def prepare(self, fields: Iterable[str]) -> None:
        """Have sorting by these fields made quick, behind the page: a click on the head of a column comes later."""
        new = set(fields) - self._prepared
        if new:
            self._prepared |= new
            self._thread.submit(self._catalog.index_orders, sorted(new))

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

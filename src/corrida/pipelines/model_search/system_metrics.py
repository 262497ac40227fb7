"""How busy the machine is while a search runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from corrida.errors import BadInput, MissingExtra
from corrida.pipelines.model_search.callbacks import SearchCallback, SearchStart

if TYPE_CHECKING:
    from corrida.pipelines.model_search.results import SearchResults

_MEGABYTE = 1024 * 1024


class SystemMetricsCallback(SearchCallback):
    """Logs CPU and memory of this process and all that it started, as ``system.*`` step metrics of the run.

    ``system.cpu_percent`` is of one core (two busy cores are 200), ``system.memory_mb`` the resident memory,
    ``system.processes`` how many there are. The results get ``system.cpu_percent_mean`` and ``system.memory_mb_peak``.
    """

    def __init__(self, interval: float = 1.0) -> None:
        """Measure every ``interval`` seconds.

        Raises:
            BadInput: the interval is below 0.05 s.
            MissingExtra: psutil is not installed.
        """
        try:
            import psutil
        except ImportError:
            raise MissingExtra(
                "the system metrics need psutil; install it with: pip install 'corrida[search]'"
            ) from None
        if not interval >= 0.05:
            raise BadInput(f"an interval of {interval} s would measure itself; give 0.05 or more")
        self._psutil, self._interval = psutil, interval
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._search: SearchStart | None = None
        self._known: dict[int, Any] = {}
        self._cpu: list[float] = []
        self._peak = 0.0

    def on_search_start(self, search: SearchStart) -> None:
        """Begin to measure."""
        self._search, self._error, self._cpu, self._peak = search, None, [], 0.0
        self._known = {}
        self._stop.clear()
        self._sample()  # from here on CPU times are differences
        self._thread = threading.Thread(target=self._measure, name="corrida-system-metrics", daemon=True)
        self._thread.start()

    def on_search_end(self, results: SearchResults) -> None:
        """Measure once more, and stop.

        Raises:
            Exception: what went wrong while it measured.
        """
        del results
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is None and self._search is not None:
            self._log()
            self._search.report(
                {
                    "system.cpu_percent_mean": round(sum(self._cpu) / len(self._cpu), 1),
                    "system.memory_mb_peak": round(self._peak, 1),
                }
            )
        if self._error is not None:
            raise self._error

    def _measure(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self._log()
            except Exception as error:  # noqa: BLE001 - raised at the end, where it is recorded
                self._error = error
                return

    def _log(self) -> None:
        found = self._sample()
        self._cpu.append(found["system.cpu_percent"])
        if self._search is not None:
            self._search.log(found)

    def _sample(self) -> dict[str, float]:
        """Return what all processes use now; one that ends meanwhile has no say."""
        me = self._psutil.Process()
        there = {process.pid: process for process in (me, *me.children(recursive=True))}
        # A process must be the same object each time: its CPU is measured from one look to the next.
        self._known = {pid: self._known.get(pid, process) for pid, process in there.items()}
        cpu = memory = 0.0
        for process in self._known.values():
            try:
                with process.oneshot():
                    cpu += process.cpu_percent()
                    memory += process.memory_info().rss / _MEGABYTE
            except self._psutil.Error:
                continue
        self._peak = max(self._peak, memory)
        return {
            "system.cpu_percent": round(cpu, 1),
            "system.memory_mb": round(memory, 1),
            "system.processes": float(len(self._known)),
        }

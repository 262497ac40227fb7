"""The viewer over many runs: pages as a browser asks for them, from a server in a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import re
import statistics
import subprocess
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from bench.harness.budgets import at_most_of, at_most_seconds
from bench.harness.case import Case, Entry, Sample
from bench.harness.filled import fill, filled_store
from bench.harness.place import ContestantFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.harness.place import Place

_RUNS = 100_000
_ITEMS = 100_000
_PAGES = 40
_SORTS = (
    "id", "-id", "status", "created", "-created", "finished", "-duration", "pipeline", "seed", "description", "-metrics.f1",
    "metrics.loss", "params.weight_3", "-params.rate", "params.seed", "params.choice_2",
)  # fmt: skip
_PAIRS = (("before", "after"), ("small_before", "small_after"))
_PATIENCE = 60.0
_BEHIND = 10.0
"""Seconds for what goes on behind the first pages: modules are loaded, and orders of the columns that are shown prepared."""


class Viewer:
    """A server of the viewer, and one connection to it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)

    def get(self, path: str) -> tuple[float, bytes]:
        """Return the seconds from the question to the last byte of the answer, and the answer as it came.

        Raises:
            ContestantFailed: it is no page.
        """
        started = time.perf_counter()
        self._connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = self._connection.getresponse()
        content = answer.read()
        seconds = time.perf_counter() - started
        if answer.status != 200:
            raise ContestantFailed(f"corrida ui answered {path} with {answer.status}")
        return seconds, content

    def rest(self, seconds: float) -> None:
        """Ask nothing for a while; the server may end the connection meanwhile."""
        self.close()
        time.sleep(seconds)

    def close(self) -> None:
        """End the connection; the next question makes another."""
        self._connection.close()


@contextlib.contextmanager
def _server(place: Place, store: Path) -> Iterator[Viewer]:
    """Start the viewer of a store; it ends with the block."""
    program = place.python("corrida").with_name("corrida")
    command = [str(program), "ui", "--port", "0", "--store", str(store)]
    process = place.start("corrida", command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        if process.stdout is None:
            raise ContestantFailed("corrida ui says nothing")
        said = process.stdout.readline().decode()
        port = re.search(r":(\d+)/", said)
        if port is None:
            raise ContestantFailed(f"corrida ui said {said!r} in place of its address")
        with contextlib.closing(Viewer(int(port[1]))) as viewer:
            yield viewer
    finally:
        process.terminate()
        process.wait(_PATIENCE)
        if process.stdout is not None:
            process.stdout.close()


def _prepare_runs(place: Place, entry: Entry) -> None:
    fill(place, entry)
    with _server(place, filled_store(place, entry)) as viewer:
        viewer.get("/")  # the first look at a store reads every run into the catalog


def _measure_runs(place: Place, entry: Entry) -> Sample:
    with _server(place, filled_store(place, entry)) as viewer:
        page = viewer.get("/")[1].decode()
        assets = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page))
        weight = len(page.encode()) + sum(len(viewer.get(path)[1]) for path in assets)
        shown = [sort.removeprefix("-") for sort in _SORTS]
        viewer.get(f"/?{urlencode({'columns': ','.join(shown)})}")
        viewer.rest(0 if place.tiny else _BEHIND)
        seconds = [viewer.get(f"/?page={1 + number % 8}")[0] for number in range(place.size(_PAGES, 3))]
        sorts = []
        for sort in _SORTS:
            times = [viewer.get(f"/?{urlencode({'sort': sort})}")[0] for _ in range(place.size(3, 1))]
            sorts.append(statistics.median(times))
    return {
        "value": statistics.median(seconds),
        "p95": statistics.quantiles(seconds, n=20)[-1] * 1000,
        "sort": max(sorts) * 1000,
        "weight": weight / 1000,
    }


def _measure_start(place: Place, entry: Entry) -> Sample:
    started = time.perf_counter()
    with _server(place, filled_store(place, entry)) as viewer:
        viewer.get("/")
        return {"value": time.perf_counter() - started}


def _compared(place: Place) -> Path:
    return place.kept("corrida_viewer_compared")


def _prepare_compared(place: Place, _entry: Entry) -> None:
    store = _compared(place)
    filled = store.with_name(f"{store.name}.filled")
    if filled.exists():
        return
    place.remove(store)
    for pair, items in zip(_PAIRS, (place.size(_ITEMS, 300), 100), strict=True):
        for number, run_id in enumerate(pair):
            place.call("corrida", "with_many_items", store=store, run_id=run_id, count=items, offset=number)
    filled.touch()


def _measure_compared(place: Place, _entry: Entry) -> Sample:
    (a, b), (small_a, small_b) = _PAIRS
    with _server(place, _compared(place)) as viewer:
        viewer.get(f"/compare?run={small_a}&run={small_b}")  # tables and statistics are loaded
        first = viewer.get(f"/compare?run={a}&run={b}")[0]
        return {"value": first, "again": viewer.get(f"/compare?run={a}&run={b}")[0] * 1000}


CASES = [
    Case(
        name="viewer_runs",
        title="a page of the table of 100,000 runs",
        entries=(Entry("corrida", runs=_RUNS),),
        measure=_measure_runs,
        prepare=_prepare_runs,
        budgets=(
            at_most_seconds(0.03),
            at_most_of("sort", 150, "corrida: every sort at most 150 ms"),
            at_most_of("weight", 100, "corrida: page, style and scripts at most 100 kB"),
        ),
        facts={"p95": "p95, ms", "sort": "slowest sort, ms", "weight": "kB"},
        rounds=3,
        warm_up=False,
        ratios=False,
        note=(
            "The median of 40 pages, from the question to the last byte; then the table by each of 16 orders, ten seconds "
            "after their columns were shown."
        ),
    ),
    Case(
        name="viewer_start",
        title="corrida ui over 100,000 runs, to the first page",
        entries=(Entry("corrida", runs=_RUNS),),
        measure=_measure_start,
        prepare=_prepare_runs,
        budgets=(at_most_seconds(1),),
        rounds=5,
        ratios=False,
        note="From the start of the process; the catalog knows the store.",
    ),
    Case(
        name="viewer_compare",
        title="two runs with 100,000 items compared on a page",
        entries=(Entry("corrida"),),
        measure=_measure_compared,
        prepare=_prepare_compared,
        budgets=(at_most_seconds(0.5),),
        facts={"again": "again, ms"},
        rounds=3,
        warm_up=False,
        ratios=False,
        note="The first time these runs are compared, by a server that has compared others; then again.",
    ),
]

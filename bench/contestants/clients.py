"""Clients that hand files over and wait for the results, several at once."""

import os
import shutil
import threading
import time

_LIMIT = 120.0
_LOOK = 0.003


def alone_and_many(hand_over, alone, clients, each):
    """Measure one client, then several at once; see :func:`measured`."""
    first = measured(hand_over, 1, alone, "alone")
    return {
        **first,
        **{f"{name}_of_many": value for name, value in measured(hand_over, clients, each, "many").items()},
    }


def measured(hand_over, clients, each, name="job"):
    """Have clients hand files over, each the next when it has the results of the last.

    Args:
        hand_over: is given the name of a job and its number, returns when the results are there.
        clients: how many at once.
        each: files of a client.
        name: with which the names of the jobs begin.

    Returns:
        Median and 99th percentile of the seconds from handing over to the results, and files a second.
    """
    hand_over.prepare([f"{name}-{client}-{number}" for client in range(clients) for number in range(each)])
    taken: list[float] = []
    errors: list[Exception] = []

    def client(at):
        try:
            for number in range(each):
                started = time.perf_counter()
                hand_over(f"{name}-{at}-{number}", at * each + number)
                taken.append(time.perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=client, args=(at,)) for at in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if errors:
        raise errors[0]
    taken.sort()
    return {
        "p50": taken[len(taken) // 2],
        "p99": taken[min(int(len(taken) * 0.99), len(taken) - 1)],
        "rate": len(taken) / seconds,
    }


def appears(path):
    """Wait until a file is there."""
    end = time.perf_counter() + _LIMIT
    while not os.path.exists(path):
        if time.perf_counter() > end:
            raise TimeoutError(path)
        time.sleep(_LOOK)


class Dropped:
    """Renames files into a folder, and waits for the results in ``processed``."""

    def __init__(self, small, spool, suffix, pending):
        self.small, self.spool, self.suffix, self.pending = small, spool, suffix, pending

    def prepare(self, names):
        """Lay copies ready on the same file system, as old as their originals."""
        os.makedirs(f"{self.spool}/ready", exist_ok=True)
        for number, name in enumerate(names):
            shutil.copy2(f"{self.small}/{number % 10}{self.suffix}", f"{self.spool}/ready/{name}.csv")

    def __call__(self, name, _number):
        """Hand one over."""
        os.rename(f"{self.spool}/ready/{name}.csv", f"{self.spool}/{self.pending}/{name}.csv")
        appears(f"{self.spool}/processed/{name}.json")


class Submitted:
    """Submits files by the Python interface of the command ``corrida submit``."""

    def __init__(self, small, service):
        self.small, self.service = small, service

    def prepare(self, names):
        """Nothing has to be ready."""

    def __call__(self, name, number):
        """Hand one over."""
        from pathlib import Path

        self.service.submit(Path(f"{self.small}/{number % 10}.csv"), analysis_id=name)
        appears(f"{self.service.spool.processed}/{name}.json")


class Posted:
    """Sends files by HTTP, and waits for the answer with the rows; a connection a client."""

    def __init__(self, small, address):
        self.small, self.address, self.local = small, address, threading.local()

    def prepare(self, names):
        """Nothing has to be ready."""

    def __call__(self, name, number):
        """Hand one over."""
        import http.client
        import json

        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPConnection(self.address, timeout=_LIMIT)
        with open(f"{self.small}/{number % 10}.csv", "rb") as file:
            body = file.read()
        self.local.connection.request(
            "POST", f"/v1/analyses?wait=60&id={name}", body, {"Content-Type": "text/csv"}
        )
        answer = self.local.connection.getresponse()
        content = answer.read()
        if answer.status != 200 or json.loads(content)["status"] != "processed":
            raise RuntimeError(f"{answer.status}: {content[:500]!r}")

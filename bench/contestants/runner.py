"""The runner of corrida with files of transactions: real workers, the API, and what they use."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from bench.contestants import clients as of

_STOP_SECONDS = 30


def file(folder: str, spool: str, name: str):
    """Submit a large file to a worker that is warm, and say how long it took from there to the results."""
    command = ["worker", "--slots", "1", "--time-limit", "1800"]
    with _started(folder, spool, command) as (process, service):
        small = of.Submitted(f"{folder}/small", service)
        small("warm-up", 0)
        processes = [process.pid, *_below(process.pid)]
        before, started = _cpu(processes), time.perf_counter()
        job, _ = service.submit(Path(f"{folder}/{name}.csv"), analysis_id="large")
        submitted = time.perf_counter() - started
        while service.jobs.get(job.id).status in {"queued", "running"}:
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        found = service.jobs.get(job.id)
        if found.status != "processed":
            raise RuntimeError(f"{found.status}: {found.message}")
        peaks = [_peak(pid) for pid in processes]
        return {
            "seconds": seconds,
            "submitting": submitted,
            "cpu": _cpu(processes) - before,
            "memory": max(peaks),
            "tree": sum(peaks),
            "rows": found.scored,
        }


def jobs(folder: str, spool: str, way: str, workers: str, alone: str, clients: str, each: str):
    """Hand small files over, and say how long a file took, and how many a second."""
    over_http = way == "HTTP"
    command = ["serve", "--port", "0", "--workers", workers] if over_http else ["worker", "--slots", workers]
    with _started(folder, spool, command, free_calls=True) as (process, service):
        hand_over = {
            "submitted": lambda: of.Submitted(f"{folder}/small", service),
            "dropped": lambda: of.Dropped(f"{folder}/small", spool, ".csv", "pending"),
            "HTTP": lambda: of.Posted(f"{folder}/small", _address(process)),
        }[way]()
        _warm_up(f"{folder}/small", service)
        return of.alone_and_many(hand_over, int(alone), int(clients), int(each))


def _warm_up(small, service):
    """Have both workers load the model."""
    names = [f"warm-up-{number}" for number in range(4)]
    for number, name in enumerate(names):
        service.submit(Path(f"{small}/{number}.csv"), analysis_id=name)
    for name in names:
        of.appears(f"{service.spool.processed}/{name}.json")


@contextlib.contextmanager
def _started(folder, spool, command, *, free_calls=False):
    from corrida.inference.service import opened
    from corrida.inference.settings import runner_of
    from corrida.project import find_project

    os.makedirs(spool, exist_ok=True)
    if free_calls:  # the limit of calls is no part of the measurement
        Path(spool, "corrida.toml").write_text("[serve]\ncalls_per_minute = 1000000\n", encoding="utf-8")
    else:
        Path(spool, "corrida.toml").write_text("", encoding="utf-8")
    line = ["corrida", *command, "--spool", spool, "--store", f"{folder}/runs"]
    with open(f"{spool}.log", "wb") as log:
        process = subprocess.Popen(line, cwd=spool, stdout=subprocess.PIPE, stderr=log)
    try:
        project = find_project(Path(spool), store=f"{folder}/runs")
        with opened(runner_of(project, spool=spool)) as service:
            yield process, service
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        shutil.rmtree(spool, ignore_errors=True)


def _address(process):
    """Return host and port from the line in which the server says where it listens."""
    line = process.stdout.readline().decode()
    return line.strip().rpartition("//")[2]


def _below(pid):
    """Return the processes that descend from one."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(name)] = int(_stat(name)[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def _stat(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as content:
        return content.read().rpartition(")")[2].split()


def _cpu(processes):
    """Return the seconds of user and system time of processes."""
    ticks = os.sysconf("SC_CLK_TCK")
    return sum(int(_stat(pid)[11]) + int(_stat(pid)[12]) for pid in processes) / ticks


def _peak(pid):
    """Return the most MB that a process has had in memory."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as content:
        line = next(line for line in content if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000

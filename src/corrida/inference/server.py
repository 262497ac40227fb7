"""The server: the API in this process, and beside it a worker in a process of its own, which is started again when it ends."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from corrida.errors import BadInput, MissingExtra
from corrida.inference.access import Names, is_loopback
from corrida.inference.keys import Keys
from corrida.inference.service import opened
from corrida.inference.telemetry import log

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from corrida.inference.service import Service
    from corrida.inference.settings import Runner

_PATIENCE_SECONDS = 10.0
_GRACE_SECONDS = 30.0
_END_SECONDS = 10
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_STEADY_SECONDS = 30.0
_START = (
    "import sys; from corrida.inference.child import die_with; die_with(int(sys.argv[1])); "
    "from corrida.cli.main import main; main(sys.argv[2:])"
)


def build(service: Service, working: Callable[[], str] | None = None) -> ASGIApp:
    """Return the API with its guard.

    Raises:
        BadInput: it is to be reached from other machines, and there is no key.
        InvalidConfig: a secret that the settings name is not set.
    """
    from corrida.inference.app import create_api
    from corrida.inference.billing_http import secret_of
    from corrida.inference.guard import Guard
    from corrida.inference.metrics import Metrics
    from corrida.inference.webhooks import Webhooks

    limits = service.runner.limits
    service.database.patience = _PATIENCE_SECONDS
    keys = Keys(service.database)
    if _is_reached_from_afar(service.runner) and not keys.any():
        raise BadInput(
            "the API is to be reached from other machines, and there is no key; `corrida keys add NAME` makes one"
        )
    if limits.billing_url is not None:
        secret_of(limits.billing_secret)  # rather now than at each start of a worker
    metrics = Metrics(service)
    return Guard(
        create_api(service, Webhooks(service), metrics, working),
        keys=keys,
        names=Names(limits.host, limits.hosts),
        keys_required=keys_required(service),
        per_minute=limits.calls_per_minute,
        metrics=metrics,
    )


def keys_required(service: Service) -> bool:
    """Tell whether a call needs a key: from other machines always, and wherever there is one."""
    return _is_reached_from_afar(service.runner) or Keys(service.database).any()


def _is_reached_from_afar(runner: Runner) -> bool:
    return not is_loopback(runner.limits.host) or bool(runner.limits.hosts)


def serve(
    runner: Runner,
    worker_command: Sequence[str] | None,
    ready: Callable[[str, bool], None],
    beside: Callable[[ASGIApp, Service], tuple[ASGIApp, Callable[[], None]]] | None = None,
) -> int:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        runner: places and limits.
        worker_command: what comes after ``corrida`` to start the worker; None starts none.
        ready: called with the address of the API, and whether calls need a key, once it is listening.
        beside: puts pages beside the API, and returns both as one with what is to be called before the server ends.

    Raises:
        BadInput: the address cannot be listened on.
        MissingExtra: what it needs is not installed.
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401

        from corrida.inference.connection import Connection, make_room
        from corrida.inference.listening import Server, address_of
    except ImportError as error:
        raise MissingExtra(f"serving needs {error.name}; pip install 'corrida[serve]'") from None
    logging.getLogger("python_multipart").setLevel(
        logging.ERROR
    )  # callers are told what is wrong with their forms
    make_room()
    limits = runner.limits
    with opened(runner) as service, contextlib.ExitStack() as stack:
        keeper = None if worker_command is None else WorkerKeeper(worker_command)
        app = build(service, keeper.said if keeper else None)
        before_end: Callable[[], None] = _nothing
        if beside is not None:
            app, before_end = beside(app, service)
        listening = stack.enter_context(listen(limits.host, limits.port))
        if keeper:
            keeper.start()
            stack.callback(keeper.stop)
        address = address_of(listening)
        ready(address, keys_required(service))
        host, port = listening.getsockname()[:2]
        log("serving", host=host, port=port, worker=keeper is not None)
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn has its own while it runs, and raises the signal again afterwards: the worker is to end in peace.
            signal.signal(number, lambda *_: keeper.hurry() if keeper else None)
        Server(app, Connection, _END_SECONDS, before_end).run(sockets=[listening])
    return 0


def _nothing() -> None:
    """Do nothing."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        BadInput: the address is taken, or not of this machine.
    """
    from corrida.inference.listening import open_socket

    try:
        return open_socket(host, port)
    except socket.gaierror as error:
        why = error.strerror
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
    raise BadInput(f"the API cannot listen on {host} port {port}: {why}; choose another with --port")


class WorkerKeeper:
    """Keeps a worker running beside the API: a process of its own, so that neither takes the other down.

    The kernel kills it when this process ends, however that happens; then others take its jobs over.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Prepare to run ``corrida`` with ``command``."""
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        # The kernel kills the worker when the thread that started it ends: this one ends last.
        self._thread = threading.Thread(target=self._keep, name="corrida-worker-keeper", daemon=True)

    def start(self) -> None:
        """Start the worker."""
        self._thread.start()

    def said(self) -> str:
        """Tell how the worker is: ``ok``, or a sentence."""
        process = self._process
        return "ok" if process is not None and process.poll() is None else "the worker is being started"

    def stop(self) -> None:
        """End the worker: it gets time for the files that it is scoring, then it is killed and they are done later."""
        self._stopping.set()
        self._thread.join()

    def hurry(self) -> None:
        """End it at once, where it is ending already: what it is scoring is done later."""
        if self._stopping.is_set() and self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def _keep(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(os.getpid()), *self._command],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for this process, which then asks it to end
            )
            while self._process.poll() is None and not self._stopping.wait(0.2):
                pass
            if self._process.poll() is None:
                break
            lived = time.monotonic() - began
            pause = _FIRST_PAUSE if lived > _STEADY_SECONDS else min(2 * pause, _LONGEST_PAUSE)
            log("worker ended", code=self._process.returncode, lived=round(lived, 1), again_in=pause)
            self._stopping.wait(pause)
        if self._process is not None:
            _end(self._process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

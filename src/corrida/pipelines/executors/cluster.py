"""Tasks on Ray, each a task of its own: on a Ray of this machine that is started for it, or on a cluster.

Ray itself retries nothing: what it does not say is how often it did. A task whose worker, node or result is lost is
started again by :mod:`corrida.pipelines.executors.dispatch`, as in every executor.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from corrida.errors import BadInput, ClusterUnreachable, MissingExtra
from corrida.pipelines.executors.calls import Function, answer
from corrida.pipelines.executors.dispatch import Call, Dead, dispatch

if TYPE_CHECKING:
    from corrida.pipelines.executors.contract import Executor, Finished

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

_ANSWERS_WITHIN = 10.0  # seconds
_ENDS_WITHIN = 2.0  # seconds; what does not end by then on another machine ends with the connection
_SOCKET_PATH = 40  # characters of a folder below which Ray's sockets still have a path that the kernel takes
_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it warns as it is imported
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_SCHEDULER_EVENTS": "0",
}


@contextlib.contextmanager
def open_ray(address: str, jobs: int) -> Iterator[Executor]:
    """Connect to Ray, and leave it as it was found.

    Args:
        address: empty for a Ray of its own on this machine, ``auto`` for the one that runs here, or ``host:port``.
            A Ray to which this process is connected already is used as it is.
        jobs: tasks at once; 0 is all cores of the machine, or of the cluster.

    Raises:
        MissingExtra: Ray is not installed.
        BadInput: the address cannot be read.
        ClusterUnreachable: nothing answers there.
    """
    ray = _imported()
    if ray.is_initialized():
        yield RayExecutor(ray, jobs, f"ray://{address}" if address else "ray")
        return
    with _connected(ray, address, jobs):
        yield RayExecutor(ray, jobs, f"ray://{address}" if address else "ray")


class RayExecutor:
    """Runs tasks on Ray."""

    def __init__(self, ray: Any, jobs: int, name: str) -> None:
        self.name = name
        self._ray = ray
        there = int(ray.cluster_resources().get("CPU", 1)) or 1
        self.slots = min(jobs, there) if jobs else there

    def run(
        self, function: Callable[[TaskT], ResultT], tasks: Iterable[TaskT]
    ) -> Iterator[Finished[ResultT]]:
        """Run ``function`` on each task; see :meth:`Executor.run <corrida.pipelines.executors.contract.Executor.run>`."""
        packed = Function(function)
        with tempfile.TemporaryDirectory(prefix="corrida-at-work-") as folder:
            yield from dispatch(_Remote(self._ray, self.slots, packed, Path(folder)), packed, tasks)


class _Remote:
    """Calls that are under way on Ray."""

    def __init__(self, ray: Any, slots: int, function: Function, at_work: Path) -> None:
        self.slots = slots
        self._ray = ray
        self._at_work = at_work
        self._function = function
        self._source = ray.put(function.packed)
        self._answer = ray.remote(num_cpus=1, max_retries=0)(answer_at_work)
        self._under_way: dict[Any, Call] = {}

    def start(self, call: Call) -> None:
        sent = (self._function.token, self._source, call.packed, str(self._at_work))
        self._under_way[self._answer.remote(*sent)] = call

    def wait(self) -> Iterable[tuple[Call, bytes | Exception]]:
        ready, _ = self._ray.wait(list(self._under_way), num_returns=1)
        found: list[tuple[Call, bytes | Exception]] = []
        for reference in ready:
            call = self._under_way.pop(reference)
            try:
                found.append((call, self._ray.get(reference)))
            except self._lost() as error:
                found.append((call, Dead(_cause(error))))
            except self._ray.exceptions.RayError as error:  # as when the cluster has no corrida
                found.append((call, error))
        return found

    def _lost(self) -> tuple[type[Exception], ...]:
        errors = self._ray.exceptions
        return (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.LocalRayletDiedError,
            errors.OutOfMemoryError,
            errors.ObjectLostError,
        )

    def stop(self) -> None:
        # Ray's own way by force takes this very process along when a task ends in the moment in which it is killed, and
        # the gentle one does not reach native code. So workers of this machine are killed here.
        _kill_workers(self._at_work)
        with contextlib.suppress(self._ray.exceptions.RayError, ConnectionError):
            for reference in self._under_way:
                self._ray.cancel(reference, force=False)
            self._ray.wait(list(self._under_way), num_returns=len(self._under_way), timeout=_ENDS_WITHIN)
        self._under_way.clear()


def answer_at_work(token: str, source: bytes, task: bytes, at_work: str) -> bytes:
    """Make a call, and let a process of the same machine know meanwhile which process does."""
    sign = Path(at_work, str(os.getpid()))
    if sign.parent.is_dir():
        sign.touch()
    try:
        return answer(token, source, task)
    finally:
        sign.unlink(missing_ok=True)


def _kill_workers(at_work: Path) -> None:
    """Kill the workers of this machine that say that they are at work for us."""
    for sign in at_work.iterdir():
        pid = int(sign.name)
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").startswith("ray::"):
                os.kill(pid, signal.SIGKILL)


def _imported() -> Any:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import ray
        except ImportError:
            raise MissingExtra("Ray is not installed: pip install 'corrida[ray]'") from None
    return ray


@contextlib.contextmanager
def _connected(ray: Any, address: str, jobs: int) -> Iterator[None]:
    with contextlib.ExitStack() as ends:
        ends.enter_context(_own_signals())
        ends.enter_context(_silenced())
        options: dict[str, Any] = {
            "logging_level": logging.ERROR,
            "log_to_driver": False,
            "configure_logging": True,
        }
        if address:
            options["address"] = _reachable(address)
            _use_token()
        else:
            _need_no_token_file()
            options |= {"address": "local", "include_dashboard": False, "num_cpus": jobs or _cores()}
            options |= ends.enter_context(_own_folder())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(**options)
        except ImportError as error:
            raise MissingExtra(
                f"Ray lacks what it takes to reach a cluster ({error}): pip install 'corrida[ray]'"
            ) from None
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            where = "on this machine" if address in {"", "auto"} else f"at ray://{address}"
            raise ClusterUnreachable(
                f"Ray does not answer {where} ({_first_line(error)}); look at `ray status` there, and whether it "
                "wants a token (RAY_AUTH_TOKEN); --executor ray starts one on this machine"
            ) from None
        ends.callback(_disconnect, ray)
        yield


def _use_token() -> None:
    """Show a cluster the token of this user, if there is one; Ray's client forgets that where no mode is set."""
    logging.getLogger("ray").setLevel(logging.ERROR)  # it would say that it does so
    with contextlib.suppress(ImportError, AttributeError):
        from ray._private.authentication import authentication_token_setup as setup

        setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _need_no_token_file() -> None:
    """Give a Ray of its own its token by a variable: else Ray makes one for ever in the home of the user."""
    there = Path.home() / ".ray" / "auth_token"
    if not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & {*os.environ} and not there.exists():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _disconnect(ray: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.shutdown()


def _reachable(address: str) -> str:
    """Return the address as Ray takes it, after a look whether something listens there: Ray itself tries for long."""
    if address == "auto":
        return address
    host, mark, port = address.rpartition(":")
    if not mark or not host or not port.isdigit():
        raise BadInput(f"ray://{address} is no address of a cluster; write it as ray://HOST:10001")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise ClusterUnreachable(
            f"nothing answers at ray://{address} ({getattr(error, 'strerror', None) or error}); "
            "is the cluster up, and is that the port of its client server (10001 by default)?"
        ) from None
    return f"ray://{address}"


@contextlib.contextmanager
def _own_folder() -> Iterator[dict[str, str]]:
    """Let Ray write its logs and sockets into a folder that goes when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="corrida-ray-"))
    try:
        yield {"_temp_dir": str(folder)} if len(str(folder)) <= _SOCKET_PATH else {}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keep what Ray says of dead workers off the terminal: the run says it, in one sentence.

    ``log_to_driver`` leaves these messages alone, and Ray has no other setting for them.
    """
    from ray._private import worker

    before = getattr(worker, "print_to_stdstream", None)
    if before is not None:
        worker.print_to_stdstream = _nothing
    try:
        yield
    finally:
        if before is not None:
            worker.print_to_stdstream = before


def _nothing(*_: object, **__: object) -> None:
    pass


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what a request to end does to this process: Ray puts its own handler in the place."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cause(error: Exception) -> str:
    causes = {"OutOfMemoryError": "the node ran out of memory", "NodeDiedError": "its node is gone"}
    return causes.get(type(error).__name__, "its process is gone")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]

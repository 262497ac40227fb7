"""Failpoints: each call by which an operation changes files, seen, counted, and made to fail or to be the last.

Every function of :mod:`os` that changes files, and :func:`open` for writing, is wrapped in a child process; the
product knows nothing of it. A dry run lists the calls below one folder. After that, for each of them in turn, a
child is killed there (:class:`Kill`), or the system refuses there (:class:`Fail`). An audit hook of the interpreter
watches that no change goes past the wrappers: what it sees outside of them is reported as ``unseen``.

The children are forks of a :class:`Warm` process, which has imported everything and started no thread, so that a
child costs milliseconds and finds no lock held by a thread that is not there. What a child does is a function of
``operations.py``, given by name.

SQLite changes its files from C and is not seen: the catalog is a cache, and has tests of its own.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import functools
import gc
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NamedTuple

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_SECONDS = 60


class Call(NamedTuple):
    """A call that changes files: its name, its paths relative to the folder that is watched, whether it succeeded."""

    name: str
    path: str
    to: str = ""
    done: bool = True

    @property
    def needs_room(self) -> bool:
        """Whether a full disk can refuse it; taking away and renaming work."""
        return self.name not in {"unlink", "rmdir", "chmod", "utime", "rename", "ftruncate", "truncate"}


@dataclass(frozen=True)
class Kill:
    """SIGKILL at the ``at``-th call: before it, after it, or amid it (a write of which one half was done)."""

    at: int
    when: Literal["before", "amid", "after"] = "before"


@dataclass(frozen=True)
class Fail:
    """The system refuses the ``at``-th call.

    Attributes:
        at: which, from 1.
        code: the error number.
        lasting: all later calls that need room are refused as well, and the first write does one half of its work
            before: what a full disk does.
        only: count only calls of this name.
    """

    at: int
    code: int = errno.ENOSPC
    lasting: bool = False
    only: str | None = None


Failpoint = Kill | Fail


class Watch:
    """The calls below ``place``, in order; one of them may be a failpoint."""

    def __init__(self, place: Path, failpoint: Failpoint | None = None) -> None:
        self.calls: list[Call] = []
        self.unseen: list[str] = []
        self._place = os.path.realpath(place)
        self._failpoint = failpoint
        self._lock = threading.RLock()
        self._inside = threading.local()
        self._count = 0
        self._failing = False

    def disarm(self) -> None:
        """Let all calls pass from now on: there is room on the disk again."""
        self._failpoint = None

    # -- what is wrapped ------------------------------------------------------------------------------------

    def install(self) -> None:
        """Wrap the functions of this process, for good: only for a child that ends soon."""
        os.open = self._wrapped(os.open, "open", self._of_open)  # type: ignore[assignment]
        for name in ("mkdir", "rmdir", "unlink", "remove", "truncate", "utime", "chmod"):
            called = "unlink" if name == "remove" else name
            setattr(os, name, self._wrapped(getattr(os, name), called, self._of_path))
        for name in ("rename", "replace", "link", "symlink"):
            called = "rename" if name == "replace" else name
            setattr(os, name, self._wrapped(getattr(os, name), called, self._of_two_paths))
        for name in ("write", "pwrite", "writev", "fsync", "fdatasync", "ftruncate", "posix_fallocate"):
            setattr(os, name, self._wrapped(getattr(os, name), name, self._of_descriptor))
        for name in ("sendfile", "copy_file_range"):
            setattr(os, name, self._wrapped(getattr(os, name), name, self._of_copy))
        builtins.open = io.open = self._opened(io.open)  # type: ignore[assignment]
        sys.addaudithook(self._audit)

    def _wrapped(self, real: Callable[..., Any], name: str, paths: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(real)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            found = paths(*args, **kwargs)
            if found is None or getattr(self._inside, "now", False):
                return real(*args, **kwargs)
            return self._pass(Call(name, *found), real, args, kwargs)

        return wrapper

    def _opened(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def opener(file: Any, mode: str = "r", buffering: int = -1, *args: Any, **kwargs: Any) -> Any:
            writes = any(letter in mode for letter in "wxa+")
            if not writes or isinstance(file, int) or self._of_path(file) is None:
                return real(file, mode, buffering, *args, **kwargs)
            if "b" not in mode:
                raise NotImplementedError("a file of text is opened for writing: teach the failpoints that")
            flags = next(_FLAGS[letter] for letter in mode if letter in _FLAGS)
            raw = _SeenFile(os.open(file, flags | (os.O_RDWR if "+" in mode else os.O_WRONLY), 0o666), mode)
            if buffering == 0:
                return raw
            return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)

        return opener

    # -- which paths a call concerns; None when none of them is watched ---------------------------------------

    def _name(self, path: Any, dir_fd: int | None = None) -> str | None:
        text = os.fsdecode(path)
        if dir_fd is not None and not os.path.isabs(text):
            text = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), text)
        parent, name = os.path.split(os.path.abspath(text))
        whole = os.path.join(os.path.realpath(parent), name)
        return os.path.relpath(whole, self._place) if whole.startswith(self._place + os.sep) else None

    def _of_open(self, path: Any, flags: int, *_: Any, dir_fd: int | None = None) -> tuple[str] | None:
        return self._of_path(path, dir_fd=dir_fd) if flags & _WRITING else None

    def _of_path(self, path: Any, *_: Any, dir_fd: int | None = None, **__: Any) -> tuple[str] | None:
        if isinstance(path, int):
            return self._of_descriptor(path)
        name = self._name(path, dir_fd)
        return None if name is None else (name,)

    def _of_two_paths(
        self,
        source: Any,
        target: Any,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
        **_: Any,
    ) -> tuple[str, str] | None:
        one, two = self._name(source, src_dir_fd), self._name(target, dst_dir_fd)
        return None if two is None and one is None else (one or "(outside)", two or "(outside)")

    def _of_descriptor(self, fd: int, *_: Any, **__: Any) -> tuple[str] | None:
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            return None
        if path == self._place:
            return (".",)
        if not path.startswith(self._place + os.sep):
            return None
        return (os.path.relpath(path, self._place),)

    def _of_copy(self, one: int, two: int, *_: Any, **__: Any) -> tuple[str] | None:
        return self._of_descriptor(one) or self._of_descriptor(two)

    # -- what happens at a call -------------------------------------------------------------------------------

    def _pass(self, call: Call, real: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        with self._lock:
            self._inside.now = True
            try:
                self.calls.append(call._replace(done=False))
                short = self._before(call, args)
                done = real(*args, **kwargs) if short is None else short
                self.calls[-1] = call
                if self._failpoint == Kill(self._count, "after"):
                    _die()
                return done
            finally:
                self._inside.now = False

    def _before(self, call: Call, args: tuple[Any, ...]) -> int | None:
        """Count a call, and do what is to happen at it; return the result of a write that is cut short."""
        point = self._failpoint
        if isinstance(point, Fail) and point.only not in {None, call.name}:
            return None
        self._count += 1
        if isinstance(point, Kill) and point.at == self._count:
            if point.when == "before":
                _die()
            if point.when == "amid" and call.name == "write":
                _real_write(args[0], args[1][: len(args[1]) // 2])
                _die()
        if isinstance(point, Fail):
            first = point.at == self._count
            if first and point.lasting:
                self._failing = True
                if call.name == "write" and len(args[1]) > 1:
                    return _real_write(args[0], args[1][: len(args[1]) // 2])
            if (first or self._failing) and (call.needs_room or not point.lasting):
                raise OSError(point.code, os.strerror(point.code), call.path)
        return None

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if getattr(self._inside, "now", False) or event not in _EVENTS:
            return
        if event == "open" and (not isinstance(args[2], int) or not args[2] & _WRITING):
            return
        if isinstance(args[0], str | bytes) or hasattr(args[0], "__fspath__"):
            self._inside.now = True
            try:
                name = self._name(args[0])
            finally:
                self._inside.now = False
            if name is not None:
                self.unseen.append(f"{event} {name}")


_EVENTS = {
    "open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.symlink", "os.truncate", "os.chmod",
    "os.utime", "os.chown",
}  # fmt: skip
_FLAGS = {"r": 0, "w": os.O_CREAT | os.O_TRUNC, "x": os.O_CREAT | os.O_EXCL, "a": os.O_CREAT | os.O_APPEND}
_real_write = os.write


class _SeenFile(io.FileIO):
    """A file whose writes go through :func:`os.write`, where they are seen."""

    def write(self, data: Any, /) -> int:
        return os.write(self.fileno(), data)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


# -- processes --------------------------------------------------------------------------------------------------


@dataclass
class Task:
    """What a child does.

    Attributes:
        operation: a function of operations.py.
        arguments: for it.
        failpoint: where to kill it or refuse it.
        watch: the folder whose changes count; nothing is wrapped when None.
    """

    operation: str
    arguments: tuple[Any, ...] = ()
    failpoint: Failpoint | None = None
    watch: Path | None = None


@dataclass
class Outcome:
    """How a child ended.

    Attributes:
        killed: by its failpoint.
        result: what the operation returned.
        error: class name, exit code and sentence, when it raised one of corrida's errors.
        crash: the traceback of any other error, or how the process ended.
        calls: those that changed files.
        unseen: changes that went past the wrappers.
    """

    killed: bool = False
    result: Any = None
    error: tuple[str, int, str] | None = None
    crash: str = ""
    calls: list[Call] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


# Under the name that this module has here: what is sent to and fro is found by it.
_START = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location(sys.argv[1], sys.argv[2])
module = sys.modules[sys.argv[1]] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.serve(*sys.argv[3:])
"""


class Warm:
    """A process that has imported what ``operations.py`` needs, and forks a child for every task."""

    def __init__(self, operations: Path) -> None:
        ours, theirs = os.pipe2(0), os.pipe2(0)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, __name__, __file__, str(operations), str(ours[0]), str(theirs[1])],
            pass_fds=(ours[0], theirs[1]),
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._send, self._receive = Connection(ours[1], readable=False), Connection(theirs[0], writable=False)

    def close(self) -> None:
        """End the process."""
        self._send.close()
        self._receive.close()
        self._process.wait(timeout=30)

    def together(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Do all tasks, each in its own child, at once, in the working folder and environment of this process."""
        self._send.send((list(tasks), str(Path.cwd()), dict(os.environ)))
        found: list[Outcome] = self._receive.recv()
        return found

    def do(
        self, operation: str, *arguments: Any, failpoint: Failpoint | None = None, watch: Path | None = None
    ) -> Outcome:
        """Do one task; anything but success, one of corrida's errors or the wanted kill is raised."""
        (outcome,) = self.together([Task(operation, arguments, failpoint, watch)])
        assert not outcome.crash, outcome.crash
        assert not outcome.unseen, outcome.unseen
        return outcome

    def tell(self, operation: str, *arguments: Any) -> Any:
        """Do one task, which must succeed, and return its result."""
        outcome = self.do(operation, *arguments)
        assert outcome.error is None, outcome.error
        return outcome.result


def serve(operations: str, receiver: str, sender: str) -> None:
    """Be the warm process: take tasks from one pipe and answer through the other, until the first is closed."""
    import importlib.util

    receive, send = Connection(int(receiver), writable=False), Connection(int(sender), readable=False)
    spec = importlib.util.spec_from_file_location("operations", operations)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["operations"] = module
    spec.loader.exec_module(module)
    assert threading.active_count() == 1, "a fork would lose a thread"
    gc.freeze()  # the children share what is there now
    with contextlib.suppress(EOFError):
        while True:
            tasks, folder, environment = receive.recv()
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
            send.send(_together(module, tasks))


def _together(module: Any, tasks: Sequence[Task]) -> list[Outcome]:
    gate, opener = os.pipe()
    children = []
    for task in tasks:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(opener)
            os.close(reader)
            os.read(gate, 1)  # until the parent closes it: all start at once
            _child(module, task, writer)
        os.close(writer)
        children.append((pid, reader, task))
    os.close(gate)
    os.close(opener)
    return [_ended(*child) for child in children]


def _ended(pid: int, reader: int, task: Task) -> Outcome:
    with os.fdopen(reader, "rb") as file:
        said = file.read()
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        wanted = os.WTERMSIG(status) == signal.SIGKILL and isinstance(task.failpoint, Kill)
        return Outcome(killed=wanted, crash="" if wanted else f"ended by signal {os.WTERMSIG(status)}")
    try:
        found: Outcome = pickle.loads(said)
    except (EOFError, pickle.UnpicklingError):
        return Outcome(crash=f"ended without a word, with {os.WEXITSTATUS(status)}")
    return found


def _child(module: Any, task: Task, writer: int) -> None:
    signal.alarm(_SECONDS)
    outcome = Outcome()
    watch = Watch(task.watch, task.failpoint) if task.watch else None
    try:
        work = getattr(module, task.operation)
        if watch is not None:
            work = functools.partial(work, watch)
        outcome.result = work(*task.arguments)
    except BaseException as error:  # noqa: BLE001 - told to the parent
        if isinstance(error, module.CorridaError):
            outcome.error = (type(error).__name__, error.exit_code, str(error))
        else:
            outcome.crash = traceback.format_exc()
    if watch is not None:
        outcome.calls, outcome.unseen = watch.calls, watch.unseen
    data = pickle.dumps(outcome)
    while data:
        data = data[_real_write(writer, data) :]
    os._exit(0)

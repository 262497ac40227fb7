"""Keeps the process that scores: when it or its worker ends, all that it has started ends as well.

A signal reaches a process, a session or a group, and a model may start processes that leave all three. This one adopts
every orphan below it, which only Linux knows (``PR_SET_CHILD_SUBREAPER``, prctl(2)), and so finds them. It is a process of its
own since the one that scores may be stuck in native code, and the worker may be killed. It uses the standard library alone
and is started as a file, without ``site``: it costs some 20 ms and 8 MB.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from typing import NoReturn

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LONGEST_SECONDS = 4.0


def main() -> NoReturn:
    """Start ``corrida.inference.child``, end when it ends or on SIGTERM, and say how it ended."""
    parent, requests, replies, *more = sys.argv[1:]
    wanted = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        os._exit(1)
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "corrida.inference.child", requests, replies, str(os.getpid()), *more],
        os.environ,
        setsigmask=[],
    )
    os.close(int(requests))  # who reads from the child must hear when it is gone
    os.close(int(replies))
    ended: int | None = None
    while ended is None and signal.sigwait(wanted) != signal.SIGTERM:
        ended = _reap(child)
    _end_as(_end_all(child) if ended is None else _end_all(child, ended))


def _reap(child: int) -> int | None:
    """Take leave of all that have ended, and return how the child did if it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status


def _end_all(child: int, ended: int | None = None) -> int | None:
    """Kill all below, and those that become ours when their parents die; return how the child ended."""
    end = time.monotonic() + _LONGEST_SECONDS
    while (below := _below()) and time.monotonic() < end:
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:  # gone, or another user's
                continue
        time.sleep(0.002)
        found = _reap(child)
        ended = found if ended is None else ended
    return ended


def _below() -> list[int]:
    """Return the processes whose parent this one is."""
    me = os.getpid()
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            if parent == me:
                found.append(int(name))
    return found


def _end_as(status: int | None) -> NoReturn:
    """End as the child did, so that the worker can say how."""
    if status is not None and os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(1 if status is None else os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()

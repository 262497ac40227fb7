"""The server of the viewer: one process, until it is told to end."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable, Iterable
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from corrida.errors import BadInput
from corrida.inference.access import is_loopback
from corrida.inference.connection import Connection, make_room
from corrida.web.guard import Guard, new_token
from corrida.web.viewer import create_viewer

if TYPE_CHECKING:
    from corrida.project import Project

DEFAULT_PORT = 8765


def serve_pages(
    project: Project,
    host: str,
    port: int,
    *,
    names: Iterable[str] = (),
    write: bool = False,
    ready: Callable[[str], None],
) -> int:
    """Serve the pages of a project's store until a signal ends that.

    Args:
        project: whose store is shown.
        host: the address to listen on; beyond loopback a token is asked for.
        port: of it; 0 takes a free one, and so does the default where it is taken.
        names: other names by which the pages may be called.
        write: whether the pages may change something.
        ready: called with the address, once it answers.

    Returns:
        The exit code.

    Raises:
        BadInput: the address is taken, or not of this machine.
    """
    token = "" if is_loopback(host) else new_token()
    viewer = create_viewer(project, write=write)
    app = Guard(viewer, host, names, token)
    with _listen(host, port) as listening:
        address, number = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        make_room()
        config = uvicorn.Config(
            app, http=_Connection, ws="none", log_config=None, access_log=False, server_header=False,
            proxy_headers=False, timeout_graceful_shutdown=2,
        )  # fmt: skip
        ready(f"http://{shown}:{number}/" + (f"?token={token}" if token else ""))
        for ending in (signal.SIGTERM, signal.SIGINT):
            # uvicorn has its own while it runs, and raises the signal again afterwards: this is how a viewer ends.
            signal.signal(ending, _nothing)
        _Server(config, viewer.state.live.close).run(sockets=[listening])
    return 0


def _nothing(number: int, frame: FrameType | None) -> None:
    """Let a signal pass that was answered."""


class _Connection(Connection):
    """A connection whose refusals are for people."""

    def refusal(self, status: int, code: str, sentence: str) -> tuple[dict[str, str], bytes]:
        """Return headers and body of an answer to what never became a request."""
        del status, code
        return {"content-type": "text/plain; charset=utf-8"}, f"{sentence}\n".encode()


class _Server(uvicorn.Server):
    """A server that first ends what it sends without an end: else it would wait for the readers to go away."""

    def __init__(self, config: uvicorn.Config, before_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_end = before_end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Answer a signal."""
        self._before_end()
        super().handle_exit(sig, frame)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        try:
            listening = socket.create_server(address[:2], family=family, backlog=128)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port != DEFAULT_PORT:
                raise
            listening = socket.create_server((address[0], 0), family=family, backlog=128)
        # asyncio does so only for sockets that name their protocol; without it an answer in two pieces waits 40 ms.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(
            f"the viewer cannot listen on {host} port {port}: {why}; choose another with --port"
        ) from None
    return listening

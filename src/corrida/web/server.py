"""The server of the viewer: one process, until it is told to end."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable, Iterable
from types import FrameType
from typing import TYPE_CHECKING

from corrida.errors import BadInput
from corrida.inference.access import is_loopback
from corrida.inference.connection import Connection, make_room
from corrida.inference.listening import Server, address_of, open_socket
from corrida.web.guard import Guard, new_token
from corrida.web.viewer import create_viewer

if TYPE_CHECKING:
    from corrida.project import Project

DEFAULT_PORT = 8765
_END_SECONDS = 2


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
        make_room()
        ready(f"{address_of(listening)}/" + (f"?token={token}" if token else ""))
        for ending in (signal.SIGTERM, signal.SIGINT):
            # uvicorn has its own while it runs, and raises the signal again afterwards: this is how a viewer ends.
            signal.signal(ending, _nothing)
        Server(app, _Connection, _END_SECONDS, viewer.state.live.close).run(sockets=[listening])
    return 0


def _nothing(number: int, frame: FrameType | None) -> None:
    """Let a signal pass that was answered."""


class _Connection(Connection):
    """A connection whose refusals are for people."""

    def refusal(self, status: int, code: str, sentence: str) -> tuple[dict[str, str], bytes]:
        """Return headers and body of an answer to what never became a request."""
        del status, code
        return {"content-type": "text/plain; charset=utf-8"}, f"{sentence}\n".encode()


def _listen(host: str, port: int) -> socket.socket:
    try:
        try:
            return open_socket(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port != DEFAULT_PORT:
                raise
            return open_socket(host, 0)
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(
            f"the viewer cannot listen on {host} port {port}: {why}; choose another with --port"
        ) from None

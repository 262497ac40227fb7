"""How the servers of this project listen and end, that of the API and that of the pages alike."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from corrida.inference.connection import Connection


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: a name or an address of this machine.
        port: of it; 0 takes a free one.

    Raises:
        OSError: the address is taken, or not of this machine.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    listening = socket.create_server(address[:2], family=family, backlog=512)
    # asyncio does so only for sockets that name their protocol; without it an answer in two pieces waits 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def address_of(listening: socket.socket) -> str:
    """Return the address under which a socket is called by HTTP."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """A server that first ends what is sent without an end: else it would wait for the readers to go away."""

    def __init__(
        self, app: ASGIApp, connection: type[Connection], grace: int, before_end: Callable[[], None]
    ) -> None:
        """Prepare to serve.

        Args:
            app: what answers.
            connection: how each connection is held.
            grace: seconds that requests under way have when the server is told to end.
            before_end: ends what is sent without an end.
        """
        config = uvicorn.Config(
            app, http=connection, ws="none", log_config=None, access_log=False, server_header=False,
            proxy_headers=False, timeout_graceful_shutdown=grace,
        )  # fmt: skip
        super().__init__(config)
        self._before_end = before_end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Answer a signal."""
        self._before_end()
        super().handle_exit(sig, frame)

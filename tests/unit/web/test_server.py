"""How the viewer listens."""

from __future__ import annotations

import socket

from corrida.web.server import _listen


def test_answers_are_not_held_back() -> None:
    with _listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:  # what it accepts takes the option over
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

"""Messages to an MLflow that may be away: sent in their order by a thread of its own, and repeated while it is away."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from corrida.bridges.mlflow.client import is_temporary, reason

_PAUSES = (0.5, 1.0, 2.0, 5.0)


class Message(NamedTuple):
    """What is to be sent, in words, and the call that sends it; a call that failed may be made again."""

    what: str
    send: Callable[[], None]


class Outbox:
    """Sends messages one after another, while the caller goes on with its work.

    What MLflow declines is left out and kept in :attr:`declined`. While nobody answers there, the first message is tried
    again, with pauses of at most five seconds, and the others wait behind it.
    """

    def __init__(self) -> None:
        """Begin with nothing to send."""
        self.declined: list[str] = []
        self.away = ""
        self.sent = 0
        self._waiting: deque[Message] = deque()
        self._changed = threading.Condition()
        self._until: float | None = None
        self._thread = threading.Thread(target=self._work, name="corrida-mlflow", daemon=True)
        self._thread.start()

    def put(self, what: str, send: Callable[[], None]) -> None:
        """Send a message when those before it are sent; returns at once."""
        with self._changed:
            self._waiting.append(Message(what, send))
            self._changed.notify_all()

    def finish(self, seconds: float) -> list[str]:
        """Wait until all is sent, but not longer than ``seconds``.

        Returns:
            What was not sent, in words.
        """
        with self._changed:
            self._until = time.monotonic() + seconds
            self._changed.notify_all()
        self._thread.join(seconds + 1)
        with self._changed:
            left = [message.what for message in self._waiting]
            self._waiting.clear()
        return left

    def _work(self) -> None:
        failures = 0
        while True:
            with self._changed:
                while not self._waiting:
                    if self._until is not None:
                        return
                    self._changed.wait()
                message = self._waiting[0]
            try:
                message.send()
            except Exception as error:  # noqa: BLE001 - whatever MLflow raises, the search goes on
                if is_temporary(error):
                    self.away = reason(error)
                    if not self._pause(_PAUSES[min(failures, len(_PAUSES) - 1)]):
                        return
                    failures += 1
                    continue
                self.declined.append(f"{message.what}: {reason(error)}")
            else:
                self.sent += 1
                self.away = ""
            failures = 0
            with self._changed:
                if self._waiting and self._waiting[0] is message:
                    self._waiting.popleft()
                elif self._until is not None:
                    return

    def _pause(self, seconds: float) -> bool:
        """Wait before the next try; return False when the time for all is up."""
        end = time.monotonic() + seconds
        with self._changed:
            while (left := end - time.monotonic()) > 0:
                if self._until is not None and time.monotonic() >= self._until:
                    return False
                until = left if self._until is None else min(left, self._until - time.monotonic())
                self._changed.wait(max(0.01, until))
            return self._until is None or time.monotonic() < self._until

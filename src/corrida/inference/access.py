"""Who may call the API, how often, and under which names: decisions without a clock or a network of their own."""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

_MOST_CALLERS = 10_000
_LOCAL = ("localhost", "127.0.0.1", "::1")


class RateLimit:
    """Calls a minute for each caller: a bucket that holds as many calls as a minute allows, and fills evenly.

    Counted in this process: behind several servers each of them grants its own.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Count by a clock in seconds that never goes back."""
        self._clock = clock
        self._callers: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, per_minute: int) -> float:
        """Take one call.

        Returns:
            0.0, or the seconds to wait when there is none.
        """
        now = self._clock()
        left, when = self._callers.pop(caller, (float(per_minute), now))
        left = min(float(per_minute), left + (now - when) * per_minute / 60)
        waits = left < 1
        self._callers[caller] = (left if waits else left - 1, now)
        if len(self._callers) > _MOST_CALLERS:
            self._callers.popitem(last=False)  # whoever called least lately has a full bucket by now
        return (1 - left) * 60 / per_minute if waits else 0.0


def is_loopback(host: str) -> bool:
    """Tell whether what listens on ``host`` is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Names:
    """Under which names the API may be called.

    A page of another site can make a browser call a name of its own that leads here (DNS rebinding), or send a form here.
    The header Host names the first, Origin the second.
    """

    def __init__(self, host: str, more: Iterable[str] = ()) -> None:
        """Allow the names of this machine as far as ``host`` is reached, and ``more``."""
        self._loopback = is_loopback(host)
        names = {*_LOCAL, host.strip("[]").lower(), *(name.strip("[]").lower() for name in more)}
        if not self._loopback:
            names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        self._names = names

    def allows(self, authority: str) -> bool:
        """Tell whether a call may be made to a host, as the header Host names it."""
        try:
            parts = urlsplit(f"//{authority}")
            parts.port  # noqa: B018 - raises where it is none
        except ValueError:
            return False
        if parts.netloc != authority or "@" in authority:
            return False
        host = (parts.hostname or "").rstrip(".")
        return host in self._names or (not self._loopback and _is_address(host))

    def allows_origin(self, origin: str) -> bool:
        """Tell whether a page may call, as the header Origin names it."""
        scheme, separator, authority = origin.partition("://")
        return bool(separator) and scheme in {"http", "https"} and self.allows(authority)


def _is_address(host: str) -> bool:
    """An address cannot be rebound."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True

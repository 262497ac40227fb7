"""Forms that change something: only those of our own pages count, and each of them once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from corrida.errors import CorridaError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

MOST_BYTES = 64_000
SECONDS = 10.0
"""How long a form may take to come in."""
_MOST_FIELDS = 50
_MOST_DONE = 1_000
_COOKIE = "corrida_session"
_SESSION = re.compile(r"[\w-]{43}\Z", re.ASCII)
_FORM = "application/x-www-form-urlencoded"


class BadForm(CorridaError):
    """A form that is not taken; ``status`` is that of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Done(NamedTuple):
    """What a form did.

    Attributes:
        address: the page to look at next.
        message: what is said there.
        undo: name of the operation that can be taken back; empty when none can.
    """

    address: str
    message: str
    undo: str = ""


class Session(NamedTuple):
    """Whose browser it is: the value of a cookie, the key that its forms hold, and whether the cookie is yet to be set."""

    id: str
    key: str
    new: bool

    def remember(self, answer: Response, request: Request) -> None:
        """Set the cookie, where the browser has none."""
        if self.new:
            answer.set_cookie(
                _COOKIE, self.id, httponly=True, samesite="strict", secure=request.url.scheme == "https"
            )


class Forms:
    """The forms of one viewer.

    A form holds a key, which is made of the cookie of its browser and of a secret of this process: a page of another site can
    neither read the key nor compute it. It also has a name of its own, so that a form that is sent twice is carried
    out once.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._done: OrderedDict[tuple[str, str], Done] = OrderedDict()
        self._lock = threading.Lock()

    def session(self, request: Request) -> Session:
        """Return the session of a browser; a new one where it has none."""
        known = request.cookies.get(_COOKIE, "")
        if _SESSION.match(known):
            return Session(known, self._key(known), new=False)
        fresh = secrets.token_urlsafe(32)
        return Session(fresh, self._key(fresh), new=True)

    def check(self, request: Request, form: Mapping[str, str]) -> Session:
        """Return the session that a form belongs to.

        Raises:
            BadForm: it is not of this browser, or not of one of our pages.
        """
        session = self.session(request)
        if session.new or not hmac.compare_digest(form.get("key", "").encode(), session.key.encode()):
            raise BadForm(403, "this form is not of this session; load its page again, and send it once more")
        return session

    def once(self, session: Session, form: Mapping[str, str], act: Callable[[], Done]) -> Done:
        """Carry a form out, unless that was done; one after another.

        Args:
            session: as checked.
            form: with its name.
            act: carries it out; what it raises leaves the form open.
        """
        name = (session.id, form.get("once", ""))
        with self._lock:
            if name in self._done:
                return self._done[name]
            done = act()
            if name[1]:
                self._done[name] = done
            if len(self._done) > _MOST_DONE:
                self._done.popitem(last=False)
            return done

    def said(self, request: Request, name: str) -> Done | None:
        """Return what the form of a name did, for the browser that sent it."""
        return self._done.get((request.cookies.get(_COOKIE, ""), name)) if name else None

    def _key(self, session: str) -> str:
        return hmac.new(self._secret, session.encode(), hashlib.sha256).hexdigest()


def new_name() -> str:
    """Return the name of a form."""
    return secrets.token_urlsafe(12)


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form; of several of the same name the last.

    Raises:
        BadForm: it is no form, or too large.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise BadForm(415, "only forms of these pages are taken here")
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MOST_BYTES:
                    raise BadForm(413, f"a form may hold {MOST_BYTES // 1000} kB; this one is larger")
    except TimeoutError:
        raise BadForm(408, f"this form did not come in whole within {SECONDS:g} s; send it again") from None
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise BadForm(400, "this form cannot be read") from None
    return {name: text.replace("\r\n", "\n") for name, text in pairs}

"""The door of pages that a key of the API opens: a page asks for the key once, and a cookie stands for it from then on."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from corrida.inference.access import RateLimit
from corrida.web.forms import BadForm, read_form

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from corrida.inference.keys import Key
    from corrida.web.pages import Pages

DOOR = "/key"
_COOKIE = "corrida_key"
_OPEN = "/static/"
_HOURS_12 = 12 * 3600.0
_RECHECK = 5.0
_MOST = 1_000
_TRIES = 20
_NO_KEY = "this key opens no pages: it is not one that sees all, or was revoked"


class _Guest(NamedTuple):
    """Somebody who showed a key: the key, until when the cookie stands for it, and when the key was looked up last."""

    text: str
    until: float
    looked: float


class Entrance:
    """An ASGI application before the pages of ``corrida serve``.

    Only keys that see the analyses of all open the pages, since the pages show them all. A key that is revoked opens nothing
    within seconds. The cookie holds no key, and stands for one as long as this process lives, at most 12 hours.
    """

    def __init__(
        self,
        app: ASGIApp,
        pages: Pages,
        find: Callable[[str], Key | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Stand before ``app``.

        Args:
            app: the pages.
            pages: writes the page that asks.
            find: returns the key whose text this is; None when it opens nothing.
            clock: in seconds, never goes back.
        """
        self._app, self._pages, self._find, self._clock = app, pages, find, clock
        self._guests: OrderedDict[str, _Guest] = OrderedDict()
        self._lock = threading.Lock()
        self._rates = RateLimit(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call."""
        if scope["type"] != "http" or scope["path"].startswith(_OPEN):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        answer: ASGIApp
        if scope["path"] == DOOR and scope["method"] == "POST":
            answer = await self._try(request)
        elif await run_in_threadpool(self._knows, request.cookies.get(_cookie_name(scope), "")):
            answer = self._app
        else:
            answer = self._ask(_place(request), status=401)
        await answer(scope, receive, send)

    async def _try(self, request: Request) -> Response:
        client = request.client.host if request.client else ""
        if self._rates.take(client, _TRIES) > 0:
            return self._ask("/", "too many tries; wait a minute", 429)
        try:
            form = await read_form(request)
        except BadForm as error:
            return self._ask("/", str(error), error.status)
        place, text = _inside(form.get("place", "/")), form.get("key", "").strip()
        key = await run_in_threadpool(self._find, text)
        if key is None or not key.sees_all:
            return self._ask(place, _NO_KEY, 401)
        now = self._clock()
        guest = secrets.token_urlsafe(32)
        with self._lock:
            self._guests[guest] = _Guest(text, now + _HOURS_12, now)
            if len(self._guests) > _MOST:
                self._guests.popitem(last=False)
        answer = RedirectResponse(place, status_code=303)
        answer.set_cookie(
            _cookie_name(request.scope), guest, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    def _knows(self, name: str) -> bool:
        """Tell whether a cookie stands for a key that still opens."""
        now = self._clock()
        with self._lock:
            guest = self._guests.get(name)
            if guest is not None and now > guest.until:
                del self._guests[name]
                return False
        if guest is None:
            return False
        if now - guest.looked < _RECHECK:
            return True
        key = self._find(guest.text)
        opens = key is not None and key.sees_all
        with self._lock:
            if opens:
                self._guests[name] = guest._replace(looked=now)
            else:
                self._guests.pop(name, None)
        return opens

    def _ask(self, place: str, problem: str = "", status: int = 200) -> Response:
        text = _template().render(
            style=self._pages.asset("style.css"), mark=self._pages.asset("mark.svg"),
            door=f"{self._pages.base}{DOOR}", place=place, problem=problem,
        )  # fmt: skip
        return HTMLResponse(text, status, headers={"cache-control": "no-store"})


def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("corrida.web")
    return jinja2.Environment(loader=loader, autoescape=True).get_template("key.html.jinja")


def _place(request: Request) -> str:
    """Return the page that was asked for, to go there once the key was shown."""
    if request.method != "GET" or request.scope["path"] == DOOR:
        return "/"
    return _inside(request.url.path + (f"?{request.url.query}" if request.url.query else ""))


def _inside(place: str) -> str:
    """Return an address of these pages; what could lead to another site leads to the first page."""
    bad = not place.startswith("/") or place[1:2] in {"/", "\\"} or any(ord(c) < 0x21 for c in place)
    return "/" if bad else place


def _cookie_name(scope: Scope) -> str:
    server = scope.get("server")
    return f"{_COOKIE}_{server[1]}" if server else _COOKIE

"""What goes before every page: who may read it, under which name, and what a browser may do with the answer."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse

from corrida.inference.access import Names

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_COOKIE = "corrida_token"


class Guard:
    """An ASGI application before the pages.

    A page of another site may send a browser to a name of its own that leads here, or send a form here: Host and Origin
    tell. Beyond loopback a token is asked for, as part of the first address and then as a cookie.
    """

    def __init__(self, app: ASGIApp, host: str, names: Iterable[str] = (), token: str = "") -> None:
        """Guard ``app``.

        Args:
            app: the pages.
            host: the address that is listened on.
            names: other names by which the pages may be called.
            token: what a reader must know; empty for none.
        """
        self._app, self._names, self._token = app, Names(host, names), token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answer.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        if [*map(self._names.allows, headers.getlist("host"))] != [True]:
            return _refused(
                "this name does not lead to these pages; start with --allow-host NAME to allow it"
            )
        host = headers.get("host", "")
        own = all(self._is_own(origin, host) for origin in headers.getlist("origin"))
        if not own or _is_of_another_site(scope["method"], headers):
            return _refused("a page of another site may not call this one")
        return self._asks_token(scope, headers) if self._token else None

    def _is_own(self, origin: str, host: str) -> bool:
        """Tell whether a page is one of ours: a script on another port of this machine is not."""
        try:
            return urlsplit(origin).netloc.lower() == host.lower()
        except ValueError:
            return False

    def _asks_token(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        given = query.get("token", [""])[0]
        if given and self._fits(given):
            # Two slashes at the beginning would be the name of another host.
            answer = RedirectResponse("/" + scope["path"].lstrip("/"), status_code=303)
            secure = scope["scheme"] == "https"
            answer.set_cookie(_cookie_name(scope), given, httponly=True, samesite="strict", secure=secure)
            return answer
        if self._fits(cookie_parser(headers.get("cookie", "")).get(_cookie_name(scope), "")):
            return None
        return _refused("open the address that `corrida ui` printed: it holds the token", 401)

    def _fits(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(24)


def _is_of_another_site(method: str, headers: Headers) -> bool:
    """Tell whether a browser says that another site asks: it may lead a person here, and nothing else."""
    site = headers.get("sec-fetch-site", "same-origin")
    if method not in {"GET", "HEAD"}:
        return site != "same-origin"
    leads = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return site not in {"same-origin", "none"} and not leads


def _cookie_name(scope: Scope) -> str:
    """Return the name of the cookie: browsers send the cookies of a host to each of its ports."""
    server = scope.get("server")
    return f"{_COOKIE}_{server[1]}" if server else _COOKIE


def _refused(why: str, status: int = 403) -> ASGIApp:
    return PlainTextResponse(f"{why}\n", status)

"""Markdown of a run as HTML that can do nothing: no HTML of its own, no scripts, pictures of the run alone."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it.token import Token

MOST_BYTES = 200_000
_OUTWARD = frozenset({"http", "https", "mailto"})


def render_markdown(text: str, name: str, view: str, raw: str) -> Markup:
    """Return Markdown as HTML.

    Args:
        text: what was written.
        name: of the file in the run; links and pictures are relative to it.
        view: address before the name of a file, of the page that shows it.
        raw: likewise, of the file itself.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
    tokens = parser.parse(text)
    _rank_headings(tokens)
    _tame(tokens, lambda link: _link(link, name, view), lambda link: _own(link, name, raw))
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - HTML is off, addresses are checked


def _rank_headings(tokens: Sequence[Token]) -> None:
    """Put headings below those of the page; a level that the text leaves out is left out."""
    headings = [token for token in tokens if token.type in {"heading_open", "heading_close"}]
    levels = sorted({token.tag for token in headings})
    for token in headings:
        token.tag = f"h{min(levels.index(token.tag) + 3, 6)}"


def _tame(
    tokens: Sequence[Token], link: Callable[[str], str | None], picture: Callable[[str], str | None]
) -> None:
    for token in tokens:
        if "style" in token.attrs:  # of aligned columns; the policy takes classes only
            side = str(token.attrs.pop("style")).rpartition(":")[2]
            if side in {"right", "center"}:
                token.attrSet("class", side)
        if token.type == "link_open":
            leads = link(str(token.attrs.pop("href", "")))
            if leads is not None:
                token.attrSet("href", leads)
                token.attrSet("rel", "noopener noreferrer nofollow")
        if token.type == "image":
            source = picture(str(token.attrs.pop("src", "")))
            if source is None:
                token.type, token.tag = "text", ""
                token.content = f"[picture: {token.content or 'not of this run'}]"
            else:
                token.attrSet("src", source)
        _tame(token.children or (), link, picture)


def _link(address: str, name: str, view: str) -> str | None:
    try:
        scheme = urlsplit(address).scheme.lower()
    except ValueError:
        return None
    return address if scheme in _OUTWARD else _own(address, name, view)


def _own(address: str, name: str, before: str) -> str | None:
    """Return the address of a file of the run; None for any other."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme or parts.netloc or not parts.path or parts.path.startswith(("/", "\\")):
        return None
    place = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path)))
    return None if place.startswith("..") else f"{before}{quote(place)}"

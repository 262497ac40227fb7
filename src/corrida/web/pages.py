"""Pages from templates: how values are written, and errors that are pages too."""

from __future__ import annotations

import functools
import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup
from starlette.responses import HTMLResponse

from corrida import __version__
from corrida.runs.numbers import duration_text, format_number
from corrida.runs.plain import printable
from corrida.web.forms import new_name

if TYPE_CHECKING:
    from starlette.requests import Request

    from corrida.web.forms import Forms

NAVIGATION = (
    ("runs", "/", "Runs"),
    ("explore", "/explore", "Explore"),
    ("aliases", "/aliases", "Aliases"),
    ("serving", "/serving", "Serving"),
)


class Pages:
    """Writes pages.

    Attributes:
        base: what stands before every path, such as ``/runs-of-may`` behind a proxy; empty at the root.
        title: of the store, in the head of every page.
    """

    def __init__(self, title: str, *, base: str = "", write: bool = False, forms: Forms) -> None:
        """Load the templates."""
        self.base, self.title = base, title
        self._write, self._forms = write, forms
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("corrida.web"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            finalize=_written,
        )
        self._environment.filters |= {
            "value": value,
            "when": when,
            "lasted": duration_text,
            "segment": segment,
            "size": size_text,
            "path": path,
            "breakable": breakable,
            "commands": commands,
            "grouped": grouped,
        }
        self._environment.globals |= {
            "base": base, "store": title, "write": write, "version": __version__, "navigation": NAVIGATION,
            "asset": self.asset, "vega": self.vega, "form_name": new_name,
        }  # fmt: skip

    def page(
        self,
        request: Request,
        template: str,
        content: Mapping[str, Any],
        *,
        here: str = "",
        status: int = 200,
    ) -> HTMLResponse:
        """Return a page.

        Args:
            request: that asks for it.
            template: its name without ``.html.jinja``.
            content: what the template shows.
            here: the entry of the navigation to which it belongs.
            status: of the answer.
        """
        session = self._forms.session(request) if self._write else None
        text = self._environment.get_template(f"{template}.html.jinja").render(
            here=here,
            search=request.query_params.get("q", ""),
            form_key=session.key if session else "",
            **content,
        )
        answer = HTMLResponse(text, status, headers={"cache-control": "no-cache"})
        if session:
            session.remember(answer, request)
        return answer

    def asset(self, name: str) -> str:
        """Return the address of a static file; it changes with its content, so that browsers may keep it for ever."""
        return f"{self.base}/static/{_digest(name)}/{name}"

    def vega(self) -> str:
        """Return the address of the JavaScript of the figures; it changes with its version."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            return f"{self.base}/vega.js?v={version('vl-convert-python')}"
        except PackageNotFoundError:
            return f"{self.base}/vega.js"


@functools.cache
def static_file(name: str) -> bytes:
    """Return a static file of the viewer.

    Raises:
        KeyError: there is none of that name.
    """
    folder = files("corrida.web").joinpath("static")
    if name not in {entry.name for entry in folder.iterdir()}:
        raise KeyError(name)
    return folder.joinpath(name).read_bytes()


@functools.cache
def _digest(name: str) -> str:
    return hashlib.sha256(static_file(name)).hexdigest()[:12]


def _written(thing: Any) -> Any:
    """Return what a template writes, without what would turn the text around it."""
    return printable(thing) if type(thing) is str else thing


def value(thing: Any) -> str:
    """Return a value as a cell shows it."""
    if thing is None or thing == "":
        return "–"
    if isinstance(thing, float):
        return "NaN" if math.isnan(thing) else format_number(thing)
    return printable(str(thing))


def when(iso: str | None) -> Markup | str:
    """Return a time for a page: UTC here, and made local by a script."""
    if not iso:
        return "–"
    time = printable(iso)
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(time, time[:16].replace("T", " "))


def size_text(count: int) -> str:
    """Return a size in bytes as a person reads it."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def breakable(text: str) -> Markup:
    """Return a name that a browser may break after its marks rather than within a word."""
    return Markup("<wbr>").join(re.findall(r"[^./_+:-]*[./_+:-]?", printable(text))[:-1])


def grouped(names: Iterable[str], start: str) -> list[str]:
    """Return the names of one group, ``metrics.`` for instance; an empty start for those that are in none."""
    groups = ("metrics.", "params.", "tags.")
    return [name for name in names if (name.startswith(start) if start else not name.startswith(groups))]


def commands(text: str) -> Markup:
    """Return a sentence in which what stands between backticks is a command."""
    parts = printable(text).split("`")
    if len(parts) % 2 == 0:  # one of them stands alone
        return Markup.escape(printable(text))
    return Markup().join(
        Markup("<code>{}</code>").format(part) if number % 2 else Markup.escape(part)
        for number, part in enumerate(parts)
    )


def path(text: str) -> str:
    """Return the name of a file, with its folders, as part of an address."""
    return quote(text, safe="/", errors="surrogateescape")


def segment(text: str) -> str:
    """Return text as one segment of a path."""
    return quote(text, safe="")

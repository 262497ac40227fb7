"""A report as one page: text, tables and figures, written as HTML that stands alone or as Markdown."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from corrida.analysis.blocks import Block, Heading, Line, Style, Table, to_markdown
from corrida.analysis.charts.render import javascript, to_png, to_svg
from corrida.errors import MissingExtra

__all__ = ["Banner", "Figure", "Part", "page_html", "page_markdown"]


@dataclass(frozen=True)
class Figure:
    """A figure of a page.

    Attributes:
        name: the stem of its file where it becomes one; unique on the page.
        spec: a Vega-Lite specification.
        alt: what it says, for those who do not see it.
    """

    name: str
    spec: Mapping[str, Any]
    alt: str


@dataclass(frozen=True)
class Banner:
    """What a reader must see first.

    Attributes:
        word: one or two words, such as ``better``.
        text: the sentence behind them.
        style: how it looks.
    """

    word: str
    text: str
    style: Style = "plain"


Part = Block | Figure | Banner


def page_html(title: str, parts: Sequence[Part], *, subtitle: str = "") -> str:
    """Return a page as one HTML file that needs no other file and no network.

    Figures are drawn already, as SVG; where scripts may run they become interactive.

    Args:
        title: of the page.
        parts: what is on it, in order.
        subtitle: below the title.

    Raises:
        MissingExtra: the extra ``report`` is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise MissingExtra("pages need jinja2; pip install 'corrida[report]'") from None
    source = files(__package__).joinpath("page.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    figures = [part for part in parts if isinstance(part, Figure)]
    # In a script element only "<" could end it; as an escape it means the same to JSON.
    specs = json.dumps({f.name: f.spec for f in figures}, ensure_ascii=False).replace("<", "\\u003c")
    return environment.from_string(source).render(
        title=title,
        subtitle=subtitle,
        sections=_sections(parts),
        svg={f.name: to_svg(f.spec) for f in figures},
        specs=specs,
        javascript=javascript().replace("</script", "<\\/script") if figures else "",
    )


@dataclass(frozen=True)
class _Section:
    heading: str
    parts: list[tuple[str, Any]]


def _sections(parts: Sequence[Part]) -> list[_Section]:
    """Group parts under their headings, and lines that follow one another into lists."""
    sections = [_Section("", [])]
    for part in parts:
        if isinstance(part, Heading):
            sections.append(_Section(part.text, []))
            continue
        own = sections[-1].parts
        if isinstance(part, Line):
            if own and own[-1][0] == "lines":
                own[-1][1].append(part)
            else:
                own.append(("lines", [part]))
        elif isinstance(part, Table):
            own.append(("table", part))
        else:
            own.append(("figure" if isinstance(part, Figure) else "banner", part))
    return [section for section in sections if section.heading or section.parts]


def page_markdown(
    title: str, parts: Sequence[Part], *, subtitle: str = "", assets: str = "assets"
) -> tuple[str, dict[str, bytes]]:
    """Return a page as Markdown, and its pictures by the name under which the Markdown looks for them.

    Args:
        title: of the page.
        parts: what is on it, in order.
        subtitle: below the title.
        assets: the folder of the pictures, relative to the Markdown.

    Raises:
        MissingExtra: there are figures, and the extra ``report`` is not installed.
    """
    lines = [f"# {_text(title)}", ""]
    if subtitle:
        lines += [_text(subtitle), ""]
    pictures: dict[str, bytes] = {}
    waiting: list[Block] = []
    for part in parts:
        if isinstance(part, Heading | Line | Table):
            waiting.append(part)
            continue
        lines += _blocks(waiting)
        waiting = []
        if isinstance(part, Figure):
            name = f"{assets}/{part.name}.png"
            pictures[name] = to_png(part.spec)
            lines += [f"![{_text(part.alt)}]({name})", ""]
        else:
            lines += [f"> **{_text(part.word)}**: {_text(part.text)}", ""]
    lines += _blocks(waiting)
    return "\n".join(lines).strip() + "\n", pictures


def _blocks(blocks: Sequence[Block]) -> list[str]:
    return [to_markdown(blocks)] if blocks else []


def _text(text: str) -> str:
    """Return text of one line that Markdown takes for nothing else."""
    return html.escape(" ".join(text.split()), quote=False).replace("[", "\\[").replace("]", "\\]")

"""A file of a run as a page: picture, table, tree, text, or what else it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from corrida.errors import InvalidData
from corrida.runs.documents import read_document
from corrida.runs.plain import JSON_ERRORS, printable, text
from corrida.web.address import page_number
from corrida.web.aligned import column_gaps
from corrida.web.folded import folded
from corrida.web.guard import POLICY
from corrida.web.pages import value as shown
from corrida.web.run_files import kind_of, opened
from corrida.web.run_head import find_run, run_head

if TYPE_CHECKING:
    from markupsafe import Markup
    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.runs.record import RunRecord
    from corrida.web.viewer import Site

_TEXT_BYTES = 400_000
_TEXT_LINES = 4_000
_JSON_BYTES = 4_000_000
_YAML_BYTES = 500_000


def show(site: Site, request: Request) -> Response:
    """Answer ``/runs/ID/view/PATH``."""
    run = find_run(site, request.path_params["id"])
    name = str(request.path_params["path"])
    page = page_number(request.query_params.get("page", ""))
    with opened(run.dir, name) as fd:
        size = os.fstat(fd).st_size
        kind = kind_of(name)
        view: dict[str, Any] = {"kind": kind, "problem": ""}
        try:
            view |= _view(site, run, name, kind, fd, size, page)
        except InvalidData as problem:
            view |= {"kind": "none", "problem": str(problem)}
    content = {
        **run_head(site, run, "files"),
        "name": text(name),
        "path": quote(name, errors="surrogateescape"),
        "size": size,
        "page": page,
        **view,
    }
    answer = site.pages.page(request, "run_file", content, here="runs")
    if kind == "html":
        answer.headers["content-security-policy"] = f"{POLICY}; frame-src 'self'"
    return answer


def _view(site: Site, run: RunRecord, name: str, kind: str, fd: int, size: int, page: int) -> dict[str, Any]:
    if kind == "table":
        from corrida.web.file_table import ROWS, read_page

        table = read_page(run, name, fd, page)
        cells = [[shown(cell) for cell in row] for row in table.rows]
        gaps = column_gaps(cells, [number for _, _, number in table.columns])
        return {"table": table, "first": (page - 1) * ROWS + 1, "gaps": gaps}
    if kind == "markdown":
        from corrida.web.markdown import MOST_BYTES, render_markdown

        before = f"{site.pages.base}/runs/{quote(run.id)}"
        body, cut = _text(fd, size, MOST_BYTES)
        made = render_markdown(body, name, f"{before}/view/", f"{before}/files/")
        return {"document": made, "cut": cut}
    if kind == "tree":
        tree = _tree(name, fd, size)
        return {"tree": tree} if tree is not None else {"kind": "text", **_lines(fd, size)}
    if kind == "text":
        return _lines(fd, size)
    if kind == "" and _is_text(fd):
        return {"kind": "text", **_lines(fd, size)}
    return {}


def _tree(name: str, fd: int, size: int) -> Markup | None:
    """Return a document as a tree; None where it is too large or not what its name says."""
    is_json = name.lower().endswith(".json")
    if size > (_JSON_BYTES if is_json else _YAML_BYTES):
        return None
    data = os.pread(fd, size, 0)
    return _json_tree(data) if is_json else _yaml_tree(data)


def _json_tree(data: bytes) -> Markup | None:
    try:
        return folded(msgspec.json.decode(data))
    except JSON_ERRORS:
        return None


def _yaml_tree(data: bytes) -> Markup | None:
    try:
        return folded(read_document("document.yaml", data))
    except (ValueError, RecursionError):
        return None


def _lines(fd: int, size: int) -> dict[str, Any]:
    body, cut = _text(fd, size, _TEXT_BYTES)
    lines = body.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return {
        "lines": [line.rstrip("\r") for line in lines[:_TEXT_LINES]],
        "cut": cut or len(lines) > _TEXT_LINES,
    }


def _text(fd: int, size: int, most: int) -> tuple[str, bool]:
    return printable(os.pread(fd, most, 0).decode("utf-8", "replace")), size > most


def _is_text(fd: int) -> bool:
    """Tell whether a file without a name for its kind begins as text does."""
    head = os.pread(fd, 4_096, 0)
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 and len(head) > 4
    return bool(head)

"""Why no run fits what was asked: a name that no run has, or a pipeline of which there are none."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from corrida.runs.query import names_in_filter

if TYPE_CHECKING:
    from collections.abc import Collection

_PIPELINES = 5


def why_none_fits(
    pipeline: str | None, filter_: str | None, *, pipelines: Collection[str], names: Collection[str]
) -> str:
    """Say why no run fits; empty where nothing is known that would explain it.

    Args:
        pipeline: of which runs were asked for; None for all.
        filter_: that was asked for and can be read; None without one.
        pipelines: those of which there are runs: a project calls them by names of its own.
        names: of metrics, parameters, tags and findings that occur, with their group.
    """
    if pipeline is not None and pipeline not in pipelines:
        some = ", ".join(sorted(pipelines)[:_PIPELINES]) + (
            " and more" if len(pipelines) > _PIPELINES else ""
        )
        return f"there are runs of {some}, none of {pipeline}"
    return "; ".join(unknown_names(filter_, names)) if filter_ else ""


def unknown_names(filter_: str, names: Collection[str]) -> list[str]:
    """Say of each name of a filter that no run has it, since a misspelt one finds nothing.

    Args:
        filter_: that can be read.
        names: as of :func:`why_none_fits`.

    Raises:
        InvalidFilter: it cannot be read.
    """
    hints = []
    for name in names_in_filter(filter_):
        if "." in name and not name.startswith("git.") and name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hints.append(f"no run has {name}" + (f", did you mean {near[0]}?" if near else ""))
    return hints

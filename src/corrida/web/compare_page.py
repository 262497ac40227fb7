"""Two runs compared: the verdict large, then what changed, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from corrida.analysis.blocks import Table
from corrida.analysis.run_pairs import runs_to_compare
from corrida.errors import BadInput, CorridaError, NotFound
from corrida.web import compare_many
from corrida.web.address import item_address
from corrida.web.compare_items import PAGE, chips, items_page
from corrida.web.compare_state import ALL, CompareState
from corrida.web.comparisons import Compared, sliced_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from corrida.analysis.blocks import Block
    from corrida.analysis.compare import Comparison
    from corrida.analysis.config_sides import Row
    from corrida.analysis.pages import Figure
    from corrida.analysis.slices import Slices
    from corrida.runs.record import RunRecord
    from corrida.web.viewer import Site

_MOST_RAW = 2_000_000
_SEGMENTS = 12
_SEEN = 1 / 200
"""A band of a smaller share of the items is thinner than a line: the figure would show that nothing happened."""


class ConfigFile(NamedTuple):
    """A configuration file of two runs.

    Attributes:
        path: in B, or in A where B has none; as the address of the page names it.
        heading: what became of it.
        facts: every change, a line each.
        flagged: whether a reader should be warned.
        raw: the file side by side; None when nobody asked.
        too_large: whether it is too large for that.
    """

    path: str
    heading: str
    facts: Sequence[str]
    flagged: bool
    raw: Sequence[Row] | None = None
    too_large: bool = False


def show(site: Site, request: Request) -> Response:
    """Answer ``/compare``."""
    state = CompareState.of(request.query_params)
    site.freshness.look()
    if request.query_params.get("order") == "age" and len(state.runs) > 1:
        runs = sorted((site.store.get(run) for run in state.runs), key=lambda run: (run.order, run.id))
        address = state.address(runs=tuple(run.id for run in runs))
        return RedirectResponse(f"{site.pages.base}/compare{address}", status_code=303)
    if len(state.runs) > 2:
        return compare_many.show(site, request, state)
    a, b = _pair(site, state)
    chosen = len(state.runs) == 2
    state = state._replace(runs=(a.id, b.id), pipeline="")
    content: dict[str, Any] = {"state": state, "runs": [a, b], "a": a, "b": b, "chosen": chosen}
    status = 200
    try:
        content |= _content(site, state, a, b) | {"error": ""}
    except CorridaError as error:
        # The runs stay in view, so that another one or another metric can be chosen.
        status = 400 if isinstance(error, BadInput) else 404 if isinstance(error, NotFound) else 500
        content |= _askable(state, a, b) | {"error": str(error)}
    return site.pages.page(request, "compare", content, here="runs", status=status)


def _askable(state: CompareState, a: RunRecord, b: RunRecord) -> dict[str, Any]:
    """Return what can be asked of two runs whose comparison failed."""
    names = list(dict.fromkeys([*b.metrics, *a.metrics]))
    primary = b.primary_metric or a.primary_metric
    decides = state.metric if state.metric in names else primary.name if primary else ""
    return {"names": names, "decides": decides}


def html(site: Site, request: Request) -> Response:
    """Answer ``/compare.html``: the report of a comparison, as a file that stands alone."""
    from corrida.analysis.comparison_page import comparison_parts, comparison_title
    from corrida.analysis.pages import page_html

    comparison = _asked(site, request).comparison
    text = page_html(
        comparison_title(comparison),
        comparison_parts(comparison),
        subtitle=f"{comparison.b.pipeline}: comparison of two runs",
    )
    return _download(comparison, text, "html", "text/html")


def markdown(site: Site, request: Request) -> Response:
    """Answer ``/compare.md``: a comparison as for the comment on a pull request."""
    comparison = _asked(site, request).comparison
    return _download(comparison, comparison.to_markdown(), "md", "text/markdown")


def _pair(site: Site, state: CompareState) -> tuple[RunRecord, RunRecord]:
    names = (*state.runs, None, None)[:2]
    return runs_to_compare(site.store, names[0], names[1], state.pipeline or None)


def _asked(site: Site, request: Request) -> Compared:
    state = CompareState.of(request.query_params)
    if len(state.runs) > 2:
        raise BadInput("a download compares two runs; open the two to compare from the table of all")
    site.freshness.look()
    a, b = _pair(site, state)
    return _compared(site, state, a, b)


def _compared(site: Site, state: CompareState, a: RunRecord, b: RunRecord) -> Compared:
    return site.comparisons.get(a, b, metric=state.metric, slices=sliced_by(a, b, state.slices))


def _content(site: Site, state: CompareState, a: RunRecord, b: RunRecord) -> dict[str, Any]:
    from corrida.analysis.compare_report import circumstance_blocks, other_params
    from corrida.analysis.comparison_page import verdict_parts
    from corrida.analysis.items_report import flips_sentence, item_counts

    compared = _compared(site, state, a, b)
    comparison, figures = compared
    verdicts = [verdict_parts(v) for v in comparison.verdicts or (comparison.verdict,)]
    items = comparison.items
    page = items_page(comparison, state.items, state.find, state.page)
    same = sum(file.status == "same" for file in comparison.configs.files)
    shared = 0 if items is None else items.counts.shared
    return {
        "address": item_address,
        "verdicts": verdicts,
        "unfinished": unfinished(comparison),
        "flips": flips_sentence(items.counts) if items is not None and shared else "",
        "files": _files(comparison, state),
        "params": other_params(comparison),
        "same_files": same,
        **_metrics(comparison, everything=state.metrics == ALL),
        "names": [change.name for change in comparison.metrics],
        "decides": comparison.verdict.metric,
        "untested": _untested(comparison),
        **_slices(comparison.slices, everything=state.segments == ALL),
        "figures": _telling(figures, comparison),
        "counts": item_counts(comparison)[0 if shared or items is None else 1 :],
        "shared": shared,
        "chips": [] if items is None else chips(items),
        "page": page,
        "first": (state.page - 1) * PAGE + 1,
        "more": state.page * PAGE < page.total,
        "circumstances": _without_heading(circumstance_blocks(comparison, only_changed=False)),
        "downloads": f"?{urlencode([('run', a.id), ('run', b.id), *_chosen(state)])}",
    }


def unfinished(comparison: Comparison) -> list[str]:
    """Say which of the runs did not come to its end: that belongs beside the verdict."""
    return [one.text for one in comparison.circumstances if one.kind == "status"]


def _untested(comparison: Comparison) -> str:
    """Say what the table of the metrics does not tell, where none of them was tested."""
    if not comparison.metrics or any(change.tested for change in comparison.metrics):
        return ""
    if any(verdict.method for verdict in comparison.verdicts or (comparison.verdict,)):
        return "As the runs logged them; what was tested stands above."
    return "None of them was tested: this is which way each went, not whether that is more than chance."


def _telling(figures: Mapping[str, Figure | None], comparison: Comparison) -> dict[str, Figure | None]:
    """Return the figures without those in which nothing can be seen."""
    items = comparison.items
    if items is None:
        return dict(figures)
    moved = items.differing.height
    blank = {"Items"} if moved < _SEEN * items.counts.shared else set()
    blank |= set() if moved else {"Items", "Slices"}
    return {name: None if name in blank else figure for name, figure in figures.items()}


def _metrics(comparison: Comparison, *, everything: bool) -> dict[str, Any]:
    from corrida.analysis.compare_report import metric_blocks

    blocks = _without_heading(metric_blocks(comparison, only_changed=False, details=everything))
    tables = [block for block in blocks if isinstance(block, Table)]
    left = len(comparison.metrics) - sum(len(table.rows) for table in tables)
    return {"metrics": tables if left else blocks, "metrics_left": left}


def _slices(slices: Slices | None, *, everything: bool) -> dict[str, Any]:
    from corrida.analysis.slices_report import skipped_lines, slice_blocks

    if slices is None:
        return {"sliced": False, "slices": [], "skipped": [], "hidden": False}
    blocks = _without_heading(slice_blocks(slices, 0 if everything else _SEGMENTS, hint="", skipped=False))
    shown = sum(len(block.rows) for block in blocks if isinstance(block, Table))
    return {
        "sliced": True,
        "slices": blocks,
        "skipped": skipped_lines(slices, len(slices.skipped)),
        "hidden": len(slices.worse) + len(slices.better) + len(slices.changed) > shown,
    }


def _chosen(state: CompareState) -> list[tuple[str, str]]:
    return [(name, value) for name in ("metric", "slices") if (value := getattr(state, name))]


def _without_heading(blocks: Sequence[Block]) -> list[Block]:
    """Return blocks without their heading, which the page writes itself."""
    return list(blocks[1:])


def _files(comparison: Comparison, state: CompareState) -> list[ConfigFile]:
    """Return the configuration files that are not the same byte for byte."""
    from corrida.analysis.compare_report import without_common_folder
    from corrida.analysis.config_diff import explain

    found = []
    whole = comparison.configs.files
    for file, named in zip(whole, without_common_folder(whole), strict=True):
        if file.status == "same":
            continue
        heading, *facts = explain(named)
        if file.status == "reformatted":
            heading, facts = f"{named.path}: rewritten, same meaning", []
        shown = ConfigFile(file.path, heading, facts, bool(file.flags))
        if file.path in state.raw:
            rows = _raw(comparison, file.path_a or file.path, file.path)
            shown = shown._replace(raw=rows or (), too_large=rows is None)
        found.append(shown)
    return found


def _raw(comparison: Comparison, path_a: str, path_b: str) -> list[Row] | None:
    """Return a file side by side; None when it is too large, or no text."""
    from corrida.analysis.config_sides import side_by_side

    sides = []
    for run, path in ((comparison.a, path_a), (comparison.b, path_b)):
        content = run.config_files().get(path, b"")
        if len(content) > _MOST_RAW or b"\0" in content:
            return None
        sides.append(content.decode("utf-8", "replace").splitlines())
    return side_by_side(sides[0], sides[1])


def _download(comparison: Comparison, text: str, suffix: str, kind: str) -> Response:
    name = f"{comparison.a.id}_{comparison.b.id}.{suffix}"  # ids are of letters, digits, '.', '_' and '-'
    return Response(
        text,
        media_type=f"{kind}; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
    )

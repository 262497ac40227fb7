"""What stands above every page of a run: its name, how it stands, and the parts that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from corrida.errors import DamagedRun, NewerFormat
from corrida.runs import layout

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord
    from corrida.web.viewer import Site


class Tab(NamedTuple):
    """A part of a run that has a page."""

    key: str
    label: str
    address: str


def find_run(site: Site, reference: str) -> RunRecord:
    """Return a run; one that cannot be read is told by its name and by why.

    Raises:
        CorridaError: there is none.
    """
    try:
        return site.store.get(reference)
    except (DamagedRun, NewerFormat):
        site.freshness.look()
        run_id = site.store.resolve(reference)
        for run in site.store.runs(filter=f"id = '{run_id}' and status = 'unreadable'", refresh=False):
            return run
        raise


def run_address(site: Site, run: RunRecord) -> str:
    """Return the address of a run's page."""
    return f"{site.pages.base}/runs/{quote(run.id, safe='')}"


def run_head(site: Site, run: RunRecord, here: str) -> dict[str, Any]:
    """Return what every page of a run needs.

    Args:
        site: with its base.
        run: the run.
        here: the part that is shown.
    """
    own = run_address(site, run)
    tabs = [Tab("overview", "Overview", own)]
    if (run.dir / layout.HISTORY).exists():
        tabs.append(Tab("charts", "Charts", f"{own}?tab=charts"))
    if run.status != "unreadable" and run.has_items():
        count = (run.item_counts or {}).get("count")
        tabs.append(Tab("items", f"Items {count:,}" if count else "Items", f"{own}/items"))
    tabs += [
        Tab("inputs", "Inputs", f"{own}?tab=inputs"),
        Tab("files", "Files", f"{own}?tab=files"),
        Tab("results", "Predictions", f"{own}?tab=results"),
    ]
    return {"run": run, "own": own, "tabs": tabs, "tab": here, "live": run.status == "running"}

"""What every table of runs says of the whole store: kept until a run comes, goes or changes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from corrida.runs.numbers import metrics_from_file
from corrida.runs.own_runs import no_child
from corrida.runs.query import Sql
from corrida.web.sparkline import sparkline

if TYPE_CHECKING:
    from markupsafe import Markup

    from corrida.runs.catalog import Catalog
    from corrida.runs.store import Store

_POINTS = 60
_TRENDS = 12


class Trend(NamedTuple):
    """The primary metric of a pipeline over its last runs."""

    metric: str
    latest: float
    picture: Markup


class Overview(NamedTuple):
    """What is known of all runs.

    Attributes:
        total: how many there are.
        pipelines: of which there are runs, sorted.
        last: the pipeline that ran last; None without runs.
        names: of metrics, parameters, tags and findings that occur, with their group.
        trends: by pipeline; of those that ran last.
    """

    total: int
    pipelines: list[str]
    last: str | None
    names: list[str]
    trends: dict[str, Trend]


class Overviews:
    """Looks over the runs of a store, anew only when something changed."""

    def __init__(self, store: Store) -> None:
        """Look at nothing yet."""
        self._store = store
        self._lock = threading.Lock()
        self._known: tuple[str, Overview] | None = None

    def get(self) -> Overview:
        """Return what the catalog knows."""
        catalog = self._store.catalog
        state = catalog.state()
        with self._lock:
            if self._known is None or self._known[0] != state:
                self._known = state, _overview(catalog)
            return self._known[1]


def _overview(catalog: Catalog) -> Overview:
    pipelines = catalog.pipelines()
    last = sorted(pipelines, key=lambda name: pipelines[name][1], reverse=True)[:_TRENDS]
    trends = {name: trend for name in last if (trend := trend_of(catalog, name)) is not None}
    return Overview(catalog.count(), sorted(pipelines), next(iter(last), None), catalog.names(), trends)


def trend_of(catalog: Catalog, pipeline: str) -> Trend | None:
    """Return how the primary metric of a pipeline went; None without one."""
    where = [Sql("runs.pipeline = ?", (pipeline,)), Sql("runs.status = 'finished'")]
    runs = catalog.query(limit=_POINTS, where=[*where, no_child(same_pipeline=True)])
    metric = next((run.primary_metric.name for run in runs if run.primary_metric), None)
    if metric is None:
        return None
    points = [metrics_from_file(run.metrics)[metric] for run in reversed(runs) if metric in run.metrics]
    if not points:
        return None
    return Trend(metric, points[-1], sparkline(points, f"{metric} of the last {len(points)} runs"))

"""What the runner does: the queue, what ended lately and how, why files failed, and how far they stood from training."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from corrida.analysis.charts.serving import DRIFT_LIMITS, drift_chart, ended_chart, farthest, times_chart
from corrida.errors import CorridaError
from corrida.runs.numbers import duration_text, format_number
from corrida.web.address import page_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.analysis.charts.theme import Spec
    from corrida.inference.jobs import Job, Jobs
    from corrida.inference.overview import Drift, Failure, Pace, ShadowPair
    from corrida.web.viewer import Site

STATUSES = ("queued", "running", "processed", "failed", "cancelled")
_PAGE = 50
_DRIFT_FILES = 40
_FAILURES = 10


class Window(NamedTuple):
    """A time to look back: its name in the address, what it is called, the seconds of a bar, and how many bars."""

    name: str
    label: str
    seconds: float
    spans: int
    bar: str


WINDOWS = (
    Window("hour", "last hour", 60.0, 60, "one minute"),
    Window("day", "last day", 1800.0, 48, "half an hour"),
)


class Figure(NamedTuple):
    """A figure, and what it says for those who do not see it."""

    spec: Spec
    alt: str


class ServingState(NamedTuple):
    """What the page shows: analyses of one status or of all, of one run or of all, a page of them, and the time."""

    status: str = ""
    run: str = ""
    page: int = 1
    window: str = "hour"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> ServingState:
        """Read it from the query of an address; what cannot be read is as if it were not there."""
        status, window = query.get("status", ""), query.get("window", "")
        return cls(
            status if status in STATUSES else "",
            query.get("run", "").strip(),
            page_number(query.get("page", "")),
            window if window in {one.name for one in WINDOWS} else "hour",
        )

    def address(self, **changes: str | int) -> str:
        """Return the address of this state with changes; the first page unless it is named."""
        state = {**self._asdict(), "page": 1, **changes}
        default = ServingState()._asdict()
        pairs = {name: value for name, value in state.items() if value != default[name]}
        return f"?{urlencode(pairs)}" if pairs else "?"


class Found(NamedTuple):
    """What the jobs' database said."""

    counts: Mapping[Any, int]
    oldest: float | None
    jobs: list[Job]
    pace: Pace
    failures: list[Failure]
    drift: Drift | None
    shadows: list[ShadowPair]


def show(site: Site, request: Request) -> Response:
    """Answer ``/serving``."""
    state = ServingState.of(request.query_params)
    window = next(one for one in WINDOWS if one.name == state.window)
    now = time.time()
    problem, found = "", None
    try:
        found = site.jobs.ask(lambda jobs: _ask(jobs, state, window, now))
    except CorridaError as error:
        problem = str(error)
    content: dict[str, Any] = {
        "state": state,
        "problem": problem,
        "found": found,
        "alias": site.project.settings.serve.alias,
        "promoted": site.store.aliases().get(site.project.settings.serve.alias),
        "windows": WINDOWS,
    }
    if found is not None:
        content |= _shown(found, state, window, now)
    return site.pages.page(request, "serving", content, here="serving", status=503 if problem else 200)


def analysis_address(base: str, analysis: str) -> str:
    """Return the address of an analysis."""
    return f"{base}/serving/{quote(analysis, safe='')}"


def moment(seconds: float | None) -> str | None:
    """Return a time since the epoch as pages write times."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _ask(jobs: Jobs, state: ServingState, window: Window, now: float) -> Found:
    from corrida.inference import overview

    database = jobs.database
    status: Any = (state.status,) if state.status else ()
    return Found(
        jobs.counts(),
        jobs.oldest_waiting(),
        jobs.list(status=status, run_id=state.run or None, limit=_PAGE + 1, offset=(state.page - 1) * _PAGE),
        overview.pace(database, now, window.seconds, window.spans),
        overview.failures(database),
        overview.drift(database, _DRIFT_FILES),
        overview.shadow_pairs(database),
    )


def _shown(found: Found, state: ServingState, window: Window, now: float) -> dict[str, Any]:
    first = (state.page - 1) * _PAGE + 1
    return {
        "waits": duration_text(max(0.0, now - found.oldest)) if found.oldest is not None else "",
        "rows": [_row(job) for job in found.jobs[:_PAGE]],
        "first": first,
        "more": len(found.jobs) > _PAGE,
        "chips": [("", "all", sum(found.counts.values()))]
        + [(status, status, found.counts.get(status, 0)) for status in STATUSES],
        "said": pace_sentences(found.pace, window),
        "figures": pace_figures(found.pace, window),
        "failures": [(one, moment(one.ended)) for one in found.failures[:_FAILURES]],
        "more_failures": max(0, len(found.failures) - _FAILURES),
        "drift": None if found.drift is None else drift_figure(found.drift),
        "far": [] if found.drift is None else far_now(found.drift),
    }


def _row(job: Job) -> dict[str, Any]:
    took = None if job.ended is None else job.ended - job.created
    rows = "–"
    if job.rows is not None:
        rows = f"{job.rows:,}"
    elif job.status == "running" and job.progress:
        rows = f"{job.progress:,} so far"
    return {
        "job": job,
        "created": moment(job.created),
        "took": "–" if took is None else duration_text(took),
        "rows": rows,
    }


def pace_sentences(pace: Pace, window: Window) -> list[str]:
    """Say what ended lately, and how long it took."""
    whole = pace.whole
    ended = sum(whole.ended.values())
    if not ended:
        return [f"Nothing ended in the {window.label}."]
    parts = ", ".join(f"{count:,} {how}" for how, count in whole.ended.items() if count)
    said = [f"In the {window.label}: {parts}; {whole.rows:,} row{'s' if whole.rows != 1 else ''} scored."]
    if whole.median is not None and whole.most is not None:
        took = f"Half of them took at most {duration_text(whole.median)}, 95 % at most {duration_text(whole.most)}"
        waited = "" if whole.waited is None else f"; half of them began within {duration_text(whole.waited)}"
        said.append(f"{took}{waited}.")
    if pace.cut:
        said.append("So much happened that only the newest part of it is counted.")
    return said


def pace_figures(pace: Pace, window: Window) -> list[Figure]:
    """Return what ended and how long it took, as figures; none where nothing ended."""
    if not sum(pace.whole.ended.values()):
        return []
    spans = [(one.start, one.start + pace.seconds, one.ended, one.rows) for one in pace.spans]
    subtitle = f"{window.label}, {window.bar} a bar"
    busiest = max(pace.spans, key=lambda one: sum(one.ended.values()))
    most = sum(busiest.ended.values())
    figures = [
        Figure(
            ended_chart("Analyses that ended", subtitle, spans),
            f"Analyses that ended in the {window.label}; most of them, {most:,}, within {window.bar} from "
            f"{datetime.fromtimestamp(busiest.start, UTC):%H:%M} UTC.",
        )
    ]
    times: list[tuple[float, dict[str, float]]] = [
        (
            one.start + pace.seconds / 2,
            {} if one.median is None or one.most is None else {"half of them": one.median, "95 %": one.most},
        )
        for one in pace.spans
    ]
    slowest = max((measures["95 %"] for _, measures in times if measures), default=None)
    if slowest is not None:
        figures.append(
            Figure(
                times_chart(
                    "Seconds until the end", f"{window.label}, by {window.bar}; waiting included", times
                ),
                f"How long analyses took in the {window.label}; the slowest stretch needed {format_number(slowest)} "
                "seconds for 95 % of them.",
            )
        )
    return figures


def drift_figure(drift: Drift) -> Figure:
    """Return how far features stood from training, as a figure."""
    count = len(drift.points)
    limit = DRIFT_LIMITS.get(drift.measure, DRIFT_LIMITS["psi"])
    how = (
        f"population stability index; above {limit:g} a file is far from training"
        if drift.measure == "psi"
        else f"change of the level since training, in usual changes of a season; beyond {limit:g} it is far"
    )
    files = f"last {count:,} file{'s' if count != 1 else ''}" + (
        f" of {drift.pipeline}" if drift.pipeline else ""
    )
    latest = far_now(drift)
    alt = f"Drift of the features over the {files}. In the last one: " + (
        ", ".join(f"{name} {text}" for name, text, _ in latest) or "nothing measured"
    )
    points = [(analysis, ended, values) for analysis, ended, _, values in drift.points]
    return Figure(
        drift_chart("How far files stood from training", f"{files}; {how}", drift.measure, points), alt
    )


def far_now(drift: Drift) -> list[tuple[str, str, bool]]:
    """Return the features that moved most, their measure in the last file, and whether that is far from training."""
    limit = DRIFT_LIMITS.get(drift.measure, DRIFT_LIMITS["psi"])
    points: Sequence[Mapping[str, float]] = [values for _, _, _, values in drift.points]
    last = points[-1]
    return [
        (name, format_number(last[name]), abs(last[name]) > limit)
        for name in farthest(points)
        if name in last
    ]

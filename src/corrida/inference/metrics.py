"""What ``/metrics`` says, for Prometheus: the queue as it is now, and what all workers did since this server started.

Everything is read from the database when it is asked for, so nobody has to be told of the workers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily

from corrida.inference.database import analyses, events
from corrida.inference.outbox import Outbox
from corrida.inference.postings import Postings
from corrida.inference.shadow import COMPARED, FAILED, Shadows
from corrida.pipelines.streaming import LEAST_ROWS

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from corrida.inference.service import Service

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ENDS = ("processed", "failed", "cancelled")
_COUNTED = (*_ENDS, COMPARED, FAILED)
_BEHIND = 1000  # numbers of events that may become visible after larger ones: PostgreSQL gives them out before the commit
_PAGE = 500
_MOST_LABELS = 50  # features, series, classes: what comes from data must not fill the memory of who collects
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """The metrics of one server."""

    def __init__(self, service: Service) -> None:
        """Count from now on."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._service = service
        self._lock = threading.Lock()
        self._seen: set[int] = set()
        self.registry = CollectorRegistry()
        self._ended = Counter(
            "corrida_analyses", "Analyses that ended, by how.", ["status"], registry=self.registry
        )
        self._failures = Counter(
            "corrida_failures", "Analyses that failed, by code.", ["code"], registry=self.registry
        )
        self._rows = Counter(
            "corrida_rows", "Rows of processed analyses, scored or not.", ["scored"], registry=self.registry
        )
        self._classes = Counter("corrida_classes", "Scored rows by class.", ["class"], registry=self.registry)
        self._rules = Counter(
            "corrida_guardrails", "Rows that a rule caught, by rule.", ["rule"], registry=self.registry
        )
        self._unseen = Counter(
            "corrida_unseen",
            "Rows with a category that training had not seen.",
            ["column"],
            registry=self.registry,
        )
        self._waited = Histogram(
            "corrida_wait_seconds",
            "From submission to the first try.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._took = Histogram(
            "corrida_analysis_seconds",
            "From submission to the end.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._steps = Histogram(
            "corrida_step_seconds", "Work on a processed analysis, by step.", ["step"], buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._drift = Gauge(
            "corrida_drift_psi", "How far a feature of the last analysis stands from training.", ["feature"],
            registry=self.registry,
        )  # fmt: skip
        self._level = Gauge(
            "corrida_drift_level", "How far the level of a series moved, in usual changes of a season.", ["series"],
            registry=self.registry,
        )  # fmt: skip
        self._names: dict[str, set[str]] = {}
        self._shadow_rows = Counter(
            "corrida_shadow_rows", "Rows that the shadow scored, too, by whether its answer differs.", ["differ"],
            registry=self.registry,
        )  # fmt: skip
        self._shadow_failures = Counter(
            "corrida_shadow_failures", "Analyses that the shadow could not score, by code.", ["code"],
            registry=self.registry,
        )  # fmt: skip
        self.requests = Counter(
            "corrida_requests", "Calls of the API.", ["method", "status"], registry=self.registry
        )
        self.registry.register(_Now(service))
        for status in _ENDS:
            self._ended.labels(status)
        with service.database.reading() as connection:
            self._from = connection.execute(sa.select(sa.func.max(events.c.seq))).scalar() or 0
        self._last = self._from

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        with self._lock:
            self._catch_up()
        return generate_latest(self.registry)

    def _catch_up(self) -> None:
        """Count the analyses that ended since the last look."""
        while True:
            found = self._page()
            for row in found:
                self._seen.add(row["seq"])
                (self._count_shadow if row["event"] in {COMPARED, FAILED} else self._count)(row)
            if len(found) < _PAGE:
                break
        self._seen = {seq for seq in self._seen if seq > self._last - _BEHIND}

    def _page(self) -> list[Any]:
        after = max(self._from, self._last - _BEHIND)
        query = (
            sa.select(events.c.seq, events.c.event, events.c.detail, analyses)
            .join(analyses, analyses.c.id == events.c.analysis)
            .where(events.c.seq > after, events.c.event.in_(_COUNTED), events.c.seq.not_in(self._seen))
            .order_by(events.c.seq)
            .limit(_PAGE)
        )
        with self._service.database.reading() as connection:
            rows = list(connection.execute(query).mappings())
            newest = connection.execute(sa.select(sa.func.max(events.c.seq))).scalar() or 0
        self._last = rows[-1]["seq"] if len(rows) == _PAGE else max(self._last, newest)
        return rows

    def _count_shadow(self, row: Any) -> None:
        said: dict[str, Any] = msgspec.json.decode(row["detail"])
        if row["event"] == FAILED:
            self._shadow_failures.labels(said.get("code") or "unknown").inc()
        else:
            self._shadow_rows.labels("yes").inc(said["differ"])
            self._shadow_rows.labels("no").inc(said["rows"] - said["differ"])

    def _count(self, row: Any) -> None:
        self._ended.labels(row["event"]).inc()
        if row["event"] == "failed":
            self._failures.labels(row["code"] or "unknown").inc()
        if row["started"] is not None:
            self._waited.observe(max(0.0, row["started"] - row["created"]))
        if row["ended"] is not None:
            self._took.observe(max(0.0, row["ended"] - row["created"]))
        if row["event"] != "processed":
            return
        self._rows.labels("yes").inc(row["scored"] or 0)
        self._rows.labels("no").inc((row["rows"] or 0) - (row["scored"] or 0))
        report: dict[str, Any] = msgspec.json.decode(row["report"] or "{}")
        for name, count in report.get("classes", {}).items():
            self._classes.labels(self._known("class", name)).inc(count)
        for name, count in report.get("rules", {}).items():
            self._rules.labels(name).inc(count)
        for name, one in report.get("alignment", {}).get("unseen", {}).items():
            self._unseen.labels(self._known("column", name)).inc(one["rows"])
        for name, seconds in report.get("seconds", {}).items():
            self._steps.labels(name).observe(seconds)
        self._set_drift(report)

    def _known(self, label: str, name: str) -> str:
        """Return a name as the value of a label; after the first ones all others are one."""
        names = self._names.setdefault(label, set())
        if name not in names and len(names) >= _MOST_LABELS:
            return "other"
        names.add(name)
        return name

    def _set_drift(self, report: dict[str, Any]) -> None:
        """Say how far the features of an analysis stand from training, and no longer how far those of another did."""
        drift: dict[str, float] = report.get("drift", {})
        psi = report.get("drift_measure", "psi") == "psi"
        if not drift or (psi and (report.get("scored") or 0) < LEAST_ROWS):
            return  # of a few rows the index is chance
        self._drift.clear()
        self._level.clear()
        gauge = self._drift if psi else self._level
        for name, value in sorted(drift.items(), key=lambda item: -abs(item[1]))[:_MOST_LABELS]:
            gauge.labels(name).set(value)


class _Now:
    """What is true now, read at each look."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._outbox = Outbox(service.database)
        self._shadows = Shadows(service.database)
        self._postings = Postings(service.database)

    def describe(self) -> Iterable[Metric]:
        """Say nothing at registration: that would read the database."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Read the queue."""
        jobs = self._service.jobs
        counts = jobs.counts()
        depth = GaugeMetricFamily("corrida_queue", "Analyses that go on, by status.", labels=["status"])
        for status in ("queued", "running"):
            depth.add_metric([status], counts[status])
        yield depth
        oldest = jobs.oldest_waiting()
        yield GaugeMetricFamily(
            "corrida_oldest_waiting_seconds",
            "Age of the analysis that waits longest; 0 when none waits.",
            value=0.0 if oldest is None else max(0.0, time.time() - oldest),
        )
        kept = GaugeMetricFamily(
            "corrida_kept_analyses", "Analyses in the database, by how they ended.", labels=["status"]
        )
        for status in _ENDS:
            kept.add_metric([status], counts[status])  # type: ignore[index]
        yield kept
        sent = GaugeMetricFamily("corrida_webhooks", "Webhooks, by status.", labels=["status"])
        for name, count in self._outbox.counts().items():
            sent.add_metric([name], count)
        yield sent
        shadows = GaugeMetricFamily(
            "corrida_shadow",
            "Processed analyses that the shadow has yet to score, by status.",
            labels=["status"],
        )
        for name, count in self._shadows.counts().items():
            shadows.add_metric([name], count)
        yield shadows
        told = GaugeMetricFamily(
            "corrida_charges", "Charges and refunds that a gateway is told of, by status.",
            labels=["kind", "status"],
        )  # fmt: skip
        for (kind, status), count in self._postings.counts().items():
            told.add_metric([kind, status], count)
        yield told

"""One module a workload, each with its ``CASES``; ``docs/benchmarks.md`` lists them in this order."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.harness.case import Case

WORKLOADS = (
    "small_run",
    "steps",
    "listing",
    "comparing",
    "verdicts",
    "item_history",
    "evaluation",
    "forecasting",
    "model_search",
    "risk_scoring",
    "risk_jobs",
    "tracking_client",
    "parallel_start",
    "start_up",
    "viewer",
)


def all_cases() -> list[Case]:
    """Return every case of every workload, in the order of the report."""
    return [case for name in WORKLOADS for case in importlib.import_module(f"bench.workloads.{name}").CASES]

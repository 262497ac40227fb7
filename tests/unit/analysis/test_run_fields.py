"""Fields of many runs side by side."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from corrida.analysis.run_fields import OTHERS, fields_of, main_metric, telling_axes
from corrida.runs.record import RunRecord
from corrida.runs.run_file import PrimaryMetric


def _run(number: int, **facts: Any) -> RunRecord:
    return RunRecord(
        id=f"run_{number}", pipeline="p", status="finished", created="2026-01-01T00:00:00Z", dir=Path("/nowhere"), **facts
    )  # fmt: skip


def test_numbers_names_and_what_is_missing() -> None:
    runs = [
        _run(0, params={"lr": 0.1, "kind": "a", "deep": True, "mixed": 1}, metrics={"f1": 0.5}),
        _run(1, params={"lr": 0.01, "kind": "b", "deep": False, "mixed": "x"}, metrics={"f1": math.nan}),
        _run(2, params={"lr": 10**400}),
    ]
    fields = fields_of(runs)
    assert fields["params.lr"].kind == "number"
    assert fields["params.lr"].values == (0.1, 0.01, None)
    assert fields["params.lr"].positive
    assert fields["metrics.f1"].values == (0.5, None, None)
    assert fields["params.deep"].domain == ("false", "true")
    assert fields["params.mixed"].values == ("1", "x", None)
    assert not fields["pipeline"].varies
    assert "seed" not in fields


def test_many_names_become_a_few_and_others() -> None:
    runs = [_run(i, params={"kind": f"kind {i % 80}" if i % 2 else "most"}) for i in range(200)]
    field = fields_of(runs)["params.kind"]
    assert len(field.domain) == 24
    assert "most" in field.domain
    assert field.domain[-1] == OTHERS
    assert set(field.values) <= set(field.domain)


def test_axes_are_what_varies_and_the_metric_that_decides() -> None:
    decides = PrimaryMetric("f1", "max")
    runs = [
        _run(
            i,
            params={"lr": i / 10, "same": 3, "each": f"name of {i}", **({"some": i} if i < 3 else {})},
            metrics={"loss": 1.0 - i, "f1": float(i)},
            primary_metric=decides,
        )
        for i in range(10)
    ]
    fields = fields_of(runs)
    assert main_metric(runs, fields) == "metrics.f1"
    assert telling_axes(fields, "metrics.f1") == ["params.lr", "params.some", "metrics.f1"]


def test_without_a_primary_metric_the_one_that_most_have() -> None:
    runs = [_run(0, metrics={"rare": 1.0}), _run(1, metrics={"often": 1.0}), _run(2, metrics={"often": 2.0})]
    assert main_metric(runs, fields_of(runs)) == "metrics.often"
    assert main_metric([_run(0)], fields_of([_run(0)])) is None

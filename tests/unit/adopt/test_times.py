"""When an old run was made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from corrida.adopt.times import read_time, time_in, when

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1e9)


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("run_20241021_130601", "2024-10-21 13:06:01"),
        ("run_20260113_1550", "2026-01-13 15:50:00"),
        ("run_2025-12-04_seed1764863751", "2025-12-04 00:00:00"),
        ("2025-12-04T17:35", "2025-12-04 17:35:00"),
        ("exp-2025_12_04-17h35", "2025-12-04 17:35:00"),
        ("run_baseline_v1", None),
        ("run_seed9999", None),
        ("run_20261399_1550", None),
        ("run_1764863751", None),
        ("run_202601131550999", None),
    ],
)
def test_times_in_ids(name, time):
    found = time_in(name)
    assert (found.strftime("%Y-%m-%d %H:%M:%S") if found else None) == time
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize(
    "value", ["2025-12-04T17:35:00Z", "2025-12-04 18:35:00+01:00", 1764869700, 1764869700.0, " 2025-12-04T17:35:00Z "]
)  # fmt: skip
def test_times_as_records_hold_them(value):
    assert read_time(value) == datetime(2025, 12, 4, 17, 35, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, "", "soon", 5, True, [], {}, 1e300, float("nan"), "9999-99-99"])
def test_what_is_no_time(value):
    assert read_time(value) is None


def told(record, old_id="x", files=(DAY, DAY + 60 * 10**9)):
    warnings: list[str] = []
    return when([("r.json", record)], old_id, files, NOW, warnings), warnings


def test_the_record_counts_first_then_the_id_then_the_files():
    record = {"created_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T01:00:00Z"}
    found, warnings = told(record, "run_20260113_1550")
    assert (found.told_by, found.duration, warnings) == ("created_at in r.json", 3600, [])
    found, _ = told({}, "run_20260113_1550")
    assert (found.told_by, found.duration) == ("the id", None)
    assert found.finished == found.created
    found, _ = told({})
    assert found.told_by == "the times of its files"
    assert found.finished - found.created == timedelta(minutes=1)
    assert found.duration is None


def test_times_that_cannot_be_are_said_and_not_used():
    found, warnings = told({"created_at": "2027-01-01T00:00:00Z", "timestamp": "2026-01-01T00:00:00Z"})
    assert found.told_by == "timestamp in r.json"
    assert warnings == ["created_at in r.json lies in the future (2027-01-01T00:00:00Z) and was not used"]
    found, _ = told({"created_at": "2026-01-02T00:00:00Z", "finished_at": "2026-01-01T00:00:00Z"})
    assert (found.finished, found.duration) == (found.created, None)
    found, _ = told({}, "run_20270101_0000", files=(int(NOW.timestamp() * 1e9) + 10**15,))
    assert found.created == NOW

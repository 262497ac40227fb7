"""Small tables to search on."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl


def weather(rows=120, seed=3, *, start=dt.date(2024, 1, 1)):
    """Days with a warmest temperature that a line tells well."""
    random = np.random.default_rng(seed)
    low = 5 + 6 * np.sin(np.arange(rows) / 30) + random.normal(0, 1, rows)
    kind = random.choice(["sun", "rain", "fog"], rows)
    high = 1.2 * low + np.where(kind == "sun", 3.0, 0.0) + random.normal(0, 0.5, rows)
    return pl.DataFrame(
        {
            "date": [(start + dt.timedelta(days=i)).isoformat() for i in range(rows)],
            "low": np.round(low, 2),
            "kind": kind,
            "high": np.round(high, 2),
        }
    )


def patients(rows=90, seed=5):
    """Rows of three classes, several of each site, without dates."""
    random = np.random.default_rng(seed)
    state = random.choice(["well", "ill", "risk"], rows, p=[0.5, 0.3, 0.2])
    shift = np.select([state == "ill", state == "risk"], [2.0, 1.0], 0.0)
    return pl.DataFrame(
        {
            "code": [f"{i:04d}" for i in range(rows)],
            "site": [f"s{i % 9}" for i in range(rows)],
            "fever": np.round(37 + shift + random.normal(0, 0.4, rows), 2),
            "smoker": random.choice(["yes", "no"], rows),
            "state": state,
        }
    )

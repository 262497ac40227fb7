"""Which transactions train, which calibrate and choose thresholds, and which only measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl

    from corrida.pipelines.risk.guardrails import Booleans
    from corrida.pipelines.risk.settings import Split


@dataclass(frozen=True)
class Parts:
    """Rows by what they are for; a row that is in none is only history of its client."""

    train: Booleans
    calibration: Booleans
    test: Booleans


def split(frame: pl.DataFrame, labelled: Booleans, config: Split, seed: int) -> Parts:
    """Split labelled rows so that nothing that measures is known to what is measured.

    By ``client`` a client is in one part only. By ``time`` each part comes after the one before, and rows of one moment stay
    together; features look back only, so what is measured may have the trained past as its history. By ``both`` the clients
    that measure are new, and their rows later than all that was learned from.

    Args:
        frame: columns ``client`` and ``seconds``.
        labelled: rows that may be used.
        config: the shares.
        seed: of the draw of clients.
    """
    names = frame["client"].unique().sort()
    order = np.random.default_rng(seed).permutation(len(names))
    place = dict(zip(names.to_list(), (order + 0.5) / max(len(names), 1), strict=True))
    drawn = frame["client"].replace_strict(place).to_numpy()
    first = 1 - config.test - config.calibration
    by_client = np.digitize(drawn, [first, 1 - config.test])
    if config.by == "client":
        part = by_client
    else:
        seconds = frame["seconds"].to_numpy()
        cuts = np.quantile(seconds[labelled], [first, 1 - config.test], method="lower")
        by_time = (seconds > cuts[0]).astype(int) + (seconds > cuts[1])
        part = by_time if config.by == "time" else np.where(by_client == by_time, by_time, -1)
    return Parts(*(labelled & (part == number) for number in range(3)))

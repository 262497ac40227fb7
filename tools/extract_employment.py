"""Build the data of the forecasting demo from the table of monthly employment in the package ``vega-datasets``.

Writes ``employment.csv`` (unique_id, ds, y: one row a sector and month, in thousands of people) into the target folder.

    python tools/extract_employment.py src/corrida/demos/forecasting/data
"""

from __future__ import annotations

import csv
import io
import sys
from importlib.resources import files
from pathlib import Path

# The name of one column is misspelt in the source.
_NAMES = {"trade_transportation_utilties": "trade_transportation_utilities"}
_NOT_A_SECTOR = {"month", "nonfarm_change"}


def main() -> int:
    """Write the table."""
    target = Path(sys.argv[1])
    source = files("vega_datasets").joinpath("_data", "us-employment.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(source.splitlines()))
    sectors = [name for name in rows[0] if name not in _NOT_A_SECTOR]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["unique_id", "ds", "y"])
    for sector in sectors:
        writer.writerows([_NAMES.get(sector, sector), row["month"], row[sector]] for row in rows)
    (target / "employment.csv").write_text(text.getvalue(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Build the data of the model search demo from the table of Seattle's daily weather in the package ``vega-datasets``.

Writes ``weather.csv`` (January 2012 to November 2015) and ``december.csv`` (December 2015, without the warmest temperature, as
days to be predicted) into the target folder.

    python tools/extract_weather.py src/corrida/demos/model_search/data
"""

from __future__ import annotations

import csv
import io
import sys
from importlib.resources import files
from pathlib import Path

_COLUMNS = ["date", "precipitation", "temp_min", "wind", "weather", "temp_max"]
_NEW = "2015-12-01"


def main() -> int:
    """Write the two tables."""
    target = Path(sys.argv[1])
    source = files("vega_datasets").joinpath("_data", "seattle-weather.csv").read_text(encoding="utf-8")
    rows = [{**row, "date": row["date"].replace("/", "-")} for row in csv.DictReader(source.splitlines())]
    _write(target / "weather.csv", _COLUMNS, [row for row in rows if row["date"] < _NEW])
    _write(target / "december.csv", _COLUMNS[:-1], [row for row in rows if row["date"] >= _NEW])
    return 0


def _write(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

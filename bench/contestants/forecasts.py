"""What the forecasting workload is given: the models, their windows, and the series."""

from importlib.resources import files

HORIZON = 12
WINDOWS = 4
LEVEL = 80
SEASON = 12
STATISTICAL = ("SeasonalNaive", "DynamicOptimizedTheta", "AutoETS")
LEARNING = "LightGBM"


def write(path: str, series: int) -> int:
    """Write the first series of the monthly employment of the demo as CSV, and return how many there are."""
    text = (files("corrida") / "demos" / "forecasting" / "data" / "employment.csv").read_text(
        encoding="utf-8"
    )
    header, *lines = text.splitlines()
    names = list(dict.fromkeys(line.partition(",")[0] for line in lines))[:series]
    chosen = [line for line in lines if line.partition(",")[0] in names]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([header, *chosen]) + "\n")
    return len(names)

"""Cherry-pick against what one would do without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corrida.analysis.charts.theme import GOOD, INK, QUIET, Spec, figure

if TYPE_CHECKING:
    from corrida.pipelines.forecasting.results import Results

_ROWS = (
    ("cherry_pick.mase", "cherry-pick", GOOD),
    ("cherry_pick.mase_seen", "the same, on windows it saw", "#A8C8E4"),
    ("best_single.mase", "best single model", "#8B949E"),
    ("naive.mase", "SeasonalNaive", QUIET),
)


def choice_errors(results: Results) -> Spec | None:
    """Return the MASE of cherry-pick, of the best single model and of SeasonalNaive on the same windows.

    Returns:
        The figure; None where there is no score on windows that the choice did not see.
    """
    rows = [
        {
            "name": label,
            "error": results.metrics[name],
            "text": f"{results.metrics[name]:.3f}",
            "colour": colour,
        }
        for name, label, colour in _ROWS
        if name in results.metrics
    ]
    if "cherry_pick.mase" not in results.metrics:
        return None
    y: dict[str, Any] = {
        "field": "name", "type": "nominal", "sort": [row["name"] for row in rows], "title": None,
        "axis": {"ticks": False, "domain": False},
    }  # fmt: skip
    x = {
        "field": "error", "type": "quantitative", "title": "MASE", "scale": {"domainMin": 0},
        "axis": {"tickCount": 5, "format": "~g"},
    }  # fmt: skip
    return figure(
        "What the choice for each series is worth",
        "all on the same windows; light blue: what the choice seems to be worth where it saw the answers",
        data={"values": rows},
        width=420,
        height={"step": 34},
        layer=[
            {
                "mark": {"type": "bar", "height": {"band": 0.62}},
                "encoding": {"y": y, "x": x, "color": {"field": "colour", "type": "nominal", "scale": None}},
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 6, "fontSize": 11, "color": INK},
                "encoding": {"y": y, "x": x, "text": {"field": "text"}},
            },
        ],
    )  # fmt: skip

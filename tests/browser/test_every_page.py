"""Every page, on real runs of the demos: it draws its figures, fits the window, and keeps nobody out, in light and in the dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.browser.conftest import Window

RULES = "/runs/run_rules_1.2"
PAGES = {
    # Each kind of page once, with forms, since these pages may write.
    "matching": [
        "/?pipeline=jobs&sort=-metrics.f1", "/?filter=metrics.nonsense>3",
        RULES, f"{RULES}?tab=charts", f"{RULES}?tab=inputs", f"{RULES}?tab=files", f"{RULES}?tab=results",
        f"{RULES}/items?wrong=1", f"{RULES}/items?item=T110", f"{RULES}/view/rules.csv", f"{RULES}/view/run.json",
        "/compare?run=run_rules_1.1&run=run_rules_1.2&raw=config/matching_rules_business.json",
        "/explore", "/items?flaky=1", "/items/T110", "/search?q=rules", "/search?q=xyzzy",
        "/aliases", f"{RULES}/promote", f"{RULES}/restore", "/serving",
    ],
    "verdicts": ["/compare?run=base&run=food&run=fitters&run=quarries", "/compare?run=fitters&run=quarries&slices=sector"],
    "evaluation": [
        "/", "/runs/run_seed1", "/runs/run_seed1/items", "/runs/run_seed1/view/report.html",
        "/runs/run_seed1/view/report.md", "/runs/run_seed1/view/items.parquet", "/runs/run_seed1/view/assets/calibration.png",
        "/compare?run=run_seed1&run=run_seed2",
    ],
    "forecasting": [
        "/", "/runs/experiment_more_models", "/runs/experiment_more_models/items?sort=-loss",
        "/compare?run=experiment_baseline&run=experiment_more_models",
        "/items/construction@2014-12-01",
    ],
    "model-search": [
        "/?children=1", "/runs/run_first", "/runs/run_first-ridge?tab=files", "/explore?children=1",
        "/compare?run=run_first&run=run_no_low", "/aliases",
    ],
}  # fmt: skip


@pytest.mark.parametrize("demo", PAGES)
def test_pages_of(
    demo: str, demos: Callable[[str], Path], served: Callable[..., str], window: Callable[..., Window]
) -> None:
    ways = ("ui", "--write") if demo == "matching" else ("ui",)
    one = window(served(demos(demo), *ways))
    found: list[str] = []
    for path in PAGES[demo]:
        one.open(path)
        assert one.page.get_by_role("heading", level=1).count() == 1, path
        found += one.faults()
    assert not found, "\n".join(found)
    assert bool(one.kept_in) == (demo == "evaluation")  # its report has scripts, which do not run here


@pytest.mark.parametrize(
    ("path", "status"), [("/?filter=metrics.f1+>>", 400), ("/runs/nothing", 404), ("/nothing", 404)]
)
def test_pages_that_say_what_is_wrong(
    path: str,
    status: int,
    demos: Callable[[str], Path],
    served: Callable[..., str],
    window: Callable[..., Window],
) -> None:
    one = window(served(demos("verdicts")))
    one.open(path, status)
    assert one.faults() == []


def test_a_store_without_runs(
    tmp_path: Path, served: Callable[..., str], window: Callable[..., Window]
) -> None:
    one = window(served(tmp_path))
    found: list[str] = []
    for path in ("/", "/explore", "/items", "/aliases", "/serving"):
        one.open(path)
        found += one.faults()
    assert not found, "\n".join(found)
    one.open("/")
    assert "corrida demo matching" in one.page.inner_text("main")

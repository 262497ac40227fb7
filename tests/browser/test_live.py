"""Figures of step metrics, and pages that follow a run while it runs."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

import corrida

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.browser.conftest import Window

WRITER = """
import itertools, pathlib, time, corrida
with corrida.start_run(pipeline="train", run_tag="lives", capture=False) as run:
    for step in itertools.count():
        run.log({"loss": 1 / (step + 1)}, step=step)
        time.sleep(0.05)
        if step > 10 and pathlib.Path("enough").exists():
            break
    run.log_metrics({"loss": 0.25})
"""
# The colours of what is drawn.
COLOURS = """canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const data = copy.getImageData(0, 0, canvas.width, canvas.height).data;
    const seen = new Set();
    for (let i = 0; i < data.length; i += 4) if (data[i + 3]) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
    return [...seen];
}"""


def _until(page: Page, script: str) -> None:
    """Wait until a script says so: Playwright's own waiting makes code from text, which our policy forbids."""
    for _ in range(600):
        if page.evaluate(script):
            return
        page.wait_for_timeout(50)
    raise AssertionError(script)


def test_figures_of_two_runs_smoothed_and_in_the_dark(
    project: Path, served: Callable[..., str], window: Callable[..., Window]
) -> None:
    for number, name in enumerate(("one", "two"), 1):
        with corrida.start_run(pipeline="train", run_tag=name) as run:
            for step in range(50):
                run.log({"loss": number * math.exp(-step / 9), "acc": step / 50, "<b>": 1.0}, step=step)
    one = window(served(project))
    page = one.page
    answer = one.open("/runs/run_one?tab=charts&with=run_two")
    assert "unsafe" not in answer.headers["content-security-policy"]
    one.draw()
    colours = page.locator("figure canvas").first.evaluate(COLOURS)
    assert {"0,114,178", "230,159,0"} <= {*colours}
    expect(page.locator("figure:nth-child(2) figcaption")).to_contain_text("50 points")

    with page.expect_response("**/history.json?*smooth=0.9*"):
        page.get_by_label("Smoothing").fill("0.9")
    with page.expect_response("**/history.json?*log=1*"):
        page.get_by_label("log scale").check()
    page.wait_for_url("**smooth=0.9**")
    page.wait_for_url("**log=1**")
    page.emulate_media(color_scheme="dark")
    _until(page, f"!({COLOURS})(document.querySelector('figure canvas')).includes('0,114,178')")
    assert "230,159,0" in page.locator("figure canvas").first.evaluate(COLOURS)
    page.reload()
    expect(page.get_by_label("log scale")).to_be_checked()
    expect(page.get_by_label("Smoothing")).to_have_value("0.9")
    assert one.faults() == []


def test_pages_follow_a_run_without_a_reload(
    project: Path, served: Callable[..., str], window: Callable[..., Window]
) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER], env=os.environ | {"CORRIDA_DIR": "runs"})
    try:
        while not Path("runs/run_lives/history.jsonl").exists():
            assert writer.poll() is None
        one = window(served(project))
        page = one.page
        table = one.context.new_page()
        table.goto(f"{one.site}/")
        expect(table.locator(".status")).to_have_text("running")
        one.open("/runs/run_lives?tab=charts")
        one.draw()
        for shown in (page, table):
            shown.evaluate("window.mark = 1")
        numbers = page.locator("[data-live=numbers]")
        first = numbers.locator("p").inner_text()
        _until(page, f"document.querySelector('[data-live=numbers] p').innerText !== {json.dumps(first)}")
        expect(page.locator(".live-mark")).to_be_visible()
        assert page.evaluate("window.mark") == 1
        Path("enough").touch()
        assert writer.wait(60) == 0
        expect(page.locator(".run-facts .status")).to_have_text("finished")
        one.draw()
        assert int(numbers.locator("p").inner_text().split()[0]) > 11
        expect(page.locator("[data-events]")).to_have_count(0)  # nothing is asked for any more
        expect(table.locator(".status")).to_have_text("finished")
        assert table.evaluate("window.mark") == 1
    finally:
        writer.kill()
        writer.wait()

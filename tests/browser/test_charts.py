"""Figures and live pages in a real browser, under the policy that every page has."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright
from tests.conftest import CommandLine

import corrida

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WRITER = """
import sys, time, corrida
with corrida.start_run(pipeline="train", run_tag="lives", capture=False) as run:
    for step in range(60):
        run.log({"loss": 1 / (step + 1)}, step=step)
        time.sleep(0.1)
    run.log_metrics({"loss": 0.25})
"""
# Whether something is drawn: colours besides the one of the corner.
DRAWN = """canvas => {
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const seen = new Set();
    for (let i = 0; i < data.length; i += 4) if (data[i + 3]) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
    return [...seen];
}"""


def _until(page: Page, script: str) -> None:
    """Wait until a script says so: Playwright's own waiting makes code from text, which our policy forbids."""
    for _ in range(150):
        if page.evaluate(script):
            return
        page.wait_for_timeout(100)
    raise AssertionError(script)


@pytest.fixture
def site(project: Path) -> Iterator[str]:
    process = subprocess.Popen([CommandLine.script, "ui", "--port", "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().split()[-1].rstrip("/")
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    process.stdout.close()


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield made
        made.close()


def _page(browser: Browser, site: str, problems: list[str]) -> Page:
    page = browser.new_page()
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url.startswith((site, "data:")) else problems.append(request.url),
    )
    return page


@pytest.mark.slow
def test_figures_are_drawn_under_our_policy(browser: Browser, site: str) -> None:
    for number, name in enumerate(("one", "two"), 1):
        with corrida.start_run(pipeline="train", run_tag=name) as run:
            for step in range(50):
                run.log({"loss": number * math.exp(-step / 9), "acc": step / 50, "<b>": 1.0}, step=step)
    problems: list[str] = []
    page = _page(browser, site, problems)
    answer = page.goto(f"{site}/runs/run_one?tab=charts&with=run_two")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    for figure in page.query_selector_all("figure.chart"):
        figure.scroll_into_view_if_needed()
        figure.wait_for_selector("canvas")
    _until(page, "document.querySelectorAll('figure[data-drawn]').length === 3")
    canvas = page.query_selector("figure canvas")
    assert canvas is not None
    colours = canvas.evaluate(DRAWN)
    assert "0,114,178" in colours
    assert "230,159,0" in colours
    assert "50 points" in page.inner_text("figure:nth-child(2) figcaption")

    with page.expect_response("**/history.json?*smooth=0.9*"):
        page.evaluate(
            """() => { const slider = document.querySelector("input[name=smooth]"); slider.value = "0.9";
            for (const kind of ["input", "change"]) slider.dispatchEvent(new Event(kind, {bubbles: true})); }"""
        )
    with page.expect_response("**/history.json?*log=1*"):
        page.check("input[name=log]")
    assert "smooth=0.9" in page.url
    assert "log=1" in page.url

    page.emulate_media(color_scheme="dark")
    _until(page, f"({DRAWN})(document.querySelector('figure canvas')).includes('74,163,224')")
    page.reload()
    assert page.is_checked("input[name=log]")
    assert problems == []


@pytest.mark.slow
def test_a_page_follows_its_run_without_a_reload(browser: Browser, site: str) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER])
    while not Path("runs/run_lives/history.jsonl").exists():
        assert writer.poll() is None
    problems: list[str] = []
    page = _page(browser, site, problems)
    page.goto(f"{site}/runs/run_lives?tab=charts")
    page.wait_for_selector("figure[data-drawn]")
    page.evaluate("window.mark = 1")
    first = page.inner_text("[data-live=numbers] p")
    _until(page, f"document.querySelector('[data-live=numbers] p').innerText !== {json.dumps(first)}")
    assert page.evaluate("window.mark") == 1
    assert writer.wait(30) == 0
    page.wait_for_selector(".status.finished", timeout=15_000)
    page.wait_for_selector("figure[data-drawn]")
    assert "60 logging calls" in page.inner_text("[data-live=numbers] p")
    assert page.query_selector("[data-events]") is None
    assert problems == []

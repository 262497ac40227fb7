"""Projects of the demos, a server before each, and one browser that notes what no page of ours may do.

All of it is made when it is first asked for, and ended with the last test of this folder: Playwright keeps an event loop in
the thread of the tests, which others could not share.
"""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import expect, sync_playwright
from tests.conftest import CommandLine

from corrida.cli.demo import _play
from corrida.demos import Command, find_demo, lay_out

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, ViewportSize

DEBIAN = Path("/usr/bin/chromium")
# Whatever a page wants of another host fails, besides being told.
ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

# So that a run can be against the rules.
GATE = '\n[[gate.rules]]\nmetric = "f1"\nmax_drop = 0.005\n'
# The steps of a demo that make runs, with smaller models where the whole ones take long.
PLAYED = {"run", "promote"}
SMALLER: dict[str, tuple[str, ...]] = {
    "evaluation": ("matchers.use=[fuzzy]",),
    "forecasting": ("n_windows=2", "report=false"),
    "model-search": ("models=[linear,ridge]", "n_iter=2", "repeats=1", "report=false"),
    "risk": (
        "supervised.boosting_rounds=12",
        "supervised.forest_trees=12",
        "anomaly.trees=20",
        "report=false",
    ),
}

POLICY = """addEventListener("securitypolicyviolation",
    (event) => console.error(`against the policy: ${event.violatedDirective} ${event.blockedURI}`));"""
DRAW = """async () => {
    const figures = [...document.querySelectorAll("figure.chart")];
    const drawn = (figure) => "drawn" in figure.dataset || figure.classList.contains("failed");
    for (const figure of figures) {
        figure.scrollIntoView();
        for (const end = performance.now() + 30000; !drawn(figure) && performance.now() < end;)
            await new Promise(requestAnimationFrame);
    }
    scrollTo(0, 0);
    return figures.filter((one) => !("drawn" in one.dataset) || one.matches(".failed")).map((one) => one.innerText);
}"""
# What reaches beyond the page, where it does.
TOO_WIDE = """async () => {
    const fits = () => document.documentElement.scrollWidth <= innerWidth;
    for (const end = performance.now() + 2000; !fits() && performance.now() < end;)  // figures follow a moment later
        await new Promise(requestAnimationFrame);
    if (fits()) return [];
    const beyond = [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > innerWidth + 1);
    return [`${document.documentElement.scrollWidth} of ${innerWidth} pixels`, ...beyond.slice(0, 5).map((one) => one.outerHTML.slice(0, 160))];
}"""
# What keeps people out, by axe. Rows of a long table are alike, and looking at hundreds of them takes seconds.
ACCESSIBLE = """async (only) => {
    for (const one of document.getAnimations()) one.finish();
    const alike = "tbody tr:nth-child(n+10), .flipped details:nth-of-type(n+10), .tree li:nth-child(n+10)";
    const left = document.querySelectorAll(alike);
    for (const one of left) one.style.visibility = "hidden"; // its room stays
    const { violations } = await axe.run(document, { runOnly: only, resultTypes: ["violations"], preload: false, iframes: false });
    for (const one of left) one.style.visibility = "";
    return violations.filter(({ impact }) => impact !== "minor").flatMap(({ id, impact, nodes }) => nodes.slice(0, 3).map((node) =>
        `${id} (${impact}): ${node.target.join(" ")} ${node.html.slice(0, 200)} ${node.failureSummary.replace(/\\s+/g, " ")}`));
}"""
SIZE: ViewportSize = {"width": 1280, "height": 800}
PATIENCE = 30_000  # milliseconds; the machine of the tests may be busy with other things
EVERY_RULE = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLOUR = ["color-contrast", "link-in-text-block"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker hold the servers and the browser."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("browser"))
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="package", autouse=True)  # first of all: without it nothing else need be made
def browser() -> Iterator[Browser]:
    """Debian's Chromium, else the one of Playwright."""
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        if not DEBIAN.exists() and not own.exists():
            pytest.skip(
                "no Chromium is installed: `apt-get install chromium`, or `playwright install chromium`"
            )
        path = DEBIAN if DEBIAN.exists() else own
        expect.set_options(timeout=PATIENCE)
        made = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield made
        made.close()


@pytest.fixture(scope="package")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all servers: the JavaScript of the figures is written once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="package")
def demos(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Callable[[str], Path]:
    """Gives the project of a demo, with runs that its own story made."""

    @functools.cache
    def project(name: str) -> Path:
        demo = find_demo(name)
        folder = tmp_path_factory.mktemp("demo") / name
        lay_out(demo, folder)
        smaller = [argument for one in SMALLER.get(name, ()) for argument in ("--set", one)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CORRIDA_CACHE_DIR", str(cache))
            patch.chdir(folder)
            if name == "matching":
                with Path("corrida.toml").open("a", encoding="utf-8") as settings:
                    settings.write(GATE)
            for step in demo.steps:
                command = step.arguments[0] if isinstance(step, Command) else ""
                if command and command not in PLAYED and (name, command) != ("risk", "predict"):
                    continue
                taken = step._replace(arguments=(*step.arguments, *smaller)) if command == "run" else step
                assert _play(demo, taken, ()) == 0, step.told
        return folder

    return project


@pytest.fixture(scope="package")
def served(cache: Path) -> Iterator[Callable[..., str]]:
    """Starts what shows the pages of a project, once for each folder and way, and gives the address."""
    environment = os.environ | {"CORRIDA_CACHE_DIR": str(cache)}
    processes: list[subprocess.Popen[str]] = []

    @functools.cache
    def start(folder: Path, *arguments: str) -> str:
        told = folder / "server.log"
        command = [CommandLine.script, *(arguments or ("ui",)), "--port", "0"]
        with told.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line, told.read_text(encoding="utf-8")
        return line.split()[-1].rstrip("/")

    yield start
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


class Window:
    """A window of the browser, which notes what no page of ours may do.

    Attributes:
        page: what it shows.
        problems: errors of scripts, what the policy forbade, and calls of other hosts.
        refusals: statuses that the server may answer with in this test; the browser tells of each as of an error.
        kept_in: scripts of files that a run wrote, which the browser kept from running.
    """

    def __init__(self, browser: Browser, site: str, **options: Any) -> None:
        self.site, self.problems, self.kept_in = site, list[str](), list[str]()
        self.refusals = set[int]()
        self.context = browser.new_context(viewport=SIZE, **options)
        self.context.set_default_timeout(PATIENCE)
        self.context.add_init_script(POLICY)
        self.context.on("console", self._told)
        self.context.on(
            "weberror", lambda error: self.problems.append(f"{error.page and error.page.url}: {error.error}")
        )
        self.context.on("request", self._asked)
        self.page: Page = self.context.new_page()

    def _told(self, message: ConsoleMessage) -> None:
        if any(f"responded with a status of {status} " in message.text for status in self.refusals):
            return
        if re.match(
            "Blocked script execution in '.*/files/.*' because the document's frame is sandboxed",
            message.text,
        ):
            self.kept_in.append(message.text)
        elif message.type in {"error", "warning"}:
            self.problems.append(f"{message.location.get('url')}: {message.text}")

    def _asked(self, request: Request) -> None:
        where = urlsplit(request.url)
        if where.scheme not in {"data", "blob"} and where.netloc != urlsplit(self.site).netloc:
            self.problems.append(f"a call of another host: {request.url}")

    def open(self, path: str, status: int = 200) -> Response:
        """Go to a page of the site."""
        if status >= 400:
            self.refusals.add(status)
        if self.page.viewport_size != SIZE:
            self.page.set_viewport_size(SIZE)
        answer = self.page.goto(self.site + path)
        assert answer is not None
        assert answer.status == status, path
        return answer

    def draw(self) -> None:
        """Bring every figure into view and wait until it is drawn."""
        assert self.page.evaluate(DRAW) == [], self.page.url

    def faults(self) -> list[str]:
        """What is wrong with the looks of the page: its figures, what keeps people out in light and in the dark, and its width.

        The window stays in the other light, in which the next page is looked at first.
        """
        page = self.page
        found = [f"no figure: {text}" for text in page.evaluate(DRAW)]
        page.evaluate(AXE_SCRIPT)
        for rules in (EVERY_RULE, OF_COLOUR):
            dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
            found += [f"{'dark' if dark else 'light'}: {text}" for text in page.evaluate(ACCESSIBLE, rules)]
            if rules is EVERY_RULE:
                page.emulate_media(color_scheme="light" if dark else "dark")
        for width in (360, 2560):
            page.set_viewport_size({"width": width, "height": 800})
            found += [f"too wide: {text}" for text in page.evaluate(TOO_WIDE)]
        return [f"{page.url.removeprefix(self.site)}: {text}" for text in found]


@pytest.fixture
def window(browser: Browser) -> Iterator[Callable[..., Window]]:
    """Opens windows on a site, and looks at the end whether its pages did what they may not."""
    opened: list[Window] = []

    def new(site: str, **options: Any) -> Window:
        opened.append(Window(browser, site, **options))
        return opened[-1]

    yield new
    for one in opened:
        one.context.close()
    assert [problem for one in opened for problem in one.problems] == []

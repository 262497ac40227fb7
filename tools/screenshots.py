"""Take pictures of the pages of the viewer, light and dark, for the documentation.

The demos are played in a temporary folder, a small network is trained with several settings, and payments are scored by the
runner; all that is shown was computed, nothing is drawn. Then ``corrida ui`` shows the folder to Chromium.

    python tools/screenshots.py                      # writes docs/images
    python tools/screenshots.py --only compare item  # these pages alone
    python tools/screenshots.py --keep FOLDER        # keeps the project, and uses it again the next time

Needs Chromium (``--browser``, or one on the path; else the one that Playwright brings).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import click
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from corrida.pipelines.risk.generate import Shape, generate_transactions, write_transactions

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
_CORRIDA = str(Path(sys.executable).with_name("corrida"))
WIDTH, HEIGHT = 1280, 800
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
PROJECT = "studies"
DEMOS = ("forecasting", "evaluation", "verdicts", "risk")
NETWORKS = 18
FILES = 30
UNREADABLE = (9, 23)
"""Numbers of the files that lack a column."""
PAUSE = 4.0
"""Seconds between two files."""
DEADLINE = 300.0
"""Seconds for what is left when the last file came."""


class Shot(NamedTuple):
    """A picture: its name, and the page."""

    name: str
    path: str


SHOTS = (
    Shot("runs", "/"),
    Shot("run", "/runs/quarries"),
    Shot("history", "/runs/network_05?tab=charts&with=network_01&with=network_09"),
    Shot("items", "/runs/quarries/items?wrong=1"),
    Shot("file", "/runs/run_seed1/view/report.md"),
    Shot("compare", "/compare?run=base&run=food"),
    Shot("explore", "/explore?pipeline=digits"),
    Shot("item", "/items/T110"),
    Shot("aliases", "/aliases"),
    Shot("serving", "/serving"),
    Shot("analysis", "/serving/payments_07"),
)


def main() -> int:
    """Take the pictures."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--browser", default=_browser(), help="path of Chromium")
    options.add_argument("--only", nargs="+", choices=[shot.name for shot in SHOTS], metavar="PAGE")
    options.add_argument("--keep", type=Path, metavar="FOLDER", help="where the project is made, and kept")
    options.add_argument("--to", type=Path, default=IMAGES, help="folder of the pictures")
    given = options.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        folder = (given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))).resolve()
        project = folder / PROJECT
        for name in [name for name in os.environ if name.startswith("CORRIDA_")]:
            del os.environ[name]
        os.environ["CORRIDA_CACHE_DIR"] = str(folder / "cache")
        os.environ["LOGNAME"] = "you"  # who promoted what
        os.environ["OMP_NUM_THREADS"] = "1"  # several get into each other's way where a machine is busy
        made = folder / "made"
        if not made.exists():
            if folder.exists() and any(folder.iterdir()):
                raise SystemExit(f"{folder} holds something else; choose an empty folder")
            build(folder, project)
            made.touch()
        address = stack.enter_context(shown(project))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=given.browser, args=["--no-sandbox"])
        for shot in SHOTS:
            for scheme in SCHEMES:
                if not given.only or shot.name in given.only:
                    picture = _small(take(browser, address, shot, scheme, hidden=str(folder)))
                    file = given.to / f"viewer-{shot.name}-{scheme}.png"
                    file.write_bytes(picture)
                    _say(f"{file.name}: {len(picture) / 1000:.0f} kB")
        browser.close()
    return 0


def build(folder: Path, project: Path) -> None:
    """Make a project with the runs of demos, of networks, and files that were scored.

    Args:
        folder: an empty folder, for all that is needed on the way.
        project: the project, within that folder.
    """
    project.mkdir(parents=True)
    settings = ['store = "runs"\n']
    _train(project)
    for demo in DEMOS:
        _say(f"the demo {demo} is played")
        _run(folder, _CORRIDA, "demo", demo, "--to", demo)
        text = (folder / demo / "corrida.toml").read_text(encoding="utf-8")
        settings.append(text.partition("\n")[2])
        for part in ("config", "data", "runs"):  # runs are folders: those of several stores can lie in one
            if (folder / demo / part).is_dir():
                ignore = shutil.ignore_patterns("index.json", "aliases.jsonl", ".corrida")
                shutil.copytree(folder / demo / part, project / part, dirs_exist_ok=True, ignore=ignore)
    (project / "corrida.toml").write_text("\n".join(settings), encoding="utf-8")
    _promote(project)
    _score(project)


def _train(project: Path) -> None:
    _say(f"{NETWORKS} networks are trained")
    shutil.copy(ROOT / "examples" / "digits" / "network.py", project)
    draw = random.Random(1)  # noqa: S311 - settings to be tried, not a secret
    for number in range(1, NETWORKS + 1):
        settings = {
            "hidden": draw.choice((8, 16, 32, 64, 128)),
            "rate": round(10 ** draw.uniform(-2.6, -0.5), 4),
            "batch": draw.choice((16, 32, 64, 128)),
            "decay": float(f"{10 ** draw.uniform(-5, -1):.1e}"),
        }
        arguments = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
        told = f"{settings['hidden']} units, {settings['batch']} images a step"
        names = ["--run-id", f"network_{number:02}", "--description", told]
        _run(project, sys.executable, "network.py", *names, *arguments)


def _promote(project: Path) -> None:
    for run, alias, reason in (
        ("first", "production", "the first that learned its thresholds from costs"),
        ("wider", "production", "a missed alarm is dear"),
        ("base", "titles", "what we had"),
        ("food", "titles", "six titles more are right, none is lost"),
        ("experiment_more_models", "forecast", "lowest error on years not seen"),
    ):
        _corrida(project, "promote", run, f"@{alias}", "--reason", reason)


def _score(project: Path) -> None:
    """Lay files before the runner, one after the other, as they come on a busy day; two of them cannot be scored."""
    _say(f"{FILES} files are scored")
    spool = project / "spool"
    (spool / "pending").mkdir(parents=True)
    draw = random.Random(2)  # noqa: S311 - sizes of files, not a secret
    with _started(project, "serve", "--port", "0", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        for number in range(1, FILES + 1):
            payments = generate_transactions(100 + number, Shape(clients=draw.randint(20, 90)))
            file = spool / "pending" / f".{number}"  # hidden until it is whole
            write_transactions(payments, file, labels=False)
            if number in UNREADABLE:
                file.write_text(file.read_text().replace("monto", "columna_3", 1))
            file.rename(file.with_name(f"payments_{number:02}.csv"))
            time.sleep(PAUSE * draw.uniform(0.2, 1.8))
        deadline = time.monotonic() + DEADLINE
        while len([*spool.glob("processed/*.json"), *spool.glob("failed/*.json")]) < FILES:
            if time.monotonic() > deadline:
                raise SystemExit("the runner does not get through")
            time.sleep(1)


@contextlib.contextmanager
def _started(project: Path, *command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a command of corrida until the block ends."""
    with subprocess.Popen([_CORRIDA, *command], cwd=project, text=True, **options) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextlib.contextmanager
def shown(project: Path) -> Iterator[str]:
    """Run the viewer, and return its address."""
    with _started(project, "ui", "--port", "0", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        said = process.stdout.readline() if process.stdout else ""
        if "http://" not in said:
            raise SystemExit("corrida ui does not start")
        yield said.split()[-1].rstrip("/")


def take(browser: Browser, address: str, shot: Shot, scheme: Scheme, *, hidden: str) -> bytes:
    """Take the picture of a page.

    Args:
        browser: that shows it.
        address: of the viewer.
        shot: what is taken.
        scheme: light or dark.
        hidden: what no page may show: where the project lies on this machine.

    Returns:
        A PNG.

    Raises:
        SystemExit: the page cannot be shown, or something is wrong with it.
    """
    with browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, locale="en-GB", timezone_id="UTC"
    ) as context:
        page = context.new_page()
        problems: list[str] = []
        page.on("console", lambda told: problems.append(told.text) if told.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        answer = page.goto(address + shot.path)
        if answer is None or not answer.ok:
            problems.append(page.inner_text("main"))
        _settle(page)
        if hidden in page.content():
            problems.append(f"the page shows {hidden}")
        if problems:
            raise SystemExit(f"{shot.path}: {'; '.join(problems)}")
        return page.screenshot()


def _settle(page: Page) -> None:
    """Wait until all figures in view are drawn."""
    page.wait_for_load_state("networkidle")
    page.wait_for_function(
        """() => [...document.querySelectorAll("figure.chart")].every((figure) =>
             figure.getBoundingClientRect().top > innerHeight || figure.matches("[data-drawn], .failed"))"""
    )
    page.wait_for_timeout(200)


def _small(picture: bytes) -> bytes:
    """Return a PNG with 256 colours, which is as crisp and a third as large."""
    written = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as whole:
        few = whole.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(written, "PNG", optimize=True)
    return written.getvalue()


def _browser() -> str | None:
    return shutil.which("chromium") or shutil.which("google-chrome")


def _corrida(project: Path, *arguments: str) -> None:
    _run(project, _CORRIDA, *arguments)


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:])} failed:\n{done.stdout}{done.stderr}")


def _say(text: str) -> None:
    click.echo(text)


if __name__ == "__main__":
    sys.exit(main())

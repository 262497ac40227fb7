"""Write the generated parts of the documentation.

These are docs/cli.md, docs/python.md, and with their real output the tour in README.md and the examples in docs/verdicts.md.

Usage: ``python tools/write_docs.py`` writes; with ``--check`` it says what is out of date, and exits with 1.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
_TOUR = re.compile(r"(<!-- tour -->\n).*?(<!-- /tour -->)", re.DOTALL)
# What differs from one time to the next.
_TIMES = (
    (re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d"), "2026-11-21 10:00"),
    (re.compile(r"\b\d+\.\d s$", re.MULTILINE), "0.7 s"),
    (re.compile(r"\b[\d.]+ s to [\d.]+ s\b"), "0.1 s to 20 s"),  # what bisect expects
)

# A command as it is typed, and how much of its output is shown; None shows all.
TOUR: tuple[tuple[str, str, int | None], ...] = (
    (
        "Two runs of the demo: the first rules, and the rules that somebody wrote after reading the misses.",
        "corrida list",
        None,
    ),
    (
        "Is it better, what changed, and which items flipped?",
        "corrida compare --latest --only-changed --items 5",
        None,
    ),
    ("What does one run know of itself?", "corrida show latest", 14),
    (
        "Back to the rules of the run before: a look first, then the bytes.",
        "corrida restore latest~1 --dry-run",
        None,
    ),
    ("", "corrida restore latest~1 --yes", -1),
    ("", "corrida undo", None),
    ("Is every run still what was written?", "corrida verify", None),
)


_WALK = re.compile(r"(<!-- walk -->\n).*?(<!-- /walk -->)", re.DOTALL)
_DIGITS = re.compile(r"(<!-- digits -->\n).*?(<!-- /digits -->)", re.DOTALL)

# Of the steps of `corrida demo verdicts`, by how the command starts: what is told of it, and the headings of the parts of its
# output that are shown; without headings all is.
WALK: dict[str, tuple[str, tuple[str, ...]]] = {
    "compare base food": (
        (
            "**A rule that helps.** The first edit is a rule for food, drink and tobacco. Its words were taken from the index that the "
            "demo searches, and for each this code is the most frequent one there. On the 500 titles:"
        ),
        ("Verdict", "Configs", "Items"),
    ),
    "compare food fitters": (
        (
            "Six items are few, and yet enough: had the two versions been alike, each of the six would have flipped to either side "
            "with the same chance, and all six to one side happens once in 32 times. (No test can know that this rule was "
            "chosen for the demo because it helps. What speaks for it besides: of the 192 entries of the index for which it holds, "
            "89 % have its code.)\n\n"
            "**A rule that is noise.** F1 rises again with a rule for fitters. Every tracker would show it as progress:"
        ),
        ("Verdict", "Items"),
    ),
    "compare fitters quarries": (
        (
            "Three fixed and one broken is what chance does with four coins, and corrida says how many titles it would take to know. "
            "(Of the entries of the index for which this rule holds, only 35 % have its code.)\n\n"
            "**Two changes that harm together.** The last edit adds a rule for quarries, behind the rule for coal mines, and on the way "
            "puts the priorities of some rules in order:"
        ),
        ("Verdict", "Configs", "Slices"),
    ),
    "items quarries": ("The coal mines it is. What do they get now?", ()),
    "item T110": ("One of them over all runs: right until then.", ()),
    "bisect fitters": (
        (
            "**Which change did it?** Six were made at once. `bisect` executes mixtures of both configurations on the seven titles "
            "that broke:"
        ),
        (),
    ),
    "rerun food": (
        (
            "Neither is to blame alone: the rule for quarries holds for coal mines as well, and as long as R09 came first nobody "
            "noticed. With either of the two changes undone all seven are right again.\n\n"
            "**Does the good run hold?** Executed again, from nothing but its folder:"
        ),
        (),
    ),
    "compare fitters quarries --only-changed --gate": (
        "**A gate** would have kept it off the main branch. The exit code is 1:",
        ("Gate",),
    ),
}


_REFERENCES = (
    "A run is named by its id, a unique prefix of it, `latest` (the newest finished run), `latest~1` (the finished run "
    "before it) or `@alias`.\n"
)
_EXIT_CODES = (
    "Exit codes: 0 fine; 1 worse, failed or refused; 2 wrong use; 130 interrupted. `corrida exec` passes on the code of "
    "its command.\n"
)
_VARIABLES = (
    "| variable | meaning |\n| --- | --- |\n"
    "| `CORRIDA_DIR` | the store, unless `--store` names one |\n"
    "| `CORRIDA_CACHE_DIR` | where catalogs are kept; else `$XDG_CACHE_HOME/corrida`, else `~/.cache/corrida` |\n"
    "| `CORRIDA_RUN_DIR` | set by `corrida exec` for its command: the run folder |\n"
    "| `CORRIDA_DATABASE_URL` | the database of `corrida stamp` and `--stamp`, unless `--database` names one |\n"
    "| `CORRIDA_DEBUG` | show the traceback of an error |\n"
    "| `NO_COLOR` | no colours |\n"
)


def cli_page() -> str:
    """Return docs/cli.md: every command with its help, as the program prints it."""
    from corrida.cli.main import COMMANDS, cli

    parts = [
        "# Command line\n",
        "Written by `make docs` from the program itself.\n",
        _REFERENCES,
        _EXIT_CODES,
        _VARIABLES,
        _block(_help(cli, "corrida", None)),
    ]
    context = click.Context(cli, info_name="corrida")
    for name, entry in COMMANDS.items():
        command = cli.get_command(context, name)
        if command is None or entry.hidden:
            continue
        parts += [f"## corrida {name}\n", _block(_help(command, name, context))]
        if isinstance(command, click.Group):
            group = click.Context(command, info_name=name, parent=context)
            for part in command.list_commands(group):
                inner = command.get_command(group, part)
                if inner is not None:
                    parts += [f"### corrida {name} {part}\n", _block(_help(inner, part, group))]
    return "\n".join(parts)


def python_page() -> str:
    """Return docs/python.md: the public names with their signatures and what they promise."""
    import corrida

    parts = [
        "# Python\n",
        "Written by `make docs` from the docstrings. Everything here is a name of `corrida`.\n",
    ]
    for name in corrida.__all__:
        thing = getattr(corrida, name)
        if inspect.isfunction(thing):
            parts += [f"## corrida.{name}\n", _documented(name, thing)]
        elif inspect.isclass(thing):
            parts += [f"## corrida.{name}\n", _block(inspect.getdoc(thing) or "")]
            for method, member in inspect.getmembers(thing, _is_documented):
                if method[0] != "_":
                    parts += [f"### {name}.{method}\n", _documented(method, member)]
    parts += ["## corrida.errors\n", _block(inspect.getdoc(corrida.errors) or "")]
    return "\n".join(parts)


def _is_documented(member: object) -> bool:
    function = _function(member)
    return inspect.isfunction(function) and function.__module__.startswith("corrida.")


def _function(member: object) -> Any:
    return member.fget if isinstance(member, property) else member


def _documented(name: str, member: object) -> str:
    text = inspect.getdoc(member) or ""
    if isinstance(member, property):
        return _block(text)
    signature = str(inspect.signature(_function(member))).replace("(self, ", "(").replace("(self)", "()")
    signature = re.sub(
        r"(: |-> )'([^']*)'", r"\1\2", signature
    )  # annotations are texts, and read better bare
    return f"```text\n{name}{signature}\n\n{text}\n```\n"


def _help(command: click.Command, name: str, parent: click.Context | None) -> str:
    context = click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=100,
        max_content_width=100,
        help_option_names=["-h", "--help"],
    )
    return command.get_help(context)


def _block(text: str) -> str:
    return f"```text\n{text}\n```\n"


def tour() -> str:
    """Return the tour of the README, made by running its commands in a fresh demo."""
    parts: list[str] = []
    with _elsewhere():
        _run("corrida demo matching --to demo-matching")
        os.chdir("demo-matching")
        for told, command, shown in TOUR:
            lines = _run(command)
            if shown is not None and shown >= 0 and len(lines) > shown:
                lines = [*lines[:shown], "…"]
            elif shown == -1:
                lines = lines[-1:]
            if told:
                parts.append(f"{told}\n")
            parts.append(_console(command, lines))
    return "\n".join(parts)


def walk() -> str:
    """Return the walk-through of docs/verdicts.md, made by playing its demo."""
    with _elsewhere():
        played = "\n".join(_run("corrida demo verdicts --to demo-verdicts"))
    parts: list[str] = []
    for step in played.split("\n── ")[1:]:
        _, *lines = step.rstrip("\n").split("\n")
        typed = lines[0].removeprefix("$ corrida ")
        fitting = [start for start in WALK if typed.startswith(start)]
        if fitting:
            told, headings = WALK[max(fitting, key=len)]
            parts += [f"{told}\n", _console(f"corrida {typed}", _sections(lines[1:], headings))]
    return "\n".join(parts)


def digits() -> str:
    """Return the example with scikit-learn's digits, made by running it."""
    script = ROOT / "examples" / "digits" / "digits.py"
    parts: list[str] = []
    with _elsewhere():
        for options in ("--neighbors 1 --run-id one", "--neighbors 3 --weights distance --run-id three"):
            subprocess.run([sys.executable, str(script), *shlex.split(options)], check=True)
            parts.append(f"$ python digits.py {options}\n")
        command = "corrida compare one three --slices auto"
        lines = _sections(_run(command), ("Verdict", "Configs", "Slices"))
    return "```console\n" + "".join(parts) + f"$ {command}\n" + "\n".join(lines) + "\n```\n"


def _sections(lines: list[str], headings: tuple[str, ...]) -> list[str]:
    """Return the parts of an output that start with one of the headings, with … where others were."""
    if not headings:
        return lines
    found: list[str] = []
    for part in "\n".join(lines).split("\n\n"):
        if part.startswith(headings):
            found += [*([""] if found else []), *part.split("\n")]
        elif not found or found[-1] != "…":
            found += [*([""] if found else []), "…"]
    return found


def _console(command: str, lines: list[str]) -> str:
    return "```console\n$ " + command + "\n" + "\n".join(lines) + "\n```\n"


@contextlib.contextmanager
def _elsewhere() -> contextlib.Generator[None]:
    """Work in a folder that is gone afterwards, with a cache of its own."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, _environment(Path(folder)):
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


@contextlib.contextmanager
def _environment(folder: Path) -> contextlib.Generator[None]:
    changed = {"CORRIDA_CACHE_DIR": str(folder / "cache"), "COLUMNS": "110"}
    unset = ("CORRIDA_DIR", "CORRIDA_RUN_DIR")
    before = {name: os.environ.get(name) for name in (*changed, *unset)}
    for name in unset:
        os.environ.pop(name, None)
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _run(command: str) -> list[str]:
    """Return the lines that a command prints, without what differs from one time to the next."""
    from corrida.cli.main import run_cli

    captured = io.StringIO()
    with contextlib.redirect_stdout(captured), contextlib.redirect_stderr(io.StringIO()):
        ended = run_cli(shlex.split(command)[1:])
    if ended != 0:
        raise SystemExit(f"{command} ended with {ended}")
    output = captured.getvalue()
    for pattern, fixed in _TIMES:
        output = pattern.sub(fixed, output)
    return output.rstrip("\n").split("\n")


def pages() -> dict[Path, str]:
    """Return every generated page with its content."""
    readme = ROOT / "README.md"
    verdicts = ROOT / "docs" / "verdicts.md"
    shown, walked, told = tour(), walk(), digits()
    page = _WALK.sub(lambda m: m.group(1) + walked + m.group(2), verdicts.read_text(encoding="utf-8"))
    return {
        verdicts: _DIGITS.sub(lambda m: m.group(1) + told + m.group(2), page),
        ROOT / "docs" / "cli.md": cli_page(),
        ROOT / "docs" / "python.md": python_page(),
        readme: _TOUR.sub(lambda m: m.group(1) + shown + m.group(2), readme.read_text(encoding="utf-8")),
    }


def main() -> int:
    """Write the pages, or check them."""
    stale = [
        path
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        for path in stale:
            click.echo(f"{path.relative_to(ROOT)} is out of date; run `make docs`")
        return 1 if stale else 0
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

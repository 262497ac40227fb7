"""What a person sees: nothing wider than the terminal, ids whole, plain text where it is piped."""

from __future__ import annotations

import subprocess

import pytest

from corrida.analysis.blocks import display_width

LONG = "run_2026-11-21_experiment_with_a_long_name_of_sixty_characters"
WIDTHS = [80, 140]


def _fits(text, width):
    return [line for line in text.splitlines() if display_width(line) > width]


@pytest.fixture
def varied(toy, corrida):
    (toy.root / "many.py").write_text(
        "def work(): return {f'metric.of.a.long.name.{i:02}': i / 7 for i in range(60)}\n", encoding="utf-8"
    )
    corrida("run", "jobs", "--run-id", "short", "--notes", "notes with ñ and é", "--description", "first")
    corrida("run", "jobs", "--run-id", LONG, "--description", "規則を追加した" * 20, "--seed", 7)
    corrida("run", "many:work", "--run-id", "many", "--description", "sixty metrics", "--source", "g" * 50)
    corrida("promote", "short", "--reason", "the best, " * 20)
    return toy


@pytest.mark.parametrize("width", WIDTHS)
def test_the_list_fits_and_ids_are_whole(varied, corrida, width):
    seen = corrida.terminal(width, "list")
    assert _fits(seen, width) == []
    ids = [line.split()[0] for line in seen.splitlines()[2:5]]
    assert ids == ["many", LONG, "short"]
    header = seen.splitlines()[0].split()
    assert header[:1] == ["id"]
    assert all(
        name in {"id", "pipeline", "status", "created", "seed", "precision", "source", "description", "notes"}
        for name in header
    )
    if width == 80:
        assert "no room for" in seen
        assert "--columns" in seen


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "command",
    [
        ("show", "many"),
        ("show", LONG),
        ("compare", "short", LONG),
        ("compare", "short", "many"),
        ("items", "short"),
        ("restore", "short", "--dry-run"),
        ("pipelines",),
        ("aliases",),
        ("verify",),
    ],
)
def test_everything_fits(varied, corrida, width, command):
    varied.rules("1.2", [{"id": "R2", "word": "a " * 30, "answer": "C"}])
    corrida("run", "jobs")  # so that restore has something to show, and may
    seen = corrida.terminal(width, *command)
    assert _fits(seen, width) == []
    assert seen.strip()


def test_an_id_wider_than_the_terminal_is_still_whole(toy, corrida):
    name = "x" * 128
    corrida("run", "jobs", "--run-id", name)
    for command in (("list",), ("show",), ("compare", name, name)):
        assert name in corrida.terminal(80, *command)


def test_no_run_and_one_run(toy, corrida):
    assert "no runs in runs/ yet" in corrida.terminal(80, "list")
    assert "no run" in corrida.terminal(80, "show", code=2)
    corrida("run", "jobs", "--run-id", "only")
    assert "only" in corrida.terminal(80, "list")
    assert "no run of jobs finished before only" in " ".join(corrida.terminal(80, "compare", code=2).split())


def test_colour_on_a_terminal_and_none_in_a_pipe(toy, corrida):
    corrida("run", "jobs", "--run-id", "only")
    assert "\x1b[" in corrida.terminal(100, "list", colour=True)
    assert "\x1b[" not in corrida.terminal(100, "list")  # NO_COLOR
    for command in (("list",), ("show",), ("items",), ("pipelines",), ("compare", "only", "only")):
        piped = corrida.process(*command).stdout
        assert "\x1b" not in piped
        assert not set(piped) & set("─━│┃┌┐└┘├┤╭╮╰╯")
        assert piped.strip()


def test_what_a_run_says_cannot_steer_the_terminal(toy, corrida):
    corrida("run", "jobs", "--run-id", "a", "--description", "red \x1b[31m and \x07 bell")
    for text in (corrida("list").out, corrida("show", "a").out, corrida.terminal(100, "show", "a")):
        assert "\x1b" not in text
        assert "\x07" not in text


def test_a_pipe_that_is_closed_early(toy, corrida):
    for number in range(3):
        corrida("run", "jobs", "--run-id", f"r{number}")
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"set -o pipefail; {corrida.script} list | head -1; {corrida.script} list --json | head -c 1",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split()[0] == "id"
    assert done.returncode == 0


def test_restore_asks_on_a_terminal(toy, corrida):
    import pexpect

    before = (toy.root / "config/rules.json").read_bytes()
    corrida("run", "jobs", "--run-id", "a")
    after = toy.rules("1.2", [])
    corrida("run", "jobs", "--run-id", "b")
    for answer, expected, code in (("n", after, 1), ("y", before, 0)):
        child = pexpect.spawn(corrida.script, ["restore", "a"], encoding="utf-8", timeout=20)
        child.expect("Write 1 file")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == code
        assert (toy.root / "config/rules.json").read_bytes() == expected


EVIL = "x\x1b[31m\x07\x9b1m"


def _is_clean(text):
    return not {"\x1b", "\x07", "\x9b", "\x00"} & set(text)


def test_headers_of_a_table_cannot_steer_the_terminal(toy, corrida):
    (toy.root / "evil_header.py").write_text(
        f"import polars as pl\nfrom corrida import Outcome\n"
        f"def work(): return Outcome(metrics={{}}, items=pl.DataFrame({{'item_id': ['1'], {EVIL!r}: ['a'], 'z' * 60: ['b']}}))\n",
        encoding="utf-8",
    )
    corrida("run", "evil_header:work")
    for width in (40, 200):
        assert _is_clean(corrida.terminal(width, "items"))
    assert _is_clean(corrida("items").out)


def test_what_is_echoed_cannot_steer_the_terminal(toy, corrida, monkeypatch, capsys):
    from corrida.cli import common

    monkeypatch.setattr(common, "in_colour", lambda: True)  # else click itself takes escapes away
    corrida("run", "jobs", "--run-id", "a")
    assert "k=x\ufffd" in corrida("tag", "a", f"k={EVIL}").out
    assert _is_clean(corrida("tag", "a", "l=1").out)
    assert _is_clean(corrida("list", "--filter", f"metrics.{EVIL} > 1").err)
    assert _is_clean(corrida("tag", "a", EVIL, code=2).err)
    common.say(EVIL, err=True, bold=True)
    assert capsys.readouterr().err.count("\x07") == 0


def test_every_text_goes_through_say():
    """A click.echo in a command is a text that nobody cleans."""
    import re
    from pathlib import Path

    import corrida.cli

    folder = Path(corrida.cli.__file__).parent
    found = {
        f"{file.name}: {line.strip()}"
        for file in folder.glob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(r"click\.s?echo\(|\bprint\(", line) and "def say" not in line
    }
    assert {f.split(":")[0] for f in found} == {"common.py", "keep.py"}
    # say itself, a cleared line, JSON, an empty line, a table of clean cells, and the completion script
    assert len(found) == 6, found


def test_verify_shows_progress_on_a_terminal(toy, corrida, monkeypatch):
    from corrida.cli import progress

    seen = []

    def noted(items, total, label):
        seen.append((total, label))
        yield from items

    monkeypatch.setattr(progress, "terminal_progress", noted)
    for name in ("a", "b"):
        corrida("run", "jobs", "--run-id", name)
    seen.clear()
    assert "2 of 2 runs intact" in corrida("verify").out
    assert seen == [(2, "verifying")]

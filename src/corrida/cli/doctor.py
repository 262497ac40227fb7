"""``corrida doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from corrida.cli.common import json_option, print_json, show_blocks, store_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.analysis.blocks import Block, Style
    from corrida.doctor import Finding, Subject
    from corrida.doctor.installation_checks import Extra


@click.command()
@json_option
@store_option
def doctor(*, as_json: bool, store: str | None) -> int:
    """Look at the store, the project and the installation, and say what to mend.

    Nothing is changed, and no digest is recomputed: `corrida verify` does that. The exit code is 1 when an error
    is found.
    """
    import platform

    from corrida import __version__
    from corrida.doctor import examine, subject_of
    from corrida.doctor.installation_checks import extras

    subject = subject_of(store)
    findings = examine(subject)
    optional = extras()
    if as_json:
        print_json(
            {
                "findings": findings,
                "store": {"folder": subject.shown_root, "runs": _count(subject)},
                "extras": [
                    {"name": e.name, "purpose": e.purpose, "installed": not e.missing} for e in optional
                ],
                "versions": {"corrida": __version__, "python": platform.python_version()},
            }
        )
    else:
        show_blocks(
            _blocks(subject, findings, optional, f"corrida {__version__}, Python {platform.python_version()}")
        )
    return 1 if any(f.severity == "error" for f in findings) else 0


def _count(subject: Subject) -> int | None:
    """Return the number of runs; None without a store, or where it cannot be read."""
    try:
        return len(subject.scan.runs) if subject.root.is_dir() else None
    except OSError:
        return None


def _blocks(
    subject: Subject, findings: Sequence[Finding], optional: Sequence[Extra], versions: str
) -> list[Block]:
    from corrida.analysis.blocks import Heading, Line

    count = _count(subject)
    store = "no store yet" if count is None else f"{count:,} run{'' if count == 1 else 's'}"
    file = subject.project.file
    project = f"project {file.name}" if file else "no corrida.toml"
    facts = f"store {subject.shown_root}: {store}; {project}; {versions}"
    styles: dict[str, Style] = {"error": "bad", "warning": "warning", "note": "plain"}
    blocks: list[Block] = []
    if all(f.severity == "note" for f in findings):
        blocks.append(Line(f"nothing to mend: {facts}", "good"))
    for severity, style in styles.items():
        chosen = [f for f in findings if f.severity == severity]
        if chosen:
            blocks.append(Heading(f"{severity.capitalize()}s"))
        for finding in chosen:
            blocks.append(Line(f"{finding.where}: {finding.what}", style, 1))
            if finding.next:
                blocks.append(Line(f"→ {finding.next}", "quiet", 2))
    indent = 0
    if findings:
        indent = 1
        blocks.append(Heading("Looked at"))
        if not isinstance(blocks[0], Line):
            blocks.append(Line(facts, "plain", 1))
    for extra in optional:
        state = "installed" if not extra.missing else f"not installed (`pip install 'corrida[{extra.name}]'`)"
        blocks.append(Line(f"extra {extra.name}, {extra.purpose}: {state}", "quiet", indent))
    blocks.append(Line("digests were not recomputed; `corrida verify` does that", "quiet", indent))
    return blocks

"""``corrida note``, ``tag``, ``promote``, ``demote`` and ``aliases``."""

from __future__ import annotations

import click
import msgspec

from corrida.cli.common import (
    json_option,
    open_project,
    open_store,
    print_json,
    say,
    short_time,
    show_blocks,
    store_option,
)
from corrida.runs.alias import DEFAULT_ALIAS


@click.command()
@click.argument("reference")
@click.argument("text", nargs=-1, required=True)
@store_option
def note(reference: str, text: tuple[str, ...], *, store: str | None) -> int:
    """Add a note to a run; it is kept with time and author."""
    run = open_store(store).note(reference, " ".join(text))
    say(f"noted on {run.id}")
    return 0


@click.command()
@click.argument("reference")
@click.argument("tags", nargs=-1, required=True, metavar="K=V|K-...")
@store_option
def tag(reference: str, tags: tuple[str, ...], *, store: str | None) -> int:
    """Set tags of a run (K=V), or remove them (K-)."""
    changes: dict[str, str | None] = {}
    for text in tags:
        name, equals, value = text.partition("=")
        if equals and name:
            changes[name] = value
        elif text.endswith("-") and len(text) > 1:
            changes[text[:-1]] = None
        else:
            raise click.BadParameter(f"{text!r} is neither K=V nor K-", param_hint="TAGS")
    run = open_store(store).tag(reference, changes)
    shown = ", ".join(f"{k}={v}" for k, v in run.tags.items()) or "no tags"
    say(f"{run.id}: {shown}")
    return 0


@click.command()
@click.argument("reference")
@click.argument("named", required=False, metavar="[@ALIAS]")
@click.option("--alias", metavar="TEXT", help="The same as @ALIAS, without @.  [default: production]")
@click.option("--reason", metavar="TEXT", help="Why.")
@click.option("--force", is_flag=True, help="Also against the rules of the gate; takes a --reason.")
@store_option
def promote(
    reference: str,
    named: str | None,
    *,
    alias: str | None,
    reason: str | None,
    force: bool,
    store: str | None,
) -> int:
    """Point an alias to a finished run; @production, unless another is named.

    Where corrida.toml has rules in [gate], they must let the run pass, compared with the run that carries the alias
    now.
    """
    from corrida.execute.predictable import check_models
    from corrida.gating import promote as promote_by_rules
    from corrida.runs.layout import MODELS_DIR

    if named is not None and alias is not None:
        raise click.UsageError("@ALIAS and --alias say the same; give one")
    alias = named or alias or DEFAULT_ALIAS
    project = open_project(store)
    record = project.store().get(reference)
    if record.status == "finished" and (record.dir / MODELS_DIR).is_dir():
        check_models(record)  # what was altered would only be found out when it is to serve
    done = promote_by_rules(
        project.store(), project.settings, reference, alias.removeprefix("@"), reason, force=force
    )
    for sentence in done.sentences:
        say(sentence)
    return 0


@click.command()
@click.argument("alias", default="production")
@click.option("--reason", metavar="TEXT", help="Why.")
@store_option
def demote(alias: str, *, reason: str | None, store: str | None) -> int:
    """Point an alias back to the run that carried it before, or to none."""
    promotion = open_store(store).demote(alias.removeprefix("@"), reason)
    say(f"@{promotion.alias} is {promotion.run or 'no run now'}")
    return 0


@click.command()
@click.option("--history", is_flag=True, help="Every promotion, the newest first.")
@json_option
@store_option
def aliases(*, history: bool, as_json: bool, store: str | None) -> int:
    """List where aliases point, since when, by whom and why."""
    opened = open_store(store)
    found = list(reversed(opened.alias_history())) if history else list(opened.aliases().values())
    if as_json:
        print_json([msgspec.to_builtins(p) for p in found])
        return 0
    if not found:
        say("no run is promoted; `corrida promote RUN` does it", err=True)
        return 0
    from corrida.analysis.blocks import Table

    rows = [[f"@{p.alias}", p.run or "–", short_time(p.time), p.author, p.reason or "–"] for p in found]
    show_blocks([Table(("alias", "run", "since", "by", "reason"), rows, whole=frozenset({0, 1}))])
    return 0

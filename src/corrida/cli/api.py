"""``corrida serve`` and ``corrida keys``: the API, and who may call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from corrida.cli.common import (
    json_option,
    on_terminal,
    open_project,
    print_json,
    say,
    short_time,
    show_blocks,
)
from corrida.cli.serve import SHADOW_HELP, needs_serving, open_runner, runner_options


@click.command()
@click.option("--host", metavar="ADDRESS", help="Where to listen [default: corrida.toml, 127.0.0.1].")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="0 takes a free one [default: corrida.toml, 8080].",
)
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    metavar="N",
    help="Files scored at once; 0 leaves that to `corrida worker` elsewhere [default: corrida.toml, 2].",
)
@click.option("--allow-host", multiple=True, metavar="NAME", help="A name to be called by; repeatable.")
@click.option(
    "--time-limit", type=float, metavar="SECONDS", help="For one file [default: corrida.toml, 300]."
)
@click.option("--alias", metavar="NAME", help="Whose run scores [default: corrida.toml, production].")
@click.option("--shadow", metavar="RUN", help=SHADOW_HELP)
@click.option("--no-ui", is_flag=True, help="Without the pages for browsers.")
@runner_options
@needs_serving
def serve(
    *,
    host: str | None,
    port: int | None,
    workers: int | None,
    allow_host: tuple[str, ...],
    time_limit: float | None,
    alias: str | None,
    shadow: str | None,
    no_ui: bool,
    spool: str | None,
    database: str | None,
    store: str | None,
) -> int:
    """Score files that come over HTTP or lie in the spool.

    API and worker need nothing else to be installed or started. Beyond this machine every call needs a key, which
    `corrida keys add` makes. Ctrl-C ends both; what is being scored is finished first, or done at the next start.

    A browser gets the pages of `corrida ui`, which change nothing; where calls need a key, they ask for one that sees all.
    """
    runner = open_runner(
        store,
        spool,
        database,
        host=host,
        port=port,
        slots=workers or None,
        hosts=allow_host or None,
        time_limit=time_limit,
        shadow=shadow,
        alias=alias.removeprefix("@") if alias else None,
    )
    from corrida.inference.server import serve as serve_until_stopped

    if shadow is not None:
        open_project(store).store().resolve(shadow)  # rather now than in the log, with each file
    limits = runner.limits
    command = [
        *(
            "worker",
            "--slots",
            str(limits.slots),
            "--time-limit",
            str(limits.time_limit),
            "--alias",
            limits.alias,
        ),
        *(("--shadow", limits.shadow) if limits.shadow else ()),
        *("--spool", str(runner.spool), "--database", runner.database, "--store", str(runner.store)),
    ]

    def ready(address: str, keys_required: bool) -> None:
        say(f"serving on {address}")
        key = "-H 'Authorization: Bearer KEY' " if keys_required else ""
        say(f"  curl {key}--data-binary @file.csv '{address}/v1/analyses?wait=30'")
        if beside is not None:
            say(f"  {address}/ shows the runs and the queue in a browser")
        if on_terminal():
            say("Ctrl-C ends it")

    beside = None if no_ui else _pages(store)
    return serve_until_stopped(runner, None if workers == 0 else command, ready, beside)


def _pages(store: str | None) -> Callable[..., Any] | None:
    """Return what puts the pages beside the API; None where they are not installed."""
    from importlib.util import find_spec

    if not all(find_spec(name) for name in ("jinja2", "markdown_it", "pyarrow", "vl_convert")):
        return None
    from corrida.web.mounted import pages_beside

    return pages_beside(open_project(store))


@click.group()
def keys() -> None:
    """Make, list and revoke the keys of the API."""


@keys.command(short_help="Make a key for NAME and show it, once.")
@click.argument("name")
@click.option("--all", "sees_all", is_flag=True, help="It sees the analyses of all keys.")
@click.option(
    "--per-minute", type=click.IntRange(min=1), metavar="N", help="Calls [default: corrida.toml, 600]."
)
@json_option
@runner_options
@needs_serving
def add(
    name: str,
    *,
    sees_all: bool,
    per_minute: int | None,
    as_json: bool,
    spool: str | None,
    database: str | None,
    store: str | None,
) -> int:
    """Make a key for NAME and show it, once: only its digest is kept.

    A key sees the analyses that were handed over with it, and no others.
    """
    from corrida.inference.keys import Keys
    from corrida.inference.service import opened

    with opened(open_runner(store, spool, database)) as service:
        key, text = Keys(service.database).add(name, sees_all=sees_all, per_minute=per_minute)
    if as_json:
        print_json({"name": key.name, "key": text, "sees_all": key.sees_all, "per_minute": key.per_minute})
    else:
        say(text)
        say(f"the key of {key.name}; it is shown only now", err=True)
    return 0


@keys.command(name="list")
@json_option
@runner_options
@needs_serving
def list_(*, as_json: bool, spool: str | None, database: str | None, store: str | None) -> int:
    """List the keys."""
    import msgspec

    from corrida.analysis.blocks import Table
    from corrida.inference.keys import Keys
    from corrida.inference.service import opened
    from corrida.inference.views import utc

    runner = open_runner(store, spool, database)
    with opened(runner) as service:
        found = Keys(service.database).list()
    if as_json:
        print_json([msgspec.to_builtins(key) for key in found])
        return 0
    if not found:
        say("there is no key; `corrida keys add NAME` makes one", err=True)
        return 0
    rows = [
        [
            key.name,
            "all" if key.sees_all else "its own",
            f"{key.per_minute or runner.limits.calls_per_minute:,}",
            short_time(utc(key.created)),
            f"revoked {short_time(utc(key.revoked))}" if key.revoked else "opens",
        ]
        for key in found
    ]
    show_blocks([Table(("key", "sees", "calls a minute", "since", "state"), rows, whole=frozenset({0}))])
    return 0


@keys.command()
@click.argument("name")
@runner_options
@needs_serving
def revoke(name: str, *, spool: str | None, database: str | None, store: str | None) -> int:
    """Let the key of NAME open nothing from now on."""
    from corrida.inference.keys import Keys
    from corrida.inference.service import opened

    with opened(open_runner(store, spool, database)) as service:
        Keys(service.database).revoke(name)
    say(f"the key of {name} opens nothing any more")
    return 0


@keys.command(name="webhook-secret", short_help="Print the secret that signs webhooks.")
@runner_options
@needs_serving
def webhook_secret_(*, spool: str | None, database: str | None, store: str | None) -> int:
    """Print the secret with which webhooks are signed, for those who receive them."""
    from corrida.inference.service import opened
    from corrida.inference.webhooks import webhook_secret

    with opened(open_runner(store, spool, database)) as service:
        say(webhook_secret(service.database))
    return 0

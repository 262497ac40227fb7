"""``corrida ui``: the store in a browser."""

from __future__ import annotations

import click

from corrida.cli.common import open_project, say, store_option


@click.command()
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=8765,
    show_default=True,
    help="0 takes a free one; so does the default where it is taken.",
)
@click.option("--open", "opened", is_flag=True, help="Open the browser.")
@click.option("--write", is_flag=True, help="Allow to promote, demote and restore.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="A name to be called by; repeatable.")
@store_option
def ui(
    *, host: str, port: int, opened: bool, write: bool, allow_host: tuple[str, ...], store: str | None
) -> int:
    """Show the runs in a browser: tables, comparisons, figures.

    Nothing can be changed without --write. Beyond this machine the address holds a token that every reader needs.
    """
    from corrida.errors import MissingExtra

    project = open_project(store)
    try:
        from corrida.web.server import serve_pages
    except ImportError as error:
        raise MissingExtra(f"the viewer needs {error.name}; pip install 'corrida[ui]'") from None

    def ready(address: str) -> None:
        say(f"the runs are at {address}", bold=True)
        say("Ctrl-C ends it", err=True)
        if opened:
            click.launch(address)

    return serve_pages(project, host, port, names=allow_host, write=write, ready=ready)

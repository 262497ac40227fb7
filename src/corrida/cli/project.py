"""``corrida init`` and ``corrida pipelines``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from corrida.cli.common import json_option, open_project, print_json, say, show_blocks, store_option

_TEMPLATE = """\
# corrida: every run of a pipeline as a plain folder.
store = {store}

# A pipeline of your own name: `corrida run {name}`.
[pipelines.{key}]
uses = {uses}          # see `corrida pipelines`, or "module:function" of this project
configs = [{configs}]
data = []
# primary_metric = "f1"
# source = "gold_set_100"
"""


@click.command()
@click.option(
    "--pipeline",
    "name",
    default="jobs",
    show_default=True,
    metavar="NAME",
    help="Name of its first pipeline.",
)
@click.option(
    "--uses", default="matching", show_default=True, help="What that is: a pipeline, or module:function."
)
@store_option
def init(name: str, uses: str, *, store: str | None) -> int:
    """Write a corrida.toml for this folder; one that is there already stays."""
    import json

    from corrida.errors import AlreadyExists, InvalidName
    from corrida.project import PROJECT_FILE
    from corrida.runs.files import explained, write_new

    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*", name):
        raise InvalidName(
            f"{name!r} cannot name a pipeline here; use ASCII letters, digits, '_', '-' and '.'"
        )
    file = Path.cwd() / PROJECT_FILE
    configs = '"config/*.json"' if list(Path.cwd().glob("config/*.json")) else ""
    text = _TEMPLATE.format(
        store=json.dumps(store or "runs", ensure_ascii=False),
        name=name,
        key=name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name),
        uses=json.dumps(uses, ensure_ascii=False),
        configs=configs,
    )
    if file.exists():
        raise AlreadyExists(f"there is a {PROJECT_FILE} already; it stays as it is")
    with explained(f"writing {PROJECT_FILE}", "check the rights of the folder"):
        write_new(file, text.encode())
    say(f"wrote {PROJECT_FILE}; fill in configs and data, then `corrida run {name}`")
    return 0


@click.command()
@json_option
@store_option
def pipelines(*, as_json: bool, store: str | None) -> int:
    """List the pipelines that can be run: those of the project, the built-in and the installed ones."""
    from corrida.analysis.blocks import Table
    from corrida.pipelines.registry import known_pipelines

    project = open_project(store)
    known = known_pipelines()
    texts = {k.name: k.description for k in known}
    own = [
        {
            "name": name,
            "origin": "corrida.toml",
            "uses": s.uses or name,
            "description": texts.get(s.uses or name, ""),
        }
        for name, s in sorted(project.settings.pipelines.items())
    ]
    found = own + [
        {"name": k.name, "origin": k.origin, "uses": k.name, "description": k.description} for k in known
    ]
    if as_json:
        print_json(found)
        return 0
    rows = [[f["name"], f["origin"], f["uses"], f["description"] or "–"] for f in found]
    show_blocks([Table(("name", "from", "uses", "does"), rows, whole=frozenset({0}))])
    return 0

"""``corrida stamp``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from corrida.cli.common import json_option, print_json, show_blocks, store_option

if TYPE_CHECKING:
    from corrida.analysis.blocks import Block
    from corrida.bridges.database import Stamped


@click.command()
@click.argument("reference", default="latest")
@click.option(
    "--database", metavar="URL", help="The database [default: CORRIDA_DATABASE_URL, corrida.toml, the run's]."
)
@click.option("--table", metavar="NAME", help="The table, as in offers or public.offers.")
@click.option("--key", metavar="COLUMN", help="The column with the item ids [default: the primary key].")
@click.option("--column", metavar="COLUMN", help="The column that gets the run id [default: run_id].")
@click.option("--add-column", is_flag=True, help="Add that column where the table lacks it.")
@json_option
@store_option
def stamp(
    reference: str,
    *,
    database: str | None,
    table: str | None,
    key: str | None,
    column: str | None,
    add_column: bool,
    as_json: bool,
    store: str | None,
) -> int:
    """Write the id of a run onto the rows of its items in your database.

    One transaction: all rows or none. Rows of other items stay as they are; repeating it changes nothing.
    """
    from corrida.bridges.database import stamp as stamp_run

    stamped = stamp_run(
        reference,
        store=store,
        database=database,
        table=table,
        key=key,
        column=column,
        add_column=add_column,
    )
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(stamped))
    else:
        show_blocks(stamp_blocks(stamped))
    return 0


def stamp_blocks(stamped: Stamped) -> list[Block]:
    """Return what came of stamping, for people."""
    from corrida.analysis.blocks import Line

    rows, carry = ("row", "carries") if stamped.rows == 1 else ("rows", "carry")
    carried = f" ({stamped.unchanged} carried it already)" if stamped.unchanged else ""
    blocks: list[Block] = [
        Line(
            f"{stamped.rows} {rows} of {stamped.table} in {stamped.database} {carry} "
            f"{stamped.column} = {stamped.run}{carried}",
            "strong",
        )
    ]
    if stamped.column_added:
        blocks.append(Line(f"the column {stamped.column} was added", "plain", 1))
    for run, count in list(stamped.replaced.items())[:10]:
        blocks.append(Line(f"{count} of them carried {run} before", "plain", 1))
    if (others := len(stamped.replaced) - 10) > 0:
        blocks.append(Line(f"and {others} other values before", "quiet", 1))
    if stamped.missing:
        more = " …" if stamped.missing > len(stamped.missing_ids) else ""
        has, have = ("is", "its row was") if stamped.missing == 1 else ("are", "their rows were")
        blocks.append(
            Line(
                f"warning: {stamped.missing} of {stamped.items} items {has} not in the table ({have} deleted since, "
                f"or the ids are of another table): {', '.join(stamped.missing_ids)}{more}",
                "warning",
            )
        )
    if stamped.twice > 0:
        blocks.append(
            Line(
                f"warning: {stamped.rows} rows for {stamped.items - stamped.missing} items: {stamped.key} is not "
                "unique in the table",
                "warning",
            )
        )
    return blocks

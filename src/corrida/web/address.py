"""The state of a page: from its address and back to one, so that every page can be shared and *back* works."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self
from urllib.parse import quote, urlencode

PAGE_SIZE = 50
MOST_PAGES = 1_000_000


class RunsState(NamedTuple):
    """What the table of runs shows.

    Attributes:
        pipeline: only its runs; empty for all.
        filter: as on the command line.
        sort: likewise, as ``-metrics.f1``.
        columns: fields separated by commas; empty for those that say something.
        page: from 1.
        children: whether parts of other runs have lines of their own.
    """

    pipeline: str = ""
    filter: str = ""
    sort: str = ""
    columns: str = ""
    page: int = 1
    children: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Read it from the query of an address; what cannot be read is as if it were not there."""
        return cls(
            query.get("pipeline", ""),
            query.get("filter", "").strip(),
            query.get("sort", "").strip(),
            query.get("columns", "").strip(),
            page_number(query.get("page", "")),
            query.get("children", "") == "1",
        )

    def address(self, **changes: str | int | bool) -> str:
        """Return the address of this state with changes; another page than the first only when it is named."""
        state = {**self._asdict(), "page": 1, **changes}
        pairs = {
            name: "1" if value is True else str(value)
            for name, value in state.items()
            if value and not (name == "page" and value == 1)
        }
        return f"?{urlencode(pairs)}" if pairs else "?"

    def sorted_by(self, field: str) -> str:
        """Return the order after a click on a column: greatest first, smallest first, as it was."""
        name = quoted(field)
        return {f"-{name}": name, name: ""}.get(self.sort, f"-{name}")

    def with_condition(self, condition: str) -> str:
        """Return the address of the runs that also meet a condition."""
        if condition in self.filter:
            return self.address()
        held = f"({self.filter})" if re.search(r"\bor\b", self.filter, re.IGNORECASE) else self.filter
        return self.address(filter=f"{held} and {condition}" if held else condition)


def quoted(field: str) -> str:
    """Return a field as filters, orders and lists of columns name it."""
    return field if re.fullmatch(r"[\w.]+", field) else f"`{field}`"


def tag_condition(name: str, value: str) -> str | None:
    """Return the filter for runs with a tag; None where no filter can name it."""
    if "`" in name or '"' in name:
        return None
    text = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{quoted(f'tags.{name}')} = '{text}'"


def page_number(text: str) -> int:
    """Return a page from 1; 1 for what is no page."""
    number = int(text[:20]) if text.isascii() and text.isdigit() else 1
    return min(max(number, 1), MOST_PAGES)


def compare_address(base: str, run_ids: Sequence[str]) -> str:
    """Return the address of a comparison.

    Args:
        base: where the pages begin.
        run_ids: the first is what the others are compared with.
    """
    return f"{base}/compare?{urlencode([('run', run_id) for run_id in run_ids])}"


def item_address(base: str, item_id: str, pipeline: str = "") -> str:
    """Return the address of the history of an item.

    Args:
        base: where the pages begin.
        item_id: any text; browsers take ``.`` and ``..`` in a path for a step, so that those stand behind it.
        pipeline: of which runs; empty for all.
    """
    steps = {".", "..", ""} & set(item_id.split("/"))
    query = {"id": item_id} if steps else {}
    query |= {"pipeline": pipeline} if pipeline else {}
    path = f"{base}/items" if steps else f"{base}/items/{quote(item_id, safe='')}"
    return f"{path}?{urlencode(query)}" if query else path


def aliases_address(base: str, alias: str = "", done: str = "") -> str:
    """Return the address of the aliases.

    Args:
        base: where the pages begin.
        alias: whose history; empty for that of all.
        done: the form whose message is shown.
    """
    query = {name: text for name, text in (("alias", alias), ("done", done)) if text}
    return f"{base}/aliases?{urlencode(query)}" if query else f"{base}/aliases"


def promote_address(base: str, run_id: str, alias: str = "") -> str:
    """Return the address of what the rules say of a run that is to carry an alias."""
    path = f"{base}/runs/{quote(run_id, safe='')}/promote"
    return f"{path}?{urlencode({'alias': alias})}" if alias else path


def restore_address(base: str, run_id: str, *, exact: bool = False, done: str = "") -> str:
    """Return the address of what putting the configurations of a run back would change."""
    query = {name: text for name, text in (("exact", "1" if exact else ""), ("done", done)) if text}
    path = f"{base}/runs/{quote(run_id, safe='')}/restore"
    return f"{path}?{urlencode(query)}" if query else path

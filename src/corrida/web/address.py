"""The state of a page: from its address and back to one, so that every page can be shared and *back* works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self
from urllib.parse import urlencode

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
        quoted = field if field.replace(".", "").replace("_", "").isalnum() else f"`{field}`"
        return {f"-{quoted}": quoted, quoted: ""}.get(self.sort, f"-{quoted}")


def page_number(text: str) -> int:
    """Return a page from 1; 1 for what is no page."""
    return min(int(text), MOST_PAGES) if text.isascii() and text.isdigit() and int(text) > 0 else 1


def compare_address(base: str, run_ids: Sequence[str]) -> str:
    """Return the address of a comparison.

    Args:
        base: where the pages begin.
        run_ids: the first is what the others are compared with.
    """
    return f"{base}/compare?{urlencode([('run', run_id) for run_id in run_ids])}"

"""What a comparison shows: from the address of its page and back to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlencode

from corrida.web.address import page_number

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

ALL = "all"
_ONE_VALUE = ("pipeline", "metric", "metrics", "slices", "segments", "items", "find", "page")


class CompareState(NamedTuple):
    """What a comparison shows.

    Attributes:
        runs: the baseline first.
        pipeline: among whose runs ``latest`` counts.
        metric: the one that decides; empty for that of the runs.
        metrics: ``all`` shows every one of very many.
        slices: columns to cut the items by, with ``;`` between them; ``auto``, ``no``, or empty.
        segments: ``all`` shows every segment that moved.
        items: the kind of items that are listed, such as ``broken``; empty for all.
        find: text that an item must hold.
        page: of the items, from 1.
        raw: configuration files that are shown as they are written.
        open: ids of items that are shown whole; they belong to one list of items.
    """

    runs: tuple[str, ...] = ()
    pipeline: str = ""
    metric: str = ""
    metrics: str = ""
    slices: str = ""
    segments: str = ""
    items: str = ""
    find: str = ""
    page: int = 1
    raw: tuple[str, ...] = ()
    open: tuple[str, ...] = ()

    @classmethod
    def of(cls, query: QueryParams) -> Self:
        """Read it from the query of an address; what cannot be read is as if it were not there."""
        return cls(
            tuple(text.strip() for text in query.getlist("run") if text.strip()),
            query.get("pipeline", "").strip(),
            query.get("metric", "").strip(),
            query.get("metrics", "").strip(),
            query.get("slices", "").strip(),
            query.get("segments", "").strip(),
            "" if query.get("items", "") == ALL else query.get("items", "").strip(),
            query.get("find", "").strip(),
            page_number(query.get("page", "")),
            tuple(query.getlist("raw")),
            tuple(query.getlist("open")),
        )

    def address(self, **changes: Any) -> str:
        """Return the query of this state with changes; another page than the first, and what is open, only when named."""
        state = self._replace(**{"page": 1, "open": (), **changes})
        pairs = [("run", run) for run in state.runs]
        values = {name: getattr(state, name) for name in _ONE_VALUE}
        pairs += [(n, str(v)) for n, v in values.items() if v and not (n == "page" and v == 1)]
        pairs += [("raw", path) for path in state.raw] + [("open", item) for item in state.open]
        return f"?{urlencode(pairs)}"

    def only(self, *runs: str) -> str:
        """Return the query of a comparison of these runs, by the same metric."""
        return CompareState(runs, metric=self.metric, slices=self.slices).address()

    def based_on(self, run: str) -> str:
        """Return the query in which ``run`` is what the others are compared with."""
        return self.address(runs=(run, *(other for other in self.runs if other != run)), raw=())

    def without(self, run: str) -> str:
        """Return the query without a run."""
        return self.address(runs=tuple(other for other in self.runs if other != run), raw=())

    def showing(self, path: str) -> str:
        """Return the query in which a file is shown as it is written, or no longer."""
        kept = tuple(p for p in self.raw if p != path)
        raw = kept if path in self.raw else (*self.raw, path)
        return self.address(raw=raw, page=self.page, open=self.open)

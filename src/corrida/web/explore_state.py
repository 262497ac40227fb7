"""The state of the page that looks at many runs at once, from its address and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlencode

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

MOST_RUNS = 2_000
MOST_AXES = 16


class ExploreState(NamedTuple):
    """Which runs, and along which axes.

    Attributes:
        runs: ids; empty for all that fit.
        pipeline: only its runs; None where the address does not say, empty for all.
        filter: as on the command line.
        children: whether parts of other runs are shown too.
        axes: fields of the parallel coordinates; empty for those that say something.
        x, y: fields of the scatter; empty for such.
        log: fields whose axes are logarithmic.
    """

    runs: tuple[str, ...] = ()
    pipeline: str | None = None
    filter: str = ""
    children: bool = False
    axes: tuple[str, ...] = ()
    x: str = ""
    y: str = ""
    log: tuple[str, ...] = ()

    @classmethod
    def of(cls, query: QueryParams) -> Self:
        """Read it from the query of an address; what cannot be read is as if it were not there."""

        def several(name: str, most: int) -> tuple[str, ...]:
            return tuple(dict.fromkeys(value for value in query.getlist(name) if value))[:most]

        return cls(
            several("run", MOST_RUNS),
            query.get("pipeline"),
            query.get("filter", "").strip(),
            query.get("children", "") == "1",
            several("axis", MOST_AXES),
            query.get("x", ""),
            query.get("y", ""),
            several("log", 100),
        )

    def address(self, **changes: Any) -> str:
        """Return the query of this state with changes."""
        state = self._replace(**changes)
        pairs = [("run", run) for run in state.runs]
        pairs += [("pipeline", state.pipeline)] if state.pipeline is not None else []
        pairs += [("filter", state.filter)] if state.filter else []
        pairs += [("children", "1")] if state.children else []
        pairs += [("axis", axis) for axis in state.axes]
        pairs += [(name, value) for name, value in (("x", state.x), ("y", state.y)) if value]
        pairs += [("log", name) for name in state.log]
        return f"?{urlencode(pairs)}"

"""Runs found by what they say of themselves: in the catalog, the newest first, for as long as a reader may wait."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from corrida.runs.plain import text as plain_text
from corrida.runs.query import Sql
from corrida.runs.record import flatten

if TYPE_CHECKING:
    from corrida.runs.catalog import Catalog
    from corrida.runs.run_file import RunHeader

_AT_ONCE = 4_000
_MOST_WORDS = 8
_TELLING = frozenset({"id", "description", "notes", "source"})
_SAID = "runs.id || char(10) || ifnull(runs.description, '') || char(10) || ifnull(runs.notes, '') || char(10) || ifnull(runs.source, '')"
_GIVEN = "ifnull(runs.tags, '') || char(10) || ifnull(runs.params, '')"


class Why(NamedTuple):
    """Where a run holds a word: the field, and what stands there."""

    field: str
    text: str


class FoundRuns(NamedTuple):
    """Runs that were found.

    Attributes:
        runs: those that say the words of themselves before those that were only given them, the newest first; each with
            where its words stand.
        looked_at: how many runs were looked at, from the newest on.
        more: whether there may be more: others that fit, or others that were not looked at.
    """

    runs: list[tuple[RunHeader, list[Why]]]
    looked_at: int
    more: bool


def search_runs(catalog: Catalog, text: str, *, limit: int = 20, seconds: float | None = 0.2) -> FoundRuns:
    """Find runs that hold every word of a text: in id, description, notes, tags, parameters, source, names of files.

    Args:
        catalog: over the runs, refreshed.
        text: words, with blanks between them; large and small letters are alike.
        limit: at most so many runs.
        seconds: after which older runs are left alone; None for no end. Ids that begin with the text are always found.
    """
    words = text.split()[:_MOST_WORDS]
    if not words:
        return FoundRuns([], 0, more=False)
    found: dict[str, tuple[RunHeader, list[Why]]] = {}
    for run_id in catalog.ids_with_prefix(text.strip(), limit):
        for header in catalog.query(where=[Sql("runs.id = ?", (run_id,))]):
            found[header.id] = (header, [Why("id", header.id)])
    looked_at, started = 0, time.monotonic()
    total = catalog.count()
    holds = [_holds(word) for word in words]
    while looked_at < total and len(found) <= limit:
        if seconds is not None and looked_at and time.monotonic() - started > seconds:
            break
        newest = Sql(
            "runs.n IN (SELECT n FROM runs ORDER BY ord DESC, id DESC LIMIT ? OFFSET ?)",
            (_AT_ONCE, looked_at),
        )
        for header in catalog.query(where=[newest, *holds], limit=limit + 1):
            reasons = why(header, words, catalog.notes(header.id))
            if reasons:
                found.setdefault(header.id, (header, reasons))
        looked_at = min(looked_at + _AT_ONCE, total)
    runs = sorted(found.values(), key=lambda pair: not any(reason.field in _TELLING for reason in pair[1]))
    return FoundRuns(runs[:limit], looked_at, more=len(runs) > limit or looked_at < total)


def why(header: RunHeader, words: Sequence[str], notes: str = "") -> list[Why]:
    """Return where a run holds each of some words; nothing when it lacks one of them.

    Args:
        header: of the run.
        words: to look for.
        notes: all notes of the run, also those that were added.
    """
    fields = list(_fields(header, notes or header.notes or ""))
    found: dict[Why, None] = {}
    for word in words:
        wanted = word.casefold()
        places = [Why(name, said) for name, said in fields if wanted in f"{name}\n{said}".casefold()]
        if not places:
            return []
        # A word in a value says more than the same word in the name of a parameter.
        places.sort(key=lambda place: wanted not in place.text.casefold())
        found |= dict.fromkeys(places)
    return list(found)


def _holds(word: str) -> Sql:
    """Return the condition that a run may hold a word; :func:`why` decides."""
    inside = msgspec.json.encode(plain_text(word)).decode()[1:-1]
    terms: list[tuple[str, str | bytes]] = [
        (f"({_SAID}) LIKE ? ESCAPE '\\'", _pattern(word)),
        (f"({_GIVEN}) LIKE ? ESCAPE '\\'", _pattern(inside)),
    ]
    # What stands in the header alone, such as names of files, is kept as bytes, whose case matters.
    spellings = dict.fromkeys((word, word.lower(), word.upper(), word.capitalize()))
    terms += [("instr(runs.header, ?) > 0", plain_text(spelling).encode()) for spelling in spellings]
    if not word.isascii():  # LIKE knows large and small letters of ASCII alone
        terms += [(f"({_SAID}) LIKE ? ESCAPE '\\'", _pattern(spelling)) for spelling in spellings]
    return Sql(f"({' OR '.join(text for text, _ in terms)})", tuple(value for _, value in terms))


def _pattern(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _fields(header: RunHeader, notes: str) -> Iterator[tuple[str, str]]:
    for name in ("id", "description", "source", "pipeline"):
        if said := getattr(header, name):
            yield name, said
    yield from (("notes", line) for line in notes.splitlines() if line)
    yield from _pairs("tags", header.tags)
    yield from _pairs("params", flatten(header.params))
    yield from (("config", copy.origin) for copy in header.configs)
    if header.git is not None:
        yield from (("git", said) for said in (header.git.commit, header.git.branch) if said)
    if header.error is not None:
        yield "error", f"{header.error.type}: {header.error.message}"


def _pairs(group: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((f"{group}.{name}", str(value)) for name, value in values.items())

"""Configuration files that only changed their path between two sets."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from corrida.analysis.config_documents import DATA_SUFFIXES, Parsed, fingerprint, parse_config
from corrida.analysis.list_alignment import match_unique, similarity

if TYPE_CHECKING:
    from collections.abc import Mapping

# Files with the same keys and nothing else in common score 0.5.
_ALIKE = 0.65


def find_renames(a: Mapping[str, bytes], b: Mapping[str, bytes]) -> dict[str, str]:
    """Find files that only changed their path.

    The clear cases only: the same content, the same file name in another folder, or data that is mostly the
    same; and never when two files would do equally well.

    Args:
        a: Relative path to bytes, before.
        b: The same, after.

    Returns:
        New path to old path.
    """
    gone = {path: parse_config(path, a[path]) for path in a.keys() - b.keys()}
    come = {path: parse_config(path, b[path]) for path in b.keys() - a.keys()}
    if not gone or not come:
        return {}
    found: dict[str, str] = {}

    def accept(pairs: list[tuple[str, str]]) -> None:
        for old, new in pairs:
            found[new] = old
            del gone[old], come[new]

    accept(match_unique(_prints(gone), _prints(come)))
    accept(match_unique({path: _name_of(path) for path in gone}, {path: _name_of(path) for path in come}))
    accept(_match_alike(gone, come))
    return found


def _match_alike(gone: dict[str, Parsed], come: dict[str, Parsed]) -> list[tuple[str, str]]:
    """Pair files of the same top-level keys and mostly the same content, where there is only one choice."""
    alike = [
        (old, new)
        for old, left in gone.items()
        for new, right in come.items()
        if _keys(left) and _keys(left) == _keys(right) and similarity(left.document, right.document) >= _ALIKE
    ]
    old_names, new_names = [old for old, _ in alike], [new for _, new in alike]
    return [(old, new) for old, new in alike if old_names.count(old) == 1 and new_names.count(new) == 1]


def _keys(parsed: Parsed) -> set[Any]:
    """Return the top-level keys of a file; none when it is no dict."""
    return set(parsed.document) if isinstance(parsed.document, dict) else set()


def _prints(files: dict[str, Parsed]) -> dict[str, Any]:
    """Return the fingerprints of files; None for those too empty to be recognised."""
    return {path: fingerprint(parsed.document) if parsed.document else None for path, parsed in files.items()}


def _name_of(path: str) -> str:
    """Return the file name, without a suffix that only says how the data is written."""
    name = PurePosixPath(path)
    return name.stem if name.suffix.lower() in DATA_SUFFIXES else name.name

"""Configuration documents: JSON, YAML and TOML read strictly, YAML written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any

from corrida.errors import InvalidConfig

MAX_BYTES = 32 * 1024 * 1024
# Deeper than any configuration made by a person, and far from Python's own limit of nested calls.
MAX_DEPTH = 100
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_MAX_MERGED = 100_000
_MAX_DIGITS = 4_000  # Python reads no longer ones, and those to the base of 60 in quadratic time
_YAML = "tag:yaml.org,2002:"


class Unreadable(ValueError):
    """A document is not of its grammar, or would lose something when read.

    Attributes:
        reason: what is wrong.
        place: line and column, where they are known.
    """

    def __init__(self, reason: str, place: str = "") -> None:
        """Say what is wrong, and where."""
        super().__init__(f"{reason} ({place})" if place else reason)
        self.reason, self.place = reason, place


def parse_document(path: str, data: bytes) -> Any:
    """Parse a configuration by its suffix (``.json``, ``.yaml``, ``.yml``, ``.toml``).

    Args:
        path: shown in messages; its suffix chooses the grammar.
        data: the bytes of the file, UTF-8 with or without a byte order mark.

    Raises:
        InvalidConfig: the file is too large or too deep, not UTF-8, not of its grammar (with line and column), or
            names a key twice in one object.
    """
    if len(data) > MAX_BYTES:
        raise InvalidConfig(
            f"{path} has {len(data) / 1e6:.0f} MB; a configuration may have {MAX_BYTES / 1e6:.0f} MB. "
            "If it is data, pass it with --data"
        )
    try:
        document = read_document(path, data)
    except Unreadable as error:
        raise InvalidConfig(f"{path}{', ' if error.place else ''}{error.place}: {error.reason}") from None
    if is_deeper_than(document, MAX_DEPTH):
        raise InvalidConfig(f"{path}: {TOO_DEEP}; no configuration needs that, make it flatter")
    return document


def read_document(path: str, data: bytes) -> Any:
    """Read a document by the suffix of ``path``, of any size.

    Raises:
        Unreadable: it is not UTF-8, not of its grammar, or names a key twice.
    """
    read = _READERS.get(PurePosixPath(path).suffix.lower())
    if read is None:
        raise Unreadable("a configuration is a .json, .yaml or .toml file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable("not UTF-8; save the file as UTF-8", f"line {line}") from None
    try:
        return read(text)
    except RecursionError:
        raise Unreadable(TOO_DEEP) from None


def is_deeper_than(document: Any, levels: int) -> bool:
    """Tell whether lists and mappings are nested in more than ``levels`` levels."""
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(levels + 1):
        # Aliases of YAML put one list in many places: looking at it once a level is enough.
        level = list(
            {
                id(below): below
                for value in level
                for below in (value.values() if isinstance(value, dict) else value)
                if isinstance(below, dict | list)
            }.values()
        )
        if not level:
            return False
    return True


def _read_json(text: str) -> Any:
    if not text.strip():
        raise Unreadable("the file is empty; write at least {}")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    raise _repeated(key, text)
                seen.add(key)
        return found

    try:
        document = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise Unreadable(
            f"not valid JSON: {error.msg}", f"line {error.lineno}, column {error.colno}"
        ) from None
    if "\\ud" in text.lower():
        # Half a surrogate pair parses, but can be written nowhere; encoding finds it.
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise Unreadable("not valid JSON: surrogates that are no pair are no character") from None
    return document


def _repeated(key: str, text: str) -> Unreadable:
    """Return the error of a key that stands twice; the lines are those where it stands anywhere."""
    spots = re.finditer(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:", text)
    lines = [str(text.count("\n", 0, spot.start()) + 1) for spot in spots]
    return Unreadable(
        f"the key {key!r} stands twice in one object; only one would count, remove the other",
        f"line {', '.join(lines[:4])}" if lines else "",
    )


def _read_toml(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unreadable(f"not valid TOML: {error}") from None


def _read_yaml(text: str) -> Any:
    """Parse YAML with the safe loader, in C where it was built."""
    import yaml

    kind = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if _may_be_deep(text):
            _refuse_deep_yaml(yaml.parse(text, Loader=kind))
        loader = kind(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _refuse_bad_yaml(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        parts = [getattr(error, name, None) for name in ("context", "problem")]
        problem = ", ".join(filter(None, parts)) or " ".join(str(error).split())
        raise Unreadable(f"not valid YAML: {problem}", place) from None
    except Unreadable:
        raise
    except (ValueError, TypeError, OverflowError) as error:  # a date that does not exist, a list as a key
        raise Unreadable(f"not valid YAML: {' '.join(str(error).split())}") from None


def _refuse_deep_yaml(events: Iterable[Any]) -> None:
    """Raise when YAML nests too deeply: its composer is recursive C and crashes the process; events are flat."""
    import yaml

    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise Unreadable(TOO_DEEP)


def _may_be_deep(text: str) -> bool:
    """Tell whether YAML could nest deeply; may say yes wrongly, never no."""
    if re.search(rf"(?m)^[ ?:-]{{{MAX_DEPTH // 2},}}", text):
        return True
    # Brackets within strings are counted too: that errs on the safe side, since only openings are believed.
    depth = 0
    for bracket in re.findall(r"[\[{]|[\]}]", text):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        if depth > MAX_DEPTH // 2:
            return True
    return False


def _refuse_bad_yaml(root: Any) -> None:
    """Raise when one mapping of a YAML node tree names a key twice, where the loader would keep only the last.

    Likewise when the loader would not come to an end: over merges of merges, or a number of very many digits.
    """
    waiting, visited = [root], set()
    merging = []
    while waiting:
        node = waiting.pop()
        if isinstance(node.value, str):
            _refuse_long_number(node)
            continue
        if id(node) in visited:
            continue
        visited.add(id(node))
        if node.id == "sequence":
            waiting.extend(node.value)
            continue
        seen: set[tuple[str, str]] = set()
        for key, value in node.value:
            waiting += (key, value)
            if key.tag == f"{_YAML}merge":
                merging.append(node)
            elif isinstance(key.value, str):
                name = (key.tag, key.value)
                if name in seen:
                    raise Unreadable(
                        f"the key {key.value!r} stands twice in one mapping; only one would count, remove the other",
                        f"line {key.start_mark.line + 1}",
                    )
                seen.add(name)
    _refuse_growing_merges(merging)


def _refuse_long_number(node: Any) -> None:
    if len(node.value) > _MAX_DIGITS and node.tag in {f"{_YAML}int", f"{_YAML}float"}:
        raise Unreadable(f"a number of more than {_MAX_DIGITS} digits", f"line {node.start_mark.line + 1}")


def _refuse_growing_merges(nodes: Iterable[Any]) -> None:
    counted: dict[int, int] = {}
    if sum(_merged(node, counted) for node in nodes) > _MAX_MERGED:
        raise Unreadable(f"merges (<<) that bring more than {_MAX_MERGED:,} entries")


def _merged(node: Any, counted: dict[int, int]) -> int:
    """Return how many entries a mapping has once what it merges is put in; of several, all together."""
    if id(node) in counted or isinstance(node.value, str):
        return counted.get(id(node), 0)
    counted[id(node)] = 0  # while it is counted: it may merge itself
    if node.id == "sequence":
        total = sum(_merged(part, counted) for part in node.value)
    else:
        total = sum(_merged(value, counted) if key.tag == f"{_YAML}merge" else 1 for key, value in node.value)
    counted[id(node)] = total
    return total


_READERS: dict[str, Callable[[str], Any]] = {
    ".json": _read_json,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".toml": _read_toml,
}


def dump_yaml(document: Any) -> bytes:
    """Return ``document`` (dicts, lists, scalars) as YAML in UTF-8, keys in the order given."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(
        document, Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=100
    )
    return text.encode()


def parse_value(text: str) -> Any:
    """Read the value of ``--set key=value``: JSON where it parses, YAML words for the rest, else the text.

    ``5`` is a number, ``true`` a boolean, ``[a,b]`` a list, ``null`` nothing, ``abc`` a text.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if text[:1] in "[{" or text.lower() in {"true", "false", "null", "~"}:
        try:
            return read_document("value.yaml", text.encode())
        except Unreadable:
            return text
    return text

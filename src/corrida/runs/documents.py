"""Configuration documents: JSON, YAML and TOML read strictly, YAML written."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import PurePosixPath
from typing import Any

from corrida.errors import InvalidConfig

MAX_BYTES = 32 * 1024 * 1024
_MAX_DEPTH_HINT = "it is nested too deeply; a configuration of more than a few hundred levels cannot be read"


class _DuplicateKeyError(ValueError):
    """An object names the same key twice."""


def parse_document(path: str, data: bytes) -> Any:
    """Parse a configuration by its suffix (``.json``, ``.yaml``, ``.yml``, ``.toml``).

    Args:
        path: shown in messages; its suffix chooses the grammar.
        data: the bytes of the file, UTF-8 with or without a byte order mark.

    Raises:
        InvalidConfig: the file is too large, not UTF-8, not of its grammar (with line and column), or names a
            key twice in one object.
    """
    if len(data) > MAX_BYTES:
        raise InvalidConfig(
            f"{path} has {len(data) / 1e6:.0f} MB; a configuration may have {MAX_BYTES / 1e6:.0f} MB. "
            "If it is data, pass it with --data"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidConfig(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from None
    suffix = PurePosixPath(path).suffix.lower()
    try:
        if suffix == ".json":
            return _parse_json(path, text)
        if suffix in {".yaml", ".yml"}:
            return _parse_yaml(path, text)
        if suffix == ".toml":
            return tomllib.loads(text)
    except RecursionError:
        raise InvalidConfig(f"{path}: {_MAX_DEPTH_HINT}") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig(f"{path}: not valid TOML: {error}") from None
    raise InvalidConfig(f"{path}: a configuration is a .json, .yaml or .toml file")


def _parse_json(path: str, text: str) -> Any:
    if not text.strip():
        raise InvalidConfig(f"{path} is empty; write at least {{}}")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    raise _DuplicateKeyError(key)
                seen.add(key)
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InvalidConfig(
            f"{path}, line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}"
        ) from None
    except _DuplicateKeyError as error:
        key = str(error)
        spots = [
            m.start() for m in re.finditer(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:", text)
        ]
        lines = ", ".join(str(text.count("\n", 0, spot) + 1) for spot in spots[:4])
        where = f" (it stands in line {lines})" if lines else ""
        raise InvalidConfig(
            f"{path}: the key {key!r} appears twice in one object{where}; only one would count, remove the other"
        ) from None


def _parse_yaml(path: str, text: str) -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """A safe loader that refuses duplicate keys."""

    def unique(loader: Any, node: Any) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = loader.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise InvalidConfig(f"{path}, line {line}: the key {key!r} appears twice; remove one")
            seen.add(key)
        loader.flatten_mapping(node)
        return {
            loader.construct_object(k, deep=True): loader.construct_object(v, deep=True)
            for k, v in node.value
        }

    Loader.add_constructor("tag:yaml.org,2002:map", unique)
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506 - the loader above is a safe one
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise InvalidConfig(f"{path}{where}: not valid YAML: {problem}") from None


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
        import yaml

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            return text
    return text

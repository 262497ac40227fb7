"""What a run was given, and hybrids of what two runs were given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from corrida.analysis.config_changes import format_path
from corrida.analysis.config_diff import (
    DEFAULT_KEYS,
    FileDiff,
    apply_changes,
    diff_configs,
    parse_pair,
    same_meaning,
    summary_line,
)
from corrida.analysis.config_text import MINUS, display_name, short_value
from corrida.errors import InvalidConfig
from corrida.runs.documents import Unreadable, dump_yaml, read_document

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord

UnitKind = Literal["config", "file", "order", "override", "seed", "argument"]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What can be varied of a run.

    Attributes:
        configs: configuration files as (place in the project, bytes), in the order in which they were read.
        overrides: values that win over them, by dotted key.
        seed: or None.
        command: program and arguments; empty for a pipeline.
    """

    configs: tuple[tuple[str, bytes], ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    command: tuple[str, ...] = ()

    def digest(self, *more: Any) -> str:
        """Return a digest of the inputs and of ``more`` plain values: equal inputs, equal digest."""
        configs = [[place, hashlib.sha256(data).hexdigest()] for place, data in self.configs]
        content = [configs, dict(self.overrides), self.seed, list(self.command), *more]
        text = json.dumps(content, sort_keys=True, default=str, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


def inputs_of(run: RunRecord) -> Inputs:
    """Return what a run was given.

    Raises:
        DamagedRun: a configuration or run.json cannot be read.
    """
    asked = run.run_file().invocation
    return Inputs(
        configs=tuple(run.config_files().items()),
        overrides=dict(asked.overrides) if asked else {},
        seed=run.seed,
        command=asked.command if asked else (),
    )


class Unit(msgspec.Struct, frozen=True):
    """The smallest change that can be made or left alone by itself.

    Attributes:
        kind: what changes.
        name: where, as ``config/rules.json#rules[R7].threshold``.
        label: what, for a person: ``R7.threshold 0.6 → 0.7``.
    """

    kind: UnitKind
    name: str
    label: str


class Mixer:
    """Everything between the inputs of two runs.

    Attributes:
        units: what leads from A to B, by position.
    """

    def __init__(self, a: Inputs, b: Inputs, *, list_keys: Sequence[str] = ()) -> None:
        """Compare the inputs ``a`` and ``b``.

        Args:
            a: the inputs before.
            b: the inputs after.
            list_keys: names of the field that tells entries of a list apart, tried first.
        """
        self.a, self.b = a, b
        self._configs = dict(a.configs), dict(b.configs)
        diff = diff_configs(*self._configs, keys=(*list_keys, *DEFAULT_KEYS))
        self._files = diff.files
        found = [unit for file in self._files for unit in _units_of_file(file)]
        if self._order("a") != self._order("b"):
            found.append(Unit("order", "(order of files)", "order of the configuration files"))
        found += [
            Unit("override", f"--set {key}", _value_label(f"--set {key}", a.overrides, b.overrides, key))
            for key in dict.fromkeys([*a.overrides, *b.overrides])
            if (key in a.overrides) != (key in b.overrides)
            or not same_meaning(a.overrides[key], b.overrides[key])
        ]
        if a.seed != b.seed:
            shown = ["none" if seed is None else str(seed) for seed in (a.seed, b.seed)]
            found.append(Unit("seed", "--seed", f"seed {shown[0]} → {shown[1]}"))
        found += _argument_units(a.command, b.command)
        self.units: tuple[Unit, ...] = tuple(_told_apart(found))

    def mix(self, chosen: frozenset[int]) -> Inputs:
        """Return A with the units at the positions ``chosen`` taken from B; none give A, all give B, to the byte.

        Raises:
            InvalidConfig: the result cannot be written down.
        """
        if not chosen:
            return self.a
        if len(chosen) == len(self.units):
            return self.b
        names = {self.units[place].name for place in chosen}
        overrides = dict(self.a.overrides)
        for unit in (self.units[place] for place in chosen if self.units[place].kind == "override"):
            key = unit.name.removeprefix("--set ")
            overrides.pop(key, None)
            if key in self.b.overrides:
                overrides[key] = self.b.overrides[key]
        return replace(
            self.a,
            configs=self._mixed_configs(names),
            overrides=overrides,
            seed=self.b.seed if "--seed" in names else self.a.seed,
            command=_mixed_command(self.a.command, self.b.command, names),
        )

    def _mixed_configs(self, names: set[str]) -> tuple[tuple[str, bytes], ...]:
        mixed: dict[str, tuple[str, bytes]] = {}
        for file in self._files:
            if found := self._mixed_file(file, names):
                mixed[file.path] = found
        orders = [self._order("a", shared=False), self._order("b", shared=False)]
        order = _merged(*(reversed(orders) if "(order of files)" in names else orders))
        return tuple(mixed[name] for name in order if name in mixed)

    def _mixed_file(self, file: FileDiff, names: set[str]) -> tuple[str, bytes] | None:
        before, after = self._configs
        if file.status in {"added", "removed"}:
            there = (file.path in names) == (file.status == "added")
            return (file.path, (after if file.status == "added" else before)[file.path]) if there else None
        path_a = file.path_a or file.path
        path = file.path if _rename_name(file) in names else path_a
        wanted = [change for change in file.changes if change.unit in names]
        if not wanted:
            return path, before[path_a]
        if len(wanted) == len(file.changes):
            return path, after[file.path]
        parsed, _ = parse_pair(path_a, before[path_a], file.path, after[file.path])
        return path, _written(path, apply_changes(parsed.document, wanted))

    def _order(self, side: Literal["a", "b"], *, shared: bool = True) -> list[str]:
        """Return the files by their final names in the order of one side."""
        place = {(file.path_a if side == "a" else file.path): file.path for file in self._files}
        only = {file.path for file in self._files if file.status in {"added", "removed"}}
        names = self._configs[0] if side == "a" else self._configs[1]
        return [place[name] for name in names if not (shared and place[name] in only)]


def _merged(main: Sequence[str], other: Sequence[str]) -> list[str]:
    """Return ``main`` with what only ``other`` has, each after the one it follows there."""
    result, before = list(main), ""
    for name in other:
        if name not in main:
            result.insert(result.index(before) + 1 if before else 0, name)
        before = name
    return result


def _units_of_file(file: FileDiff) -> list[Unit]:
    if file.status in {"added", "removed"}:
        return [Unit("file", file.path, f"{display_name(file)} {file.status}")]
    found = []
    if file.status == "renamed":
        found.append(Unit("file", _rename_name(file), f"{file.path_a} renamed to {file.path}"))
    for unit in dict.fromkeys(change.unit for change in file.changes):
        members = tuple(change for change in file.changes if change.unit == unit)
        # Without versions of its own the line is about these changes alone.
        alone = msgspec.structs.replace(
            file,
            path="u",
            path_a="u",
            status="changed",
            changes=members,
            flags=(),
            version_a=None,
            version_b=None,
        )
        label = summary_line(alone).removeprefix("u: ")
        if len(members) == 1 and members[0].collection is not None:  # one element needs no count
            label = label.replace("+1 ", "new ", 1).replace(f"{MINUS}1 ", "removed ", 1)
        if len({member.path for member in members}) == 1 and not members[0].path:  # the document itself
            label = f"{display_name(file)}{'' if label.startswith(':') else ' '}{label.lstrip()}"
        elif any(
            member.collection is not None and not member.element and not member.words for member in members
        ):
            label = f"{format_path(members[0].parts)}: {label}"
        if file.text is not None or file.format == "binary":
            label = f"{display_name(file)} ({label})"
        found.append(Unit("config", unit, label))
    return found


def _rename_name(file: FileDiff) -> str:
    return f"{file.path} (renamed)"


def _told_apart(units: Sequence[Unit]) -> list[Unit]:
    """Put the file before labels that two units share, and the place in it where that is not enough."""
    labels = [unit.label for unit in units]
    with_file = [f"{unit.name.partition('#')[0]}: {unit.label}" for unit in units]
    with_place = [f"{unit.name}: {unit.label}" for unit in units]
    return [
        msgspec.structs.replace(
            unit, label=with_file[place] if with_file.count(with_file[place]) == 1 else with_place[place]
        )
        if labels.count(unit.label) > 1
        else unit
        for place, unit in enumerate(units)
    ]


def _value_label(name: str, a: Mapping[str, Any], b: Mapping[str, Any], key: str) -> str:
    before, after = (short_value(side[key]) if key in side else "not set" for side in (a, b))
    return f"{name} {before} → {after}"


def _argument_units(a: Sequence[str], b: Sequence[str]) -> list[Unit]:
    """Return the arguments that differ; one unit for all when they cannot be paired."""
    if list(a) == list(b):
        return []
    if len(a) != len(b):
        return [Unit("argument", "(command)", f"command {' '.join(a)} → {' '.join(b)}")]
    found = []
    for place, (before, after) in enumerate(zip(a, b, strict=True)):
        if before != after:
            option = f"{a[place - 1]} " if place and a[place - 1].startswith("-") else ""
            found.append(Unit("argument", f"(argument {place})", f"{option}{before} → {after}"))
    return found


def _mixed_command(a: tuple[str, ...], b: tuple[str, ...], names: set[str]) -> tuple[str, ...]:
    if "(command)" in names:
        return b
    if len(a) != len(b):
        return a
    return tuple(
        after if f"(argument {place})" in names else before
        for place, (before, after) in enumerate(zip(a, b, strict=True))
    )


def _written(path: str, document: Any) -> bytes:
    """Write a document in the format of its path, such that it is read as the same."""
    write = _WRITERS.get(PurePosixPath(path).suffix.lower())
    if write is None:
        raise InvalidConfig(f"{path}: a mixture of two versions can be written as JSON, YAML or TOML only")
    try:
        data = write(document)
        if same_meaning(read_document(path, data), document):
            return data
    except (Unreadable, TypeError, ValueError) as error:
        raise InvalidConfig(f"{path}: a mixture of two versions cannot be written: {error}") from None
    raise InvalidConfig(f"{path}: a mixture of two versions would not be read as it was written")


def _json(document: Any) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _toml(document: Any) -> bytes:
    import tomli_w

    return tomli_w.dumps(document).encode()


_WRITERS: Mapping[str, Callable[[Any], bytes]] = {
    ".json": _json,
    ".yaml": dump_yaml,
    ".yml": dump_yaml,
    ".toml": _toml,
}

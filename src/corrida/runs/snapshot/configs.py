"""Exact copies of configuration files, each under its own relative path."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from corrida.errors import InvalidConfig
from corrida.runs import layout
from corrida.runs.files import digest_bytes, explained, safe_join, write_new
from corrida.runs.run_file import ConfigCopy

_SECRET_KEY = re.compile(
    rb"""((?:api[_-]?key|secret|password|passwd|access[_-]?token|auth[_-]?token|private[_-]?key)[\w.-]{0,64})"""
    rb"""["']?\s*[:=]\s*["']?(?!\s|null|none|true|false|\$\{|<|["'])[^\s"',}]{8,}""",
    re.IGNORECASE,
)
_WORD_END = re.compile(rb"[\w.-]*\Z")
_SEARCHED = 4 * 1024 * 1024
_SECRET_SHAPE = re.compile(
    rb"\b(?:sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16}|xox[abpr]-[A-Za-z0-9-]{20,})|"
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"
)


def expand_patterns(patterns: Iterable[str | os.PathLike[str]], root: Path, what: str) -> list[Path]:
    """Return the files that ``patterns`` name, each once: in the order of the patterns, sorted within each.

    Args:
        patterns: paths or globs (``**`` too), relative to ``root`` or absolute.
        root: the project folder.
        what: ``configuration`` or ``data file``, for messages.

    Raises:
        InvalidConfig: a pattern matches no file.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        text = os.fspath(pattern)
        exact = root / text
        if exact.is_file():
            matches = [exact]
        elif exact.is_dir():
            raise InvalidConfig(f"{text} is a folder; name the files, as in {text.rstrip('/')}/*.json")
        else:
            matches = [root / m for m in sorted(glob.glob(text, root_dir=root, recursive=True))]  # noqa: PTH207
            matches = [m for m in matches if m.is_file()]
        if not matches:
            raise InvalidConfig(f"no {what} matches {text!r} (looked in {root.name or root}); check the path")
        found |= dict.fromkeys(Path(os.path.abspath(m)) for m in matches)  # noqa: PTH100 - keeps symlinks
    return list(found)


def expand_optional(patterns: Iterable[str], root: Path) -> list[Path]:
    """Return the files that ``patterns`` match now; a pattern that matches none is left out."""
    found: list[Path] = []
    for pattern in patterns:
        with contextlib.suppress(InvalidConfig):
            found += expand_patterns([pattern], root, "configuration")
    return list(dict.fromkeys(found))


def relative_name(path: Path, root: Path) -> str:
    """Return ``path`` relative to ``root`` with forward slashes; ``..`` where it lies outside."""
    return PurePosixPath(os.path.relpath(path, root)).as_posix()


def read_configs(files: Sequence[Path], root: Path) -> list[tuple[str, bytes]]:
    """Read configuration files once, so that what is copied is what runs.

    Returns:
        Pairs of place (relative to ``root``) and bytes.

    Raises:
        InvalidConfig: one cannot be read.
    """
    pairs = []
    for file in files:
        try:
            pairs.append((relative_name(file, root), file.read_bytes()))
        except OSError as error:
            raise InvalidConfig(f"{relative_name(file, root)} cannot be read: {error.strerror}") from None
    return pairs


def copy_configs(
    run_dir: Path, configs: Iterable[tuple[str, bytes]], there: Iterable[ConfigCopy] = ()
) -> list[ConfigCopy]:
    """Write the exact bytes of each configuration into the run folder.

    The copy of ``rules/a.json`` is ``config/rules/a.json``, and that of ``config/a.json`` is ``config/a.json``:
    a folder that is called config already is not nested in another. One from outside the project keeps its
    name only. Where two would meet, the later gets a number.

    Args:
        run_dir: the run folder.
        configs: pairs of place in the project and bytes.
        there: copies that lie in the folder already.
    """
    copies: list[ConfigCopy] = []
    names = [PurePosixPath(copy.file).relative_to(layout.CONFIG_DIR) for copy in there]
    taken = {_folded(name) for name in names}
    folders = {_folded(parent) for name in names for parent in name.parents}
    for origin, data in configs:
        place = PurePosixPath(origin)
        if ".." in place.parts or place.is_absolute():
            place = PurePosixPath(place.name)
        if len(place.parts) > 1 and place.parts[0] == layout.CONFIG_DIR:
            place = PurePosixPath(*place.parts[1:])
        if any(_folded(parent) in taken for parent in place.parents):  # a file has the name of its folder
            place = PurePosixPath(place.name)
        name, number = place, 1
        while _folded(name) in taken | folders:
            number += 1
            name = place.with_name(f"{place.stem}-{number}{place.suffix}")
        taken.add(_folded(name))
        folders |= {_folded(parent) for parent in name.parents}
        stored = f"{layout.CONFIG_DIR}/{name.as_posix()}"
        target = safe_join(run_dir, stored)
        with explained(f"copying {origin}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            write_new(target, data)
        copies.append(ConfigCopy(file=stored, origin=origin, sha256=digest_bytes(data).sha256))
    return copies


def _folded(place: PurePosixPath) -> str:
    return place.as_posix().casefold()  # copies may go to a file system that takes a.json and A.json for one


def looks_secret(data: bytes) -> str | None:
    """Return the name of the key, or the kind of value, that seems to be a secret in a configuration."""
    data = data[:_SEARCHED]
    if found := _SECRET_KEY.search(data):
        before = _WORD_END.search(data, max(0, found.start() - 64), found.start())
        return ((before.group() if before else b"") + found.group(1)).decode("utf-8", "replace")
    return "a value shaped like a key" if _SECRET_SHAPE.search(data) else None

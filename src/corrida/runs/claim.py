"""Making a store, and claiming a run id in it by making its folder."""

from __future__ import annotations

import contextlib
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from corrida.errors import AlreadyExists, StoreError
from corrida.runs import layout
from corrida.runs.files import atomic_write, explained, make_folder, temporary_name
from corrida.runs.ids import generated_id, id_from_tag, validate_run_id


class Claim(NamedTuple):
    """A claimed id.

    Attributes:
        id: the run id.
        dir: its folder, which exists and is empty.
        created: time of the claim, UTC.
        order: nanoseconds since the epoch, greater than that of every run claimed before in the store even when
            the clock was set back.
        clock_behind: seconds by which the clock lies before the last claim; 0 normally.
    """

    id: str
    dir: Path
    created: datetime
    order: int
    clock_behind: float


def ensure_store(root: Path) -> None:
    """Make the store at ``root`` when it is not one yet; any number of processes may do so at once.

    Raises:
        StoreError: it cannot be made, or a file stands in its place.
    """
    if os.path.exists(f"{root}/{layout.PRIVATE}/{layout.STORE_FILE}"):  # noqa: PTH110
        return
    private = root / layout.PRIVATE
    with explained(f"making the store {root.name}"):
        try:
            make_folder(private)
        except (FileExistsError, NotADirectoryError):
            raise StoreError(
                f"{root.name} is a file, so it cannot be a store; choose another with --store"
            ) from None
        atomic_write(private / ".gitignore", b"*\n", durable=False)
        attributes = root / ".gitattributes"
        if not attributes.exists():
            # Two branches add lines at the same place; both are wanted.
            names = (layout.INDEX, layout.ALIASES, layout.ANNOTATIONS)
            text = "".join(f"{name} merge=union\n" for name in names)
            atomic_write(attributes, text.encode(), durable=False, scratch=private)
        content = {"format_version": layout.FORMAT_VERSION, "id": os.urandom(16).hex()}
        atomic_write(private / layout.STORE_FILE, msgspec.json.encode(content) + b"\n", durable=False)


def claim(
    root: Path, *, run_id: str | None, run_tag: str | None, seed: int | None, id_base: str | None = None
) -> Claim:
    """Claim an id by making its folder; of several processes that try, one gets it.

    Args:
        root: the store, which exists.
        run_id: exactly this id.
        run_tag: else ``run_<tag>``, with ``-2``, ``-3`` … when that is taken.
        seed: else part of the generated id.
        id_base: before that, this id, likewise with a number when it is taken.

    Raises:
        InvalidName: the id or tag is outside the grammar.
        AlreadyExists: ``run_id`` is taken, or lies in the trash.
        StoreError: the folder cannot be made.
    """
    now = datetime.now(UTC)
    with explained("starting a run"):
        if run_id is not None:
            name = validate_run_id(run_id)
            if not _make(root, name):
                place = (
                    "in the trash (`corrida trash` lists it)"
                    if not (root / name).exists()
                    else "there already"
                )
                raise AlreadyExists(
                    f"the run {name} is {place}; choose another id, or use --run-tag to get a suffix"
                )
        else:
            base = id_from_tag(run_tag) if run_tag is not None else id_base or generated_id(now, seed)
            name = _make_with_suffix(root, base)
        try:
            order, behind = _next_order(root)
        except BaseException:
            (root / name).rmdir()  # else a run that never was would be listed
            raise
    return Claim(name, root / name, now, order, behind)


def _make(root: Path, name: str) -> bool:
    folder, trashed = f"{root}/{name}", f"{root}/{layout.PRIVATE}/{layout.TRASH}/{name}"
    if os.path.exists(trashed):  # noqa: PTH110
        return False  # else an undo of the removal could not bring it back
    try:
        os.mkdir(folder)  # noqa: PTH102 - the claim: atomic on every file system
    except FileExistsError:
        return False
    if os.path.exists(trashed):  # noqa: PTH110 - removed between the two looks
        os.rmdir(folder)  # noqa: PTH106
        return False
    return True


def _make_with_suffix(root: Path, base: str) -> str:
    """Claim ``base``, or the first free of ``base-2``, ``base-3`` … after those that are taken.

    Where the taken ones end is found in leaps of double length and then by halves: among 100,000 runs of one tag
    after 34 looks. A number that was freed in between may be found or not; what decides is the making.
    """
    if _make(root, base):
        return base
    number = _first_free(root, base)
    while not _make(
        root, validate_run_id(f"{base}-{number}")
    ):  # another process was quicker, or it is in the trash
        number += 1
    return f"{base}-{number}"


def _first_free(root: Path, base: str) -> int:
    def taken(number: int) -> bool:
        return os.path.exists(f"{root}/{base}-{number}")  # noqa: PTH110

    last, leap = 1, 1
    while taken(last + leap):
        last += leap
        leap *= 2
    free = last + leap
    while free - last > 1:
        middle = (last + free) // 2
        if taken(middle):
            last = middle
        else:
            free = middle
    return free


def _next_order(root: Path) -> tuple[int, float]:
    """Return the next place in the order of the store's runs, and by how many seconds the clock is behind.

    The time of change of one small file holds the last place; a race under a clock that was set back can at
    worst give two runs of the same microsecond the same place, and their ids decide.
    """
    clock = f"{root}/{layout.PRIVATE}/{layout.CLOCK}"
    now = time.time_ns() // 1000 * 1000  # whole microseconds: what every file system and JSON reader keeps
    try:
        last = os.stat(clock).st_mtime_ns  # noqa: PTH116
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(clock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        last = 0
    order = now if now > last else last + 1000
    try:
        os.utime(clock, ns=(order, order))
    except PermissionError:  # another user of a shared store made it: only the owner may set the time
        fresh = temporary_name(clock)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        os.utime(fresh, ns=(order, order))
        os.replace(fresh, clock)  # noqa: PTH105
    return order, max(0.0, (last - now) / 1e9)

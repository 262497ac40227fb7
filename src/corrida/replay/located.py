"""Where the data of a run are now: found by digest, wherever they lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.errors import CorridaError, InvalidData
from corrida.launch import data_sources
from corrida.runs.files import digest_file, safe_join
from corrida.runs.snapshot.data import only_files

if TYPE_CHECKING:
    from corrida.project import Project
    from corrida.runs.record import RunRecord

# The keys of a manifest entry that may name a copy of the data in the run folder.
SNAPSHOT_KEYS = ("snapshot", "file")


@dataclass(frozen=True)
class Located:
    """A data file of a run, found.

    Attributes:
        recorded: its place when the run was made, relative to the project.
        path: where the same bytes are now, absolute.
        moved: whether that is another place.
        role: what it is to the pipeline, if anything.
    """

    recorded: str
    path: Path
    moved: bool
    role: str | None


def locate_data(run: RunRecord, project: Project, given: Sequence[str] = ()) -> dict[str, Located]:
    """Find the data files of a run by their digests.

    Looked at are, in this order: the recorded place, the copy in the run folder, the files ``given``, the data
    files that the project's settings name, and the folder of the recorded place.

    Args:
        run: whose data.
        project: relative to which places are recorded.
        given: paths or globs, relative to the project.

    Returns:
        The files by their recorded place.

    Raises:
        InvalidData: one is nowhere, with its digest and where it was looked for; or ``given`` matches nothing.
        DamagedRun: the manifest cannot be read.
    """
    extra = only_files(data_sources(project, given))
    found = {}
    for entry in run.manifest().get("data", ()):
        recorded = str(entry["path"])
        place = Path(project.root / recorded)
        others = (path for paths in _others(run, project, entry, place, extra) for path in paths)
        path = next((p for p in (place, *others) if _is(p, entry)), None)
        if path is None:
            raise InvalidData(_gone(run.id, entry, place, given=bool(extra)))
        found[recorded] = Located(recorded, path, path != place, entry.get("role"))
    return found


def _others(
    run: RunRecord, project: Project, entry: dict[str, Any], place: Path, extra: Sequence[Path]
) -> Iterator[Iterable[Path]]:
    yield _snapshots(run, entry)
    yield extra
    for settings in project.settings.pipelines.values():
        for pattern in settings.data:
            try:
                yield only_files(data_sources(project, [pattern]))
            except CorridaError:
                continue
    yield sorted(place.parent.iterdir()) if place.parent.is_dir() else ()


def _snapshots(run: RunRecord, entry: dict[str, Any]) -> list[Path]:
    found = []
    for key in SNAPSHOT_KEYS:
        name = entry.get(key)
        if isinstance(name, str):
            try:
                found.append(safe_join(run.dir, name))
            except CorridaError:
                continue
    return found


def _is(path: Path, entry: dict[str, Any]) -> bool:
    """Tell whether a file holds the bytes of a manifest entry; the size is asked first, since that costs nothing."""
    try:
        if not path.is_file() or path.stat().st_size != entry["size"]:
            return False
        return digest_file(path).sha256 == str(entry["sha256"])
    except OSError:
        return False


def _gone(run_id: str, entry: dict[str, Any], place: Path, *, given: bool) -> str:
    state = "has other content now" if place.is_file() else "is gone"
    looked = ["its folder", "the run folder", "the data files of the project"]
    looked += ["the files of --data"] if given else []
    return (
        f"{entry['path']}, which {run_id} read ({entry['size']:,} bytes, {entry['sha256'][:19]}…), {state}; "
        f"no file with that digest is in {', '.join(looked[:-1])} or {looked[-1]}; "
        "put it back, or say with --data where it is"
    )

"""The folders that people see: ``pending``, ``processed``, ``failed``. A view over the jobs, published by rename.

Every function may be called again after a kill at any point, and by two processes at once: what is there already stays.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from corrida.errors import InvalidName, StoreError
from corrida.runs.files import (
    atomic_write,
    explained,
    fsync_dir,
    make_folder,
    place_new,
    safe_join,
    temporary_name,
    write_new,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corrida.inference.jobs import Job

ID_LENGTH = 100
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
ROWS = "rows.parquet"
INPUT_MARK = ".input"
RESULT = "result.json"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OLD_SECONDS = 86_400.0


def check_id(text: str) -> str:
    """Return an analysis id.

    Raises:
        InvalidName: it is outside the grammar: 1 to 100 letters, digits, ``.``, ``_``, ``-``, the first a letter or
            digit, and no ending that would make its files those of another (``_error``, ``.input``, a suffix of files).
    """
    if not _ID.fullmatch(text) or len(text) > ID_LENGTH:
        raise InvalidName(
            f"the analysis id {text[:120]!r} is not allowed; use 1 to {ID_LENGTH} ASCII letters, digits, '.', '_' or "
            "'-', starting with a letter or digit"
        )
    lower = text.lower()
    if lower.endswith(("_error", ".json", INPUT_MARK, *SUFFIXES)):
        raise InvalidName(f"the analysis id {text!r} ends like a file of another; choose another id")
    return text


def id_for(name: str, sha256: str) -> str:
    """Return an id for a file whose name cannot be one, the same whenever the same file comes again."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(name).stem).strip("-._")[:60]
    return f"{stem or 'file'}-{sha256.removeprefix('sha256:')[:12]}"


class Spool:
    """The folder of the files.

    Attributes:
        root: the folder.
        pending, processed, failed: what people see.
        private: the rest.
        id: of the folder; a job is only taken by workers that see its files.
    """

    def __init__(self, root: Path) -> None:
        """Lay the folders out where they are missing.

        Raises:
            StoreError: they cannot be made, or lie on several file systems.
        """
        self.root = root
        self.pending, self.processed, self.failed = (
            root / name for name in ("pending", "processed", "failed")
        )
        self.private = root / ".corrida"
        self.incoming, self.work = self.private / "incoming", self.private / "work"
        with explained("laying out the spool", "choose another with --spool"):
            for folder in (self.pending, self.processed, self.failed, self.incoming, self.work):
                make_folder(folder)
            self._check_one_disk()
            self.id = self._identity()

    def _check_one_disk(self) -> None:
        folders = (self.pending, self.processed, self.failed, self.incoming, self.work)
        if len({folder.stat().st_dev for folder in folders}) > 1:
            raise StoreError(
                "the folders of the spool lie on several file systems, and files move between them by rename; "
                "put the whole spool on one"
            )

    def _identity(self) -> str:
        file = self.private / "spool.json"
        with contextlib.suppress(FileNotFoundError):
            return str(msgspec.json.decode(file.read_bytes())["id"])
        temporary = Path(temporary_name(file))
        write_new(temporary, msgspec.json.encode({"id": uuid.uuid4().hex[:12]}) + b"\n", durable=True)
        with contextlib.suppress(FileExistsError):
            place_new(temporary, file)  # two that start at once: one of them
        temporary.unlink(missing_ok=True)
        fsync_dir(self.private)
        return str(msgspec.json.decode(file.read_bytes())["id"])

    # -- coming in ------------------------------------------------------------------------------------------

    def stage_path(self) -> Path:
        """Return a place of one's own for a file that is coming in."""
        return self.incoming / uuid.uuid4().hex

    def input_path(self, job: Job) -> Path:
        """Return where the file of a job waits."""
        return safe_join(self.pending, job.id + job.suffix)

    def kept_path(self, job: Job) -> Path:
        """Return where the file of a job goes once it is settled: beside its results, whose name it must not take."""
        if job.outcome != "processed":
            return safe_join(self.failed, job.id + job.suffix)
        taken = job.suffix == Path(ROWS).suffix
        return safe_join(self.processed, job.id + (INPUT_MARK if taken else "") + job.suffix)

    def place_input(self, job: Job) -> Path | None:
        """Put the file of a job into ``pending`` if it is not there yet, and return it; None when it is lost."""
        path = self.input_path(job)
        places = [self.incoming / job.staged] if job.staged else []
        places.append(self.failed / path.name)  # a job that is tried again
        for place in places:
            if path.exists():
                break
            with contextlib.suppress(FileNotFoundError):
                os.rename(place, path)  # noqa: PTH104
                fsync_dir(self.pending)
                fsync_dir(place.parent)
        if not path.exists():
            return None
        (self.failed / f"{job.id}_error.json").unlink(missing_ok=True)
        return path

    def dropped(self) -> Iterator[tuple[Path, str]]:
        """Yield what lies in ``pending``, known or not, and why it is no file to analyse: ``""`` where it is one.

        Hidden files are left out: they are on the way to another name.
        """
        with os.scandir(self.pending) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                why = ""
                if entry.is_symlink():
                    why = "it is a link; put the file itself there"
                elif not entry.is_file(follow_symlinks=False):
                    why = "it is no file"
                elif not entry.name.lower().endswith(SUFFIXES):
                    why = f"its name ends in none of {', '.join(SUFFIXES)}"
                yield Path(entry.path), why

    # -- going out ------------------------------------------------------------------------------------------

    def work_folder(self, job_id: str, token: str) -> Path:
        """Make a folder for the results of one try."""
        folder = safe_join(self.work, f"{job_id}.{token}")
        make_folder(folder)
        return folder

    def drop_work(self, job_id: str, token: str) -> None:
        """Throw the results of a try away."""
        shutil.rmtree(safe_join(self.work, f"{job_id}.{token}"), ignore_errors=True)

    def publish(self, job: Job) -> None:
        """Show what became of a settled job: its results or its error first, then its file.

        The results of the try that won are the only ones that are ever moved; they were made durable before.
        """
        if job.outcome == "processed" and job.winner is not None:
            self._publish_results(job, job.winner)
        elif job.outcome is not None:
            self._publish_error(job)
        self.move_input(job)
        if job.winner is not None:
            self.drop_work(job.id, job.winner)

    def _publish_results(self, job: Job, winner: str) -> None:
        folder = safe_join(self.work, f"{job.id}.{winner}")
        # The JSON file last: who waits for it finds the rows, too.
        for name, target in ((ROWS, f"{job.id}.parquet"), (RESULT, f"{job.id}.json")):
            with contextlib.suppress(FileNotFoundError):
                os.replace(folder / name, safe_join(self.processed, target))  # noqa: PTH105
        fsync_dir(self.processed)

    def _publish_error(self, job: Job) -> None:
        content = {
            "format_version": 1,
            "analysis_id": job.id,
            "status": job.outcome,
            "error": {"code": job.code, "message": job.message},
            "file": job.file,
            "attempts": job.claims,
            "run": job.run_id,
        }
        target = safe_join(self.failed, f"{job.id}_error.json")
        atomic_write(target, msgspec.json.format(msgspec.json.encode(content)) + b"\n")

    def move_input(self, job: Job) -> None:
        """Move the file of a settled job out of ``pending``."""
        path = self.input_path(job)
        target = self.kept_path(job)
        sources = [path] + ([self.incoming / job.staged] if job.staged else [])
        for source in sources:
            with contextlib.suppress(FileNotFoundError):
                os.replace(source, target)  # noqa: PTH105
                fsync_dir(target.parent)
                fsync_dir(source.parent)
                return

    def note_detail(self, job_id: str, detail: str) -> None:
        """Keep the traceback of a failure where only people of this machine read."""
        folder = self.private / "errors"
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(OSError):
            safe_join(folder, f"{job_id}.txt").write_text(detail, encoding="utf-8", errors="replace")

    def sweep(self, live: set[str]) -> None:
        """Remove what kills left behind: uploads and results of a day ago that no job names.

        Args:
            live: names of uploads and folders that jobs which have not ended use.
        """
        for folder in (self.incoming, self.work):
            for entry in os.scandir(folder):
                with contextlib.suppress(OSError):
                    if entry.name in live or time.time() - entry.stat().st_mtime < _OLD_SECONDS:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path, ignore_errors=True)
                    else:
                        os.unlink(entry.path)  # noqa: PTH108

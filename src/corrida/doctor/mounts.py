"""Which file system a folder lies on, and what that means for a store.

The table of mounts is that of proc_pid_mountinfo(5).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

_OCTAL = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """A mounted file system: where, of which type, and from what."""

    point: str
    type: str
    source: str


def parse_mounts(text: str) -> list[Mount]:
    """Read the text of /proc/self/mountinfo; lines of another shape are left out."""
    found = []
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if dash and len(left) >= 6 and len(right) >= 2:
            found.append(Mount(_unescaped(left[4]), right[0], _unescaped(right[1])))
    return found


def _unescaped(text: str) -> str:
    """Return a name whose blanks, tabs, line ends and backslashes stand as octal escapes."""
    raw = _OCTAL.sub(lambda m: chr(int(m.group(1), 8)), text)
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def mount_of(path: Path, mounts: list[Mount]) -> Mount | None:
    """Return the mount that ``path`` (absolute, without links) lies on: the deepest, and of those the last made."""
    fitting = [m for m in mounts if path == Path(m.point) or Path(m.point) in path.parents]
    return (
        max(enumerate(fitting), key=lambda pair: (len(Path(pair[1].point).parts), pair[0]))[1]
        if fitting
        else None
    )


_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "ceph", "beegfs", "gpfs", "afs", "orangefs", "pvfs2", "ocfs2",
     "gfs2", "ncpfs", "coda", "fuse.sshfs", "fuse.glusterfs", "glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.moosefs",
     "fuse.mfs", "fuse.juicefs", "fuse.smbnetfs", "davfs", "fuse.davfs2", "fuse.curlftpfs"}
)  # fmt: skip
_OF_HOST: Final = frozenset(
    {"9p", "drvfs", "vboxsf", "virtiofs", "prl_fs", "vmhgfs", "fuse.vmhgfs-fuse", "fuse.osxfs", "fuse.grpcfuse", "fakeowner"}
)  # fmt: skip
_OBJECTS: Final = frozenset(
    {"fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.goofys", "fuse.mountpoint-s3", "fuse.mount-s3", "fuse.blobfuse",
     "fuse.blobfuse2", "fuse.geesefs", "fuse.goosefs"}
)  # fmt: skip
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})


class Meaning(NamedTuple):
    """What a kind of file system means for a store; ``severe`` where a live store does not belong on it."""

    kind: str
    text: str
    severe: bool


def meaning_of(file_system: str) -> Meaning | None:
    """Return what a type of file system means for a store, or None for that of a disk of this machine."""
    if file_system in _NETWORK:
        return Meaning(
            "network",
            "runs are plain files and the catalog stays on this machine, so that works; but what other machines "
            "write shows a few seconds late, and whether a run elsewhere lives is known by its heartbeat only",
            severe=False,
        )
    if file_system in _OF_HOST:
        return Meaning(
            "host",
            "a folder of the host: slow for many small files, often without locks, and names that differ by "
            "case may meet",
            severe=True,
        )
    if file_system in _OBJECTS:
        return Meaning(
            "objects",
            "an object store behind a file system: it neither appends nor renames as a disk does, so a kill may "
            "lose what was logged",
            severe=True,
        )
    if file_system in _IN_MEMORY:
        return Meaning("memory", "it is kept in memory: all runs are gone after a restart", severe=True)
    return None


_SYNC_MARKS: Final = {
    ".stfolder": "Syncthing",
    ".dropbox": "Dropbox",
    ".dropbox.cache": "Dropbox",
    ".owncloudsync.log": "ownCloud",
    ".nextcloudsync.log": "Nextcloud",
    ".csync_journal.db": "ownCloud",
    ".SynologyWorkingDirectory": "Synology Drive",
    ".tmp.drivedownload": "Google Drive",
}
_SYNC_NAMES: Final = re.compile(
    r"(Dropbox|OneDrive|Google ?Drive|Nextcloud|ownCloud|iCloud ?Drive|pCloudDrive|MEGA)\b"
)


def syncing_program(path: Path) -> str | None:
    """Return the program that seems to keep ``path`` in step with other machines, by its marks in a folder above."""
    for folder in (path, *path.parents):
        for mark, program in _SYNC_MARKS.items():
            if os.path.exists(folder / mark):  # noqa: PTH110 - false where we may not look
                return program
        if found := _SYNC_NAMES.match(folder.name):
            return found.group(1)
    return None
